"""Statistics by layer over a dataset: against plain numpy on everything at once, and units dead by design."""

from __future__ import annotations

import itertools
import json
import math
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from weakref import ref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.probe.accumulating import BINS, Accumulator
from lensmith.probe.maps import feature_maps
from lensmith.probe.statistics import Statistics, statistics

L = keras.layers
FLOATS = st.floats(-1e6, 1e6, width=32) | st.sampled_from([0.0, -0.0, 1.0, 1e-30, -1e-30, 3e38, -3e38])


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def with_dead_units() -> Any:
    """Of four channels after the ReLU, 1 is always 0 and 3 is for images with a bright first pixel alone."""
    x = keras.Input((4, 4, 1), name="image")
    maps = L.Conv2D(4, 1, activation="relu", name="conv")(x)
    model = keras.Model(x, L.Dense(2, name="scores")(L.GlobalAveragePooling2D(name="mean")(maps)))
    model.get_layer("conv").set_weights([np.array([[[[1.0, 0.0, -1.0, 1.0]]]]), np.array([0.0, -1.0, 0.0, -9.0])])
    return model


def row_of(found: Statistics, name: str) -> Any:
    return next(row for row in found.activations if row.name == name)


# --- moments and histograms that come in pieces ---------------------------------------------------------------------


