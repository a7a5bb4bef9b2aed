"""Windows events as XML (wevtutil, Event Viewer, NXLog; Sysmon for Linux through syslog)."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

from collectors.frame import Context
from collectors.parsers._windows import DATASET, FIELDS, event
from collectors.parsing import Fields

__all__ = ["DATASET", "EXAMPLE", "FIELDS", "FRAMING", "PROGRAMS", "parse", "recognise"]

FRAMING: Final = "windows_xml"
PROGRAMS: Final = ("sysmon",)
EXAMPLE: Final = (
    "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
    "<Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4625</EventID>"
    "<Keywords>0x8010000000000000</Keywords>"
    "<TimeCreated SystemTime='2026-11-22T08:15:30.1234567Z'/><EventRecordID>8</EventRecordID>"
    "<Channel>Security</Channel><Computer>dc01.city.example</Computer></System><EventData>"
    "<Data Name='TargetUserName'>lan</Data><Data Name='IpAddress'>192.0.2.7</Data>"
    "<Data Name='LogonType'>3</Data></EventData></Event>"
)
# How a line of an export begins, whether an event stands on one line or on many.
_ELEMENTS: Final = (
    "Events?|System|EventData|UserData|Data|Provider|EventID|Version|Level|Task|Opcode|Keywords"
    "|TimeCreated|EventRecordID|Correlation|Execution|Channel|Computer|Security|RenderingInfo"
)
_START: Final = re.compile(
    rf"\ufeff?\s*(?:<\?xml[^>]{{0,200}}\?>\s*)?</?(?:{_ELEMENTS})(?:[\s>]|/>)"
)
# Characters that XML 1.0 forbids but event texts contain, raw or as a reference.
_FORBIDDEN: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
    r"|&#(?:0{0,8}(?:[0-8]|1[124-9]|2[0-9]|3[01])|x0{0,8}(?:[0-8BbCcEeFf]|1[0-9A-Fa-f]));"
)


def recognise(record: str) -> bool:
    """Return whether the line begins an event in XML, or stands in one."""
    return _START.match(record) is not None


def parse(record: str, context: Context) -> Iterable[Fields]:
    """Yield the event, or every one of an `<Events>` wrapper; DTDs and entities are refused."""
    try:
        root = fromstring(_FORBIDDEN.sub("\ufffd", record.lstrip("\ufeff \t\r\n")), forbid_dtd=True)
    except (ParseError, ValueError) as error:
        raise ValueError(f"not a Windows event in XML: {error}") from error
    if _local(root) not in ("Event", "Events"):
        raise ValueError("not a Windows event in XML: the root is no Event")
    for node in root if _local(root) == "Events" else [root]:
        parts = {_local(part): part for part in node}
        system = dict(_system(parts))
        yield event(system, _data(parts), context.zone)


def _local(node: Element) -> str:
    return str(node.tag).rpartition("}")[2]


def _system(parts: dict[str, Element]) -> Iterator[tuple[str, str]]:
    for node in parts.get("System", ()):
        name = _local(node)
        if text := (node.text or "").strip():
            yield name, text
        for attribute, value in node.attrib.items():
            yield f"{name}_{attribute}", value
    for node in parts.get("RenderingInfo", ()):
        if _local(node) == "Message" and node.text:
            yield "Message", node.text


def _data(parts: dict[str, Element]) -> Iterator[tuple[str, Any]]:
    for node in parts.get("EventData", ()):
        name = _local(node)
        yield (node.get("Name", "") if name == "Data" else name), node.text or ""
    for wrapper in parts.get("UserData", ()):
        yield from _leaves(wrapper)


def _leaves(tree: Element) -> Iterator[tuple[str, str]]:
    stack = [("", iter(tree))]
    while stack:
        path, nodes = stack[-1]
        for node in nodes:
            name = f"{path}{_local(node)}"
            if len(node):
                stack.append((f"{name[:256]}_", iter(node)))
                break
            yield name, node.text or ""
        else:
            stack.pop()
