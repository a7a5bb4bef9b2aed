"""TCP: streams come out in order whatever the network and an attacker do with the segments."""

import random

from hypothesis import given
from hypothesis import strategies as st

from collectors.packets.dissect import Dissector
from tests.collectors.packets.build import (
    ACK,
    CLIENT,
    FIN,
    PSH,
    RST,
    SERVER,
    START,
    SYN,
    Talk,
    dissect,
    ethernet,
    ip,
    of,
    request,
    response,
    tcp,
)

BODY = bytes(random.Random(3).randbytes(3_000))


def _http(frames: list[tuple[int, bytes]]) -> tuple[str, str | None]:
    """Return the request's target and the digest of the answer's body."""
    records = dissect(frames)
    files = of(records, "file")
    digest = files[0].get("file.hash.sha256") if files else None
    return of(records, "http")[0]["url.original"], digest


WHOLE = _http(Talk().open().ask(request("/x")).answer(response(BODY)).close().frames)


@given(st.randoms(use_true_random=False), st.integers(20, 1400))
def test_order_size_and_repetition_of_segments_do_not_matter(
    chance: random.Random, size: int
) -> None:
    talk = Talk().open().ask(request("/x"), size)
    opening = len(talk.frames)
    talk.answer(response(BODY), size)
    segments = talk.frames[opening:]
    again = [chance.choice(segments) for _ in range(len(segments) // 3)]
    segments = segments + again
    chance.shuffle(segments)
    frames = [*talk.frames[:opening], *segments]
    talk.frames = []
    frames += talk.close().frames
    assert _http([(START + n, data) for n, (_, data) in enumerate(frames)]) == WHOLE


def test_sequence_numbers_may_wrap() -> None:
    talk = Talk(sent={True: 2**32 - 20, False: 2**32 - 1000})
    assert (
        _http(talk.open().ask(request("/x"), 7).answer(response(BODY), 100).close().frames) == WHOLE
    )


def test_of_overlapping_segments_the_first_to_come_wins() -> None:
    talk = Talk().open()
    first, second = request("/first"), request("/secnd")
    talk.segment(True, PSH | ACK, first[3:], seq=talk.sent[True] + 3)
    talk.segment(True, PSH | ACK, second)
    talk.sent[True] += len(first)
    records = dissect(talk.answer(response()).close().frames)
    assert of(records, "http")[0]["url.original"] == "/first"


def test_forged_reset_does_not_blind_the_sensor() -> None:
    talk = Talk().open()
    talk.segment(True, RST | ACK)
    records = dissect(talk.ask(request("/after-reset")).answer(response()).close().frames)
    assert of(records, "http")[0]["url.original"] == "/after-reset"


def test_lost_bytes_are_told_and_the_body_has_no_digest() -> None:
    talk = Talk().open().ask(request("/x"))
    opening = len(talk.frames)
    talk.answer(response(BODY), 500)
    del talk.frames[opening + 2]
    records = dissect(talk.close().frames)
    (file,), (flow,) = of(records, "file"), of(records, "flow")
    assert file["soc.file.state"] == "gap"
    assert "file.hash.sha256" not in file
    assert flow["soc.flow.missed_bytes"] == 500


def test_a_flow_tells_who_how_much_and_how_it_ended() -> None:
    (flow,) = of(
        dissect(Talk().open().ask(request()).answer(response(b"abc")).close().frames), "flow"
    )
    assert (flow["source.ip"], flow["source.port"]) == (CLIENT, 40000)
    assert (flow["destination.ip"], flow["destination.port"]) == (SERVER, 80)
    assert (flow["source.packets"], flow["destination.packets"]) == (5, 3)
    assert flow["network.bytes"] == flow["source.bytes"] + flow["destination.bytes"]
    assert flow["soc.flow.connection"] == "SF"
    assert flow["soc.flow.history"] == "ShADdFf"
    assert flow["network.protocol"] == "http"
    assert flow["event.duration"] == 7_000_000


def test_connection_joined_at_its_answer_has_the_right_client() -> None:
    talk = Talk()
    talk.segment(False, SYN | ACK)
    (flow,) = dissect(talk.frames)
    assert flow["source.ip"] == CLIENT
    assert flow["soc.flow.history"] == "^h"


def test_port_used_again_is_another_flow() -> None:
    frames = Talk().open().close().frames + Talk().open().close().frames
    flows = of(dissect([(START + n, f) for n, (_, f) in enumerate(frames)]), "flow")
    assert [f["soc.flow.reason"] for f in flows] == ["reuse", "shutdown"]


def test_silence_ends_a_flow() -> None:
    dissector = Dissector()
    for later in (0, 3_600_000_000):
        frame = ethernet(ip(CLIENT, SERVER, 6, tcp(40000, 80, 1, 1, ACK, b"?")))
        dissector.feed(START + later, 1, frame)
    assert dissector.counters.flows == 2


def test_fragments_are_put_together_in_both_families() -> None:
    whole = tcp(40000, 80, 1, 1, PSH | ACK, request("/fragment"))
    cut = 24
    frames = [
        ethernet(ip(CLIENT, SERVER, 6, whole[cut:], cut // 8)),
        ethernet(ip(CLIENT, SERVER, 6, whole[:cut], 0x2000)),
    ]
    six = []
    for offset, more, part in ((0, 1, whole[:cut]), (cut, 0, whole[cut:])):
        head = bytes((6, 0)) + (offset | more).to_bytes(2, "big") + b"\0\0\0\x07"
        six.append(ethernet(ip("2001:db8::7", "2001:db8::80", 44, head + part), 0x86DD))
    for pair in (frames, six):
        records = dissect([(START, frame) for frame in pair])
        assert of(records, "http")[0]["url.original"] == "/fragment"


def test_vlan_tags_are_told_and_keep_flows_apart() -> None:
    inner = ip(CLIENT, SERVER, 6, tcp(1, 2, 1, 1, FIN))
    frames = [
        ethernet(b"\0\x0a\x08\0" + inner, 0x8100),
        ethernet(b"\0\x0a\x81\0\0\x0b\x08\0" + inner, 0x88A8),
        ethernet(inner),
    ]
    flows = dissect([(START, frame) for frame in frames])
    assert [(f.get("network.vlan.id"), f.get("network.inner.vlan.id")) for f in flows] == [
        ("10", None),
        ("10", "11"),
        (None, None),
    ]
