"""The sections ``losses`` and ``taps`` of a stage: read, turned into objectives, and refused in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from lensmith import check
from lensmith.records import Labels
from lensmith.runs.loss_spec import LossSpec, TapSpec, objectives, references
from lensmith.train import Objective
from lensmith.train.focal import Focal

SPARSE, SHARES = "sparse_categorical_crossentropy", "categorical_crossentropy"
OWN = {
    "species": Objective(SPARSE, ("accuracy",), "softmax", 2.0),
    "ill": Objective("binary_crossentropy", ("accuracy",), "sigmoid"),
    "tags": Objective("binary_crossentropy", ("accuracy",), "sigmoid"),
    "age": Objective("mean_squared_error", ("mean_absolute_error",)),
    "aux1": Objective(SPARSE, (), "softmax", 0.6, "species"),
}
LABELS = {
    "species": Labels("class", ("cat", "dog", "0")),
    "ill": Labels("class", ("no", "yes")),
    "tags": Labels("classes", ("wet", "old")),
    "age": Labels("number", ("years",)),
}
COUNTS = {"species": (30, 10, 0), "ill": (15, 5), "tags": (6, 2)}
MINE = """\
import keras

def far(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_pred), axis=-1)

def sparsity(y_true, maps):
    return keras.ops.mean(maps)

class Odd(keras.metrics.Mean):
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def sections(text: str) -> tuple[dict[str, LossSpec], dict[str, TapSpec]]:
    values = yaml.safe_load(text)
    losses = {name: LossSpec.model_validate(value) for name, value in values.get("losses", {}).items()}
    return losses, {name: TapSpec.model_validate(value) for name, value in values.get("taps", {}).items()}


def made(text: str, folder: Path, own: Mapping[str, Objective] = OWN, place: str = "") -> Mapping[str, Objective]:
    return objectives(own, *sections(text), labels=LABELS, counts=COUNTS, folder=folder, place=place)


# Each row: a section, the task, and the fields of its objective that are not the usual ones.
READ: list[tuple[str, str, dict[str, Any]]] = [
    ("losses: {species: focal}", "species", {"loss": Focal()}),
    ("losses: {species: {loss: focal, gamma: 1, alpha: 0.5}}", "species", {"loss": Focal(1.0, 0.5)}),
    ("losses: {species: {loss: focal, gamma: 0}}", "species", {"loss": Focal(0.0)}),
    ("losses: {species: {smoothing: 0.1}}", "species", {"smoothing": 0.1}),
    ("losses: {species: {weight: 0}}", "species", {"weight": 0.0}),
    ("losses: {species: {class_weights: balanced}}", "species", {"class_weights": (40 / 60, 2.0, 1.0)}),
    ("losses: {ill: {class_weights: balanced}}", "ill", {"class_weights": (20 / 30, 2.0)}),
    ("losses: {tags: {class_weights: balanced}}", "tags", {"class_weights": (8 / 12, 2.0)}),
    ("losses: {species: {class_weights: {dog: 3}}}", "species", {"class_weights": (1.0, 3.0, 1.0)}),
    ("losses: {species: {class_weights: {0: 3}}}", "species", {"class_weights": (1.0, 1.0, 3.0)}),  # a number in YAML
    (
        "losses: {species: {loss: [focal, {loss: kl_divergence, weight: 0.5}]}}",
        "species",
        {"loss": ((Focal(), 1.0), ("kl_divergence", 0.5))},
    ),
    ("losses: {species: categorical_crossentropy}", "species", {"loss": SPARSE}),  # of the targets there are
    ("losses: {age: {loss: huber, metrics: mae}}", "age", {"loss": "huber", "metrics": ("mae",)}),
    ("losses: {age: {metrics: []}}", "age", {"metrics": ()}),
    ("losses: {}", "age", {}),
]


@pytest.mark.parametrize(("text", "task", "changed"), READ)
def test_sections_become_objectives(text: str, task: str, changed: dict[str, Any], folder: Path) -> None:
    found = made(text, folder)
    assert list(found) == list(OWN)
    for name in ("loss", "metrics", "activation", "weight", "target", "class_weights", "smoothing", "tap"):
        assert getattr(found[task], name) == changed.get(name, getattr(OWN[task], name)), name
    others = [name for name in OWN if name not in (task, "aux1")]
    assert all(found[name] == OWN[name] for name in others)


def test_mixed_images_keep_their_kind_of_targets(folder: Path) -> None:
    own = {**OWN, "species": Objective(SHARES, ("accuracy",), "softmax")}
    assert made(f"losses: {{species: {{loss: {SPARSE}}}}}", folder, own)["species"].loss == SHARES


def test_an_auxiliary_head_learns_what_its_task_learns(folder: Path) -> None:
    text = "losses: {species: {loss: focal, smoothing: 0.1, class_weights: balanced, weight: 4, metrics: [acc]}}"
    found = made(text, folder)
    main, helper = found["species"], found["aux1"]
    assert (helper.loss, helper.smoothing, helper.class_weights) == (main.loss, 0.1, main.class_weights)
    assert helper.weight == pytest.approx(0.6 * 4 / 2) and helper.metrics == () and helper.target == "species"


