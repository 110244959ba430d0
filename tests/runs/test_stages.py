"""Runs of several stages: each does its part, none is done twice, and a stop at any of them changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from lensmith import check, reuse, runs, train
from lensmith.runs import stage_folder

NET = """\
data: {source: "bundled:digits", batch: 16, split: {train: 0.2, validation: 0.1, test: 0.7}}
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.1}]}
  tasks: {label: {part: classify, pool: flatten, dropout: 0.2}}
ship: null
train:
"""

PLAN = """\
  - {stage: draw, draws: 2, steps: 2}
  - {stage: pretext, task: rotation, epochs: 1, source: %s}
  - {stage: warmup, rate: 0.02}
  - {stage: fit, epochs: 2, rate: 0.02, freeze: learner, features: true}
  - {stage: pseudo-label, source: %s, above: 0.5}
  - {stage: fit, epochs: 2, rate: 0.01, average: 0.9, callbacks: "%s:Counter", checkpoint_every: 3}
  - {stage: evaluate}
"""

CODE = """\
import keras

class Counter(keras.callbacks.Callback):
    seen = 0

    def on_train_batch_end(self, batch, logs=None):
        Counter.seen += 1
"""


class Stop(BaseException):
    """Ends a run as a kill would."""


class Killer(train.Silent):
    """Ends training at a step, counted over all stages."""

    def __init__(self, at: int) -> None:
        self.left = at

    def on_step(self, step: int, values: Any, waited: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise Stop


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, 60 unlabelled digits and code of the user's own."""
    folder = tmp_path_factory.mktemp("stages")
    (folder / "mine.py").write_text(CODE)
    (folder / "more").mkdir()
    for number, image in enumerate(load_digits().images[:60]):
        # Turned, so that they are not among the labelled ones.
        Image.fromarray((np.rot90(image) * 15).astype(np.uint8)).save(folder / "more" / f"{number:02}.png")
    (folder / "spec.yaml").write_text(NET + PLAN % ("more", "more", "mine.py"))
    return folder


def trained(place: Path, name: str, progress: train.Progress | None = None) -> runs.Run:
    return runs.begin(place / name, runs.prepare(runs.read_spec(place / "spec.yaml")), progress=progress)


@pytest.fixture(scope="module")
def whole(place: Path) -> runs.Run:
    return trained(place, "whole")


def test_every_stage_leaves_its_mark(whole: runs.Run) -> None:
    results = whole.results or {}
    names = ["1-draw", "2-pretext", "3-warmup", "4-fit", "5-pseudo-label", "6-fit", "7-evaluate"]
    assert [stage["name"] for stage in results["stages"]] == names
    assert [stage["epochs"] for stage in results["stages"]] == [0, 1, 1, 2, 0, 2, 0]
    draw, *_, pseudo, _, _ = results["stages"]
    assert len(draw["losses"]) == 2
    assert draw["best"] == int(np.argmin(draw["losses"]))
    assert 0 < sum(pseudo["by_class"]["label"].values()) == 60 - pseudo["left"]
    assert results["evaluations"] == 1


def test_the_history_goes_on_over_the_stages(whole: runs.Run) -> None:
    rows = [json.loads(line) for line in whole.folder.history.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["stage"] for row in rows] == [2, 3, 4, 4, 6, 6]
    assert rows[1]["rate"] == pytest.approx(0.02), "the warm-up reaches its target"
    steps = sorted(int(path.name.removeprefix("step-")) for path in whole.folder.path.glob("checkpoints/step-*"))
    assert steps[-1] == sum(stage["steps"] for stage in (whole.results or {})["stages"])


def same(one: runs.Run, other: runs.Run) -> None:
    assert one.folder.history.read_bytes() == other.folder.history.read_bytes()
    assert one.folder.watch.read_bytes() == other.folder.watch.read_bytes()
    mine, theirs = (load_file(run.folder.model / "weights.safetensors") for run in (one, other))
    assert mine.keys() == theirs.keys()
    for name, array in mine.items():
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


@pytest.mark.parametrize("step", [1, 20, 50])
def test_a_stop_in_any_stage_changes_nothing(place: Path, whole: runs.Run, step: int) -> None:
    with pytest.raises(Stop):
        trained(place, f"stopped-{step}", Killer(step))
    again = runs.resume(place / f"stopped-{step}")
    same(again, whole)


@pytest.fixture(scope="module")
def stopped(place: Path, whole: runs.Run) -> Path:
    """A run stopped in the stage after the pseudo-labels."""
    before = sum(stage["steps"] for stage in (whole.results or {})["stages"][:5])
    with pytest.raises(Stop):
        trained(place, "stopped", Killer(before + 5))
    return place / "stopped"


