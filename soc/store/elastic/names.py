"""What the indices are called, and which document has which `_id`."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from soc.errors import UsageError
from soc.model.event import Event
from soc.store.base import Stream

PARTITIONS: Final = 1000
MAX_ID: Final = 512
_DATASET: Final = re.compile(r"[a-z0-9][a-z0-9_.]{0,63}", re.ASCII)
_BACKING: Final = re.compile(r"\.ds-(.+)-(\d{4}\.\d\d\.\d\d)-(\d{6,})", re.ASCII)
_PREFIX: Final = re.compile(r"[0-9a-f]{12}-", re.ASCII)
_FIRST_MONTH: Final = 600  # 2020-01
_LAST_MONTH: Final = 1559  # 2099-12


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one environment."""

    environment: str

    def stream(self, stream: Stream, partition: int, event: Event | None = None) -> str:
        """Return the data stream of an event, or the pattern of all with None."""
        if stream == "events" and partition == 0:
            return f"logs-soc.{'*' if event is None else _dataset(event)}-{self.environment}"
        if stream == "matches" and 0 <= partition < PARTITIONS:
            return f"soc-matches.{partition:03d}-{self.environment}"
        raise UsageError(f"no stream {stream} has a partition {partition}")

    @property
    def events(self) -> str:
        """Return the pattern of all events."""
        return self.stream("events", 0)

    @property
    def matches(self) -> str:
        """Return the pattern of the matches of all partitions."""
        return f"soc-matches.*-{self.environment}"

    @property
    def alerts(self) -> str:
        """Return the pattern of all alerts."""
        return f"soc-alerts-{self.environment}-*"

    def alert(self, identity: str) -> str:
        """Return the index of an alert: by the month in its id, so that it is in one only."""
        month = 0
        if _PREFIX.match(identity):
            days = int(identity[:12], 16) // 86_400_000
            month = _month(days)
            if not _FIRST_MONTH <= month <= _LAST_MONTH:  # a forged time is no index of its own
                month = 0
        return f"soc-alerts-{self.environment}-{1970 + month // 12}.{month % 12 + 1:02d}"

    def state(self, kind: str) -> str:
        """Return the index of workflow, leases, checkpoints, positions or days."""
        return f"soc-{kind}-{self.environment}"


def _month(days: int) -> int:
    """Return the months since 1970 of a day (civil_from_days, H. Hinnant: any year)."""
    shifted = days + 719_468
    era = shifted // 146_097
    doe = shifted - era * 146_097
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    march = (5 * (doe - (365 * yoe + yoe // 4 - yoe // 100)) + 2) // 153
    month = march + 2 if march < 10 else march - 10
    year = yoe + era * 400 + (month <= 1)
    return (year - 1970) * 12 + month


def _dataset(event: Event) -> str:
    found = event.get("event.dataset")
    return found if isinstance(found, str) and _DATASET.fullmatch(found) else "other"


@dataclass(frozen=True, slots=True, order=True)
class Backing:
    """One index behind a data stream; `created` is the server's date of its beginning."""

    stream: str
    generation: int
    created: str
    name: str

    @classmethod
    def read(cls, name: str) -> "Backing | None":
        """Return what a backing index's name says, None for any other index."""
        found = _BACKING.fullmatch(name)
        if found is None:
            return None
        return cls(found[1], int(found[3]), found[2].replace(".", "-"), name)


def document_id(identity: str) -> str:
    """Return the `_id` of a document or a state: Elasticsearch takes at most 512 bytes."""
    raw = identity.encode("utf-8", "surrogatepass")
    if len(raw) <= MAX_ID and identity.isprintable() and not identity.startswith("~"):
        return identity
    return "~" + hashlib.sha256(raw).hexdigest()


def storable(identity: Any) -> bool:  # noqa: ANN401
    """Tell whether a text can be the id of a document."""
    return isinstance(identity, str) and 0 < len(identity) <= MAX_ID
