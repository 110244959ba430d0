"""What a window goes over: convolutions, stems and pools, with sizes and values worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Conv, ConvStem, Group, Groups, Pool, Recipe, Regress

SIZE = (7, 10)  # odd and even, so that a stride of 2 meets both
NAME = "learner-group1-block1"


def one_block(block, *, filters=4, stride=1, channels=4):
    """A model of one group without stem whose output is the group's feature maps."""
    learner = Groups(Group(block, filters=filters, stride=stride))
    model = Recipe((*SIZE, channels), None, learner, {"y": Regress()}).build(seed=0)
    *_, last = (layer for layer in model.layers if layer.name.startswith("learner-group1-"))
    return keras.Model(model.input, last.output)


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def biases(model) -> set[bool]:
    return {layer.use_bias for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_gives_the_size_divided_and_rounded_up(kernel, stride):
    model = one_block(Conv(kernel=kernel), stride=stride)
    assert model.output.shape[1:3] == (-(-SIZE[0] // stride), -(-SIZE[1] // stride))


@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_valid_padding_gives_the_formula_of_the_books(kernel, stride):
    model = one_block(Conv(kernel=kernel, padding="valid"), stride=stride)
    assert model.output.shape[1:3] == tuple((side - kernel) // stride + 1 for side in SIZE)


def test_same_padding_of_an_odd_kernel_is_alike_on_all_sides():
    """A kernel of ones on an image of ones counts the pixels under it: 4 in each corner where the stride meets one."""
    model = one_block(Conv(bias=False), filters=1, stride=2, channels=1)
    model.get_layer(f"{NAME}-conv").set_weights([np.ones((3, 3, 1, 1), "float32")])
    found = array(model(np.ones((1, *SIZE, 1), "float32")))[0, :, :, 0]
    np.testing.assert_array_equal(found, [[4, 6, 6, 6, 6], [6, 9, 9, 9, 9], [6, 9, 9, 9, 9], [4, 6, 6, 6, 6]])


def test_the_books_convolution():
    """4×4 matrix 1..16 under the kernel 1..9: [[348, 393], [528, 573]]."""
    model = Recipe((4, 4, 1), None, Groups(Group(Conv(padding="valid"), filters=1)), {"y": Regress(pool="flatten")})
    model = model.build(seed=0)
    model.get_layer(f"{NAME}-conv").set_weights(
        [np.arange(1, 10, dtype="float32").reshape(3, 3, 1, 1), np.zeros(1, "float32")]
    )
    maps = keras.Model(model.input, model.get_layer(f"{NAME}-activation").output)
    found = array(maps(np.arange(1, 17, dtype="float32").reshape(1, 4, 4, 1)))
    np.testing.assert_array_equal(found[0, :, :, 0], [[348, 393], [528, 573]])


def stem_maps(stem, *, size=(7, 10, 3)):
    model = Recipe(size, stem, None, {"y": Regress()}).build(seed=0)
    return keras.Model(model.input, model.get_layer("task-y-pool").input)


@pytest.mark.parametrize(
    ("stem", "names", "shape"),
    [
        (ConvStem(4), ["stem-conv-pad", "stem-conv", "stem-norm", "stem-activation"], (4, 5, 4)),
        (ConvStem(4, stride=1), ["stem-conv", "stem-norm", "stem-activation"], (7, 10, 4)),
        (ConvStem(4, stride=1, norm=False, activation="linear"), ["stem-conv"], (7, 10, 4)),
        (
            ConvStem(4, kernel=3, stride=1, pool=3),
            ["stem-conv", "stem-norm", "stem-activation", "stem-pool-pad", "stem-pool"],
            (4, 5, 4),
        ),
        (ConvStem(4, kernel=1, stride=2, norm=False), ["stem-conv", "stem-activation"], (4, 5, 4)),
    ],
)
def test_stem(stem, names, shape):
    model = stem_maps(stem)
    assert [layer.name for layer in model.layers] == ["image", *names]
    assert model.output.shape[1:] == shape


@pytest.mark.parametrize("pool", [1, 2, 3, 4, 5])
def test_stem_pool_halves_the_size_rounded_up(pool):
    assert stem_maps(ConvStem(4, stride=1, pool=pool)).output.shape[1:3] == (4, 5)


@pytest.mark.parametrize(
    ("norm", "bias", "expected"), [(True, None, False), (False, None, True), (True, True, True), (False, False, False)]
)
def test_stem_bias(norm, bias, expected):
    assert biases(stem_maps(ConvStem(4, norm=norm, bias=bias))) == {expected}


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        (2, [[4, 11], [15, 21]]),  # a number is a max pool that does not overlap
        (Pool(2, kind="average"), [[2.5, 9.5], [13.5, 19.5]]),
        (Pool(3, stride=1), [[18, 19], [20, 21]]),
        (Pool(3, stride=2, padding="same"), [[18, 19], [20, 21]]),  # padded below and to the right
        (Pool(3), [[18]]),  # the last row and column do not fill a window
    ],
)
def test_pool_after_the_blocks(pool, expected):
    """The 4×4 image has the four maxima of the books' example: 4, 11, 15 and 21."""
    image = np.array([[1, 2, 8, 9], [3, 4, 10, 11], [12, 13, 18, 19], [14, 15, 20, 21]], "float32")
    learner = Groups(Group(Conv(kernel=1, bias=False), filters=1, pool=pool))
    model = Recipe((4, 4, 1), None, learner, {"y": Regress()}).build(seed=0)
    model.get_layer(f"{NAME}-conv").set_weights([np.ones((1, 1, 1, 1), "float32")])
    maps = keras.Model(model.input, model.get_layer("learner-group1-pool").output)
    np.testing.assert_array_equal(array(maps(image.reshape(1, 4, 4, 1)))[0, :, :, 0], expected)


def test_dropout_stands_after_the_pool():
    learner = Groups(Group(Conv(), filters=2, pool=2, dropout=0.25))
    names = [layer.name for layer in Recipe((8, 8, 1), None, learner, {"y": Regress()}).build(seed=0).layers]
    assert names[-4:-2] == ["learner-group1-pool", "learner-group1-dropout"]
