"""Runs of several stages: each does its part, none is done twice, and a stop at any of them changes nothing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from sklearn.datasets import load_digits

from ending import Killer, Stop, same
from lensmith import check, reuse, runs, ship, train
from lensmith.runs import comparing, outcomes, stage_folder

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
    ("{stage: pretext, source: nowhere}\n  - {}", ["line 7", "train[0].source"]),
    ("{callbacks: 'gone.py:Logger'}", ["line 7", "train[0].callbacks", "a file of Python code"]),
    ("{schedule: {name: plateau, monitor: val_acc}}", ["line 7", "train[0].schedule.monitor", "'val_acc'"]),
    ("{freeze: '*'}", ["train[0].freeze", "layers with weights that still train"]),
    ("{freeze: learner, features: {views: 2}}", ["train[0].augment", "changes by which the views differ"]),
    ("{stage: pretext, image: [9, 9, 3]}\n  - {}", ["train[0].image", "images like the model's input"]),
    ("{stage: pretext, augment: {mixup: 0.2}}\n  - {}", ["train[0].augment", "changes of one image at a time"]),
    ("{stage: fit}\n  - {losses: {label: focal}, fall_back: true}", ["line 8", "train[1].monitor", "val_accuracy"]),
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


def test_a_pretext_may_see_images_of_another_size(place: Path) -> None:
    path = place / "pretext.yaml"
    net = NET.replace("pool: flatten", "pool: average")
    path.write_text(f"{net}  - {{stage: pretext, task: rotation, image: [12, 12, 1]}}\n  - {{epochs: 1}}\n")
    seen: set[tuple[int, ...]] = set()
    prepared = runs.prepare(runs.read_spec(path))
    real = reuse.pretext

    def watched(model: Any, *words: Any, **more: Any) -> Any:
        seen.add(tuple(model.input.shape[1:]))
        return real(model, *words, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reuse, "pretext", watched)
        runs.begin(place / "pretext", prepared)
    assert seen == {(12, 12, 1)}


# Each row: the monitor, its values in two epochs of the stage before and of this one, which was kept, and whether this
# one is better. The value of the kept epoch counts, and less is better only of a loss.
STEPS = [
    ("val_accuracy", (0.7, 0.8), (0.9, 0.85), 3, True),
    ("val_accuracy", (0.7, 0.8), (0.75, 0.6), 3, False),
    ("val_accuracy", (0.7, 0.8), (0.8, 0.8), 3, False),
    ("val_loss", (0.7, 0.5), (0.6, 0.4), 4, True),
    ("val_loss", (0.7, 0.5), (0.6, 0.6), 3, False),
    ("val_accuracy", (None, None), (0.1, 0.2), 4, True),
]


@pytest.mark.parametrize(("monitor", "before", "now", "kept", "wanted"), STEPS)
def test_better_is_what_the_monitor_says(monitor: str, before: Any, now: Any, kept: int, wanted: bool) -> None:
    def outcome(name: str, values: Any, first: int, restored: int) -> stage_folder.Outcome:
        rows = tuple({"epoch": first + i, monitor: value} for i, value in enumerate(values))
        return stage_folder.Outcome(name, 2, 8, rows, monitor, restored)

    earlier = outcome("2-fit", before, 1, 2)
    unlike = outcome("1-pretext", (9.0, 9.0), 1, 2)  # its numbers are of another task
    undone = replace(outcome("3-fit", (0.0, 0.0), 1, 2), notes={"fell_back": True})
    objectives = {"label": train.Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")}
    found = outcome("4-fit", now, 3, kept)
    assert comparing.better(found, (unlike, earlier, undone), train.Fit(), objectives) is wanted


def test_a_stage_that_spoils_the_model_is_undone(place: Path) -> None:
    path = place / "undone.yaml"
    path.write_text(
        f"{NET}  - {{epochs: 2, rate: 0.02}}\n  - {{epochs: 1, rate: 5, fall_back: true, monitor: val_accuracy}}\n"
    )
    run = runs.begin(place / "undone", runs.prepare(runs.read_spec(path)))
    results = run.results or {}
    first, second = results["stages"]
    assert second["fell_back"] is True
    assert results["best_epoch"] == first["best_epoch"], "the model has the weights of the first stage"
    assert second["gain"].endswith("undone as it was no better")
    assert second["gain"] in run.folder.report.read_text().replace("val accuracy", "val_accuracy")
    weights = load_file(run.folder.stages / "1-fit" / "weights.safetensors")
    for name, array in load_file(run.folder.stages / "2-fit" / "weights.safetensors").items():
        np.testing.assert_array_equal(array, weights[name])


SHORT = NET + "  - {epochs: 2, rate: 0.02}\n  - {epochs: 2, rate: %s, optimizer: sgd}\n"


def test_a_run_that_stopped_on_no_number_tells_why(place: Path) -> None:
    run = place / "no-number"
    (place / "no-number.yaml").write_text(SHORT % "1.0e+30")
    with pytest.raises(check.LensmithError, match="a loss that is a finite number"):
        runs.begin(run, runs.prepare(runs.read_spec(place / "no-number.yaml")))
    found = runs.open_run(run)
    noted = json.loads(found.folder.stopped.read_text())
    assert (noted["kind"], noted["epoch"]) == ("divergence", 3)
    assert "expected a loss that is a finite number; got nan" in noted["message"]
    assert (found.finished, found.trained, found.results) == (False, False, None)
    assert found.diagnosis[0] == {name: noted[name] for name in ("kind", "epoch", "evidence", "advice")}
    assert [one["kind"] for one in found.diagnosis].count("divergence") == 1
    page = found.report().read_text()
    assert "This run has not finished" in page
    assert "Try a tenth of the rate" in page
    assert "2 epochs" in page
    assert 'id="results"' not in page


def test_a_resume_that_goes_on_to_the_end_forgets_the_stop(place: Path) -> None:
    (place / "short.yaml").write_text(SHORT % "0.01")
    run = place / "short"
    with pytest.raises(Stop):
        runs.begin(run, runs.prepare(runs.read_spec(place / "short.yaml")), progress=Killer(30))
    killed = runs.open_run(run)
    assert not killed.finished
    assert killed.report().is_file()
    assert "divergence" not in [one["kind"] for one in killed.diagnosis]
    stop = {"message": "m", "kind": "divergence", "epoch": 3, "evidence": "e", "advice": "a"}
    killed.folder.stopped.write_text(json.dumps(stop))
    assert killed.diagnosis[0]["evidence"] == "e"
    killed.folder.stopped.write_text(json.dumps(stop | {"epoch": 0}))
    assert "divergence" not in [one["kind"] for one in killed.diagnosis], "training went on from there"
    resumed = runs.resume(run)
    assert resumed.finished
    assert not resumed.folder.stopped.exists()
    assert 'id="results"' in resumed.folder.report.read_text()


def test_a_trouble_of_several_stages_is_told_once() -> None:
    plateau = {"kind": "plateau", "epoch": 2, "evidence": "e", "advice": "a"}
    row = {"epoch": 1, "loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "rate": 0.1}
    first = stage_folder.Outcome(
        "1-fit", epochs=2, rows=(row,), monitor="val_loss", diagnoses=(plateau, plateau | {"kind": "overfitting"})
    )
    second = stage_folder.Outcome(
        "2-fit", epochs=2, rows=(row,), monitor="val_loss", diagnoses=(plateau | {"epoch": 4},)
    )
    spec = runs.parse_spec(SHORT % "0.01")
    found = outcomes.told((first, second), spec)["diagnosis"]
    assert [(one["kind"], one["epoch"]) for one in found] == [("plateau", 2), ("overfitting", 2)]


@pytest.mark.parametrize(
    ("beside", "told"),
    [
        ([], 1),
        (["overfitting"], 1),
        (["vanishing-gradients"], 0),  # what causes it is told
        (["overfitting", "rate-too-high"], 0),
    ],
)
def test_a_class_never_given_is_told_where_nothing_explains_it(beside: list[str], told: int) -> None:
    names = [{"name": "cat"}, {"name": "dog"}]
    judged = {"confusion": {"label": [[9, 0], [9, 0]]}, "classes": {"label": names}}
    assert len(outcomes.never_given(judged, [{"kind": kind} for kind in beside])) == told


def test_a_kill_between_results_and_report_is_put_right(whole: runs.Run, tmp_path: Path) -> None:
    shutil.copytree(whole.folder.path, tmp_path / "run")
    (tmp_path / "run" / "report.html").unlink()
    again = runs.resume(tmp_path / "run")
    assert again.folder.report.is_file()
    assert (again.results or {})["evaluations"] == 1


def test_a_kill_before_shipping_does_not_measure_again(place: Path) -> None:
    """What was measured stands; only the artifact is missing."""
    pytest.importorskip("onnx")
    path = place / "shipped.yaml"
    path.write_text(NET.replace("ship: null", "ship: {format: onnx}") + "  - {epochs: 1}\n")
    prepared = runs.prepare(runs.read_spec(path))

    def kill(*words: object) -> None:
        raise Stop

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ship, "export", kill)
        with pytest.raises(Stop):
            runs.begin(place / "shipped", prepared)
    run = runs.resume(place / "shipped")
    assert run.artifact is not None
    assert run.artifact.is_file()
    assert (run.results or {})["evaluations"] == 1


def test_a_run_of_an_earlier_version_is_opened(whole: runs.Run, tmp_path: Path) -> None:
    """Its results say nothing of stages, its notes nothing of code, its spec has fewer settings."""
    shutil.copytree(whole.folder.path, tmp_path / "run")
    folder = runs.RunFolder(tmp_path / "run")
    shutil.rmtree(folder.stages)
    noted, results = json.loads(folder.data.read_text()), json.loads(folder.results.read_text())
    del noted["code"], noted["spec"]["data"]["more"], noted["spec"]["train"][3]["average"]
    folder.data.write_text(json.dumps(noted))
    later = ("stages", "gains", "diagnosis", "evaluations", "before")
    folder.results.write_text(json.dumps({name: value for name, value in results.items() if name not in later}))
    run = runs.resume(folder.path)
    assert run.report().is_file()
    with pytest.raises(check.SettingError, match=r"got one of an earlier version\. Begin anew, from its weights with"):
        runs.extend(folder.path, folder.path)
    folder.results.unlink()
    with pytest.raises(check.SettingError, match="got one of an earlier version"):
        runs.resume(folder.path)


def test_opening_a_run_runs_none_of_the_code_it_names(place: Path, whole: runs.Run, tmp_path: Path) -> None:
    """The user's file is gone, and would be missed by whatever ran it."""
    shutil.copytree(whole.folder.path, tmp_path / "run")
    (place / "mine.py").rename(tmp_path / "mine.py")
    try:
        run = runs.resume(tmp_path / "run")  # finished: nothing is trained
        run.report()
        run.saved()
        runs.open_model(tmp_path / "run")
        runs.evaluate(tmp_path / "run", "bundled:digits")
    finally:
        (tmp_path / "mine.py").rename(place / "mine.py")
    assert (runs.open_run(tmp_path / "run").results or {})["evaluations"] == 2
    assert "was measured on 2 times" in run.folder.report.read_text()


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
