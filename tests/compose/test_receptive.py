"""Receptive fields against a slow reference: change one pixel after the other and see which positions notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.backend import keras, predict
from lensmith.compose import Classify, zoo
from lensmith.compose.learners.layer_graph_layers import Channels, DarknetActivation, LocallyConnected, LowestPadding
from lensmith.compose.receptive import Field, receptive_fields

L = keras.layers
Build = Callable[[Any], Any]


def made(build: Build, size: tuple[int, int]) -> Any:
    """A model whose weights are all positive, so that no effect of a pixel is cancelled by another's."""
    image = keras.Input((*size, 1))
    model = keras.Model(image, build(image))
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 0.5, np.float32))
    return model


def seen(model: Any) -> np.ndarray:
    """Which pixels each position depends on: bool (rows, columns, height, width)."""
    height, width = model.input_shape[1:3]
    pixels = height * width
    images = np.concatenate([np.eye(pixels, dtype=np.float32) * 1e3, np.zeros((1, pixels), np.float32)])
    # Far above all others, so that it is the largest of every pool that has it.
    outputs = predict(model, images.reshape(-1, height, width, 1) + np.float32(1))
    noticed = np.abs(outputs[:-1] - outputs[-1]).max(axis=-1) > 1e-3
    return noticed.reshape(height, width, *noticed.shape[1:]).transpose(2, 3, 0, 1)


def ends(places: np.ndarray) -> tuple[int, int]:
    """The first and the last place that is True."""
    found = np.flatnonzero(places)
    return int(found[0]), int(found[-1])


def agree(model: Any, *, holes: bool = False) -> Field:
    """The field of the model's output is what its positions see, as far as that lies inside the image.

    At the border the first pixel seen of a window with holes may lie further in.
    """
    field = receptive_fields(model)[model.output._keras_history.operation.name]
    assert field is not None
    reference = seen(model)
    for (row, column), pixels in ((place, reference[place]) for place in np.ndindex(reference.shape[:2])):
        for axis, (position, places) in enumerate(((row, pixels.any(axis=1)), (column, pixels.any(axis=0)))):
            first = field.start[axis] + position * field.stride[axis]
            last = first + field.size[axis] - 1
            inside = max(first, 0), min(last, len(places) - 1)
            if not pixels.any():  # zeros beside the image alone, down or across
                assert holes
            elif holes and inside != (first, last):
                assert not places[: max(inside[0], 0)].any() and not places[inside[1] + 1 :].any()
            else:
                assert ends(places) == inside, (row, column, axis, field)
    return field


def separable(x: Any) -> Any:
    return L.SeparableConv2D(2, 3, strides=2, padding="same")(L.DepthwiseConv2D((3, 2), padding="valid")(x))


def inception(x: Any) -> Any:
    """Branches of sides 1, 3, 5 and a pool, the widest of which counts."""
    x = L.Conv2D(2, 3, strides=2, padding="same")(x)
    pool = L.Conv2D(2, 1)(L.MaxPooling2D(3, 1, padding="same")(x))
    return L.Concatenate()(
        [L.Conv2D(2, 1)(x), L.Conv2D(2, 3, padding="same")(x), L.Conv2D(2, 5, padding="same")(x), pool]
    )


def lopsided(x: Any) -> Any:
    """Branches that begin at different pixels: what they see together is wider than either."""
    left = L.Cropping2D(((0, 4), (0, 4)))(L.Conv2D(1, 3)(x))
    right = L.Cropping2D(((4, 0), (3, 1)))(L.Conv2D(1, 3)(x))
    return left + right


def residual(x: Any) -> Any:
    short = L.Conv2D(2, 1, strides=2)(x)
    x = L.Conv2D(2, 3, strides=2, padding="valid")(L.ZeroPadding2D(1)(x))
    x = L.BatchNormalization()(x)
    return L.ReLU()(L.Add()([short, L.Conv2D(2, 3, padding="same")(x)]))


def nested(x: Any) -> Any:
    inner = keras.Sequential([keras.Input((None, None, 1)), L.Conv2D(2, 3, padding="same"), L.MaxPooling2D(2)])
    return L.Conv2D(2, 2)(inner(x))


