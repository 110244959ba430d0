"""The table of layers: numbers worked out on paper, known counts, and models of every kind."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import cost, graph, zoo
from lensmith.compose.recipe import Recipe
from lensmith.probe.table import Row, table

L = keras.layers


def sequential() -> Any:
    return keras.Sequential(
        [
            keras.Input((6, 6, 1), name="image"),
            L.Conv2D(2, 3, name="conv"),
            L.MaxPooling2D(2, name="pool"),
            L.Flatten(name="row"),
            L.Dense(3, activation="softmax", name="classes"),
        ]
    )


def two_heads() -> Any:
    x = keras.Input((8, 8, 3), name="image")
    maps = L.GlobalAveragePooling2D(name="mean")(L.Conv2D(4, 3, name="conv")(x))
    outputs = {"kind": L.Dense(3, activation="softmax", name="kind")(maps), "size": L.Dense(1, name="size")(maps)}
    return keras.Model(x, outputs)


def inside(name: str, units: int = 8) -> Any:
    return keras.Sequential([keras.Input((8,)), L.Dense(units, name="dense"), L.ReLU(name="relu")], name=name)


def twice() -> Any:
    """A model inside, called twice."""
    x = keras.Input((8,), name="x")
    inner = inside("inner")
    return keras.Model(x, L.Dense(2, name="last")(inner(inner(x))))


def residual() -> Any:
    """x 16 bytes, a 32, b 64, c 32, sum 32."""
    x = keras.Input((4,), name="x")
    a = L.Dense(8, name="a")(x)
    c = L.Dense(8, name="c")(L.Dense(16, name="b")(a))
    return keras.Model(x, L.Add(name="sum")([a, c]))


def test_every_number_of_a_small_network_is_that_on_paper() -> None:
    found = table(sequential())
    assert found.rows == (
        Row("image", "InputLayer", (6, 6, 1), 0, 0, 0, 0, 144, (1, 1)),
        # 3·3·1·2 + 2 weights; 16 places of 18 multiply-adds; 4·4·2 numbers of 4 bytes
        Row("conv", "Conv2D", (4, 4, 2), 20, 20, 288, 80, 128, (3, 3)),
        Row("pool", "MaxPooling2D", (2, 2, 2), 0, 0, 0, 0, 32, (4, 4)),
        Row("row", "Flatten", (8,), 0, 0, 0, 0, 32, found.rows[3].field),
        Row("classes", "Dense", (3,), 27, 27, 24, 108, 12, None),
    )
    assert (found.parameters, found.trainable, found.flops) == (47, 47, 312)
    assert (found.weight_bytes, found.output_bytes) == (188, 348)
    assert found.peak_bytes == 144 + 128  # the image and the first maps


def test_an_output_is_kept_until_its_last_reader() -> None:
    # a is read by the sum, so it lies there while c is computed from b: 32 + 64 + 32.
    assert table(residual()).peak_bytes == 128


def test_an_output_of_the_model_is_kept_to_the_end() -> None:
    x = keras.Input((4,), name="x")
    a = L.Dense(100, name="a")(x)
    b = L.Dense(1, name="b")(a)
    c = L.Dense(50, name="c")(b)
    assert table(keras.Model(x, c)).peak_bytes == 16 + 400  # x and a
    assert table(keras.Model(x, [a, c])).peak_bytes == 400 + 4 + 200  # a, b and c


def test_a_model_called_twice_holds_its_weights_once_and_gives_twice() -> None:
    found = table(twice())
    assert [row.name for row in found.rows] == ["x", "inner/dense", "inner/relu", "last"]
    dense = found.rows[1]
    assert (dense.parameters, dense.flops, dense.output_bytes) == (72, 2 * 64, 2 * 32)
    assert found.output_bytes == 32 + 4 * 32 + 8
    assert found.peak_bytes == 64


def test_two_models_inside_with_layers_of_one_name() -> None:
    x = keras.Input((8,), name="x")
    found = table(keras.Model(x, inside("second")(inside("first")(x))))
    assert [row.name for row in found.rows] == ["x", "first/dense", "first/relu", "second/dense", "second/relu"]
    assert {row.output_bytes for row in found.rows} == {32} and found.peak_bytes == 64
    assert {row.field for row in found.rows} == {None}


def test_what_a_size_decides_is_not_known_without_it() -> None:
    x = keras.Input((None, None, 3), name="image")
    maps = L.GlobalAveragePooling2D(name="mean")(L.Conv2D(4, 3, name="conv")(x))
    found = table(keras.Model(x, L.Dense(2, name="last")(maps)))
    image, conv, mean, last = found.rows
    assert conv.shape == (None, None, 4)
    assert (image.output_bytes, conv.output_bytes, conv.flops, conv.field) == (None, None, None, (3, 3))
    assert (conv.parameters, mean.output_bytes, last.flops) == (112, 16, 8)
    assert (found.flops, found.output_bytes, found.peak_bytes) == (None, None, None)
    assert found.weight_bytes == 4 * found.parameters == 4 * 122


def test_bytes_follow_the_types_of_weights_and_outputs() -> None:
    x = keras.Input((4,), name="x")
    half = L.Dense(8, dtype="mixed_float16", name="half")
    all_half = L.Dense(8, dtype="float16", name="all-half")
    rows = {row.name: row for row in table(keras.Model(x, all_half(half(x)))).rows}
    assert (rows["half"].weight_bytes, rows["half"].output_bytes) == (160, 16)  # 40 of 4 bytes give 8 of 2
    assert (rows["all-half"].weight_bytes, rows["all-half"].output_bytes) == (144, 16)


def test_a_sum_written_with_plus_is_a_row() -> None:
    x = keras.Input((4,), name="x")
    found = table(keras.Model(x, L.Dense(4, name="a")(x) + x))
    assert (found.rows[-1].kind, found.rows[-1].output_bytes, found.rows[-1].parameters) == ("Add", 16, 0)


def sized(name: str, *shape: int) -> Recipe:
    return replace(zoo.get(name), input=shape)


ANY: dict[str, Callable[[], Any]] = {
    "Sequential with a softmax in its last layer": sequential,
    "functional with a way around": residual,
    "a model inside, called twice": twice,
    "two heads": two_heads,
    "branches": lambda: sized("googlenet", 64, 64, 3).build(seed=0),
    "pre-activated": lambda: sized("resnet18-v2", 32, 32, 3).build(seed=0),
    "depthwise": lambda: sized("mobilenet-v2", 32, 32, 3).build(seed=0),
    "larger again": lambda: sized("unet", 188, 188, 1).build(seed=0),
}


@pytest.mark.parametrize("build", ANY.values(), ids=ANY)
def test_the_table_adds_up_for_any_model(build: Callable[[], Any]) -> None:
    model = build()
    found = table(model)
    assert found.parameters == model.count_params()
    assert found.trainable == sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert found.flops == cost(model).flops
    assert found.weight_bytes == 4 * found.parameters  # all float32
    assert len({row.name for row in found.rows}) == len(found.rows)
    assert found.peak_bytes == peak(model)
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["name"] == found.rows[0].name


def peak(model: Any) -> int:
    """At each call anew: all that was made until then and is read then or later."""
    whole = graph.flat(model)
    calls = graph.calls(whole)
    made = {id(tensor): (place, tensor) for place, call in enumerate(calls) for tensor in call.outputs}
    read = {id(tensor): [] for call in calls for tensor in call.outputs}
    for place, call in enumerate(calls):
        for tensor in call.inputs:
            read[id(tensor)].append(place)
    for tensor in graph.outputs_of(whole):
        read[id(tensor)].append(len(calls))

    def size(tensor: Any) -> int:
        total = 4
        for side in tensor.shape[1:]:
            total *= side
        return total

    return max(
        sum(size(tensor) for key, (place, tensor) in made.items() if place <= now <= max([place, *read[key]]))
        for now in range(len(calls))
    )


def test_the_fields_are_those_of_the_papers() -> None:
    """Two 3×3 convolutions see 5 pixels, three of them 7 (Simonyan & Zisserman 2015, section 2.3)."""
    rows = table(sized("vgg16", 32, 32, 3).build(seed=0)).rows
    seen = {row.name: row.field for row in rows}
    convolutions = [row.field for row in rows if row.kind == "Conv2D"]
    assert convolutions[:4] == [(3, 3), (5, 5), (10, 10), (14, 14)]
    assert convolutions[-1] == (196, 196)
    assert seen["learner-group5-pool"] == (212, 212)  # Araujo et al. 2019, table 1


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        pytest.param("vgg16", 138_357_544, marks=pytest.mark.slow),  # Simonyan & Zisserman 2015, table 2: 138 million
        ("resnet50-v1", 25_557_032),  # as published with torchvision, which does not count moving moments
    ],
)
def test_known_networks_have_their_known_size(name: str, parameters: int) -> None:
    found = table(zoo.get(name).build(seed=0))
    assert found.trainable == parameters
    assert found.weight_bytes == 4 * found.parameters


def test_a_model_whose_layers_are_not_connected_is_refused() -> None:
    model = keras.Sequential([L.Dense(2)], name="unbuilt")
    with pytest.raises(check.SettingError, match="unbuilt: expected a built Sequential"):
        table(model)
