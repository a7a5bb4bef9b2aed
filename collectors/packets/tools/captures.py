"""Frames to capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng)."""

from struct import pack
from typing import Final

from collectors.packets.tools.conversation import Frame
from soc.errors import InputError

SNAPLEN: Final = 262_144
"""Bytes of a frame that libpcap and wireshark take at most."""


class Pcap:
    """A pcap file of microseconds, one link type: `add` returns a frame's bytes in it."""

    def __init__(self) -> None:
        self._link = -1

    def add(self, frame: Frame) -> bytes:
        """Return what the file goes on with; raise InputError for what a pcap cannot carry."""
        head = b""
        if self._link < 0:
            self._link = frame.link
            head = pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAPLEN, frame.link)
        elif frame.link != self._link:
            raise InputError(
                f"packets of the link types {self._link} and {frame.link} do not go into one pcap",
                hint="-o NAME.pcapng, which carries both",
            )
        seconds, micros = divmod(frame.micros, 10**6)
        if seconds >> 32:
            raise InputError(
                f"the time of frame {frame.number} is after the year 2106, which a pcap cannot say",
                hint="-o NAME.pcapng, which can",
            )
        return head + pack("<IIII", seconds, micros, len(frame.data), frame.length) + frame.data


class Pcapng:
    """A pcapng file of microseconds, an interface for each link type."""

    def __init__(self) -> None:
        self._interfaces: dict[int, int] = {}

    def add(self, frame: Frame) -> bytes:
        """Return what the file goes on with."""
        head = b""
        if not self._interfaces:
            head = _block(0x0A0D0D0A, pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        number = self._interfaces.get(frame.link)
        if number is None:
            number = self._interfaces[frame.link] = len(self._interfaces)
            head += _block(1, pack("<HHI", frame.link, 0, SNAPLEN))
        time = frame.micros >> 32, frame.micros & 0xFFFFFFFF
        size = len(frame.data)
        body = pack("<5I", number, *time, size, frame.length) + frame.data + bytes(-size % 4)
        return head + _block(6, body)


def _block(kind: int, body: bytes) -> bytes:
    length = pack("<I", len(body) + 12)
    return pack("<I", kind) + length + body + length
