"""`soc detect --jobs`: the same as one process, in the same order, and never a silent loss."""

import errno
import gzip
import json
import os
import signal
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from collectors.reading import read_file, spans
from soc.errors import SocError
from soc.run import parallel
from soc.run.collecting import Reading
from soc.run.detection import Detection, detection
from soc.run.handover import Outbox
from soc.run.parallel import Job, parts_in, workers
from soc.run.summary import Summary
from tests.command import soc
from tests.soc.run.test_judging import NOW

RULE = """\
title: {title}
id: 00000000-0000-4000-8000-{number:012d}
name: {title}
status: test
level: high
logsource: {{product: linux, service: sshd}}
detection:
  a: {{{field}: {text}}}
  condition: a
"""
SERIES = """\
title: Many
id: 00000000-0000-4000-8000-000000000099
correlation:
  type: event_count
  rules: [one]
  group-by: [source.ip]
  timespan: 10m
  generate: true
  condition: {gte: 3}
level: high
"""


def folder_of(place: Path) -> Path:
    rules = place / "rules"
    rules.mkdir()
    one = RULE.format(title="one", number=1, field="message|contains", text="Failed password")
    (rules / "one.yml").write_text(one)
    two = RULE.format(title="two", number=2, field="message|contains", text="root")
    (rules / "two.yml").write_text(two)
    (rules / "many.yml").write_text(SERIES)
    return rules


def logs(count: int, start: int = 0) -> bytes:
    lines = []
    for number in range(start, start + count):
        who = "root" if number % 7 == 0 else f"user{number % 50}"
        what = "Failed" if number % 3 else "Accepted"
        lines.append(
            f"2026-11-21T08:{number // 60 % 60:02}:{number % 60:02}Z web01 sshd[{number}]: "
            f"{what} password for {who} from 203.0.113.{number % 20} port 4711 ssh2"
        )
    return "".join(line + "\n" for line in lines).encode()


def found(job: Job, number: int) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    summary, problems = Summary(), list[str]()
    with workers(job, number) as some:
        told = some.findings(
            summary, lambda error: problems.append(str(error)), problems.append, lambda done: None
        )
        return [finding.as_document() for finding in told], summary.as_dict(), problems


@pytest.fixture
def loaded(tmp_path: Path) -> Detection:
    return detection([folder_of(tmp_path)])


@pytest.mark.slow
def test_the_command_prints_the_same_for_any_number_of_jobs(tmp_path: Path) -> None:
    rules = folder_of(tmp_path)
    logs_of = tmp_path / "logs"
    logs_of.mkdir()
    for number in range(5):
        (logs_of / f"{number}.log").write_bytes(logs(300, number * 211))
    (logs_of / "5.log.gz").write_bytes(gzip.compress(logs(50, 3)))
    (logs_of / "6.log.gz").write_bytes(gzip.compress(logs(500, 3))[:-20])
    (logs_of / "7.log").write_bytes(b"\x00\xff garbage \x1b[31m\n" + logs(10))
    one = soc("detect", logs_of, "--rules", rules, home=tmp_path)
    assert one.code == 4
    assert {found["rule"]["name"] for found in one.documents} == {"one", "two", "Many"}
    for jobs in ("2", "3"):
        many = soc("detect", logs_of, "--rules", rules, "--jobs", jobs, home=tmp_path)
        assert (many.code, many.out, many.err) == (one.code, one.out, one.err)


def test_standard_input_is_read_by_one_process(tmp_path: Path) -> None:
    ran = soc("detect", "-", "--jobs", "2", home=tmp_path)
    assert ran.code == 2
    assert "standard input" in ran.err


@pytest.mark.parametrize("size", [1, 100, 5_000, 10**9])
def test_a_split_file_is_the_same_file(
    tmp_path: Path, loaded: Detection, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(parallel, "PART", size)
    path = tmp_path / "a.log"
    path.write_bytes(logs(100) + b"\r\n\n" + b"x" * 300_000 + b"\n" + logs(20, 100)[:-1])
    how = Reading(NOW, UTC, "")
    parts = parts_in([path], how)
    assert (len(parts) > 1) == (size < 10**9)
    summary = Summary()
    wanted = [
        finding.as_document() for finding in loaded.findings(read_file(path, received=NOW), summary)
    ]
    documents, counts, problems = found(Job(parts, how, (), loaded), 3)
    assert (documents, counts, problems) == (wanted, summary.as_dict(), [])
    assert len(wanted) > 80


def test_only_plain_lines_are_split(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (gzip.compress(logs(50)), logs(50).decode().encode("utf-16")):
        path.write_bytes(content)
        assert spans(path, 100) == []
    path.write_text(json.dumps([{"a": number} for number in range(100)], indent=1))
    assert spans(path, 100) == []
    path.write_bytes(b"y" * 1000)
    assert [(s.start, s.stop) for s in spans(path, 100)] == [(0, 1000)]
    path.write_bytes(logs(20))
    found = spans(path, 100)
    assert [s.stop for s in found[:-1]] == [s.start for s in found[1:]]
    content = path.read_bytes()
    assert all(content[s.stop - 1 : s.stop] == b"\n" for s in found)
    assert (found[0].start, found[-1].stop) == (0, len(content))


def test_a_process_that_dies_is_an_error_that_says_so(
    tmp_path: Path, loaded: Detection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        (tmp_path / f"{number}.log").write_bytes(logs(10))
    files = [tmp_path / f"{number}.log" for number in range(4)]
    how = Reading(NOW, UTC, "")
    real = parallel._judged

    def deadly(job: Job, part: parallel.Part) -> Any:
        if part.path.name == "2.log":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(job, part)

    monkeypatch.setattr(parallel, "_judged", deadly)
    with pytest.raises(SocError, match=r"signal SIGKILL.*2\.log.*--jobs 1"):
        found(Job(parts_in(files, how), how, (), loaded), 2)


def job_of(folder: Path, loaded: Detection, count: int = 4) -> Job:
    files = [folder / f"{number}.log" for number in range(count)]
    for file in files:
        file.write_bytes(logs(10))
    how = Reading(NOW, UTC, "")
    return Job(parts_in(files, how), how, (), loaded)


def test_a_part_that_cannot_be_judged_is_an_error_and_no_traceback(
    tmp_path: Path,
    loaded: Detection,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    real = parallel._judged

    def full(job: Job, part: parallel.Part) -> Any:
        yield from real(job, part)
        if part.path.name == "2.log":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(parallel, "_judged", full)
    with pytest.raises(SocError, match=r"No space left.*2\.log.*--jobs 1"):
        found(job_of(tmp_path, loaded), 2)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("first", [True, False])
def test_a_process_that_dies_between_two_parts_is_an_error(
    tmp_path: Path, loaded: Detection, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    def leaving(line: Any, others: Any, job: Job) -> None:
        for other in others:
            other.close()
        if not first:
            line.recv()
            with closing(Outbox(line)) as outbox:
                outbox.send([])
        line.close()
        os._exit(9)

    monkeypatch.setattr(parallel, "_work", leaving)
    with pytest.raises(SocError, match=r"exit code 9.*findings are missing"):
        found(job_of(tmp_path, loaded), 1)
