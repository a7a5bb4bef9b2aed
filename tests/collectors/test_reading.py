"""Files and streams given by hand: what is read, what is refused, and what it costs."""

import gzip
import io
import os
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from collectors import content
from collectors.reading import read_file, read_stream
from soc.errors import ContentError, InputError
from soc.model.ecs import check
from soc.model.event import Event, nest
from tests.data import archive

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LINES = b"".join(b"Nov 22 08:15:%02d web01 app[%d]: line\n" % (n % 60, n) for n in range(300))


def read(path: Path, **options: Any) -> list[Event]:
    return list(read_file(path, received=NOW, observer="node1", **options))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "x.log"


def ids(events: list[Event]) -> list[str]:
    return [event["event.id"] for event in events]


def test_a_packed_or_renamed_copy_has_the_same_ids(tmp_path: Path, log: Path) -> None:
    log.write_bytes(LINES)
    packed = tmp_path / "x.log.1.gz"
    half = len(LINES) // 2
    packed.write_bytes(gzip.compress(LINES[:half]) + gzip.compress(LINES[half:]) + bytes(512))
    events = read(log)
    assert len(set(ids(events))) == 300
    assert ids(read(packed)) == ids(events)
    assert events[0]["log.file.path"] == str(log)


def test_an_empty_file_holds_nothing(log: Path) -> None:
    log.touch()
    assert read(log) == []


def test_utf16(log: Path) -> None:
    log.write_bytes("đèn đỏ\r\nđèn xanh\r\n".encode("utf-16"))
    assert [event["message"] for event in read(log)] == ["đèn đỏ", "đèn xanh"]


def test_a_named_parser_wins_over_recognition(log: Path) -> None:
    log.write_bytes(b"\0\1\2\3\n")
    assert [e["event.dataset"] for e in read(log, parser="text")] == ["text"]
    with pytest.raises(ContentError):
        read(log, parser="no_such")


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)
    assert caught.value.hint


def test_progress_ends_at_the_whole_file(log: Path) -> None:
    log.write_bytes(gzip.compress(LINES))
    seen: list[tuple[int, int]] = []
    read(log, progress=lambda done, total: seen.append((done, total)))
    size = log.stat().st_size
    assert seen[-1] == (size, size)
    assert all(0 <= done <= total for done, total in seen)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_the_readable_part_of_a_damaged_packed_file(log: Path, damage: str) -> None:
    packed = bytearray(gzip.compress(LINES * 50, compresslevel=1))
    if damage == "cut":
        del packed[-300:]
    else:
        packed[-300] ^= 0xFF
    log.write_bytes(packed)
    events: list[Event] = []

    def keep() -> None:
        for event in read_file(log, received=NOW, observer="n"):
            events.append(event)

    with pytest.raises(InputError, match="packed file"):
        keep()
    assert len(events) > 1000
    assert events[0]["message"] == "line"


