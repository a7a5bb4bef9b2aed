"""What a scan holds in memory, and that nothing is missed for it."""

import random
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.engine import Engine, scan
from detectors.sigma.engine.literals import Lit
from detectors.sigma.engine.scan import END, Scanner
from detectors.sigma.engine.words import words_of
from tests.detectors.sigma.engine.same import assert_same
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

BASE = {"event.dataset": "test", "event.id": "000000000000-aa", "ecs.version": "9.5.0"}
BASE |= {"@timestamp": "2026-01-01T00:00:00.000000Z"}
SLOT = ("F",)
TEXTS = st.text("ab", min_size=1, max_size=7)


@given(st.sets(TEXTS, min_size=1), st.lists(TEXTS, max_size=5), st.sampled_from([3, 8, 1000]))
def test_what_is_there_is_found_however_texts_end_in_each_other(
    literals: set[str], values: list[str], size: int
) -> None:
    bits = {Lit(SLOT, text): 1 << number for number, text in enumerate(sorted(literals))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "CHUNK", size)
        patch.setattr(scan, "MOST", size)
        scanner = Scanner([SLOT], bits)
        found = [0] * len(values)
        head, tail = scanner.marks
        scanner.sift([part for value in values for part in (head, value, tail, END)], found)
        alone = [scanner.found(f"{head}{value}{tail}".encode()) for value in values]
    wanted = [sum(bit for lit, bit in bits.items() if lit.text in value) for value in values]
    assert found == alone
    assert [mine & ours for mine, ours in zip(wanted, found, strict=True)] == wanted


def test_texts_that_end_in_each_other_are_found_a_few_at_a_time() -> None:
    scanner = Scanner([SLOT], {Lit(SLOT, "a" * n): 1 << n for n in range(1, 1_000)})
    found = scanner._matches(b"a" * 10_000)
    assert len(found) <= 5 * 10_000
    assert scanner.found(b"a" * 999) == sum(1 << n for n in range(1, 1_000))


def test_a_long_run_of_such_texts_costs_bounded_time(tmp_path: Path) -> None:
    lines = "\n".join(f"  - '{'a' * n}'" for n in range(1, 1_500))
    text = f"t: {{H: here}}\ns:\n  F|contains:\n{lines}\ncondition: t and not s"
    report = load_text(tmp_path, rule(text, number=1))
    engine = Engine(report.rules, pipelines(tmp_path))
    started = time.process_time()
    (found, nothing) = engine.evaluate_batch(
        [{**BASE, "F": "b" * 1_000_000, "H": "here"}, {**BASE, "F": "a" * 1_000_000}]
    )
    assert (len(found), nothing) == (1, [])
    assert time.process_time() - started < 3


def test_batches_of_long_and_short_events_are_judged_the_same(tmp_path: Path) -> None:
    dice = random.Random(20261127)
    words = ["evil", "worse", "worst"]
    rules = [rule(f"a: {{F|contains: {w}}}\ncondition: a", number=n) for n, w in enumerate(words)]
    report = load_text(tmp_path, *rules)
    events: list[dict[str, Any]] = []
    for _ in range(60):
        filler = "x" * dice.choice([1, 100, 90_000])
        value = dice.choice([*words, END, "", "nothing"])
        events.append({**BASE, "F": f"{filler}{value}{filler}"})
    assert assert_same(report.rules, pipelines(tmp_path), events) > 10


def test_a_keyword_is_found_at_every_place_of_a_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "CHUNK", 50)
    words = words_of(frozenset({b"mimikatz"}))
    for place in range(120):
        assert words.may_be_in(b"x" * place + b"mimikatz" + b"x" * (120 - place))
    assert not words.may_be_in(b"mimikat" * 30)
