"""Packets a second from a capture to events: `python -m tests.bench.packets [CAPTURE] [--json]`.

Without a capture it is made from the test material: every Ethernet capture of the archives, laid
over one another in time, as a busy link has them. Beside it, on the same file: `tshark -T fields`
with the fields an analyst asks for, where tshark is installed, and with `--peers PYTHON` nfstream
and pyshark of that interpreter's environment. The target is 50,000 packets a second and core. CPU
seconds count, not the clock on the wall: the machine may be busy.
"""

import argparse
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from collectors.packets.capture import Cutter
from collectors.packets.dissect import Dissector
from collectors.packets.reading import read_capture
from soc.errors import InputError
from soc.model.event import nest
from tests.collectors.packets.build import START, pcap
from tests.data import archive

RECEIVED = datetime(2026, 11, 23, tzinfo=UTC)
TARGET = 50_000
FIELDS = (
    *("frame.time_epoch", "frame.len", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst"),
    *("tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport", "dns.qry.name", "dns.a"),
    *("http.request.method", "http.host", "http.request.uri", "http.user_agent"),
    *("http.response.code", "tls.handshake.extensions_server_name"),
    *("tls.handshake.ja3", "tls.handshake.ja3s"),
)
_BIGGEST = 8 << 20
_APART = 20_000  # microseconds between the beginnings of two captures
_LONGEST = 600_000_000


def corpus() -> bytes:
    """Return one capture made of all Ethernet captures of the archives."""
    frames: list[tuple[int, bytes]] = []
    for name in ("zeek-half", "suricata-verify-half", "community-id"):
        for path in sorted(archive(name).rglob("*.pcap*")):
            if path.stat().st_size > _BIGGEST:
                continue
            one = [
                (at, data) for at, link, data, _ in Cutter().feed(path.read_bytes()) if link == 1
            ]
            start = START + len(frames) * _APART // 64
            for at, data in one:
                frames.append((start + max(0, min(at - one[0][0], _LONGEST)), data))
    frames.sort(key=lambda frame: frame[0])
    return pcap(frames)


def ours(path: Path, rounds: int, *, encode: bool) -> dict[str, Any]:
    """Return packets a second of CPU time, the best of some rounds, and what came out."""
    best, kinds, counters = 0.0, Counter[str](), Dissector().counters
    for _ in range(rounds):
        dissector, kinds = Dissector(), Counter[str]()
        start = time.process_time()
        try:
            for event in read_capture(path, received=RECEIVED, dissector=dissector):
                kinds[event["event.dataset"]] += 1
                if encode:
                    orjson.dumps(nest(event))
        except InputError as error:
            print(error, file=sys.stderr)
        counters = dissector.counters
        best = max(best, counters.frames / (time.process_time() - start))
    return {
        "packets_per_second": round(best),
        "frames": counters.frames,
        "decoded": counters.decoded,
        "other": counters.other,
        "refused": counters.refused,
        "events": dict(kinds),
    }


def tshark(path: Path, frames: int) -> dict[str, Any] | None:
    """Return the same for `tshark -T fields`, None where it is not installed."""
    program = shutil.which("tshark")
    if program is None:
        return None
    command = [program, "-n", "-r", str(path), "-T", "fields"]
    command += [part for name in ("json", "vnc") for part in ("--disable-protocol", name)]
    command += [part for name in FIELDS for part in ("-e", name)]
    return timed(command, frames)


def timed(command: list[str], frames: int) -> dict[str, Any] | None:
    """Return packets a second of CPU time of a program, None when it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(
        command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return None if ran.returncode else {"packets_per_second": round(frames / used)}


NFSTREAM = """
import sys
from nfstream import NFStreamer
if __name__ == "__main__":
    print(sum(1 for _ in NFStreamer(source=sys.argv[1], n_meters=1)))
"""
PYSHARK = """
import sys, itertools, pyshark
capture = pyshark.FileCapture(sys.argv[1], keep_packets=False)
print(sum(1 for _ in itertools.islice(capture, int(sys.argv[2]))))
capture.close()
"""
_PYSHARK_PACKETS = 2_000  # it is slow: more would say the same


def peers(python: str | None, path: Path, frames: int) -> dict[str, Any]:
    """Return the figures of nfstream and pyshark in another interpreter's environment."""
    if python is None:
        return {}
    # A file, not -c: nfstream's meters import the program again.
    script = path.with_name("nfstream_peer.py")
    script.write_text(NFSTREAM)
    few = min(frames, _PYSHARK_PACKETS)
    return {
        "nfstream": timed([python, str(script), str(path)], frames),
        "pyshark": timed([python, "-c", PYSHARK, str(path), str(few)], few),
    }


def run(path: Path, rounds: int, python: str | None) -> dict[str, Any]:
    """Return all figures for a capture."""
    events = ours(path, rounds, encode=False)
    return {
        "python": platform.python_version(),
        "bytes": path.stat().st_size,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "events": events,
        "events_as_json": ours(path, rounds, encode=True),
        "tshark": tshark(path, events["frames"]),
        **peers(python, path, events["frames"]),
    }


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("capture", nargs="?", type=Path)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--peers", metavar="PYTHON", help="has nfstream and pyshark")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.capture
        if path is None:
            path = Path(folder) / "corpus.pcap"
            path.write_bytes(corpus())
        found = run(path, given.rounds, given.peers)
    if given.json:
        print(orjson.dumps(found).decode())
        return
    events = found["events"]
    print(f"{events['frames']} frames, {found['bytes'] >> 20} MiB, Python {found['python']},")
    print(f"{events['decoded']} decoded, {events['other']} other, {events['refused']} refused;")
    print(", ".join(f"{number} {kind}" for kind, number in sorted(events["events"].items())))
    for name, key in (
        ("capture to events", "events"),
        ("capture to NDJSON", "events_as_json"),
        ("tshark -T fields", "tshark"),
        ("nfstream (flows only)", "nfstream"),
        ("pyshark", "pyshark"),
    ):
        row = found.get(key)
        print(f"{name:<22}{row['packets_per_second']:>10,} packets/s" if row else f"{name}: none")
    print(f"{'target':<22}{TARGET:>10,} packets/s; {found['memory_mb']} MiB resident")


if __name__ == "__main__":
    main()
