"""NASNet: counts, the same numbers as keras.applications, and the learner of cells."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from keras.src.applications.nasnet import NASNet  # keras.applications.NASNetMobile refuses torch; this does not

from lensmith.backend import keras
from lensmith.compose import Classify, Recipe, outline, tap_names, zoo
from lensmith.compose.cells import CellGroup, Cells
from lensmith.compose.cost import lines as cost_lines
from lensmith.compose.weights.nasnet import keras_map
from lensmith.compose.zoo import nasnet as make_nasnet

# (total, trainable) of keras.applications; multiply-adds as the paper's Table 2 has them.
COUNTS = {"nasnet-mobile": (5_326_716, 5_289_978), "nasnet-large": (88_949_818, 88_753_150)}
BILLIONS = {"nasnet-mobile": 0.564, "nasnet-large": 23.8}


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def cells(*groups: CellGroup, size=(9, 14), channels: int = 3) -> Recipe:
    return Recipe(input=(*size, channels), stem=None, learner=Cells(groups), tasks={"label": Classify(2)})


@pytest.mark.parametrize(("name", "counts"), COUNTS.items(), ids=COUNTS)
def test_counts(name, counts):
    """The table of golden rows is counted anew in its own test."""
    row = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))[name]
    assert (row["parameters"], row["trainable"]) == counts


# Each row: the name, and the shapes that its groups end with: "N @ P" gives P channels.
@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("nasnet-mobile", [(56, 56, 44), (28, 28, 88), (28, 28, 264), (14, 14, 528), (7, 7, 1056)]),
        ("nasnet-large", [(83, 83, 168), (42, 42, 336), (42, 42, 1008), (21, 21, 2016), (11, 11, 4032)]),
    ],
)
def test_shapes_and_multiply_adds_of_the_paper(name, shapes):
    lines = {line.name: line for line in cost_lines(zoo.get(name))}
    found = []
    for i, group in enumerate(zoo.get(name).learner.groups, start=1):
        found.append(lines[f"learner-group{i}-block{group.reduce + group.cells}-concat"].shape)
    assert found == shapes
    digits = 3 if name == "nasnet-mobile" else 1
    assert round(sum(line.flops for line in lines.values()) / 1e9, digits) == BILLIONS[name]


# Each row: cells a group, channels, the stem's filters, whether a reduction is skipped, an odd size, not square.
SMALL = [(1, 192, 8, False, (33, 46)), (1, 192, 6, True, (65, 35))]
WHOLE = [(4, 1056, 32, False, (35, 46)), (6, 4032, 96, True, (46, 35))]


@pytest.mark.parametrize(
    ("count", "channels", "stem", "skip", "size"),
    [*SMALL, *(pytest.param(*row, marks=pytest.mark.slow) for row in WHOLE)],
)
def test_same_numbers_as_keras_applications(count, channels, stem, skip, size, fill, same_numbers):
    settings = {"penultimate_filters": channels, "num_blocks": count, "stem_block_filters": stem}
    reference = NASNet((*size, 3), **settings, skip_reduction=skip, weights=None, classes=7)
    fill(reference)
    recipe = make_nasnet(count, channels, stem=stem, skip=skip, size=33)
    recipe = replace(recipe, input=(*size, 3), tasks={"label": Classify(7)})
    arrays = {
        f"{layer.name}/{weight.name}": array(weight).copy() for layer in reference.layers for weight in layer.weights
    }
    pairs = {
        "learner-group1-block1-concat": "reduction_concat_stem_1",
        f"learner-group3-block{count}-concat": f"normal_concat_{count - 1}",
        f"learner-group5-block{count + 1}-concat": f"normal_concat_{3 * count}",
        "task-label-probabilities": "predictions",
    }
    same_numbers(reference, arrays, recipe, keras_map(count), pairs)


def test_the_rows_are_the_two_that_are_compared():
    for name, (count, channels, stem, skip, _) in zip(COUNTS, WHOLE, strict=True):
        size = zoo.get(name).input[0]
        assert zoo.get(name) == make_nasnet(count, channels, stem=stem, skip=skip, size=size)


def test_taps_and_outline():
    model = cells(CellGroup(4), CellGroup(6, cells=1, reduce=False), CellGroup(8, cells=1)).build(seed=0)
    assert tap_names(model) == {"P1": "learner-group2-block1-concat", "P2": "learner-relu"}
    names = [part.name for part in outline(model)]
    assert names == ["input", "learner-group1", "learner-group2", "learner-group3", "learner", "task-label"]


def sources(recipe: Recipe, layer: str) -> str:
    """The layer that the cell's second input is taken from: what its first rectifier reads."""
    return next(line.sources for line in cost_lines(recipe) if line.name == layer)[0]


