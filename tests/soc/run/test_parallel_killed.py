"""`soc detect --jobs` that is killed: nobody works on, and nothing is left on the disk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from soc.errors import SocError
from soc.run import parallel
from soc.run.detection import Detection, detection
from soc.run.parallel import Job, workers
from tests.data import ROOT
from tests.soc.run.test_parallel import folder_of, found, job_of, logs

ENDLESS = """\
import os, sys, time
from pathlib import Path
from tempfile import TemporaryDirectory
from soc.run import parallel
from soc.run.detection import detection
from soc.run.parallel import workers
from tests.soc.run.test_parallel import job_of

real, place = parallel._judged, Path(sys.argv[1])

def busy(job, part):
    yield from real(job, part)
    with TemporaryDirectory(prefix="soc-files-"):
        os.write(1, b"busy ")
        while True:
            time.sleep(0.01)

parallel._judged = busy if sys.argv[2] == "busy" else real
job = job_of(place, detection([place / "rules"]), 2)
with workers(job, 2) as some:
    os.write(1, b"%d %d " % tuple(one.process.pid for one in some._workers))
    sys.stdin.readline()
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Detection:
    return detection([folder_of(tmp_path)])


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.parametrize("how", ["idle", "busy"])
@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_started_them(
    tmp_path: Path, loaded: Detection, scratch: Path, how: str, kill: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path), how],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        told = b""
        while len(told.split()) < (4 if how == "busy" else 2) or not told.endswith(b" "):
            told += os.read(process.stdout.fileno(), 100)
        process.send_signal(kill)
        assert process.wait(20) == -kill
        # Read to their ends: so the others have ended, too.
        assert process.stdout.read() == b""
        assert process.stderr.read() == b""
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_the_command_that_is_killed_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    rules = folder_of(tmp_path)
    (rules / "one.yml").unlink()
    (rules / "many.yml").unlink()
    (tmp_path / "a.log").write_bytes(logs(3_000) * 50)
    arguments = ["detect", "a.log", "--rules", str(rules), "--jobs", "2", "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-m", "soc", *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()  # a part has been handed over
        assert len(children(process.pid)) == 2
        process.kill()
        assert process.wait(20) == -signal.SIGKILL
        process.stdout.read()
        assert process.stderr.read() == b""
    assert list(scratch.iterdir()) == []


def test_a_killed_process_leaves_nothing_and_the_others_end(
    tmp_path: Path, loaded: Detection, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = parallel._judged

    def deadly(job: Job, part: parallel.Part) -> Any:
        yield from real(job, part)
        if part.path.name == "2.log":
            os.kill(os.getpid(), signal.SIGKILL)
        while part.path.name == "3.log":
            time.sleep(0.01)

    monkeypatch.setattr(parallel, "_judged", deadly)
    with pytest.raises(SocError, match=r"signal SIGKILL.*2\.log"):
        found(job_of(tmp_path, loaded), 2)
    assert list(scratch.iterdir()) == []
    assert children(os.getpid()) == []


def test_what_is_not_read_is_ended_in_order(
    tmp_path: Path, loaded: Detection, scratch: Path
) -> None:
    with workers(job_of(tmp_path, loaded), 2) as some:
        running = [one.process for one in some._workers]
    assert {process.exitcode for process in running} <= {0, 128 + signal.SIGTERM, -signal.SIGTERM}
    assert list(scratch.iterdir()) == []
