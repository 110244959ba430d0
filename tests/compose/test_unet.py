"""The U-Net: its counts and sizes on paper, its crops, and the head of every pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import Recipe, Segment, UNet, zoo

TINY = Recipe((20, 28, 1), None, UNet(4, depth=1), {"mask": Segment(3)})


# The counts of ../shared/parameter_counts.md.
@pytest.mark.parametrize(("channels", "classes", "count"), [(1, 2, 31_030_658), (3, 2, 31_031_810)])
def test_parameters(channels: int, classes: int, count: int) -> None:
    recipe = replace(zoo.get("unet"), input=(188, 188, channels), tasks={"mask": Segment(classes)})
    assert recipe.count() == (count, count)


def test_sizes_of_figure_1() -> None:
    parts = {part.name: part.shape for part in compose.outline(zoo.get("unet"))}
    assert parts["learner-group1"] == (284, 284, 64)  # 572 → 570 → 568, pooled
    assert parts["learner-group5"] == (28, 28, 1024)
    assert parts["decoder-group1"] == (52, 52, 512)
    assert parts["decoder-group4"] == (388, 388, 64)
    assert parts["task-mask"] == (388, 388, 2)


def test_parts_stand_in_the_order_of_the_data() -> None:
    recipe = replace(TINY, input=(44, 44, 1), learner=UNet(2, depth=2))
    expected = ["input", "learner-group1", "learner-group2", "learner-group3", "decoder-group1", "decoder-group2"]
    for what in (recipe, recipe.build(seed=0)):
        assert [part.name for part in compose.outline(what)] == [*expected, "task-mask"]


def test_what_is_passed_across_is_the_middle() -> None:
    """Depth 1 on paper: 20 → 18 → 16, pooled 8 → 6 → 4, up 8: of the 16 the middle 8 are taken."""
    model = TINY.build(seed=0)
    crop = model.get_layer("decoder-group1-crop")
    assert crop.input.shape[1:3] == (16, 24)
    assert crop.output.shape[1:3] == (8, 16)
    assert crop.cropping == ((4, 4), (4, 4))
    assert model.output.shape == (None, 4, 12, 3)


def test_moving_the_image_moves_the_mask(batch) -> None:
    """A shift by one pool (2 pixels) shifts the map by 2: nothing is padded, and the crops are in line."""
    model = TINY.build(seed=1)
    wide = batch((20, 30, 1))
    left, right = (keras.ops.convert_to_numpy(model(wide[:, :, start : start + 28])) for start in (0, 2))
    np.testing.assert_allclose(left[:, :, 2:], right[:, :, :-2], atol=1e-6)


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (17, 19)])
def test_padded_the_mask_has_the_size_of_the_image(size, batch) -> None:
    recipe = Recipe((*size, 3), None, UNet(2, depth=2, padding="same", norm="before"), {"mask": Segment(2)})
    answer = keras.ops.convert_to_numpy(recipe.build(seed=0)(batch((*size, 3))))
    assert answer.shape == (2, *size, 2)
    np.testing.assert_allclose(answer.sum(-1), 1, atol=1e-6)


def test_odd_sizes_without_padding() -> None:
    model = replace(TINY, input=(21, 27, 1)).build(seed=0)  # 17 pooled is 8; 23 pooled is 11
    assert model.output.shape == (None, 4, 10, 3)


def test_one_step_of_fit_learns_masks(batch) -> None:
    model = compose.logits(TINY.build(seed=0))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = batch((20, 28, 1)), np.random.default_rng(0).integers(0, 3, (2, 4, 12))
    losses = model.fit(x, y, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_the_encoding_ends_before_the_decoder() -> None:
    view = compose.views.encoding(TINY.build(seed=0))
    assert view.output.shape == (None, 4, 8, 8)


def test_written_and_read_again() -> None:
    recipe = zoo.get("unet")
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe.from_yaml(
        "{input: [9, 9, 1], learner: {part: u-net, depth: 1}, tasks: {m: {part: segment, classes: 2}}}"
    )


REFUSED = [
    (lambda: replace(TINY, input=(10, 10, 1)).build(), ["3×3"]),  # 10 → 6 → 3: no room for two windows
    (lambda: replace(TINY, input=(20,)).build(), ["learner", "image"]),
    (lambda: UNet(depth=0), ["u-net.depth", "at least 1"]),
    (lambda: UNet(padding="full"), ["u-net.padding", "'full'"]),
    (lambda: UNet(norm="local"), ["u-net.norm", "before"]),
    (lambda: Segment(1), ["segment.classes", "background"]),
    (lambda: Recipe((4,), None, None, {"mask": Segment(2)}).build(), ["task-mask", "image"]),
    (
        lambda: Recipe.from_yaml("{input: [9, 9, 1], learner: {part: u-net, dept: 1}, tasks: {m: binary}}"),
        ["learner", "Did you mean 'depth'?"],
    ),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_what_cannot_be_is_refused(make, words, refused) -> None:
    refused(make, *words)
