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
