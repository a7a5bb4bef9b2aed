"""TCP (RFC 9293): states, streams in order, and the conversation they are."""

from collections.abc import Callable
from struct import Struct
from typing import Final

from collectors.packets.flow import ACK, DATA, FIN, RST, SYN, Flow, Half
from collectors.packets.link import Refused
from collectors.packets.probe import Probe
from collectors.packets.stream import HALF, MAX_AHEAD, MODULUS, Memory, Stream

_HEADER: Final = Struct("!4xIIBB")
_MASK: Final = MODULUS - 1
_ENDING: Final = FIN | SYN | RST

# Bits of the letters of a flow's history.
_SYN, _SYNACK, _ACK, _FIN, _RST = 1, 2, 4, 16, 32


def check(data: bytes, start: int, end: int) -> None:
    """Raise Refused for a header that is cut off or says that it is too short or too long."""
    if start + 20 > end or data[start + 12] < 0x50 or start + (data[start + 12] >> 4) * 4 > end:
        raise Refused("broken TCP header")


class Tcp:
    """Follows connections; `talk` makes the conversation of a flow when its first bytes come."""

    def __init__(self, memory: Memory, talk: Callable[[Flow], Probe]) -> None:
        self._memory = memory
        self._talk = talk

    def segment(self, half: Half, data: bytes, start: int, end: int, time: int) -> None:
        """Take a segment whose header has been checked."""
        seq, ack, offset, flags = _HEADER.unpack_from(data, start)
        body = start + (offset >> 4) * 4
        flow = half.flow
        half.flags |= flags
        if flags & ACK:
            half.acked = ack
        if flow.state == "new" and half.client and flow.server.packets and flags & ACK:
            flow.state = "established"
        if flags & _ENDING:
            self._control(half, flags, seq, end - body, time)
            if flags & SYN:
                seq = (seq + 1) & _MASK
        if body < end:
            if not half.letters & DATA:
                half.write(DATA, "D")
            if flow.deaf:
                self._skip(half, seq, end - body)
            else:
                self._data(half, seq, data[body:end], time)
        elif not half.letters & _ACK and not flags & _ENDING:
            half.write(_ACK, "A")
        if flags & (FIN | RST):
            self._ending(half, flags, seq, end - body, time)

    def finish(self, flow: Flow, time: int) -> None:
        """Finish a flow's conversation: what is held back is passed on, its holes told."""
        if flow.talk is not None:
            for half in (flow.client, flow.server):
                while (stream := half.stream) is not None and stream.waiting:
                    self._gap(half, stream, time)
                    if half.stream is not None:
                        self._drain(half, stream, time)
        self._end_talk(flow, time)

    def _control(self, half: Half, flags: int, seq: int, size: int, time: int) -> None:
        if flags & SYN:
            if half.position == 0 and not half.stream:  # repeated ones may choose a new number
                half.seq = (seq + 1) & _MASK
            if flags & ACK:
                half.write(_SYNACK, "H")
                if half.peer.position == 0 and half.peer.seq >= 0:
                    half.peer.seq = half.acked  # of several requests, the one that was accepted
            else:
                half.write(_SYN, "S")

    def _ending(self, half: Half, flags: int, seq: int, size: int, time: int) -> None:
        flow = half.flow
        if flags & RST:
            # It may be forged to blind us: what is said after it is still listened to.
            half.write(_RST, "R")
            flow.state = "closed"
            return
        half.write(_FIN, "F")
        if half.ended < 0:
            ahead = (seq + size - half.seq) & _MASK if half.seq >= 0 else 0
            half.ended = half.position + (ahead if ahead < MAX_AHEAD else 0)
        self._close(half, time)
        if half.peer.ended >= 0:
            flow.state = "closed"
            if half.position >= half.ended and half.peer.position >= half.peer.ended:
                self._end_talk(flow, time)

    def _close(self, half: Half, time: int) -> None:
        """Tell the conversation that a side is done, once all its bytes are there."""
        talk = half.flow.talk
        if talk is not None and half.ended >= 0 and half.position >= half.ended:
            talk.close(half.client, time)

    def _skip(self, half: Half, seq: int, size: int) -> None:
        """Only count: nobody listens to this flow any more."""
        if half.seq < 0:
            half.seq = seq
        ahead = (seq + size - half.seq) & _MASK
        if ahead < MAX_AHEAD:
            half.position += ahead
            half.seq = (half.seq + ahead) & _MASK

    def _data(self, half: Half, seq: int, data: bytes, time: int) -> None:
        flow = half.flow
        if flow.talk is None:
            flow.talk = self._talk(flow)
        if half.seq < 0:
            half.seq = seq
        ahead = (seq - half.seq) & _MASK
        if ahead and not half.position and not half.peer.flags & SYN:
            # Nobody accepted the number of the request: it may be forged, this is what is said.
            half.seq, ahead = seq, 0
        stream = half.stream
        if ahead == 0 and (stream is None or not stream.waiting):
            half.seq = (seq + len(data)) & _MASK
            half.position += len(data)
            self._feed(half, data, time)
            return
        if ahead >= HALF:  # begins with bytes that were there before
            data, ahead = data[MODULUS - ahead :], 0
        if not data or ahead > MAX_AHEAD:
            return
        if stream is None:
            stream = half.stream = Stream(self._memory)
        stream.hold(half.position + ahead, data)
        self._drain(half, stream, time)

    def _drain(self, half: Half, stream: Stream, time: int) -> None:
        """Pass on what continues; give a hole up when it will not be filled any more."""
        while True:
            while data := stream.ready(half.position):
                half.position += len(data)
                half.seq = (half.seq + len(data)) & _MASK
                self._feed(half, data, time)
                if half.stream is None:  # nobody listens any more
                    return
            if not stream.waiting or not (stream.full() or self._lost(half, stream)):
                return
            self._gap(half, stream, time)
            if half.stream is None:
                return

    def _lost(self, half: Half, stream: Stream) -> bool:
        """Tell whether the receiver has what is missing here: the capture lost it."""
        if stream.waiting < stream.PATIENCE or half.peer.acked < 0:
            return False
        acked = (half.peer.acked - half.seq) & _MASK
        return stream.hole(half.position) <= acked < HALF

    def _gap(self, half: Half, stream: Stream, time: int) -> None:
        size = stream.hole(half.position)
        half.missed += size
        half.position += size
        half.seq = (half.seq + size) & _MASK
        talk = half.flow.talk
        if talk is not None and size:
            talk.gap(half.client, size, time)
            self._after(half.flow, time)

    def _feed(self, half: Half, data: bytes, time: int) -> None:
        flow = half.flow
        if flow.talk is not None:
            flow.talk.feed(half.client, data, time)
            if flow.talk.done or flow.talk.became is not None:
                self._after(flow, time)
            if half.ended >= 0:
                self._close(half, time)

    def _after(self, flow: Flow, time: int) -> None:
        """Take notice of what the conversation found out."""
        talk = flow.talk
        while talk is not None and talk.became is not None:
            flow.talk = talk = talk.became
            flow.service = talk.name or flow.service
        if talk is not None and talk.done:
            self._end_talk(flow, time)

    def _end_talk(self, flow: Flow, time: int) -> None:
        if flow.talk is not None:
            flow.talk.finish(time)
        flow.talk, flow.deaf = None, True
        for half in (flow.client, flow.server):
            if half.stream is not None:
                # What is held back counts as seen up to the furthest byte.
                while half.stream.waiting:
                    size = half.stream.hole(half.position)
                    half.missed += size
                    half.position += size
                    while data := half.stream.ready(half.position):
                        half.position += len(data)
                half.stream.drop()
                half.stream = None
