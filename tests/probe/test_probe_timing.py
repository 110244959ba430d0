"""Times by layer: names, sums and shares. How long a layer takes is measured, not tested."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.probe import timing
from lensmith.probe.timing import times

L = keras.layers


def shared() -> Any:
    """A convolution called twice, a dropout that was called as in training, two outputs by name."""
    x = keras.Input((8, 8, 3), name="image")
    conv = L.Conv2D(3, 3, padding="same", name="conv")
    maps = L.Add(name="sum")([conv(conv(x)), x])
    row = L.Dropout(0.5, name="dropout")(L.GlobalAveragePooling2D(name="mean")(maps), training=True)
    return keras.Model(x, {"kind": L.Dense(2, name="kind")(row), "size": L.Dense(1, name="size")(row)})


@pytest.mark.backends
def test_every_layer_has_its_time_and_its_share() -> None:
    found = times(shared(), np.ones((2, 8, 8, 3), "float32"), repeats=3)
    assert sorted(row.name for row in found.rows) == ["conv", "dropout", "kind", "mean", "size", "sum"]
    assert {row.name: row.calls for row in found.rows if row.calls > 1} == {"conv": 2}
    assert {row.name: row.kind for row in found.rows}["sum"] == "Add"
    assert all(row.milliseconds > 0 for row in found.rows) and found.whole > 0
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    assert sum(row.milliseconds for row in found.rows) == pytest.approx(found.sum)
    assert (found.images, found.repeats, found.backend) == (2, 3, keras.config.backend())
    assert found.to_dict()["rows"][0]["name"] == found.rows[0].name


@pytest.mark.backends
def test_what_is_timed_is_the_model_on_its_own_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last calls give what the model predicts, so each layer was called on what it really gets."""
    model, x = shared(), np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    given: list[Any] = []
    timed = timing._timed

    def watched(function: Any) -> Any:
        seconds, value = timed(function)
        given.append(value)
        return seconds, value

    monkeypatch.setattr(timing, "_timed", watched)
    times(model, x, repeats=1)
    calls = len(given) // 2 - 1  # two passes, and two predictions of the whole
    first = [keras.ops.convert_to_numpy(values[0]) for values in given[:calls]]
    predicted = model.predict_on_batch(x)
    for expected in predicted.values():
        assert any(value.shape == expected.shape and np.allclose(value, expected, atol=1e-5) for value in first)


def test_the_median_is_that_of_the_passes_without_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that makes each call last as long as its pass says: 100 s in the first, then 1, 5 and 2."""
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="a"), L.Dense(2, name="b")])
    lasts = iter([100.0] * 2 + [1.0] * 2 + [5.0] * 2 + [2.0] * 2 + [50.0, 3.0, 4.0, 8.0])
    timed = timing._timed
    monkeypatch.setattr(timing, "_timed", lambda function: (next(lasts), timed(function)[1]))
    found = times(model, np.ones((1, 3), "float32"), repeats=3)
    assert [(row.name, row.milliseconds, row.share) for row in found.rows] == [("a", 2000, 0.5), ("b", 2000, 0.5)]
    assert (found.sum, found.whole) == (4000, 4000)


def test_outputs_that_nobody_reads_any_more_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([keras.Input((3,)), *(L.Dense(3, name=f"d{i}") for i in range(6))])
    alive: list[int] = []
    kept: list[Any] = []
    stop = keras.ops.stop_gradient

    def counting(value: Any) -> Any:
        alive.append(sum(reference() is not None for reference in kept))
        result = stop(value)
        kept.append(ref(result))
        return result

    monkeypatch.setattr(keras.ops, "stop_gradient", counting)
    whole = timing.graph.flat(model)
    timing._pass(whole, timing._nodes(whole), [np.ones((1, 3), "float32")])
    assert len(alive) == 6 and max(alive) == 1  # what a layer gave, until the next one has read it


@pytest.mark.parametrize(
    ("x", "repeats", "said"),
    [
        (np.ones((1, 8, 8, 3), "float32"), 0, "repeats: expected a whole number"),
        (np.ones((8, 8, 3), "float32"), 1, "Give a batch of one"),
        (np.ones((1, 9, 8, 3), "float32"), 1, "(1, 9, 8, 3)"),
    ],
)
def test_what_cannot_be_timed_is_refused(x: np.ndarray, repeats: int, said: str) -> None:
    with pytest.raises(check.SettingError if repeats == 0 else check.DataError) as caught:
        times(shared(), x, repeats)
    assert said in str(caught.value)
