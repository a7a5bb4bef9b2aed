"""`soc/model/fields/named.tsv` is what pipelines and rules name of open-ended records."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import rules
from detectors.sigma import check_fields
from detectors.sigma.load import load
from detectors.sigma.pipeline import Source
from soc.model.ecs import named, table
from soc.run.detection import known_fields, pipelines
from tests.data import ROOT, archive

TABLE = ROOT / "soc" / "model" / "fields" / "named.tsv"


def of_pipelines() -> Iterator[str]:
    known = known_fields()
    for source in pipelines().sources:
        yield from (name for names in source.fields.values() for name in names)
        fields = known.get(str(source.logsource), ())
        yield from (name for field in fields for name in source.names(field))


def of_rules(paths: list[Path]) -> Iterator[str]:
    for rule in load(paths).rules:
        route = pipelines().route(rule.logsource)
        sources: Iterable[Source] = route.sources if route else ()
        fields = {one for item in check_fields.items(rule) for one in check_fields.named(item)}
        yield from (name for one in sources for field in fields for name in one.names(field))


def open_ended(names: Iterable[str]) -> set[str]:
    """Those that are no field of their own, but belong to a family."""
    families = tuple(name[:-1] for name in table() if name.endswith(".*"))
    listed = table().keys() - named()
    return {name for name in names if name.startswith(families) and name not in listed}


def test_what_is_shipped_is_named() -> None:
    assert open_ended([*of_pipelines(), *of_rules([rules.SIGMA])]) <= named()


@pytest.mark.slow
def test_the_table_is_what_pipelines_and_rules_name(golden_update: bool) -> None:
    found = open_ended([*of_pipelines(), *of_rules([rules.SIGMA, archive("sigmahq-rules")])])
    if golden_update:
        head = [one for one in TABLE.read_text("utf-8").splitlines() if one.startswith("#")]
        TABLE.write_text("\n".join([*head, *(f"{n}\tkeyword\tone" for n in sorted(found)), ""]))
    assert found == named(), "run it again with --golden-update"


def test_they_are_text_and_no_name_lies_below_another() -> None:
    names = named()
    assert all(table()[name].type == "keyword" for name in names)
    parents = {name[:i] for name in table() for i, char in enumerate(name) if char == "."}
    assert not names & parents
