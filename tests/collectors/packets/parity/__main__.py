"""Write docs/parity.md: `python -m tests.collectors.packets.parity`."""

from collections import Counter
from pathlib import Path

from tests.collectors.packets.parity import suricata, zeek
from tests.collectors.packets.parity.eve import IGNORED
from tests.collectors.packets.parity.verdict import Verdict, reasons, table
from tests.data import ROOT, archive

PAGE = ROOT / "docs" / "parity.md"
_LOGS = ("conn", "dns", "http", "ssl")


def page(ours: list[Verdict], theirs: list[Verdict]) -> str:
    """Return the page for the verdicts over Suricata's and Zeek's suites."""
    by_log = [Verdict(v.place, v.kind.partition(".")[0], v.outcome, v.reason) for v in theirs]
    lines = [
        "# Parity with Suricata and Zeek",
        "",
        "Made by `python -m tests.collectors.packets.parity`; a test pins the counts, they only"
        " rise. What counts is what our own dissector says about the suites' captures.",
        "",
        "## suricata-verify (half of the suite)",
        "",
        "A check is one `filter` on a flow, dns, http, tls or fileinfo record: so many records with"
        " these values. It is expressible if every key is a fact of the traffic that our events"
        " hold. Left out of the comparison: "
        + ", ".join(f"`{key}` ({why})" for key, why in sorted(IGNORED.items()))
        + ".",
        "",
        *table(ours),
        "",
        "Unmet:",
        "",
        *reasons(ours, "unmet"),
        "",
        *_places(ours),
        "",
        "Not expressible:",
        "",
        *reasons(ours, "not expressible"),
        "",
        "## Zeek's baselines (half of the suite)",
        "",
        "A check is one value of one row of conn, dns, http or ssl. Rows are found by addresses and"
        " ports, in order.",
        "",
        *table(by_log),
        "",
        *table(v for v in theirs if v.kind.partition(".")[2] and v.outcome != "not expressible"),
        "",
        "Unmet:",
        "",
        *reasons(theirs, "unmet"),
        "",
        *_places(theirs),
    ]
    return "\n".join(lines) + "\n"


def _places(verdicts: list[Verdict]) -> list[str]:
    """Return where the unmet checks are, in one paragraph."""
    counts = Counter(v.place for v in verdicts if v.outcome == "unmet")
    return ["In: " + ", ".join(f"{place} ({n})" for place, n in sorted(counts.items())) + "."]


def write(path: Path) -> None:
    """Run both suites and write the page."""
    ours = list(suricata.verdicts(archive("suricata-verify-half")))
    theirs = list(zeek.verdicts(archive("zeek-half")))
    path.write_text(page(ours, theirs))


if __name__ == "__main__":
    write(PAGE)
