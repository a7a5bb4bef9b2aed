"""Run the benchmarks one after the other and write what they print to docs/benchmarks.md.

python -m tests.bench.report [NAME ...]     all of them takes about ten minutes
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime

from tests.data import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
BENCHES = {
    "parsers": ["--seconds", "2"],
    "store": ["--events", "1000000"],
    "sigma_reference": [],
    "packets": [],
    "yara": [],
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


def section(name: str) -> str:
    """Run one benchmark and return its section."""
    words = ["python", "-m", f"tests.bench.{name}", *BENCHES[name]]
    before = machine()
    ran = subprocess.run(
        [sys.executable, *words[1:]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    said = ran.stdout.strip()
    table = said if said.startswith("|") else f"```\n{said}\n```"
    return f"\n## {name}\n\n`{' '.join(words)}`\n\n{before}\n\n{table}\n"


def main() -> None:
    """Renew the sections that are named, all of them without a name."""
    wanted = sys.argv[1:] or list(BENCHES)
    text = PAGE.read_text("utf-8") if PAGE.exists() else INTRODUCTION
    head, *parts = text.split("\n## ")
    sections = {part.partition("\n")[0]: f"\n## {part}" for part in parts}
    for name in wanted:
        print(name, file=sys.stderr)
        sections[name] = section(name)
        body = "".join(f"{part.rstrip()}\n" for part in sections.values())
        PAGE.write_text(f"{head.rstrip()}\n{body}", "utf-8")


if __name__ == "__main__":
    main()
