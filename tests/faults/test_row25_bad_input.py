"""Rows 18, 19, 21, 25 and 26: whatever a file holds, the message is clear and the rest goes on.

Each bad file lies in a folder beside a good log; `soc detect FOLDER` must find what the good log
holds, name what it could not read, and end in bounded time and memory without a traceback.
"""

import gzip
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.command import Ran, soc
from tests.data import archive

RULE = """\
title: Marked
id: 6a1f9c52-13a5-4f39-8f0d-6f2f6a7c1d01
status: test
logsource: {product: linux, service: sshd}
detection:
    selection: ['Accepted password for marked']
    condition: selection
level: high
"""
GOOD = (
    b"2026-11-22T08:00:00+07:00 gate sshd[1]: "
    b"Accepted password for marked from 192.0.2.7 port 1024 ssh2\n"
)
MEGABYTE = 1 << 20


def evtx(flips: int, keep: float) -> bytes:
    samples = sorted(archive("sigmahq-regression").rglob("*.evtx"))
    data = bytearray(samples[0].read_bytes())
    rng = random.Random(flips)
    for _ in range(flips):
        data[rng.randrange(8, len(data))] ^= 1 << rng.randrange(8)
    return bytes(data[: int(len(data) * keep)])


BAD: dict[str, Callable[[], bytes]] = {
    "empty.log": lambda: b"",
    "binary.log": lambda: random.Random(1).randbytes(MEGABYTE),
    "magic-only.evtx": lambda: b"ElfFile\0",
    "truncated.evtx": lambda: evtx(0, 0.6),
    "flipped.evtx": lambda: evtx(400, 1.0),
    "nested.json": lambda: b"[" * 200_000 + b"]" * 200_000,
    "nested.ndjson": lambda: b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n",
    "bigint.ndjson": lambda: b'{"n": ' + b"9" * 5000 + b', "m": NaN}\n',
    "surrogate.ndjson": lambda: b'{"message": "\\ud800"}\n{"message": "fine"}\n',
    "invalid-utf8.log": lambda: b"\xff\xfe\xfa caf\xe9 \x80\n" * 50,
    "long-line.log": lambda: b"x" * (20 * MEGABYTE) + b"\n" + GOOD.replace(b"marked", b"lan"),
    "nul.log": lambda: b"a\0b\0c\n" * 100,
    "bomb.log.gz": lambda: gzip.compress(b"\0" * (300 * MEGABYTE)),
    "cut.log.gz": lambda: gzip.compress(GOOD.replace(b"marked", b"lan") * 1000)[:-50],
    "laughs.xml": lambda: (
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
        + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(10))
        + b"]><Events><Event>&k;</Event></Events>"
    ),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "marked.yml").write_text(RULE)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "zz-good.log").write_bytes(GOOD)
    return tmp_path


def detect(home: Path) -> Ran:
    return soc("detect", "logs", "--rules", "rules", "-f", "ndjson", home=home, timeout=60)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_costs_its_own_records_only(home: Path, name: str) -> None:
    (home / "logs" / name).write_bytes(BAD[name]())
    ran = detect(home)
    assert [d["rule"]["name"] for d in ran.documents] == ["Marked"], ran.err
    assert "Traceback" not in ran.err
    assert ran.code in (0, 4)
    assert len(ran.err) < 10_000, "the record itself does not belong in a message"
    if ran.code == 4:
        assert name in ran.err


def test_memory_stays_bounded(home: Path) -> None:
    for name in ("long-line.log", "bomb.log.gz", "nested.json"):
        (home / "logs" / name).write_bytes(BAD[name]())
    most = 600 * MEGABYTE
    limited = (
        f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, ({most}, {most}));"
        "sys.argv[0] = 'soc'; runpy.run_module('soc', run_name='__main__')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", limited, "detect", "logs", "--rules", "rules", "-f", "ndjson"],
        cwd=home,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.stdout.count(b'"Marked"') == 1, ran.stderr.decode()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        (
            "bomb.yml",
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n"
                for n in range(9)
            ),
            "alias",
        ),
        ("broken.yml", "title: [unclosed\n", "broken.yml:"),
        (
            "lookahead.yml",
            RULE.replace("6a1f9c52", "7a1f9c52").replace(
                "selection: ['Accepted password for marked']", "selection: {user|re: '(?=a)b'}"
            ),
            "lookahead.yml:",
        ),
    ],
)
def test_a_bad_rule_is_left_out_with_its_place_and_the_others_run(
    home: Path, name: str, text: str, why: str
) -> None:
    (home / "rules" / name).write_text(text)
    ran = detect(home)
    assert [d["rule"]["name"] for d in ran.documents] == ["Marked"]
    assert name in ran.err
    assert why in ran.err
    assert "Traceback" not in ran.err


def test_a_rule_with_a_catastrophic_expression_takes_linear_time(home: Path) -> None:
    (home / "rules" / "slow.yml").write_text(
        RULE.replace("6a1f9c52", "8a1f9c52").replace(
            "selection: ['Accepted password for marked']",
            "selection: {message|re: '(a+)+$'}",
        )
    )
    (home / "logs" / "a.log").write_bytes(
        GOOD.replace(b"password", b"a" * 100_000 + b"!") + GOOD.replace(b"marked", b"lan")
    )
    ran = soc("detect", "logs", "--rules", "rules", "-f", "ndjson", home=home, timeout=20)
    assert "Marked" in {d["rule"]["name"] for d in ran.documents}
