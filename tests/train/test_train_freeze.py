"""A stage that freezes: what it names keeps its bits, also over a kill; a stage for some of the tasks only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train_digits import CLASSES, Arrays, Killer, dense, digits, forgetful, train_forgetful

from lensmith import check, compose
from lensmith.backend import keras
from lensmith.runs.spec import FitSpec, parse_spec
from lensmith.train import Constant, Fit, Objective, checkpoint, evaluate, fit
from lensmith.train.compiled import check_stage
from lensmith.train.state import arrays_of

STAGE = Fit(epochs=2, rate=1e-2, schedule=Constant(), freeze=("conv", "norm"))
NUMBER = Objective("mean_squared_error", ("mean_absolute_error",))
BOTH = {"digit": CLASSES, "ink": NUMBER}


class Stop(BaseException):
    """Ends a run as a kill would."""


def stop() -> None:
    raise Stop


def snapshot(model: Any) -> dict[str, np.ndarray]:
    return arrays_of(model.variables)


def changed(model: Any, before: dict[str, np.ndarray]) -> set[str]:
    """The variables of which a bit changed."""
    return {name for name, array in snapshot(model).items() if array.tobytes() != before[name].tobytes()}


def nested() -> Any:
    """A convolutional base with batch normalisation, two models deep, and a dense head on it."""
    start = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(3, 3, name="conv", kernel_initializer=keras.initializers.HeNormal(0))(start)
    inner = keras.Model(start, keras.layers.BatchNormalization(name="norm")(x), name="inner")
    base = keras.Sequential([keras.layers.Input((8, 8, 1)), inner, keras.layers.ReLU()], name="base")
    rows = keras.Input((64,))
    flat = keras.layers.Flatten()(base(keras.layers.Reshape((8, 8, 1))(rows)))
    out = keras.layers.Dense(10, name="out", kernel_initializer=keras.initializers.GlorotUniform(1))
    return keras.Model(rows, out(flat))


def two_heads() -> Any:
    """One shared layer, and a head with batch normalisation and dropout for each of two tasks."""
    start = keras.Input((64,))
    seeds = iter(keras.initializers.GlorotUniform(seed) for seed in range(9))

    def layer(x: Any, units: int, name: str) -> Any:
        return keras.layers.Dense(units, kernel_initializer=next(seeds), name=name)(x)

    shared = keras.layers.Activation("relu")(layer(start, 16, "shared"))
    outputs = {}
    for task, units in (("digit", 10), ("ink", 1)):
        x = keras.layers.BatchNormalization(name=f"task-{task}-norm")(layer(shared, 8, f"task-{task}-dense"))
        x = keras.layers.Dropout(0.2, name=f"task-{task}-dropout")(x)
        outputs[task] = layer(x, units, f"task-{task}-logits")
    return keras.Model(start, outputs)


def inked(first: int, last: int) -> Arrays:
    """Digits, and how much ink each has."""
    one = digits(first, last)
    return Arrays(one.x, {"digit": one.y, "ink": one.x.mean(axis=1, keepdims=True)}, seed=one.seed)


# --- freezing ------------------------------------------------------------------------------------------------------


def test_frozen_layers_keep_their_bits_and_the_others_train() -> None:
    model = forgetful()
    before = snapshot(model)
    fit(model, digits(0, 100), stage=STAGE, objectives={"digit": CLASSES})
    weights = {name for name in changed(model, before) if "seed" not in name}
    assert weights == {"logits/kernel", "logits/bias"}
    assert len(model.optimizer.variables) == 2 + 2 * 2  # step and rate; two moments each for a kernel and a bias
    assert all(variable.trainable for variable in model.get_layer("conv").weights)


def test_a_norm_that_is_not_frozen_moves() -> None:
    model = forgetful()
    before = snapshot(model)
    fit(model, digits(0, 100), stage=Fit(epochs=1, freeze=("conv",)), objectives={"digit": CLASSES})
    assert {"norm/gamma", "norm/moving_mean", "norm/moving_variance"} <= changed(model, before)


@pytest.mark.parametrize("pattern", ["base", "inner", "base/inner/*", "*norm"])
def test_statistics_deep_inside_do_not_move(pattern: str) -> None:
    model = nested()
    before = snapshot(model)
    fit(model, digits(0, 100), stage=Fit(epochs=1, freeze=(pattern,)), objectives={"digit": CLASSES})
    moved = changed(model, before)
    assert any("out/kernel" in name for name in moved)
    assert not any("norm" in name for name in moved)
    assert any("conv" in name for name in moved) == (pattern == "*norm")


def test_freezing_is_training_only_the_rest() -> None:
    # The hidden layer frozen: the same as training its outputs as data.
    model, rows = dense(), digits(0, 100)
    hidden = keras.Model(model.input, model.get_layer("hidden").output)
    features = Arrays(np.array(hidden.predict(rows.x, verbose=0)), rows.y, seed=rows.seed)
    start = keras.Input((32,))
    head = keras.Model(start, keras.layers.Dense(10, name="logits")(start))
    head.set_weights(model.get_layer("logits").get_weights())
    stage = Fit(epochs=2, rate=1e-2, freeze=("hidden",))
    whole = fit(model, rows, stage=stage, objectives={"digit": CLASSES})
    alone = fit(head, features, stage=Fit(epochs=2, rate=1e-2), objectives={"digit": CLASSES})
    assert whole["loss"] == pytest.approx(alone["loss"], rel=1e-5)


def test_afterwards_all_is_as_before() -> None:
    model = forgetful()
    model.get_layer("norm").trainable = False
    flags = [(layer.name, layer.trainable) for layer in model.layers]
    variables = [(variable.path, variable.trainable) for variable in model.variables]
    with pytest.raises(Stop):
        stage = Fit(freeze=("conv", "norm"))
        fit(model, digits(0, 100), stage=stage, objectives={"digit": CLASSES}, progress=Killer(1, stop))
    assert [(layer.name, layer.trainable) for layer in model.layers] == flags
    assert [(variable.path, variable.trainable) for variable in model.variables] == variables


FREEZING = Fit(epochs=2, rate=1e-2, checkpoint_every=3, freeze=("norm", "conv"))


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that freezes and was left alone."""
    folder = tmp_path_factory.mktemp("untouched")
    train_forgetful(folder, stage=FREEZING)
    return folder


