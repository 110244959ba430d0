"""The loop learns, follows its schedule, stops when told to, and measures what plain Keras measures."""

import io
import json
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from sklearn.datasets import load_diabetes, load_digits
from train_digits import CLASSES, Arrays, dense, digits

from lensmith import check
from lensmith.backend import keras
from lensmith.train import Constant, Cosine, Fit, History, Objective, Patience, RichProgress, Silent, evaluate, fit
from lensmith.train.optimizers import rate_at
from lensmith.train.schedules import Moment


def test_learns_digits() -> None:
    unseen = digits(1400, 1797, seed=None)
    stage = Fit(epochs=6, rate=1e-2, schedule=Constant())
    history = fit(dense(hidden=64), digits(0, 1400), stage=stage, objectives={"digit": CLASSES}, validation=unseen)
    assert history["val_accuracy"][-1] > 0.9
    assert history["epoch"] == [1, 2, 3, 4, 5, 6]
    assert list(history.rows[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "rate"]


OPTIMIZERS = [
    "sgd",
    {"name": "sgd", "momentum": 0.9},
    {"name": "SGD", "momentum": 0.9, "nesterov": True},
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "adamax",
    {"name": "adam", "amsgrad": True},
    "nadam",
    {"name": "adamw", "weight_decay": 1e-4, "clipnorm": 1.0},
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_each_optimizer_lowers_the_loss(optimizer: object) -> None:
    stage = Fit(epochs=2, optimizer=optimizer, rate=1e-2)
    history = fit(dense(), digits(0, 320), stage=stage, objectives={"digit": CLASSES})
    assert history["loss"][1] < history["loss"][0]


def test_cosine_on_paper() -> None:
    # rate (1 + cos(pi step / steps)) / 2 at a third and two thirds: 0.75 and 0.25 of it.
    stage = Fit(rate=0.4, schedule=Cosine())
    assert [rate_at(stage, Moment(step, 3, 1)) for step in range(4)] == pytest.approx([0.4, 0.3, 0.1, 0.0])
    # A final share of 0.5 halves the way down: 0.4 - 0.2 (1 - 0.75) and so on.
    stage = Fit(rate=0.4, schedule=Cosine(final=0.5))
    assert [rate_at(stage, Moment(step, 3, 1)) for step in range(4)] == pytest.approx([0.4, 0.35, 0.25, 0.2])
    assert rate_at(Fit(rate=0.4, schedule=Constant()), Moment(7, 5, 2)) == 0.4


@pytest.mark.parametrize("schedule", [Constant(), Cosine()])
def test_one_weight_follows_the_schedule(schedule: object) -> None:
    # Loss = mean of the output, output = weight * 1: the gradient is 1, so each step takes the rate off.
    start = keras.Input((1,))
    model = keras.Model(start, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(start))
    ones = Arrays(np.ones((6, 1), "float32"), np.zeros((6, 1), "float32"), size=2)
    objective = Objective(lambda y_true, y_pred: keras.ops.mean(y_pred, axis=-1))
    stage = Fit(epochs=2, optimizer="sgd", rate=0.1, schedule=schedule)
    history = fit(model, ones, stage=stage, objectives={"value": objective})
    rates = [rate_at(stage, Moment(step, 3, 2)) for step in range(6)]
    assert model.get_weights()[0].item() == pytest.approx(-sum(rates), rel=1e-5)
    assert history["rate"] == [rates[2], rates[5]]
    # The running mean over an epoch is of the values before each step.
    assert history["loss"][0] == pytest.approx(-(0 + rates[0] + rates[0] + rates[1]) / 3, rel=1e-5)


def _noise(rows: int = 64) -> Arrays:
    """Labels that have nothing to do with the rows: validation can only get worse."""
    random = np.random.default_rng(1)
    return Arrays(random.normal(size=(rows, 64)).astype("float32"), random.integers(0, 10, rows).astype("int32"))


def test_stops_early_and_returns_the_best_weights() -> None:
    model = dense()
    stage = Fit(epochs=50, rate=3e-2, stop=Patience(patience=3))
    unseen = Arrays(_noise(200).x[100:], _noise(200).y[100:], seed=None)
    history = fit(model, _noise(), stage=stage, objectives={"digit": CLASSES}, validation=unseen)
    losses = history["val_loss"]
    assert history.stopped and len(losses) < 50
    assert history.best is not None and history.restored == history.best.epoch
    assert losses[history.best.epoch - 1] == min(losses) == history.best.value
    assert len(losses) == history.best.epoch + 3
    assert evaluate(model, unseen, {"digit": CLASSES})["loss"] == pytest.approx(min(losses), rel=1e-6)


def test_may_keep_the_last_weights() -> None:
    model = dense()
    stage = Fit(epochs=6, rate=3e-2, restore_best=False)
    unseen = Arrays(_noise(200).x[100:], _noise(200).y[100:], seed=None)
    history = fit(model, _noise(), stage=stage, objectives={"digit": CLASSES}, validation=unseen)
    assert history.restored is None
    assert evaluate(model, unseen, {"digit": CLASSES})["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-6)


def test_patience_counts_changes_below_its_delta_as_none() -> None:
    stage = Fit(epochs=20, rate=1e-3, stop=Patience("loss", patience=2, min_delta=10.0))
    history = fit(dense(), digits(0, 64), stage=stage, objectives={"digit": CLASSES})
    assert history.stopped
    assert len(history.rows) == 3  # the first improves on nothing, two more do not improve by 10
    assert history.best is not None and history.best.epoch == 3  # the best is decided without the delta


def test_the_same_numbers_as_plain_keras() -> None:
    train, unseen = digits(0, 300, seed=None), digits(300, 400, seed=None)
    metrics = ("accuracy", "sparse_top_k_categorical_accuracy", "sparse_categorical_crossentropy")
    objective = Objective("sparse_categorical_crossentropy", metrics, activation="softmax")
    ours = dense()
    stage = Fit(epochs=3, schedule=Constant())
    history = fit(ours, train, stage=stage, objectives={"digit": objective}, validation=unseen)

    theirs = dense()
    crossentropy = keras.metrics.SparseCategoricalCrossentropy(from_logits=True)
    theirs.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy", "sparse_top_k_categorical_accuracy", crossentropy],
    )
    expected = theirs.fit(
        train.x, train.y, 32, 3, shuffle=False, verbose=0, validation_data=(unseen.x, unseen.y)
    ).history
    for name, values in expected.items():
        assert history[name] == pytest.approx(values, rel=1e-6), name
    for mine, plain in zip(ours.weights, theirs.weights, strict=True):  # a fused optimizer rounds otherwise
        np.testing.assert_allclose(keras.ops.convert_to_numpy(mine), keras.ops.convert_to_numpy(plain), atol=1e-6)
    scores = theirs.evaluate(unseen.x, unseen.y, 32, verbose=0, return_dict=True)
    assert evaluate(ours, unseen, {"digit": objective}) == pytest.approx(scores, rel=1e-6)


def test_several_tasks_weigh_as_told() -> None:
    x, y = load_digits(return_X_y=True)
    x = (x[:200] / 16).astype("float32")
    targets = {
        "digit": y[:200].astype("int32"),
        "even": (y[:200] % 2 == 0).astype("int32"),
        "ink": x.mean(1, keepdims=True),
    }
    start = keras.Input((64,))
    body = keras.layers.Dense(16, activation="relu", kernel_initializer=keras.initializers.HeNormal(0))(start)
    outputs = {
        name: keras.layers.Dense(units, name=f"task-{name}-logits", kernel_initializer="zeros")(body)
        for name, units in (("ink", 1), ("even", 1), ("digit", 10))
    }
    objectives = {
        "digit": Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax"),
        "even": Objective("binary_crossentropy", ("accuracy", "auc"), activation="sigmoid", weight=0.5),
        "ink": Objective("mse", ("mae",), weight=2.0),
    }
    batches = Arrays(x, targets, size=48, seed=0)
    model = keras.Model(start, outputs)
    stage = Fit(epochs=4, rate=1e-2, monitor="val_even_auc")
    history = fit(model, batches, stage=stage, objectives=objectives, validation=Arrays(x, targets, 48, None))
    first = history.rows[0]
    for name in ("digit_loss", "digit_accuracy", "even_loss", "even_accuracy", "even_auc", "ink_loss", "ink_mae"):
        assert name in first and f"val_{name}" in first
    total = first["val_digit_loss"] + 0.5 * first["val_even_loss"] + 2 * first["val_ink_loss"]
    # Keras on TensorFlow weighs a smaller last batch as a whole one in the loss of each task.
    exact = keras.config.backend() != "tensorflow"
    assert first["val_loss"] == pytest.approx(total, rel=1e-5 if exact else 1e-3)
    assert history["digit_accuracy"][-1] > history["digit_accuracy"][0]
    assert history.best is not None and history.best.value == max(history["val_even_auc"])

    values = evaluate(model, Arrays(x, targets, 7, None), objectives)
    logits = {name: keras.ops.convert_to_numpy(value) for name, value in model(x).items()}
    assert values["digit_accuracy"] == pytest.approx(np.mean(logits["digit"].argmax(1) == targets["digit"]))
    assert values["even_accuracy"] == pytest.approx(np.mean((logits["even"][:, 0] > 0) == targets["even"]))
    assert values["ink_mae"] == pytest.approx(np.abs(logits["ink"] - targets["ink"]).mean(), rel=1e-5)


def test_several_labels_at_once() -> None:
    x, y = load_digits(return_X_y=True)
    loops = np.stack([np.isin(y, (0, 6, 8, 9)), y > 4, y % 2 == 1], axis=1).astype("float32")
    batches = Arrays((x[:640] / 16).astype("float32"), loops[:640])
    objective = Objective("binary_crossentropy", ("accuracy", "precision"), activation="sigmoid")
    model = dense(3)
    history = fit(model, batches, stage=Fit(epochs=8, rate=1e-2), objectives={"form": objective})
    assert history["accuracy"][-1] > 0.9
    logits = keras.ops.convert_to_numpy(model(batches.x))
    values = evaluate(model, batches, {"form": objective})
    assert values["accuracy"] == pytest.approx(np.mean((logits > 0) == loops[:640]), abs=1e-6)
    right = ((logits > 0) & (batches.y > 0)).sum()
    assert values["precision"] == pytest.approx(right / (logits > 0).sum(), rel=1e-6)


def test_numbers() -> None:
    x, y = load_diabetes(return_X_y=True)
    batches = Arrays((x * 20).astype("float32"), (y[:, None] / 100).astype("float32"))
    objective = Objective("mse", ("mae", "r2_score"))
    model = dense(1, inputs=10)
    history = fit(model, batches, stage=Fit(epochs=20, rate=1e-2), objectives={"progression": objective})
    assert history["r2_score"][-1] > 0.4
    predicted = keras.ops.convert_to_numpy(model(batches.x))
    values = evaluate(model, batches, {"progression": objective})
    assert values["loss"] == pytest.approx(np.mean((predicted - batches.y) ** 2), rel=1e-5)
    assert values["mae"] == pytest.approx(np.mean(np.abs(predicted - batches.y)), rel=1e-5)


def test_a_plain_function_sees_columns_and_probabilities() -> None:
    seen = []

    def brier(y_true, y_pred):
        seen.append((tuple(y_true.shape), tuple(y_pred.shape)))
        return keras.ops.mean((keras.ops.cast(y_true, "float32") - y_pred) ** 2, axis=-1)

    even = Arrays(digits(0, 64).x, (digits(0, 64).y % 2).astype("int32"), seed=None)
    model = dense(1)
    objective = Objective(brier, (brier,), activation="sigmoid")
    history = fit(model, even, stage=Fit(epochs=1, rate=0.0), objectives={"odd": objective})
    assert set(seen) == {((32, 1), (32, 1))}
    probability = 1 / (1 + np.exp(-keras.ops.convert_to_numpy(model(even.x))[:, 0].astype("float64")))
    assert history["loss"] == history["brier"] == pytest.approx([np.mean((probability - even.y) ** 2)], rel=1e-5)


def linear():
    """A network without an activation, as some backends' relu turns NaN into 0."""
    start = keras.Input((64,))
    return keras.Model(start, keras.layers.Dense(10)(start))


def test_nan_stops_and_names_the_step() -> None:
    batches = digits(0, 128, seed=None)
    batches.x[70] = math.nan  # in the third batch
    message = (
        r"epoch 1, step 3: .* got nan: the images or features x hold 64 values that are no finite number\."
        r" There is no checkpoint\. Put the data right"
    )
    with pytest.raises(check.LensmithError, match=message):
        fit(linear(), batches, stage=Fit(epochs=1), objectives={"digit": CLASSES})


def test_nan_in_validation_stops() -> None:
    unseen = digits(0, 64, seed=None)
    unseen.x[0] = math.nan
    with pytest.raises(check.LensmithError, match="epoch 1, validation: expected a loss that is a finite number"):
        fit(linear(), digits(0, 64), stage=Fit(epochs=1), objectives={"digit": CLASSES}, validation=unseen)


def test_a_diverging_run_keeps_its_last_finite_weights(tmp_path) -> None:
    stage = Fit(epochs=40, optimizer="sgd", rate=1e4, checkpoint_every=1)
    objective = Objective("mse")
    batches = Arrays(digits(0, 64).x, digits(0, 64).x[:, :10], seed=None)
    with pytest.raises(check.LensmithError, match="The last good checkpoint is"):
        fit(dense(), batches, stage=stage, objectives={"value": objective}, folder=tmp_path)
    model = dense()
    kept = sorted((tmp_path / "checkpoints").glob("step-*"))[-1]
    from lensmith.train.checkpoint import Checkpoint, read

    found = read(kept)
    assert isinstance(found, Checkpoint)
    assert all(np.isfinite(array).all() for array in found.arrays("variables").values())
    assert len(found.arrays("variables")) == len(model.variables)


def test_a_validation_value_that_is_no_number_is_none_in_the_history(tmp_path) -> None:
    def hopeless(y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1) * math.nan

    objective = Objective("sparse_categorical_crossentropy", (hopeless,), activation="softmax")
    fit(dense(), digits(0, 32), stage=Fit(epochs=1), objectives={"digit": objective}, folder=tmp_path)
    assert json.loads((tmp_path / "history.jsonl").read_text())["hopeless"] is None


def test_progress_is_told_everything() -> None:
    told: list[object] = []

    class Recorder(Silent):
        def on_start(self, epochs, steps, done):
            told.append(("start", epochs, steps, done))

        def on_step(self, step, values, waited):
            told.append((step, sorted(values())))

        def on_epoch(self, row, waited):
            told.append(("epoch", row["epoch"]))

        def on_end(self):
            told.append("end")

    fit(dense(), digits(0, 64), stage=Fit(epochs=2), objectives={"digit": CLASSES}, progress=Recorder())
    names = ["accuracy", "loss"]
    steps = [(1, names), (2, names), ("epoch", 1), (3, names), (4, names), ("epoch", 2)]
    assert told == [("start", 2, 2, 0), *steps, "end"]


def test_rich_progress_prints_one_line_an_epoch_where_there_is_no_terminal() -> None:
    text = io.StringIO()
    progress = RichProgress(Console(file=text, width=60))
    stage = Fit(epochs=2, schedule=Constant())
    fit(dense(), digits(0, 64), stage=stage, objectives={"digit": CLASSES}, progress=progress)
    lines = text.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "accuracy 0." in lines[1] and "rate 0.001" in lines[1]


@dataclass
class Late:
    """An epoch whose batches come so slowly that training waits for them most of the time."""

    batches: Any

    def __next__(self):
        time.sleep(0.05)
        return next(self.batches)

    def get_state(self):
        return self.batches.get_state()


class Slow(Arrays):
    def epoch(self, number):
        return Late(super().epoch(number))


def test_the_part_of_the_time_spent_waiting_for_data_is_told_and_written_down(tmp_path) -> None:
    text, fast = io.StringIO(), digits(0, 160)
    slow = Slow(fast.x, fast.y, fast.size, fast.seed)
    progress = RichProgress(Console(file=text, width=200))
    fit(dense(), slow, stage=Fit(epochs=1), objectives={"digit": CLASSES}, folder=tmp_path, progress=progress)
    timing = json.loads((tmp_path / "timing.jsonl").read_text())
    assert 0.2 < timing["waited_for_data"] <= 1
    assert f"({timing['waited_for_data']:.0%} of the time waiting for data)" in text.getvalue()
    assert "waited" not in (tmp_path / "history.jsonl").read_text()


def test_rich_progress_shows_a_bar_on_a_terminal() -> None:
    text = io.StringIO()
    progress = RichProgress(Console(file=text, width=100, force_terminal=True))
    fit(dense(), digits(0, 320), stage=Fit(epochs=2), objectives={"digit": CLASSES}, progress=progress)
    assert "epoch 2/2" in text.getvalue() and "left" in text.getvalue()


def test_history_names_the_nearest_column() -> None:
    history = History(({"epoch": 1, "loss": 0.5},), None, "loss", False)
    with pytest.raises(check.SettingError, match="Did you mean 'loss'"):
        history["lose"]


def test_mixed_precision_trains() -> None:
    start = keras.Input((64,), dtype="float32")
    layer = keras.layers.Dense(16, activation="relu", dtype="mixed_bfloat16")
    model = keras.Model(start, keras.layers.Dense(10, dtype="float32")(layer(start)))
    history = fit(model, digits(0, 640), stage=Fit(epochs=3, rate=1e-2), objectives={"digit": CLASSES})
    assert history["accuracy"][-1] > 0.5
