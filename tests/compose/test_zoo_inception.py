"""Inception: the books' and the papers' counts, module by module, and the same numbers as keras.applications."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Branches, Classify, Conv, Conventions, Group, Groups, Recipe, Step, zoo
from lensmith.compose.cost import lines as cost_lines
from lensmith.compose.weights import inception, weights_of
from lensmith.compose.zoo.inception import auxiliaries, naive, reduced

# (total, trainable): Szegedy et al. 2015 by arithmetic, the books' own module as printed, keras.applications.
COUNTS = {
    "googlenet": (6_998_552, 6_998_552),
    "inception-book": (2_106_250, 2_106_250),
    "inception-v3": (23_851_784, 23_817_352),
    "inception-resnet-v2": (55_873_736, 55_813_192),
}
# Height, width and channels that the papers' tables and the code's comments give at the end of a group.
SHAPES = {
    "googlenet": {
        "stem-5-pool": (28, 28, 192),
        "learner-group1-block1-concat": (28, 28, 256),
        "learner-group1-block2-concat": (28, 28, 480),
        "learner-group2-block1-concat": (14, 14, 512),  # 4a, which the first auxiliary classifier reads
        "learner-group2-block4-concat": (14, 14, 528),  # 4d, which the second reads
        "learner-group2-block5-concat": (14, 14, 832),
        "learner-group3-block2-concat": (7, 7, 1024),
    },
    "inception-v3": {
        "stem-3-activation": (147, 147, 64),
        "stem-7-pool": (35, 35, 192),
        "learner-group1-block1-concat": (35, 35, 256),
        "learner-group1-block3-concat": (35, 35, 288),
        "learner-group2-block5-concat": (17, 17, 768),
        "learner-group3-block1-concat": (8, 8, 1280),
        "learner-group3-block3-concat": (8, 8, 2048),
    },
    "inception-resnet-v2": {
        "stem-8-concat": (35, 35, 320),
        "learner-group1-block10-activation": (35, 35, 320),
        "learner-group3-block20-activation": (17, 17, 1088),
        "learner-group5-block9-activation": (8, 8, 2080),
        "learner-group7-block1-activation": (8, 8, 1536),
    },
}
# Multiply-adds in billions as the papers and later tables round them.
BILLIONS = {"googlenet": 1.6, "inception-v3": 5.7, "inception-resnet-v2": 13.2}


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def one(block, filters: int | None = None, *, channels: int, classes: int = 2, **settings) -> Recipe:
    """A network of one group of this block."""
    group = Group(block, filters=filters)
    tasks = {"label": Classify(classes)}
    return Recipe(input=(9, 9, channels), stem=None, learner=Groups(group), tasks=tasks, **settings)


def learned(recipe: Recipe) -> list[int]:
    """The parameters of the learner's layers that have any, in order."""
    return [line.parameters for line in cost_lines(recipe) if line.parameters and line.name.startswith("learner")]


@pytest.mark.parametrize(("name", "counts"), COUNTS.items(), ids=COUNTS)
def test_counts(name, counts):
    """The table of golden rows is counted anew in its own test."""
    row = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))[name]
    assert (row["parameters"], row["trainable"]) == counts


def test_googlenet_with_its_two_auxiliary_classifiers():
    assert replace(zoo.get("googlenet"), auxiliaries=auxiliaries()).count(auxiliaries=True)[0] == 13_378_280


@pytest.mark.parametrize(("name", "shapes"), SHAPES.items(), ids=SHAPES)
def test_shapes_of_the_papers_and_multiply_adds(name, shapes):
    lines = {line.name: line for line in cost_lines(zoo.get(name))}
    assert {layer: lines[layer].shape for layer in shapes} == shapes
    assert round(sum(line.flops for line in lines.values()) / 1e9, 1) == BILLIONS[name]


# Each row: the block, its filters, the channels it reads, and the parameters of its convolutions by hand.
MODULES = [
    (naive(32), 1, [64, 320, 832]),  # 1·32 + 32, 9·32 + 32, 25·32 + 32: 1,216
    (naive(8), 256, [2_056, 18_440, 51_208]),  # 71,704
    (reduced(8, 8, 8, 8, 8, 8), 256, [2_056, 2_056, 584, 2_056, 1_608, 2_056]),  # 10,416
]


