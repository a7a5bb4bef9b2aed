"""How many events a second the Sigma engine takes on one core, beside RSigma when it is there.

    python -m tests.bench.sigma [--rsigma PATH] [--rounds 5] [--events 24000] [--json]

Loads: an attack mix, its process creations, and ordinary records of which 1 % are attacks (see
`tests/bench/sigma_events.py`; fixed seed), under the 3,141 rules in `rules/` of SigmaHQ, routed by
the fields product, service and category. From JSON lines and from stored events (dicts); finding
documents are written out. Each measurement is a process of its own, pinned to one core; CPU
seconds are counted, the time to load the rules is left out on both sides. `cold` is the first pass
over the file, in which the plans are made; RSigma makes its own while it loads. The rate is that
of a process that has run for a while: CPython specialises a rule's code after some calls, so it is
the median of the last five of twelve passes. `two` is what two processes take of the lines, each
half of them on a core of its own at the same time, by the clock.
"""

import argparse
import gc
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from detectors.sigma.engine import Engine
from detectors.sigma.load import load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.rule import Rule
from soc.cli.main import YOUNG
from soc.model.finding import Finding
from tests.bench.sigma_events import mixed, records
from tests.data import ROOT, archive

BATCH = 256
PASSES = 12
LOADS = ("attack", "creation", "mixed")
Result = dict[str, Any]


def rule_folder() -> Path:
    """Return the rules of the benchmark."""
    return archive("sigmahq-rules") / "rules"


def make(folder: Path, number: int) -> None:
    """Write the events of each load, and the pipeline that routes them."""
    rules = load([rule_folder()]).rules
    attacks = records(rules, Pipelines.load([ROOT / "rules" / "pipelines"]), number)
    material = {
        "attack": attacks,
        "creation": [r for r in attacks if r["category"] == "process_creation"],
        "mixed": mixed(attacks, number),
    }
    for name, found in material.items():
        lines = b"".join(orjson.dumps(record) + b"\n" for record in found)
        (folder / f"{name}.ndjson").write_bytes(lines)
    (folder / "pipeline.yml").write_text(pipeline(rules), "utf-8")


def pipeline(rules: Sequence[Rule]) -> str:
    """Return a pipeline that finds each log source in the fields product, category, service."""
    entries = ["title: Benchmark", "logsources:"]
    for source in sorted({rule.logsource.parts() for rule in rules}):
        parts = dict(zip(("product", "category", "service"), source, strict=True))
        named = json.dumps({name: value for name, value in parts.items() if value})
        entries += [f"  - logsource: {named}", f"    events: [{named}]"]
    return "\n".join(entries) + "\n"