@pytest.fixture
def copied(stopped: Path, tmp_path: Path) -> Path:
    shutil.copytree(stopped, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("harm", ["nothing", "weights", "done", "both"])
def test_a_damaged_stage_is_run_again(copied: Path, whole: runs.Run, harm: str) -> None:
    """With the newest weights lost, that stage is run again; with those before them too, the plan begins anew."""
    stage = copied / "stages" / "5-pseudo-label"
    if harm == "done":
        (stage / "done.json").write_text("{")
    if harm in ("weights", "both"):
        weights = stage / "weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    if harm == "both":
        (copied / "stages" / "4-fit" / "weights.safetensors").unlink()
    same(runs.resume(copied), whole)


def test_a_finished_stage_is_not_run_again(copied: Path, whole: runs.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **more: object) -> None:
        raise AssertionError("a finished stage was run again")

    monkeypatch.setattr(train, "draw", refuse)
    monkeypatch.setattr(reuse, "pretext", refuse)
    monkeypatch.setattr(reuse, "label", refuse)
    same(runs.resume(copied), whole)


def test_only_the_newest_stages_keep_their_weights(whole: runs.Run) -> None:
    kept = sorted(path.parent.name for path in whole.folder.stages.glob("*/weights.safetensors"))
    assert kept == ["6-fit", "7-evaluate"]


def test_other_code_is_refused(place: Path, copied: Path) -> None:
    code = place / "mine.py"
    before = code.read_text()
    code.write_text(before + "# changed\n")
    try:
        with pytest.raises(check.SettingError, match=r"mine\.py:Counter: the code was changed since the run began"):
            runs.resume(copied)
    finally:
        code.write_text(before)


# Each row: a plan, and what the refusal must say before anything is trained.
WRONG = [
    ("{freeze: nothing}", ["train[0].freeze", "a name or pattern"]),
    ("{features: true}", ["train[0].features", "parts that are frozen", "Say freeze: [stem, learner]"]),
    ("{image: [16, 16, 3]}", ["train[0].image", "images like the model's input"]),
    ("{stop: {monitor: val_acc}}", ["stop.monitor", "'val_acc'", "val_accuracy"]),
    ("{losses: {labl: focal}}", ["train[0].losses", "'labl'", "Did you mean 'label'?"]),
    ("{losses: {label: nonsense}}", ["nonsense"]),
    ("{callbacks: 'gone.py:Logger'}", ["gone.py"]),
    ("{taps: {P9: 'mine.py:Counter'}}", ["P9"]),
    ("{optimizer: adamm}", ["optimizer", "'adamm'", "Did you mean 'adam'?"]),
    ("{augment: storng}", ["augment", "'storng'", "Did you mean 'strong'?"]),
    ("{stage: pretext, source: nowhere}\n  - {}", ["nowhere"]),
    ("{teacher: nowhere}", ["train[0].teacher", "nowhere"]),
]


@pytest.mark.parametrize(("stage", "words"), WRONG)
def test_what_cannot_work_is_refused_before_training(place: Path, stage: str, words: list[str]) -> None:
    path = place / "wrong.yaml"
    path.write_text(f"{NET}  - {stage}\n")
    with pytest.raises((check.SettingError, check.DataError)) as caught:
        runs.prepare(runs.read_spec(path))
    assert "\n" not in str(caught.value)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def test_a_stage_may_see_images_of_another_size(place: Path) -> None:
    path = place / "sizes.yaml"
    net = NET.replace("pool: flatten", "pool: average")
    path.write_text(f"{net}  - {{epochs: 1, image: [12, 10, 1]}}\n  - {{epochs: 1, augment: light}}\n")
    run = runs.begin(place / "sizes", runs.prepare(runs.read_spec(path)))
    assert run.saved().recipe.input == (8, 8, 1)
    assert [stage["epochs"] for stage in (run.results or {})["stages"]] == [1, 1]


def test_an_outcome_survives_the_disk(tmp_path: Path) -> None:
    from lensmith.backend import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    outcome = stage_folder.Outcome("1-fit", 2, 8, ({"epoch": 1, "loss": 0.1},), "loss", notes={"best": 3})
    stage_folder.write(tmp_path, outcome, model)
    assert stage_folder.finished(tmp_path, ["1-fit", "2-fit"]) == (outcome,)
    before = model.get_weights()
    model.set_weights([array + 1 for array in before])
    stage_folder.restore(tmp_path, outcome, model)
    for array, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, old)
