"""Class folders on two levels, strange names, unlabelled folders; written and read again."""

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.formats.folders.classes import FOLDERS, read_folder, write_folders
from lensmith.data.formats.folders.unlabelled import UNLABELLED, read_unlabelled, write_unlabelled
from lensmith.data.formats.format import Hints
from lensmith.data.formats.parts import PART_OF
from lensmith.data.formats.writing import safe_name
from lensmith.records import Labels, Record, Records


def album(root, *files):
    for value, file in enumerate(files):
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 3), value, np.uint8)).save(path)
    return root


# Files, and the names of the tasks that are found.
LEVELS = [
    (["dog/pug/1.png", "dog/collie/1.png", "cat/tabby/1.png", "cat/siamese/1.png"], ("label", "sublabel")),
    (["dog/pug/1.png", "dog/collie/1.png", "fish/carp/1.png"], ("label", "sublabel")),  # one inner folder is no matter
    (["dog/pug/1.png", "cat/tabby/1.png"], ("label",)),  # but one in each is a wrapper around the images
    (["dog/part1/1.png", "dog/part2/1.png", "cat/part1/1.png", "cat/part2/1.png"], ("label",)),  # no class of its own
    (["dog/pug/1.png", "dog/collie/1.png", "dog/1.png", "cat/tabby/1.png"], ("label",)),  # images on both levels
    (["dog/pug/deep/1.png", "dog/collie/1.png", "cat/tabby/1.png"], ("label",)),  # deeper still
    (
        ["train/dog/pug/1.png", "train/dog/collie/1.png", "train/cat/tabby/1.png", "test/dog/pug/2.png"],
        ("label", "sublabel"),
    ),
]


@pytest.mark.parametrize(("files", "tasks"), LEVELS)
def test_levels(tmp_path, files, tasks):
    records = read_folder(album(tmp_path, *files))
    assert tuple(records.labels) == tasks
    assert len(records) == len(files)
    assert all(set(record.targets) == set(tasks) for record in records)


def test_both_levels_are_classes(tmp_path):
    album(tmp_path, "dog/pug/1.png", "dog/collie/1.png", "cat/tabby/1.png")
    records = read_folder(tmp_path, labels=("species", "breed"))
    assert records.labels["species"].names == ("cat", "dog")
    assert records.labels["breed"].names == ("collie", "pug", "tabby")
    assert [(record.targets["species"], record.targets["breed"]) for record in records] == [(0, 2), (1, 0), (1, 1)]
    assert records.layout == "class folders: 2 classes and 3 classes on two levels"


def test_names_decide_how_many_levels_there_are(tmp_path):
    album(tmp_path, "dog/day/1.png", "dog/night/1.png", "cat/day/1.png", "cat/1.png")
    assert tuple(read_folder(tmp_path, labels=("species",)).labels) == ("species",)
    records = read_folder(tmp_path, labels=("species", "time"))  # asked for, although names repeat
    assert records.labels["time"].names == ("day", "night")
    (problem,) = records.set_aside
    assert problem.source.endswith("cat/1.png")
    assert problem.reason == "an image that does not lie two class folders deep"
    with pytest.raises(check.SettingError, match="labels: expected one name, or two that differ; got a, b, c"):
        read_folder(tmp_path, labels=("a", "b", "c"))


def test_class_folders_with_a_pattern(tmp_path):
    album(tmp_path, "dog/P1_1.png", "dog/P2_1.png", "cat/P3_7.png", "cat/cover.png")
    records = FOLDERS.read(tmp_path, Hints(pattern="{owner}_{number}", group="owner"))
    assert [(record.targets["label"], record.group, record.facts["number"]) for record in records] == [
        (0, "P3", "7"),
        (1, "P1", "1"),
        (1, "P2", "1"),
    ]
    assert [problem.reason for problem in records.set_aside] == ["the name has not the form {owner}_{number}"]


