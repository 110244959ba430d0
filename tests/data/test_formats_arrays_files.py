"""Arrays in .npz and .npy files: names, forms, damage, hostile files; written and read again."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.formats.arrays.archives import NPZ, read_archive
from lensmith.data.formats.arrays.memory import from_arrays, from_rows
from lensmith.data.formats.arrays.names import Key, parse
from lensmith.data.formats.arrays.writing import write_archive
from lensmith.data.formats.format import Hints
from lensmith.records import Boxes, Labels, Record, Records

GRAY = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
COLOUR = np.arange(6 * 4 * 5 * 3, dtype=np.uint16).reshape(6, 4, 5, 3).astype(np.uint8)
CLASSES = np.array([0, 1, 2, 0, 1, 2])

# Names of arrays, and what they are for.
KEYS = [
    ("x", Key("input")),
    ("X_train", Key("input", None, "train")),
    ("test_images", Key("input", None, "test")),
    ("y_val", Key("target", "label", "validation")),
    ("train_labels", Key("target", "label", "train")),
    ("y_breed", Key("target", "breed")),
    ("y_breed_test", Key("target", "breed", "test")),
    ("fine_labels", Key("target", "fine")),
    ("class_names", Key("names")),
    ("label_names", Key("names")),
    ("names_breed", Key("names", "breed")),
    ("names_class", Key("names", "class")),
    ("feature_names", None),
    ("groups", Key("groups")),
    ("conv1/weight", None),
    ("state_dict.module.conv1.weight", None),
    ("", None),
    ("train", None),
]


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_what_a_name_says(name, key):
    assert parse(name) == key


def saved(folder, name="a.npz", **arrays):
    np.savez(folder / name, **arrays)
    return folder / name


def test_images_with_classes(tmp_path):
    path = saved(tmp_path, x=COLOUR, y=CLASSES, class_names=np.array(["cat", "dog", "emu"]), spare=np.ones(3))
    records = read_archive(path)
    assert records.labels == {"label": Labels("class", ("cat", "dog", "emu"))}
    assert np.array_equal(records[4].image, COLOUR[4])
    assert records[4].source == f"{path}/x:4"
    assert [problem.source for problem in records.set_aside] == [f"{path}/spare"]
    assert records.layout == "NumPy arrays: 6 images"


def test_parts_share_their_classes(tmp_path):
    path = saved(tmp_path, x_train=GRAY, y_train=np.array(list("abbaba")), x_test=GRAY[:2], y_test=np.array(list("bc")))
    records = read_archive(path)
    assert records.labels["label"].names == ("a", "b", "c")
    assert [record.targets["label"] for record in records.part("test")] == [1, 2]
    assert records.layout == "NumPy arrays: 8 images in train, test"


# Arrays of images, and the shape of one image that is read.
FORMS = [
    (GRAY, (4, 5, 1)),
    (GRAY[..., None], (4, 5, 1)),
    (COLOUR, (4, 5, 3)),
    (COLOUR.transpose(0, 3, 1, 2), (4, 5, 3)),  # channels first
    (np.zeros((6, 3, 3, 3), np.uint8), (3, 3, 3)),  # both ways possible: channels last
    (COLOUR.astype(np.int64), (4, 5, 3)),
    (COLOUR.astype(np.float32), (4, 5, 3)),  # whole numbers up to 255
    ((COLOUR / 255).astype(np.float64), (4, 5, 3)),
    ((COLOUR / 255).astype(np.float32), (4, 5, 3)),
    (COLOUR.astype(np.float32) * np.float32(1 / 255), (4, 5, 3)),
    ((COLOUR / 255).astype(np.float16), (4, 5, 3)),
]


@pytest.mark.parametrize(("images", "shape"), FORMS)
def test_forms_of_images(tmp_path, images, shape):
    records = read_archive(saved(tmp_path, images=images, labels=CLASSES))
    assert records[5].image.shape == shape
    assert records[5].image.dtype == np.uint8
    wanted = GRAY if shape[2] == 1 else COLOUR
    assert not images.any() or np.array_equal(np.stack([one.image for one in records]), wanted.reshape(6, *shape))


def test_shares_that_are_no_pixels_are_refused(tmp_path):
    images = np.linspace(0, 1, GRAY.size, dtype=np.float32).reshape(GRAY.shape)
    with pytest.raises(check.DataError, match=r"x:0: expected whole numbers from 0 to 255, or these divided by 255"):
        read_archive(saved(tmp_path, x=images, y=CLASSES))
    with pytest.raises(check.DataError, match=r"x:0: expected whole numbers from 0 to 255; got float32 from"):
        read_archive(saved(tmp_path, x=images - 0.5, y=CLASSES))


# Targets, and how they are understood.
TARGETS = [
    (CLASSES, "class", 2),
    (CLASSES.astype(np.uint8), "class", 2),
    (CLASSES[:, None], "class", 2),
    (np.eye(3)[CLASSES], "class", 2),
    (np.eye(3, dtype=np.uint8)[CLASSES], "class", 2),
    (np.array([b"a", b"b", b"c"])[CLASSES], "class", 2),
    (np.eye(3, dtype=bool)[CLASSES], "classes", (2,)),
    (CLASSES / 4, "number", (0.5,)),
    (np.array([[1.0, 1.0], [0.5, 2.0], [3.0, 4.0]])[CLASSES], "number", (3.0, 4.0)),
]


@pytest.mark.parametrize(("targets", "kind", "last"), TARGETS)
def test_targets(tmp_path, targets, kind, last):
    records = read_archive(saved(tmp_path, x=GRAY, y=targets))
    assert (records.labels["label"].kind, records[5].targets["label"]) == (kind, last)


def test_several_tasks_rows_and_groups(tmp_path):
    rows = np.arange(12.0).reshape(6, 2)
    path = saved(tmp_path, x=rows, y_kind=CLASSES, y_size=rows[:, 0], groups=np.array(list("aabbcc")))
    records = read_archive(path)
    assert {task: labels.kind for task, labels in records.labels.items()} == {"kind": "class", "size": "number"}
    assert (records[3].row.tolist(), records[3].group, records[3].targets) == ([6, 7], "b", {"kind": 0, "size": (6.0,)})
    assert list(read_archive(path, Hints(labels=("size",))).labels) == ["size"]


def test_other_names_by_hints(tmp_path):
    (tmp_path / "names.txt").write_text("cat\n\ndog\nemu\n")
    path = saved(tmp_path, scans=GRAY, diagnosis=CLASSES, patient=np.array([7, 7, 8, 8, 9, 9]))
    hints = Hints(image="scans", labels=("diagnosis",), group="patient", names=tmp_path / "names.txt")
    records = read_archive(path, hints)
    assert records.labels == {"diagnosis": Labels("class", ("cat", "dog", "emu"))}
    assert records[2].group == "8"
    with pytest.raises(
        check.SettingError, match=r"one of diagnosis, scans, patient; got 'scan'\. Did you mean 'scans'"
    ):
        read_archive(path, Hints(image="scan", labels=("diagnosis",)))


def test_a_part_without_targets_is_set_aside(tmp_path):
    records = read_archive(saved(tmp_path, x_train=GRAY, y_train=CLASSES, x_test=GRAY))
    assert len(records) == 6
    assert [problem.reason for problem in records.set_aside] == ["an array without targets"]


def test_images_alone_have_no_labels(tmp_path):
    records = read_archive(saved(tmp_path, x=GRAY))
    assert (records.labels, len(records)) == ({}, 6)


@pytest.mark.parametrize("given", ["", "x_train.npy", "y_train.npy"])
def test_npy_files_beside_one_another(tmp_path, given):
    for name, array in {"x_train": GRAY, "y_train": CLASSES, "x_test": GRAY[:2], "y_test": CLASSES[:2]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    if given == "y_train.npy":
        with pytest.raises(check.DataError, match="expected arrays named x or images"):
            read_archive(tmp_path / given)
        return
    records = read_archive(tmp_path / given)
    assert [len(records.part(part)) for part in ("train", "test")] == ([6, 0] if given else [6, 2])
    assert NPZ.recognise(tmp_path) == "4 .npy files"


# What is in a file, and what is said.
REFUSALS = [
    ({"weights": GRAY}, r"got 1 other\(s\), such as 'weights'. A model's weights are no data"),
    ({"x": GRAY, "images": GRAY}, "one array with the inputs of a part; got x and images"),
    ({"x": GRAY, "y": CLASSES[:5]}, r"y: expected one target an example \(6\); got 5"),
    ({"x": GRAY, "y": np.array(5)}, "one target an example; got a single value"),
    ({"x": GRAY, "y": CLASSES - 1}, "expected a class index from 0 to 1; got -1"),
    ({"x": GRAY, "y": CLASSES * 10**12}, "indices below 1,000,000; got the class index 2000000000000"),
    ({"x": np.zeros((0, 4, 5), np.uint8), "y": CLASSES[:0]}, r"an array with numbers; got shape \(0, 4, 5\)"),
    ({"x": np.array(["a", "b"])}, r"or rows \(n, columns\); got <U1 of shape \(2,\)"),
    ({"x": np.zeros((2, 6, 5, 7))}, r"expected an image of shape .* got shape \(6, 5, 7\)"),
    ({"x": GRAY, "y": CLASSES, "names": np.ones(3)}, "names, one a class; got float64"),
    ({"x": GRAY, "y": CLASSES, "groups": np.ones(3)}, r"one group an example \(6\)"),
    ({"x_train": GRAY, "y_train": CLASSES, "x_test": np.ones((2, 2)), "y_test": CLASSES[:2]}, "some of each"),
    ({"x_train": GRAY, "y_val": CLASSES}, "targets for each example; got arrays of other parts"),
]


@pytest.mark.parametrize(("arrays", "message"), REFUSALS)
def test_refusals(tmp_path, arrays, message):
    with pytest.raises(check.DataError, match=message) as caught:
        read_archive(saved(tmp_path, **arrays))
    assert "\n" not in str(caught.value)


def test_nothing_runs(tmp_path):
    np.savez(tmp_path / "a.npz", x=GRAY, y=np.array([print], dtype=object))
    np.save(tmp_path / "x.npy", np.array([print], dtype=object))
    for path in (tmp_path / "a.npz", tmp_path / "x.npy"):
        with pytest.raises(check.DataError, match="got Python objects, which could run code"):
            read_archive(path)


def header(shape, descr="|u1"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


# A header that promises what is not there: it must be refused before any of it is made room for.
@pytest.mark.parametrize(
    "content", [header((10**12, 9, 9)), header((10**18,), "|S0"), header((3, -4)), header((2**70,))]
)
def test_a_header_that_promises_too_much(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content + b"abc")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content + b"abc")
    for name in ("x.npy", "a.npz"):
        with pytest.raises(check.DataError, match=r"bytes for all numbers|an array with numbers|damaged"):
            read_archive(tmp_path / name)


def test_a_file_that_blows_up_is_refused(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as inside,
    ):
        inside.write(header((300, 1024, 1024)))
        for _ in range(300):
            inside.write(bytes(1 << 20))
    with pytest.raises(check.DataError, match="no more than 200 times its size; got 314,572,800 bytes out of"):
        read_archive(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npz", "x.npy"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_damaged_files_are_refused_in_one_line(tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("damage")
    file = io.BytesIO()
    np.savez_compressed(file, x=GRAY, y=CLASSES) if name == "a.npz" else np.save(file, GRAY)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    (folder / name).write_bytes(content[:cut])
    try:
        read_archive(folder / name)  # the numbers themselves may be other ones
    except check.DataError as error:
        assert str(error).startswith(str(folder)) or str(error).startswith("targets of")
        assert "\n" not in str(error)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("random")
    for name in ("a.npz", "x.npy"):
        (folder / name).write_bytes(content)
        with pytest.raises(check.DataError):
            read_archive(folder / name)


def same(first, second):
    assert second.labels == first.labels
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(
            one.row if one.image is None else one.image, other.row if one.image is None else other.image
        )
        assert (one.targets, one.group, one.part) == (other.targets, other.group, other.part)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_what_is_written_reads_as_the_same(tmp_path_factory, data):
    count = data.draw(st.integers(2, 6))
    tasks = {
        "label": data.draw(st.lists(st.sampled_from(["a", "b ", "ç"]), min_size=count, max_size=count)),
        "age": np.array(data.draw(st.lists(st.floats(-9, 9), min_size=count, max_size=count))) + 0.25,
        "tags": np.array(
            data.draw(st.lists(st.lists(st.booleans(), min_size=2, max_size=2), min_size=count, max_size=count))
        ),
    }
    chosen = {task: tasks[task] for task in data.draw(st.sets(st.sampled_from(list(tasks))))}
    names = {"label": ["a", "b ", "ç", "never seen"]} if "label" in chosen else None
    groups = data.draw(st.one_of(st.none(), st.lists(st.sampled_from("pqr"), min_size=count, max_size=count)))
    examples = data.draw(st.sampled_from([GRAY[:count], COLOUR[:count]]))
    if data.draw(st.booleans()):
        records = from_arrays(examples, chosen, names, groups=groups)
    else:
        records = from_rows(examples.reshape(count, -1) / 7, chosen, names, groups=groups)
    folder = tmp_path_factory.mktemp("npz")
    write_archive(records, folder)
    same(records, read_archive(folder))


def test_parts_and_files_are_written(tmp_path):
    path = tmp_path / "1.png"
    Image.fromarray(GRAY[0]).save(path)
    items = (
        Record("1", path, targets={"label": 1}, part="test"),
        Record("2", GRAY[1][..., None], targets={"label": 0}),
    )
    (tmp_path / "out").mkdir()
    write_archive(Records(items, {"label": Labels("class", ("a", "b"))}), tmp_path / "out")
    again = read_archive(tmp_path / "out")
    assert [(one.part, one.targets["label"], one.image[0, 1, 0]) for one in again] == [("train", 0, 21), ("test", 1, 1)]


def record(**fields):
    return Record("x:0", **{"image": GRAY[0][..., None], **fields})


# Records that arrays cannot hold, and what is said.
UNWRITABLE = [
    ((record(), Record("x:1", GRAY[0, :3][..., None])), {}, r"x:1: expected the shape \(4, 5, 1\); got \(3, 5, 1\)"),
    ((record(targets={"label": Boxes([], [])}),), {"label": Labels("boxes", ("a",))}, "got boxes of the task 'label'"),
    ((record(),), {"label": Labels("class", ("a",))}, "x:0: has no target for the task 'label'"),
    ((record(group="a"), record()), {}, "a group, as others have one; got none"),
    ((record(targets={"a_test": 0}),), {"a_test": Labels("class", ("a",))}, "an array can carry; got 'a_test'"),
]


@pytest.mark.parametrize(("items", "labels", "message"), UNWRITABLE)
def test_what_cannot_be_written_is_refused(tmp_path, items, labels, message):
    with pytest.raises(check.DataError, match=message):
        write_archive(Records(items, labels), tmp_path)


def test_real_arrays(shared_data):
    records = read_archive(shared_data / "cifar10_5000")
    assert [len(records.part(part)) for part in ("train", "test")] == [4000, 1000]
    assert records[0].image.shape == (32, 32, 3)


@pytest.mark.parametrize("name", ["resnet_cifar10", "squeezenet_v10"])
def test_weights_are_no_data(shared_data, name):
    with pytest.raises(check.DataError, match="A model's weights are no data"):
        read_archive(shared_data / name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.int64])
def test_labels_of_every_whole_dtype_are_classes(dtype):
    assert from_arrays(GRAY, CLASSES.astype(dtype)).counts("label") == {"0": 2, "1": 2, "2": 2}
