"""Twins: one shared encoder, distances by hand, and both ways of training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Classify, Conv, Group, Groups, Recipe, Regress, Twin, contrastive_loss
from lensmith.compose.zoo.siamese import SIAMESE_DIGITS

ENCODER = Recipe((8, 8, 1), None, Groups(Group(Conv(), filters=(8, 16), pool=2)), {"embedding": Regress(6)})


def numbers(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def pairs(count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Digits 0 and 1 in pairs, half of them the same."""
    x, y = load_digits(n_class=2, return_X_y=True)
    rng = np.random.default_rng(3)
    left = rng.integers(0, len(x), count)
    same = np.arange(count) % 2
    right = np.array([rng.choice(np.flatnonzero((y == y[i]) == alike)) for i, alike in zip(left, same, strict=True)])
    images = (x / 16).reshape(-1, 8, 8, 1).astype("float32")
    return {"left": images[left], "right": images[right]}, same[:, None].astype("float32")


@pytest.mark.parametrize("head", ["binary", "distance"])
@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_the_output_is_made_of_the_embeddings_distance(distance, head) -> None:
    model = Twin(ENCODER, distance, head).build(seed=2)
    x, _ = pairs(6)
    left, right = (numbers(model.get_layer("encoder")(x[side])) for side in ("left", "right"))
    apart = np.abs(left - right) if distance == "l1" else (left - right) ** 2
    if head == "binary":
        kernel, bias = (numbers(weight) for weight in model.get_layer("task-same-logits").weights)
        expected = 1 / (1 + np.exp(-(apart @ kernel + bias)))
        logits = numbers(compose.logits(model)(x))
        np.testing.assert_allclose(logits, apart @ kernel + bias, atol=1e-5)
    else:
        expected = apart.sum(1, keepdims=True)
        expected = np.sqrt(expected) if distance == "l2" else expected
    np.testing.assert_allclose(numbers(model(x)), expected, atol=1e-3 if head == "distance" else 1e-5)


def test_the_encoder_is_there_once_and_is_the_recipes_own() -> None:
    for head, added in (("binary", 7), ("distance", 0)):
        twin = Twin(ENCODER, head=head)
        assert twin.build(seed=1).count_params() == twin.count()[0] == ENCODER.count()[0] + added
    shared = Twin(ENCODER).build(seed=1).get_layer("encoder")
    for one, other in zip(shared.get_weights(), ENCODER.build(seed=1).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_left_and_right_may_be_changed() -> None:
    model = SIAMESE_DIGITS.build(seed=0)
    x, _ = pairs(4)
    swapped = {"left": x["right"], "right": x["left"]}
    np.testing.assert_allclose(numbers(model(x)), numbers(model(swapped)), atol=1e-6)


def test_it_learns_to_tell_the_same_from_others() -> None:
    model = Twin(ENCODER).build(seed=0)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    x, y = pairs(48)
    losses = model.fit(x, y, batch_size=48, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("distance", ["l1", "l2"])
def test_the_contrastive_loss_draws_the_same_together(distance) -> None:
    model = Twin(ENCODER, distance, head="distance").build(seed=0)
    model.compile(keras.optimizers.Adam(0.01), contrastive_loss(1.0))
    x, y = pairs(48)
    losses = model.fit(x, y, batch_size=48, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    apart = numbers(model(x))
    assert apart[y == 1].mean() < apart[y == 0].mean()


def test_two_equal_images_have_a_finite_gradient() -> None:
    model = Twin(ENCODER, "l2", head="distance").build(seed=0)
    model.compile("sgd", contrastive_loss())
    image = pairs(2)[0]["left"]
    model.fit({"left": image, "right": image}, np.zeros((2, 1), "float32"), verbose=0)
    assert all(np.isfinite(numbers(weight)).all() for weight in model.weights)


def test_saved_as_keras_and_loaded(tmp_path) -> None:
    model = SIAMESE_DIGITS.build(seed=0)
    model.save(tmp_path / "twin.keras")
    x, _ = pairs(4)
    loaded = keras.saving.load_model(tmp_path / "twin.keras", compile=False)
    np.testing.assert_array_equal(numbers(loaded(x)), numbers(model(x)))


def test_written_and_read_again() -> None:
    for twin in (SIAMESE_DIGITS, Twin(ENCODER, "l2", "distance")):
        assert Twin.from_yaml(twin.to_yaml()) == twin
        assert hash(Twin.from_yaml(twin.to_yaml())) == hash(twin)


REFUSED = [
    (lambda: Twin(replace(ENCODER, tasks={"a": Classify(3)})), ["twin.encoder.tasks", "Regress", "Classify"]),
    (lambda: Twin(None), ["twin.encoder", "a Recipe"]),
    (lambda: Twin(ENCODER, "l3"), ["twin.distance", "l1, l2"]),
    (lambda: Twin(ENCODER, head="binry"), ["twin.head", "Did you mean 'binary'?"]),
    (lambda: Twin.from_yaml("{distance: l1}"), ["twin.encoder", "missing"]),
    (lambda: Twin.from_yaml("{encoder: {}, distanc: l1}"), ["twin", "Did you mean 'distance'?"]),
    (lambda: contrastive_loss(0), ["contrastive_loss.margin", "above 0"]),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_cannot_be_is_refused(make, words, refused) -> None:
    refused(make, *words)