def test_each_cell_reads_the_two_before_it():
    recipe = cells(CellGroup(4), CellGroup(6, cells=2))
    name = "learner-group2-block{}-{}".format
    assert sources(recipe, name(1, "relu")) == "learner-group1-block1-concat"
    assert sources(recipe, name(1, "before-relu")) == "image"
    assert sources(recipe, name(2, "relu")) == "learner-group2-block1-concat"
    assert sources(recipe, name(2, "before-relu")) == "learner-group1-block1-concat"
    assert sources(recipe, name(3, "before-relu")) == "learner-group2-block1-concat"


def test_a_skipped_reduction_leaves_the_second_input_as_it_was():
    recipe = cells(CellGroup(4, cells=1, reduce=False), CellGroup(4, cells=1, reduce=False), CellGroup(6, 2, skip=True))
    assert sources(recipe, "learner-group3-block2-before-relu") == "learner-group1-block1-concat"
    assert sources(recipe, "learner-group3-block3-before-relu") == "learner-group3-block1-concat"


def test_a_first_cell_that_is_normal_reads_the_image_twice():
    recipe = cells(CellGroup(4, cells=1, reduce=False))
    assert sources(recipe, "learner-group1-block1-before-relu") == "image"
    assert sources(recipe, "learner-group1-block1-relu") == "image"
    assert recipe.build(seed=0)(np.zeros((1, 9, 14, 3), "float32")).shape == (1, 2)


def test_an_odd_width_and_a_single_pixel():
    model = cells(CellGroup(3), CellGroup(5, cells=1), CellGroup(7, cells=1), size=(2, 1)).build(seed=0)
    shapes = [model.get_layer(f"learner-group{i}-block1-concat").output.shape[1:] for i in (1, 2, 3)]
    assert shapes == [(1, 1, 12), (1, 1, 20), (1, 1, 28)]
    assert np.isfinite(array(model(np.ones((1, 2, 1, 3), "float32")))).all()


def test_every_other_pixel_and_those_one_below_and_beside(fill, batch):
    """The second input of twice the size, by hand: two grids of pixels, each under its own 1×1 convolution."""
    model = fill(cells(CellGroup(4), CellGroup(6)).build(seed=0))
    x, name = batch((9, 14, 3)) - 0.5, "learner-group2-block1-before"
    active = np.maximum(x, 0)
    moved = np.pad(active, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1::2, 1::2]
    halves = [active[:, ::2, ::2], moved]
    kernels = [array(model.get_layer(f"{name}-conv{i}").kernel)[0, 0] for i in (1, 2)]
    expected = np.concatenate([half @ kernel for half, kernel in zip(halves, kernels, strict=True)], axis=-1)
    found = array(keras.Model(model.input, model.get_layer(f"{name}-concat").output)(x))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_written_and_read_again():
    recipe = cells(CellGroup(4), CellGroup(6, cells=2, skip=True))
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert "part: cell-group" in recipe.to_yaml()
    short = "{input: [9, 9, 3], learner: {part: cells, groups: [{filters: 4}]}, tasks: {label: binary}}"
    assert Recipe.from_yaml(short).learner == Cells((CellGroup(4),))


# Each row: what is made wrongly, and the words its refusal must have.
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cells(()), ["cells.groups", "at least one CellGroup"]),
        (lambda: Cells(4), ["cells.groups", "at least one CellGroup", "4"]),
        (lambda: Cells((CellGroup(4), "no")), ["cells.groups", "CellGroup records", "'no'"]),
        (lambda: CellGroup(0), ["cell-group.filters", "at least 1", "0"]),
        (lambda: CellGroup(1), ["cell-group.filters", "at least 2", "halve"]),
        (lambda: CellGroup(4, cells=-1), ["cell-group.cells", "-1"]),
        (lambda: CellGroup(4, cells=True), ["cell-group.cells", "True"]),
        (lambda: CellGroup(4, reduce=False), ["cell-group.cells", "at least 1", "reduce is False"]),
        (lambda: CellGroup(4, reduce="no"), ["cell-group.reduce", "True or False"]),
        (lambda: CellGroup(4, cells=1, reduce=False, skip=True), ["cell-group.skip", "reduce is False"]),
        # two reductions in a row, the second of which would read something four times as large
        (
            lambda: cells(CellGroup(4), CellGroup(4, skip=True), CellGroup(4)).count(),
            ["learner-group3-block1-before", "9×14", "3×4", "Leave skip out"],
        ),
        (lambda: replace(cells(CellGroup(4)), input=(7,)).count(), ["learner", "an image"]),
        (lambda: make_nasnet(4, 1000, stem=8, skip=False, size=64), ["nasnet.channels", "multiple of 96", "1000"]),
        (lambda: make_nasnet(0, 192, stem=8, skip=False, size=64), ["cell-group.cells", "at least 1"]),
        (
            lambda: Recipe.from_yaml(
                "{input: [9, 9, 3], learner: {part: cells, groups: [{width: 4}]}, tasks: {a: binary}}"
            ),
            ["learner.groups[0]", "'width'"],
        ),
    ],
)
def test_refusals(make, words, refused):
    refused(make, *words)