def channels_moved(x: Any) -> Any:
    """As residual networks for CIFAR put zeros before and after the channels."""
    x = L.Permute((1, 3, 2))(L.Conv2D(2, 3)(x))
    return L.Conv2D(1, (1, 3))(L.Permute((1, 3, 2))(L.ZeroPadding2D(((0, 0), (1, 1)))(x)))


def shuffled(x: Any) -> Any:
    x = L.Conv2D(4, 3, strides=2)(x)
    height, width = x.shape[1:3]
    x = L.Permute((1, 3, 2))(L.Reshape((height * width, 2, 2))(x))
    return L.MaxPooling2D(2, 1)(L.Reshape((height, width, 4))(x))


def darknet_shortcut(x: Any) -> Any:
    """Every second pixel of larger maps, as Darknet's shortcut takes it."""
    own = L.Conv2D(2, 3, strides=2)(L.ZeroPadding2D(1)(x))
    return DarknetActivation("ramp")(L.Add()([own, Channels(0, 2, step=2)(L.Conv2D(1, 1)(x))]))


# What is built, on an image of which size, and the field on paper.
CASES: dict[str, tuple[Build, tuple[int, int], Field]] = {
    "one convolution": (lambda x: L.Conv2D(1, 3)(x), (7, 6), Field((3, 3), (1, 1), (0, 0))),
    # 1 + 2 + 2·1: two of 3 see 5.
    "two of 3": (lambda x: L.Conv2D(1, 3)(L.Conv2D(1, 3)(x)), (8, 7), Field((5, 5), (1, 1), (0, 0))),
    # The pool sees 2 positions one pixel apart: 3 + 1; the convolution behind it two steps of 2 more.
    "conv, pool, conv": (
        lambda x: L.Conv2D(1, 3, padding="same")(L.MaxPooling2D(2)(L.Conv2D(1, 3, padding="same")(x))),
        (10, 12),
        Field((8, 8), (2, 2), (-3, -3)),
    ),
    # An even size: 1 zero too many goes after the last pixel, none before the first.
    "strided same, even": (
        lambda x: L.Conv2D(1, 3, strides=2, padding="same")(x),
        (8, 10),
        Field((3, 3), (2, 2), (0, 0)),
    ),
    "strided same, odd": (
        lambda x: L.Conv2D(1, 3, strides=2, padding="same")(x),
        (9, 7),
        Field((3, 3), (2, 2), (-1, -1)),
    ),
    # 8 = 4 too many for a window of 4 by 3: (8/2 - 1)·2 + 4 - 8 = 2 rows, one before.
    "even kernel": (
        lambda x: L.Conv2D(1, (4, 3), strides=2, padding="same")(x),
        (8, 8),
        Field((4, 3), (2, 2), (-1, 0)),
    ),
    # Two holes of 2 pixels: 3 + 2·2.
    "dilated": (lambda x: L.Conv2D(1, 3, dilation_rate=3)(x), (9, 8), Field((7, 7), (1, 1), (0, 0))),
    "dilated same": (
        lambda x: L.Conv2D(1, 3, dilation_rate=2, padding="same")(x),
        (9, 8),
        Field((5, 5), (1, 1), (-2, -2)),
    ),
    "two strides": (lambda x: L.Conv2D(1, 3, strides=(1, 2))(x), (7, 9), Field((3, 3), (1, 2), (0, 0))),
    "average pool, same": (
        lambda x: L.AveragePooling2D(3, 2, padding="same")(x),
        (8, 7),
        Field((3, 3), (2, 2), (0, -1)),
    ),
    # Rows (3 + 2), columns (2 + 2); both strided by 2; of 8 rows left the odd zero comes last, and of 8 columns.
    "separable": (separable, (10, 9), Field((5, 4), (2, 2), (0, 0))),
    "padding and cropping": (
        lambda x: L.Cropping2D(((2, 0), (0, 1)))(L.Conv2D(1, 3)(L.ZeroPadding2D(((1, 0), (2, 2)))(x))),
        (9, 8),
        Field((3, 3), (1, 1), (1, -2)),
    ),
    # 3 + 4·2 pixels of the widest branch, begun two positions early.
    "inception": (inception, (13, 15), Field((11, 11), (2, 2), (-5, -5))),
    "lopsided": (lopsided, (11, 10), Field((7, 6), (1, 1), (0, 0))),
    "residual": (residual, (11, 13), Field((7, 7), (2, 2), (-3, -3))),
    "nested": (nested, (10, 8), Field((6, 6), (2, 2), (-1, -1))),
    "channels moved": (channels_moved, (8, 9), Field((3, 5), (1, 1), (0, 0))),
    "channels shuffled": (shuffled, (11, 9), Field((5, 5), (2, 2), (0, 0))),
    # The convolution sees 3 pixels, the shortcut the one in the middle of them.
    "Darknet's shortcut": (darknet_shortcut, (8, 10), Field((3, 3), (2, 2), (-1, -1))),
    # Every third pixel from the first, and 2 of these side by side: 1 + 3.
    "every third": (lambda x: L.Conv2D(1, 2)(Channels(0, 1, 3)(x)), (10, 8), Field((4, 4), (3, 3), (0, 0))),
    "Darknet's max pool": (
        lambda x: L.MaxPooling2D(3, 2)(LowestPadding(((1, 0), (1, 2)))(x)),
        (8, 8),
        Field((3, 3), (2, 2), (-1, -1)),
    ),
    "kernels of each place": (lambda x: LocallyConnected(1, 3, 2)(x), (9, 7), Field((3, 3), (2, 2), (0, 0))),
    # Pixels doubled and averaged by twos again.
    "there and back": (lambda x: L.AveragePooling2D(2)(L.UpSampling2D(2)(x)), (5, 6), Field((1, 1), (1, 1), (0, 0))),
}