@pytest.mark.parametrize("step", [1, 7, 14])
def test_a_stopped_run_that_freezes_ends_with_the_same_bits(step: int, tmp_path: Path, untouched: Path) -> None:
    with pytest.raises(Stop):
        train_forgetful(tmp_path, stage=FREEZING, progress=Killer(step, stop))
    train_forgetful(tmp_path, stage=FREEZING)
    mine, theirs = (checkpoint.latest(folder / "checkpoints")[0] for folder in (tmp_path, untouched))
    assert mine is not None and theirs is not None
    for group in ("variables", "optimizer"):
        for a, b in zip(mine.arrays(group).values(), theirs.arrays(group).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_resume_that_freezes_something_else_is_refused(tmp_path: Path) -> None:
    train_forgetful(tmp_path, stage=Fit(epochs=1, freeze=("conv",)))
    for freeze in ((), ("norm",)):
        with pytest.raises(check.SettingError, match=r"resume: stage\.freeze: expected \['conv'\]"):
            train_forgetful(tmp_path, stage=Fit(epochs=1, freeze=freeze))


# --- some of the tasks ---------------------------------------------------------------------------------------------


def test_one_task_at_a_time() -> None:
    model = two_heads()
    before = snapshot(model)
    stage = Fit(epochs=2, rate=1e-2, tasks=("digit",))
    history = fit(model, inked(0, 200), stage=stage, objectives=BOTH, validation=inked(200, 300))
    weights = {name for name in changed(model, before) if "seed" not in name}
    assert {name for name in before if name.startswith(("shared", "task-digit"))} - weights == {
        name for name in before if "seed" in name and "digit" in name
    }
    assert not any("task-ink" in name for name in weights)
    names = {"loss", "digit_accuracy", "ink_mean_absolute_error"}
    assert set(history.rows[0]) == {"epoch", "rate", *names, *(f"val_{name}" for name in names)}
    assert history["loss"][1] < history["loss"][0]


def test_the_loss_is_that_of_the_task_alone() -> None:
    model, rows = two_heads(), inked(0, 100)
    everything = evaluate(model, rows, BOTH)
    stage = Fit(epochs=1, rate=1e-9, tasks=("ink",), restore_best=False)
    history = fit(model, inked(0, 100), stage=stage, objectives=BOTH, validation=rows)
    both = fit(model, inked(0, 100), stage=Fit(epochs=1, rate=1e-9), objectives=BOTH, validation=rows)
    # Of the heads only the one of ink has moved its statistics, so only its loss is another than before.
    assert history["val_loss"][0] != pytest.approx(everything["loss"], rel=1e-2)
    assert history["val_ink_mean_absolute_error"][0] > 0
    assert both["val_loss"][0] == pytest.approx(both["val_digit_loss"][0] + both["val_ink_loss"][0], rel=1e-5)


def test_all_tasks_named_is_all_tasks() -> None:
    stages = (Fit(epochs=1), Fit(epochs=1, tasks=("ink", "digit")))
    losses = [fit(two_heads(), inked(0, 100), stage=stage, objectives=BOTH).rows for stage in stages]
    assert losses[0] == losses[1]


def test_the_only_task_may_be_named() -> None:
    stages = (Fit(epochs=1), Fit(epochs=1, tasks=("digit",)))
    rows = [fit(dense(), digits(0, 100), stage=stage, objectives={"digit": CLASSES}).rows for stage in stages]
    assert rows[0] == rows[1]


def test_a_stopped_run_of_one_task_ends_with_the_same_bits(tmp_path: Path) -> None:
    stage = Fit(epochs=2, rate=1e-2, checkpoint_every=2, tasks=("digit",), freeze=("task-digit-norm",))

    def run(folder: str, progress: Any = None) -> Any:
        arguments = {"stage": stage, "objectives": BOTH, "validation": inked(200, 250), "folder": tmp_path / folder}
        model = two_heads()
        fit(model, inked(0, 150), resume=True, progress=progress, **arguments)
        return model

    untouched = run("untouched")
    for step in (3, 6):
        with pytest.raises(Stop):
            run("run", Killer(step, stop))
    for mine, theirs in zip(snapshot(run("run")).values(), snapshot(untouched).values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (tmp_path / "run/history.jsonl").read_bytes() == (tmp_path / "untouched/history.jsonl").read_bytes()


# --- settings ------------------------------------------------------------------------------------------------------

WRONG = [
    (Fit(freeze=("convv",)), ["freeze", "'convv'", "Did you mean 'conv'?"]),
    (Fit(freeze=("relu",)), ["relu has none"]),
    (Fit(freeze=("*",)), ["freeze", "still train", "all of them frozen"]),
    (Fit(tasks=("digits",)), ["tasks", "one of digit", "Did you mean 'digit'?"]),
]


@pytest.mark.parametrize(("stage", "words"), WRONG)
def test_wrong_stages_are_refused_before_the_first_step(stage: Fit, words: list[str]) -> None:
    model = forgetful()
    with pytest.raises(check.SettingError) as caught:
        fit(model, digits(0, 100), stage=stage, objectives={"digit": CLASSES})
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert model.trainable_variables


def test_an_unknown_task_is_refused_without_a_model() -> None:
    with pytest.raises(check.SettingError, match="Did you mean 'ink'"):
        check_stage(Fit(tasks=("inc",)), BOTH, validated=True)
    with pytest.raises(check.SettingError, match="val_ink_loss"):
        check_stage(Fit(tasks=("digit",), monitor="val_ink_loss"), BOTH, validated=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"freeze": "stem"}, ["freeze", "a tuple of names", "Put it into a tuple: ('stem',)"]),
        ({"freeze": ("stem", 3)}, ["freeze", "a tuple of names"]),
        ({"tasks": ()}, ["tasks", "at least 1"]),
        ({"tasks": ("",)}, ["tasks", "a tuple of names"]),
    ],
)
def test_what_a_stage_refuses(values: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(check.SettingError) as caught:
        Fit(**values)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


SPEC = "data: {source: a}\ntrain: [{freeze: [stem, learner-group1], tasks: species}]\n"


def test_the_spec_says_what_is_frozen() -> None:
    spec = parse_spec(SPEC)
    stage = spec.train[0].to_record()
    assert (stage.freeze, stage.tasks) == (("stem", "learner-group1"), ("species",))
    assert parse_spec(spec.to_yaml()).model_dump() == spec.model_dump()
    assert FitSpec.from_record(stage).to_record() == stage
    assert FitSpec.from_record(Fit()) == FitSpec()


@pytest.mark.parametrize(("old", "new"), [("tasks: species", "tasks: []"), ("[stem, learner-group1]", "{stem: 1}")])
def test_a_wrong_spec_is_refused_with_the_line(old: str, new: str) -> None:
    with pytest.raises(check.SettingError, match=r"spec, line 2: train\[0\]\.(tasks|freeze)"):
        parse_spec(SPEC.replace(old, new))


# --- a network of compose ------------------------------------------------------------------------------------------


def pictured(first: int, last: int) -> Arrays:
    one = digits(first, last)
    return Arrays(one.x.reshape(-1, 8, 8, 1), one.y, seed=one.seed)


def test_a_frozen_stem_of_a_recipe_keeps_every_bit(tmp_path: Path) -> None:
    learner = compose.Groups(*(compose.Group(compose.Basic(), filters=4) for _ in range(2)))
    stem = compose.ConvStem(4, kernel=3, stride=1)
    recipe = compose.Recipe((8, 8, 1), stem, learner, {"digit": compose.Classify(10)})
    model = recipe.build(seed=0)
    before = snapshot(model)
    still = ("stem", "learner-group1")
    stage = Fit(epochs=2, freeze=still, optimizer={"name": "adamw", "weight_decay": 0.1})
    view = compose.logits(model)
    fit(view, pictured(0, 150), stage=stage, objectives={"digit": CLASSES}, validation=pictured(150, 200))
    moved = changed(model, before)
    assert moved == {name for name in before if not name.startswith(still)}
    assert len(view.optimizer.variables) == 2 + 2 * sum(name.split("/")[1][:6] != "moving" for name in moved)
