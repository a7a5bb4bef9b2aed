"""Everything that lies inside of a file, at any depth, within limits counted on what came out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from detectors.yara.formats import Entry, Unreadable, entries
from detectors.yara.limits import Limits

MAX_NAME: Final = 1024
"""Bytes of a member's name that are kept."""

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Member:
    """What lies inside: the names that lead to it, outermost first, and its content.

    `cut`: the content goes on behind what is here.
    """

    names: tuple[bytes, ...]
    data: bytes
    cut: bool = False


def members(data: bytes, limits: Limits, note: Note) -> Iterator[Member]:
    """Yield what lies inside of the data, depth first; `note` is told what was not looked into."""
    return _Walk(limits, note, len(data)).run(data)


class _Walk:
    def __init__(self, limits: Limits, note: Note, packed: int) -> None:
        self._limits = limits
        self._note = note
        self._allowed = min(limits.unpacked, max(limits.free, limits.ratio * packed))
        self._left = self._allowed
        self._count = 0

    def run(self, data: bytes) -> Iterator[Member]:
        first = entries(data)
        stack: list[tuple[tuple[bytes, ...], Iterator[Entry]]] = [((), first)] if first else []
        while stack:
            names, inside = stack[-1]
            entry = self._next(inside, names)
            if entry is None:
                stack.pop()
                continue
            path = (*names, entry[0][:MAX_NAME])
            member = self._unpack(path, entry[1])
            if member.data:
                yield member
            if self._left <= 0 or self._count >= self._limits.members:
                self._note(f"unpacking stopped at {self._reached()}")
                return
            nested = entries(member.data)
            if nested is not None and len(path) < self._limits.depth:
                stack.append((path, nested))
            elif nested is not None:
                self._note(f"{_shown(path)}: not opened, it lies {len(path)} deep")

    def _next(self, inside: Iterator[Entry], names: tuple[bytes, ...]) -> Entry | None:
        try:
            return next(inside, None)
        except Unreadable as error:
            self._note(f"{_shown(names)}: {error}" if names else str(error))
            return None

    def _unpack(self, path: tuple[bytes, ...], pieces: Iterator[bytes]) -> Member:
        """Take what the limits allow; what is damaged is kept as far as it could be read."""
        self._count += 1
        taken: list[bytes] = []
        room = min(self._limits.size, self._left)
        try:
            for piece in pieces:
                taken.append(piece[:room])
                self._left -= len(taken[-1])
                room -= len(piece)
                if room < 0:
                    self._note(f"{_shown(path)}: only its beginning was looked at")
                    break
        except Unreadable as error:
            self._note(f"{_shown(path)}: {error}")
        return Member(path, b"".join(taken), room < 0)

    def _reached(self) -> str:
        if self._count >= self._limits.members:
            return f"{self._count} members"
        return f"{self._allowed >> 20} MiB"


def _shown(names: tuple[bytes, ...]) -> str:
    return " > ".join(name[-80:].decode("utf-8", "backslashreplace") for name in names)