@hypothesis_settings(max_examples=25, deadline=None)
@given(values=st.lists(FLOATS, min_size=1, max_size=60), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_pieces_in_any_order_give_what_all_numbers_give_at_once(values: list[float], cuts: list[int]) -> None:
    array = np.array(values, "float32")
    whole = Accumulator()
    whole.add(array)
    pieces = Accumulator()
    for piece in reversed(np.split(array, sorted(cuts))):
        pieces.add(piece)
    one, other = whole.spread(), pieces.spread()
    np.testing.assert_array_equal(one.counts, other.counts)
    np.testing.assert_array_equal(one.edges, other.edges)
    exact = array.astype("float64")
    assert (one.count, one.zeros) == (other.count, other.zeros) == (exact.size, int((exact == 0).sum()))
    assert (one.smallest, one.largest) == (other.smallest, other.largest) == (exact.min(), exact.max())
    scale = np.abs(exact).max()
    for spread in (one, other):
        assert spread.mean == pytest.approx(exact.mean(), abs=1e-12 * scale)
        assert spread.deviation == pytest.approx(exact.std(), rel=1e-9, abs=1e-9 * scale)
        assert spread.norm == pytest.approx(np.sqrt((exact**2).sum()), rel=1e-9)


@hypothesis_settings(max_examples=25, deadline=None)
@given(values=st.lists(FLOATS, min_size=1, max_size=60))
def test_each_number_lies_in_the_bin_that_counts_it(values: list[float]) -> None:
    exact = np.array(values, "float32").astype("float64")
    seen = Accumulator()
    seen.add(exact)
    spread = seen.spread()
    assert spread.counts.sum() == exact.size and len(spread.edges) == len(spread.counts) + 1 <= BINS + 1
    inside = [int(((low <= exact) & (exact < high)).sum()) for low, high in itertools.pairwise(spread.edges)]
    assert spread.counts.tolist() == inside
    assert spread.counts[0] and spread.counts[-1]  # no empty bins at the ends


def test_bins_are_fine_enough_to_see_the_shape() -> None:
    seen = Accumulator()
    for value in np.random.default_rng(0).normal(5, 2, 3000):
        seen.add(np.array([value]))
    assert BINS // 2 <= len(seen.spread().counts) <= BINS


@pytest.mark.parametrize(
    "values",
    [
        np.arange(1000.0),  # bins double again and again
        np.arange(65.0),  # one more than there are bins
        np.arange(64.0),  # as many as there are
        -np.geomspace(1e-3, 1e6, 200),
        np.array([3.0, -2000.0, 5.0, 0.0, 7000.0]),
    ],
)
def test_numbers_one_by_one_lie_in_the_bins_of_numpy(values: np.ndarray) -> None:
    seen = Accumulator()
    for value in values:
        seen.add(np.array([value]))
    spread = seen.spread()
    assert len(spread.counts) <= BINS
    last = np.nextafter(spread.edges[-1], -np.inf)  # numpy's last bin holds its end, too
    np.testing.assert_array_equal(spread.counts, np.histogram(values, [*spread.edges[:-1], last])[0])
    assert spread.counts.sum() == len(values)


@pytest.mark.parametrize(
    ("values", "nonfinite", "mean"),
    [
        ([np.nan, 1.0, 3.0], 1, 2.0),  # NaN is counted and nothing else is touched
        ([np.inf, -np.inf, 4.0], 2, 4.0),
        ([np.nan], 1, math.nan),  # nothing is known
        ([], 0, math.nan),
    ],
)
def test_what_is_not_finite_is_counted_and_left_out(values: list[float], nonfinite: int, mean: float) -> None:
    seen = Accumulator()
    seen.add(np.array(values))
    spread = seen.spread()
    assert (spread.nonfinite, spread.count) == (nonfinite, len(values) - nonfinite)
    assert spread.mean == pytest.approx(mean, nan_ok=True)
    assert spread.counts.sum() == spread.count


# --- layers ---------------------------------------------------------------------------------------------------------


@pytest.mark.backends
def test_batches_give_what_plain_numpy_gives_on_everything() -> None:
    model, x = with_dead_units(), images(13, 4, 4, 1)
    found = statistics(model, [x[:5], x[5:10], x[10:]])
    maps = feature_maps(model, x, ["conv", "scores"])
    assert found.images == 13 and [row.name for row in found.activations] == ["conv", "scores"]
    for name, values in maps.items():
        spread, exact = row_of(found, name).spread, values.astype("float64")
        assert (spread.count, spread.zeros) == (exact.size, (exact == 0).sum())
        # A batch of another size may be added up in another order.
        numbers = (spread.smallest, spread.largest, spread.mean, spread.deviation)
        assert numbers == pytest.approx((exact.min(), exact.max(), exact.mean(), exact.std()), rel=1e-5, abs=1e-7)
        edges = spread.edges + 1e-6 * np.array([-1, *[0] * (len(spread.edges) - 2), 1])
        assert np.abs(spread.counts - np.histogram(exact, edges)[0]).sum() <= 2
        assert spread.sparsity == pytest.approx((exact == 0).mean())


def test_a_batch_is_looked_at_in_parts_where_its_layers_give_more_than_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, sizes = with_dead_units(), images(7, 4, 4, 1), []
    whole = statistics(model, [x])
    one = sum(4 * values[0].size for values in feature_maps(model, x, ["conv", "scores"]).values())
    original, looked_at = backend.predict, sys.modules[statistics.__module__]
    monkeypatch.setattr(looked_at, "_MOST", 3 * one)
    monkeypatch.setattr(backend, "predict", lambda m, part: (sizes.append(len(part)), original(m, part))[1])
    parts = statistics(model, [x])
    assert sizes == [3, 3, 1] and parts.images == 7
    assert row_of(parts, "conv").spread.mean == pytest.approx(row_of(whole, "conv").spread.mean, rel=1e-6)
    monkeypatch.setattr(looked_at, "_MOST", 1)  # at least one image at a time
    assert statistics(model, [x]).images == 7 and sizes[3:] == [1] * 7


def test_units_dead_over_the_whole_dataset_and_no_others() -> None:
    x = np.abs(images(6, 4, 4, 1)) + 0.1
    x[4, 0, 0, 0] = 10.0  # the one pixel that channel 3 answers to
    found = statistics(with_dead_units(), [x[:3], x[3:]])
    assert row_of(found, "conv").dead == (1, 2) == row_of(found, "conv").constant
    assert row_of(found, "scores").dead is None  # a linear unit may well stay below 0
    assert found.notes == ("conv: 2 of 4 channels are never above 0",)
    assert row_of(statistics(with_dead_units(), [x[:3]]), "conv").dead == (1, 2, 3)


def test_a_channel_that_never_changes_is_constant() -> None:
    model = keras.Sequential([keras.Input((3,)), L.Dense(3, name="units")])
    model.get_layer("units").set_weights([np.array([[1.0, 0.0, 1.0]] * 3), np.array([0.0, 7.0, 0.0])])
    found = statistics(model, [images(4, 3)])
    assert row_of(found, "units").constant == (1,)
    assert row_of(statistics(model, [images(1, 3)]), "units").constant == ()  # one image tells nothing


def test_a_channel_is_constant_over_all_batches_or_not_at_all() -> None:
    model = keras.Sequential([keras.Input((3,)), L.ReLU(name="units")])
    first, second = np.array([[0.0, 5, 1], [5, 5, 1]], "float32"), np.array([[5.0, 5, 2], [5, 5, 2]], "float32")
    for batches in ([first, second], [second, first]):
        assert row_of(statistics(model, batches), "units").constant == (1,)


@pytest.mark.parametrize(
    ("layer", "values", "low", "high"),
    [
        (L.Activation("sigmoid", name="end"), [-9.0, 9.0, 0.0, 4.5], 0.25, 0.25),  # 4.5 gives 0.989
        (L.Activation("sigmoid", name="end"), [-9.0, 9.0, 0.0, 4.7], 0.25, 0.5),  # 4.7 gives 0.991
        (L.Activation("tanh", name="end"), [-9.0, 0.0, 2.6, 2.7], 0.25, 0.25),  # 2.6 gives 0.989, 2.7 gives 0.991
        (L.Activation("softmax", name="end"), [0.0, 0.0, 0.0, 9.0], 0.75, 0.25),
        (L.Softmax(name="end"), [0.0, 0.0, 0.0, 9.0], 0.75, 0.25),
        (L.Activation("relu6", name="end"), [-1.0, 5.995, 6.0, 9.0], 0.25, 0.5),  # there exactly
        (L.ReLU(max_value=6, name="end"), [-1.0, 0.001, 6.0, 9.0], 0.25, 0.5),
        (L.Activation("hard_sigmoid", name="end"), [-3.0, -2.9, 2.0, 3.0], 0.25, 0.25),
        (L.Activation("relu", name="end"), [-1.0, 0.0, 2.0, 3.0], None, None),  # has one end only
        (L.LeakyReLU(name="end"), [-1.0, 0.0, 2.0, 3.0], None, None),
    ],
)
def test_saturation_is_the_share_at_the_ends(layer: Any, values: list[float], low: Any, high: Any) -> None:
    model = keras.Sequential([keras.Input((4,)), layer])
    [row] = statistics(model, [np.array([values], "float32")]).activations
    assert (row.low, row.high) == (low, high)
    assert row.saturation == (None if low is None else low + high)


def test_saturation_adds_up_over_batches() -> None:
    model = keras.Sequential([keras.Input((2,)), L.Activation("sigmoid", name="end")])
    x = np.array([[-9.0, 0.0], [0.0, 0.0], [9.0, 9.0], [0.0, 9.0]], "float32")
    [row] = statistics(model, [x[:1], x[1:]]).activations
    assert (row.low, row.high, row.spread.count) == (1 / 8, 3 / 8, 8)


def test_numbers_that_are_not_finite_are_said_and_not_propagated() -> None:
    model, x = with_dead_units(), np.abs(images(3, 4, 4, 1))
    x[1, 2, 2, 0] = np.nan
    found = statistics(model, [x])
    conv = row_of(found, "conv")
    assert conv.spread.nonfinite == 4 and math.isfinite(conv.spread.mean)
    assert conv.dead == (1, 2, 3)
    assert found.notes[0] == "conv: 4 of 192 numbers are not finite (NaN or infinite)"
    model.get_layer("conv").bias.assign([np.inf, 0.0, 0.0, 0.0])
    found = statistics(model, [np.ones((1, 4, 4, 1), "float32")])
    assert row_of(found, "conv").spread.nonfinite == 16 and 0 not in row_of(found, "conv").dead
    assert "conv, bias: 1 of 4 numbers are not finite (NaN or infinite)" in found.notes
    json.dumps(found.to_dict(), allow_nan=False)


def test_what_follows_one_another_is_looked_at_once() -> None:
    model = replace(zoo.get("resnet18-v2"), input=(32, 32, 3)).build(seed=0)
    found = statistics(model, [images(2, 32, 32, 3)])
    chains = [row.layers for row in found.activations]
    watched = {name for chain in chains for name in chain}
    assert len(watched) == sum(map(len, chains))  # no layer twice
    assert {layer.name for layer in model.layers if layer.weights} <= watched
    assert {layer.name for layer in model.layers if isinstance(layer, L.Activation)} <= watched
    assert all(row.name == row.layers[-1] for row in found.activations) and len(chains) < len(watched)
    assert sum(row.activation == "relu" for row in found.activations) == 17  # two a block, and the stem's or the last


def test_units_are_not_hidden_by_what_normalises_them() -> None:
    """A ReLU within a convolution is looked at where it is, and not after the normalisation that follows it."""
    x = keras.Input((4, 4, 1))
    maps = L.Conv2D(2, 1, activation="relu", name="conv")(x)
    model = keras.Model(x, L.PReLU(name="own")(L.BatchNormalization(name="norm")(maps)))
    rows = statistics(model, [images(1, 4, 4, 1)]).activations
    assert [row.layers for row in rows] == [("conv",), ("norm", "own")]
    assert rows[0].dead is not None


def test_maps_that_several_layers_read_are_looked_at_by_themselves() -> None:
    x = keras.Input((4,))
    a = L.Dense(3, name="a")(x)
    model = keras.Model(x, L.Add()([L.ReLU(name="relu")(a), a]))
    assert [row.layers for row in statistics(model, [images(2, 4)]).activations] == [("a",), ("relu",)]


def test_layers_asked_for_by_name_or_tap_also_inside() -> None:
    inner = keras.Sequential([keras.Input((4, 4, 1)), L.Conv2D(2, 1, name="deep"), L.ReLU(name="relu")], name="in")
    x = keras.Input((4, 4, 1))
    model = keras.Model(x, L.Flatten(name="row")(inner(x)))
    found = statistics(model, [images(2, 4, 4, 1)], ["relu", "deep", "row"])
    assert [row.name for row in found.activations] == ["relu", "deep", "row"]
    assert [row.channels for row in found.activations] == [2, 2, 32]
    compact = replace(zoo.get("compact"), input=(16, 16, 3)).build(seed=0)
    [row] = statistics(compact, [images(1, 16, 16, 3)], ["P2"]).activations
    assert (row.name, row.layers, row.channels) == ("P2", ("learner-group3-block2-activation",), 128)


def test_weights_have_their_moments_norms_and_histograms() -> None:
    model = with_dead_units()
    found = statistics(model, [images(1, 4, 4, 1)])
    names = [(row.layer, row.name, row.shape) for row in found.weights]
    assert names[:2] == [("conv", "kernel", (1, 1, 1, 4)), ("conv", "bias", (4,))]
    kernel, bias = (row.spread for row in found.weights[:2])
    assert (kernel.mean, kernel.norm, kernel.zeros) == (0.25, pytest.approx(math.sqrt(3)), 1)
    assert (bias.norm, bias.smallest, bias.counts.sum()) == (pytest.approx(math.sqrt(82)), -9.0, 4)
    scores = model.get_layer("scores").get_weights()[0].astype("float64")
    row = next(row for row in found.weights if (row.layer, row.name) == ("scores", "kernel"))
    assert row.spread.norm == pytest.approx(np.linalg.norm(scores))


def test_states_of_random_generators_are_no_weights() -> None:
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="dense"), L.Dropout(0.5, seed=1)])
    assert {row.layer for row in statistics(model, [images(1, 3)]).weights} == {"dense"}


