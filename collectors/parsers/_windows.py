"""One output shape for Windows events, whatever form they arrive in.

A parser hands over two things: the System part under Sigma's names (`EventID`, `Provider_Name`,
`TimeCreated_SystemTime`: element, underscore, attribute) and EventData or UserData as pairs of
name and value. Values stay as the record has them under `winlog.event_data`; the ECS twins leave
out `-` and empty ones.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final

import orjson

from collectors.parsers._windows_events import MEANINGS, MODULES
from collectors.parsers._windows_sysmon import Meaning
from collectors.parsers._windows_values import NOTHING, Convert, number, text
from collectors.parsing import Fields

DATASET: Final = "windows"
MAX_NAME: Final = 128
"""Characters of an EventData name that are kept."""

_SYSTEM: Final[tuple[tuple[str, str, Convert], ...]] = (
    ("event.code", "EventID", text),
    ("event.provider", "Provider_Name", text),
    ("host.name", "Computer", text),
    ("message", "Message", text),
    ("winlog.activity_id", "Correlation_ActivityID", text),
    ("winlog.channel", "Channel", text),
    ("winlog.computer_name", "Computer", text),
    ("winlog.event_id", "EventID", text),
    ("winlog.level", "Level", text),
    ("winlog.opcode", "Opcode", text),
    ("winlog.process.pid", "Execution_ProcessID", number),
    ("winlog.process.thread.id", "Execution_ThreadID", number),
    ("winlog.provider_guid", "Provider_Guid", text),
    ("winlog.provider_name", "Provider_Name", text),
    ("winlog.record_id", "EventRecordID", text),
    ("winlog.task", "Task", text),
    ("winlog.user.identifier", "Security_UserID", text),
    ("winlog.version", "Version", number),
)
FIELDS: Final = tuple(
    sorted(
        {"@timestamp", "event.action", "event.category", "event.module", "event.outcome"}
        | {"event.type", "host.os.type", "log.level", "winlog.event_data.*", "winlog.keywords"}
        | {field for field, _, _ in _SYSTEM}
        | {
            field
            for table in MEANINGS.values()
            for meaning in table.values()
            for field, _, _ in meaning.twins
        }
    )
)
_LEVELS: Final = {
    "1": "critical",
    "2": "error",
    "3": "warning",
    "4": "information",
    "5": "verbose",
}
_LEVEL_NUMBERS: Final = {name: level for level, name in _LEVELS.items()} | {"info": "4"}
# winmeta.xml: WINEVENT_KEYWORD_AUDIT_FAILURE and _SUCCESS.
_OUTCOMES: Final = ((1 << 52, "auditfailure", "failure"), (1 << 53, "auditsuccess", "success"))
_PARAM: Final = re.compile(r"param[0-9]+")
_NOTHING_MEANT: Final = Meaning("", (), "")


def event(system: Mapping[str, str], data: Iterable[tuple[str, Any]], zone: tzinfo = UTC) -> Fields:
    """Return the fields of one Windows event; raise ValueError when it has no event id.

    `zone` is that of an `EventTime` without one, as NXLog writes it.
    """
    system = {name: value.strip() for name, value in system.items()}
    if not system.get("EventID", "").isdecimal():
        raise ValueError("a Windows event has a numeric EventID")
    if level := _LEVEL_NUMBERS.get(system.get("Level", "").lower()):
        system["Level"] = level
    values = _named(data)
    fields: Fields = _twins(_SYSTEM, system)
    _classify(fields, system, values)
    if moment := _time(system, values, zone):
        fields["@timestamp"] = moment
    fields.update((f"winlog.event_data.{name}", value) for name, value in values.items())
    if unnamed := [value for name, value in values.items() if _PARAM.fullmatch(name)]:
        fields["winlog.event_data.Data"] = unnamed
    return fields


def as_text(value: Any) -> str | None:  # noqa: ANN401 - any JSON value may stand in a record
    """Return a JSON value as the text Windows would show, None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(filter(None, map(as_text, value[:1000])))
    return orjson.dumps(value).decode() if isinstance(value, dict) else str(value)


def _named(data: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return texts by name: unnamed ones become param1, param2; repeated names get a number."""
    found: dict[str, str] = {}
    repeats: dict[str, int] = {}
    params = 0
    for raw, value in data:
        shown = as_text(value)
        name = _clean(raw)
        if name in ("", "Data"):
            params += 1
            name = f"param{params}"
        if shown is None:
            continue
        unique = name
        while unique in found:
            repeats[name] = repeats.get(name, 0) + 1
            unique = f"{name}_{repeats[name]}"
        found[unique] = shown
    return found


@lru_cache(maxsize=4096)
def _clean(name: str) -> str:
    """Return a name as Sigma writes it (spaces removed) that cannot break nesting or a screen."""
    name = "".join(name[:MAX_NAME].split())
    if name.isidentifier():
        return name
    return "".join(c if c.isprintable() and c != "." else "_" for c in name)


def _twins(twins: Iterable[tuple[str, str, Convert]], values: Mapping[str, str]) -> Fields:
    found: Fields = {}
    for field, name, convert in twins:
        value = values.get(name)
        if value is None or value in NOTHING or field in found:
            continue
        converted = convert(value)
        if converted is not None:
            found[field] = converted
    return found


def _classify(fields: Fields, system: Mapping[str, str], values: Mapping[str, str]) -> None:
    channel = system.get("Channel", "").lower()
    provider = system.get("Provider_Name", "").lower()
    module = MODULES.get(channel) or MODULES.get(provider) or "windows"
    meaning = MEANINGS.get(module, {}).get(system["EventID"], _NOTHING_MEANT)
    fields["event.module"] = module
    fields["host.os.type"] = "linux" if "linux-sysmon" in (channel, provider) else "windows"
    if level := _LEVELS.get(system.get("Level", "")):
        fields["log.level"] = level
    if keywords := [k.strip() for k in system.get("Keywords", "").split(",") if k.strip()]:
        fields["winlog.keywords"] = keywords
    if meaning.action:
        fields["event.category"] = [meaning.category]
        fields["event.type"] = list(meaning.types)
        fields["event.action"] = meaning.action
    if outcome := meaning.outcome or _outcome(fields.get("winlog.keywords", ())):
        fields["event.outcome"] = outcome
    fields |= _twins(meaning.twins, values)


def _outcome(keywords: Iterable[str]) -> str:
    for keyword in keywords:
        bits = number(keyword if keyword[:2] == "0x" else "") or 0
        name = "".join(keyword.lower().split())
        for bit, words, outcome in _OUTCOMES:
            if bits & bit or name == words:
                return outcome
    return ""


def _time(system: Mapping[str, str], values: Mapping[str, str], zone: tzinfo) -> datetime | None:
    for stamp, where in (
        (system.get("TimeCreated_SystemTime"), UTC),
        (system.get("@timestamp"), UTC),
        (values.get("UtcTime"), UTC),
        (system.get("EventTime"), zone),
    ):
        try:
            moment = datetime.fromisoformat(stamp or "")
            return (moment if moment.tzinfo else moment.replace(tzinfo=where)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None
