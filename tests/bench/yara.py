"""Files a second and MiB a second through the YARA scanner: `python -m tests.bench.yara [--json]`.

10,000 small files like those of a web site, then a few large ones, with the rules that come with
soc. The child process is the one that works, so wall time is measured, the best of the rounds.
"""

import argparse
import json
import platform
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

import rules
from detectors.yara.load import load
from detectors.yara.scanner import Scanner
from detectors.yara.walk import open_files

FILES = 10_000
LARGE = 8
SIZE = 16 << 20

PAGE = '<?php require \'a.php\'; ?>\n<div class="row"><a href="/tin-tuc/{n}">Bài {n}</a></div>\n'


def site(folder: Path) -> None:
    """Write small files: pages, styles, pictures."""
    rng = random.Random(4)
    for n in range(FILES):
        place = folder / str(n % 100)
        place.mkdir(exist_ok=True)
        if n % 3:
            data = (PAGE.format(n=n) * rng.randrange(1, 60)).encode()
        else:
            data = b"\x89PNG\r\n\x1a\n" + rng.randbytes(rng.randrange(200, 6000))
        (place / f"{n}.dat").write_bytes(data)


def large(folder: Path) -> None:
    """Write a few large files of text and noise."""
    rng = random.Random(5)
    page = (PAGE.format(n=1) * 200).encode()
    for n in range(LARGE):
        data = rng.randbytes(SIZE) if n % 2 else (page * (SIZE // len(page) + 1))[:SIZE]
        (folder / f"{n}.dat").write_bytes(data)


def measure(make: Callable[[Path], None], rounds: int) -> dict[str, float]:
    """Return files and MiB a second, and the peak memory of the child in MiB."""
    report = load([rules.YARA])
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(folder)
        for _ in range(rounds):
            with Scanner(report) as scanner:
                start, files, size = time.perf_counter(), 0, 0
                for file in open_files([folder], lambda error: None):
                    size += scanner.scan(file).size
                    files += 1
                spent = time.perf_counter() - start
                peak = psutil.Process(scanner.pid).memory_info().rss
            if not best or files / spent > best["files_per_second"]:
                best = {
                    "files": files,
                    "files_per_second": round(files / spent),
                    "mib_per_second": round(size / spent / (1 << 20), 1),
                    "child_rss_mib": round(peak / (1 << 20)),
                }
    return best


def main() -> None:
    """Measure and print a table or JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    figures = {
        "small": measure(site, options.rounds),
        "large": measure(large, options.rounds),
    }
    if options.json:
        print(json.dumps({"python": platform.python_version(), "yara": figures}))
        return
    print(f"{'files':<8}{'count':>8}{'files/s':>10}{'MiB/s':>8}{'child MiB':>11}")
    for name, row in figures.items():
        print(
            f"{name:<8}{row['files']:>8,}{row['files_per_second']:>10,}"
            f"{row['mib_per_second']:>8,}{row['child_rss_mib']:>11}"
        )


if __name__ == "__main__":
    main()
