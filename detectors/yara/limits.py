"""How much one file may cost: time, memory, bytes, matches, depth."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What is spent on one file at most; what lies beyond is told, not silently left out.

    `size`: bytes of a file or of a member that are looked at; of a larger file the first and the
    last half of that. `seconds`: for a file with all its members. `memory`: bytes of address
    space of the scanning process. `matches`: of a file. `strings`: of a match that are told, each
    with `data` bytes. `depth`, `members`, `unpacked` (bytes in all) and `ratio` (unpacked to
    packed, once `free` bytes have come out) bound archives.
    """

    size: int = 64 << 20
    seconds: int = 20
    memory: int = 1 << 30
    matches: int = 100
    strings: int = 20
    data: int = 64
    depth: int = 8
    members: int = 10_000
    unpacked: int = 256 << 20
    ratio: int = 300
    free: int = 8 << 20