def worker(folder: Path, name: str, form: str, part: int = 0, parts: int = 1) -> Result:
    """Measure one load, or a part of it, in this process."""
    started = time.process_time()
    rules = load([rule_folder()]).rules
    engine = Engine(rules, Pipelines.load([folder / "pipeline.yml"]))
    loaded = time.process_time() - started
    lines = (folder / f"{name}.ndjson").read_bytes().splitlines()
    lines = lines[len(lines) * part // parts : len(lines) * (part + 1) // parts]
    material: list[Any] = lines if form == "lines" else [orjson.loads(line) for line in lines]
    evaluate = engine.evaluate_lines if form == "lines" else engine.evaluate_batch
    gc.set_threshold(YOUNG)
    times, clock = [], 0.0
    for _ in range(PASSES):
        started, began = time.process_time(), time.perf_counter()
        with open(os.devnull, "wb") as out:
            for start in range(0, len(material), BATCH):
                out.writelines(documents(evaluate(material[start : start + BATCH])))
        times.append(time.process_time() - started)
        clock = time.perf_counter() - began
    # Not ru_maxrss: that of a process begins with what its parent had.
    (peak,) = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    result = {"events": len(lines), "load": loaded, "cold": times[0], "warm": median(times[-5:])}
    return result | {"mb": int(peak) // 1024, "clock": clock}


def documents(found: list[list[Finding]]) -> Iterator[bytes]:
    """Yield each finding as a line of JSON."""
    for row in found:
        for finding in row:
            yield finding.as_json() + b"\n"


def apart(folder: Path, name: str, form: str, core: int, part: int = 0, parts: int = 1) -> Result:
    """Measure one load, or a part of it, in a process of its own on one core."""
    command = [sys.executable, "-m", "tests.bench.sigma", "--worker", str(folder), name, form]
    command += [str(part), str(parts)]
    done = subprocess.run(
        command, capture_output=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    result: Result = json.loads(done.stdout)
    return result


def both(folder: Path, name: str) -> float:
    """Return lines a second of two processes on two cores, by the clock of the slower."""
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(apart, folder, name, "lines", core, core, 2) for core in (0, 1)]
        found = [run.result() for run in runs]
    return sum(run["events"] for run in found) / max(run["clock"] for run in found)


def rsigma(binary: Path, events: Path, core: int) -> tuple[float, int, list[str]]:
    """Return CPU seconds, peak MB and the ids of the rules that RSigma reports."""
    command = [str(binary), "engine", "eval", "-r", str(rule_folder()), "-e", f"@{events}"]
    command += ["--output-format", "ndjson", "--logsource-routing", "-q"]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        out.seek(0)
        ids = [json.loads(line).get("rule_id", "") for line in out]
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, ids


def differences(folder: Path, name: str, ids: list[str]) -> dict[str, int]:
    """Return the rules that fired more often here (positive) or at RSigma (negative)."""
    rules = load([rule_folder()]).rules
    engine = Engine(rules, Pipelines.load([folder / "pipeline.yml"]))
    lines = (folder / f"{name}.ndjson").read_bytes().splitlines()
    mine = Counter(f.rule.id for row in engine.evaluate_lines(lines) for f in row)
    mine.subtract(ids)
    titles = {rule.id: rule.info.title for rule in rules}
    return {titles.get(found, found): count for found, count in mine.items() if count}


def measure(folder: Path, name: str, options: argparse.Namespace) -> Result:
    """Return the medians of one load, both engines in turn."""
    empty = folder / "empty.ndjson"
    empty.write_bytes(b"{}\n")
    mine: dict[str, list[Result]] = {"lines": [], "dicts": []}
    theirs: list[float] = []
    memory, ids = 0, list[str]()
    for _ in range(options.rounds):
        for form, found in mine.items():
            found.append(apart(folder, name, form, options.core))
        if options.rsigma:
            base, _, _ = rsigma(options.rsigma, empty, options.core)
            spent, memory, ids = rsigma(options.rsigma, folder / f"{name}.ndjson", options.core)
            theirs.append(spent - base)
    events = mine["lines"][0]["events"]
    result: Result = {"load": name, "events": events}
    for form, runs in mine.items():
        result[form] = round(events / median(run["warm"] for run in runs))
        result[f"{form}_cold"] = round(events / median(run["cold"] for run in runs))
        result[f"{form}_mb"] = max(run["mb"] for run in runs)
    result["two"] = round(median(both(folder, name) for _ in range(options.rounds)))
    result["load_seconds"] = round(median(run["load"] for run in mine["lines"]), 2)
    if theirs:
        result["rsigma"] = round(events / median(theirs))
        result["rsigma_mb"] = memory
        result["ratio_lines"] = round(result["lines"] / result["rsigma"], 2)
        result["ratio_dicts"] = round(result["dicts"] / result["rsigma"], 2)
        result["findings"] = len(ids)
        result["differences"] = differences(folder, name, ids)
    return result


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--worker"]:
        folder, name, form, part, parts = sys.argv[2:]
        print(json.dumps(worker(Path(folder), name, form, int(part), int(parts))))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rsigma", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=24_000)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        make(folder, options.events)
        results = [measure(folder, name, options) for name in LOADS]
    if options.json:
        print(json.dumps(results))
        return
    print(f"{platform.machine()} Python {platform.python_version()}, one core, events a second")
    for result in results:
        print(", ".join(f"{name} {value}" for name, value in result.items()))


if __name__ == "__main__":
    main()