@pytest.mark.parametrize(("block", "channels", "expected"), MODULES, ids=["naive-grey", "naive", "reduced"])
def test_modules_of_the_books(block, channels, expected):
    assert sorted(learned(one(block, channels=channels))) == sorted(expected)
    assert sum(expected) in (1_216, 71_704, 10_416)


def test_the_same_convolutions_in_sequence_are_many_more():
    convolutions = tuple(Conv(kernel) for kernel in (1, 3, 5))
    assert learned(one(convolutions, (32, 32, 32), channels=1)) == [64, 9_248, 25_632]  # 34,944


def test_the_naive_module_keeps_the_channels_of_its_pool():
    lines = {line.name: line.shape for line in cost_lines(one(naive(8), channels=5))}
    assert lines["learner-group1-block1-concat"] == (9, 9, 3 * 8 + 5)


def test_layers_of_the_books_module():
    # 3·64 + 64, 9·64·64 + 64, 25·64·64 + 64; the head reads 32·32·192.
    lines = cost_lines(zoo.get("inception-book"))
    expected = [256, 256, 256, 36_928, 102_464, 1_966_090]
    assert sorted(line.parameters for line in lines if line.parameters) == expected


# The row, theirs, the name map, an odd size that is not square, and layers whose outputs must agree.
KERAS = [
    pytest.param(
        "inception-v3",
        "InceptionV3",
        inception.KERAS_V3,
        (77, 91, 3),
        {"learner-group1-block3-concat": "mixed2", "learner-group2-block5-concat": "mixed7"},
        id="inception-v3",
    ),
    pytest.param(
        "inception-resnet-v2",
        "InceptionResNetV2",
        inception.KERAS_RESNET,
        (91, 77, 3),
        {
            "stem-8-concat": "mixed_5b",
            "learner-group1-block10-activation": "block35_10_ac",
            "learner-group4-block1-concat": "mixed_7a",
            "learner-group7-block1-activation": "conv_7b_ac",
        },
        id="inception-resnet-v2",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("name", "other", "names", "size", "pairs"), KERAS)
def test_same_numbers_as_keras_applications(name, other, names, size, pairs, fill, same_numbers):
    reference = fill(getattr(keras.applications, other)(weights=None, input_shape=size, classes=7))
    recipe = replace(zoo.get(name), input=size, tasks={"label": Classify(7)})
    arrays = {weight.path: array(weight).copy() for weight in reference.weights}
    pairs = {**pairs, "task-label-pool": "avg_pool", "task-label-probabilities": "predictions"}
    same_numbers(reference, arrays, recipe, names, pairs)


def test_normalisations_without_their_factor():
    recipe = one(Branches(((Step(4),),)), channels=3, conventions=Conventions(norm_scale=False))
    names = [weight.path.rpartition("/")[2] for weight in weights_of(recipe.build(seed=0))]
    assert names == ["kernel", "beta", "moving_mean", "moving_variance", "kernel", "bias"]
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


def test_normalisation_is_as_keras_has_it():
    for name in ("inception-v3", "inception-resnet-v2"):
        assert zoo.get(name).conventions == Conventions(epsilon=1e-3, momentum=0.99, norm_scale=False)


# Each row: what is made wrongly, and the words its refusal must have.
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: naive(0), ["naive.filters", "at least 1", "0"]),
        (lambda: naive(True), ["naive.filters", "True"]),
        (lambda: reduced(8, 8, 0, 8, 8, 8), ["step.filters", "0"]),  # the 3×3
        (lambda: Conventions(norm_scale="no"), ["conventions.norm_scale", "True or False", "'no'"]),
        # the windows of the stem fit, the second reduction does not
        (
            lambda: replace(zoo.get("inception-v3"), input=(74, 91, 3)).count(),
            ["learner-group3-block1", "at least 3×3", "2×4"],
        ),
    ],
)
def test_refusals(make, words, refused):
    refused(make, *words)
