"""Run the benchmarks one after the other and write what they print to docs/benchmarks.md.

python -m tests.bench.report               all of them, about ten minutes
python -m tests.bench.report NAME [ARG ...]  one of them, with arguments of its own
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.data import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
BENCHES = {
    "parsers": ["--seconds", "2"],
    "receive": [],
    "store": ["--events", "1000000"],
    "sigma_reference": [],
    "sigma": ["--rounds", "3"],
    "jobs": [],
    "delivery": ["--events", "100000"],
    "packets": [],
    "yara": [],
    "worker": ["--seconds", "20"],
}
INTRODUCTION = """\
# Benchmarks

Measured figures, each with the command that makes it; `python -m tests.bench.report` writes this
page. They gate nothing: machines differ. What counts is the CPU time on one core.
"""


def machine() -> str:
    """Return what it was measured on."""
    with open("/proc/cpuinfo") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({model}), "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} before the run."
    )


def section(name: str, arguments: list[str]) -> str:
    """Run one benchmark and return its section; paths of this machine are not told."""
    words = ["python", "-m", f"tests.bench.{name}", *arguments]
    before = machine()
    ran = subprocess.run(
        [sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = ran.stdout.strip()
    table = said if said.startswith("|") else f"```\n{said}\n```"
    return (
        f"\n## {name}\n\n`{' '.join(Path(word).name for word in words)}`\n\n{before}\n\n{table}\n"
    )


def main() -> None:
    """Renew the section that is named, all of them without a name."""
    name, *arguments = sys.argv[1:] or [""]
    wanted = {name: arguments or BENCHES[name]} if name else BENCHES
    text = PAGE.read_text("utf-8") if PAGE.exists() else INTRODUCTION
    head, *parts = text.split("\n## ")
    sections = {part.partition("\n")[0]: f"\n## {part}" for part in parts}
    for name, given in wanted.items():
        print(name, file=sys.stderr)
        sections[name] = section(name, given)
        body = "".join(f"{part.rstrip()}\n" for part in sections.values())
        PAGE.write_text(f"{head.rstrip()}\n{body}", "utf-8")


if __name__ == "__main__":
    main()
