"""One test for every parser: its contract, its example, its golden pair, its fields."""

import inspect
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from collectors.frame import Context, Frame, Source
from collectors.framing import by_name
from collectors.normalise import ENVELOPE, Normaliser
from collectors.parsing import KIND, Parser, parser
from collectors.recognise import HEAD, recognise
from soc.model.ecs import check, lookup
from soc.model.event import Event
from soc.registry import plugins
from tests.data import ROOT

GOLDEN = ROOT / "tests" / "golden" / "collectors"
RECEIVED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NAMES = sorted(plugins(KIND))
INPUTS = sorted(GOLDEN.glob("*.in.*"))
# A binary format has no lines of our own making; it is tested against the test material.
WITHOUT_PAIR = {"windows_evtx"}


@cache
def events_of(path: Path) -> list[Event]:
    data = path.read_bytes()
    chosen = recognise(data[:HEAD], path.name)
    normaliser = Normaliser(Source(b"golden", observer="golden"), chosen)
    frames = by_name(chosen.framing)(io.BytesIO(data))
    return [event for frame in frames for event in normaliser.events(frame, RECEIVED)]


def all_events() -> Iterator[Event]:
    for path in INPUTS:
        yield from events_of(path)


def name_of(path: Path) -> str:
    return path.name.partition(".")[0]


@pytest.mark.parametrize("path", INPUTS, ids=name_of)
def test_golden_pair(path: Path, golden: Any) -> None:
    golden(GOLDEN / f"{name_of(path)}.out.json", events_of(path))


@pytest.mark.parametrize("name", NAMES)
def test_every_parser_has_a_golden_pair(name: str) -> None:
    assert name in WITHOUT_PAIR or name in set(map(name_of, INPUTS))


@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str) -> None:
    found = parser(name)
    summary = plugins(KIND)[name].summary()
    assert summary.endswith(".")
    assert len(summary) <= 100
    assert found.dataset == found.dataset.lower()
    assert set(found.dataset) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.")
    assert list(inspect.signature(found.parse).parameters) == ["record", "context"]
    by_name(found.framing)


@pytest.mark.parametrize("name", NAMES)
def test_example_is_recognised_and_parsed(name: str) -> None:
    found = parser(name)
    reader = recognise(f"{found.example}\n".encode(), "example")
    if name not in WITHOUT_PAIR:
        assert reader.name == name or (reader.envelope and found.programs)
    else:
        reader = found
    [event] = Normaliser(Source(b"k", observer="n"), reader).events(
        Frame(found.example.encode(), "0"), RECEIVED
    )
    assert event["event.kind"] != "pipeline_error"
    assert event["event.dataset"] == found.dataset or found.envelope
    assert check(event) == []


@pytest.mark.parametrize("path", INPUTS, ids=name_of)
def test_golden_events_keep_to_the_field_table(path: Path) -> None:
    for event in events_of(path):
        assert [str(problem) for problem in check(event)] == [], event["event.original"]


@pytest.mark.parametrize("name", NAMES)
def test_declared_fields_are_known_to_the_table(name: str) -> None:
    unknown = [field for field in parser(name).fields if field != "*" and lookup(field) is None]
    assert unknown == []


def declared(found: Parser, field: str) -> bool:
    return any(
        field.startswith(known[:-1]) if known.endswith("*") else field == known
        for known in (*found.fields, *ENVELOPE)
    )


def test_events_hold_only_declared_fields() -> None:
    by_dataset: dict[str, list[Parser]] = {}
    for name in NAMES:
        by_dataset.setdefault(parser(name).dataset, []).append(parser(name))
    envelope = parser("syslog")
    for event in all_events():
        known = [*by_dataset[event["event.dataset"]], envelope]
        strange = [field for field in event if not any(declared(p, field) for p in known)]
        assert strange == [], event["event.original"]


def test_one_field_has_one_type_in_all_parsers() -> None:
    types: dict[str, set[str]] = {}
    for event in all_events():
        for field, value in event.items():
            kind = type(value).__name__
            if isinstance(value, list):
                kind = f"list of {'|'.join(sorted({type(v).__name__ for v in value}))}"
            types.setdefault(field, set()).add(kind)
    assert {field: kinds for field, kinds in types.items() if len(kinds) > 1} == {}


@pytest.mark.parametrize("name", NAMES)
def test_parse_refuses_only_with_value_error(name: str) -> None:
    """An empty record and half an example are the least that every parser meets."""
    found = parser(name)
    for record in ("", " ", found.example[: len(found.example) // 2], "\0", "{", "<", "["):
        try:
            list(found.parse(record, Context(RECEIVED)))
        except ValueError:
            continue
