"""The spec: read, written out, and refused with the line."""

from pathlib import Path

import pytest

from lensmith import runs, train
from lensmith.check import SettingError
from lensmith.runs.spec import FitSpec

WHOLE = """\
data:
  source: photos
  image: [32, 48, 3]
  split: {train: 0.7, validation: 0.15, test: 0.15, seed: 3}
  batch: 16
model:
  learner: resnet18-v2
  tasks: {species: classify}
train:
  - {stage: fit, epochs: 30, schedule: cosine, stop: {monitor: val_loss, patience: 5}}
ship: {format: onnx}
seed: 7
"""


def test_a_whole_spec_is_read() -> None:
    spec = runs.parse_spec(WHOLE)
    assert spec.data.image == (32, 48, 3)
    assert spec.data.split.validation == 0.15
    assert spec.train[0].to_record() == train.Fit(
        epochs=30, schedule=train.Cosine(), stop=train.Patience("val_loss", 5)
    )
    assert (spec.seed, spec.model.learner, spec.model.tasks) == (7, "resnet18-v2", {"species": "classify"})


def test_writing_out_and_reading_again_changes_nothing() -> None:
    spec = runs.parse_spec(WHOLE)
    again = runs.parse_spec(spec.to_yaml())
    assert again.model_dump() == spec.model_dump()
    assert "checkpoint_every: null" in spec.to_yaml(), "every default is written out"


def test_bare_names_are_enough() -> None:
    spec = runs.parse_spec("data: {source: photos}\nmodel: vgg16\ntrain: [{schedule: constant}]\n")
    assert spec.model.learner == "vgg16"
    assert spec.train[0].to_record().schedule == train.Constant()


@pytest.mark.parametrize(
    "stage",
    [
        train.Fit(),
        train.Fit(epochs=3, optimizer={"name": "sgd", "momentum": 0.9}, rate=0.1, checkpoint_every=5, keep=3),
        train.Fit(schedule=train.Cosine(final=0.1), stop=train.Patience("val_accuracy", 2, 0.01, "max")),
    ],
)
def test_a_stage_survives_the_spec(stage: train.Fit) -> None:
    assert FitSpec.from_record(stage).to_record() == stage


# Each row: what is replaced in the spec above, by what, and what the refusal must say.
WRONG = [
    ("epochs: 30", "epoch: 30", ["line 10", "train[0].epoch", "'epoch'", "Did you mean 'epochs'?"]),
    ("epochs: 30", "epochs: 0", ["line 10", "train[0].epochs", "greater than or equal to 1", "got 0"]),
    ("  batch: 16", "  bach: 16", ["line 5", "data.bach", "Did you mean 'batch'?"]),
    ("ship:", "shipp:", ["line 11", "'shipp'", "Did you mean 'ship'?"]),
    ("[32, 48, 3]", "[32, 48]", ["line 3", "data.image"]),
    ("source: photos", "sauce: photos", ["line", "data.sauce"]),
    ("train: 0.7", "train: seven", ["line 4", "data.split.train", "'seven'"]),
    ("schedule: cosine", "schedule: cosinus", ["line 10", "schedule", "'cosinus'"]),
    ("format: onnx", "format: tflite", ["line 11", "ship.format", "'tflite'"]),
    ("seed: 7", "seed: 7\n  odd: [", ["line 13", "not YAML"]),
    ("[32, 48, 3]", "[32, 48, 3", ["not YAML", "line"]),
]


@pytest.mark.parametrize(("old", "new", "words"), WRONG)
def test_wrong_specs_are_refused_with_the_line(old: str, new: str, words: list[str]) -> None:
    with pytest.raises(SettingError) as caught:
        runs.parse_spec(WHOLE.replace(old, new), "my.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("my.yaml, line ")
    for word in words:
        assert word in message


@pytest.mark.parametrize("text", ["", "- a list", "just words", "3"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(SettingError, match="settings by name"):
        runs.parse_spec(text)


def test_a_missing_source_is_named() -> None:
    with pytest.raises(SettingError, match=r"data\.source: missing"):
        runs.parse_spec("data: {batch: 3}\n")


def test_several_stages_are_read_in_order() -> None:
    spec = runs.parse_spec("data: {source: a}\ntrain: [{stage: warmup, epochs: 2}, {epochs: 3}]\n")
    assert [(stage.stage, stage.epochs) for stage in spec.train] == [("warmup", 2), ("fit", 3)]
    with pytest.raises(SettingError, match=r"spec, line 2: train"):
        runs.parse_spec("data: {source: a}\ntrain: []\n")


# Each row: a stage, and what the refusal must say.
WRONG_STAGES = [
    ("{stage: fitt}", ["train[0].stage", "one of draw, pretext, warmup, fit", "got 'fitt'", "Did you mean 'fit'?"]),
    ("{stage: warmup, epoch: 3}", ["train[0].epoch", "Did you mean 'epochs'?"]),
    ("{stage: draw, epochs: 3}", ["train[0].epochs", "one of stage, draws, steps, rate, optimizer"]),
    ("{schedule: cosin}", ["train[0].schedule.name", "one of constant, linear", "Did you mean 'cosine'?"]),
    ("{schedule: linear}", ["train[0].schedule.decay", "missing"]),
    ("{schedule: {name: step, decay: 3}}", ["train[0].schedule.decay", "got 3"]),
    ("{schedule: {name: step, evry: 3}}", ["train[0].schedule.evry", "Did you mean 'every'?"]),
    ("{stop: {patiense: 3}}", ["train[0].stop.patiense", "Did you mean 'patience'?"]),
    ("{average: 1.5}", ["train[0].average", "less than 1"]),
    ("{features: {view: 3}}", ["train[0].features.view", "Did you mean 'views'?"]),
    ("{losses: {label: {los: mse}}}", ["losses.label.los", "Did you mean 'loss'?"]),
    ("{stage: pseudo-label}", ["train[0].source", "missing"]),
]


@pytest.mark.parametrize(("stage", "words"), WRONG_STAGES)
def test_a_wrong_stage_is_refused_with_the_line(stage: str, words: list[str]) -> None:
    with pytest.raises(SettingError, match=r"^spec, line 3: ") as caught:
        runs.parse_spec(f"data: {{source: a}}\ntrain:\n  - {stage}\n")
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


def test_a_relative_source_is_taken_from_the_folder_of_the_spec(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("data: {source: photos}\n")
    assert runs.read_spec(path).data.source == str(tmp_path / "photos")
    path.write_text("data: {source: 'bundled:digits'}\n")
    assert runs.read_spec(path).data.source == "bundled:digits"


def test_a_missing_spec_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        runs.read_spec(tmp_path / "none.yaml")
