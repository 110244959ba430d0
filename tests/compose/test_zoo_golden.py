"""The zoo against ``golden.json``: counts, input, taps and one output of every row.

``LENSMITH_ACCEPT=1 pytest tests/compose/test_zoo_golden.py`` rewrites the table; read its difference before keeping it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith import compose
from lensmith.backend import keras
from lensmith.compose import zoo

TABLE = Path(__file__).with_name("golden.json")
ACCEPT = os.environ.get("LENSMITH_ACCEPT") == "1"


def read() -> dict[str, Any]:
    return json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}


def write(table: dict[str, Any]) -> None:
    rows = (f"  {json.dumps(name)}: {json.dumps(table[name])}" for name in zoo.names() if name in table)
    TABLE.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


@pytest.fixture
def row(request, small, built, batch, fill):
    """What a row of the table should say about the zoo's recipe of this name."""
    name = request.param
    recipe = zoo.get(name)
    total, trainable = recipe.count()
    model = built(name)
    kept = [weight.copy() for weight in model.get_weights()]  # on torch they are windows on the weights
    outputs = keras.tree.flatten(compose.logits(fill(model))(batch(small(name).input, 1)))
    first = np.concatenate([keras.ops.convert_to_numpy(output)[0].ravel() for output in outputs])[:6]
    model.set_weights(kept)
    return name, {
        "input": list(recipe.input),
        "parameters": total,
        "trainable": trainable,
        "taps": compose.tap_names(model),
        "logits": [round(float(number), 5) for number in first],
    }


@pytest.mark.parametrize("row", zoo.names(), indirect=True)
def test_row_is_as_the_table_says(row):
    name, found = row
    if ACCEPT:
        write({**read(), name: found})
    known = read()
    assert name in known, f"{name} is new: write its row with LENSMITH_ACCEPT=1"
    expected = dict(known[name])
    np.testing.assert_allclose(found.pop("logits"), expected.pop("logits"), rtol=1e-4, atol=1e-4)
    assert found == expected


def test_table_has_no_row_that_the_zoo_has_not():
    assert list(read()) == list(zoo.names())


# Total parameters as the books' summaries print them, and of each layer with weights where they are known.
BOOKS = {
    "dense-regressor": (261, [140, 110, 11]),
    "dense-binary": (261, [140, 110, 11]),
    "dense-multi-class": (215, [50, 110, 55]),
    "dense-multi-label": (227, [40, 110, 77]),
    "dense-multi-task": (227, [40, 110, 55, 22]),
    "dense-digits": (669_706, [401_920, 262_656, 5_130]),
    "dense-digits-dropout": (669_706, [401_920, 262_656, 5_130]),
    "dense-digits-small": (407_050, [401_920, 5_130]),
    "conv-letters": (8_402_618, [160, 8_389_120, 13_338]),
    "conv-digits": (1_199_882, [320, 18_496, 1_179_776, 1_290]),
    "conv-digits-5x5": (592_074, [832, 589_952, 1_290]),
    "conv-cats-dogs": (19_024_513, [448, 9_280, 73_856, 18_940_416, 513]),
    "conv-cifar-small": (72_906, [896, 72_010]),
    "conv-cifar": (1_626_442, [896, 18_496, 1_605_760, 1_290]),
    "histology-v1": (85_512, [896, 18_496, 65_600, 520]),
    "histology-v2": (5_447_912, [9_728, 73_792, 36_928, 5_308_672, 16_448, 2_080, 264]),
    "histology-v3": (
        639_240,
        [448, 2_320, 2_320, 4_640, 9_248, 9_248, 18_496, 36_928, 36_928, 73_856, 147_584, 295_168, 2_056],
    ),
    "vgg16": (138_357_544, None),
    "vgg19": (143_667_240, None),
}


@pytest.mark.parametrize(("name", "expected"), BOOKS.items(), ids=BOOKS)
def test_counts_printed_in_the_books(name, expected):
    total, layers = expected
    assert zoo.get(name).count() == (total, total)
    if layers:
        model = zoo.get(name).build(seed=0)
        assert sorted(layer.count_params() for layer in model.layers if layer.weights) == sorted(layers)


# Trainable parameters of the papers' tables: no bias before a batch normalisation, 1×1 projections, option A for CIFAR.
PAPERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}
CIFAR = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}


@pytest.mark.parametrize("version", ["v1", "v1.5"])
@pytest.mark.parametrize(("family", "trainable"), PAPERS.items(), ids=PAPERS)
def test_residual_counts_of_the_papers(family, trainable, version):
    assert read()[f"{family}-{version}"]["trainable"] == trainable


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("depth", "trainable"), CIFAR.items())
def test_cifar_counts_of_the_paper(depth, trainable, version):
    assert read()[f"resnet{depth}-cifar-{version}"]["trainable"] == trainable


# (total, trainable) of keras.applications, whose convolutions have biases.
KERAS = {
    "resnet50-v1": (25_636_712, 25_583_592),
    "resnet101-v1": (44_707_176, 44_601_832),
    "resnet152-v1": (60_419_944, 60_268_520),
    "resnet50-v2": (25_613_800, 25_568_360),
    "resnet101-v2": (44_675_560, 44_577_896),
    "resnet152-v2": (60_380_648, 60_236_904),
}


@pytest.mark.parametrize(("name", "counts"), KERAS.items(), ids=KERAS)
def test_counts_of_keras_applications_with_biases(name, counts):
    row = read()[f"{name}-keras"]
    assert (row["parameters"], row["trainable"]) == counts


def test_count_agrees_with_the_model_that_is_built(small, built):
    for name in ("dense-multi-task", "compact", "resnet50-v1.5", "resnet20-cifar-v2"):
        model = built(name)
        trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        assert small(name).count() == (model.count_params(), trainable)
