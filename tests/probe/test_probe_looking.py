"""All looks of a model at once: what is taken of any model, what is refused, and what the figures are called."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import Binary, Classify, zoo
from lensmith.data import Preprocessing, bundled
from lensmith.probe import writing
from lensmith.probe.looking import LOOKS, OF_IMAGE, Wanted, look, look_at_data, look_at_model
from lensmith.probe.subject import Subject

L = keras.layers
IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def of_images(*layers: Any) -> Subject:
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    return Subject(model, Preprocessing(image=(8, 8, 3)))


def of_rows() -> Subject:
    layers = [keras.Input((4,)), L.Dense(5, activation="relu", name="a"), L.Dense(3, activation="softmax")]
    return Subject(keras.Sequential(layers), Preprocessing(columns=4, scaling="none"))


def nested_with_two_heads() -> Subject:
    x = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="inside"), L.MaxPooling2D()], name="inner")
    maps = inner(x)
    many = L.Dense(1000, activation="softmax", name="many")(L.Flatten()(maps))
    one = L.Dense(1, activation="sigmoid", name="one")(L.GlobalAveragePooling2D()(maps))
    return Subject(keras.Model(x, {"many": many, "one": one}), Preprocessing(image=(8, 8, 3)))


WHY = ["grad-cam", "grad-cam-plus-plus", "occlusion", "gradients"]
# A subject, an example, and the beginnings of the figures that it has if nothing is chosen.
USUAL: list[tuple[str, Callable[[], Subject], np.ndarray, list[str]]] = [
    (
        "convolution and pooling",
        lambda: of_images(L.Conv2D(4, 3), L.MaxPooling2D(), L.Flatten(), L.Dense(3)),
        IMAGE,
        [*WHY, "maps", "maps", "pooling", "times"],
    ),
    ("no pooling", lambda: of_images(L.Conv2D(4, 3), L.Flatten(), L.Dense(3)), IMAGE, [*WHY, "maps", "times"]),
    ("nested, 1000 classes", nested_with_two_heads, IMAGE, [*WHY, "maps", "maps", "pooling", "times"]),
    # Without feature maps there is no class activation map; with pixels, the rest is there.
    ("dense on pixels", lambda: of_images(L.Flatten(), L.Dense(3)), IMAGE, ["occlusion", "gradients", "times"]),
    ("rows", of_rows, np.arange(4.0), ["times"]),
]


@pytest.mark.parametrize(("make", "example", "expected"), [one[1:] for one in USUAL], ids=[one[0] for one in USUAL])
def test_of_any_model_all_is_shown_that_it_allows(
    make: Callable[[], Subject], example: np.ndarray, expected: list[str], tmp_path: Path
) -> None:
    subject = make()
    figures = look(subject, example)
    starts = [next(s for s in [*WHY[::-1], "maps", "pooling", "times"] if one.name.startswith(s)) for one in figures]
    assert starts == expected
    of_model = look_at_model(subject)
    assert of_model[0].name.startswith("kernels") and of_model[1].name == "layers"
    writing.write(tmp_path / "out", [*figures, *of_model], {})


def test_a_layer_that_is_named_is_looked_at_as_far_as_it_can_be() -> None:
    subject = of_images(L.Conv2D(4, 3, name="conv"), L.MaxPooling2D(), L.Flatten(name="row"), L.Dense(3, name="end"))
    names = [figure.name for figure in look(subject, IMAGE, Wanted(layers=("end",)))]
    assert "maps-end" in names and "before-and-after-end" in names and not any("cam" in name for name in names)
    names = [figure.name for figure in look(subject, IMAGE, Wanted(layers=("conv",)))]
    assert names[0].startswith("grad-cam-") and "maps-conv" in names and "before-and-after-conv" in names


def test_layers_whose_names_differ_in_punctuation_alone_have_figures_of_their_own(tmp_path: Path) -> None:
    subject = of_images(L.Conv2D(4, 3, name="c_1"), L.Conv2D(4, 3, name="c-1"), L.Flatten(), L.Dense(3, name="end"))
    wanted = Wanted(show=("cam", "maps", "layer", "kernels"), layers=("c_1", "c-1"), target="0")
    figures = [*look(subject, IMAGE, wanted), *look_at_model(subject, wanted)]
    assert [figure.name for figure in figures] == [
        "grad-cam-end-0-c-1",
        "grad-cam-end-0-c-1-2",
        "maps-c-1",
        "maps-c-1-2",
        "before-and-after-c-1",
        "before-and-after-c-1-2",
        "kernels-c-1",
        "kernels-c-1-2",
    ]
    assert [figure.facts["layer"] for figure in figures] == ["c_1", "c-1"] * 4
    writing.write(tmp_path / "out", figures, {})


def test_of_a_unit_that_is_named_an_image_is_painted() -> None:
    subject = of_images(L.Conv2D(4, 3, name="conv"), L.Flatten(), L.Dense(3))
    names = [figure.name for figure in look_at_model(subject, Wanted(layers=("conv",), unit=2))]
    assert names == ["kernels-conv", "layers", "maximised-conv-2"]
    names = [figure.name for figure in look_at_model(of_rows(), Wanted(layers=("a",), unit=2))]
    assert names == ["kernels-a", "layers"], "no image can be painted for a model of rows"


def test_every_pooling_layer_that_is_named_is_shown() -> None:
    subject = of_images(L.MaxPooling2D(name="p"), L.AveragePooling2D(2, name="q"), L.Flatten(), L.Dense(3))
    figures = look(subject, IMAGE, Wanted(show=("pooling",), layers=("q", "p")))
    assert [figure.name for figure in figures] == ["pooling-q", "pooling-p"]
    assert [figure.name for figure in look(subject, IMAGE, Wanted(show=("pooling",)))] == ["pooling-p"]


def test_a_head_and_a_class_are_chosen() -> None:
    subject = nested_with_two_heads()
    wanted = Wanted(show=("gradients", "cam"), head="one", target="0")
    assert [figure.name for figure in look(subject, IMAGE, wanted)] == ["grad-cam-one-0", "gradients-one-0"]
    recipe = replace(zoo.get("compact"), input=(8, 8, 3), tasks={"kind": Classify(3), "ill": Binary()})
    both = Subject(recipe.build(seed=0), Preprocessing(image=(8, 8, 3)))
    [figure] = look(both, IMAGE, Wanted(show=("cam",), head="ill", target="1"))
    assert figure.facts["head"] == "ill"


def test_of_a_data_set_each_look_is_told_how_far_it_is() -> None:
    digits = bundled("digits")[:12]
    model = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(4, 3, name="c"), L.Flatten(), L.Dense(10)])
    subject, told = Subject(model, Preprocessing(image=(8, 8, 1)), digits.labels), dict[str, list[Any]]()

    def tell(name: str) -> Callable[[int, int | None], None]:
        told[name] = []
        return lambda done, total: told[name].append((done, total))

    figures = look_at_data(subject, digits, Wanted(layers=("c",), unit=2), query=digits[3], tell=tell)
    assert [figure.name for figure in figures] == [
        "statistics",
        "activations-histograms",
        "weights-histograms",
        "examples-c-2",
        "embedding-pca",
        "embedding-tsne",
        "neighbours-digits-3",
    ]
    assert told == {name: [(12, 12)] for name in ("statistics", "most activating examples", "embedding")}
    nearest = figures[-1].facts["neighbours"][0]
    assert nearest["source"] == "digits:3" and nearest["same"] and nearest["similarity"] == pytest.approx(1)
    alone = look_at_data(subject, digits, Wanted(show=("neighbours",)), query=digits[3])
    assert np.array_equal(alone[0].picture, figures[-1].picture)
    assert look_at_data(subject, digits, Wanted(show=("neighbours", "cam"))) == [], "there is no query"


REFUSED = [
    (lambda: Wanted(show=("maps", "cams")), "Did you mean 'cam'?"),
    (lambda: Wanted(unit=1), "unit: expected one layer that it is of; got none. Name it: --layer NAME"),
    (lambda: Wanted(unit=1, layers=("a", "b")), "got a, b"),
    (lambda: Wanted(show=("examples",)), "examples: expected a unit of a layer; got none"),
    (lambda: look(of_rows(), np.arange(4.0), Wanted(layers=("b",))), "expected the name of a layer; got 'b'"),
    (lambda: look(of_rows(), np.arange(4.0), Wanted(show=("cam",))), "example: expected an image; got a row"),
    (lambda: look(of_rows(), np.arange(4.0), Wanted(show=("pooling",))), "a model with a pooling layer"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused_in_one_line(make: Callable[[], object], message: str) -> None:
    with pytest.raises(check.LensmithError) as caught:
        make()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_every_look_has_a_name_of_its_own() -> None:
    assert len(set(LOOKS)) == len(LOOKS) and set(OF_IMAGE) < set(LOOKS)


@pytest.mark.parametrize("make", [nested_with_two_heads, lambda: of_images(L.Conv2D(4, 3), L.Flatten(), L.Dense(3))])
def test_what_is_kept_for_a_model_goes_with_it(make: Callable[[], Subject]) -> None:
    subject = make()
    look(subject, IMAGE, Wanted(show=("cam", "cam++", "occlusion", "gradients", "maps")))
    kept = weakref.ref(subject.model)
    del subject
    gc.collect()
    assert kept() is None
