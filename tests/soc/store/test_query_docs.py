"""Every line of `docs/query.md` does what it says there."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from soc.errors import UsageError
from soc.store.base import Store
from soc.store.query import parse

TEXT = (Path(__file__).parents[3] / "docs" / "query.md").read_text("utf-8")
EVENT: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)[0])
LINES = [
    re.fullmatch(r"(.+?)\s+# (yes|no|refused)\b.*", line)
    for block in re.findall(r"```query\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]
NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_every_example_says_what_it_shows() -> None:
    assert len(LINES) > 70
    assert all(LINES)


def test_the_examples_are_true(store: Store) -> None:
    store.append([EVENT | {"event.id": "1"}], now=NOW)
    wrong = []
    for line in LINES:
        assert line is not None
        try:
            found = store.search(parse(line[1], now=NOW)).events
            answer = "yes" if found else "no"
        except UsageError:
            answer = "refused"
        if answer != line[2]:
            wrong.append((line[0], answer))
    assert not wrong


@pytest.mark.parametrize("query", ["", "*"])
def test_nothing_asked_is_everything(store: Store, query: str) -> None:
    store.append([EVENT | {"event.id": "1"}], now=NOW)
    assert len(store.search(parse(query)).events) == 1
