"""Events a second that one core parses to full ECS: `python -m tests.bench.parsers [--json]`.

Each parser gets its example over and over, with an address, a time and a position that change, so
that no cache answers for all of them. The target is 20,000 events a second.
"""

import argparse
import platform
import time
from datetime import UTC, datetime

import orjson

from collectors.frame import Frame, Source
from collectors.normalise import Normaliser
from collectors.parsing import KIND, Parser, parser
from soc.model.event import nest
from soc.registry import plugins

RECEIVED = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TARGET = 20_000


def frames_of(name: str, count: int) -> list[Frame]:
    """Return variants of a parser's example."""
    example = parser(name).example
    return [
        Frame(
            example.replace("203.0.113.9", f"203.0.{n % 250}.{n % 199}")
            .replace("08:15:30", f"08:{n // 60 % 60:02}:{n % 60:02}")
            .encode(),
            str(n * len(example)),
            n * len(example),
        )
        for n in range(count)
    ]


def reader_of(name: str) -> Parser:
    """Return the parser that reads a file of such lines."""
    found = parser(name)
    whole_lines = found.recognise(found.example) or not found.programs
    return found if whole_lines else parser("syslog")


def measure(name: str, seconds: float, *, encode: bool) -> float:
    """Return events a second of CPU time, the best of the rounds that fit into the time."""
    normaliser = Normaliser(Source(b"k" * 32, observer="node1", path="x.log"), reader_of(name))
    frames = frames_of(name, 2000)
    best, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        start, events = time.process_time(), 0
        for frame in frames:
            for event in normaliser.events(frame, RECEIVED):
                events += 1
                if encode:
                    orjson.dumps(nest(event))
        best = max(best, events / (time.process_time() - start))
    return best


def main() -> None:
    """Measure every parser and print a table or JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--json", action="store_true")
    arguments.add_argument("--seconds", type=float, default=1.0, help="per figure")
    options = arguments.parse_args()
    figures = {
        name: {
            "events_per_second": round(measure(name, options.seconds, encode=False)),
            "with_ndjson": round(measure(name, options.seconds, encode=True)),
        }
        for name in plugins(KIND)
    }
    if options.json:
        print(orjson.dumps({"python": platform.python_version(), "parsers": figures}).decode())
        return
    print(f"{'parser':<16}{'events/s':>10}{'+ NDJSON':>10}   target {TARGET:,}")
    for name, row in figures.items():
        print(f"{name:<16}{row['events_per_second']:>10,}{row['with_ndjson']:>10,}")


if __name__ == "__main__":
    main()
