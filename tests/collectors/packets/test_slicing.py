"""Slices: exactly the frames of a flow come out, and say the same as in the whole capture."""

import hashlib
import io
from pathlib import Path

import pytest

from collectors.packets.reading import read_capture
from collectors.packets.slicing import slice_capture
from soc.errors import InputError
from soc.model.time import parse_iso
from tests.collectors.packets.build import Talk, pcap, request, response
from tests.data import archive

NOW = parse_iso("2026-11-23T00:00:00Z")


def test_frames_of_one_flow_are_cut_out_with_their_digest(tmp_path: Path) -> None:
    talks = [Talk(client_port=port).open().ask(request(f"/{port}")) for port in (1001, 1002, 1003)]
    turns = zip(*(talk.answer(response()).frames for talk in talks), strict=True)
    frames = [frame for turn in turns for frame in turn]
    whole, part = tmp_path / "whole.pcap", tmp_path / "part.pcap"
    whole.write_bytes(pcap(frames))
    events = list(read_capture(whole, received=NOW))
    wanted = next(e for e in events if e.get("url.path") == "/1002")["network.community_id"]
    out = io.BytesIO()
    made = slice_capture(whole, wanted, out)
    assert made.frames == len(talks[1].frames)
    assert made.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    part.write_bytes(out.getvalue())
    again = list(read_capture(part, received=NOW))
    assert {e["network.community_id"] for e in again} == {wanted}
    assert [e["url.path"] for e in again if e["event.dataset"] == "http"] == ["/1002"]


def test_every_flow_of_real_captures_can_be_cut_out() -> None:
    for name in ("tunnels/Teredo.pcap", "tunnels/vxlan-encapsulated-http.pcap", "q-in-q.pcap"):
        path = archive("zeek-half") / "Traces" / name
        for event in read_capture(path, received=NOW):
            made = slice_capture(path, event["network.community_id"], io.BytesIO())
            assert made.frames >= event.get("network.packets", 1)


def test_flow_that_is_not_there_gives_nothing_and_no_capture_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(Talk().open().frames))
    assert slice_capture(path, "1:nothing", io.BytesIO()).frames == 0
    path.write_text("no capture at all, only text")
    with pytest.raises(InputError, match="not a capture"):
        slice_capture(path, "1:nothing", io.BytesIO())