def test_a_decompression_bomb_is_refused(log: Path) -> None:
    engine = zlib.compressobj(9, wbits=31)
    with log.open("wb") as out:
        for _ in range(100):
            out.write(engine.compress(bytes(1 << 20)))
        out.write(engine.flush())
    tracemalloc.start()
    with pytest.raises(InputError, match="bomb"):
        read(log)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_the_total_of_a_packed_file_is_capped(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_CONTENT", 1000)
    log.write_bytes(gzip.compress(LINES))
    with pytest.raises(InputError, match="bomb"):
        read(log)


def test_events_are_passed_through(log: Path, tmp_path: Path) -> None:
    log.write_bytes(LINES)
    events = read(log)
    nested, flat = tmp_path / "nested.ndjson", tmp_path / "flat.json"
    nested.write_bytes(b"\n".join(orjson.dumps(nest(event)) for event in events))
    flat.write_bytes(orjson.dumps(events, option=orjson.OPT_INDENT_2))
    assert read(nested) == events
    assert read(flat) == events
    raw = read(nested, mode="raw")
    assert {event["event.dataset"] for event in raw} == {"json"}
    assert not set(ids(raw)) & set(ids(events))


def test_a_bad_line_among_events_is_one_error(log: Path, tmp_path: Path) -> None:
    log.write_bytes(LINES)
    good = read(log)[0]
    bad = {name: value for name, value in good.items() if name != "event.dataset"}
    mixed = tmp_path / "mixed.ndjson"
    mixed.write_bytes(b"\n".join([orjson.dumps(good), b"not one", orjson.dumps(bad)]))
    first, second, third = read(mixed)
    assert first == good
    assert "not an event" in second["error.message"]
    assert "lacks event.dataset" in third["error.message"]


def stream(data: bytes, **options: Any) -> Iterator[Event]:
    return read_stream(io.BytesIO(data), clock=lambda: NOW, key=b"k", observer="n", **options)


def test_a_stream_is_recognised_by_its_first_line() -> None:
    assert {event["event.dataset"] for event in stream(LINES)} == {"syslog"}
    assert [event["message"] for event in stream(b"no line end")] == ["no line end"]
    assert list(stream(b"")) == []


def test_events_come_through_a_stream(log: Path) -> None:
    log.write_bytes(LINES)
    events = read(log)
    piped = b"".join(orjson.dumps(nest(event)) + b"\n" for event in events)
    assert list(stream(piped)) == events


def test_a_line_of_a_pipe_is_not_held_back() -> None:
    class Pipe(io.RawIOBase):
        """Gives a line at a time and fails the test when more is read than was asked for."""

        def __init__(self) -> None:
            self.lines = [b"one\n", b"two\n"]

        def read1(self, size: int) -> bytes:
            assert self.lines, "the reader waits for a second line before giving out the first"
            return self.lines.pop(0)

    events = read_stream(Pipe(), clock=lambda: NOW, key=b"k")  # type: ignore[arg-type]
    assert next(events)["message"] == "one"
    assert next(events)["message"] == "two"


HOSTILE = {
    "one line of 20 MB": b"x" * (20 << 20),
    "NUL bytes": b"text\n" + b"\0" * (1 << 20) + b"\ntext\n",
    "JSON bomb": b"[" * 100_000,
    "JSON bomb of objects": b'{"a":' * 100_000,
    "lone surrogates": b'{"msg":"\\ud800"}\n' * 100,
    "invalid UTF-8": b"\xff\xfe\xfd caf\xe9\n" * 100,
    "huge integers": b'{"n":' + b"9" * 5000 + b"}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_become_events_in_bounded_memory(log: Path, name: str) -> None:
    log.write_bytes(HOSTILE[name])
    tracemalloc.start()
    events = read(log)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert events
    assert peak < 24 << 20
    for event in events:
        assert check(event) == []
        orjson.dumps(nest(event))


def real_logs() -> Iterator[Path]:
    for path in sorted(archive("crowdsec-logs").rglob("*")):
        if path.is_file() and path.suffix not in (".yaml", ".assert"):
            yield path


def test_every_line_of_real_logs_becomes_a_valid_event() -> None:
    """Some 390 files of attacks: no exception, and no record without an event."""
    datasets: Counter[str] = Counter()
    failed = 0
    for path in real_logs():
        events = read(path)
        for event in events:
            assert [str(problem) for problem in check(event)] == [], path.name
        datasets.update(event["event.dataset"] for event in events)
        failed += sum(event["event.kind"] == "pipeline_error" for event in events)
        if "json" not in path.name:
            lines = path.read_bytes().split(b"\n")
            assert len(events) == sum(bool(line.strip(b"\r")) for line in lines), path.name
    assert datasets.total() > 6000
    assert failed < 60
    assert datasets["web_access"] >= 950


def test_lines_of_sshd_in_real_logs_are_understood() -> None:
    understood: Counter[bool] = Counter()
    for path in sorted(archive("crowdsec-logs").rglob("*ssh*.log")):
        for event in read(path):
            if event.get("process.name", "").startswith("sshd"):
                understood[event["event.dataset"] in ("sshd", "pam")] += 1
    assert understood[True] / understood.total() >= 0.93  # 132 of 141 measured


def test_a_file_whose_name_is_no_text_can_be_stored(tmp_path: Path) -> None:
    log = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.log"))
    log.write_bytes(LINES)
    event = read(log)[0]
    assert event["log.file.path"] == f"{tmp_path}/\\xff.log"
    orjson.dumps(event)
