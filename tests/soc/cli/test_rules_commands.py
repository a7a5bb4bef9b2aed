"""`soc rules check`, `health`, `park` and `unpark` as people call them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import soc
from tests.detectors.sigma.sigma_rules import rule

LINUX = "{product: linux}"
ID = "00000000-0000-4000-8000-000000000001"
SERIES = f"""\
title: Series
id: 00000000-0000-4000-8000-000000000007
correlation:
  type: event_count
  rules: {ID}
  timespan: 1m
  condition: {{gte: 2}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    for number in (1, 2):
        text = rule("s: [bad]\ncondition: s", number=number, logsource=LINUX)
        (tmp_path / "rules" / f"r{number}.yml").write_text(text)
    (tmp_path / "rules" / "series.yml").write_text(SERIES)
    (tmp_path / "soc.toml").write_text(
        f'[paths]\nstate = "{tmp_path}/state"\n[rules]\npaths = ["{tmp_path}/rules"]\n'
    )
    return tmp_path


def rows(home: Path, *arguments: str) -> list[dict[str, Any]]:
    result = soc(*arguments, "-f", "ndjson", home=home)
    assert result.code == 0, result.err
    return [json.loads(line) for line in result.out.splitlines()]


def test_a_parked_rule_is_never_silent(home: Path) -> None:
    result = soc("rules", "park", "Rule 1", "--reason", "too many, ticket 17", home=home)
    assert result.code == 0
    assert f"soc rules unpark {ID}" in result.err
    checked, hungry = rows(home, "rules", "check")
    assert (checked["kind"], "ticket 17" in checked["problem"]) == ("parked", True)
    assert checked["where"].endswith("r1.yml:1")
    assert hungry["kind"] == "starved"
    assert hungry["where"].endswith("series.yml:1")
    health, starved = rows(home, "rules", "health")
    assert (health["state"], health["rule"]["id"]) == ("parked", ID)
    assert health["reason"] == "too many, ticket 17"
    assert (starved["state"], starved["rule"]["name"]) == ("starved", "Series")
    assert "hears nothing of Rule 1" in starved["reason"]
    parked, starved = told_by_doctor(home)
    assert (parked["state"], parked["fix"]) == ("warning", f"soc rules unpark {ID}")
    assert (starved["check"], starved["state"]) == ("starved", "warning")
    assert "can no longer fire" in starved["detail"]
    assert "parked already" in soc("rules", "park", ID, "--reason", "again", home=home).err
    assert soc("rules", "unpark", "Rule 1", home=home).code == 0
    assert rows(home, "rules", "check") == rows(home, "rules", "health") == []


def told_by_doctor(home: Path) -> list[dict[str, Any]]:
    lines = [json.loads(one) for one in soc("doctor", "-f", "ndjson", home=home).out.splitlines()]
    return [one for one in lines if one["check"] in ("parked", "starved")]


def test_a_correlation_is_parked_like_a_rule(home: Path) -> None:
    result = soc("rules", "park", "Series", "--reason", "ticket 18", home=home)
    assert result.code == 0
    (checked,) = rows(home, "rules", "check")
    assert (checked["kind"], checked["where"][-12:]) == ("parked", "series.yml:1")
    (health,) = rows(home, "rules", "health")
    assert (health["state"], health["rule"]["name"]) == ("parked", "Series")
    (line,) = told_by_doctor(home)
    assert "Series" in line["detail"]
    assert "ticket 18" in line["detail"]
    assert soc("rules", "unpark", "Series", home=home).code == 0
    assert told_by_doctor(home) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("park", "Rule 9", "--reason", "x"), "there is no rule"),
        (("park", "Rule 1", "--reason", " "), "a reason is needed"),
        (("park", "Rule 1"), "--reason"),
        (("unpark", "Rule 1"), "no parked rule"),
    ],
)
def test_what_cannot_be_parked_is_said(home: Path, arguments: tuple[str, ...], words: str) -> None:
    result = soc("rules", *arguments, home=home)
    assert result.code == 2
    assert words in result.err


@pytest.mark.parametrize("command", ["check", "test"])
def test_a_folder_without_a_rule_is_no_success(tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    result = soc("rules", command, "empty", home=tmp_path)
    assert result.code == 3
    assert result.err == (
        "error: there is no rule in empty\n  try: give a rule file or a folder of rules\n"
    )


def by_file(home: Path) -> str:
    return str(home / "rules" / "r2.yml")


@pytest.mark.parametrize("name", [lambda _home: ID[:-1] + "2", lambda _home: "Rule 2", by_file])
def test_a_rule_is_named_by_id_title_or_file(home: Path, name: Callable[[Path], str]) -> None:
    assert soc("rules", "park", name(home), "--reason", "x", home=home).code == 0
    assert [one["rule"]["name"] for one in rows(home, "rules", "health")] == ["Rule 2"]


def test_the_report_has_kind_line_and_hint(home: Path) -> None:
    bad = rule("s: [x]\ncondition: t", number=3, logsource=LINUX)
    (home / "rules" / "r3.yml").write_text(bad)
    odd = rule("s: {f: x}\ncondition: s", number=4, logsource="{product: toaster}")
    (home / "rules" / "r4.yml").write_text(odd)
    result = soc("rules", "check", "-f", "ndjson", home=home)
    assert result.code == 3
    found = [json.loads(line) for line in result.out.splitlines()]
    assert [(one["verdict"], one["kind"], one["where"][-8:]) for one in found] == [
        ("rejected", "", "r3.yml:6"),
        ("warning", "source", "r4.yml:3"),
    ]
    assert all(one["hint"] for one in found)
    assert "loaded, 1 rejected, 1 warnings: 1 source" in result.err


def test_a_store_that_cannot_be_asked_does_not_stop_the_check(home: Path) -> None:
    nowhere = {"SOC_STORE__URL": "https://127.0.0.1:9"}
    result = soc("rules", "check", home=home, environ=nowhere)
    assert result.code == 0
    assert "not known" in result.err
