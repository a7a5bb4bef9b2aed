"""Run a command with a server of its own: python -m tests.elastic.serve pytest -m elastic -n 2.

Processes of one test run share it by the variables that name any cluster (`tests.elastic.cluster`).
`--fetch` alone gets the server into the cache.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.elastic.server import Missing, installed, single


def main(command: list[str]) -> int:
    """Return the command's exit code; without a server it runs all the same, unless CI=true."""
    try:
        installed()
    except Missing as missing:
        if os.environ.get("CI") == "true":
            print(f"Elasticsearch for tests: {missing}", file=sys.stderr)
            return 1
        return 0 if command == ["--fetch"] else subprocess.run(command, check=False).returncode
    return 0 if command == ["--fetch"] else _served(command)


def _served(command: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="metrosoc-es-") as root:
        node = single(Path(root))
        known = {"URL": node.url, "USER": "admin", "PASSWORD": node.password, "CA": str(node.ca)}
        named = {f"METROSOC_TEST_ES_{name}": value for name, value in known.items()}
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            return subprocess.run(command, env=os.environ | named, check=False).returncode
        finally:
            node.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
