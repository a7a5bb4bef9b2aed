"""What all tests share: golden files are rewritten only when that is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import settings

Golden = Callable[[Path, Any], None]


# The same examples on every run: what passed here passes in CI. `--hypothesis-profile=default`
# (as in soak) looks for new ones.
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --golden-update; the diff it makes is read by a person."""
    parser.addoption("--golden-update", action="store_true", help="rewrite golden files")


@pytest.fixture
def golden_update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--golden-update"))


@pytest.fixture
def golden(golden_update: bool) -> Golden:
    """Return a function that compares a JSON value with a golden file."""

    def compare(path: Path, value: Any) -> None:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
        if golden_update:
            path.write_bytes(text)
        assert path.is_file(), f"{path.name} is missing; make it with --golden-update"
        assert orjson.loads(text) == orjson.loads(path.read_bytes())

    return compare