@pytest.mark.backends
@pytest.mark.parametrize("name", CASES)
def test_positions_see_what_the_field_says(name: str) -> None:
    build, size, expected = CASES[name]
    assert agree(made(build, size), holes="dilated" in name) == expected


WINDOW = st.tuples(st.integers(1, 4), st.integers(1, 4))
PADDING = st.sampled_from(["same", "valid"])
SIDES = st.tuples(st.integers(0, 2), st.integers(0, 1))


def kind(name: str, **options: Any) -> Any:
    return st.tuples(st.just(name), st.fixed_dictionaries(options))


FIXED = {"filters": st.just(2), "kernel_size": WINDOW, "padding": PADDING}
STEPS = st.one_of(
    kind("Conv2D", strides=WINDOW, **FIXED),
    kind("Conv2D", dilation_rate=WINDOW, **FIXED),
    kind("MaxPooling2D", pool_size=WINDOW, strides=WINDOW, padding=PADDING),
    kind("ZeroPadding2D", padding=st.tuples(SIDES, SIDES)),
    kind("Cropping2D", cropping=st.tuples(SIDES, SIDES)),
    kind("ReLU"),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4), st.integers(8, 12), st.integers(8, 12))
def test_any_layers_in_a_row(steps: list[Any], height: int, width: int) -> None:
    """Away from the border exactly; at it, nothing outside of the field is seen."""

    def build(x: Any) -> Any:
        for name, options in steps:
            x = getattr(L, name)(**options)(x)
        return x

    try:
        model = made(build, (height, width))
    except ValueError:  # nothing is left of the image
        assume(False)
    assume(0 not in model.output.shape[1:])
    agree(model, holes=True)


@pytest.mark.backends
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (5, 2), (3, 1), (3, 3), (5, 3)])
def test_enlarged_maps_see_what_some_position_sees_at_most(kernel: int, stride: int, padding: str) -> None:
    model = made(
        lambda x: L.Conv2D(1, 3)(L.Conv2DTranspose(1, kernel, strides=stride, padding=padding)(L.Conv2D(1, 2)(x))),
        (7, 8),
    )
    field = receptive_fields(model)[model.layers[-1].name]
    assert field is not None
    rows = [ends(row.any(axis=1)) for row in seen(model)[:, 0]]
    assert max(last - first + 1 for first, last in rows) == field.size[0]
    assert field.stride == (Fraction(1, stride),) * 2
    assert max(field.start[0], 0) == rows[0][0]


def test_enlarged_by_copies() -> None:
    """Positions 0 and 1 see the first pixel; a window of 3 sees two or three of the image's, whichever it covers."""
    model = made(lambda x: L.Conv2D(1, 3)(L.UpSampling2D((2, 3))(x)), (5, 5))
    field = receptive_fields(model)[model.layers[-1].name]
    assert field == Field((2, 2), (Fraction(1, 2), Fraction(1, 3)), (0, 0))
    assert max(np.ptp(ends(row.any(axis=1))) + 1 for row in seen(model)[:, 0]) == 2


