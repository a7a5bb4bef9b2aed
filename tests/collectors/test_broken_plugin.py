"""A parser that does not load is one warning; the others go on."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import collectors.parsers
from collectors import normalise, parsing
from soc import registry
from tests.command import soc


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[None]:
    (tmp_path / "aaa_broken.py").write_text('"""Breaks."""\nraise RuntimeError("no")\n')
    places = collectors.parsers.__path__
    places.append(str(tmp_path))
    caches = (registry.plugins, parsing.parser, parsing.parsers, normalise._by_program)
    for one in caches:
        one.cache_clear()
    yield
    places.remove(str(tmp_path))
    for one in caches:
        one.cache_clear()
    sys.modules.pop("collectors.parsers.aaa_broken", None)


def test_a_broken_parser_is_one_warning(broken: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "soc.collect"):
        found = {parser.name for parser in parsing.parsers()}
        assert normalise.parsers_of("sshd")
        parsing.parsers()
    assert {"sshd", "syslog", "windows_json"} <= found
    assert "aaa_broken" not in found
    assert [record.getMessage().count("aaa_broken") > 0 for record in caplog.records] == [True]


def test_listing_parsers_imports_none(tmp_path: Path) -> None:
    ran = soc("collect", "parsers", "-f", "csv", home=tmp_path)
    assert ran.code == 0
    assert "windows_evtx,Windows" in ran.out
