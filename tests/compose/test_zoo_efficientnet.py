"""EfficientNet-B0 against ``keras.applications``: the same counts, and with the same weights the same numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Classify, weights, zoo
from lensmith.compose.weights import efficientnet

# Theirs has a normalisation of the image besides: mean and variance of three channels, and a count.
COUNTS = (5_330_571 - 7, 5_288_548)


def test_counts_of_keras_applications():
    assert zoo.get("efficientnet-b0").count() == COUNTS


@pytest.mark.parametrize("size", [(64, 48), pytest.param((67, 45), marks=pytest.mark.slow)])
def test_same_numbers_as_keras_applications(size, fill):
    """Theirs divides by 255 and standardises, so ours gets what comes out of that."""
    theirs = fill(keras.applications.EfficientNetB0(weights=None, input_shape=(*size, 3), classes=7))
    (standardised,) = (layer for layer in theirs.layers if isinstance(layer, keras.layers.Normalization))
    standardised.adapt_mean.assign([0.4, 0.5, 0.6]), standardised.adapt_variance.assign([0.04, 0.05, 0.06])
    standardised.finalize_state()
    ours = replace(zoo.get("efficientnet-b0"), input=(*size, 3), tasks={"label": Classify(7)}).build(seed=0)
    arrays = {weight.path: keras.ops.convert_to_numpy(weight).copy() for weight in theirs.weights}
    report = weights.assign(ours, arrays, efficientnet.KERAS)
    assert sorted(name.rpartition("/")[2] for name in report.unused) == ["count", "mean", "variance"]
    x = np.random.default_rng(3).uniform(0, 255, (2, *size, 3)).astype("float32")
    inside = keras.ops.convert_to_numpy(keras.Model(theirs.input, standardised.output)(x))
    for layer, other in (("task-label-pool", "avg_pool"), ("task-label-probabilities", "predictions")):
        found = keras.Model(ours.input, ours.get_layer(layer).output)(inside)
        expected = keras.ops.convert_to_numpy(keras.Model(theirs.input, theirs.get_layer(other).output)(x))
        assert expected.std() > 0
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(keras.ops.convert_to_numpy(found), expected, rtol=0, atol=tolerance)


def test_weights_files_are_recognised_by_the_row():
    assert [names.name for names in weights.maps_for("efficientnet-b0")] == ["Lensmith", efficientnet.KERAS.name]


def test_taps(small):
    model = small("efficientnet-b0").build(seed=0)
    assert list(compose.tap_names(model)) == ["P1", "P2", "P3", "P4", "P5"]
