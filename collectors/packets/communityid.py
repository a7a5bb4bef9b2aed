"""Community ID version 1: one name for a flow in every tool that saw it.

https://github.com/corelight/community-id-spec
"""

from base64 import b64encode
from hashlib import sha1
from struct import pack
from typing import Final

ICMP: Final = 1
ICMP6: Final = 58

# Types that answer each other: the pair stands for the ports of the flow.
_PAIRS: Final = {
    ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 10: 9, 9: 10, 17: 18, 18: 17},
    ICMP6: {
        **{128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135},
        **{130: 131, 131: 130, 139: 140, 140: 139, 144: 145, 145: 144},
    },
}


def icmp_ports(protocol: int, kind: int, code: int) -> tuple[int, int, bool]:
    """Return what stands for source and destination port, and whether there is no way back."""
    answer = _PAIRS[protocol].get(kind)
    return (kind, code, True) if answer is None else (kind, answer, False)


def community_id(
    source: bytes,
    destination: bytes,
    protocol: int,
    ports: tuple[int, int] | None,
    *,
    one_way: bool = False,
    seed: int = 0,
) -> str:
    """Return `1:` and the base64 of SHA-1; addresses are packed, `ports` None where there are none.

    `one_way` flows (ICMP without an answer type) are not brought into order.
    """
    near, far = (source, destination)
    if ports is None:
        near, far, tail = min(near, far), max(near, far), b""
    else:
        first, last = ports
        if not one_way and (near, first) > (far, last):
            near, far, first, last = far, near, last, first
        tail = pack("!HH", first, last)
    head = seed.to_bytes(2, "big") + near + far + bytes((protocol, 0))
    return "1:" + b64encode(sha1(head + tail, usedforsecurity=False).digest()).decode()
