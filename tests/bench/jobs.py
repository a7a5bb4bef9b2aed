"""How many records a second `soc detect` judges from end to end, by --jobs 1 and --jobs 2 in turn.

    python -m tests.bench.jobs [--records 200000] [--rounds 3]

Sshd records in one file, under the rules of this repository and one that matches marked records:
none is marked, then each hundredth. Wall-clock seconds of the whole command, its start included;
medians. Its start alone is what one record takes. Whatever else runs on the machine falsifies it.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.data import ROOT

JOBS = (1, 2)
EVERY = 100
RULE = """\
title: Marked
id: 5e6f3b1c-7c7e-4b52-9a35-6f1d3a0f7d11
status: test
level: high
logsource: {product: linux, service: sshd}
detection:
  marked: {user.name|startswith: marked}
  condition: marked
"""


def lines(number: int, marked: bool) -> Iterator[str]:
    """Yield sshd records, each hundredth marked when asked for."""
    for n in range(number):
        seconds = n // 100 % 86_400
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        user = f"marked{n}" if marked and n % EVERY == 0 else f"clerk{n % 500}"
        yield (
            f"2026-11-21T{clock}Z web{n % 7:02} sshd[{1000 + n % 30_000}]: Accepted publickey "
            f"for {user} from 10.1.{n % 8}.{n % 200} port {1024 + n % 60_000} ssh2\n"
        )


def run(home: Path, log: Path, jobs: int) -> tuple[float, bytes]:
    """Run the command; return its seconds and its findings."""
    rules = [
        word
        for path in (ROOT / "rules" / "sigma", home / "rules")
        for word in ("--rules", str(path))
    ]
    command = [sys.executable, "-m", "soc", "detect", str(log), *rules, "--quiet"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SOC_", "XDG_"))}
    home_of = {"HOME": str(home), "SOC_PATHS__STATE": str(home / "state"), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        subprocess.run(
            [*command, "--jobs", str(jobs)], cwd=home, env=clean | home_of, stdout=out, check=True
        )
        seconds = time.perf_counter() - began
        out.seek(0)
        return seconds, out.read()


def measure(home: Path, log: Path, rounds: int, wanted: int) -> list[float]:
    """Return the median seconds of each number of jobs; all must find the same."""
    times: dict[int, list[float]] = {jobs: [] for jobs in JOBS}
    first = b""
    for _ in range(rounds):
        for jobs, some in times.items():
            seconds, found = run(home, log, jobs)
            some.append(seconds)
            first = first or found
            told = len(found.splitlines())
            if found != first or told != wanted:
                sys.exit(f"--jobs {jobs}: {told} findings, {wanted} were expected, all the same")
    return [median(some) for some in times.values()]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home, log = Path(place), Path(place) / "auth.log"
        (home / "rules").mkdir()
        (home / "rules" / "marked.yml").write_text(RULE, "utf-8")
        log.write_text("".join(lines(1, marked=False)), "utf-8")
        run(home, log, 1)  # the loaded rules are kept
        start = measure(home, log, options.rounds, 0)
        print(f"{platform.machine()} Python {platform.python_version()}, {options.records} records")
        print(f"start of --jobs 1 {start[0]:.2f} s")
        print("findings  --jobs 1, records/s  --jobs 2, records/s  ratio")
        for marked in (False, True):
            with log.open("w", encoding="utf-8") as file:
                file.writelines(lines(options.records, marked))
            wanted = -(-options.records // EVERY) if marked else 0
            one, two = measure(home, log, options.rounds, wanted)
            rates = [round(options.records / seconds) for seconds in (one, two)]
            print(f"{wanted:8,}{rates[0]:21,}{rates[1]:21,}{one / two:7.2f}", flush=True)


if __name__ == "__main__":
    main()
