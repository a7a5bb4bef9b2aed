"""Sigma filters: joined to the rule with AND, as pySigma does it."""

from pathlib import Path

import pytest

from detectors.sigma.reference import Reference
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

RULE_ID = "00000000-0000-4000-8000-000000000001"
ID = "0abcdefa-0000-4000-8000-00000000000f"
RULE = rule("s: {F: x}\ncondition: s", head="name: my_rule\n")


def narrowing(rules: str, condition: str = "not selection", title: str = "Quiet") -> str:
    return (
        f"title: {title}\nlogsource: {{product: test}}\nfilter:\n  rules: {rules}\n"
        f"  selection: {{User|startswith: adm_}}\n  condition: {condition}\n"
    )


def hits(folder: Path, *texts: str) -> tuple[bool, bool]:
    """Return whether the rule fires for adm_lan and for minh."""
    reference = Reference(load_text(folder, RULE, *texts).rules, pipelines(folder))
    events = ({"event.dataset": "test", "F": "x", "User": user} for user in ("adm_lan", "minh"))
    adm, other = (bool(reference.evaluate(event)) for event in events)
    return adm, other


def test_a_filter_leaves_out_what_it_excludes(tmp_path: Path) -> None:
    assert hits(tmp_path, narrowing("[00000000-0000-4000-8000-000000000001]")) == (False, True)


def test_a_filter_finds_rules_by_name_and_takes_any(tmp_path: Path) -> None:
    assert hits(tmp_path, narrowing("[my_rule]")) == (False, True)
    assert hits(tmp_path, narrowing("any")) == (False, True)
    assert hits(tmp_path, narrowing("my_rule")) == (False, True)


def test_other_rules_and_other_log_sources_stay_as_they_are(tmp_path: Path) -> None:
    assert hits(tmp_path, narrowing("[other]")) == (True, True)
    elsewhere = narrowing("any").replace("product: test", "product: other")
    assert hits(tmp_path, elsewhere) == (True, True)


def test_a_condition_without_not_keeps_only_what_it_names_and_warns(tmp_path: Path) -> None:
    assert hits(tmp_path, narrowing("any", "selection")) == (True, False)
    (warning,) = load_text(tmp_path).warnings
    assert "not selection" in warning.message
    assert warning.line == 6


def test_a_filter_without_rules_to_narrow_warns(tmp_path: Path) -> None:
    report = load_text(tmp_path, narrowing("[nobody]"))
    assert "applies to no loaded rule" in report.warnings[0].message


def test_a_filter_without_rules_key_is_rejected(tmp_path: Path) -> None:
    report = load_text(tmp_path, narrowing("any").replace("  rules: any\n", ""))
    assert "filter.rules is missing" in report.rejected[0].reason


@pytest.mark.parametrize("rules", ["[]", "[{id: my_rule}]", "[[my_rule]]", "[my_rule, null]", ""])
def test_a_filter_that_names_rules_badly_narrows_nothing(tmp_path: Path, rules: str) -> None:
    assert hits(tmp_path, narrowing(rules)) == (True, True)
    (found,) = load_text(tmp_path).rejected
    assert (found.line, found.reason) == (4, "filter.rules names rules by id or name, or is `any`")


def test_the_case_of_an_id_does_not_count(tmp_path: Path) -> None:
    upper = RULE.replace(RULE_ID, ID.upper())
    for mine, named in ((upper, ID), (RULE.replace(RULE_ID, ID), ID.upper())):
        report = load_text(tmp_path, mine, narrowing(f"[{named}]"))
        assert not report.warnings
        assert len(report.rules[0].selections) == 2


def test_many_filters_on_one_rule_each_count(tmp_path: Path) -> None:
    texts = [
        narrowing("any", title="Same").replace("adm_", prefix)
        for prefix in ["other_"] * 300 + ["adm_"]
    ]
    (tmp_path / "filters.yml").write_text("---\n".join(texts))
    assert hits(tmp_path) == (False, True)


def test_the_reason_names_the_filter(tmp_path: Path) -> None:
    report = load_text(tmp_path, RULE, narrowing("any"))
    reference = Reference(report.rules, pipelines(tmp_path))
    (finding,) = reference.evaluate({"event.dataset": "test", "F": "x"})
    assert "Quiet" in str(finding.reason.as_dict())
