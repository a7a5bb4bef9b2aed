"""The triage guide of a rule: a Markdown file beside it, in the reader's language."""

from collections.abc import Sequence
from pathlib import Path

from detectors.sigma.load import rule_files
from detectors.yara import load as yara
from soc.i18n import languages
from soc.run.scanning import yara_paths


def guide(rule_id: str, rules: Sequence[Path]) -> str:
    """Return the guide of the rule with this id; empty when the rule or its guide is not found."""
    for path in (*rule_files(rules), *yara.rule_files(yara_paths(rules))):
        text = _text(path)
        if f"id: {rule_id}" in text or f'id = "{rule_id}"' in text:
            for name in (*(f"{path.stem}.{code}.md" for code in _codes()), f"{path.stem}.md"):
                if text := _text(path.with_name(name)):
                    return text
            return ""
    return ""


def _codes() -> list[str]:
    return [language.partition("_")[0].partition(".")[0] for language in languages()]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
