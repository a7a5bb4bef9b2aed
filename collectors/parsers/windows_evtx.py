"""Windows event log files (.evtx)."""

from collections.abc import Iterable
from typing import Final

import orjson

from collectors.frame import Context
from collectors.parsers._windows import DATASET, FIELDS, event
from collectors.parsers._windows_tree import event_of_tree
from collectors.parsing import Fields

__all__ = ["DATASET", "EXAMPLE", "FIELDS", "FRAMING", "parse"]

FRAMING: Final = "evtx"
EXAMPLE: Final = (
    '{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Eventlog"}},'
    '"EventID":1102,"Level":4,"Keywords":"0x4020000000000000",'
    '"TimeCreated":{"#attributes":{"SystemTime":"2026-11-22T08:15:30.123456Z"}},'
    '"EventRecordID":7,"Channel":"Security","Computer":"dc01.city.example"},'
    '"UserData":{"LogFileCleared":{"SubjectUserName":"lan","SubjectDomainName":"CITY"}}}}'
)


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Yield the event of one record, in the JSON form of the evtx library."""
    if not record.startswith("{"):  # what the framing says of a record it cannot read
        raise ValueError(record)
    document = orjson.loads(record)
    yield event(*event_of_tree(document), context.zone)
