"""Selection: exactly a conversation's frames, in order, fragments and tunnels included."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.packets.capture import Damaged, frames
from collectors.packets.dissect import Dissector
from collectors.packets.tools.conversation import Ends, Frame, Looker, name
from collectors.packets.tools.selection import TIMEOUT, Selector, Wanted, packed, select
from tests.collectors.packets.build import (
    CLIENT,
    SERVER,
    START,
    Talk,
    ethernet,
    ip,
    request,
    response,
    udp,
)
from tests.data import archive


def flow_id(
    protocol: int, numbers: tuple[int, int] | None, near: str = CLIENT, far: str = SERVER
) -> str:
    source, destination = packed([near, far])
    return name(Ends(protocol, source, destination, numbers))


ID = flow_id(17, (5000, 6000))


def numbered(datas: Sequence[bytes], step: int = 1000) -> list[Frame]:
    return [Frame(n, START + n * step, 1, data, len(data)) for n, data in enumerate(datas, 1)]


def chosen(found: Sequence[Frame], wanted: Wanted) -> list[int]:
    return [frame.number for frame in select(found, Selector(wanted))]


def datagram(size: int, ident: int, port: int = 5000) -> list[bytes]:
    """Return the frames of a UDP datagram in fragments of 16 bytes."""
    whole = udp(port, 6000, bytes(size))
    pieces = []
    for at in range(0, len(whole), 16):
        more = 0x2000 if at + 16 < len(whole) else 0
        packet = ip(CLIENT, SERVER, 17, whole[at : at + 16], more | at // 8)
        pieces.append(ethernet(packet[:4] + pack("!H", ident) + packet[6:]))
    return pieces


def test_both_directions_and_nothing_else() -> None:
    talks = [Talk(client_port=port).open().ask(request()) for port in (1001, 1002)]
    first, second = (talk.answer(response()).frames for talk in talks)
    both = zip(first, second, strict=True)
    found = numbered([data for pair in both for _, data in pair])
    flow = flow_id(6, (1002, 80))
    assert chosen(found, Wanted(flow)) == list(range(2, len(found) + 1, 2))
    assert chosen(found, Wanted(addresses=packed([SERVER]), port=1001)) == list(
        range(1, len(found) + 1, 2)
    )
    assert chosen(found, Wanted(addresses=packed([SERVER, CLIENT]))) == list(
        range(1, len(found) + 1)
    )
    assert chosen(found, Wanted(addresses=packed([SERVER, SERVER]))) == []
    assert chosen(found, Wanted(flow, port=443)) == []


@given(st.permutations(range(6)), st.integers(0, 5))
def test_fragments_in_any_order_keep_their_order(order: list[int], other: int) -> None:
    mine = datagram(80, 7)
    assert len(mine) == 6
    theirs = datagram(80, 8, port=5001)
    mixed = [mine[place] for place in order]
    mixed.insert(other, theirs[other])
    wanted = [n for n, data in enumerate(mixed, 1) if data in mine]
    assert chosen(numbered(mixed), Wanted(ID)) == wanted


def test_fragments_without_their_first_one_are_counted_and_hold_nothing_up() -> None:
    lost = datagram(80, 7)[1:]
    found = numbered([*lost, *datagram(0, 9)])
    selector = Selector(Wanted(ID))
    assert [f.number for f in select(found, selector)] == [len(found)]
    assert selector.undecided == 1  # the datagram's first fragment here; the others follow it
    later = [Frame(99, START + TIMEOUT * 2, 1, datagram(0, 9)[0], 60)]
    selector = Selector(Wanted(ID))
    assert [f.number for frame in numbered(lost) for f in selector.feed(frame)] == []
    assert [f.number for f in selector.feed(later[0])] == [99]


def test_an_identification_that_comes_again_is_another_datagram() -> None:
    mine, theirs = datagram(80, 7), datagram(80, 7, port=5001)
    late = [frame._replace(micros=frame.micros + 2 * TIMEOUT) for frame in numbered(theirs)]
    assert chosen([*numbered(mine[:3]), *late], Wanted(ID)) == [1, 2, 3]


def test_what_is_held_is_bounded() -> None:
    selector = Selector(Wanted(ID), held=10_000, datagrams=16)
    lost = [frame for ident in range(2000) for frame in datagram(24, ident)[1:]]
    mine = datagram(0, 1)[0]
    out = []
    for frame in numbered([part for other in lost for part in (other, mine)], step=1):
        out += list(selector.feed(frame))
        assert selector._held <= 10_000
        assert len(selector._datagrams) <= 16
    out += list(selector.finish())
    assert len(out) == 2000
    assert selector.undecided == 2000


def test_vlan_ipv6_and_a_tunnel() -> None:
    inner = ip(CLIENT, SERVER, 17, udp(5000, 6000, b"x"))
    six = ip("2001:db8::7", "2001:db8::80", 17, udp(5000, 6000, b"x"))
    found = numbered(
        [
            ethernet(pack("!HH", 12, 0x0800) + inner, 0x8100),
            ethernet(six, 0x86DD),
            ethernet(ip("198.51.100.1", "198.51.100.2", 47, pack("!HH", 0, 0x0800) + inner)),
            b"\xff" * 30,
            b"",
        ]
    )
    assert chosen(found, Wanted(ID)) == [1, 3]
    assert chosen(found, Wanted(addresses=packed(["2001:db8::80"]))) == [2]
    outer = flow_id(47, None, "198.51.100.1", "198.51.100.2")
    assert chosen(found, Wanted(outer)) == [3]


def test_the_window_includes_its_beginning_and_not_its_end() -> None:
    found = numbered([datagram(0, 1)[0]] * 4)
    wanted = Wanted(ID, since=found[1].micros, until=found[3].micros)
    selector = Selector(wanted)
    assert [f.number for f in select(found, selector)] == [2, 3]
    assert (selector.first, selector.last) == (found[0].micros, found[3].micros)


@pytest.mark.parametrize("tree", ["suricata-verify-half", "zeek-half"])
def test_a_flow_of_the_dissector_has_at_least_its_packets(tree: str) -> None:
    """What an event calls a conversation is what the selection finds by that name."""
    paths = sorted(archive(tree).rglob("*.pcap"))[::4]
    assert len(paths) > 25
    compared = 0
    for path in paths:
        found = captured(path)
        dissector = Dissector()
        flows: Counter[str] = Counter()
        records = [r for f in found for r in dissector.feed(f.micros, f.link, f.data, f.length)]
        for record in [*records, *dissector.finish()]:
            if record["event.dataset"] == "flow":
                flows[record["network.community_id"]] += record["network.packets"]
        looker = Looker()
        seen = Counter(name(ends) for f in found for ends, _ in looker.look(f).packets)
        for flow in list(flows)[:10]:
            frames_in = chosen(found, Wanted(flow))
            assert seen[flow] >= flows[flow], path.name
            assert 0 < len(frames_in) <= len(found), path.name
            compared += 1
    assert compared > 60


def captured(path: Path) -> list[Frame]:
    found: list[Frame] = []
    try:
        for some in frames([path.read_bytes()]):
            found += [Frame(n, *one) for n, one in enumerate(some, len(found) + 1)]
    except Damaged:
        pass
    return found
