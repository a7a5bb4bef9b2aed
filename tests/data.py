"""Where the tests find real material: rules, samples, captures that are not part of the project.

The archives lie in `$METROSOC_TEST_DATA` or in `../shared/data` beside the checkout. Without them
the suites that need them are skipped, and fail where CI=true.
"""

import hashlib
import os
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def material(name: str) -> Path:
    """Return a file of the test material; skip the test (fail in CI) where it is missing."""
    place = Path(os.environ.get("METROSOC_TEST_DATA", ROOT.parent / "shared" / "data")) / name
    if not place.is_file():
        missing = f"test material is missing: set METROSOC_TEST_DATA ({place} does not exist)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return place


@cache
def archive(name: str) -> Path:
    """Return a folder with the contents of `NAME.tar.xz`, unpacked once per version of it."""
    packed = material(f"{name}.tar.xz")
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()[:16]
    target = Path(tempfile.gettempdir()) / f"metrosoc-test-data-{os.getuid()}" / f"{name}-{digest}"
    if not target.is_dir():
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            with tarfile.open(packed) as tar:
                # Python 3.11.2 (Debian 12) has no filters; the archives are our own test material.
                safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
                tar.extractall(Path(scratch) / "x", **safely)
            try:
                (Path(scratch) / "x").rename(target)
            except OSError:  # another test process was first
                if not target.is_dir():
                    raise
    return target
