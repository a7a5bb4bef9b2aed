"""`soc doctor`: a line for each check, a fix for each failure."""

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest

from soc.config import Sources
from soc.run import checks
from soc.run.checks import Check, examine
from tests.command import soc

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)


def found(folder: Path, text: str = "", now: datetime = NOW) -> Mapping[str, list[Check]]:
    (folder / "soc.toml").write_text(text)
    environ = {"HOME": str(folder), "SOC_PATHS__STATE": str(folder / "state")}
    result: dict[str, list[Check]] = {}
    for check in examine(Sources({}, environ, folder, folder / "none"), now):
        result.setdefault(check.name, []).append(check)
    return result


def test_a_machine_in_order_has_no_failure(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "auth.log").write_text("x\n")
    seen = found(tmp_path, f'[[inputs]]\npath = "{tmp_path}/*.log"\nparser = "sshd"\n')
    states = {name: {check.state for check in found} for name, found in seen.items()}
    assert {"python", "sqlite", "packages", "clock", "config", "state", "disk"} <= set(states)
    assert {"rules", "pipelines", "store", "inputs"} <= set(states)
    assert not [check for found in seen.values() for check in found if check.state == "failure"]
    assert "1 file, local" in seen["inputs"][0].detail


def test_a_failure_is_exit_code_1_and_has_a_fix(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text("[store]\nurll = 1\n")
    ran = soc("doctor", "--json", home=tmp_path)
    assert ran.code == 1
    (failure,) = [row for row in json.loads(ran.out) if row["state"] == "failure"]
    assert failure["check"] == "config"
    assert failure["detail"] == f"{tmp_path / 'soc.toml'}:2: unknown key 'urll' in [store]"
    assert failure["fix"] == "url"


def test_a_clock_in_the_past_is_a_failure(tmp_path: Path) -> None:
    (check,) = found(tmp_path, now=datetime(1970, 1, 1, tzinfo=UTC))["clock"]
    assert check.state == "failure"
    assert "chrony" in check.fix


def test_a_configuration_that_everybody_may_change_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "soc.toml").write_text("")
    (tmp_path / "soc.toml").chmod(0o666)
    (check,) = found(tmp_path)["config"]
    assert (check.state, check.fix) == ("warning", f"chmod o-w {tmp_path / 'soc.toml'}")


def test_a_state_folder_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    (tmp_path / "state").chmod(0o755)
    (check,) = found(tmp_path)["state"]
    assert (check.state, check.fix) == ("warning", f"chmod 700 {tmp_path / 'state'}")


def test_a_state_folder_that_is_none_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    (check,) = found(tmp_path)["state"]
    assert check.state == "failure"
    assert "SOC_PATHS__STATE" in check.fix


@pytest.mark.parametrize(("free", "state"), [(10 << 20, "failure"), (500 << 20, "warning")])
def test_a_full_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    (tmp_path / "state").mkdir()
    usage = os.statvfs(tmp_path)
    assert usage.f_bavail > 0
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": free})())
    (check,) = found(tmp_path)["disk"]
    assert check.state == state
    assert "[retention]" in check.fix


def test_rules_that_do_not_load_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("title: [")
    (check,) = found(tmp_path, f'[rules]\npaths = ["{tmp_path}"]\n')["rules"]
    assert check.state == "failure"
    assert check.detail.startswith("0 of 1 load")
    assert "bad.yml" in check.detail
    assert check.fix == f"soc rules check {tmp_path}"
    (check,) = found(tmp_path, f'[rules]\npaths = ["{tmp_path}/none"]\n')["rules"]
    assert check.state == "failure"


def test_inputs_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (check,) = found(tmp_path, '[[inputs]]\npath = "/no/such/*.log"\n')["inputs"]
    assert check.state == "warning"
    assert "no such file now" in check.detail
    assert check.fix


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = ["orjson>=3", "no-such-thing>=1", 'other-missing>=1; extra == "yara"']
    monkeypatch.setattr(metadata, "requires", lambda name: needs)
    seen = found(tmp_path)
    assert seen["packages"] == [
        Check("packages", "failure", "not installed: no-such-thing", "pip install metrosoc")
    ]
    assert seen["packages[yara]"] == [
        Check(
            "packages[yara]",
            "warning",
            "not installed: other-missing",
            "pip install 'metrosoc[yara]'",
        )
    ]


def test_a_check_that_breaks_does_not_end_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> checks.Checks:
        raise RuntimeError("no way")

    monkeypatch.setattr(checks, "_sqlite", broken)
    seen = found(tmp_path)
    assert seen["sqlite"][0].detail == "RuntimeError: no way"
    assert seen["sqlite"][0].state == "failure"
    assert seen["clock"][0].state == "ok"