def test_published_fields() -> None:
    """Araujo et al. 2019, table 1, and VGG19 on paper.

    VGG19: two convolutions of 3 are 5, the pool 6; then 6 + 2·2·2 + 2 = 16, 16 + 4·2·4 + 4 = 52, 52 + 4·2·8 + 8 = 124,
    and the first convolution of the fifth group sees 2·16 more.
    """

    def small(name: str) -> Any:
        """Without the heads, which have most of the weights."""
        return replace(zoo.get(name), tasks={"label": Classify(2)}).build(seed=0)

    vgg19 = receptive_fields(small("vgg19"))
    assert vgg19["learner-group5-block1-conv"] == Field((156, 156), (16, 16), (-70, -70))
    assert vgg19["task-label-logits"] is None  # it sees everything
    for name, layer, size, stride in (
        ("vgg16", "learner-group5-pool", 212, 32),
        ("mobilenet-v1", "learner-group5-block2-activation2", 315, 32),
        ("resnet50-v1", "learner-group4-block3-relu", 483, 32),
    ):
        fields = receptive_fields(small(name))
        assert fields[layer] is not None, name
        assert (fields[layer].size, fields[layer].stride) == ((size,) * 2, (stride,) * 2)


@pytest.mark.parametrize(
    "build",
    [
        lambda x: L.GlobalAveragePooling2D()(x),
        lambda x: L.Dense(2)(L.Flatten()(x)),
        # Factors from the means of the whole image.
        lambda x: L.Multiply()([x, L.GlobalAveragePooling2D(keepdims=True)(x)]),
        # One position is spread over all.
        lambda x: L.Add()([x, L.Conv2D(1, 6)(x)]),
        lambda x: L.GroupNormalization(1)(x),
        lambda x: L.LayerNormalization(axis=(1, 2))(x),
        lambda x: L.Softmax(axis=1)(x),
        lambda x: L.Concatenate(axis=1)([x, x]),
        lambda x: L.Resizing(3, 3)(x),
        lambda x: L.UpSampling2D(2, interpolation="bicubic")(x),
        lambda x: L.Reshape((12, 3, 1))(x),
        lambda x: L.Conv2D(1, (1, 3))(L.Permute((3, 2, 1))(x)),
        lambda x: keras.ops.flip(x, axis=1),
    ],
)
def test_what_sees_everything_or_is_not_known(build: Build) -> None:
    model = made(build, (6, 6))
    fields = receptive_fields(model)
    assert fields[model.output._keras_history.operation.name] is None
    assert fields[model.layers[0].name] == Field((1, 1), (1, 1), (0, 0))


def test_layers_of_the_users_own_are_not_known() -> None:
    class Shifted(L.Conv2D):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return super().call(keras.ops.roll(inputs, 3, axis=1))

    model = made(lambda x: L.ReLU()(Shifted(1, 3)(x)), (6, 6))
    assert list(receptive_fields(model).values())[1:] == [None, None]


def test_elementwise_layers_pass_on() -> None:
    def build(x: Any) -> Any:
        x = L.LeakyReLU()(L.Dropout(0.5)(L.LayerNormalization()(L.Conv2D(2, 3)(x))))
        return L.Softmax()(L.Dense(3)(keras.ops.relu(x) * 2.0))

    model = made(build, (6, 6))
    fields = receptive_fields(model)
    assert set(list(fields.values())[1:]) == {Field((3, 3), (1, 1), (0, 0))}


def test_any_size_of_image() -> None:
    """Of unknown size, one that the stride divides is meant: one zero after the last pixel."""
    image = keras.Input((None, None, 1))
    model = keras.Model(image, L.Conv2D(1, 3, strides=2, padding="same", name="last")(image))
    assert receptive_fields(model)["last"] == Field((3, 3), (2, 2), (0, 0))


def test_refuses_what_is_no_graph() -> None:
    with pytest.raises(check.SettingError, match="connected"):
        receptive_fields(keras.Sequential([L.Conv2D(1, 3)]))
