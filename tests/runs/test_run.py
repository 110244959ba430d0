"""A whole run: begun, finished, read again, continued, and refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from lensmith import compose, data, runs, ship, train
from lensmith.check import DataError, SettingError

TINY = """\
data: {source: "bundled:digits", batch: 64}
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.1}]}
  tasks: {label: {part: classify, pool: flatten}}
train: [{epochs: 2, rate: 0.01}]
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    return runs.begin(folder, runs.prepare(runs.parse_spec(TINY)))


def test_a_run_leaves_everything_behind(finished: runs.Run) -> None:
    there = {path.name for path in finished.folder.path.iterdir()}
    assert there >= {
        "spec.yaml",
        "data.json",
        "environment.json",
        "history.jsonl",
        "checkpoints",
        "model",
        "model.onnx",
        "results.json",
        "report.html",
    }
    assert len(finished.folder.history.read_text().splitlines()) == 2
    assert not [name for name in there if name.startswith(".")], "nothing half written is left"


def test_the_results_hold_together(finished: runs.Run) -> None:
    results = finished.results
    assert results is not None
    assert results["part"] == "test"
    assert results["examples"] == 359
    table = np.array(results["confusion"]["label"])
    assert results["metrics"]["accuracy"] == pytest.approx(np.trace(table) / 359)
    assert results["metrics"]["accuracy"] > 0.7
    assert results["proof"]["max_difference"] <= 1e-4
    wrong = 359 - np.trace(table)
    assert len(results["mistakes"]["label"]) == min(24, wrong)
    pictures = [finished.folder.path / entry["picture"] for entry in results["mistakes"]["label"]]
    assert all(path.is_file() for path in pictures)


def test_the_spec_is_written_out_and_trains_the_same_again(finished: runs.Run, tmp_path: Path) -> None:
    spec = runs.read_spec(finished.folder.spec)
    assert spec.data.image == (8, 8, 1)
    again = runs.begin(tmp_path / "again", runs.prepare(spec))
    assert again.folder.history.read_bytes() == finished.folder.history.read_bytes()
    first, second = (load_file(run.folder.model / "weights.safetensors") for run in (finished, again))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_every_example_stands_in_one_part_of_the_manifest(finished: runs.Run) -> None:
    noted = json.loads(finished.folder.data.read_text())
    sources = [entry["source"] for part in noted["parts"].values() for entry in part]
    assert len(sources) == len(set(sources)) == 1797
    assert noted["preprocessing"]["scaling"] == "0..1"


def test_resuming_a_finished_run_changes_nothing(finished: runs.Run) -> None:
    before = (finished.folder.model / "weights.safetensors").read_bytes(), finished.folder.history.read_bytes()
    again = runs.resume(finished.folder.path)
    assert (again.folder.model / "weights.safetensors").read_bytes(), again.folder.history.read_bytes() == before
    assert again.results["metrics"] == finished.results["metrics"]


def test_a_run_from_objects_is_the_same_as_one_from_a_spec(finished: runs.Run, tmp_path: Path) -> None:
    digits = data.read("bundled:digits")
    recipe = compose.Recipe(
        input=(8, 8, 1),
        stem=None,
        learner=compose.Groups(compose.Group(compose.Conv(norm="before"), filters=8, pool=2, dropout=0.1)),
        tasks={"label": compose.Classify(10, pool="flatten")},
    )
    plan = train.Fit(epochs=2, rate=0.01, schedule=train.Cosine())
    parts = data.split(digits, 0.6, 0.2, 0.2)
    run = runs.start(tmp_path / "objects", recipe=recipe, data=parts, plan=plan, batch=64)
    assert run.results is not None
    assert run.results["examples"] == 359
    assert runs.resume(tmp_path / "objects").results["metrics"] == run.results["metrics"]
    assert isinstance(run.saved(), ship.Saved)


def test_the_same_answers_from_run_model_and_artifact(finished: runs.Run) -> None:
    folder = finished.folder
    found = [
        runs.evaluate(path, "bundled:digits").metrics["accuracy"]
        for path in (folder.path, folder.model, folder.artifact)
    ]
    assert found[0] == found[1] == pytest.approx(found[2], abs=2e-3)


def test_a_report_can_be_written_without_the_data(finished: runs.Run) -> None:
    before = finished.folder.report.read_text()
    finished.folder.report.unlink()
    assert runs.open_run(finished.folder.path).report().read_text() == before


def test_what_is_not_a_run_is_refused(tmp_path: Path, finished: runs.Run) -> None:
    with pytest.raises(SettingError, match="no such folder"):
        runs.resume(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingError, match=r"no spec\.yaml"):
        runs.resume(tmp_path / "empty")
    with pytest.raises(SettingError, match="new or empty folder"):
        runs.begin(finished.folder.path, runs.prepare(runs.parse_spec(TINY)))
    with pytest.raises(SettingError, match="nothing at this path"):
        runs.open_model(tmp_path / "nowhere")
    with pytest.raises(SettingError, match="a folder with none of them"):
        runs.open_model(tmp_path / "empty")


def test_examples_that_changed_or_went_are_named(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    records = data.from_arrays(images, np.arange(40) % 2, names=("a", "b"))
    recipe = replace(compose.zoo.get("conv-cifar-small"), input=(8, 8, 1), tasks={"label": compose.Binary()})
    runs.start(tmp_path / "run", recipe=recipe, data=data.split(records, 0.6, 0.2, 0.2), plan=train.Fit(epochs=1))
    assert runs.resume(tmp_path / "run", records=records).results is not None
    with pytest.raises(DataError, match="is no longer in"):
        runs.resume(tmp_path / "run", records=records[:20])
    images[3] = 0
    with pytest.raises(DataError, match=r":3.*changed since the run began"):
        runs.resume(tmp_path / "run", records=data.from_arrays(images, np.arange(40) % 2, names=("a", "b")))


def test_regression_on_a_bundled_table(tmp_path: Path) -> None:
    spec = runs.parse_spec(
        "data: {source: 'bundled:linnerud', scaling: standardise}\nmodel: dense-regressor\ntrain: [{epochs: 1}]\n"
    )
    run = runs.begin(tmp_path / "rows", runs.prepare(spec))
    assert run.results is not None
    assert set(run.results["metrics"]) == {"loss", "mean_absolute_error"}
    assert run.results["numbers"]
