"""What records, models and the zoo refuse: one SettingError of one line that says what came and what to do."""

from __future__ import annotations

import pytest

from lensmith.backend import keras
from lensmith.compose import (
    Basic,
    Binary,
    Bottleneck,
    Classify,
    Conv,
    ConvStem,
    Dense,
    Flatten,
    Group,
    Groups,
    MultiLabel,
    Pool,
    Recipe,
    Regress,
    outline,
    tap_names,
    zoo,
)

WHOLE = "expected a whole number of at least 1"
WIDTHS = "expected a list of whole numbers, one for each layer"


PYTHON = {
    "class for a block": (lambda: Group(Conv, 16), "group.block", "blocks.conv.Conv"),
    "class for a task": (lambda: Recipe((8,), None, None, {"y": Classify}), "tasks.y", "Regress"),
    "task without a name": (lambda: Recipe((8,), None, None, Classify(3)), "tasks", "{'label': Classify(10)}"),
    "block for a learner": (
        lambda: Recipe((8, 8, 1), None, Conv(), {"y": Binary()}),
        "learner",
        "Groups, Dense, ",
        "or None",
    ),
    "learner for a stem": (lambda: Recipe((8,), Dense((3,)), None, {"y": Binary()}), "stem", "Flatten or None"),
    "block for a group": (lambda: Groups(Conv()), "groups: expected Group records"),
    "list for groups": (lambda: Groups([Group(Conv(), 4)]), "groups: expected Group records"),
    "no groups": (lambda: Groups(), "groups: expected at least one group", "say None"),
    "number for widths": (lambda: Dense(10), "dense.units", WIDTHS),
    "one class": (lambda: Classify(1), "classify.classes"),
    "no label": (lambda: MultiLabel(0), "multi-label.classes", WHOLE),
    "no value": (lambda: Regress(0), "regress.values", WHOLE),
    "pool of nothing": (lambda: Pool(0), "pool.size", WHOLE),
    "kernel of nothing": (lambda: Conv(kernel=0), "conv.kernel", WHOLE),
    "version 2 with norm after": (lambda: Basic(version="2", norm="after"), "basic.norm"),
    "shortcut": (lambda: Bottleneck(shortcut="pad"), "bottleneck.shortcut", "Did you mean 'padding'?"),
    "stem": (lambda: ConvStem(8, activation="swisch"), "conv-stem.activation"),
}


@pytest.mark.parametrize("case", PYTHON.values(), ids=PYTHON)
def test_record(case, refused):
    make, *words = case
    refused(make, *words)


# --- parts that do not fit each other ------------------------------------------------------------------------------

LARGER = "Make the input larger, or use fewer strides and pools"
VALID = Conv(padding="valid")


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        # the window of a pool, of a convolution, and each axis for itself
        (
            Recipe((16, 16, 3), None, zoo.get("vgg16").learner, {"y": Binary()}),
            ["learner-group5-pool", "2×2", "got 1×1", LARGER],
        ),
        (
            Recipe((2, 9, 1), None, Groups(Group(VALID, 4)), {"y": Binary()}),
            ["learner-group1-block1-conv", "3×3", "got 2×9", LARGER],
        ),
        (
            Recipe((9, 4, 1), None, Groups(Group(VALID, (4, 4))), {"y": Binary()}),
            ["learner-group1-block2-conv", "got 7×2", LARGER],
        ),
        (
            Recipe((8, 8, 3), None, zoo.get("histology-v1").learner, {"y": Binary()}),
            ["learner-group2-block1-conv", "got 1×1", LARGER],
        ),
        # images and rows
        (Recipe((13,), ConvStem(4), None, {"y": Binary()}), ["stem: expected an image", "(13,)", "Dense"]),
        (Recipe((13,), None, Groups(Group(Conv(), 4)), {"y": Binary()}), ["learner: expected an image", "(13,)"]),
        (
            Recipe((8, 8, 1), Flatten(), Groups(Group(Conv(), 4)), {"y": Binary()}),
            ["learner: expected an image", "(64,)"],
        ),
        (Recipe((8, 8, 1), None, Dense((4,)), {"y": Binary()}), ["learner: expected a row", "Put a Flatten stem"]),
    ],
)
def test_parts_that_do_not_fit(recipe, words, refused):
    refused(recipe.build, *words)
    refused(recipe.count, *words)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_residual_network_takes_any_size(size):
    """Its windows are padded, so it ends with one pixel."""
    recipe = Recipe((size, size, 3), zoo.get("resnet18-v1").stem, zoo.get("resnet18-v1").learner, {"y": Binary()})
    assert recipe.count() > (0, 0)


# --- the zoo and the views -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18_v1", ["'resnet18_v1'", "Did you mean 'resnet18-v1'?"]),
        ("vgg-16", ["Did you mean 'vgg16'?"]),
        ("Compact", ["Did you mean 'compact'?"]),
        ("zzz", ["there is no 'zzz' in the zoo. See them all: lensmith zoo"]),
        (["vgg16"], ["there is no ['vgg16'] in the zoo"]),
        (None, ["there is no None in the zoo"]),
    ],
)
def test_name_that_the_zoo_has_not(name, words, refused):
    refused(lambda: zoo.get(name), *words)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: zoo.cifar_resnet(21), ["depth: expected 6n + 2; got 21. Take 20 or 26"]),
        (lambda: zoo.cifar_resnet(2), ["depth: expected 6n + 2", "Take 8 or 14"]),
        (lambda: zoo.cifar_resnet("20"), ["depth", WHOLE]),
        (lambda: zoo.cifar_resnet(20, "3"), ["basic.version"]),
        (lambda: zoo.resnet(20, "1"), ["depth: expected one of 18, 34, 50, 101, 152; got 20"]),
        (lambda: zoo.resnet(18, "1.6"), ["basic.version", "Did you mean"]),
        (lambda: zoo.vgg((2, 2)), ["blocks: expected 5 numbers, one for each group; got (2, 2)"]),
        (lambda: zoo.vgg(16), ["blocks", WIDTHS]),
    ],
)
def test_family_member_that_does_not_exist(make, words, refused):
    refused(make, *words)


def test_views_of_a_model_from_elsewhere():
    """Taps and outline look at names only: a model of other names has no taps and is all input."""
    source = keras.Input((4, 4, 1))
    foreign = keras.Model(source, keras.layers.Conv2D(2, 3)(source))
    assert tap_names(foreign) == {}
    assert [part.name for part in outline(foreign)] == ["input"]
