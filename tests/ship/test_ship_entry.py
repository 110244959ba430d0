"""The resize and the scaling inside an artifact against those of the data room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.data import Preprocessing, resize, resize_matrix
from lensmith.data.resampling import RESIZES
from lensmith.ship.entry import SIZE_LIMIT, entry

PIXELS = Preprocessing(image=(28, 21, 3), scaling="none")


@cache
def run(preprocessing: Preprocessing) -> Callable[[np.ndarray], np.ndarray]:
    model = entry(preprocessing)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda batch: session.run(["scaled"], {session.get_inputs()[0].name: batch})[0]


@pytest.mark.parametrize(
    "size",
    [
        (28, 21),  # the model's own
        (1, 1),  # one pixel
        (1, 300),  # one row
        (27, 22),  # one less, one more
        (29, 20),  # one more, one less
        (56, 42),  # exactly twice
        (14, 7),  # exactly a half and a third
        (13, 97),  # primes
        (500, 375),  # a photograph
        (SIZE_LIMIT, 2),  # the longest side
        (3, SIZE_LIMIT - 1),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", RESIZES)
def test_the_resize_inside_is_the_resize_of_data(size, channels, method, draw):
    batch = np.stack([draw(*size, channels, seed=seed) for seed in range(2)])
    there = run(Preprocessing(image=(28, 21, channels), scaling="none", resize=method))(batch)
    np.testing.assert_allclose(there, np.stack([resize(image, (28, 21), method) for image in batch]), rtol=0, atol=2e-3)


@settings(max_examples=60, deadline=None)
@given(
    before=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 2**16),
)
def test_the_resize_inside_is_the_resize_of_data_at_any_size(before, seed):
    image = np.random.default_rng(seed).integers(0, 256, (*before, 3), dtype=np.uint8)
    for method in RESIZES:
        there = run(replace(PIXELS, resize=method))(image[None])[0]
        np.testing.assert_allclose(there, resize(image, (28, 21), method), rtol=0, atol=1e-3)


def test_an_image_of_the_models_size_passes_unchanged(draw):
    image = draw(28, 21)
    np.testing.assert_array_equal(run(PIXELS)(image[None])[0], image.astype(np.float32))


@pytest.mark.parametrize(("before", "after"), [(3, 2), (8192, 224), (7, 7), (5, 12), (1, 4), (2, 3), (223, 224)])
def test_its_weights_are_those_of_the_resize_matrix(before, after):
    """A column of one bright pixel after another shows the matrix, scaled by 255."""
    one_hot = (np.eye(before, dtype=np.uint8) * 255)[:, :, None, None][:, :, [0]]  # (before, before, 1, 1)
    if before > 300:  # the ends and the middle are enough
        one_hot = one_hot[[0, 1, before // 2, before - 1]]
    there = run(Preprocessing(image=(after, 1, 1), scaling="none"))(one_hot)[:, :, 0, 0].T / 255
    expected = resize_matrix(after, before)[:, one_hot[:, :, 0, 0].argmax(axis=1)]
    # What cubic interpolation takes below 0 is clipped.
    np.testing.assert_allclose(there, expected.clip(0, 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(image=(5, 4, 3), scaling="0..1"),
        Preprocessing(image=(5, 4, 1), scaling="-1..1"),
        Preprocessing(image=(5, 4, 3), scaling="standardise", mean=(10, 20, 30), deviation=(2, 0, 50)),
        Preprocessing(image=(5, 4, 3), scaling="standardise", mean=(10, 20, 30), deviation=(2, 1, 5), channels="bgr"),
    ],
)
def test_the_scaling_inside_is_that_of_data(preprocessing, draw):
    image = draw(9, 4, preprocessing.shape[-1])
    np.testing.assert_allclose(run(preprocessing)(image[None])[0], preprocessing(image), rtol=1e-5, atol=2e-6)


def test_rows_are_scaled_by_column():
    preprocessing = Preprocessing(columns=2, scaling="standardise", mean=(1, 5), deviation=(2, 0))
    rows = np.array([[1, 5], [3, 6], [0, 0]], np.float32)
    np.testing.assert_array_equal(run(preprocessing)(rows), [[0, 0], [1, 1], [-0.5, -5]])


def test_only_plain_operators_are_used():
    model = entry(PIXELS)
    assert not model.functions
    assert [entry.domain for entry in model.opset_import] == [""]
    assert {node.domain for node in model.graph.node} == {""}
