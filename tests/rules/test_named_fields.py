"""`soc/model/fields/named.tsv` has what pipelines and rules name of open-ended records."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import rules
from detectors.sigma import check_fields
from detectors.sigma.load import load
from detectors.sigma.pipeline import Source
from soc.model.ecs import named, table
from soc.run.detection import known_fields, pipelines
from soc.store.elastic.fields import leaves
from tests.data import archive


def of_pipelines() -> Iterator[str]:
    for source in pipelines().sources:
        yield from (name for names in source.fields.values() for name in names)


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
def test_the_table_has_what_sigmahq_names_and_nothing_that_no_record_has() -> None:
    wanted = open_ended([*of_pipelines(), *of_rules([rules.SIGMA, archive("sigmahq-rules")])])
    assert wanted <= named(), "add them to the table"
    known = {name for told in known_fields().values() for name in told.known}
    had = {name for one in pipelines().sources for field in known for name in one.names(field)}
    assert named() - wanted <= had


@pytest.mark.slow
def test_elasticsearch_maps_what_is_named() -> None:
    found = {*of_pipelines(), *of_rules([rules.SIGMA, archive("sigmahq-rules")])}
    known = found & table().keys() | set(pipelines().tested)
    assert known - leaves().keys() == set()


def test_they_are_text_and_no_name_lies_below_another() -> None:
    names = named()
    assert all(table()[name].type == "keyword" for name in names)
    parents = {name[:i] for name in table() for i, char in enumerate(name) if char == "."}
    assert not names & parents
