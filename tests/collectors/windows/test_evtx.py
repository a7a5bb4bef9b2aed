"""Windows event log files, sound and damaged, from the regression samples of SigmaHQ."""

import io
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.frame import Source
from collectors.framing import evtx
from collectors.normalise import Normaliser
from collectors.parsing import parser
from soc.errors import InputError
from soc.model.ecs import check
from soc.model.event import Event
from tests.data import archive

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def samples() -> list[Path]:
    return sorted(archive("sigmahq-regression").rglob("*.evtx"))


def read(content: bytes) -> list[Event]:
    normaliser = Normaliser(Source(b"key"), parser("windows_evtx"))
    frames = evtx.frames(io.BytesIO(content))
    return [event for frame in frames for event in normaliser.events(frame, NOW)]


def test_every_record_of_every_sample_becomes_a_sound_event() -> None:
    files = [path.read_bytes() for path in samples()]
    events = [event for content in files for event in read(content)]
    assert (len(files), len(events)) == (202, 238)
    assert [problem for event in events for problem in check(event)] == []
    assert not any("error.message" in event for event in events)
    for event in events:
        assert event["event.code"] == event["winlog.event_id"]
        assert event["host.name"]
        assert event["@timestamp"] < event["event.created"]


def test_the_ecs_twins_say_what_the_event_data_says() -> None:
    events = [e for path in samples() for e in read(path.read_bytes())]
    started = [e for e in events if e.get("event.action") == "process-created"]
    assert len(started) == 151
    for event in started:
        assert event["process.command_line"] == event["winlog.event_data.CommandLine"]
        assert event["process.pid"] == int(event["winlog.event_data.ProcessId"])
        assert event["process.executable"].endswith(event["process.name"])


def test_an_event_log_from_a_pipe_is_the_same() -> None:
    content = samples()[0].read_bytes()

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    piped = [frame.raw for frame in evtx.frames(Pipe(content))]
    assert piped == [frame.raw for frame in evtx.frames(io.BytesIO(content))]


def test_positions_are_unique_even_where_record_numbers_repeat() -> None:
    content = samples()[0].read_bytes()
    doubled = content + content[evtx.HEADER :]
    positions = [frame.position for frame in evtx.frames(io.BytesIO(doubled))]
    assert len(positions) == len(set(positions)) == 2 * len(read(content))


def test_a_file_cut_inside_a_chunk_keeps_the_records_before_the_cut() -> None:
    content = max((p.read_bytes() for p in samples()), key=lambda c: len(read(c)))
    whole = [event["event.original"] for event in read(content)]
    for end in range(evtx.HEADER + 1, 11_000, 97):
        cut = read(content[:end])
        sound = [e["event.original"] for e in cut if "error.message" not in e]
        assert sound == whole[: len(sound)]
        assert len(sound) < len(whole)
    assert sound
    assert "the file ends inside" in cut[-1]["error.message"]


def test_a_circle_in_a_chunks_tables_is_not_followed() -> None:
    content = bytearray(samples()[0].read_bytes())
    chunk = evtx.HEADER
    buckets = range(chunk + 128, chunk + 512, 4)
    entries = [int.from_bytes(content[b : b + 4], "little") for b in buckets]
    for entry in filter(None, entries):  # each entry says that it is its own successor
        content[chunk + entry : chunk + entry + 4] = entry.to_bytes(4, "little")
    assert len(read(bytes(content))) == len(read(samples()[0].read_bytes()))


@pytest.mark.parametrize("content", [b"", b"ElfFile\0", b"ElfFile\0" + bytes(90), b"A" * 70_000])
def test_what_is_no_event_log_is_a_clear_error(content: bytes) -> None:
    with pytest.raises(InputError, match="not a readable event log file"):
        read(content)


def test_flipped_bits_cost_records_and_nothing_else() -> None:
    content = samples()[0].read_bytes()
    dice = random.Random(7)
    lost = 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(dice.choice((1, 5, 100))):
            place = dice.randrange(8, dice.choice((4096, 12_000, len(damaged))))
            damaged[place] ^= 1 << dice.randrange(8)
        for event in read(bytes(damaged)):
            assert check(event) == []
            lost += event["event.kind"] == "pipeline_error"
    assert lost > 0  # damage is told, not swallowed
