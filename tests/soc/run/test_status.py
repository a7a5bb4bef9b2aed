"""The books of a collector: an account for each input, and what does not balance is said."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from soc.errors import InputError
from soc.run import status
from soc.run.status import accounts, wrong

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def figures(**changed: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "spool": {
            "inputs": {
                "net": {"received": 70, "dropped: too long": 4, "refused: no room": 3},
                "auth.log": {"received": 30, "truncated": 2},
            },
            "received": 100,
            "settled": 80,
            "pending": 20,
            "lost": 5,
        },
        "settled": {"net": 50, "auth.log": 25},
        "events": {
            "emitted": 75,
            "stored": 70,
            "duplicate": 3,
            "dead-lettered": 1,
            "queued": 1,
        },
    }
    return {**known, **{name: {**known[name], **value} for name, value in changed.items()}}


def test_each_input_has_its_account() -> None:
    assert wrong(figures()) == []
    assert accounts(figures()) == {
        "auth.log": {
            "arrived": 30,
            "received": 30,
            "settled": 25,
            "left": 5,
            "truncated": 2,
        },
        "net": {
            "arrived": 77,
            "dropped: too long": 4,
            "refused: no room": 3,
            "received": 70,
            "settled": 50,
            "left": 20,
        },
    }
    for one in accounts(figures()).values():
        gone = sum(many for what, many in one.items() if what.startswith(("dropped", "refused")))
        assert one["arrived"] == one["received"] + gone
        assert one["received"] == one["settled"] + one["left"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"spool": {"received": 99}}, "99 in the spool"),
        ({"spool": {"pending": 19}}, "19 pending"),
        ({"spool": {"lost": 4}}, "79 accounted for"),
        ({"settled": {"net": 71, "auth.log": 4}}, "net: 70 frames received, 71 settled"),
        ({"settled": {"nobody": 1}}, "nobody: 0 frames received, 1 settled"),
        ({"events": {"queued": 0}}, "events"),
    ],
)
def test_what_does_not_balance_is_said(changed: dict[str, Any], said: str) -> None:
    assert any(said in text for text in wrong(figures(**changed)))


def test_another_process_with_its_number_is_not_the_collector(tmp_path: Path) -> None:
    told = figures() | {"dead_letters": 0, "trouble": "", "trouble_since": ""}
    status.write(tmp_path, told, NOON)
    found = status.read(tmp_path)
    assert found is not None
    assert found["running"]
    path = tmp_path / status.NAME
    path.write_text(path.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {os.getppid()}'))
    found = status.read(tmp_path)
    assert found is not None
    assert not found["running"]


def test_a_collector_that_is_there_and_says_nothing_is_no_working_one(tmp_path: Path) -> None:
    told = figures() | {"dead_letters": 0, "trouble": "", "trouble_since": ""}
    status.write(tmp_path, told, NOON)
    found = status.read(tmp_path)
    assert found is not None
    assert not status.silent(found, NOON + timedelta(seconds=status.LATE))
    assert status.silent(found, NOON + timedelta(seconds=status.LATE + 1))
    found["running"] = False
    assert not status.silent(found, NOON + timedelta(days=1))


def test_a_status_that_lacks_something_is_told(tmp_path: Path) -> None:
    status.write(tmp_path, {}, NOON)
    with pytest.raises(InputError, match="cannot be read"):
        status.read(tmp_path)
