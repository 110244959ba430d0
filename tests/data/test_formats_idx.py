"""The files of MNIST: pairs, parts, sizes that are false, damage; written and read again."""

import gzip
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.data.formats.arrays.idx import IDX, read_idx, write_idx
from lensmith.data.formats.format import Hints
from lensmith.records import Labels, Record, Records

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.array([1, 0, 2, 1, 0], np.uint8)


def content(array):
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def put(folder, name, data):
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


def pair(folder, before="train-", after="", images=IMAGES, labels=LABELS):
    put(folder, f"{before}labels-idx1-ubyte{after}", content(labels))
    return put(folder, f"{before}images-idx3-ubyte{after}", content(images))


@pytest.mark.parametrize("after", ["", ".gz"])
def test_parts(tmp_path, after):
    pair(tmp_path, "train-", after)
    pair(tmp_path, "t10k-", after, IMAGES[:2], LABELS[:2])
    (tmp_path / "README.txt").touch()
    records = read_idx(tmp_path)
    assert records.labels == {"label": Labels("class", ("0", "1", "2"))}
    assert [record.part for record in records] == ["train"] * 5 + ["test"] * 2
    assert [record.targets["label"] for record in records] == [*LABELS, *LABELS[:2]]
    assert np.array_equal(records[4].image, IMAGES[4][..., None])
    assert records[4].source == f"{tmp_path}/train-images-idx3-ubyte{after}:4"
    assert records.layout == "idx files: 7 images in train, test"
    assert IDX.recognise(tmp_path) == f"2 idx file(s) of images, such as t10k-images-idx3-ubyte{after}"


# Names of files of images, and the part they belong to.
NAMES = [
    ("train-images-idx3-ubyte", "train"),
    ("train-images.idx3-ubyte", "train"),
    ("T10K-images-idx3-ubyte.gz", "test"),
    ("emnist-letters-test-images-idx3-ubyte", "test"),
    ("validation-images-idx3-ubyte", "validation"),
    ("images-idx3-ubyte", None),
]


@pytest.mark.parametrize(("name", "part"), NAMES)
def test_names(tmp_path, name, part):
    partner = name.replace("images", "labels").replace("idx3", "idx1")
    put(tmp_path, partner, content(LABELS))
    path = put(tmp_path, name, content(IMAGES))
    pair(tmp_path, "other-")
    for one in (path, tmp_path / partner):
        records = read_idx(one)
        assert [record.part for record in records] == [part] * 5
        assert IDX.recognise(one) == "an idx file"


def test_images_without_labels(tmp_path):
    put(tmp_path, "train-images-idx3-ubyte", content(IMAGES))
    records = read_idx(tmp_path)
    assert (records.labels, records.set_aside, len(records)) == ({}, (), 5)
    pair(tmp_path, "test-")
    records = read_idx(tmp_path)
    assert {record.part for record in records} == {"test"}
    assert [problem.reason for problem in records.set_aside] == ["images without a file of labels"]


def test_class_names(tmp_path):
    pair(tmp_path)
    (tmp_path / "other.txt").write_text("shirt\nshoe\nbag\n")
    records = IDX.read(tmp_path, Hints(names=tmp_path / "other.txt", labels=("article",)))
    assert records.labels == {"article": Labels("class", ("shirt", "shoe", "bag"))}
    (tmp_path / "other.txt").write_text("shirt\nshoe\n")
    with pytest.raises(check.DataError, match="train-images-idx3-ubyte:2: article: expected a class index from 0 to 1"):
        IDX.read(tmp_path, Hints(names=tmp_path / "other.txt", labels=("article",)))


# What the file of images holds, and what is said.
DAMAGE = [
    (b"", "begins with 00 00 08 03; got an empty file"),
    (content(LABELS), "begins with 00 00 08 03; got 00 00 08 01"),
    (content(IMAGES)[:10], "a header of 16 bytes; got 10"),
    (content(IMAGES)[:-1], "60 bytes behind the header, as it says; got 59: the file is cut short"),
    (content(IMAGES) + b"x", "60 bytes behind the header, as it says; got more"),
    (content(IMAGES[:0]), r"at least one example; got shape \(0, 3, 4\)"),
    (content(IMAGES[:4]), r"one label an image \(4\); got 5"),
    (bytes((0, 0, 8, 3)) + b"\xff" * 12, "as it says; got a file of|no more than 200 times its size"),
]


