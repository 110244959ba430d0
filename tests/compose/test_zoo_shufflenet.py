"""ShuffleNet: counts by arithmetic, the shuffle by hand, and a unit against the same written in numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Recipe, Shuffle, zoo
from lensmith.compose.blocks.shuffle import shuffled
from lensmith.compose.layers import Maker
from lensmith.compose.zoo.shufflenet import shufflenet_v1

# Trainable parameters by arithmetic from Table 1, the entry of stage 2 not grouped.
COUNTS = {1: 1_531_936, 2: 1_733_848, 3: 1_865_728, 4: 1_968_344, 8: 2_434_768}


@pytest.mark.parametrize(("groups", "trainable"), COUNTS.items())
def test_counts(groups, trainable):
    assert zoo.get(f"shufflenet-v1-g{groups}").count()[1] == trainable


def counted(groups: int, filters: int) -> int:
    """Trainable parameters once more, from the paper's words alone."""

    def normed(weights: int, channels: int) -> int:
        return weights + 2 * channels

    total, channels = normed(3 * 3 * 3 * 24, 24), 24
    for stage, units in enumerate((4, 8, 4)):
        wide = filters * 2**stage
        inside = wide // 4
        for unit in range(units):
            out = wide - channels if unit == 0 else wide
            entry = 1 if stage == unit == 0 else groups
            total += normed(channels * inside // entry, inside) + normed(9 * inside, inside)
            total += normed(inside * out // groups, out)
            channels = wide
    return total + channels * 1000 + 1000


@pytest.mark.parametrize(("groups", "filters"), [(1, 144), (2, 200), (3, 240), (4, 272), (8, 384)])
def test_counts_by_another_way(groups, filters):
    assert counted(groups, filters) == COUNTS[groups]


def test_shuffle_by_hand():
    """Of a1 a2 a3 b1 b2 b3 comes a1 b1 a2 b2 a3 b3, at every pixel; one group leaves all as it is."""
    source = keras.Input((2, 3, 6))
    model = keras.Model(source, shuffled(source, 2, "shuffle"))
    x = np.arange(36, dtype="float32").reshape(1, 2, 3, 6)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)), x[..., [0, 3, 1, 4, 2, 5]])
    assert shuffled(source, 1, "none") is source


def conv1x1(x: np.ndarray, kernel: np.ndarray, groups: int) -> np.ndarray:
    parts = np.split(x, groups, axis=-1)
    kernels = np.split(kernel[0, 0], groups, axis=-1)
    return np.concatenate([part @ own for part, own in zip(parts, kernels, strict=True)], axis=-1)


def norm(x: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    gamma, beta, mean, variance = weights
    return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def windows(x: np.ndarray, stride: int) -> np.ndarray:
    """The 3×3 windows of a padded image: ``(batch, height, width, 3, 3, channels)``."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    return seen[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


def reference(model, x: np.ndarray, groups: int, entry: int, stride: int) -> np.ndarray:
    """Figure 2b and c, operation by operation."""

    def weights(name: str) -> list[np.ndarray]:
        return [keras.ops.convert_to_numpy(weight).astype("float64") for weight in model.get_layer(name).weights]

    y = np.maximum(norm(conv1x1(x, weights("b-conv1")[0], entry), weights("b-norm1")), 0)
    if entry > 1:
        y = y.reshape(*y.shape[:3], entry, -1).swapaxes(3, 4).reshape(y.shape)
    y = norm((windows(y, stride) * weights("b-conv2")[0][..., 0]).sum(axis=(3, 4)), weights("b-norm2"))
    y = norm(conv1x1(y, weights("b-conv3")[0], groups), weights("b-norm3"))
    y = x + y if stride == 1 else np.concatenate([windows(x, stride).mean(axis=(3, 4)), y], axis=-1)
    return np.maximum(y, 0)


# Groups, groups of the entry, stride, channels in, filters.
UNITS = [
    (3, None, 1, 24, 24),
    (3, None, 2, 24, 48),
    (2, 1, 2, 10, 24),  # as in stage 2: not grouped, so not shuffled
    (1, None, 2, 6, 16),
    (4, None, 1, 32, 32),
]


@pytest.mark.parametrize(("groups", "entry", "stride", "channels", "filters"), UNITS)
def test_unit_is_the_papers(groups, entry, stride, channels, filters, fill):
    source = keras.Input((7, 6, channels))
    block = Shuffle(groups, entry)
    output = block.build(source, Maker(seed=0), filters=filters, stride=stride, name="b")
    model = fill(keras.Model(source, output))
    x = np.random.default_rng(5).normal(size=(2, 7, 6, channels)).astype("float32")
    found = keras.ops.convert_to_numpy(model(x))
    expected = reference(model, x.astype("float64"), groups, entry or groups, stride)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_saved_as_keras_and_loaded_gives_the_same_answers(small, batch, tmp_path):
    model = small("shufflenet-v1-g3").build(seed=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    x = batch(model.input_shape[1:])
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(loaded(x)), keras.ops.convert_to_numpy(model(x)))
    assert compose.tap_names(loaded) == compose.tap_names(model)


def test_only_the_first_unit_has_an_entry_that_is_not_grouped():
    groups = zoo.get("shufflenet-v1-g8").learner.groups
    assert [block.entry_groups for block in groups[0].each_block] == [1, None, None, None]
    assert {block for group in groups[1:] for block in group.each_block} == {Shuffle(8)}


def test_written_and_read_again():
    recipe = replace(zoo.get("shufflenet-v1-g2"), input=(64, 64, 3))
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


def build(block: Shuffle, *, filters: int, stride: int):
    return block.build(keras.Input((8, 8, 12)), Maker(seed=0), filters=filters, stride=stride, name="b")


REFUSED = [
    (lambda: Shuffle(0), "shuffle.groups"),
    (lambda: Shuffle(3, entry_groups=0), "shuffle.entry_groups"),
    (lambda: Shuffle(3, squeeze=0), "shuffle.squeeze"),
    (lambda: shufflenet_v1(5), "groups: expected one of 1, 2, 3, 4, 8"),
    (lambda: build(Shuffle(), filters=24, stride=1), "12 filters at stride 1"),
    (lambda: build(Shuffle(), filters=12, stride=2), "more than 12 filters"),
    (lambda: build(Shuffle(5), filters=20, stride=2), "5 groups"),
    (lambda: Shuffle(1).build(keras.Input((8, 8, 1)), Maker(seed=0), filters=3, stride=2, name="b"), "at least 4"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_refusals(make, words, refused):
    refused(make, words)
