"""A whole run: begun, finished, read again, continued, and refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from lensmith import compose, data, runs, ship, train
from lensmith.check import DataError, SettingError
from lensmith.records import Labels
from lensmith.runs import run as run_module
from lensmith.runs.folder import RunFolder, locked

TINY = """\
data: {source: "bundled:digits", batch: 64}
model:
  learner: {part: groups, groups: [{block: {part: conv, norm: before}, filters: 8, pool: 2, dropout: 0.1}]}
  tasks: {label: {part: classify, pool: flatten}}
train: [{epochs: 2, rate: 0.01}]
"""


class Stop(BaseException):
    """Ends a run as a kill would."""


class Killer(train.Silent):
    """Ends training after one epoch."""

    def on_epoch(self, row: object, waited: float) -> None:
        raise Stop


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
    files = [path for path in finished.folder.path.rglob("*") if path.is_file()]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    assert runs.resume(finished.folder.path).results == finished.results
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files} == before


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
    with pytest.raises(SettingError, match=r"expected a new or empty folder; got a run\. Continue it"):
        runs.begin(finished.folder.path, runs.prepare(runs.parse_spec(TINY)))
    with pytest.raises(SettingError, match="nothing at this path"):
        runs.open_model(tmp_path / "nowhere")
    with pytest.raises(SettingError, match="a folder with none of them"):
        runs.open_model(tmp_path / "empty")


def test_examples_that_changed_or_went_are_named(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    records = data.from_arrays(images, np.arange(40) % 2, names=("a", "b"))
    recipe = replace(compose.zoo.get("conv-cifar-small"), input=(8, 8, 1), tasks={"label": compose.Binary()})
    parts = data.split(records, 0.6, 0.2, 0.2)
    with pytest.raises(Stop):
        runs.start(tmp_path / "run", recipe=recipe, data=parts, plan=train.Fit(epochs=2), progress=Killer())
    with pytest.raises(DataError, match="is no longer in"):
        runs.resume(tmp_path / "run", records=records[:20])
    changed = images.copy()
    changed[3] = 0
    with pytest.raises(DataError, match=r":3: changed since the run began"):
        runs.resume(tmp_path / "run", records=data.from_arrays(changed, np.arange(40) % 2, names=("a", "b")))
    assert runs.resume(tmp_path / "run", records=records).results is not None


def test_regression_on_a_bundled_table(tmp_path: Path) -> None:
    spec = runs.parse_spec(
        "data: {source: 'bundled:linnerud', scaling: standardise}\nmodel: dense-regressor\ntrain: [{epochs: 1}]\n"
    )
    run = runs.begin(tmp_path / "rows", runs.prepare(spec))
    assert run.results is not None
    assert set(run.results["metrics"]) == {"loss", "mean_absolute_error"}
    assert run.results["numbers"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures of each of two classes, as files."""
    random = np.random.default_rng(0)
    for name, level in (("bright", 190), ("dark", 60)):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.clip(random.normal(level, 20, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / name / f"{i:02}.png")
    return tmp_path / "pictures"


def of_pictures(pictures: Path, more: str = "") -> runs.Prepared:
    model = TINY[TINY.index("model:") : TINY.index("train:")]
    text = f"data: {{source: '{pictures}', batch: 4}}\n{model}train: [{{epochs: 2, rate: 0.01}}]\n{more}"
    return runs.prepare(runs.parse_spec(text))


def begun(folder: Path, prepared: runs.Prepared) -> Path:
    """A run that was killed after its first epoch."""
    with pytest.raises(Stop):
        runs.begin(folder, prepared, progress=Killer())
    return folder


def test_a_class_added_later_does_not_renumber_the_others(pictures: Path, tmp_path: Path) -> None:
    whole = runs.begin(tmp_path / "whole", of_pictures(pictures))
    broken = begun(tmp_path / "broken", of_pictures(pictures))
    shutil.copytree(pictures / "dark", pictures / "another")
    resumed = runs.resume(broken)
    assert resumed.folder.history.read_bytes() == whole.folder.history.read_bytes()
    assert resumed.results["metrics"] == whole.results["metrics"]


def test_linked_files_are_examples_of_their_own(pictures: Path, tmp_path: Path) -> None:
    (pictures / "dark" / "linked.png").symlink_to(pictures / "dark" / "00.png")
    broken = begun(tmp_path / "broken", of_pictures(pictures))
    assert runs.resume(broken).results is not None


def test_a_changed_spec_is_refused_by_name(pictures: Path, tmp_path: Path) -> None:
    broken = begun(tmp_path / "broken", of_pictures(pictures))
    spec = broken / "spec.yaml"
    text = spec.read_text()
    spec.write_text(text.replace("activation: relu", "activation: tanh", 1))
    with pytest.raises(SettingError, match=r"model\.learner\.groups\[0\]\.block\.activation was changed"):
        runs.resume(broken)
    spec.write_text(text.replace("checkpoint_every: null", "checkpoint_every: 3"))
    assert runs.resume(broken).results is not None, "how often to save may change"


def test_a_run_that_had_not_begun_can_be_begun(pictures: Path, tmp_path: Path) -> None:
    prepared = of_pictures(pictures)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spec.yaml").write_text("killed before anything else")
    assert runs.begin(tmp_path / "run", prepared).results is not None
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(SettingError, match=r"holds thesis\.tex"):
        runs.begin(tmp_path / "mine", prepared)


def test_two_processes_do_not_work_on_one_run(pictures: Path, tmp_path: Path) -> None:
    broken = begun(tmp_path / "broken", of_pictures(pictures))
    with locked(RunFolder(broken)), pytest.raises(SettingError, match="another process is at work"):
        runs.resume(broken)


def test_what_was_learnt_stays_when_shipping_is_refused(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = of_pictures(pictures)

    def refuse(*_: object) -> None:
        raise ship.ProofError("the artifact differs")

    with monkeypatch.context() as patch:
        patch.setattr(run_module.ship, "export", refuse)
        with pytest.raises(ship.ProofError):
            runs.begin(tmp_path / "run", prepared)
    kept = runs.open_run(tmp_path / "run")
    assert kept.results is not None
    assert kept.artifact is None
    assert kept.folder.report.is_file()
    shipped = runs.resume(tmp_path / "run")
    assert shipped.artifact is not None
    assert shipped.artifact.is_file()


def test_where_nothing_can_be_exported_a_spec_that_asks_is_refused_at_once(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ship, "cannot_export", lambda: SettingError("export to ONNX: expected the torch backend"))
    assert of_pictures(pictures).spec.ship is None, "who did not ask for an artifact gets none"
    with pytest.raises(SettingError, match="the torch backend"):
        of_pictures(pictures, "ship: {format: onnx}\n")


def test_broken_files_are_set_aside_before_a_run_from_objects(pictures: Path, tmp_path: Path) -> None:
    (pictures / "dark" / "05.png").write_bytes(b"")
    recipe = replace(compose.zoo.get("conv-cifar-small"), input=(8, 8, 3), tasks={"label": compose.Binary()})
    parts = data.split(data.read(pictures), 0.6, 0.2, 0.2)
    run = runs.start(tmp_path / "run", recipe=recipe, data=parts, plan=train.Fit(epochs=1))
    noted = json.loads(run.folder.data.read_text())
    assert [Path(entry["source"]).name for entry in noted["set_aside"]] == ["05.png"]
    assert sum(len(part) for part in noted["parts"].values()) == 23


def test_a_file_that_goes_after_training_began_does_not_end_the_run(pictures: Path, tmp_path: Path) -> None:
    prepared = of_pictures(pictures)

    class Deleter(train.Silent):
        def on_epoch(self, row: object, waited: float) -> None:
            prepared.parts[2][0].image.unlink(missing_ok=True)
            prepared.parts[0][0].image.unlink(missing_ok=True)

    run = runs.begin(tmp_path / "run", prepared, progress=Deleter())
    lost = {Path(entry["source"]) for entry in run.results["lost"]}
    assert lost == {prepared.parts[0][0].image, prepared.parts[2][0].image}
    assert run.results["examples"] == len(prepared.parts[2]) - 1


def test_parts_with_other_labels_are_refused(pictures: Path, tmp_path: Path) -> None:
    first = data.read(pictures)
    other = replace(first, labels={"label": Labels("class", ("dark", "bright"))})
    recipe = replace(compose.zoo.get("conv-cifar-small"), input=(8, 8, 3), tasks={"label": compose.Binary()})
    with pytest.raises(DataError, match="parts with the same labels"):
        runs.start(tmp_path / "run", recipe=recipe, data=(first, other, other[:0]))
    with pytest.raises(DataError, match="24 images of one part stand in another too"):
        runs.start(tmp_path / "run", recipe=recipe, data=(first, first, first[:0]))
    with pytest.raises(DataError, match="stands 2 times in the data"):
        runs.start(tmp_path / "run", recipe=recipe, data=(first, first, first[:0]), allow_leakage=True)
    assert not (tmp_path / "run").exists()


# Each row: what is changed in the spec, and what the refusal says; nothing is written.
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("rate: 0.01", "optimizer: adm", "Did you mean 'adam'"),
        ("rate: 0.01", "monitor: val_acuracy", "val_accuracy"),
        ("rate: 0.01", "rate: .inf", "train"),
        ("filters: 8", "filters: 8, stride: 0", "line"),
        ("part: classify, pool", "part: clasify, pool", "line 4"),
        ("pool: 2, dropout", "pool: 9, dropout", "learner"),
    ],
)
def test_what_would_fail_later_is_refused_before_anything_is_written(old: str, new: str, says: str) -> None:
    assert old in TINY
    with pytest.raises(SettingError) as caught:
        runs.prepare(runs.parse_spec(TINY.replace(old, new), "my.yaml"))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_broken_run_files_are_one_line(finished: runs.Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(finished.folder.path, broken)
    (broken / "data.json").write_text("{}")
    with pytest.raises(DataError, match=r"data\.json: expected what a run writes"):
        runs.resume(broken)
    (broken / "data.json").write_text("{")
    with pytest.raises(DataError, match=r"data\.json: cannot be read"):
        runs.resume(broken)
    (broken / "spec.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match=r"spec\.yaml: the spec cannot be read"):
        runs.resume(broken)
