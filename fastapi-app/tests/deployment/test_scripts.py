"""Runs the bats tests of the shell scripts, each file by itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.bats")), ids=lambda file: file.stem)
def test_bats(file):
    bats = Path(sys.executable).with_name("bats")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "FHIR_"))}
    done = subprocess.run([bats, file], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok 1" in done.stdout
