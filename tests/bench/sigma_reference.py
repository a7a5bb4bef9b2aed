"""How many events a second the reference evaluator takes, by number of rules.

    python -m tests.bench.sigma_reference [--rules DIR] [--seconds 3] [--json]

Rules: the SigmaHQ corpus of the test material unless a folder is given. Events: process creation
as Sysmon writes it, made up here, the same on every run; rules are those of that log source.
"""

import argparse
import json
import platform
import random
import time
from pathlib import Path
from typing import Any

from detectors.sigma.load import load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from detectors.sigma.rule import LogSource, Rule
from tests.data import ROOT, archive

CREATION = LogSource("windows", "process_creation")
COUNTS = (25, 100, 500, 10_000)
PROGRAMS = (
    "cmd.exe",
    "powershell.exe",
    "svchost.exe",
    "winword.exe",
    "rundll32.exe",
    "notepad.exe",
)
WORDS = (
    "-c",
    "/c",
    "-enc",
    "whoami",
    "start",
    "update",
    "C:\\Data\\report.docx",
    "http://a.example",
)


def events(number: int) -> list[dict[str, Any]]:
    """Return made-up Sysmon process creations, half of them with something odd in them."""
    dice = random.Random(7)
    return [_event(dice, index) for index in range(number)]


def _event(dice: random.Random, index: int) -> dict[str, Any]:
    image = f"C:\\Windows\\System32\\{dice.choice(PROGRAMS)}"
    line = " ".join([image, *dice.choices(WORDS, k=dice.randint(1, 12))])
    data = {
        "Image": image,
        "OriginalFileName": image.rpartition("\\")[2],
        "CommandLine": line,
        "ParentImage": f"C:\\Windows\\{dice.choice(PROGRAMS)}",
        "ParentCommandLine": f"C:\\Windows\\{dice.choice(PROGRAMS)} /run",
        "CurrentDirectory": "C:\\Users\\lan\\",
        "User": "CITY\\lan",
        "IntegrityLevel": "Medium",
        "Hashes": f"MD5={dice.getrandbits(128):032X},SHA256={dice.getrandbits(256):064X}",
        "Company": "Example",
        "Description": "An example",
        "Product": "Example",
        "ProcessId": str(dice.randint(1000, 9000)),
    }
    return {
        "@timestamp": "2026-11-22T08:15:30.000000Z",
        "ecs.version": "9.5.0",
        "event.id": f"{index:012x}-0",
        "event.dataset": "windows",
        "event.code": "1",
        "host.name": "ws01",
        "host.os.type": "windows",
        "winlog.channel": "Microsoft-Windows-Sysmon/Operational",
        "winlog.provider_name": "Microsoft-Windows-Sysmon",
        **{f"winlog.event_data.{name}": value for name, value in data.items()},
    }


def measure(rules: list[Rule], pipelines: Pipelines, seconds: float) -> dict[str, float]:
    """Return events per second and findings per event of one number of rules."""
    reference = Reference(rules, pipelines)
    material = events(2_000)
    reference.evaluate(material[0])
    done = found = 0
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        found += len(reference.evaluate(material[done % len(material)]))
        done += 1
    return {
        "rules": len(rules),
        "events": done,
        "events_per_second": round(done / elapsed, 1),
        "findings_per_event": round(found / done, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    started = time.perf_counter()
    report = load([options.rules or archive("sigmahq-rules")])
    elapsed = time.perf_counter() - started
    pipelines = Pipelines.load([ROOT / "rules" / "pipelines"])
    mine = [rule for rule in report.rules if rule.logsource == CREATION]
    random.Random(7).shuffle(mine)
    counts = sorted({min(count, len(mine)) for count in COUNTS})
    result = {
        "machine": f"{platform.machine()} Python {platform.python_version()}, 1 process",
        "loaded": len(report.rules),
        "rejected": len(report.rejected),
        "load_seconds": round(elapsed, 2),
        "rules_per_second": round(len(report.rules) / elapsed),
        "runs": [measure(mine[:count], pipelines, options.seconds) for count in counts],
    }
    if options.json:
        print(json.dumps(result))
        return
    print(f"{result['machine']}")
    print(f"{result['loaded']} rules loaded in {elapsed:.2f} s")
    print(f"{'rules':>6} {'events/s':>10} {'findings/event':>15}")
    for run in result["runs"]:
        numbers = (run["rules"], run["events_per_second"], run["findings_per_event"])
        print("{:>6} {:>10} {:>15}".format(*numbers))


if __name__ == "__main__":
    main()
