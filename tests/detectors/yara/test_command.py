"""`soc scan` and `soc rules` as a person uses them."""

import sys
from pathlib import Path

import pytest

from detectors.yara.samples import assemble
from tests.command import Ran, soc
from tests.detectors.yara.making import NEEDLE, rule

pytestmark = pytest.mark.slow

SHELL = assemble(["<?php @ev", "al($_PO", "ST['k']); ?>"])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "index.php").write_text("<?php print('xin chào'); ?>")
    (folder / "up.php").write_bytes(SHELL)
    return folder


def run(home: Path, *arguments: str | Path) -> Ran:
    return soc("scan", *arguments, home=home)


def test_findings_are_documents_with_their_reason(tmp_path: Path, site: Path) -> None:
    ran = run(tmp_path, site)
    (found,) = ran.documents
    assert ran.code == 0
    assert found["rule"]["level"] == "critical"
    assert found["file"]["path"] == str(site / "up.php")
    assert found["reason"]["children"][1]["value"] == SHELL[7:19].decode()
    assert "2 files (0 MiB), 1 finding" in ran.err


@pytest.mark.parametrize(("level", "code"), [("high", 1), ("critical", 1), ("severe", 2)])
def test_the_exit_code_tells_the_level(tmp_path: Path, site: Path, level: str, code: int) -> None:
    assert run(tmp_path, site, "--fail-on", level).code == code


def test_nothing_found_is_no_failure(tmp_path: Path, site: Path) -> None:
    ran = run(tmp_path, site / "index.php", "--fail-on", "low")
    assert (ran.code, ran.out) == (0, "")


def test_what_cannot_be_read_is_told_and_the_rest_is_scanned(tmp_path: Path, site: Path) -> None:
    ran = run(tmp_path, site / "gone.php", site / "up.php")
    assert ran.code == 4
    assert len(ran.documents) == 1
    assert "no such file" in ran.err
    assert str(site / "gone.php") in ran.err


def test_own_rules_are_taken_and_bad_ones_named(tmp_path: Path, site: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "a.yar").write_text(rule("hello", "$a", strings='$a = "print"'))
    (rules / "b.yar").write_text("rule b { condition: nothing }")
    ran = run(tmp_path, site, "--rules", rules)
    assert [Path(found["file"]["path"]).name for found in ran.documents] == ["index.php"]
    assert f"{rules / 'b.yar'}:1" in ran.err


def test_no_usable_rule_is_a_content_error(tmp_path: Path, site: Path) -> None:
    (tmp_path / "b.yar").write_text("rule b { condition: nothing }")
    ran = run(tmp_path, site, "--rules", tmp_path / "b.yar")
    assert ran.code == 3
    assert "no usable YARA rule" in ran.err


@pytest.mark.parametrize("format", ["table", "ndjson", "csv", "json"])
def test_hostile_names_and_content_do_not_reach_the_terminal(tmp_path: Path, format: str) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    packed = assemble({"zip": {"\x1b[2J\u202ex": "needle\x1b]0;x\x07"}})
    (folder / "=cmd\x1b[31m\n.zip").write_bytes(packed)
    (tmp_path / "n.yar").write_text(NEEDLE.replace('"needle"', "/needle.{1,9}/s"))
    ran = run(tmp_path, folder, "--rules", tmp_path / "n.yar", "-f", format, "--full")
    assert ran.code == 0
    assert "needle" in ran.out or "A word" in ran.out
    assert not any(c in ran.out + ran.err for c in "\x1b\x07\u202e")


def test_alerts_are_raised_once_and_shown_with_their_guide(tmp_path: Path, site: Path) -> None:
    first, again = (run(tmp_path, site, "--to-store") for _ in range(2))
    assert "1 alert raised, 0 were there already" in first.err
    assert "0 alerts raised, 1 were there already" in again.err
    (alert,) = soc("alerts", "list", "-f", "ndjson", home=tmp_path).documents
    shown = soc("alerts", "show", alert["soc"]["alert"]["id"], "-f", "table", home=tmp_path).out
    assert "yara webshell_php_request_run" in shown
    assert "at 7 (12 bytes)" in shown
    hunted = soc("hunt", "soc.yara.rule:webshell*", "-f", "ndjson", home=tmp_path)
    assert len(hunted.documents) == 1


def test_without_yara_python_it_says_what_to_install(tmp_path: Path, site: Path) -> None:
    (tmp_path / "yara.py").write_text("raise ImportError('not here')")
    environ = {"PYTHONPATH": f"{tmp_path}:{':'.join(filter(None, sys.path))}"}
    ran = soc("scan", site, home=tmp_path, environ=environ)
    assert ran.code == 3
    assert "pip install 'metrosoc[yara]'" in ran.err
    checked = soc("rules", "check", home=tmp_path, environ=environ)
    assert checked.code == 0
    assert "yara-python" in checked.out


def test_soc_rules_checks_and_tests_them(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "n.yar").write_text(NEEDLE)
    (rules / "n.test.yml").write_text(
        "hits: [{name: there, sample: hay}]\nmisses: [{name: not there, sample: hay}]\n"
    )
    checked = soc("rules", "check", rules, home=tmp_path)
    assert (checked.code, checked.err.strip()) == (0, "1 rules loaded, 0 rejected, 0 warnings")
    tested = soc("rules", "test", rules, home=tmp_path)
    (failed,) = tested.documents
    assert tested.code == 3
    assert (failed["case"], failed["problem"]) == ("there", "it did not fire")
    (listed,) = soc("rules", "list", rules, home=tmp_path).documents
    assert listed["logsource"] == "files (YARA)"
