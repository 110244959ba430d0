"""Whole runs that reuse: a frozen front run once with changed views, and a teacher; stopped anywhere, the same bits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ending import Killer, Stop, same
from lensmith import backend, runs, train

DATA = 'data: {source: "bundled:digits", batch: 32, split: {train: 0.2, validation: 0.1, test: 0.7}}\n'

BIG = (
    DATA
    + """\
model: {learner: {part: dense, units: [64]}, stem: {part: flatten}, tasks: {label: {part: classify}}}
train: [{epochs: 6, rate: 0.01}]
ship: null
"""
)

# 360 images in batches of 32: 12 steps an epoch; on features 24 of 36 steps see changed views.
SMALL = (
    DATA
    + """\
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2}]}
  tasks: {label: {part: classify, pool: flatten, hidden: [16], dropout: 0.2}}
train:
  - {epochs: 1, rate: 0.02}
  - {epochs: 3, rate: 0.02, freeze: learner, features: {views: 2}, augment: {shift: 0.1, brightness: 0.2},
     checkpoint_every: 5}
  - {epochs: 2, rate: 0.02, teacher: {source: big, temperature: 2, share: 0.5}, checkpoint_every: 5}
"""
)
PER_EPOCH = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained teacher and the spec of a student."""
    folder = tmp_path_factory.mktemp("reuse-in-runs")
    for name, spec in (("big", BIG), ("small", SMALL)):
        (folder / f"{name}.yaml").write_text(spec)
    trained(folder, "big", "big")
    return folder


def trained(place: Path, spec: str, name: str, progress: train.Progress | None = None) -> runs.Run:
    return runs.begin(place / name, runs.prepare(runs.read_spec(place / f"{spec}.yaml")), progress=progress)


@pytest.fixture(scope="module")
def whole(place: Path) -> runs.Run:
    return trained(place, "small", "whole")


def test_the_student_learns_and_ships_with_parity(whole: runs.Run) -> None:
    results = whole.results or {}
    assert [stage["epochs"] for stage in results["stages"]] == [1, 3, 2]
    rows = [json.loads(line) for line in whole.folder.history.read_text().splitlines()]
    assert [row["stage"] for row in rows] == [1, 2, 2, 2, 3, 3]
    # Only the stage that is taught has a loss for its teacher's answers.
    assert ["val_label_teacher_loss" in row for row in rows] == [False] * 4 + [True] * 2
    assert rows[-1]["val_label_accuracy"] > 0.5  # of ten classes, while the norms are still far from their averages
    assert whole.artifact is not None
    assert whole.artifact.is_file()
    assert results["proof"]["images"] > 0
    assert results["proof"]["max_difference"] <= results["proof"]["tolerance"]
    assert sorted(whole.saved().labels) == ["label"], "what it learnt from its teacher is no task of its own"


def test_features_and_answers_lie_in_the_run(whole: runs.Run) -> None:
    kept = [json.loads(path.read_text()) for path in whole.folder.features.glob("*/features.json")]
    assert len(kept) == 2  # of the frozen front, and of the teacher
    sizes = sorted(path.stat().st_size // 40 for path in whole.folder.features.glob("*/index.bin"))
    assert sizes == [360 + 179, 3 * 360 + 179]  # of the validation part the images as they are


# In the epoch of the second view, 8 steps into it; and in the middle of the epoch that is taught.
@pytest.mark.parametrize("step", [2 * PER_EPOCH + 8, 4 * PER_EPOCH + 7])
def test_stopped_while_it_trains_it_ends_with_the_same_bits(place: Path, whole: runs.Run, step: int) -> None:
    with pytest.raises(Stop):
        trained(place, "small", f"stopped-{step}", Killer(step))
    same(runs.resume(place / f"stopped-{step}"), whole)


def stopping(whole: Callable[[Any, Any], Any], at: int) -> Callable[[Any, Any], Any]:
    """The same function, which ends the process at a call."""
    left = [at]

    def predict(model: Any, x: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Stop
        return whole(model, x)

    return predict


def test_stopped_while_features_are_computed_it_ends_with_the_same_bits(
    place: Path, whole: runs.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(backend, "predict", stopping(backend.predict, 20))  # in the first changed view: 12 blocks a view
        trained(place, "small", "stopped-features")
    [index] = (place / "stopped-features" / "features").glob("*/index.bin")
    assert 360 < index.stat().st_size // 40 < 720
    same(runs.resume(place / "stopped-features"), whole)
