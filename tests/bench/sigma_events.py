"""The events of the Sigma benchmark: flat Windows records, made with a fixed seed.

One in ten records of an attack mix is a variation of one of SigmaHQ's regression events. The others
are ordinary records of a rule's log source, with all the fields that Windows writes there, in which
the rule's conditions are written: all of its lines in a few, half of them in the rest, so that they
are near misses.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from collectors.reading import read_file
from detectors.sigma.patterns import Boolean, Null, Number, Pattern, Text
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.rule import Condition, Group, Item, LogSource, Rule
from detectors.sigma.text import Wild
from detectors.sigma.values import View
from tests.bench.ordinary import (
    WORDS,
    creation_record,
    file_record,
    image_record,
    network_record,
    ordinary_record,
    registry_record,
)
from tests.data import archive

SEED = 20261122
NOW = datetime(2026, 11, 22, tzinfo=UTC)
DATA = "winlog.event_data."


def records(rules: Sequence[Rule], pipelines: Pipelines, number: int) -> list[dict[str, Any]]:
    """Return an attack mix of this many distinct records."""
    dice = random.Random(SEED)
    bases = regression(pipelines)
    windows = [rule for rule in rules if rule.logsource.product == "windows"]
    made: list[dict[str, Any]] = []
    for index in range(number):
        if index % 10 == 0:
            record = varied(dice.choice(bases), dice)
        else:
            record = written(windows[index % len(windows)], bases, dice)
        made.append(stamped(record, index))
    return made


def benign(number: int, *, creation: float = 0.6) -> list[dict[str, Any]]:
    """Return ordinary records; `creation` is the share of process creations."""
    dice = random.Random(SEED + 1)
    kinds = (file_record, registry_record, network_record, image_record)
    return [
        stamped(
            creation_record(dice) if dice.random() < creation else dice.choice(kinds)(dice), index
        )
        for index in range(number)
    ]


def mixed(attacks: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return ordinary records of which one in a hundred is an attack."""
    ordinary = benign(number)
    for place in range(0, number, 100):
        ordinary[place] = stamped(dict(attacks[(place // 100) % len(attacks)]), place)
    return ordinary


def stamped(record: dict[str, Any], index: int) -> dict[str, Any]:
    """Return the record with what every stored event has."""
    second, milli = divmod(index, 1000)
    head = {
        "@timestamp": f"2026-11-22T08:{second // 60 % 60:02}:{second % 60:02}.{milli:03}Z",
        "ecs.version": "9.5.0",
        "event.id": f"{index:012x}-{SEED}",
    }
    return head | record


def regression(pipelines: Pipelines) -> list[dict[str, Any]]:
    """Return the regression events as flat records with product, service and category."""
    found = []
    base = archive("sigmahq-regression")
    for place in sorted(base.rglob("info.yml")):
        info = yaml.safe_load(place.read_text("utf-8"))
        for test in info.get("regression_tests_info", ()):
            if test["type"] == "evtx":
                found += [_flat(event, pipelines) for event in _read(base / test["path"])]
    return found


def _read(path: Path) -> Iterator[dict[str, Any]]:
    return read_file(path, received=NOW)


def _flat(event: dict[str, Any], pipelines: Pipelines) -> dict[str, Any]:
    view = View(event)
    here = [s.logsource for s in pipelines.sources if s.delivers(view)]
    return {
        "product": "windows",
        "service": next((s.service for s in here if s.service), "none"),
        "category": next((s.category for s in here if s.category), "none"),
        "EventID": int(event["event.code"]),
        "Channel": event["winlog.channel"],
        "Provider_Name": event.get("winlog.provider_name", ""),
        "Computer": event.get("winlog.computer_name", ""),
        **{k.removeprefix(DATA): v for k, v in event.items() if k.startswith(DATA)},
    }


def varied(base: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Return a record with other numbers, and sometimes a field of an ordinary one."""
    record = dict(base)
    for name in ("ProcessId", "ParentProcessId", "SourceProcessId", "LogonId"):
        if name in record:
            record[name] = str(dice.randint(400, 30_000))
    for name in ("ProcessGuid", "ParentProcessGuid", "LogonGuid"):
        if name in record:
            record[name] = f"{{{dice.getrandbits(64):016X}}}"
    if dice.random() < 0.8:
        other = creation_record(dice)
        texts = [n for n, v in record.items() if isinstance(v, str) and n in other]
        for name in dice.sample(texts, k=min(len(texts), dice.randint(2, 10))):
            if name not in ("product", "service", "category", "Channel", "Provider_Name"):
                record[name] = other[name]
    return record


def written(rule: Rule, bases: list[dict[str, Any]], dice: random.Random) -> dict[str, Any]:
    """Return a record that says what a rule asks for, mostly half of it."""
    source = rule.logsource
    alike = [b for b in bases if _suits(b, source)]
    likely = alike and dice.random() < 0.2
    record = dict(dice.choice(alike)) if likely else ordinary_record(source, dice)
    items = list(wanted(rule.condition, rule, dice))
    if dice.random() < 0.97:
        items = dice.sample(items, k=len(items) // 2)
    for item in items:
        if item.field is not None and not item.negated:
            patterns = item.patterns if item.every else [dice.choice(item.patterns)]
            write(record, item.field, [sample(p, dice) for p in patterns])
    if "OriginalFileName" in record and not any(i.field == "OriginalFileName" for i in items):
        record["OriginalFileName"] = str(record["Image"]).rpartition("\\")[2]
    record["Sequence"] = dice.getrandbits(48)
    return record


def _suits(record: dict[str, Any], source: LogSource) -> bool:
    return record["category"] == source.category and source.service in ("", record["service"])


def wanted(node: Condition, rule: Rule, dice: random.Random) -> Iterator[Item]:
    if node.kind == "selection":
        yield from _lines(rule.selections[node.label], dice)
    elif node.kind != "not":
        children = node.children if node.kind == "and" else (dice.choice(node.children),)
        for child in children:
            yield from wanted(child, rule, dice)


def _lines(node: Group | Item, dice: random.Random) -> Iterator[Item]:
    if isinstance(node, Item):
        yield node
        return
    for child in node.children if node.kind == "and" else (dice.choice(node.children),):
        yield from _lines(child, dice)


def sample(pattern: Pattern, dice: random.Random) -> tuple[str | int | None, bool, bool]:
    """Return a value that fits, and whether more may stand before and after it."""
    if isinstance(pattern, Text):
        tokens = pattern.tokens
        body = [t if isinstance(t, str) else _filler(t, dice) for t in tokens]
        head, tail = tokens[:1] == (Wild.ANY,), tokens[-1:] == (Wild.ANY,)
        return "".join(body[head : len(body) - tail]), head, tail
    if isinstance(pattern, Number):
        return str(pattern.value), False, False
    if isinstance(pattern, Boolean):
        return str(pattern.value).lower(), False, False
    return (None if isinstance(pattern, Null) else dice.choice(WORDS)), False, False


def _filler(wild: Wild, dice: random.Random) -> str:
    return {Wild.ANY: dice.choice(WORDS), Wild.ONE: "x", Wild.DASH: "-"}[wild]


def write(record: dict[str, Any], field: str, parts: list[tuple[Any, bool, bool]]) -> None:
    text, head, tail = parts[0]
    if text is None:
        record.pop(field, None)
        return
    if len(parts) > 1:
        text, head, tail = " ".join(str(part[0]) for part in parts), True, True
    before = str(record.get(field, r"C:\City")) if head else ""
    if field.endswith("Image") and head and not tail:
        before = r"C:\Windows\System32"
    record[field] = f"{before}{' ' if head and tail else ''}{text}{' more' if tail else ''}"
