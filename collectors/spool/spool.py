"""The spool of one node: a segment log with one writer and one reader, each in its own thread.

What `commit` returned for is on the disk: it survives a killed process and a power loss. A write
or sync that fails leaves nothing acknowledged: the same frames are written again, into a new
segment, when that is possible; a sync that failed is never believed afterwards.
"""

import errno
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final

from collectors.spool import checkpoint as files
from collectors.spool.block import MARK, Block, Counts, encode, pieces
from collectors.spool.quarantine import Quarantine
from collectors.spool.reader import Damage, Reader
from collectors.spool.record import Batch, Position, Record
from collectors.spool.recovery import Recovered, recover
from collectors.spool.segments import Segment
from collectors.spool.state import State, add
from collectors.spool.tail import Tail
from soc.errors import StoreError
from soc.folders import hold, private

SLICE: Final = 1 << 20
"""Bytes of frames that are written and synced at once, so that they fit into a small spool."""
LAZY: Final = 1.0
"""Seconds for which a checkpoint may lag: what is read again is recognised by its event id."""
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SpoolFull(StoreError):
    """There is no room at the moment; inputs wait, nothing is lost."""


class Spool:
    """See the module. Sequence numbers count frames from 0; a *mark* is the number of frames
    below it: `append`, `commit` and `checkpoint` are marks."""

    def __init__(
        self,
        folder: Path,
        owner: IO[str],
        found: Recovered,
        limit: int | None,
        clock: Callable[[], float],
    ) -> None:
        """Use `open`."""
        self.folder = folder
        self._owner = owner
        self._clock = clock
        self.boot = secrets.token_hex(8)
        self.problem = ""
        self._limit = limit
        self._lock = Lock()
        self._saving = Lock()
        self._checkpoint = found.checkpoint
        self._saved = found.checkpoint.sequence
        self._saved_at = -LAZY
        self._segments: list[Segment] = found.segments
        self._state: State = found.state
        self._end = self._committed = found.end
        self._number = found.number
        self._tail = Tail(folder, limit)
        self._pending: list[Batch] = []
        self._pending_positions: dict[str, Any] = {}
        self._pending_counts: Counts = {}
        self._quarantine = Quarantine(folder)
        self._damage: dict[int, Damage] = {}
        self._reader = Reader(found.checkpoint.mark, self._found_damage)
        self._again = Reader(found.checkpoint.mark, lambda damage: None)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        limit: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Spool":
        """Open a spool, made where there is none; what a crash left unfinished is passed over.

        `limit` are the bytes it may take, `clock` gives monotonic seconds. Raises Refused when
        another process has it, StoreError when it cannot be used.
        """
        try:
            private(folder)
            owner = hold(folder / "lock", "a collector")
            try:
                found = recover(folder, secrets.token_bytes(MARK))
            except BaseException:
                owner.close()
                raise
        except OSError as error:
            raise StoreError(
                f"the spool cannot be opened: {error.strerror}",
                where=str(error.filename or folder),
                hint="see to the disk; soc collect spool check",
            ) from error
        spool = cls(folder, owner, found, limit, clock)
        spool._save_first()
        return spool

    @property
    def checkpoint(self) -> int:
        """The mark below which everything has had its verdicts."""
        return self._checkpoint.sequence

    @property
    def committed(self) -> int:
        """The mark below which everything is on the disk."""
        return self._committed

    @property
    def full(self) -> bool:
        """Whether the last commit failed; `problem` says why."""
        return bool(self.problem)

    @property
    def notes(self) -> Mapping[str, Any]:
        """What was last given to `settle` and survived."""
        return self._checkpoint.notes

    def append(self, batches: Sequence[Batch], position: Position | None = None) -> int:
        """Take batches in; `commit` makes them durable, together with the input's position.

        Returns the mark behind them. Does no I/O.
        """
        with self._lock:
            self._pending.extend(batches)
            self._end += sum(len(batch.raws) for batch in batches)
            if position is not None:
                self._pending_positions[position[0]] = position[1]
            return self._end

    def count(self, name: str, what: str, many: int = 1) -> None:
        """Count something of an input (`dropped: ...`, `refused`); durable with the next commit."""
        with self._lock:
            add(self._pending_counts, {name: {what: many}})

    def commit(self) -> int:
        """Write what was appended and sync it; return the mark below which all is durable.

        Raises SpoolFull, or StoreError when the disk refuses otherwise; nothing is lost then, call
        it again later.
        """
        while self._pending or self._pending_positions or self._pending_counts:
            batches, positions, counts = self._take()
            try:
                self._write(batches, positions, counts)
            except (OSError, SpoolFull) as error:
                self._put_back(batches, positions, counts)
                failed = self._failed(error)
                if not isinstance(failed, SpoolFull) or not self._give_up_segments():
                    raise failed from error
        self.problem = ""
        return self._committed

    def position(self, name: str) -> Mapping[str, Any] | None:
        """Return the last durable position of an input, None without one."""
        found: Mapping[str, Any] | None = self._state.positions.get(name)
        return found

    def read(self, after: int, limit: int, *, again: bool = False) -> list[tuple[int, Record]]:
        """Return up to `limit` durable records from a mark on, each with its sequence number.

        The next read begins at the last number + 1. Damage is stepped over: it becomes part of
        the status when it is settled. What was read before is read `again` without that, and
        without moving on. Raises StoreError when the disk refuses.
        """
        reader = self._again if again else self._reader
        with self._lock:
            segments, until = list(self._segments), self._committed
        try:
            return reader.read(segments, after, until, limit)
        except OSError as error:
            reader.close()
            raise StoreError(
                f"the spool cannot be read: {error.strerror}", where=str(self.folder)
            ) from error

    def settle(self, sequence: int, notes: Mapping[str, Any] | None = None) -> None:
        """Move the checkpoint to a mark; drained segments are deleted.

        `notes` are saved with it and given back after a restart. It may be written up to a second
        later; a disk that refuses is tried again at the next call.
        """
        if notes is not None:
            self._checkpoint.notes = notes
        if sequence > self._checkpoint.sequence:
            self._checkpoint.sequence = sequence
            self._settle_damage()
        drained = any(s.first is not None and s.first <= sequence for s in self._segments[1:])
        if drained or self.full or self._clock() - self._saved_at >= LAZY:
            with suppress(OSError):
                self._save()

    def status(self) -> dict[str, Any]:
        """Return the figures: frames by input, marks, what waits, what was lost, bytes."""
        with self._lock:
            segments = list(self._segments)
            return {
                "inputs": {name: dict(some) for name, some in self._state.counts.items()},
                "received": self._committed,
                "settled": self._checkpoint.sequence,
                "pending": max(self._committed - self._checkpoint.sequence, 0),
                "lost": self._checkpoint.lost,
                "lost_bytes": self._checkpoint.lost_bytes,
                "segments": len(segments),
                "bytes": sum(segment.size for segment in segments),
                "limit": self._limit,
                "problem": self.problem,
            }

    def close(self) -> None:
        """Save the checkpoint and give the spool up; what was not committed is forgotten."""
        with suppress(OSError):
            if self._checkpoint.sequence > self._saved:
                self._save()
        self._reader.close()
        self._again.close()
        self._tail.leave()
        self._owner.close()

    def _take(self) -> tuple[list[Batch], dict[str, Any], Counts]:
        """Take about SLICE bytes of what is pending; positions go with the last of the frames."""
        with self._lock:
            size = count = 0
            while count < len(self._pending) and size < SLICE:
                size += sum(map(len, self._pending[count].raws))
                count += 1
            batches, self._pending = self._pending[:count], self._pending[count:]
            if self._pending:
                return batches, {}, {}
            positions, self._pending_positions = self._pending_positions, {}
            counts, self._pending_counts = self._pending_counts, {}
            return batches, positions, counts

    def _put_back(self, batches: list[Batch], positions: dict[str, Any], counts: Counts) -> None:
        with self._lock:
            self._pending = batches + self._pending
            self._pending_positions = positions | self._pending_positions
            add(counts, self._pending_counts)
            self._pending_counts = counts

    def _give_up_segments(self) -> bool:
        """Make room where nothing else can: all is settled, so the checkpoint is all there is."""
        if self.checkpoint < self._committed or not any(s.size for s in self._segments):
            return False
        try:
            self._save()
        except OSError:
            return False
        with self._lock:
            self._tail.leave()
            old, self._segments = self._segments, []
        for segment in old:
            with suppress(OSError):
                os.truncate(segment.path, 0)  # the reader may hold it open
                segment.path.unlink()
        return True

    def _write(self, batches: list[Batch], positions: Mapping[str, Any], counts: Counts) -> None:
        state = self._state.as_document() if self._tail.fresh else None
        before, blocks = self._number, []
        for block in self._blocks(batches, positions, counts, state):
            self._number += 1
            data = encode(block, self._checkpoint.mark, self._number)
            blocks.append((self._number, block, data))
        data = b"".join(one[2] for one in blocks)
        self._check_limit(len(data))
        if begun := self._tail.begin(before + 1, self._committed):
            with self._lock:
                self._segments.append(begun)
        self._tail.put(data)
        with self._lock:
            if self._tail.live is not None:
                self._tail.live.size += len(data)
            for number, block, _data in blocks:
                self._state.apply(number, block)
            self._committed += sum(len(batch.raws) for batch in batches)

    def _check_limit(self, more: int) -> None:
        taken = sum(segment.size for segment in self._segments)
        if self._limit is not None and taken + more > self._limit:
            raise SpoolFull(
                f"the spool has reached its limit of {self._limit} bytes; inputs wait",
                where=str(self.folder),
                hint="see why nothing is sent: soc collect status; or raise [spool] limit",
            )

    def _blocks(
        self,
        batches: Sequence[Batch],
        positions: Mapping[str, Any],
        counts: Counts,
        state: Mapping[str, Any] | None,
    ) -> list[Block]:
        """Return the blocks of a commit; the last has the positions: frames come before them."""
        parts = list(pieces(batches)) or [[]]
        at, blocks = self._committed, []
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            blocks.append(
                Block(
                    at,
                    self.boot,
                    part,
                    positions if last else {},
                    counts if last else {},
                    state if index == 0 else None,
                )
            )
            at += sum(len(batch.raws) for batch in part)
        return blocks

    def _failed(self, error: OSError | SpoolFull) -> StoreError:
        if isinstance(error, SpoolFull):
            self.problem = error.message
            return error
        self.problem = os.strerror(error.errno) if error.errno else str(error)
        kind = SpoolFull if error.errno in _FULL else StoreError
        return kind(
            f"the spool cannot be written: {self.problem}; inputs wait",
            where=str(self.folder),
            hint="make room or mend the disk; it goes on by itself",
        )

    def _found_damage(self, damage: Damage) -> None:
        self._damage[damage.first] = damage
        for segment, at, size in damage.places:
            self._quarantine.keep(segment, at, size)

    def _settle_damage(self) -> None:
        for first in [first for first in self._damage if first < self._checkpoint.sequence]:
            damage = self._damage.pop(first)
            self._checkpoint.lost += damage.count
            self._checkpoint.lost_bytes += damage.size

    def _save_first(self) -> None:
        if not (self.folder / files.NAME).exists():
            with suppress(OSError):  # a full disk: the blocks carry the mark, too
                self._save()
        files.prepare(self.folder)

    def _save(self) -> None:
        """Write the checkpoint, then delete what it says is drained; raises OSError."""
        with self._saving:
            with self._lock:
                self._checkpoint.state = State.of(self._state.as_document())
            sequence = self._checkpoint.sequence
            self._saved_at = self._clock()
            files.save(self.folder, self._checkpoint)
            self._saved = sequence
            self._drop()
            files.prepare(self.folder, (self.folder / files.NAME).stat().st_size)

    def _drop(self) -> None:
        """Delete segments all of whose frames are settled; the newest always stays."""
        with self._lock:
            begun = [
                index
                for index, segment in enumerate(self._segments)
                if segment.size and segment.first is not None and segment.first <= self._saved
            ]
            old = self._segments[: begun[-1]] if begun else []
            self._segments = self._segments[len(old) :]
        for segment in old:
            with suppress(OSError):
                segment.path.unlink()
