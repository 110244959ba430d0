"""Training on a stream of the user's own: killed in the middle of an epoch, it ends with the same bits."""

import numpy as np
import pytest

from lensmith import train
from lensmith.backend import keras
from lensmith.data.pipeline.stream import stream

RANDOM = np.random.default_rng(0)
PICTURES = [(RANDOM.normal(size=(4, 4, 1)).astype(np.float32) + place % 2, place % 2) for place in range(24)]


def pictures():
    yield from PICTURES


def prepare(picture, rng):
    pixels, label = picture
    return pixels + rng.normal(0, 0.1, pixels.shape), label


def training(threads=1):
    return stream(pictures, steps=4, threads=threads).map(prepare).shuffle(10, seed=0).batch(8)


def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4, 4, 1))
    outputs = keras.layers.Dense(2, name="logits")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, outputs)


def fit(one, folder=None, **options):
    stage = train.Fit(epochs=3, rate=0.01, checkpoint_every=1)
    objectives = {"label": train.Objective("sparse_categorical_crossentropy", ("accuracy",), "softmax")}
    return train.fit(one, training(), stage=stage, objectives=objectives, folder=folder, **options)


class StopError(Exception):
    pass


class StopsAfter(train.Silent):
    """Progress that ends training after so many steps, as a process that is killed."""

    def __init__(self, steps):
        self.steps = steps

    def on_step(self, step, *rest):
        if step == self.steps:
            raise StopError


def test_a_stream_is_trained_on_and_resumed_with_the_same_bits(tmp_path):
    whole = model()
    history = fit(whole)
    assert len(history.rows) == 3
    assert history.rows[-1]["loss"] < history.rows[0]["loss"]
    broken = model()
    with pytest.raises(StopError):
        fit(broken, tmp_path, progress=StopsAfter(6))  # in the middle of the second epoch
    resumed = model()
    fit(resumed, tmp_path, resume=True)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_keras_fit_takes_a_stream():
    one = model()
    one.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    made = training()
    found = one.fit(made.dataset(), steps_per_epoch=len(made), epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(found.history["loss"]).all()
