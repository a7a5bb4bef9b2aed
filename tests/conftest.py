"""What all tests share: golden files, refreshed only by `pytest --golden-update`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

Golden = Callable[[Path, Any], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-update",
        action="store_true",
        help="write the golden files instead of comparing with them; review the diff",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return a function that compares a JSON value with a golden file."""
    update: bool = request.config.getoption("--golden-update")

    def compare(path: Path, value: Any) -> None:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
        if update:
            path.write_bytes(text)
        assert path.is_file(), f"{path.name} is missing; make it with --golden-update"
        assert orjson.loads(text) == orjson.loads(path.read_bytes())

    return compare
