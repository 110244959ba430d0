"""A data set as vectors: their map and their neighbours, against the slow way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import embedding, zoo
from lensmith.data import Preprocessing, bundled
from lensmith.probe.embedding import Embedded, embed, neighbours, pca, tsne, vector_of
from lensmith.probe.subject import Subject
from lensmith.records import Labels, Record

COMPACT = replace(zoo.get("compact"), input=(8, 8, 1))
NUMBERS = st.floats(-8, 8, width=16)


def subject() -> Subject:
    return Subject(COMPACT.build(seed=0), Preprocessing(image=(8, 8, 1)))


def held(vectors: np.ndarray) -> Embedded:
    """Vectors without images."""
    sources = tuple(f"number {i}" for i in range(len(vectors)))
    return Embedded(np.asarray(vectors, np.float32), sources, ("",) * len(vectors), None, None, ())


@pytest.mark.backends
def test_the_vectors_are_those_of_the_model_in_order() -> None:
    digits, one = bundled("digits")[:37], subject()
    found = embed(one, digits, batch=16)
    expected = keras.ops.convert_to_numpy(embedding(one.model)(one.inputs(digits), training=False))
    assert found.vectors.dtype == np.float32 and np.allclose(found.vectors, expected, atol=1e-5)
    assert found.sources == tuple(record.source for record in digits)
    assert found.classes == tuple(digits.labels["label"].names[record.targets["label"]] for record in digits)
    assert found.thumbnails is not None
    assert np.array_equal(found.thumbnails[5], np.repeat(digits[5].image, 3, axis=2))
    assert (found.task, found.to_dict()) == (
        "label",
        {"examples": 37, "features": 128, "task": "label", "set_aside": []},
    )
    assert np.allclose(vector_of(one, digits[3]), expected[3], atol=1e-5)


def test_a_model_of_the_users_own_is_embedded_by_what_its_last_layer_sees() -> None:
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3), keras.layers.Flatten()])
    model.add(keras.layers.Dense(4, activation="softmax"))
    found = embed(Subject(model, Preprocessing(image=(8, 8, 1))), bundled("digits")[:2])
    assert found.vectors.shape == (2, 108)


def test_thumbnails_of_a_thousand_images_are_small() -> None:
    image = keras.Input((64, 96, 3))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(image)))
    wide = Subject(model, Preprocessing(image=(64, 96, 3)))
    images = (np.full((20, 30, 3), value % 256, np.uint8) for value in range(1000))
    found = embed(wide, images, batch=64)
    assert found.thumbnails is not None and found.thumbnails.shape == (1000, 21, 32, 3)
    assert found.thumbnails.nbytes + found.vectors.nbytes < 4e6
    assert (found.thumbnails[700] == 700 % 256).all()
    assert np.allclose(found.vectors[700], (700 % 256) / 255, atol=1e-6)


def test_what_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    images = [tmp_path / "none.png", np.zeros((8, 8, 1), np.uint8)]
    found = embed(subject(), images)
    assert len(found) == 1 and found.sources == ("example 2",) and found.classes == ("",)
    assert [(one.source, one.reason) for one in found.set_aside] == [(str(images[0]), "the file is missing")]
    with pytest.raises(check.DataError, match="examples: expected at least one; got none that can be used"):
        embed(subject(), images[:1])


def test_a_vector_that_is_no_number_is_set_aside() -> None:
    image = keras.Input((2, 2, 1))
    inverse = keras.layers.Lambda(lambda x: 1 / x, name="inverse")(image)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(inverse)))
    one = Subject(model, Preprocessing(image=(2, 2, 1), scaling="none"))
    found = embed(one, [np.full((2, 2), value, np.uint8) for value in (2, 0, 4)])
    assert found.vectors.tolist() == [[0.5] * 4, [0.25] * 4] and found.sources == ("example 1", "example 3")
    assert [problem.source for problem in found.set_aside] == ["example 2"]
    assert found.thumbnails is not None and len(found.thumbnails) == 2


def test_rows_have_no_thumbnails_and_wrong_tasks_are_refused() -> None:
    columns = keras.Input((3,))
    one = Subject(
        keras.Model(columns, keras.layers.Dense(2)(columns)),
        Preprocessing(columns=3, scaling="none"),
        {"kind": Labels("class", ("a", "b"))},
    )
    rows = [Record("first", row=np.array([1, 2, 3.0]), targets={"kind": 1}), np.zeros(3)]
    found = embed(one, rows)
    assert found.thumbnails is None and found.classes == ("b", "") and found.vectors[0].tolist() == [1, 2, 3]
    with pytest.raises(check.SettingError, match="Did you mean 'kind'"):
        embed(one, rows, task="kin")


@given(arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=NUMBERS))
@settings(max_examples=25, deadline=None)
def test_principal_components_are_those_of_the_singular_values(vectors: np.ndarray) -> None:
    found = pca(vectors, 2)
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    total = (sizes**2).sum()
    expected = np.zeros((len(vectors), 2))
    expected[:, : len(sizes[:2])] = centred @ directions[:2].T
    shares = np.zeros(2)
    shares[: len(sizes[:2])] = sizes[:2] ** 2 / total if total > 0 else 0
    assert found.points.shape == (len(vectors), 2) and found.points.dtype == np.float32
    assert np.allclose(found.explained, shares, atol=1e-6)
    distinct = len(sizes) < 2 or sizes[0] - sizes[1] > 1e-2  # equal directions may be turned
    last = len(sizes) < 3 or sizes[1] - sizes[2] > 1e-2
    for axis, known in enumerate((distinct, distinct and last)):
        if known:
            assert np.allclose(abs(found.points[:, axis]), abs(expected[:, axis]), atol=1e-3)


def test_principal_components_of_digits() -> None:
    pixels = np.stack([record.image.ravel() for record in bundled("digits")[:200]]).astype(np.float32)  # type: ignore[union-attr]
    found = pca(pixels, 3)
    centred = pixels - pixels.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    for axis in range(3):
        expected = left[:, axis] * sizes[axis]
        sign = np.sign(expected @ found.points[:, axis])
        assert np.allclose(found.points[:, axis], sign * expected, atol=0.05)
    assert found.explained == pytest.approx(tuple(sizes[:3] ** 2 / (sizes**2).sum()))


FEW = [
    # vectors; how they are laid out
    (np.ones((1, 3)), "principal components: fewer than 4 examples"),
    (np.array([[0.0, 1], [2, 3], [5, 1]]), "principal components: fewer than 4 examples"),
    (np.ones((6, 3)), "principal components: vectors that are all the same"),
    (np.arange(4.0)[:, None], "t-SNE, perplexity 1"),
    (np.eye(5), "t-SNE, perplexity 1.33333"),
]


@pytest.mark.parametrize(("vectors", "method"), FEW, ids=range(len(FEW)))
def test_few_examples_are_laid_out_too(vectors: np.ndarray, method: str) -> None:
    found = tsne(vectors)
    assert found.method == method and found.points.shape == (len(vectors), 2) and np.isfinite(found.points).all()


def test_a_map_keeps_groups_together_and_is_the_same_again() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(20 * group, 1, (15, 60)) for group in range(3)])
    found = tsne(vectors, seed=4)
    assert np.array_equal(found.points, tsne(vectors, seed=4).points)
    groups = np.repeat(range(3), 15)
    distance = np.linalg.norm(found.points[:, None] - found.points[None], axis=2) + np.diag([np.inf] * 45)
    assert (groups[distance.argmin(axis=1)] == groups).all()


WRONG = [
    # vectors; settings; what the one line says
    (np.zeros(3), {}, "vectors: expected finite numbers (examples, features); got shape (3,)"),
    (np.zeros((0, 3)), {}, "got shape (0, 3)"),
    (np.full((4, 2), np.nan), {}, "got some that are none"),
    (np.eye(5), {"perplexity": 5}, "perplexity: expected a number from 1 to less than 5; got 5"),
]


@pytest.mark.parametrize(("vectors", "options", "says"), WRONG, ids=range(len(WRONG)))
def test_wrong_vectors_are_refused_in_one_line(vectors: np.ndarray, options: dict[str, Any], says: str) -> None:
    with pytest.raises(check.LensmithError) as refused:
        tsne(vectors, **options)
    assert says in str(refused.value) and "\n" not in str(refused.value)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(3)), elements=NUMBERS),
    arrays.arrays(np.float32, 3, elements=NUMBERS),
    st.integers(1, 5),
)
@settings(max_examples=25, deadline=None)
def test_neighbours_are_those_of_comparing_one_by_one(vectors: np.ndarray, query: np.ndarray, count: int) -> None:
    found = neighbours(held(vectors), query, count=count)
    cosines = []
    for vector in vectors.astype(np.float64):
        lengths = np.sqrt((vector**2).sum()) * np.sqrt((query.astype(np.float64) ** 2).sum())
        cosines.append(float((vector * query).sum() / lengths) if lengths else 0.0)
    assert len(found) == min(count, len(vectors))
    for one in found:
        assert one.similarity == pytest.approx(cosines[one.place], abs=1e-9)
        assert one.same == bool(np.allclose(vectors[one.place], query, rtol=0, atol=1e-4 * np.linalg.norm(query)))
    others = [one.similarity for one in found if not one.same]
    assert others == sorted(others, reverse=True)
    if others and len(found) < len(vectors):
        chosen = {one.place for one in found}
        assert min(others) >= max(value for i, value in enumerate(cosines) if i not in chosen) - 1e-9


def test_neighbours_on_paper() -> None:
    found = neighbours(held([[1, 0], [0, 2], [3, 3], [-1, 0], [0, 0], [6, 6]]), np.array([3.0, 3.0]), count=6)
    assert [(one.place, one.same) for one in found[:2]] == [(2, True), (5, False)]  # the same before the like
    assert [one.place for one in found] == [2, 5, 0, 1, 4, 3]  # of equals the earlier first
    assert [round(one.similarity, 4) for one in found] == [1, 1, 0.7071, 0.7071, 0, -0.7071]
    with pytest.raises(check.DataError, match=r"vector: expected 2 finite numbers; got shape \(3,\)"):
        neighbours(held([[1, 0]]), np.zeros(3))


def test_a_digit_finds_itself_and_digits_of_its_class() -> None:
    digits, one = bundled("digits")[:300], subject()
    found = embed(one, digits)
    places, right = [3, 40, 77, 123, 250], 0
    for place in places:
        near = neighbours(found, vector_of(one, digits[place]), count=6)
        assert near[0].place == place and near[0].same and near[0].similarity == pytest.approx(1)
        assert not any(other.same for other in near[1:])
        right += sum(other.name == found.classes[place] for other in near[1:])
    assert right > 0.3 * 25  # of ten classes, by random weights: chance is a tenth
