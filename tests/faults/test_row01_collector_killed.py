"""Row 1: SIGKILL of `soc collect run` at random moments, the embedded store behind it."""

from contextlib import closing
from pathlib import Path

import pytest

from soc.store.open import open_store
from tests.elastic.flow import flow


@pytest.mark.slow
def test_every_line_is_stored_once_wherever_it_is_killed(tmp_path: Path) -> None:
    with flow(tmp_path, {"url": f"sqlite:{tmp_path}/store"}) as node:
        node.write_while_killed(lines=20_000, kills=25)
        with closing(open_store(tmp_path / "store")) as store:
            figures = node.check(store)
    assert figures["spool"]["pending"] == 0
    assert node.kills == 25
