"""Running `soc` as a person does: a process of its own, its exit code and what it printed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[dict[str, Any]]:
        """Return standard output as NDJSON."""
        return [orjson.loads(line) for line in self.out.splitlines()]


def soc(
    *arguments: str | Path,
    home: Path,
    input: bytes = b"",
    environ: Mapping[str, str] = {},
    timeout: float = 60,
) -> Ran:
    """Run `soc` in the folder `home`, whose `state` is its state folder."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SOC_", "XDG_"))}
    ran = subprocess.run(
        [sys.executable, "-m", "soc", *map(str, arguments)],
        cwd=home,
        input=input,
        capture_output=True,
        timeout=timeout,
        check=False,
        env=clean | {"HOME": str(home), "SOC_PATHS__STATE": str(home / "state"), **environ},
    )
    return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())