def test_names_with_spaces_accents_and_line_feeds(tmp_path):
    classes = ["a big\ncat", "dög", "狗"]
    album(tmp_path, *(f"{name}/1 ✓.png" for name in classes))
    assert read_folder(tmp_path).labels["label"].names == tuple(sorted(classes))
    with pytest.raises(check.DataError, match=r"a big\\ncat: expected .* got images in no class folder") as caught:
        read_folder(tmp_path / classes[0])
    assert "\n" not in str(caught.value)


def test_a_link_back_does_not_bring_the_other_classes(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "cat" / "all").symlink_to(tmp_path)
    records = read_folder(tmp_path)
    assert [record.targets["label"] for record in records] == [0, 1]
    assert [problem.source for problem in records.set_aside] == [str(tmp_path / "cat" / "all")]


def test_a_folder_reached_twice_is_read_once(tmp_path):
    album(tmp_path, "photos/dog/1.png", "elsewhere/2.png")
    for name in ("a", "b"):
        (tmp_path / "photos" / "cat").mkdir(exist_ok=True)
        (tmp_path / "photos" / "cat" / name).symlink_to(tmp_path / "elsewhere")
    assert len(read_folder(tmp_path / "photos")) == 2


def test_a_pipe_named_as_an_image_is_not_waited_for(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png")
    os.mkfifo(tmp_path / "cat" / "2.png")
    (problem,) = read_folder(tmp_path).set_aside
    assert problem.reason == "not a file, though it is named as an image"


def test_very_deep_folders(tmp_path):
    deep = "/".join("d" * 500)
    album(tmp_path, f"cat/{deep}/1.png", "dog/1.png")
    assert len(read_folder(tmp_path)) == 2


@pytest.mark.parametrize("files", [("1.png", "2.png"), ("a/b/c/1.png", "2.png"), ("one/1.png", "one/2.png")])
def test_unlabelled_images(tmp_path, files):
    album(tmp_path, *files)
    (tmp_path / "notes.txt").touch()
    assert UNLABELLED.recognise(tmp_path) == "2 images without labels" or len(files) == 1
    records = read_unlabelled(tmp_path)
    assert records.labels == {}
    assert {record.source for record in records} == {str(tmp_path / file) for file in files}
    assert [Path(problem.source).name for problem in records.set_aside] == ["notes.txt"]


def test_one_image(tmp_path):
    album(tmp_path, "a.png")
    (record,) = read_unlabelled(tmp_path / "a.png")
    assert (record.source, record.targets) == (str(tmp_path / "a.png"), {})


def test_unlabelled_parts(tmp_path):
    album(tmp_path, "train/1.png", "val/deep/2.png", "3.png")
    assert {record.image.name: record.part for record in read_unlabelled(tmp_path)} == {
        "1.png": "train",
        "2.png": "validation",
        "3.png": None,
    }


def test_no_image(tmp_path):
    with pytest.raises(check.DataError, match="got no image at all"):
        read_unlabelled(tmp_path)
    with pytest.raises(check.DataError, match="there is no such folder"):
        read_unlabelled(tmp_path / "nowhere")


def told(records):
    """What must stay the same: by the pixels, the class names and the part."""
    found = {}
    for record in records:
        value = int(np.asarray(Image.open(record.image) if isinstance(record.image, Path) else record.image).flat[0])
        names = {task: records.labels[task].names[target] for task, target in record.targets.items()}
        found[value] = (names, record.part)
    return found


NAME = st.text(
    st.characters(blacklist_categories=("C", "Z"), blacklist_characters='/\\:*?"<>|.'), min_size=1, max_size=3
).filter(
    lambda name: safe_name(name) == name and name.lower() not in PART_OF
)  # neither a device (NUL) nor a part (VAL)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_class_folders_are_written_and_read_again(tmp_path_factory, data):
    root = tmp_path_factory.mktemp("in")
    levels = data.draw(st.sampled_from((1, 2)))
    count = 4 if levels == 2 else 2
    names = data.draw(st.lists(NAME, min_size=count, max_size=count + 1, unique_by=lambda name: _same(name)))
    classes = (
        [(name,) for name in names] if levels == 1 else [(names[0], one) for one in names[2:]] + [(names[1], "zz1")]
    )
    part = data.draw(st.sampled_from(("", "train/")))
    files = [f"{part}{'/'.join(steps)}/{stem}.png" for steps in classes for stem in ("1", "2")]
    records = read_folder(album(root, *files))
    target = tmp_path_factory.mktemp("out")
    write_folders(records, target)
    again = read_folder(target)
    assert told(again) == told(records)
    assert again.labels == records.labels
    assert len(again) == len(files)


def _same(name):
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def pixels(targets, labels, part=None):
    items = tuple(
        Record(
            f"x:{place}", np.full((2, 2, 1), place, np.uint8), targets=dict(zip(labels, one, strict=True)), part=part
        )
        for place, one in enumerate(targets)
    )
    return Records(items, {task: Labels("class", names) for task, names in labels.items()})


def test_pixels_become_files(tmp_path):
    write_folders(pixels([(0,), (1,)], {"label": ("cat", "dog")}, "test"), tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png")) == [
        "test/cat/x-000000.png",
        "test/dog/x-000001.png",
    ]


# Records that folders cannot hold, and what is said.
UNWRITABLE = [
    (pixels([(0,), (1,)], {"label": ("a/b", "c")}), "and are no parts of a data set; got 'a/b'"),
    (pixels([(0,), (1,)], {"label": ("..", "c")}), r"got '\.\.'"),
    (pixels([(0,), (1,)], {"label": ("Cat", "cat")}), "got 'Cat'"),
    (pixels([(0,), (1,)], {"label": ("test", "c")}), "got 'test'"),
    (pixels([(0,), (0,)], {"label": ("cat",)}), "two classes, for two folders; got one"),
    (pixels([(0, 0), (1, 0)], {"species": ("a", "b"), "breed": ("c",)}),
     r"\(species/breed\) and has more classes; got 'species' and 'breed'\. "
     "Write csv or json, or read one task: --read labels=species$"),
    (Records(pixels([(0,)], {"label": ("a",)}).items, {"size": Labels("number", ("size",))}), r"got size \(number\)"),
    (
        Records((Record("t:0", row=np.zeros(2), targets={"y": 0}), Record("t:1", row=np.zeros(2), targets={"y": 1})),
                {"y": Labels("class", ("a", "b"))}),
        "t:0: expected an image; got a row of numbers",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("records", "message"), UNWRITABLE)
def test_what_cannot_be_written_is_refused(tmp_path, records, message):
    with pytest.raises(check.DataError, match=message) as caught:
        write_folders(records, tmp_path)
    assert "\n" not in str(caught.value)


def test_unlabelled_images_are_written_and_read_again(tmp_path):
    records = read_unlabelled(album(tmp_path / "in", "a/1.png", "b/1.png", "test/1.png"))
    (tmp_path / "out").mkdir()
    write_unlabelled(records, tmp_path / "out")
    assert sorted(value for value, _ in told(read_unlabelled(tmp_path / "out")).items()) == [0, 1, 2]
    with pytest.raises(check.DataError, match="records without targets, which this format cannot hold; got label"):
        write_unlabelled(pixels([(0,), (1,)], {"label": ("a", "b")}), tmp_path / "out")


def test_a_link_around_everything_is_no_class(tmp_path):
    album(tmp_path, "cat/1.png", "dog/1.png")
    (tmp_path / "all").symlink_to(tmp_path)
    records = read_folder(tmp_path)
    assert (len(records), records.labels["label"].names) == (2, ("cat", "dog"))
    assert [problem.source for problem in records.set_aside] == [str(tmp_path / "all")]
    assert FOLDERS.recognise(tmp_path) == "2 classes"
