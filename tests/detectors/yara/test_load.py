"""Loading YARA rules: what makes no complete alert is rejected alone, with file and line."""

from pathlib import Path

import pytest

from detectors.yara.load import load
from soc.errors import ContentError
from tests.detectors.yara.making import META, rule


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_rule_says_what_its_alert_will_say(tmp_path: Path) -> None:
    write(tmp_path, "a.yar", rule("word", "true", n=1, attack="T1505.003, T1059", tactic="Impact"))
    report = load([tmp_path])
    (found,) = report.rules
    assert report.rejected == ()
    assert (found.name, found.info.level, found.info.author) == ("word", "high", "tests")
    assert found.info.techniques == ("T1505.003", "T1059")
    assert found.info.tactics == ("Impact",)
    assert found.where == f"{tmp_path / 'a.yar'}:1"


@pytest.mark.parametrize("key", ["id", "title", "level", "description", "author"])
def test_a_rule_without_a_part_of_its_alert_is_rejected(tmp_path: Path, key: str) -> None:
    kept = {k: v for k, v in META.items() if k != key}
    lines = "\n".join(f'{k} = "{v}"' for k, v in kept.items())
    write(tmp_path, "a.yar", f"rule word\n{{\nmeta:\n{lines}\ncondition: true }}")
    (rejected,) = load([tmp_path]).rejected
    assert key in rejected.reason
    assert rejected.where == f"{tmp_path / 'a.yar'}:1"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("id", "17", "no UUID"),
        ("level", "severe", "does not exist"),
        ("attack", "T15", "no ATT&CK technique"),
        ("reference", "javascript:x", "no address"),
        ("date", "tomorrow", "YYYY-MM-DD"),
    ],
)
def test_a_wrong_part_is_named_with_its_line(
    tmp_path: Path, key: str, value: str, reason: str
) -> None:
    text = rule("word", "true", **{key: value})
    write(tmp_path, "a.yar", text)
    (rejected,) = load([tmp_path]).rejected
    line = 1 + next(n for n, one in enumerate(text.splitlines()) if one.strip().startswith(key))
    assert reason in rejected.reason
    assert rejected.line == line


def test_one_bad_rule_costs_one_rule(tmp_path: Path) -> None:
    write(tmp_path, "bad.yar", 'rule a\n{\n strings: $a = "x"\n condition: $b }')
    write(tmp_path, "good.yar", rule("good", "true", n=1))
    write(tmp_path, "two.yar", rule("half", "true", level="no") + rule("other", "true", n=2))
    report = load([tmp_path])
    assert [one.name for one in report.rules] == ["good", "other"]
    assert [Path(one.path).name for one in report.rejected] == ["bad.yar", "two.yar"]
    assert report.rejected[0].line == 4
    assert 'undefined string "$b"' in report.rejected[0].reason


def test_no_file_is_included(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.txt", "the secret")
    write(tmp_path, "a.yar", f'include "{secret}"\n{rule("word", "true")}')
    (rejected,) = load([tmp_path]).rejected
    assert rejected.line == 1
    assert "includes are disabled" in rejected.reason
    assert "the secret" not in str(rejected)


def test_a_compiled_rule_is_not_a_rule(tmp_path: Path) -> None:
    (tmp_path / "a.yar").write_bytes(b"YARA\x15\x00\x00\x00\xff\xfe compiled")
    (rejected,) = load([tmp_path]).rejected
    assert "UTF-8" in rejected.reason


def test_external_variables_do_not_exist(tmp_path: Path) -> None:
    write(tmp_path, "a.yar", rule("word", 'filename == "x"'))
    (rejected,) = load([tmp_path]).rejected
    assert 'undefined identifier "filename"' in rejected.reason


def test_a_rule_that_never_ends_is_rejected(tmp_path: Path) -> None:
    write(tmp_path, "a.yar", rule("endless", "for all i in (0..9000000000) : (i < 9000000001)"))
    write(tmp_path, "b.yar", rule("good", "true", n=1))
    report = load([tmp_path])
    assert "does not end" in report.rejected[0].reason
    assert [one.name for one in report.rules] == ["good"]


def test_an_id_is_taken_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yar", rule("first", "true"))
    write(tmp_path, "b.yar", rule("second", "true"))
    report = load([tmp_path])
    assert [one.name for one in report.rules] == ["first"]
    assert "is taken by" in report.rejected[0].reason


def test_a_slow_string_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, "a.yar", rule("slow", "$a", strings='$a = "c"'))
    (warned,) = load([tmp_path]).warnings
    assert "slow down" in warned.message


def test_a_path_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="there is no"):
        load([tmp_path / "nowhere"])