def test_code_of_ones_own(folder: Path) -> None:
    text = """
    losses:
      species: {loss: [focal, {loss: "mine.py:far", weight: 0.1}], metrics: [accuracy, "mine.py:far", "mine.py:Odd"]}
    taps: {P3: {loss: "mine.py:sparsity", weight: 0.01}, P2: {loss: "mine.py:sparsity", task: species}}
    """
    found = made(text, folder)
    (focal, one), (far, tenth) = found["species"].loss
    assert (focal, one, far.__name__, tenth) == (Focal(), 1.0, "far", 0.1)
    name, function, metric = found["species"].metrics
    assert (name, function, type(metric).__name__) == ("accuracy", far, "Odd")
    assert list(found) == [*OWN, "P3", "P2"]
    tap = found["P3"]
    assert (tap.loss.__name__, tap.weight, tap.target, tap.tap) == ("sparsity", 0.01, None, True)
    assert (found["P2"].weight, found["P2"].target) == (1.0, "species")
    assert references(*sections(text)) == ("mine.py:far", "mine.py:Odd", "mine.py:sparsity")


WRONG = [
    ("losses: {specis: focal}", "losses: expected one of species, ill, tags, age; got 'specis'. Did you mean 'spec"),
    ("losses: {aux1: focal}", "losses: expected one of species, ill, tags, age; got 'aux1'"),
    ("losses: {species: focl}", "losses.species.loss: expected one of"),
    ("losses: {species: {metrics: [acuracy]}}", "losses.species.metrics: expected one of"),
    ("losses: {species: {metrics: [acuracy]}}", "Did you mean 'accuracy'?"),
    ("losses: {species: {class_weights: {dgo: 2}}}", "losses.species.class_weights: expected one of cat, dog, 0;"),
    ("losses: {species: {class_weights: {dog: -2}}}", "losses.species.class_weights: expected a weight for each"),
    ("losses: {age: {class_weights: balanced}}", "losses.age.class_weights: expected a task of classes; got labels"),
    ("losses: {age: {smoothing: 0.1}}", "losses.age.smoothing: expected softmax or sigmoid"),
    ("losses: {age: focal}", "losses.age.activation: expected softmax or sigmoid, since focal loss"),
    ("losses: {species: {loss: mse, smoothing: 0.1}}", "losses.species.smoothing: expected a cross-entropy or focal"),
    ("losses: {species: {gamma: 1}}", "losses.species.loss: expected focal, which has gamma and alpha; got the usual"),
    ("losses: {species: {loss: mse, alpha: 0.5}}", "losses.species.loss: expected focal, which has gamma and alpha; g"),
    ("losses: {species: 'mine.py:fer'}", "losses.species.loss: "),
    ("losses: {species: 'mine.py:fer'}", "Did you mean 'far'?"),
    ("losses: {species: 'mine.py:Odd'}", "losses.species.loss: mine.py:Odd: expected a function of (y_true, y_pred)"),
    ("losses: {species: {metrics: 'yours.py:f'}}", "yours.py: expected a file of Python code; got no such file"),
    ("taps: {P3: sparsity}", "taps.P3.loss: expected a function in a file of one's own, as in 'mine.py:sparsity';"),
    ("taps: {species: 'mine.py:sparsity'}", "taps.species: expected a name that no task has; got 'species'"),
    ("taps: {P3: {loss: 'mine.py:sparsity', task: spices}}", "taps.P3.task: expected one of species, ill, tags, age"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_refused_in_one_line(text: str, message: str, folder: Path) -> None:
    with pytest.raises(check.SettingError) as caught:
        made(text, folder)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(check.SettingError) as caught:
        made(text, folder, place="train[2].")
    assert str(caught.value).startswith(("train[2].losses", "train[2].taps"))


def test_there_must_be_counts_to_balance(folder: Path) -> None:
    losses, _ = sections("losses: {species: {class_weights: balanced}}")
    for counts in ({}, {"species": (0, 0, 0)}):
        with pytest.raises(check.SettingError, match=r"counts of classes to balance; got none\. Write the weights by"):
            objectives(OWN, losses, {}, labels=LABELS, counts=counts, folder=folder)


# What the sections themselves refuse; the line of the spec is added where a file is read.
INVALID = [
    ({"loss": "focal", "smooth": 0.1}, "smooth"),
    ({"smoothing": 1.0}, "less than 1"),
    ({"smoothing": -0.1}, "greater than or equal to 0"),
    ({"weight": -1}, "greater than or equal to 0"),
    ({"alpha": 2}, "less than or equal to 1"),
    ({"class_weights": "balance"}, "balanced"),
    ({"class_weights": {"a": "much"}}, "number"),
    ({"loss": 7}, "string"),
    ({"loss": []}, "at least 1 item"),
    ({"loss": [{"loss": "mse", "wait": 2}]}, "wait"),
]


@pytest.mark.parametrize(("values", "message"), INVALID)
def test_sections_refuse(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        LossSpec.model_validate(values)
    assert message in str(caught.value)
    with pytest.raises(ValidationError):
        TapSpec.model_validate({"weight": 1})


def test_sections_written_out_are_read_again() -> None:
    text = "losses: {a: focal, b: {loss: [mse, {loss: mae, weight: 2}], class_weights: {0: 2}, metrics: [mae]}}"
    losses, _ = sections(text)
    for spec in losses.values():
        assert LossSpec.model_validate(yaml.safe_load(yaml.safe_dump(spec.model_dump(mode="json")))) == spec