@pytest.mark.parametrize("name", ["googlenet", "mobilenet-v2"])
def test_networks_of_the_zoo(name: str) -> None:
    model = replace(zoo.get(name), input=(64, 64, 3)).build(seed=0)
    found = statistics(model, [images(1, 64, 64, 3)])
    shares = {row.activation: row.saturation for row in found.activations}
    assert shares["softmax"] is not None and (shares.get("relu6") is not None) == (name == "mobilenet-v2")
    assert json.loads(json.dumps(found.to_dict()))["images"] == 1


def test_a_model_with_two_heads() -> None:
    x = keras.Input((3,))
    a = L.Dense(4, activation="relu", name="a")(x)
    model = keras.Model(x, {"kind": L.Dense(2, activation="softmax", name="kind")(a), "yes": L.Dense(1, name="yes")(a)})
    assert {row.name for row in statistics(model, [images(5, 3)]).activations} == {"a", "kind", "yes"}


def test_of_a_thousand_images_one_batch_lives_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), L.Conv2D(16, 3, activation="relu", name="conv"), L.Flatten(), L.Dense(3)]
    )
    taken: list[Any] = []
    given: list[Any] = []
    most = 0

    def batches() -> Iterator[np.ndarray]:
        nonlocal most
        for _ in range(100):
            alive = [reference for reference in (*taken, *given) if reference() is not None]
            most = max(most, len(alive))
            batch = np.ones((10, 16, 16, 3), "float32")
            taken.append(ref(batch))
            yield batch
            del batch

    predict = backend.predict

    def watched(model: Any, x: Any) -> Any:
        outputs = predict(model, x)
        given.extend(ref(values) for values in outputs.values())
        return outputs

    monkeypatch.setattr(backend, "predict", watched)
    found = statistics(model, batches())
    assert found.images == 1000 and len(given) == 200
    assert most == 0  # when a batch is made, neither the one before it nor what layers gave for it is left


def test_memory_does_not_grow_with_the_dataset() -> None:
    model = keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(16, 3, activation="relu", name="conv")])

    def peak(count: int) -> int:
        rng = np.random.default_rng(0)
        tracemalloc.start()
        statistics(model, (rng.random((10, 16, 16, 3), dtype="float32") for _ in range(count)))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(40) < peak(4) + 200_000  # a batch of maps takes 1,254,400 bytes


@pytest.mark.parametrize(
    ("batches", "layers", "said"),
    [
        ([], None, "batches: expected at least one image; got none"),
        ([np.ones((4, 4, 1), "float32")], None, "Give a batch of one"),
        ([np.ones((1, 5, 4, 1), "float32")], None, "(1, 5, 4, 1)"),
        ([np.ones((1, 4, 4, 1), "float32")], ["konv"], "layers: expected the name of a layer; got 'konv'"),
        ([np.ones((1, 4, 4, 1), "float32")], [], "at least one tap or layer"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_one_line(batches: Any, layers: Any, said: str) -> None:
    with pytest.raises(check.LensmithError) as caught:
        statistics(with_dead_units(), batches, layers)
    assert said in str(caught.value) and "\n" not in str(caught.value)
