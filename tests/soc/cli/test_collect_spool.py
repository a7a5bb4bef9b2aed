"""`soc collect spool`: looking at a spool and mending it."""

from pathlib import Path

import pytest

from collectors.spool.record import Batch
from collectors.spool.segments import Found, Reading, listing
from collectors.spool.spool import Spool
from tests.command import soc


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """A spool of six blocks with a frame each, in one segment."""
    folder = tmp_path / "state" / "spool"
    spool = Spool.open(folder)
    for number in range(6):
        spool.append([Batch("net", [b"frame \x1b[31m %d" % number], 1, peer="192.0.2.7")])
        spool.commit()
    spool.close()
    return folder


def flip(folder: Path, block: int) -> None:
    """Turn over a bit in the middle of a block of the oldest segment."""
    (segment, *_) = listing(folder)
    with segment.path.open("rb") as file:
        mark = file.read(8)
    reading = Reading(segment, mark)
    found = list(reading)[block]
    reading.close()
    assert isinstance(found, Found)
    data = bytearray(segment.path.read_bytes())
    data[found.at + found.head.size // 2 + 20] ^= 4
    segment.path.write_bytes(data)


def test_a_sound_spool(tmp_path: Path, spool: Path) -> None:
    ran = soc("collect", "spool", "check", home=tmp_path)
    assert ran.code == 0, ran.err
    (row,) = ran.documents
    assert (row["verdict"], row["frames"], row["lost"]) == ("sound", 6, 0)
    assert "6 frames wait, 0 are lost" in ran.err


def test_frames_are_shown_with_nothing_that_acts(tmp_path: Path, spool: Path) -> None:
    ran = soc("collect", "spool", "show", "-n", "2", "-f", "table", home=tmp_path)
    assert ran.code == 0, ran.err
    assert "frame \\x1b[31m 1" in ran.out
    assert "\x1b" not in ran.out
    documents = soc("collect", "spool", "show", home=tmp_path).documents
    assert [one["number"] for one in documents] == [0, 1, 2, 3, 4, 5]
    assert {one["from"] for one in documents} == {"192.0.2.7"}


def test_damage_is_told_and_mended(tmp_path: Path, spool: Path) -> None:
    flip(spool, 2)
    ran = soc("collect", "spool", "check", home=tmp_path)
    assert ran.code == 5
    (row,) = ran.documents
    assert (row["verdict"], row["frames"], row["lost"]) == ("damaged", 5, 1)
    assert row["bad_bytes"] > 0
    before = sorted((p.name, p.stat().st_size) for p in spool.iterdir())
    dry = soc("collect", "spool", "repair", home=tmp_path)
    assert (dry.code, "--apply" in dry.err) == (0, True)
    assert before == sorted((p.name, p.stat().st_size) for p in spool.iterdir())
    assert "1 file mended" in soc("collect", "spool", "repair", "--apply", home=tmp_path).err
    (row,) = soc("collect", "spool", "check", home=tmp_path).documents
    assert (row["verdict"], row["lost"], row["bad_bytes"]) == ("damaged", 1, 0)
    (kept,) = (spool / "quarantine").iterdir()
    assert kept.stat().st_size > 40


def test_a_lost_checkpoint_is_told_and_written_anew(tmp_path: Path, spool: Path) -> None:
    (spool / "checkpoint").write_bytes(b"\0" * 100)
    ran = soc("collect", "spool", "check", home=tmp_path)
    assert (ran.code, ran.documents[0]["frames"]) == (5, 6)
    assert "checkpoint" in ran.err
    assert soc("collect", "spool", "repair", "--apply", home=tmp_path).code == 0
    assert soc("collect", "spool", "check", home=tmp_path).code == 0


def test_mending_is_refused_while_a_collector_runs(tmp_path: Path, spool: Path) -> None:
    owner = Spool.open(spool)
    ran = soc("collect", "spool", "repair", "--apply", home=tmp_path)
    owner.close()
    assert ran.code == 6
    assert "already running" in ran.err


def test_no_spool_is_said(tmp_path: Path) -> None:
    ran = soc("collect", "spool", "check", home=tmp_path)
    assert (ran.code, ran.out) == (4, "")
    assert "there is no spool" in ran.err
    assert "Traceback" not in ran.err
