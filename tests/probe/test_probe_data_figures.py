"""The figures of a data set: what they say, and that they hold what was found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from lensmith import check
from lensmith.backend import keras
from lensmith.data import Preprocessing, from_arrays
from lensmith.probe import drawing
from lensmith.probe.comparing import compare
from lensmith.probe.data_figures import (
    comparison_figures,
    embedding_figures,
    examples_figure,
    maximised_figure,
    neighbours_figure,
)
from lensmith.probe.embedding import embed, neighbours
from lensmith.probe.examples import most_activating
from lensmith.probe.figure import Figure
from lensmith.probe.maximise import maximise_several
from lensmith.probe.subject import Subject
from lensmith.records import Labels, Records


def subject() -> Subject:
    image = keras.Input((6, 6, 1))
    same = keras.initializers.GlorotUniform(seed=1)
    maps = keras.layers.Conv2D(3, 3, name="maps_a", kernel_initializer=same)(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(maps)))
    return Subject(model, Preprocessing(image=(6, 6, 1)), {"label": Labels("class", ("dark", "bright"))})


def records(count: int = 12) -> Records:
    images = np.random.default_rng(0).integers(0, 256, (count, 6, 6, 1)).astype(np.uint8)
    return from_arrays(images, [i % 2 for i in range(count)], ["dark", "bright"])


def checked(figure: Figure) -> dict[str, Any]:
    """The facts as JSON holds them; the arrays as files hold them; and a picture that is not empty."""
    assert figure.picture.std() > 0
    assert all(array.dtype.kind in "fiub" for array in figure.arrays.values())
    facts: dict[str, Any] = json.loads(json.dumps(figure.facts, allow_nan=False))
    return facts


def test_examples_are_framed_where_the_strongest_position_looks() -> None:
    found = most_activating(subject(), records(), "maps_a", 1, count=4)
    figure = examples_figure(found)
    assert figure.name == "examples-maps-a-1" and checked(figure)["found"][0]["source"] == found.found[0].source
    assert figure.arrays["images"].shape == (4, 6, 6, 1) and figure.arrays["values"][0] == found.found[0].value
    frame = (figure.picture == (255, 96, 0)).all(axis=2).sum()
    assert frame > 4 * 4 * 60  # four frames of four sides, each three of six pixels long, which are 24 wide
    plain = most_activating(subject(), records(), "maps_a", 1, count=4, by="mean")
    assert not (examples_figure(plain).picture == (255, 96, 0)).all(axis=2).any()


def test_painted_images_are_shown_with_their_last_value() -> None:
    found = maximise_several(subject(), "maps_a", [2, 0], steps=3)
    figure = maximised_figure(found)
    assert figure.name == "maximised-maps-a-2-0" and figure.arrays["images"].shape == (2, 6, 6, 1)
    assert figure.arrays["values"].shape == (2, 4)
    assert checked(figure)["units"][1]["last"] == pytest.approx(float(found[1].values[-1]))
    checked(maximised_figure(found[0]))
    with pytest.raises(check.DataError, match="at least one image; got none"):
        maximised_figure([])


def test_a_unit_that_gives_no_number_is_drawn_too() -> None:
    image = keras.Input((4, 4, 1))
    model = keras.Model(image, keras.layers.Lambda(lambda x: keras.ops.log(x * 0 - 1), name="none")(image))
    found = maximise_several(Subject(model, Preprocessing(image=(4, 4, 1))), "none", [0], steps=2)
    figure = maximised_figure(found)
    assert checked(figure)["units"][0]["last"] is None and "Stopped early: 0: no number" in figure.note


def test_maps_of_a_data_set_show_it_in_the_colours_of_its_classes() -> None:
    embedded = embed(subject(), records(30))
    line, near = embedding_figures(embedded, most=20)
    assert (line.name, near.name) == ("embedding-pca", "embedding-tsne")
    assert line.arrays["points"].shape == (30, 2) and near.arrays["points"].shape == (20, 2)
    assert near.arrays["places"][[0, -1]].tolist() == [0, 29] and "20 of 30 examples" in near.note
    facts = checked(line)
    assert facts["classes"] == ["bright", "dark"] and sum(facts["explained"]) <= 1 + 1e-9
    assert checked(near)["method"] == "t-SNE, perplexity 6.33333"
    one = embedding_figures(embed(subject(), list(records(1))))[1]
    assert checked(one)["method"] == "principal components: fewer than 4 examples"


def test_neighbours_are_shown_behind_the_image() -> None:
    data = records()
    embedded = embed(subject(), data)
    found = neighbours(embedded, embedded.vectors[5], count=3)
    figure = neighbours_figure(embedded, found, data[5].image, "folder/arrays:5")  # type: ignore[arg-type]
    assert figure.name == "neighbours-arrays-5" and "itself" in figure.note
    assert checked(figure)["neighbours"][0] == {
        "source": "arrays:5",
        "class": "bright",
        "similarity": pytest.approx(1),
        "same": True,
    }
    assert figure.arrays["places"].tolist()[0] == 5
    alone = neighbours_figure(embedded, found)
    assert alone.picture.shape[1] < figure.picture.shape[1]


class Fixed:
    """A model that gives the same rows whatever it is asked."""

    def __init__(self, rows: Any, labels: Labels) -> None:
        self.rows, self.labels = np.asarray(rows, np.float32), {"label": labels}

    def predict(self, examples: Any) -> Mapping[str, np.ndarray]:
        return {"label": self.rows[: len(examples)]}


def test_two_models_are_drawn_against_each_other() -> None:
    labels = Labels("class", ("dark", "bright"))
    one = Fixed(np.tile([0.1, 0.9], (4, 1)), labels)
    other = Fixed([[0.2, 0.8], [1, 0], [0.6, 0.4], [0.1, 0.9]], labels)
    found = compare(one, other, records(4), names=("old", "new"))
    matrix, apart = comparison_figures(found)
    assert (matrix.name, apart.name) == ("compare-label", "compare-label-disagreements")
    # truth: dark, bright, dark, bright; old says bright always; new says bright, dark, dark, bright
    assert matrix.arrays["matrix"].tolist() == [[0, 0], [2, 2]]
    assert (
        "They agree on 50.0 %" in matrix.note and "both are right on 1, old alone on 1, new alone on 1" in matrix.note
    )
    facts = checked(matrix)
    assert facts["first_model"] == "old" and facts["agreement"] == 0.5 and facts["correct"]["neither"] == 1
    assert apart.arrays["places"].tolist() == [1, 2] and "* marks the right one" in apart.note
    assert checked(apart)["disagreements"][0]["truth"] == "bright"


def test_models_that_agree_have_no_picture_of_disagreements() -> None:
    same = Fixed(np.eye(20)[:4], Labels("class", tuple(f"class {i}" for i in range(20))))
    [figure] = comparison_figures(compare(same, same, [np.zeros((6, 6), np.uint8)] * 4))
    assert checked(figure)["agreement"] == 1.0


def test_of_many_classes_the_answers_that_differ_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[list[list[str]]] = []
    draw = drawing.table

    def watched(rows: list[list[str]], head: list[str], *, title: str = "") -> np.ndarray:
        drawn.append(rows)
        return draw(rows, head, title=title)

    monkeypatch.setattr(drawing, "table", watched)
    many = Labels("class", tuple(f"class {i}" for i in range(1000)))
    one, other = (Fixed(np.eye(1000)[said], many) for said in ([2, 0, 1, 0], [7, 5, 1, 5]))
    figure, _ = comparison_figures(compare(one, other, [np.zeros((6, 6), np.uint8)] * 4))
    assert drawn == [[["class 0", "class 5", "2"], ["class 2", "class 7", "1"]]]
    assert figure.arrays["matrix"].shape == (1000, 1000) and "the 24 most frequent pairs" in figure.note


def test_numbers_and_rows_are_drawn_as_tables() -> None:
    labels = Labels("number", ("age", "size"))
    one, other = Fixed([[1, 5], [2, 5]], labels), Fixed([[1, 6], [4, 7]], labels)
    [figure] = comparison_figures(compare(one, other, [np.zeros(3), np.ones(3)]))
    assert figure.name == "compare-label-numbers" and checked(figure)["difference"] == [1.0, 1.5]
    kinds = Labels("class", ("a", "b"))
    found = compare(Fixed(np.eye(2), kinds), Fixed(np.eye(2)[::-1], kinds), [np.zeros(3), np.ones(3)])
    assert checked(comparison_figures(found)[1])["disagreements"][0]["source"] == "example 1"
    columns = keras.Input((2,))
    rows = Subject(
        keras.Model(columns, keras.layers.Dense(2, name="sum")(columns)), Preprocessing(columns=2, scaling="none")
    )
    values = [np.array([1.0, 2.0]), np.array([3.0, 1.0])]
    assert examples_figure(most_activating(rows, values, "sum", 0)).arrays["rows"].shape == (2, 2)
    embedded = embed(rows, values)
    assert "nearest" in neighbours_figure(embedded, neighbours(embedded, embedded.vectors[0])).title.lower()
