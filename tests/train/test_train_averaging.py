"""Moving averages of the weights are what is measured, kept and given back; training goes on with the weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from train_digits import CLASSES, Arrays, Killer, dense, digits, train_with

from lensmith.backend import keras
from lensmith.train import Constant, Fit, Objective, evaluate
from lensmith.train.averaging import averaged, averages, lay
from lensmith.train.loop import fit
from lensmith.train.schedules import Ramp
from lensmith.train.state import arrays_of

UNSEEN = digits(300, 400, seed=None)
STAGE = Fit(epochs=3, rate=1e-2, schedule=Constant(), average=0.5)


class StopError(BaseException):
    """Ends a run as a kill would."""


def stop() -> None:
    raise StopError


def test_one_weight_on_paper() -> None:
    # The gradient is 1, the rate 0.1: the weight is -0.1, -0.2, -0.3, -0.4 after the steps. With momentum 0.5 the
    # average is -0.1, then (-0.1 - 0.2) / 2 = -0.15, (-0.15 - 0.3) / 2 = -0.225, (-0.225 - 0.4) / 2 = -0.3125.
    start = keras.Input((1,))
    model = keras.Model(start, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(start))
    ones = Arrays(np.ones((4, 1), "float32"), np.zeros((4, 1), "float32"), size=1)
    objective = Objective(lambda y_true, y_pred: keras.ops.mean(y_pred, axis=-1))
    stage = Fit(epochs=1, optimizer="sgd", rate=0.1, schedule=Constant(), average=0.5)
    history = fit(model, ones, stage=stage, objectives={"value": objective}, validation=ones)
    assert model.get_weights()[0].item() == pytest.approx(-0.3125)
    assert history["val_loss"] == pytest.approx([-0.3125])  # and so is what validation measured


def test_training_goes_on_with_the_weights_themselves() -> None:
    plain, kept = dense(), dense()
    arguments = {"objectives": {"digit": CLASSES}, "validation": UNSEEN}
    without = fit(plain, digits(0, 300), stage=replace(STAGE, average=None), **arguments)
    history = fit(kept, digits(0, 300), stage=STAGE, **arguments)
    assert history["loss"] == without["loss"]
    assert history["val_loss"] != without["val_loss"]
    assert evaluate(kept, UNSEEN, {"digit": CLASSES})["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-6)


@pytest.mark.parametrize("folder", [True, False])
def test_the_averages_of_the_best_epoch_come_back(folder: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(1)  # noise is learnt by heart, so the best epoch is an early one
    noise = Arrays(random.normal(size=(64, 64)).astype("float32"), random.integers(0, 10, 64).astype("int32"))
    model = dense()
    stage = replace(STAGE, epochs=6, rate=3e-2)
    history = fit(
        model, noise, stage=stage, objectives={"digit": CLASSES}, validation=UNSEEN, folder=tmp_path if folder else None
    )
    assert history.restored is not None and history.restored < 6
    assert evaluate(model, UNSEEN, {"digit": CLASSES})["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-6)


def test_without_validation_the_last_averages_are_what_it_ends_with() -> None:
    model = dense()
    fit(model, digits(0, 300), stage=STAGE, objectives={"digit": CLASSES})
    weights = arrays_of(model.trainable_variables)
    for weight, average in zip(weights.values(), averages(model), strict=True):
        np.testing.assert_array_equal(weight, keras.ops.convert_to_numpy(average))


def test_inside_the_context_only() -> None:
    model = dense()
    fit(model, digits(0, 64), stage=replace(STAGE, epochs=1), objectives={"digit": CLASSES})
    first = model.trainable_variables[0]
    first.assign(first + 1.0)
    own = arrays_of(model.trainable_variables)
    with averaged(model):
        assert not np.array_equal(arrays_of([first]).popitem()[1], next(iter(own.values())))
    for name, array in arrays_of(model.trainable_variables).items():
        np.testing.assert_array_equal(array, own[name])


def test_before_the_first_step_there_is_nothing_to_lay() -> None:
    model = dense()
    before = [array.copy() for array in model.get_weights()]
    model.compile(keras.optimizers.SGD(use_ema=True))
    model.optimizer.build(model.trainable_variables)
    lay(model)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.backends
@pytest.mark.parametrize("options", ["average,often", "accumulate,average,often", "accumulate,steps,often"])
@pytest.mark.parametrize("step", [5, 14])
def test_stopped_in_the_middle_it_ends_with_the_same_bits(options: str, step: int, tmp_path: Path) -> None:
    whole, history = train_with(None, options, resume=False)
    with pytest.raises(StopError):
        train_with(tmp_path, options, progress=Killer(step, stop))
    model, same = train_with(tmp_path, options)
    assert same.rows == history.rows and same.best == history.best
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("step", [3, 9, 13])
def test_a_ramp_stopped_in_the_middle(step: int, tmp_path: Path) -> None:
    whole, history = train_with(None, "ramp", resume=False)
    with pytest.raises(StopError):
        train_with(tmp_path, "ramp,often", progress=Killer(step, stop))
    model, same = train_with(tmp_path, "ramp,often")
    assert same.rows == history.rows
    assert history["rate"][-1] == 3e-3, "the rate is reached"
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_ramp_that_diverges_lasts_longer() -> None:
    # The squared error of a line: the largest step that converges is 2 over the curvature, far below this rate.
    start = keras.Input((64,))
    model = keras.Model(start, keras.layers.Dense(1, kernel_initializer="zeros")(start))
    x = digits(0, 320).x
    batches = Arrays(x, x.sum(axis=1, keepdims=True))
    stage = Fit(epochs=2, optimizer="sgd", rate=0.3, schedule=Ramp(), restore_best=False)
    history = fit(model, batches, stage=stage, objectives={"ink": Objective("mse")})
    assert 2 < history.epochs <= 6
    assert history.steps == history.epochs * 10


def test_accumulated_gradients_move_the_weights_once() -> None:
    # Over 2 steps of the gradients 1 and 3 the mean is 2: one step of 0.1 * 2 in two batches.
    start = keras.Input((1,))
    model = keras.Model(start, keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(start))
    batches = Arrays(np.array([[1.0], [3.0]], "float32"), np.zeros((2, 1), "float32"), size=1)
    objective = Objective(lambda y_true, y_pred: keras.ops.mean(y_pred, axis=-1))
    stage = Fit(epochs=1, optimizer="sgd", rate=0.1, schedule=Constant(), accumulate=2)
    fit(model, batches, stage=stage, objectives={"value": objective})
    assert model.get_weights()[0].item() == pytest.approx(-0.2)
