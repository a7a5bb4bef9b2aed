"""The process in which scapy decodes: a capture on standard input, a JSON line per frame out.

`python -m collectors.packets.tools.scapy_worker MEMORY SECONDS`. Once scapy is loaded it can open
nothing, start nothing and use no more than its memory and processor time.
"""

import json
import resource
import sys
from collections.abc import Iterator

from collectors.packets.capture import Captured, Cutter


def main(memory: int, seconds: int) -> None:
    """Decode standard input; frames that scapy cannot decode get a line that says so."""
    from scapy.config import conf
    from scapy.layers import dhcp, dns, http, inet, inet6, l2, ntp, vxlan  # noqa: F401 - register
    from scapy.packet import Packet, Padding, Raw

    conf.verb = 0
    conf.debug_dissector = False
    _confine(memory, seconds)
    for _micros, link, data, _length in _frames():
        try:
            packet: Packet = conf.l2types.num2layer.get(link, Raw)(data)
            layers = [kind for kind in packet.layers() if kind not in (Raw, Padding)]
            answer = [layers[-1].__name__ if layers else "Raw", packet.summary()]
        except Exception as error:  # whatever a packet does to a dissector costs this packet
            answer = ["", f"scapy cannot decode it: {type(error).__name__}"]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _frames() -> Iterator[Captured]:
    cutter = Cutter()
    while piece := sys.stdin.buffer.read(1 << 16):
        yield from cutter.feed(piece)


def _confine(memory: int, seconds: int) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
