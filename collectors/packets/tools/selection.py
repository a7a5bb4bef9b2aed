"""Selection: the frames of one conversation out of many, in order, within bounded memory."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from collectors.packets.tools.conversation import Ends, Frame, Look, Looker, name

TIMEOUT: Final = 60_000_000
"""Microseconds that fragments wait for the one that tells whose they are (RFC 8200, 4.5)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A conversation: all that is given must hold; the direction does not matter.

    `addresses` are one or two packed IP addresses, `since` and `until` microseconds since 1970.
    """

    community_id: str = ""
    addresses: tuple[bytes, ...] = ()
    port: int | None = None
    since: int | None = None
    until: int | None = None

    def fits(self, ends: Ends) -> bool:
        """Tell whether a packet between these ends is meant."""
        if self.port is not None and self.port not in (ends.ports or ()):
            return False
        near, far = ends.source, ends.destination
        if len(self.addresses) == 2:
            if self.addresses not in ((near, far), (far, near)):
                return False
        elif self.addresses and self.addresses[0] not in (near, far):
            return False
        return not self.community_id or name(ends) == self.community_id

    def in_time(self, micros: int) -> bool:
        """Tell whether the moment is within the window."""
        return (self.since is None or micros >= self.since) and (
            self.until is None or micros < self.until
        )


def packed(addresses: Iterable[str | None]) -> tuple[bytes, ...]:
    """Return IP addresses as bytes, without those that are not given; raise ValueError."""
    return tuple(ip_address(text).packed for text in addresses if text)


@dataclass(slots=True)
class _Datagram:
    """Whose a datagram is, once that is known."""

    micros: int
    wanted: bool | None = None


@dataclass(slots=True)
class _Held:
    """A frame on its way out; with a datagram it goes where the datagram goes."""

    frame: Frame
    datagram: _Datagram | None


class Selector:
    """Lets the frames of a conversation pass, in their order.

    Only frames behind a fragment that nobody can place yet are held, at most `held` bytes of them
    and for a minute of the capture's time. `undecided` counts fragments that were given up because
    the first one of their datagram is not in the capture; `first` and `last` are when the
    conversation was seen, also outside the window.
    """

    def __init__(self, wanted: Wanted, *, held: int = 1 << 24, datagrams: int = 4096) -> None:
        self._wanted = wanted
        self._looker = Looker()
        self._limits = (held, datagrams)
        self._queue: deque[_Held] = deque()
        self._held = 0
        self._datagrams: OrderedDict[bytes, _Datagram] = OrderedDict()
        self.undecided = 0
        self.first: int | None = None
        self.last: int | None = None

    def feed(self, frame: Frame) -> Iterator[Frame]:
        """Yield the frames that can go on now."""
        look = self._looker.look(frame)
        fits = any(self._wanted.fits(ends) for ends, _ in look.packets)
        datagram = self._datagram(look, frame.micros, fits) if look.datagram else None
        if fits or (datagram is not None and datagram.wanted):
            self._see(frame.micros)
            self._hold(frame, None)
        elif datagram is not None and datagram.wanted is None:
            self._hold(frame, datagram)
        return self._ready(frame.micros)

    def finish(self) -> Iterator[Frame]:
        """Yield the rest: the capture is over."""
        for held in self._queue:
            self._give_up(held)
        return self._ready(0)

    def _see(self, micros: int) -> None:
        self.first = micros if self.first is None else min(micros, self.first)
        self.last = micros if self.last is None else max(micros, self.last)

    def _datagram(self, look: Look, micros: int, fits: bool) -> _Datagram:
        """Return the datagram of a fragment, its verdict brought up to date."""
        datagram = self._datagrams.get(look.datagram)
        if datagram is None or abs(micros - datagram.micros) > TIMEOUT:
            datagram = self._datagrams[look.datagram] = _Datagram(micros)
            if len(self._datagrams) > self._limits[1]:
                self._datagrams.popitem(last=False)
        if fits:
            datagram.wanted = True
        elif look.complete:
            datagram.wanted = bool(datagram.wanted)
        if look.complete:
            self._datagrams.pop(look.datagram, None)
        return datagram

    def _hold(self, frame: Frame, datagram: _Datagram | None) -> None:
        if self._wanted.in_time(frame.micros):
            self._queue.append(_Held(frame, datagram))
            self._held += len(frame.data)

    def _ready(self, micros: int) -> Iterator[Frame]:
        while self._queue:
            held = self._queue[0]
            datagram = held.datagram
            if datagram is not None and datagram.wanted is None:
                late = abs(micros - held.frame.micros) > TIMEOUT
                if not late and self._held <= self._limits[0]:
                    return
                self._give_up(held)
            self._queue.popleft()
            self._held -= len(held.frame.data)
            if datagram is None or datagram.wanted:
                yield held.frame

    def _give_up(self, held: _Held) -> None:
        if held.datagram is not None and held.datagram.wanted is None:
            self.undecided += 1
            held.datagram.wanted = False


def select(frames: Iterable[Frame], selector: Selector) -> Iterator[Frame]:
    """Yield the frames that a selector lets pass."""
    for frame in frames:
        yield from selector.feed(frame)
    yield from selector.finish()
