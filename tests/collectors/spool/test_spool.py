"""The spool: what was committed comes out again, in order, whatever happened in between."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from collectors.spool.record import Batch
from collectors.spool.spool import Spool, SpoolFull
from soc.errors import Refused


def batch(*texts: str, name: str = "net", peer: str = "192.0.2.7") -> Batch:
    return Batch(name, [text.encode() for text in texts], received=1, peer=peer)


def texts(spool: Spool, after: int = 0, limit: int = 10_000) -> list[str]:
    return [record.frame.raw.decode() for _number, record in spool.read(after, limit)]


def test_only_what_was_committed_comes_out(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool")
    assert spool.append([batch("a", "b")]) == 2
    assert texts(spool) == []
    assert spool.commit() == 2
    spool.append([batch("c")])
    assert texts(spool) == ["a", "b"]
    assert spool.commit() == 3
    assert texts(spool, 1) == ["b", "c"]
    assert texts(spool, 0, 1) == ["a"]
    spool.close()


def test_everything_that_is_known_of_a_frame_comes_back(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool")
    boot = spool.boot
    spool.append([Batch("net", [b"\0\xff", b"cut"], 7, peer="2001:db8::1", truncated=[1])])
    spool.append([Batch("/log/*", [b"l"], 8, origin="d:1", path="/log/\udcffa", offsets=[41])])
    spool.commit()
    spool.close()
    spool = Spool.open(tmp_path / "spool")
    (n0, one), (n1, two), (n2, three) = spool.read(0, 9)
    spool.close()
    assert (n0, n1, n2) == (0, 1, 2)
    assert (one.frame.raw, one.frame.position, one.frame.offset) == (b"\0\xff", "0", None)
    assert (one.origin, one.peer, one.path, one.received) == (boot, "2001:db8::1", "", 7)
    assert (two.frame.truncated, one.frame.truncated) == (True, False)
    assert (three.origin, three.path, three.frame.position) == ("d:1", "/log/\udcffa", "41")
    assert three.frame.offset == 41


def test_positions_and_counts_survive_with_the_frames(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool")
    spool.append([batch("a", name="f")], ("f", {"offset": 2}))
    assert spool.position("f") is None
    spool.commit()
    assert spool.position("f") == {"offset": 2}
    spool.append([batch("b", name="f")], ("f", {"offset": 4}))
    spool.count("f", "dropped: queue", 3)
    spool.close()  # never committed
    spool = Spool.open(tmp_path / "spool")
    assert spool.position("f") == {"offset": 2}
    assert spool.status()["inputs"] == {"f": {"received": 1}}
    assert spool.commit() == 1
    spool.close()


def test_settled_segments_are_deleted_and_what_was_settled_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collectors.spool.tail.SEGMENT", 1000)
    spool = Spool.open(tmp_path / "spool")
    for number in range(50):
        spool.append([batch(f"{number:0100}")], ("net", {"at": number}))
        spool.commit()
    assert spool.status()["segments"] > 3
    spool.settle(50, notes={"stored": 50})
    assert spool.status()["segments"] == 1
    spool.close()
    spool = Spool.open(tmp_path / "spool")
    assert spool.checkpoint == 50
    assert spool.notes == {"stored": 50}
    assert spool.position("net") == {"at": 49}
    assert spool.status()["inputs"] == {"net": {"received": 50}}
    assert texts(spool, 50) == []
    spool.append([batch("next")])
    assert spool.commit() == 51
    assert texts(spool, 50) == ["next"]
    spool.close()


def test_a_second_owner_is_refused_with_the_process_id(tmp_path: Path) -> None:
    spool = Spool.open(tmp_path / "spool")
    with pytest.raises(Refused, match=str(os.getpid())):
        Spool.open(tmp_path / "spool")
    spool.close()
    Spool.open(tmp_path / "spool").close()


@pytest.mark.parametrize("restart", [False, True])
def test_a_spool_that_is_full_takes_frames_again_once_all_is_settled(
    tmp_path: Path, restart: bool
) -> None:
    limit, ticks = 1 << 20, iter(range(10**9))
    spool = Spool.open(tmp_path / "spool", limit=limit, clock=ticks.__next__)
    with suppress(SpoolFull):
        for _commit in range(100):
            spool.append([Batch("net", [os.urandom(30_000)], 1)], ("net", {"at": 7}))
            spool.commit()
    assert spool.full
    for _turn in range(4):
        end = spool.committed
        spool.settle(end)
        if restart:
            spool.close()
            spool = Spool.open(tmp_path / "spool", limit=limit, clock=ticks.__next__)
            assert (spool.checkpoint, spool.committed) == (end, end)
        spool.append([Batch("net", [os.urandom(900_000)], 1)])
        assert spool.commit() > end
        assert not spool.full
        assert len(spool.read(spool.committed - 1, 9)) == 1
        assert spool.position("net") == {"at": 7}
        assert sum(p.stat().st_size for p in (tmp_path / "spool").glob("*.seg")) <= limit
    spool.close()
