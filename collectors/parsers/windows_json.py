"""Windows events as JSON (Winlogbeat, NXLog, flat Sysmon records, evtx_dump)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from collectors.frame import Context
from collectors.parsers._windows import DATASET, FIELDS, as_text, event
from collectors.parsers._windows_tree import event_of_tree, leaves
from collectors.parsing import Fields
from soc.model.event import flatten

Parts = tuple[dict[str, str], Iterable[tuple[str, Any]]]
Shape = Callable[[dict[str, Any]], Parts]

__all__ = ["DATASET", "EXAMPLE", "FIELDS", "parse", "recognise"]

EXAMPLE: Final = (
    '{"EventTime":"2026-11-22 15:15:30","Hostname":"pc17.city.example","EventID":1,'
    '"SourceName":"Microsoft-Windows-Sysmon","Channel":"Microsoft-Windows-Sysmon/Operational",'
    '"UtcTime":"2026-11-22 08:15:30.123","ProcessId":"4242","User":"CITY\\\\lan",'
    '"Image":"C:\\\\Windows\\\\System32\\\\whoami.exe","CommandLine":"whoami /all"}'
)
_WINLOGBEAT: Final = {
    "@timestamp": "@timestamp",
    "log.level": "Level",
    "message": "Message",
    "winlog.activity_id": "Correlation_ActivityID",
    "winlog.channel": "Channel",
    "winlog.computer_name": "Computer",
    "winlog.event_id": "EventID",
    "winlog.keywords": "Keywords",
    "winlog.opcode": "Opcode",
    "winlog.process.pid": "Execution_ProcessID",
    "winlog.process.thread.id": "Execution_ThreadID",
    "winlog.provider_guid": "Provider_Guid",
    "winlog.provider_name": "Provider_Name",
    "winlog.record_id": "EventRecordID",
    "winlog.task": "Task",
    "winlog.user.identifier": "Security_UserID",
    "winlog.version": "Version",
}
_DATA: Final = ("winlog.event_data.", "winlog.user_data.")
_FLAT: Final = {
    "@timestamp": "@timestamp",
    "ActivityID": "Correlation_ActivityID",
    "Channel": "Channel",
    "Computer": "Computer",
    "ComputerName": "Computer",
    "EventID": "EventID",
    "EventRecordID": "EventRecordID",
    "EventTime": "EventTime",
    "ExecutionProcessID": "Execution_ProcessID",
    "ExecutionThreadID": "Execution_ThreadID",
    "Execution_ProcessID": "Execution_ProcessID",
    "Execution_ThreadID": "Execution_ThreadID",
    "Hostname": "Computer",
    "Keywords": "Keywords",
    "Level": "Level",
    "LogName": "Channel",
    "Message": "Message",
    "Opcode": "Opcode",
    "ProcessID": "Execution_ProcessID",
    "ProviderGuid": "Provider_Guid",
    "ProviderName": "Provider_Name",
    "Provider_Guid": "Provider_Guid",
    "Provider_Name": "Provider_Name",
    "RecordNumber": "EventRecordID",
    "Security_UserID": "Security_UserID",
    "SourceName": "Provider_Name",
    "SystemTime": "TimeCreated_SystemTime",
    "Task": "Task",
    "ThreadID": "Execution_ThreadID",
    "TimeCreated": "TimeCreated_SystemTime",
    "UserID": "Security_UserID",
    "Version": "Version",
}
_ENVELOPE: Final = frozenset(
    {"@version", "EventReceivedTime", "OpcodeValue", "Severity", "SeverityValue"}
    | {"SourceModuleName", "SourceModuleType", "host", "port", "tags", "timestamp"}
)
"""Keys of NXLog, Logstash and data sets that say how the record travelled."""
# NXLog's own EventType; Sysmon has an EventType of its own (SetValue, CreateKey, ...).
_NXLOG_TYPES: Final = frozenset(
    {"INFO", "WARNING", "ERROR", "CRITICAL", "VERBOSE", "AUDIT_SUCCESS", "AUDIT_FAILURE"}
)


def recognise(record: str) -> bool:
    """Return whether the record is JSON in one of the four shapes."""
    if '"Event' not in record and '"winlog' not in record:
        return False
    try:
        document = orjson.loads(record.lstrip("\ufeff"))
    except ValueError:
        return False
    return isinstance(document, dict) and _shape(document) is not None


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Yield the event; the shape is told by its keys."""
    document = orjson.loads(record.lstrip("\ufeff"))
    shape = _shape(document) if isinstance(document, dict) else None
    if shape is None:
        raise ValueError("not a Windows event in JSON")
    system, data = shape(document)
    yield event(system, data, context.zone)


def _shape(document: dict[str, Any]) -> Shape | None:
    tree = document.get("Event")
    if isinstance(tree, dict) and isinstance(tree.get("System"), dict):
        return event_of_tree
    if isinstance(document.get("winlog"), dict) or "winlog.event_id" in document:
        return _winlogbeat
    if "EventID" in document and any(
        name in document for name in ("Channel", "SourceName", "ProviderName", "Provider_Name")
    ):
        return _flat
    return None


def _winlogbeat(document: dict[str, Any]) -> Parts:
    flat = flatten(document)
    data = [
        (name.removeprefix(prefix), value)
        for name, value in flat.items()
        for prefix in _DATA
        if name.startswith(prefix) and name != "winlog.user_data.xml_name"
    ]
    return _renamed(flat, _WINLOGBEAT), data


def _flat(document: dict[str, Any]) -> Parts:
    system = _renamed(document, _FLAT)
    kind = document.get("EventType")
    if kind in ("AUDIT_SUCCESS", "AUDIT_FAILURE"):
        system["Keywords"] = str(kind).replace("_", " ").title()
    return system, _flat_data(document)


def _flat_data(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if name in ("EventData", "UserData") and isinstance(value, dict):
            yield from leaves(value)
        elif not (
            name in _FLAT
            or name in _ENVELOPE
            or (name == "EventType" and isinstance(value, str) and value in _NXLOG_TYPES)
        ):
            yield name, value


def _renamed(document: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, system in names.items():
        value = document.get(name)
        if isinstance(value, dict):
            value = value.get("SystemTime")
        if system == "Keywords" and isinstance(value, int):
            value = f"0x{value & 0xFFFFFFFFFFFFFFFF:x}"
        shown = as_text(value)
        if shown is not None:
            found.setdefault(system, shown)
    return found
