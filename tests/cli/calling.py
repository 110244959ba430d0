"""Calling the shell as a user does, and reading what it says."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lensmith.cli import main


@dataclass(frozen=True)
class Done:
    """What a call of the shell came to."""

    returncode: int
    stdout: str
    stderr: str


def lensmith(*words: object, cwd: Path | None = None) -> Done:
    """Run the command line as the installed program does, in this process, since starting Keras takes seconds."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["lensmith", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        contextlib.chdir(cwd or Path.cwd()),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def process(*words: object, **environment: str) -> Done:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "lensmith", *map(str, words)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | environment, check=False, timeout=300
    )
    return Done(done.returncode, done.stdout, done.stderr)


def document(done: Done) -> Any:
    """The one line of standard output, as JSON."""
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, "one document on one line"
    return json.loads(done.stdout)
