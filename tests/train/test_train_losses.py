"""Focal loss, label smoothing, class weights, several losses and taps, each beside a slow reference in float64."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from train_digits import CLASSES, Arrays, dense, digits

from lensmith import check
from lensmith.backend import keras
from lensmith.train import Constant, Fit, Objective, evaluate, fit
from lensmith.train.compiled import Task, compiled, fitted
from lensmith.train.focal import Focal
from lensmith.train.losses import balanced
from lensmith.train.objective import describe, loss_of, metrics_of

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(0, 3, (6, 4))
INDICES = np.array([0, 3, 1, 1, 2, 3])
ROWS = np.eye(4)[INDICES]
MIXED = 0.7 * ROWS + 0.3 * np.eye(4)[[1, 1, 0, 2, 2, 0]]
YES = np.array([[1.0], [0.0], [1.0], [1.0], [0.0], [0.0]])
SEVERAL = (RNG.random((6, 4)) > 0.5).astype(float)
MASK = RNG.integers(0, 4, (2, 3, 5))
MASK_LOGITS = RNG.normal(0, 3, (2, 3, 5, 4))


# --- the slow reference: one example, one class at a time ----------------------------------------------------------


def chances(z: list[float]) -> tuple[list[float], list[float]]:
    """ln p and ln(1 - p) of each class of one example, by adding up exponentials."""
    powers = [math.exp(value - max(z)) for value in z]
    whole = math.fsum(powers)
    rest = [math.fsum(powers[:k] + powers[k + 1 :]) / whole for k in range(len(z))]
    log_p = [math.log1p(-r) if r < 0.5 else math.log(p / whole) for p, r in zip(powers, rest, strict=True)]
    return log_p, [math.log(r) for r in rest]


def of_classes(t, z, *, gamma=0.0, alpha=None, smoothing=0.0) -> float:
    """Of one example: the loss of each class, times its share."""
    shares = [float(k == t) for k in range(len(z))] if np.ndim(t) == 0 else list(t)
    shares = [share * (1 - smoothing) + smoothing / len(z) for share in shares]
    log_p, log_rest = chances(list(z))
    parts = (-s * math.exp(gamma * r) * p for s, p, r in zip(shares, log_p, log_rest, strict=True))
    return (1.0 if alpha is None else alpha) * math.fsum(parts)


def of_label(t: float, z: float, *, gamma=0.0, alpha=None, smoothing=0.0) -> float:
    """Of one label of one example."""
    t = t * (1 - smoothing) + smoothing / 2
    log_yes, log_no = -math.log1p(math.exp(-z)), -math.log1p(math.exp(z))
    yes, no = -math.exp(gamma * log_no) * log_yes, -math.exp(gamma * log_yes) * log_no
    return t * yes * (1 if alpha is None else alpha) + (1 - t) * no * (1 if alpha is None else 1 - alpha)


def softmax_loss(y, z, weights=None, **how) -> float:
    """The sum of weighed losses over the number of examples."""
    width = z.shape[-1]
    z = z.reshape(-1, width)
    y = y.reshape(len(z), *y.shape[y.ndim :]) if y.size == len(z) else y.reshape(-1, width)
    total = 0.0
    for t, row in zip(y, z, strict=True):
        if weights is None:
            weight = 1.0
        else:
            weight = weights[int(t)] if np.ndim(t) == 0 else sum(w * s for w, s in zip(weights, t, strict=True))
        total += weight * of_classes(t, row, **how)
    return total / len(z)


def sigmoid_loss(y, z, weights=None, **how) -> float:
    total = 0.0
    for row, logits in zip(y, z, strict=True):
        for k, (t, value) in enumerate(zip(row, logits, strict=True)):
            weight = 1.0
            if weights is not None:
                weight = weights[k] if z.shape[1] > 1 else (weights[1] if t else weights[0])
            total += weight * of_label(float(t), float(value), **how)
    return total / y.size


def value(objective: Objective, y: Any, z: Any) -> float:
    whole = np.asarray(y)
    whole = whole.astype("int32") if whole.dtype.kind in "iu" else whole.astype("float32")
    return float(loss_of(objective)(whole, keras.ops.convert_to_tensor(np.asarray(z, "float32"))))


# Each row: the activation, the form of the targets, these, the logits, the loss for class indices or labels.
FORMS = [
    pytest.param("softmax", INDICES, LOGITS, "sparse_categorical_crossentropy", id="indices"),
    pytest.param("softmax", ROWS, LOGITS, "categorical_crossentropy", id="one-hot"),
    pytest.param("softmax", MIXED, LOGITS, "categorical_crossentropy", id="mixed"),
    pytest.param("softmax", MASK, MASK_LOGITS, "sparse_categorical_crossentropy", id="mask"),
    pytest.param("sigmoid", YES, LOGITS[:, :1], "binary_crossentropy", id="binary"),
    pytest.param("sigmoid", SEVERAL, LOGITS, "binary_crossentropy", id="labels"),
]
HOW = [
    pytest.param({}, None, id="plain"),
    pytest.param({"smoothing": 0.1}, None, id="smooth"),
    pytest.param({}, (0.5, 2.0, 0.0, 3.0), id="weights"),  # a class of weight 0 counts nothing
    pytest.param({"smoothing": 0.2}, (0.5, 2.0, 1.0, 3.0), id="smooth-weights", marks=pytest.mark.backends),
    pytest.param({"gamma": 2.0}, None, id="focal"),
    pytest.param({"gamma": 0.5, "alpha": 0.25}, None, id="focal-alpha"),
    pytest.param({"gamma": 1.5, "smoothing": 0.1}, (0.5, 2.0, 1.0, 3.0), id="focal-all", marks=pytest.mark.backends),
]


@pytest.mark.parametrize(("how", "weights"), HOW)
@pytest.mark.parametrize(("activation", "y", "z", "name"), FORMS)
def test_every_loss_is_the_slow_one(activation, y, z, name, how, weights) -> None:
    reference = softmax_loss if activation == "softmax" else sigmoid_loss
    weights = weights if weights is None or z.shape[-1] > 1 else weights[:2]
    loss = Focal(how["gamma"], how.get("alpha")) if "gamma" in how else name
    smoothing = how.get("smoothing", 0.0)
    objective = Objective(loss, activation=activation, class_weights=weights, smoothing=smoothing)
    assert value(objective, y, z) == pytest.approx(reference(y, z, weights, **how), rel=2e-6)


@pytest.mark.backends
def test_a_class_weight_on_paper() -> None:
    # Two examples with logits 0, 0: each loses ln 2; weights 1 and 3 give 4 ln 2, over the 2 examples.
    objective = Objective(CLASSES.loss, activation="softmax", class_weights=(1, 3))
    assert value(objective, [0, 1], np.zeros((2, 2))) == pytest.approx(2 * math.log(2))
    binary = Objective("binary_crossentropy", activation="sigmoid", class_weights=(1, 3))
    assert value(binary, [[0], [1]], np.zeros((2, 1))) == pytest.approx(2 * math.log(2))
    # Of focal loss at p = 1/2 with gamma 2: a quarter of it.
    assert value(Objective("focal", activation="softmax"), [0, 1], np.zeros((2, 2))) == pytest.approx(math.log(2) / 4)


# --- equal to Keras where Keras has it -----------------------------------------------------------------------------

KERAS = keras.losses
SAME = [  # ours, Keras' own, targets of ours, targets of theirs
    (  # smoothed class indices are smoothed rows
        Objective("sparse_categorical_crossentropy", activation="softmax", smoothing=0.1),
        KERAS.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1),
        INDICES,
        ROWS,
    ),
    (
        Objective("binary_crossentropy", activation="sigmoid", smoothing=0.1),
        KERAS.BinaryCrossentropy(from_logits=True, label_smoothing=0.1),
        SEVERAL,
        SEVERAL,
    ),
    (
        Objective(Focal(1.5, 0.3), activation="softmax"),
        KERAS.CategoricalFocalCrossentropy(alpha=0.3, gamma=1.5, from_logits=True),
        INDICES,
        ROWS,
    ),
    (
        Objective(Focal(1.5, 0.3), activation="sigmoid"),
        KERAS.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.3, gamma=1.5, from_logits=True),
        SEVERAL,
        SEVERAL,
    ),
    (  # Keras' own by its name, which takes class indices here as well
        Objective("categorical_focal_crossentropy", activation="softmax"),
        KERAS.CategoricalFocalCrossentropy(from_logits=True),
        INDICES,
        ROWS,
    ),
    (  # what is weighed may also see activated outputs
        Objective(KERAS.CategoricalHinge(), activation="softmax", class_weights=(1, 1, 1, 1)),
        lambda y, z: KERAS.CategoricalHinge()(y, keras.ops.softmax(z)),
        ROWS,
        ROWS,
    ),
]


@pytest.mark.parametrize(("ours", "theirs", "y", "rows"), SAME)
def test_the_same_as_keras(ours: Objective, theirs: Any, y: np.ndarray, rows: np.ndarray) -> None:
    expected = float(theirs(rows.astype("float32"), LOGITS.astype("float32")))
    assert value(ours, y, LOGITS) == pytest.approx(expected, rel=1e-5)


def test_class_weights_are_those_of_keras() -> None:
    weights = (0.5, 2.0, 1.0, 3.0)
    ours = value(replace(CLASSES, class_weights=weights, metrics=()), INDICES, LOGITS)
    start = keras.Input((4,))
    same = keras.layers.Dense(4, use_bias=False, kernel_initializer="identity")
    model = keras.Model(start, same(start))
    model.compile(loss=KERAS.SparseCategoricalCrossentropy(from_logits=True), optimizer="sgd")
    x = LOGITS.astype("float32")
    history = model.fit(x, INDICES, batch_size=6, class_weight=dict(enumerate(weights)), verbose=0)
    assert ours == pytest.approx(history.history["loss"][0], rel=1e-6)


def test_reductions_of_keras_objects_stay() -> None:
    z, total = np.zeros((2, 2)), KERAS.SparseCategoricalCrossentropy(reduction="sum")
    of_weights = KERAS.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight")
    for loss, expected in ((total, 4 * math.log(2)), (of_weights, math.log(2))):  # weights 1 and 3, each loses ln 2
        objective = Objective(loss, activation="softmax", class_weights=(1, 3))
        assert value(objective, [0, 1], z) == pytest.approx(expected)


# --- exact far from 0, in values and gradients ---------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-80, 80), min_size=3, max_size=3), st.integers(0, 2), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_focal_is_exact_for_any_logits(z: list[float], label: int, gamma: float) -> None:
    z = [float(np.float32(one)) for one in z]
    expected = of_classes(label, z, gamma=gamma)
    given = value(Objective(Focal(gamma), activation="softmax"), [label], [z])
    # Differences of logits up to 160 are known to 1e-5 in float32, and so are powers of them.
    assert given == pytest.approx(expected, rel=1e-4, abs=1e-30)
    given = value(Objective(Focal(gamma), activation="sigmoid"), [[label % 2]], [z[:1]])
    assert given == pytest.approx(of_label(label % 2, z[0], gamma=gamma), rel=1e-4, abs=1e-30)


def gradient(objective: Objective, y: Any, z: np.ndarray) -> np.ndarray:
    """Of the loss by the logits: a step of plain descent with rate 1 on weights that are the logits."""
    start = keras.Input((1,))
    layer = keras.layers.Dense(z.size, use_bias=False)
    model = keras.Model(start, keras.layers.Reshape(z.shape)(layer(start)))
    layer.set_weights([z.reshape(1, -1).astype("float32")])
    steps = compiled(model, {"t": objective}, keras.optimizers.SGD(1.0))
    x, y = np.ones((1, 1), "float32"), np.asarray(y)[None]
    steps.build(x, y)
    steps.train(x, y)
    return z - layer.get_weights()[0].reshape(z.shape)


@pytest.mark.backends
@pytest.mark.parametrize(
    ("activation", "how", "weights"),
    [
        ("softmax", {"gamma": 0.5}, None),
        ("softmax", {"gamma": 2.0, "smoothing": 0.1}, (0.5, 2.0, 1.0, 3.0)),
        ("softmax", {"smoothing": 0.1}, (0.5, 2.0, 1.0, 3.0)),
        ("sigmoid", {"gamma": 0.5, "alpha": 0.25}, (0.5, 2.0, 1.0, 3.0)),
    ],
)
def test_gradients_are_those_of_finite_differences(activation: str, how: dict, weights: Any) -> None:
    z = LOGITS[None, :3] if activation == "softmax" else LOGITS[:3]
    y = INDICES[:3] if activation == "softmax" else SEVERAL[:3]
    reference = softmax_loss if activation == "softmax" else sigmoid_loss
    loss = Focal(how["gamma"], how.get("alpha")) if "gamma" in how else CLASSES.loss
    objective = Objective(loss, activation=activation, class_weights=weights, smoothing=how.get("smoothing", 0.0))
    z = z.reshape(3, 4)
    y = y.astype("int32" if activation == "softmax" else "float32")
    found = gradient(objective, y, z)
    for place in np.ndindex(z.shape):
        step = np.zeros(z.shape)
        step[place] = 1e-5
        slope = (reference(y, z + step, weights, **how) - reference(y, z - step, weights, **how)) / 2e-5
        assert found[place] == pytest.approx(slope, abs=2e-6)


@pytest.mark.backends
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_gradients_stay_numbers_where_probabilities_are_0_and_1(gamma: float) -> None:
    z = np.array([[200.0, -200.0, 0.0], [1e4, 0.0, -1e4], [0.0, 0.0, 0.0]])
    for label in (0, 1, 2):
        y = np.full(3, label, "int32")
        assert np.isfinite(gradient(Objective(Focal(gamma), activation="softmax"), y, z)).all()
        rows = np.eye(3, dtype="float32")[y]
        assert np.isfinite(gradient(Objective(Focal(gamma, 0.25), activation="sigmoid"), rows, z)).all()


# --- balanced ------------------------------------------------------------------------------------------------------


def test_balanced_is_that_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    y = np.repeat([0, 1, 2], [5, 1, 14])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    assert balanced((5, 1, 14)) == pytest.approx(tuple(expected))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 1000), min_size=2, max_size=6).filter(sum))
def test_balanced_weights_add_up_to_the_examples(counts: list[int]) -> None:
    weights = balanced(counts)
    assert sum(weight * count for weight, count in zip(weights, counts, strict=True)) == pytest.approx(sum(counts))
    assert all(weight == 1.0 for weight, count in zip(weights, counts, strict=True) if not count)


@pytest.mark.backends
def test_training_with_an_absent_class() -> None:
    batches = digits(0, 160)
    kept = batches.y != 3
    batches = Arrays(batches.x[kept], batches.y[kept])
    counts = np.bincount(batches.y, minlength=10)
    objective = replace(CLASSES, class_weights=balanced(counts.tolist()))
    history = fit(dense(), batches, stage=Fit(epochs=2, rate=3e-3), objectives={"digit": objective})
    assert history["loss"][1] < history["loss"][0]
    assert evaluate(dense(), digits(0, 160, seed=None), {"digit": objective})["loss"] > 0


# --- several losses, and what a run says ---------------------------------------------------------------------------


@pytest.mark.backends
def test_several_losses_are_their_weighted_sum() -> None:
    def spread(y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_pred), axis=-1)

    pairs = [("sparse_categorical_crossentropy", 1), (Focal(2.0), 0.5), (spread, 0.1), (KERAS.Poisson(), 0.0)]
    objective = Objective(pairs, ("accuracy",), "softmax")
    chance = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    expected = softmax_loss(INDICES, LOGITS) + 0.5 * softmax_loss(INDICES, LOGITS, gamma=2.0)
    expected += 0.1 * np.mean(chance**2)  # a function sees probabilities
    made = loss_of(Objective(pairs[:3], activation="softmax"))
    given = made(INDICES.astype("int32"), keras.ops.convert_to_tensor(LOGITS.astype("float32")))
    assert float(given) == pytest.approx(expected, rel=2e-6)
    objective = replace(objective, loss=objective.loss[:3])
    history = fit(dense(), digits(0, 96), stage=Fit(epochs=2), objectives={"digit": objective})
    assert list(history.rows[0]) == ["epoch", "loss", "accuracy", "rate"]
    assert history["loss"][1] < history["loss"][0]


def test_smoothing_and_weights_reach_every_loss_that_has_them() -> None:
    pairs = ((CLASSES.loss, 1.0), ("focal", 0.5))
    objective = Objective(pairs, activation="softmax", smoothing=0.1, class_weights=(1, 2, 3, 4))
    weights, how = (1, 2, 3, 4), {"smoothing": 0.1}
    expected = softmax_loss(INDICES, LOGITS, weights, **how)
    expected += 0.5 * softmax_loss(INDICES, LOGITS, weights, gamma=2.0, **how)
    assert value(objective, INDICES, LOGITS) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("loss", ["focal", "categorical_focal_crossentropy"])
@pytest.mark.parametrize("y", [INDICES.astype("int32"), ROWS.astype("float32")], ids=["indices", "rows"])
def test_the_accuracy_of_a_loss_of_either_targets(loss: str, y: np.ndarray) -> None:
    [metric] = metrics_of(Objective(loss, ("accuracy",), "softmax"))
    metric.update_state(y, keras.ops.convert_to_tensor(LOGITS.astype("float32")))
    assert float(metric.result()) == pytest.approx(np.mean(LOGITS.argmax(-1) == INDICES))
    assert (metric.name, metric._direction) == ("accuracy", "up")


def test_smoothed_indices_are_still_indices_to_the_accuracy() -> None:
    [metric] = metrics_of(replace(CLASSES, smoothing=0.1))
    assert type(metric) is keras.metrics.SparseCategoricalAccuracy


def test_plain_objectives_are_described_as_before() -> None:
    assert describe({"t": CLASSES}) == {
        "t": {
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
            "activation": "softmax",
            "weight": 1.0,
        }
    }
    assert type(loss_of(CLASSES)) is KERAS.SparseCategoricalCrossentropy, "and are Keras' own"


def sparsity(y_true, maps):
    return keras.ops.mean(maps)


# Each row is described otherwise than every other: none is resumed as another.
DIFFERENT = [
    CLASSES,
    replace(CLASSES, smoothing=0.1),
    replace(CLASSES, class_weights=(1, 2)),
    replace(CLASSES, class_weights=(1, 3)),
    replace(CLASSES, loss="focal"),
    replace(CLASSES, loss=Focal(1.0)),
    replace(CLASSES, loss=Focal(alpha=0.5)),
    replace(CLASSES, loss=[("focal", 1.0)]),
    replace(CLASSES, loss=[("focal", 1.0), ("mse", 1.0)]),
    replace(CLASSES, loss=[("focal", 1.0), ("mse", 2.0)]),
    Objective(sparsity),
    Objective(sparsity, tap=True),
    Objective(sparsity, tap=True, target="t"),
]


def test_whatever_changes_the_loss_is_described() -> None:
    texts = [json.dumps(describe({"t": objective}), allow_nan=False) for objective in DIFFERENT]
    assert len(set(texts)) == len(DIFFERENT)
    assert describe({"t": replace(CLASSES, loss=Focal())}) == describe({"t": replace(CLASSES, loss="focal")})


def test_a_resume_refuses_other_class_weights(tmp_path) -> None:
    stage, weights = Fit(epochs=1), (1.0,) * 9 + (2.0,)
    fit(dense(), digits(0, 64), stage=stage, objectives={"d": replace(CLASSES, class_weights=weights)}, folder=tmp_path)
    other = {"d": replace(CLASSES, class_weights=weights[::-1])}
    with pytest.raises(check.LensmithError, match="class_weights"):
        fit(dense(), digits(0, 64), stage=stage, objectives=other, folder=tmp_path, resume=True)


# --- taps ----------------------------------------------------------------------------------------------------------


def tapped() -> Any:
    model = dense(4)
    maps = keras.layers.Identity(name="tap")(model.get_layer("hidden").output)
    return keras.Model(model.input, {"digit": model.output, "P0": maps})


def easy(size: int = 64) -> Arrays:
    batches = digits(0, 300)
    kept = batches.y < 4
    return Arrays(batches.x[kept][:size], batches.y[kept][:size], seed=0)


@pytest.mark.backends
def test_a_tap_reads_targets_as_they_are() -> None:
    seen: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []

    def watched(y_true, maps):
        seen.append((keras.backend.standardize_dtype(y_true.dtype), tuple(y_true.shape)[1:], tuple(maps.shape)[1:]))
        return keras.ops.where(y_true == 3, 1.0, 0.0) * keras.ops.mean(maps, axis=-1)

    objectives = {"digit": CLASSES, "P0": Objective(watched, tap=True, target="digit", weight=0.5)}
    model, batches = tapped(), easy()
    measured = evaluate(model, batches, objectives)
    assert set(seen) == {("int32", (), (32,))}
    maps = model.predict(batches.x, verbose=0)["P0"]
    expected = np.sum(maps.mean(-1) * (batches.y == 3)) / len(batches.y)
    assert measured["P0_loss"] == pytest.approx(expected, rel=1e-5)
    assert measured["loss"] == pytest.approx(measured["digit_loss"] + 0.5 * measured["P0_loss"], rel=1e-5)
    assert list(measured) == ["loss", "digit_loss", "P0_loss", "digit_accuracy"]


@pytest.mark.backends
def test_a_tap_without_targets_is_trained_beside_any_task() -> None:
    def none(y_true, maps):
        assert y_true is None
        return keras.ops.mean(maps)

    model = tapped()
    other = keras.layers.Dense(1, name="odd")(model.get_layer("hidden").output)
    model = keras.Model(model.input, {**model.output, "odd": other})
    batches = easy()
    both = Arrays(batches.x, {"digit": batches.y, "odd": (batches.y % 2).astype("float32")})
    odd = Objective("binary_crossentropy", activation="sigmoid")
    objectives = {"digit": CLASSES, "odd": odd, "P0": Objective([(none, 1.0)], tap=True, weight=0.5)}
    history = fit(model, both, stage=Fit(epochs=1, tasks=("odd",)), objectives=objectives)
    assert {"odd_loss", "P0_loss"} <= set(history.rows[0]) and "digit_loss" not in history.rows[0]
    measured = evaluate(model, both, objectives)
    assert measured["P0_loss"] == pytest.approx(model.predict(both.x, verbose=0)["P0"].mean(), rel=1e-5)


def test_targets_of_a_tap_are_not_compared_with_its_shape() -> None:
    tasks = {
        "a": Task((3,), "softmax", "a"),
        "P0": Task((8, 8, 4), "linear", "P0", "a", tap=True),
        "P1": Task((4, 4, 4), "linear", "P1", tap=True),
    }
    y = np.array([0, 2])
    made = fitted(tasks, y, "here")
    assert made["a"] is y and made["P0"] is y and set(made) == {"a", "P0", "P1"}
    with pytest.raises(check.DataError, match="here, task a: expected classes 0 to 2"):
        fitted(tasks, np.array([0, 3]), "here")


# --- bad input: one clear line each --------------------------------------------------------------------------------

TAP = {"tap": True}
WRONG = [
    (lambda: Objective("mse", smoothing=1.0), "smoothing: expected a number from 0 to 0.999; got 1.0"),
    (lambda: Objective("mse", smoothing=0.1), "smoothing: expected softmax or sigmoid, which have classes"),
    (lambda: Objective("mse", class_weights=(1, 2)), "class_weights: expected softmax or sigmoid"),
    (lambda: replace(CLASSES, class_weights=(1, -2)), "numbers of at least 0 that are not all 0; got (1, -2)"),
    (lambda: replace(CLASSES, class_weights=(0, 0)), "not all 0"),
    (lambda: replace(CLASSES, class_weights=()), "class_weights: expected a weight for each class"),
    (lambda: replace(CLASSES, class_weights="balanced"), "got 'balanced'"),
    (lambda: replace(CLASSES, class_weights=(1, float("nan"))), "class_weights: expected"),
    (lambda: Objective([("mse", 1), "mae"]), "loss: expected pairs of (loss, weight); got 'mae'"),
    (lambda: Objective([("mse", -1)]), "loss: the weight of one: expected a number from 0 to inf; got -1"),
    (lambda: Objective([]), "loss: expected at least one pair"),
    (lambda: Focal(gamma=-1), "focal.gamma: expected a number from 0"),
    (lambda: Focal(alpha=2), "focal.alpha: expected a number from 0 to 1"),
    (lambda: loss_of(Objective("focal")), "activation: expected softmax or sigmoid, since focal loss is computed from"),
    (lambda: loss_of(Objective("focl", activation="softmax")), "Did you mean 'focal'?"),
    (lambda: loss_of(Objective([("mse", 1), ("focl", 1)], activation="softmax")), "Did you mean 'focal'?"),
    (lambda: loss_of(Objective([(3, 1)])), "loss: expected a name, a Keras object or a function of (y_true, y_pred)"),
    (
        lambda: loss_of(Objective("mse", activation="softmax", smoothing=0.1)),
        "smoothing: expected a cross-entropy or focal loss that goes with softmax; got mean_squared_error",
    ),
    (
        lambda: loss_of(Objective("binary_crossentropy", activation="softmax", smoothing=0.1)),
        "smoothing: expected a cross-entropy or focal loss that goes with softmax",
    ),
    (
        lambda: loss_of(
            Objective(KERAS.CategoricalCrossentropy(label_smoothing=0.1), activation="softmax", smoothing=0.1)
        ),
        "smoothing: expected a loss without label_smoothing of its own; got both",
    ),
    (
        lambda: loss_of(
            Objective(
                KERAS.SparseCategoricalCrossentropy(ignore_class=1), activation="softmax", class_weights=(1, 0, 1)
            )
        ),
        "loss: expected one without ignore_class; got 1. Give that class the weight 0",
    ),
    (lambda: Objective(sparsity, activation="softmax", **TAP), "tap: expected activation 'linear'; got 'softmax'"),
    (lambda: Objective(sparsity, ("mae",), **TAP), "tap: expected an output without metrics; got ('mae',)"),
    (lambda: Objective(sparsity, class_weights=(1, 2), **TAP), "which have classes; got a tap"),
    (lambda: loss_of(Objective("focal", **TAP)), "a function of (targets, feature maps) for a tap; got 'focal'"),
    (lambda: loss_of(Objective(KERAS.Dice, **TAP)), "loss: expected a name, a Keras object or a function"),
    (lambda: compiled(dense(), {"d": Objective(sparsity, **TAP)}), "objectives: expected one of a task beside the"),
    (
        lambda: compiled(tapped(), {"digit": CLASSES, "P0": Objective(sparsity, target="P0", **TAP)}),
        "objectives.P0.target: expected one of digit; got 'P0'",
    ),
    (
        lambda: compiled(dense(), {"d": replace(CLASSES, class_weights=(1, 2))}),
        "objectives.d.class_weights: expected 10 weights; got 2",
    ),
    (
        lambda: compiled(dense(1), {"d": Objective("bce", activation="sigmoid", class_weights=(1, 2, 3))}),
        "objectives.d.class_weights: expected 2 weights; got 3. Give one for no and one for yes",
    ),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message[:60] for _, message in WRONG])
def test_refused_in_one_line(make, message: str) -> None:
    with pytest.raises(check.SettingError) as caught:
        make()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_class_weights_need_a_loss_for_each_example() -> None:
    def whole(y_true, y_pred):
        return keras.ops.mean(y_pred)

    objective = Objective(whole, activation="softmax", class_weights=(1.0,) * 10)
    with pytest.raises(check.SettingError) as caught:
        fit(dense(), digits(0, 32), stage=Fit(epochs=1, schedule=Constant()), objectives={"d": objective})
    assert "a loss of each example for the class weights to weigh, of shape (32,); got ()" in str(caught.value)
