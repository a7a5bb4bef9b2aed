"""What all tests share: golden files are rewritten only when that is asked for."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --golden-update; the diff it makes is read by a person."""
    parser.addoption("--golden-update", action="store_true", help="rewrite golden files")


@pytest.fixture
def golden_update(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten instead of compared."""
    return bool(request.config.getoption("--golden-update"))
