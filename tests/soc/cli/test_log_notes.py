"""What the program itself logs reaches people as safe text."""

import subprocess
import sys
from pathlib import Path


def test_the_log_is_written_as_notes_that_are_safe(tmp_path: Path) -> None:
    code = (
        "import logging, sys; from soc.cli.main import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "logging.getLogger('soc.store').warning('%s is skipped', 'a\\x1b[2Jb\\nc')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ran.stderr == "warning: a\\x1b[2Jb\\x0ac is skipped\n"


def test_a_note_that_cannot_be_written_ends_nothing() -> None:
    code = (
        "import logging; from soc.cli.terminal import Notes, note\n"
        "logging.basicConfig(handlers=[Notes()])\n"
        "logging.error('the disk is full'); note('collecting'); print('goes on')\n"
    )
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, text=True
        )
    assert ran.stdout == "goes on\n"