@pytest.mark.parametrize("after", ["", ".gz"])
@pytest.mark.parametrize(("data", "message"), DAMAGE)
def test_damage(tmp_path, data, message, after):
    pair(tmp_path, "train-", after)
    put(tmp_path, f"train-images-idx3-ubyte{after}", data)
    with pytest.raises(check.DataError, match=message) as caught:
        read_idx(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_file_that_blows_up_is_refused(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes((0, 0, 8, 3)) + np.array((300, 1024, 1024), ">u4").tobytes())
        for _ in range(300):
            file.write(bytes(1 << 20))
    with pytest.raises(check.DataError, match="no more than 200 times its size"):
        read_idx(tmp_path)


@pytest.mark.parametrize("after", ["", ".gz"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_in_one_line(tmp_path_factory, after, data):
    folder = tmp_path_factory.mktemp("damage")
    path = pair(folder, "train-", after)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.one_of(st.just(len(damaged)), st.integers(0, len(damaged))))])
    try:
        assert len(read_idx(folder)) == 5  # pixels may have changed
    except check.DataError as error:
        assert str(error).startswith(str(folder))
        assert "\n" not in str(error)


def test_no_such_files(tmp_path):
    for path in (tmp_path, tmp_path / "train-images-idx3-ubyte"):
        with pytest.raises(check.DataError, match=r"expected idx files, .*; got no file of images with such a name"):
            read_idx(path)


def records_of(labels, names, parts, size=(3, 4)):
    rng = np.random.default_rng(len(labels))
    items = tuple(
        Record(f"x:{place}", rng.integers(0, 256, (*size, 1), np.uint8), targets={"label": target}, part=part)
        for place, (target, part) in enumerate(zip(labels, parts, strict=True))
    )
    return Records(items, {"label": Labels("class", names)})


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_written_reads_as_the_same(tmp_path_factory, data):
    count = data.draw(st.integers(1, 6))
    labels = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    names = data.draw(st.sampled_from([("0", "1", "2"), ("a cat", "dög", "x")]))
    split = data.draw(st.booleans())
    order = ("train", "validation", "test")
    parts = sorted(data.draw(st.lists(st.sampled_from(order), min_size=count, max_size=count)), key=order.index)
    records = records_of(labels, names, parts if split else [None] * count)
    folder = tmp_path_factory.mktemp("idx")
    write_idx(records, folder)
    again = read_idx(folder)
    assert again.labels == records.labels
    for one, other in zip(records, again, strict=True):
        assert np.array_equal(one.image, other.image)
        assert (one.targets, one.part) == (other.targets, other.part)


# Records that idx files cannot hold, and what is said.
UNWRITABLE = [
    (Records(records_of([0], ("a",), [None]).items, {}), "images with one class task, for idx files to hold; got none"),
    (records_of([0], ("a\nb",), [None]), "each with a name of one line"),
    (Records((Record("t:0", row=np.zeros(2), targets={"y": 0}),), {"y": Labels("class", ("a",))}), "got rows"),
    (
        Records((Record("c", np.zeros((2, 2, 3), np.uint8), targets={"y": 0}),), {"y": Labels("class", ("a",))}),
        "c: expected a gray image; got 3 channels",
    ),
    (
        Records(
            (*records_of([0], ("a",), [None]).items, *records_of([0], ("a",), [None], (2, 2)).items),
            {"label": Labels("class", ("a",))},
        ),
        r"x:0: expected the shape \(3, 4, 1\); got \(2, 2, 1\)",
    ),
]


@pytest.mark.parametrize(("records", "message"), UNWRITABLE)
def test_what_cannot_be_written_is_refused(tmp_path, records, message):
    with pytest.raises(check.DataError, match=message) as caught:
        write_idx(records, tmp_path)
    assert "\n" not in str(caught.value)


def test_mnist(shared_data):
    start = time.perf_counter()
    records = read_idx(shared_data / "mnist")
    assert time.perf_counter() - start < 10  # about 1.5 s
    assert [len(records.part(part)) for part in ("train", "test")] == [60_000, 10_000]
    assert [records[place].targets["label"] for place in range(5)] == [5, 0, 4, 1, 9]  # as every tutorial shows
    assert records[0].image.base is not None
