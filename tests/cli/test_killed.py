"""Training killed by SIGKILL at a random step and resumed is equal, bit for bit, to training never stopped."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

SPEC = """\
data: {source: "bundled:digits", batch: 32}
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.2}]}
  tasks: {label: {part: classify, pool: flatten}}
train: [{epochs: 4, rate: 0.01, checkpoint_every: 5}]
ship: null
seed: 3
"""


def begin(*words: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "lensmith", "train", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(*words: object) -> None:
    process = begin(*words)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()


def kill_at(process: subprocess.Popen[bytes], run: Path, step: int) -> int:
    """Kill as soon as a checkpoint of this step or a later one stands; returns the newest one's step."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        steps = [int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/step-*")]
        if steps and max(steps) >= step:
            break
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "training ended before it could be killed"
    return max(int(path.name.removeprefix("step-")) for path in run.glob("checkpoints/step-*"))


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("killed") / "spec.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def whole(spec: Path) -> Path:
    """A run that nothing stopped."""
    finish(spec, "--run", spec.parent / "whole")
    return spec.parent / "whole"


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))])
def test_killed_and_resumed_is_equal_to_never_stopped(tmp_path: Path, spec: Path, whole: Path, seed: int) -> None:
    broken = tmp_path / "broken"
    steps = 34  # an epoch: 1,078 digits in batches of 32
    step = random.Random(seed).randrange(5, 3 * steps)
    came_to = kill_at(begin(spec, "--run", broken), broken, step)
    kill_at(begin("--resume", broken), broken, min(came_to + 10, 4 * steps - 10))  # and killed once more
    finish("--resume", broken)

    assert (broken / "history.jsonl").read_bytes() == (whole / "history.jsonl").read_bytes()
    first, second = (load_file(run / "model" / "weights.safetensors") for run in (whole, broken))
    assert first.keys() == second.keys()
    for name in first:
        assert np.array_equal(first[name], second[name]), name
    files = [run / "model" / "weights.safetensors" for run in (whole, broken)]
    assert files[0].read_bytes() == files[1].read_bytes(), "the same file too"


STAGES = """\
data: {source: "bundled:digits", batch: 32}
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.2}]}
  tasks: {label: {part: classify, pool: flatten, dropout: 0.1}}
ship: null
train:
  - {stage: draw, draws: 2, steps: 3}
  - {stage: pretext, task: jigsaw, epochs: 1, checkpoint_every: 4}
  - {stage: warmup, rate: 0.01, checkpoint_every: 4}
  - {epochs: 2, rate: 0.01, freeze: learner, features: {views: 1}, augment: {rotate: 10}, checkpoint_every: 4}
  - {stage: fit, epochs: 2, rate: 0.01, average: 0.9, accumulate: 2, schedule: plateau, checkpoint_every: 4}
"""


@pytest.mark.slow
def test_a_plan_killed_at_any_moment_is_equal_to_one_never_stopped(tmp_path: Path) -> None:
    """Twelve kills at times drawn by chance, whatever the run is doing then."""
    (tmp_path / "spec.yaml").write_text(STAGES)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    began = time.monotonic()
    finish(tmp_path / "spec.yaml", "--run", whole)
    length, chance = time.monotonic() - began, random.Random(5)
    words: tuple[object, ...] = (tmp_path / "spec.yaml", "--run", broken)
    for _ in range(12):
        process = begin(*words)
        try:
            process.communicate(timeout=chance.uniform(0.4, 1.0) * length)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        if (broken / "data.json").is_file():
            words = ("--resume", broken)
    finish(*words)
    for name in ("history.jsonl", "watch.jsonl"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    first, second = (load_file(run / "model" / "weights.safetensors") for run in (whole, broken))
    for name in first:
        assert np.array_equal(first[name], second[name]), name
