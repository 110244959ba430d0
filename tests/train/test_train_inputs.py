"""Batches whose examples are several arrays by name, such as cached features of two layers."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train_digits import CLASSES, Arrays, Killer, dense, digits

from lensmith import check
from lensmith.backend import keras
from lensmith.train import Constant, Fit, Objective, evaluate, fit, try_one_batch, watch
from lensmith.train.compiled import compiled, fitted

STAGE = Fit(epochs=3, rate=1e-2, schedule=Constant(), checkpoint_every=2)
OBJECTIVES = {"digit": CLASSES}


class StopError(BaseException):
    """Ends a run as a kill would."""


def stop() -> None:
    raise StopError


class Halves:
    """Digits whose upper and lower halves are arrays of their own."""

    def __init__(self, batches: Arrays, names: tuple[str, ...] = ("upper", "lower")) -> None:
        self._batches, self._names = batches, names

    @property
    def fingerprint(self) -> str:
        return self._batches.fingerprint

    def __len__(self) -> int:
        return len(self._batches)

    def epoch(self, number: int) -> Any:
        return _Named(self._batches.epoch(number), self._names)


class _Named:
    def __init__(self, whole: Any, names: tuple[str, ...]) -> None:
        self._whole, self._names = whole, names

    def __iter__(self) -> "_Named":
        return self

    def __next__(self) -> Any:
        x, y = next(self._whole)
        parts = np.split(x, len(self._names), axis=1)
        return dict(zip(self._names, map(np.ascontiguousarray, parts), strict=True)), y

    def get_state(self) -> Mapping[str, Any]:
        return self._whole.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._whole.set_state(state)


def joined(names: tuple[str, ...] = ("upper", "lower")) -> Any:
    """The network ``dense``, with as many inputs as there are names."""
    starts = {name: keras.Input((64 // len(names),), name=name) for name in names}
    x = next(iter(starts.values())) if len(names) == 1 else keras.layers.Concatenate()(list(starts.values()))
    kernels = [keras.initializers.GlorotUniform(seed) for seed in (0, 1)]
    x = keras.layers.Dense(32, activation="relu", kernel_initializer=kernels[0], name="hidden")(x)
    return keras.Model(starts, keras.layers.Dense(10, kernel_initializer=kernels[1], name="logits")(x))


@pytest.mark.backends
@pytest.mark.parametrize("names", [("upper", "lower"), ("whole",)])
def test_they_train_as_one_array_does(names: tuple[str, ...], tmp_path: Path) -> None:
    expected = fit(dense(), digits(0, 150), stage=STAGE, objectives=OBJECTIVES, folder=tmp_path / "one")
    model = joined(names)
    found = fit(model, Halves(digits(0, 150), names), stage=STAGE, objectives=OBJECTIVES, folder=tmp_path / "named")
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-4)
    unseen = Halves(digits(200, 300, seed=None), names)
    assert evaluate(model, unseen, OBJECTIVES)["loss"] < found["loss"][0]
    for one, named in zip(*(_watched(tmp_path / name) for name in ("one", "named")), strict=True):
        np.testing.assert_allclose(named["steps"]["losses"], one["steps"]["losses"], rtol=1e-3)  # of each step
        assert named["seen"]["dead"].keys() == one["seen"]["dead"].keys() == {"hidden"}
        assert named["seen"]["examples"] == 32


def _watched(folder: Path) -> Any:
    from lensmith.train import history

    return history.read(folder / "watch.jsonl")


def test_they_go_on_with_the_same_bits(tmp_path: Path) -> None:
    def run(folder: Path, **more: Any) -> Any:
        model = joined()
        arguments = {"stage": STAGE, "objectives": OBJECTIVES, "resume": True} | more
        return model, fit(model, Halves(digits(0, 150)), folder=folder, **arguments)

    whole, history = run(tmp_path / "whole")
    with pytest.raises(StopError):
        run(tmp_path / "killed", progress=Killer(8, stop))
    model, same = run(tmp_path / "killed")
    assert same.rows == history.rows
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_look_counts_dead_units_of_them() -> None:
    model = joined()
    steps = compiled(model, OBJECTIVES, keras.optimizers.Adam())
    x, y = next(Halves(digits(0, 40, size=40)).epoch(0))
    y = fitted(steps.tasks, y, "here")
    steps.build(x, y)
    model.layers[-2].bias.assign(np.full(32, -1e3, "float32"))
    seen = watch.look(steps, x, y)
    assert (seen["examples"], seen["dead"]) == (32, {"hidden": 1.0})


def test_what_is_no_number_is_named() -> None:
    batches = digits(0, 64)
    batches.x[:, 40] = math.nan  # in the lower half
    with pytest.raises(check.LensmithError, match="features x: lower hold 32 values that are no finite number"):
        fit(joined(), Halves(batches), stage=STAGE, objectives=OBJECTIVES)


class Hungry(keras.layers.Layer):  # type: ignore[misc]
    """Has no memory for more than ten examples."""

    def compute_output_spec(self, x: Any) -> Any:
        return keras.KerasTensor(x.shape, x.dtype)

    def call(self, x: Any) -> Any:
        if x.shape[0] is not None and x.shape[0] > 10:
            raise MemoryError
        return x


def test_too_little_memory_names_a_batch_that_fits() -> None:
    starts = {name: keras.Input((32,), name=name) for name in ("upper", "lower")}
    x = Hungry()(keras.layers.Concatenate()(list(starts.values())))
    model = keras.Model(starts, keras.layers.Dense(10)(x))
    with pytest.raises(check.LensmithError, match=r"a batch of 32\. .* Tried 16, 8: 8 fits"):
        fit(model, Halves(digits(0, 64)), stage=STAGE, objectives=OBJECTIVES)


def test_one_batch_is_learned_by_heart() -> None:
    batch = next(Halves(digits(0, 10)).epoch(0))
    assert try_one_batch(joined(), batch, stage=STAGE, objectives=OBJECTIVES).learnt


def test_a_number_is_learned_from_them() -> None:
    x, _ = next(digits(0, 64, size=64).epoch(0))
    batches = Halves(Arrays(x, x.sum(axis=1, keepdims=True)))
    starts = {name: keras.Input((32,), name=name) for name in ("upper", "lower")}
    model = keras.Model(starts, keras.layers.Dense(1)(keras.layers.Concatenate()(list(starts.values()))))
    history = fit(model, batches, stage=STAGE, objectives={"sum": Objective("mse")})
    assert (history["loss"][-1] or 1) < (history["loss"][0] or 0)
