"""A run that is killed again and again, at random moments, ends with the bits of one that was left alone."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import train_digits

from lensmith import backend

EVERYTHING = "average,accumulate,plateau,dropout,steps,callback,often,warm"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, train_digits.__file__, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": str(backend.threads() or 1)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=1200)


def assert_same(killed: Path, whole: Path) -> None:
    for name in ("history.jsonl", "watch.jsonl"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    for arrays in ("final.npz", "predicted.npz"):
        mine, theirs = np.load(killed / arrays), np.load(whole / arrays)
        assert mine.files == theirs.files
        for name in mine.files:
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=f"{arrays} {name}")


def killed_and_whole(folder: Path, kills: int, seed: int, options: str) -> None:
    done = run(str(folder), f"kills={kills},seed={seed}", options)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("ended")]
    assert sum(line.startswith("ended -9") for line in lines) == kills
    assert all(line.endswith("left behind 0") for line in lines)
    assert_same(folder / "killed", folder / "whole")
    assert not list((folder / "killed" / "checkpoints").glob(".*"))


torch_only = pytest.mark.skipif(
    backend.choose().name != "torch" or not Path("/proc").is_dir(),
    reason="processes are made by forking one that has imported everything, which the other backends do not take",
)


@torch_only
def test_killed_six_times(tmp_path: Path) -> None:
    killed_and_whole(tmp_path, 6, 1, EVERYTHING)


@torch_only
@pytest.mark.slow
@pytest.mark.parametrize("options", [EVERYTHING, "ramp,often,callback", "momentum,often,average"])
def test_killed_twenty_five_times(options: str, tmp_path: Path) -> None:
    killed_and_whole(tmp_path, 25, 7, options)


@pytest.mark.slow
@pytest.mark.backends
def test_killed_in_processes_of_their_own_on_any_backend(tmp_path: Path) -> None:
    for step in ("5", "17", "31"):
        assert run(str(tmp_path / "killed"), step, EVERYTHING).returncode == -9
    for name in ("killed", "whole"):
        done = run(str(tmp_path / name), "0", EVERYTHING)
        assert done.returncode == 0, done.stderr
    assert_same(tmp_path / "killed", tmp_path / "whole")
