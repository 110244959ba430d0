"""Autoencoders: counts on paper, their code, and that they learn to give digits again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Autoencoder, Conv, Dense, Flatten, Group, Groups, Recipe, Reconstruct, zoo

ROWS = Recipe((64,), None, Autoencoder(Dense((16, 4)), (16,)), {"again": Reconstruct()})
MAPS = Recipe(
    (8, 8, 1), None, Autoencoder(Groups(Group(Conv(), filters=(8, 4), stride=2)), (8,)), {"again": Reconstruct()}
)


def numbers(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def test_parameters_on_paper() -> None:
    dense = [784 * 128 + 128, 128 * 64 + 64, 64 * 32 + 32, 32 * 64 + 64, 64 * 128 + 128, 128 * 784 + 784]
    assert zoo.get("autoencoder-dense").count() == (sum(dense), sum(dense)) == (222_384, 222_384)
    conv = [9 * 1 * 32 + 32, 9 * 32 * 64 + 64, 9 * 64 * 64 + 64, 9 * 64 * 32 + 32, 9 * 32 * 1 + 1]
    assert zoo.get("autoencoder-conv").count() == (sum(conv), sum(conv)) == (74_497, 74_497)


@pytest.mark.parametrize("name", ["autoencoder-dense", "autoencoder-conv"])
def test_rows_give_their_input_again_and_are_written(name, batch) -> None:
    recipe = zoo.get(name)
    model = recipe.build(seed=0)
    answer = numbers(model(batch(recipe.input)))
    assert answer.shape == (2, *recipe.input)
    assert answer.min() >= 0
    assert answer.max() <= 1
    assert numbers(compose.logits(model)(batch(recipe.input))).shape == answer.shape
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert hash(Recipe.from_yaml(recipe.to_yaml())) == hash(recipe)


@pytest.mark.parametrize(("name", "shape"), [("autoencoder-dense", (32,)), ("autoencoder-conv", (7, 7, 64))])
def test_the_encoder_gives_the_code(name, shape) -> None:
    model = zoo.get(name).build(seed=0)
    encoder = compose.views.encoding(model)
    assert encoder.output.shape[1:] == shape
    assert {id(weight) for weight in encoder.weights} < {id(weight) for weight in model.weights}


@pytest.mark.parametrize("distance", ["l2", "cross-entropy"])
@pytest.mark.parametrize("start", [ROWS, MAPS])
def test_it_learns_to_give_digits_again(start, distance) -> None:
    digits = (load_digits().data[:64] / 16).astype("float32").reshape(-1, *start.input)
    recipe = replace(start, tasks={"again": Reconstruct(distance)})
    model = recipe.build(seed=0)
    model.compile(keras.optimizers.Adam(0.01), recipe.tasks["again"].loss)
    losses = model.fit(digits, digits, batch_size=64, epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.95 * losses[0]


def test_on_odd_sizes_what_goes_beyond_is_cut_off(batch) -> None:
    model = replace(MAPS, input=(9, 11, 3)).build(seed=0)  # halved 5 and 6, doubled 10 and 12
    assert model.get_layer("task-again-crop").cropping == ((0, 1), (0, 1))
    assert numbers(model(batch((9, 11, 3)))).shape == (2, 9, 11, 3)


def test_an_image_through_dense_layers_has_its_shape_again() -> None:
    recipe = Recipe((4, 6, 3), Flatten(), Autoencoder(Dense((5,))), {"again": Reconstruct(activation="linear")})
    model = recipe.build(seed=0)
    assert model.output.shape == (None, 4, 6, 3)
    assert model.layers[-1].name == "task-again-output"


def test_parts_of_the_outline() -> None:
    assert [part.name for part in compose.outline(ROWS)] == ["input", "learner", "decoder", "task-again"]
    parts = compose.outline(MAPS.build(seed=0))
    assert [part.name for part in parts] == ["input", "learner-group1", "decoder", "task-again"]


REFUSED = [
    # Two strides in the encoder, none in the decoder: the maps are too small to be cut.
    (lambda: replace(MAPS, learner=replace(MAPS.learner, decoder=())).build(), ["8×8", "4×4", "decoder"]),
    (lambda: Autoencoder(None), ["autoencoder.encoder", "Groups or Dense"]),
    (lambda: Autoencoder(Dense((3,)), (0,)), ["autoencoder.decoder", "at least 1"]),
    (lambda: Autoencoder(Dense((3,)), activation="rellu"), ["autoencoder.activation", "'relu'"]),
    (lambda: Reconstruct("l3"), ["reconstruct.distance", "l2"]),
    (lambda: Reconstruct("cross-entropy", activation="linear"), ["reconstruct.activation", "sigmoid"]),
    (
        lambda: Recipe.from_yaml(
            "{input: [9], learner: {part: autoencoder, encoder: {part: dens}}, tasks: {a: binary}}"
        ),
        ["learner.encoder.part", "Did you mean 'dense'?"],
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_cannot_be_is_refused(make, words, refused) -> None:
    refused(make, *words)
