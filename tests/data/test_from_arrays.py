"""Arrays, tables and bundled data become records, or one line names what is wrong with them."""

import numpy as np
import pytest

from lensmith import check, data
from lensmith.data.targets import to_array

IMAGES = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)


def test_images_and_classes():
    records = data.from_arrays(IMAGES, [0, 1, 1, 0], ["cat", "dog"])
    assert [record.targets["label"] for record in records] == [0, 1, 1, 0]
    assert records[2].source == "arrays:2"
    assert records[2].image.tolist() == IMAGES[2][..., None].tolist()


def test_images_of_any_size_several_tasks_and_groups():
    images = [np.zeros((2, 2, 3), np.uint8), np.zeros((5, 1, 3), np.uint8)]
    records = data.from_arrays(
        images,
        {"species": ["dog", "cat"], "weight": [3.5, 1.0], "marks": [[True, False], [True, True]]},
        {"species": ["cat", "dog"]},
        groups=["yard", "house"],
    )
    assert records[0].targets == {"species": 1, "weight": (3.5,), "marks": (0,)}
    assert {task: labels.kind for task, labels in records.labels.items()} == {
        "species": "class",
        "weight": "number",
        "marks": "classes",
    }
    assert [record.group for record in records] == ["yard", "house"]


@pytest.mark.parametrize("dtype", [np.int64, np.float32, np.uint16])
def test_whole_numbers_of_any_type_are_pixels(dtype):
    records = data.from_arrays(IMAGES.astype(dtype), [0, 1, 0, 1])
    assert records[3].image.dtype == np.uint8
    assert records[3].image[..., 0].tolist() == IMAGES[3].tolist()


# The targets, the kind they are taken for, the names they get, the array that a model sees.
FORMS = [
    ([0, 2, 1, 2], "class", ("0", "1", "2"), [0, 2, 1, 2]),
    ([[0], [1], [1], [0]], "class", ("0", "1"), [0, 1, 1, 0]),  # a column, as Keras' CIFAR has it
    (["b", "a", "b", "c"], "class", ("a", "b", "c"), [1, 0, 1, 2]),  # encoded in sorted order
    ([True, False, False, True], "class", ("false", "true"), [1, 0, 0, 1]),
    ([0.5, 1.0, 2.0, -1.0], "number", ("label",), [[0.5], [1.0], [2.0], [-1.0]]),
    (np.eye(4, 2), "number", ("0", "1"), np.eye(4, 2).tolist()),
    (np.eye(4, 3, dtype=bool), "classes", ("0", "1", "2"), np.eye(4, 3).tolist()),
]


@pytest.mark.parametrize(("targets", "kind", "names", "array"), FORMS)
def test_the_form_of_the_targets_says_what_they_are(targets, kind, names, array):
    records = data.from_arrays(IMAGES, targets)
    assert (records.labels["label"].kind, records.labels["label"].names) == (kind, names)
    made = to_array(records, "label")
    assert made.tolist() == array
    assert made.dtype == (np.int32 if kind == "class" else np.float32)


# What is passed, and what the line must say.
REFUSALS = [
    ((IMAGES, [0, 1, 2, 0], ["cat", "dog"]), r"arrays:2: label: expected a class index from 0 to 1; got 2"),
    ((IMAGES, [0, -1, 1, 0], ["cat", "dog"]), r"arrays:1: label: expected a class index from 0 to 1; got -1"),
    ((IMAGES, ["cat", "dgo", "cat", "cat"], ["cat", "dog"]), r"arrays:1: .*Did you mean 'dog'\?"),
    ((IMAGES, [0, 1]), r"label: expected one target an example \(4\)"),
    ((IMAGES, [0.0, np.nan, 1.0, 0.0]), r"arrays:1: label: expected 1 finite number"),
    ((IMAGES, np.zeros((4, 2), int)), "expected whole numbers or text"),
    ((IMAGES, np.zeros((4, 2)), ["one"]), "names of 'label': expected 2, one a column; got 1"),
    ((IMAGES / 255, [0, 1, 0, 1]), r"arrays:0: expected whole numbers from 0 to 255; .*Values 0\.\.1\?"),
    ((IMAGES.astype(int) + 240, [0, 1, 0, 1]), r"arrays:2: expected whole numbers from 0 to 255"),
    ((IMAGES.astype(int) - 1, [0, 1, 0, 1]), r"arrays:0: expected whole numbers from 0 to 255"),
    ((np.zeros((4, 2, 3, 2), np.uint8), [0, 1, 0, 1]), r"arrays:0: expected an image of shape"),
    (([], []), "arrays: expected at least one example; got none"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSALS)
def test_refusals(arguments, message):
    with pytest.raises(check.DataError, match=message):
        data.from_arrays(*arguments)


def test_rows():
    records = data.from_rows([[1, 2.5], [3, 4]], [True, False], name="bodies")
    assert records[1].source == "bodies:1"
    assert records[1].row.tolist() == [3, 4]
    assert records[1].row.dtype == np.float32


@pytest.mark.parametrize("hole", [np.nan, np.inf])
def test_a_hole_in_a_table_is_named(hole):
    with pytest.raises(check.DataError, match=r"rows:1: expected finite numbers; got (nan|inf) in column 0"):
        data.from_rows([[1, 2], [hole, 4]], [0, 1])


def test_other_refusals():
    with pytest.raises(check.DataError, match=r"expected rows of shape \(n, columns\)"):
        data.from_rows([1, 2, 3], [0, 1, 0])
    with pytest.raises(check.SettingError, match="names by task"):
        data.from_rows([[1], [2]], {"a": [0, 1], "b": [0, 1]}, ["x", "y"])
    with pytest.raises(check.SettingError, match="Did you mean 'price'"):
        data.from_rows([[1], [2]], {"price": [0.5, 1]}, {"prise": ["euro"]})
    with pytest.raises(check.DataError, match="groups: expected one an example"):
        data.from_rows([[1], [2]], [0, 1], groups=["a"])


# Name, examples, kind, names: as scikit-learn documents them.
BUNDLED = [
    ("digits", 1797, "class", tuple("0123456789")),
    ("breast-cancer", 569, "class", ("malignant", "benign")),
    ("wine", 178, "class", ("class_0", "class_1", "class_2")),
    ("diabetes", 442, "number", ("progression",)),
    ("linnerud", 20, "number", ("Weight", "Waist", "Pulse")),
]


@pytest.mark.parametrize(("name", "count", "kind", "names"), BUNDLED)
def test_bundled_data(name, count, kind, names):
    records = data.read(f"bundled:{name}")
    assert len(records) == count
    assert (records.labels["label"].kind, records.labels["label"].names) == (kind, names)
    assert records[17].source == f"{name}:17"


def test_digits_use_the_whole_range():
    images = np.stack([record.image for record in data.bundled("digits")])
    assert images.shape == (1797, 8, 8, 1)
    assert (images.min(), images.max()) == (0, 255)
    assert set(np.unique(images)) == {round(value * 255 / 16) for value in range(17)}


def test_an_unknown_bundled_name():
    with pytest.raises(check.SettingError, match="Did you mean 'digits'"):
        data.read("bundled:digit")
