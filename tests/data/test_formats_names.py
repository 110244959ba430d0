"""Labels in file names: by habit, by a pattern, and what is no label."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.formats.folders.names import NAMES, read_names, split_names, write_names
from lensmith.data.formats.folders.patterns import Pattern
from lensmith.data.formats.format import Hints
from lensmith.records import Labels, Record, Records


def draw(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((2, 3), value, np.uint8)).save(path)


def album(root, *files):
    for file in files:
        draw(root / file)
    return root


# File names, and the labels found in them: None where they hold none.
HABITS = [
    (["cat.0", "cat.1", "dog.0", "dog.1"], ["cat", "cat", "dog", "dog"]),
    (["dog_12", "dog_7", "cat-3", "cat 4", "cat (5)"], ["dog", "dog", "cat", "cat", "cat"]),
    (["golden_retriever_1", "golden_retriever_2", "pug_1", "pug_2"], ["golden_retriever"] * 2 + ["pug"] * 2),
    ([f"raccoon-{number}" for number in range(1, 200)], None),  # one label tells nothing apart
    (["golden_gate", "starry_night", "the_scream"], None),  # no number
    ([f"IMG_{n}" for n in range(9)] + [f"DSC_{n}" for n in range(9)], None),  # cameras are no classes
    ([f"{name}_1" for name in ("ann", "bob", "cid", "dan")], None),  # a label for each image
    ([f"{name}_{n}" for name in ("ann", "bob", "cid", "dan") for n in (1, 2)], None),  # for every second one, still
    (["12_cat", "13_cat", "14_dog", "15_dog"], None),  # the label behind
    ([f"cat.{n}" for n in range(9)] + [f"dog.{n}" for n in range(9)] + ["cover"], ["cat"] * 9 + ["dog"] * 9 + [None]),
    ([f"cat.{n}" for n in range(9)] + [f"dog.{n}" for n in range(9)] + ["caat.3"], ["cat"] * 9 + ["dog"] * 9 + [None]),
    (["cat.0", "cat.1", "dog.0", "dog.1", "a", "b"], None),  # a third does not fit
    ([], None),
]


@pytest.mark.parametrize(("stems", "labels"), HABITS)
def test_habits(stems, labels):
    found = split_names(stems)
    assert (found and [places and places["label"] for places in found]) == labels


def test_a_flat_folder(tmp_path):
    album(tmp_path, "cat.0.jpg", "cat.1.jpg", "dog.0.png", "dog.10.png", "dog.x1y.png")
    records = read_names(tmp_path)
    assert NAMES.recognise(tmp_path) == "2 labels in the names of 5 images"
    assert records.layout == "labels in file names: 2 of label"
    assert records.labels == {"label": Labels("class", ("cat", "dog"))}
    assert [record.targets["label"] for record in records] == [0, 0, 1, 1, 1]
    assert records[3].facts == {"label": "dog", "number": "10"}
    assert records[4].facts == {"label": "dog"}


def test_part_folders(tmp_path):
    album(tmp_path, "train/cat.0.jpg", "train/cat.1.jpg", "train/dog.0.jpg", "test/dog.1.jpg", "loose.jpg")
    records = read_names(tmp_path)
    assert NAMES.recognise(tmp_path)
    assert [(record.part, record.facts["label"]) for record in records.part("test")] == [("test", "dog")]
    assert [problem.reason for problem in records.set_aside] == ["an image outside the part folders"]


def test_names_that_do_not_fit_are_set_aside(tmp_path):
    album(tmp_path, *(f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(9)), "cover.jpg")
    (tmp_path / "notes.txt").touch()
    records = read_names(tmp_path)
    assert len(records) == 18
    (problem,) = records.set_aside
    assert problem.source == str(tmp_path / "cover.jpg")


def test_a_folder_with_images_in_folders_is_another_format(tmp_path):
    album(tmp_path, "cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg", "more/1.jpg")
    assert NAMES.recognise(tmp_path) is None


# A pattern, a name, and what the places hold.
PATTERNS = [
    ("{label}.{number}", "cat.0", {"label": "cat", "number": "0"}),
    ("{label}_{number}", "golden_retriever_12", {"label": "golden_retriever", "number": "12"}),  # in front the most
    ("{a}_{b}_{c}", "1_2_3", {"a": "1", "b": "2", "c": "3"}),
    ("scan-{patient}({row},{column})", "scan-P7(1,22)", {"patient": "P7", "row": "1", "column": "22"}),
    ("{a}__{b}", "x___y", {"a": "x_", "b": "y"}),
    ("{a}_{b}", "_x", None),  # a place holds something
    ("{a}_{b}", "x_", None),
    ("{a}_{b}", "x", None),
    ("a{x}a", "aa", None),
    ("{x}", "", None),
]


@pytest.mark.parametrize(("pattern", "name", "places"), PATTERNS)
def test_patterns(pattern, name, places):
    assert Pattern(pattern).match(name) == places


@pytest.mark.parametrize(
    "pattern", ["", "cat", "{}", "{a}{b}", "{a}_{a}", "{a", "a}", "{{a}}", "{two words}", "{a}_{1}"]
)
def test_patterns_that_are_none(pattern):
    with pytest.raises(check.SettingError, match="pattern: expected different names in brackets"):
        Pattern(pattern)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("ab_", min_size=1, max_size=5), min_size=1, max_size=4), st.text("ab_", max_size=9))
def test_whatever_matches_is_put_together_again(literals, name):
    pattern = "_".join(f"{{p{place}}}" for place in range(len(literals)))
    joined = "_".join(literals)
    for text in (joined, name):
        found = Pattern(pattern).match(text)
        slow = any(all(pieces) for pieces in _splits(text, len(literals)))
        assert (found is not None) == slow
        assert found is None or "_".join(found.values()) == text
    assert Pattern(pattern).match(joined) is not None


def _splits(text, count):
    """Every way to cut a text at underscores into so many pieces."""
    if count == 1:
        return [[text]]
    cuts = [place for place, letter in enumerate(text) if letter == "_"]
    return [[text[:at], *rest] for at in cuts for rest in _splits(text[at + 1 :], count - 1)]


def test_a_hostile_name_takes_no_long_time():
    assert Pattern("{a}_{b}_{c}_{d}_{e}_{f}_{g}_{h}x").match("_" * 250) is None
    assert split_names(["a" + "_" * 250, "a-" * 120]) is None


def test_facts_groups_and_several_classes(tmp_path):
    album(tmp_path, "benign_P1_0_3.png", "malignant_P2_1_0.png", "deep/benign_P1_1_1.png", "what.png")
    pattern = "{label}_{patient}_{row}_{column}"
    records = read_names(tmp_path, pattern=pattern, labels=["row"], group="patient")
    assert {task: labels.names for task, labels in records.labels.items()} == {
        "label": ("benign", "malignant"),
        "row": ("0", "1"),
    }
    assert [(record.group, record.targets["row"]) for record in records] == [("P1", 0), ("P1", 1), ("P2", 1)]
    assert records[0].facts == {"label": "benign", "patient": "P1", "row": "0", "column": "3"}
    assert [problem.reason for problem in records.set_aside] == [f"the name has not the form {pattern}"]


def test_a_pattern_without_label_gives_facts_alone(tmp_path):
    album(tmp_path, "train/P1_3.png", "P2_4.png")
    records = NAMES.read(tmp_path, Hints(pattern="{patient}_{number}", group="patient"))
    assert records.labels == {}
    assert [(record.group, record.part, record.targets) for record in records] == [
        ("P2", None, {}),
        ("P1", "train", {}),
    ]


# What is asked for, and what is said to it.
REFUSALS = [
    ({"pattern": "{label}.{number}", "group": "patient"}, check.SettingError, r"one of label, number; got 'patient'"),
    ({"pattern": "{label}.{number}", "labels": ["row"]}, check.SettingError, r"one of label, number; got 'row'"),
    ({"pattern": "{label}x{number}"}, check.DataError, r"names of the form \{label\}x\{number\}; got cat\.0\.jpg"),
    ({"labels": ["a", "b"]}, check.SettingError, "labels: expected one name"),
    ({"group": "patient"}, check.SettingError, "group: expected one of number; got 'patient'. Give a pattern"),
]


@pytest.mark.parametrize(("asked", "kind", "message"), REFUSALS)
def test_refusals(tmp_path, asked, kind, message):
    album(tmp_path, "cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg")
    with pytest.raises(kind, match=message) as caught:
        read_names(tmp_path, **asked)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_none_of_this(tmp_path):
    album(tmp_path, "golden_gate.jpg", "starry_night.jpg")
    with pytest.raises(check.DataError, match=r"got 2 image\(s\), such as golden_gate\.jpg"):
        read_names(tmp_path)
    with pytest.raises(check.DataError, match="there is no such folder"):
        read_names(tmp_path / "nowhere")


def made(targets, names, parts=None):
    return Records(
        tuple(
            Record(f"x:{place}", np.full((2, 2, 1), place, np.uint8), targets={"label": target}, part=part)
            for place, (target, part) in enumerate(zip(targets, parts or [None] * len(targets), strict=True))
        ),
        {"label": Labels("class", names)},
    )


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_written_reads_as_the_same(tmp_path_factory, data):
    targets = data.draw(st.permutations([0] * 4 + [1] * 5 + [2] * 3))
    parts = data.draw(st.one_of(st.none(), st.permutations(["train"] * 6 + ["test"] * 3 + ["validation"] * 3)))
    records = made(targets, ("big cat", "dog", "ähnlich"), parts)
    folder = tmp_path_factory.mktemp("names")
    write_names(records, folder)
    again = read_names(folder)
    assert again.labels == records.labels
    assert again.set_aside == ()
    told = {int(np.asarray(Image.open(one.image))[0, 0]): (one.targets["label"], one.part) for one in again}
    assert told == {place: (record.targets["label"], record.part) for place, record in enumerate(records)}


# Records that a file name cannot hold, and what is said.
UNWRITABLE = [
    (made([0, 1] * 3, ("3", "5")), "classes named in letters"),
    (made([0, 1] * 3, ("Cat", "cat")), "names of files and can tell apart; got 'Cat'"),
    (made([0, 1] * 3, ("a/b", "c")), "names of files and can tell apart; got 'a/b'"),
    (made([0, 0, 1], ("cat", "dog")), "2 images each"),
    (made([0, 0, 0, 0], ("cat",)), "two or more"),
    (Records(made([0, 1], ("a", "b")).items, {}), "one class task, for a file name holds one label; got none"),
    (Records(made([0], ("a",)).items, {"count": Labels("number", ("count",))}), r"got count \(number\)"),
]


@pytest.mark.parametrize(("records", "message"), UNWRITABLE)
def test_what_cannot_be_written_is_refused(tmp_path, records, message):
    with pytest.raises(check.DataError, match=message) as caught:
        write_names(records, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
