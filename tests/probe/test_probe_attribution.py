"""What an answer rests on: occlusion and integrated gradients, with numbers that can be checked on paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.data import Preprocessing
from lensmith.probe import attribution
from lensmith.probe.attribution import integrated_gradients
from lensmith.probe.occlusion import occlusion
from lensmith.probe.subject import Subject
from lensmith.probe.targets import Target
from lensmith.probe.why import gradients_figure, occlusion_figure
from lensmith.records import Labels

layers = keras.layers


def summing(*pixels: tuple[int, int], side: int = 6, activation: str | None = None) -> Any:
    """A model whose one output is the sum of a few pixels."""
    end = layers.Dense(1, activation=activation, name="sum")
    model = keras.Sequential([keras.Input((side, side, 1)), layers.Flatten(), end])
    kernel = np.zeros((side, side), np.float32)
    for pixel in pixels:
        kernel[pixel] = 1
    end.set_weights([kernel.reshape(-1, 1), np.zeros(1, np.float32)])
    return model


def curved() -> Any:
    """Convolutions with smooth activations, and two classes."""
    parts = [keras.Input((6, 5, 2)), layers.Conv2D(4, 3, activation="tanh"), layers.Flatten()]
    keras.utils.set_random_seed(0)
    return keras.Sequential([*parts, layers.Dense(2, activation="softmax", name="kind")])


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


# --- occlusion -------------------------------------------------------------------------------------------------------


@pytest.mark.backends
def test_occlusion_of_a_sum_of_pixels() -> None:
    x = np.zeros((6, 6, 1), np.float32)
    x[0, 0], x[5, 5], x[2, 2] = 8, 4, 100  # the last is not among those that count
    found = occlusion(summing((0, 0), (5, 5)), x, patch=4, stride=2, fill=1)
    assert (found.whole, found.tops, found.lefts, found.probable) == (12.0, (0, 2), (0, 2), False)
    # Covered by 1: the first patch takes 8 and gives 1, the last takes 4 and gives 1.
    np.testing.assert_allclose(found.drops, [[7, 0], [0, 3]])
    np.testing.assert_allclose(
        found.values,
        [
            [7, 7, 3.5, 3.5, 0, 0],
            [7, 7, 3.5, 3.5, 0, 0],
            [3.5, 3.5, 2.5, 2.5, 1.5, 1.5],
            [3.5, 3.5, 2.5, 2.5, 1.5, 1.5],
            [0, 0, 1.5, 1.5, 3, 3],
            [0, 0, 1.5, 1.5, 3, 3],
        ],
    )
    assert found.facts["measure"] == "output" and found.facts["largest_drop_at"] == [0, 0]


@pytest.mark.backends
def test_the_last_row_and_column_are_reached() -> None:
    x = np.zeros((6, 6, 1), np.float32)
    x[5, 5] = 4
    found = occlusion(summing((5, 5)), x, patch=4, stride=3, fill=0, batch=3)
    assert found.tops == found.lefts == (0, 2), "3 would leave the image"
    np.testing.assert_allclose(found.drops, [[0, 0], [0, 4]])


def test_drops_are_of_probabilities_where_there_are_any() -> None:
    x = np.full((6, 6, 1), 0.0, np.float32)
    x[1, 1] = 2
    model = summing((1, 1), activation="sigmoid")
    # Class 1 is the more probable: 1/(1+exp(−2)), and 0.5 when the pixel is covered.
    found = occlusion(model, x, patch=3, stride=3, fill=0)
    assert (found.target.index, found.probable) == (1, True)
    np.testing.assert_allclose(found.drops, [[1 / (1 + np.exp(-2)) - 0.5, 0], [0, 0]], atol=1e-7)
    other = occlusion(model, x, 0, patch=3, stride=3, fill=0)
    np.testing.assert_allclose(other.drops, -found.drops, atol=1e-7)
    assert other.whole == pytest.approx(1 - found.whole)


def test_what_covers_is_the_mean_of_each_channel_unless_named() -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(1, name="sum")])
    model.layers[-1].set_weights([np.tile([[1], [10], [100]], (16, 1)).astype(np.float32), np.zeros(1, np.float32)])
    x = np.zeros((4, 4, 3), np.float32)
    x[0, 0] = (16, 32, 48)  # the means are 1, 2 and 3
    drop = occlusion(model, x, patch=1).drops
    assert drop[0, 0] == pytest.approx(15 + 300 + 4500) and drop[3, 3] == pytest.approx(-1 - 20 - 300)
    assert occlusion(model, x, patch=1, fill=(0, 0, 48)).drops[0, 0] == pytest.approx(16 + 320)
    assert occlusion(model, x, patch=1, fill=0).drops[3, 3] == 0


SIDES = st.tuples(st.integers(2, 9), st.integers(2, 9))


@settings(max_examples=25, deadline=None)
@given(size=SIDES, data=st.data())
def test_the_map_is_the_mean_of_the_patches_over_a_pixel(size: tuple[int, int], data: st.DataObject) -> None:
    patch = (data.draw(st.integers(1, size[0])), data.draw(st.integers(1, size[1])))
    stride = (data.draw(st.integers(1, patch[0])), data.draw(st.integers(1, patch[1])))
    model = keras.Sequential([keras.Input((*size, 1)), layers.Flatten(), layers.Dense(1, name="sum")])
    x = image(*size, 1)
    found = occlusion(model, x, patch=patch, stride=stride, fill=0, batch=7)
    kernel = np.asarray(keras.ops.convert_to_numpy(model.layers[-1].kernel), np.float64).reshape(size)
    assert found.tops[-1] + patch[0] == size[0] and found.lefts[-1] + patch[1] == size[1]
    total, count = np.zeros(size), np.zeros(size)
    for i, top in enumerate(found.tops):
        for j, left in enumerate(found.lefts):
            here = (slice(top, top + patch[0]), slice(left, left + patch[1]))
            drop = (x[..., 0] * kernel)[here].sum()
            assert found.drops[i, j] == pytest.approx(drop, abs=1e-4)
            total[here] += drop
            count[here] += 1
    np.testing.assert_allclose(found.values, total / count, atol=1e-4)


def test_progress_is_told() -> None:
    seen: list[tuple[int, int]] = []
    occlusion(summing((0, 0)), image(6, 6, 1), patch=4, batch=3, progress=lambda *at: seen.append(at))
    assert seen == [(3, 4), (4, 4)]
    seen.clear()
    integrated_gradients(summing((0, 0)), image(6, 6, 1), steps=5, batch=2, progress=lambda *at: seen.append(at))
    assert seen == [(2, 5), (4, 5), (5, 5)]


# --- integrated gradients --------------------------------------------------------------------------------------------


@pytest.mark.backends
def test_of_a_linear_model_it_is_weight_times_difference() -> None:
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activation="softmax", name="kind")])
    model.layers[-1].set_weights([np.float32([[1, -1], [2, 0], [-3, 5]]), np.float32([7, 8])])
    x, nothing = np.float32([1, 2, 4]), np.float32([0, 1, 2])
    for steps in (1, 2, 32):  # of a constant derivative one step is enough
        found = integrated_gradients(model, x, 0, baseline=nothing, steps=steps, batch=5)
        np.testing.assert_allclose(found.values, [1, 2, -6], rtol=1e-6)
        # 1 + 4 − 12 + 7 and 0 + 2 − 6 + 7
        assert (found.score, found.baseline, found.total) == (0.0, 3.0, pytest.approx(-3))
        assert abs(found.gap) < 1e-5
    other = integrated_gradients(model, x, 1, baseline=1.0)
    np.testing.assert_allclose(other.values, [0, 0, 15], rtol=1e-6)
    assert other.pixels.shape == (3,)


@pytest.mark.backends
def test_a_product_is_shared_by_its_factors() -> None:
    x = keras.Input((2,))
    product = layers.Multiply(name="product")([x[:, :1], x[:, 1:]])
    found = integrated_gradients(keras.Model(x, product), np.float32([3, 5]), steps=2)
    # Each gets ∫ a · 3 · 5 da = 7.5: the Gauss-Legendre rule is exact for lines.
    np.testing.assert_allclose(found.values, [7.5, 7.5], rtol=1e-6)


@pytest.mark.backends
def test_one_logit_speaks_for_two_classes() -> None:
    x = image(6, 6, 1)
    model = summing((0, 0), (3, 4), activation="sigmoid")
    for index, sign in ((0, -1), (1, 1)):
        found = integrated_gradients(model, x, index)
        expected = np.zeros((6, 6, 1), np.float32)
        expected[0, 0], expected[3, 4] = sign * x[0, 0], sign * x[3, 4]
        np.testing.assert_allclose(found.values, expected, atol=1e-6)
        assert found.target == Target("sum", index, str(index), unit=0, sign=float(sign))


@pytest.mark.backends
def test_more_steps_come_nearer_to_completeness() -> None:
    model, x = curved(), 3 * image(6, 5, 2)
    gaps = [abs(integrated_gradients(model, x, 1, baseline=0.3, steps=steps).gap) for steps in (1, 4, 16, 64)]
    assert gaps[0] > 1e-2 and gaps[1] < gaps[0] and gaps[-1] < 1e-4
    found = integrated_gradients(model, x, 1, baseline=0.3, steps=64)
    assert found.facts["completeness_gap"] == found.total - (found.score - found.baseline)
    # The score is the logit, not the probability.
    chances = np.asarray(backend.predict(model, x[None]), np.float64)[0]
    against = integrated_gradients(model, x, 0, baseline=0.3)
    assert found.score - against.score == pytest.approx(np.log(chances[1] / chances[0]), abs=1e-4)


@pytest.mark.backends
def test_it_is_the_mean_of_derivatives_by_differences() -> None:
    model, x = curved(), image(6, 5, 2)
    found = integrated_gradients(model, x, 0, steps=3)
    places, weights = np.polynomial.legendre.leggauss(3)
    last = model.layers[-1]
    linear = keras.Model(model.inputs[0], last.input)
    kernel, bias = (np.asarray(keras.ops.convert_to_numpy(one), np.float64) for one in (last.kernel, last.bias))

    def logit(x: np.ndarray) -> float:
        return float(np.asarray(backend.predict(linear, x[None]), np.float64)[0] @ kernel[:, 0] + bias[0])

    for pixel in ((0, 0, 0), (2, 3, 1), (5, 4, 0)):
        step = np.zeros_like(x)
        step[pixel] = 0.05
        slopes = [(logit(a * x + step) - logit(a * x - step)) / 0.1 for a in (places + 1) / 2]
        assert found.values[pixel] == pytest.approx(x[pixel] * (weights / 2 @ slopes), rel=0.02, abs=1e-4)


@pytest.mark.backends
def test_nothing_is_traced_anew_for_another_image_or_class(monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = curved(), []
    original = attribution.derivative.call
    monkeypatch.setattr(attribution.derivative, "call", lambda *given: (calls.append(1), original(*given))[1])
    for index in (0, 1, 0):
        integrated_gradients(model, image(6, 5, 2), index, steps=7, batch=3)
    assert len(calls) == (9 if keras.config.backend() == "torch" else 1)


def test_heads_of_ones_own() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, [layers.Dense(2, name="kind")(x), layers.Dense(1, name="size")(x)])
    found = integrated_gradients(model, np.ones(3, np.float32), head="size")
    kernel = np.asarray(keras.ops.convert_to_numpy(model.get_layer("size").kernel))
    np.testing.assert_allclose(found.values, kernel[:, 0], rtol=1e-5)
    assert found.target.head == "size"


# --- figures ---------------------------------------------------------------------------------------------------------


def drawn() -> tuple[Subject, np.ndarray]:
    parts = [keras.Input((12, 12, 3)), layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*parts, layers.Dense(2, activation="softmax", name="end")])
    labels = {"kind": Labels("class", ("cat", "dog"))}
    subject = Subject(model, Preprocessing(image=(12, 12, 3), scaling="-1..1"), labels)
    return subject, np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_occlusion_figure() -> None:
    subject, pixels = drawn()
    figure = occlusion_figure(subject, pixels, target="dog", patch=4)
    assert figure.name == "occlusion-kind-dog"
    assert {name: array.shape for name, array in figure.arrays.items()} == {"drops": (5, 5), "map": (12, 12)}
    assert {"target": "dog", "measure": "probability", "patch": [4, 4]}.items() <= figure.facts.items()
    np.testing.assert_array_equal(
        figure.arrays["drops"], occlusion(subject, subject.inputs([pixels]), "dog", patch=4).drops
    )


def test_gradients_figure_begins_with_black() -> None:
    subject, pixels = drawn()
    figure = gradients_figure(subject, pixels, target=0)
    expected = integrated_gradients(subject, subject.inputs([pixels]), 0, baseline=-1.0)
    assert figure.name == "gradients-kind-cat"
    np.testing.assert_allclose(figure.arrays["values"], expected.values, atol=1e-6)
    np.testing.assert_allclose(figure.arrays["pixels"], expected.values.sum(axis=-1), atol=1e-6)
    assert {"score", "baseline_score", "completeness_gap", "steps", "target"} <= figure.facts.keys()


# --- refused ---------------------------------------------------------------------------------------------------------

ROW = np.ones(3, np.float32)
SIX = np.ones((6, 6, 1), np.float32)


def rows() -> Any:
    return keras.Sequential([keras.Input((3,)), layers.Dense(2)])


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: occlusion(rows(), ROW), "x: expected an image (height, width, channels); got (3,)"),
    (lambda: occlusion(summing(), SIX, patch=7), "patch: expected at most 6 pixels, the side of the image; got 7"),
    (lambda: occlusion(summing(), SIX, patch=0), "patch: expected a whole number of at least 1; got 0"),
    (
        lambda: occlusion(summing(), SIX, patch=2, stride=3),
        "stride: expected at most 2 pixels, the side of the patch, so that every pixel is covered; got 3",
    ),
    (lambda: occlusion(summing(), SIX, fill=(1, 2, 3)), "fill: expected one finite number, or 1; got (1, 2, 3)"),
    (lambda: occlusion(summing(), np.stack([SIX, SIX])), "x: expected one example; got 2"),
    (lambda: integrated_gradients(summing(), SIX, steps=0), "steps: expected a whole number of at least 1; got 0"),
    (lambda: integrated_gradients(rows(), ROW, baseline=np.ones(2)), "baseline: expected the shape of the example"),
    (lambda: integrated_gradients(rows(), ROW, baseline=np.nan), "x: expected finite numbers; got NaN or infinity"),
    (lambda: integrated_gradients(rows(), ROW, 2), "expected a number from 0 to 1; got 2"),
    (lambda: occlusion_figure(Subject(rows(), Preprocessing(columns=3, scaling="none")), ROW), "got a row"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused_in_one_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(check.LensmithError) as caught:
        make()
    assert message in str(caught.value) and "\n" not in str(caught.value)
