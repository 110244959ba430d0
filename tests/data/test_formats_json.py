"""JSON: lists of objects, an object a line, and the form of our own, which holds every kind of target."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from PIL import Image

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.tables.json_text import parse
from lensmith.data.formats.tables.lists import JSON
from lensmith.data.images import decode
from lensmith.records import KINDS, Boxes, Labels, Record, Records


def draw(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(path)


def put(folder, content, name="data.json"):
    draw(folder / "a.png")
    draw(folder / "b.png", 1)
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return path


def read(path, **hints):
    return JSON.read(path, Hints(**hints))


def reasons(records):
    return {one.source.rpartition("/")[2]: one.reason for one in records.set_aside}


TWO = [{"image": "b.png", "label": "dog"}, {"image": "a.png", "label": "cat"}]


@pytest.mark.parametrize(
    ("name", "content", "sources"),
    [
        ("data.json", TWO, ["data.json[0]", "data.json[1]"]),  # a list
        ("data.jsonl", "\n\n".join(map(json.dumps, TWO)), ["data.jsonl:1", "data.jsonl:3"]),  # an object a line
        ("data.ndjson", "\r\n".join(map(json.dumps, TWO)), ["data.ndjson:1", "data.ndjson:2"]),  # as others call it
        ("data.json", "\n".join(map(json.dumps, TWO)), ["data.json:1", "data.json:2"]),  # and as nobody should
        ("data.json", "\ufeff" + json.dumps(TWO), ["data.json[0]", "data.json[1]"]),  # a byte order mark
        ("data.jsonl", "\ufeff" + "\n".join(map(json.dumps, TWO)), ["data.jsonl:1", "data.jsonl:2"]),
        ("data.json", [{"label": "dog", "image": "b.png"}, TWO[1]], ["data.json[0]", "data.json[1]"]),  # keys anyhow
    ],
)
def test_lists(tmp_path, name, content, sources):
    path = put(tmp_path, content, name)
    assert JSON.recognise(path) is not None
    assert JSON.recognise(tmp_path) is not None
    for source in (path, tmp_path):
        records = read(source)
        assert [record.source for record in records] == [str(tmp_path / one) for one in sources]
        assert [record.image.name for record in records] == ["b.png", "a.png"]
        assert [record.targets for record in records] == [{"label": 1}, {"label": 0}]
        assert records.labels == {"label": Labels("class", ("cat", "dog"))}
        assert records.name == str(source)


def test_values_of_all_kinds(tmp_path):
    content = [
        {"image": "a.png", "name": "x", "sick": True, "tags": ["p", "q"], "age": 3.5, "group": 7, "split": "val"},
        {"image": [[0, 64, 255]], "name": "y", "sick": False, "tags": [], "age": 4, "group": None, "note": "n"},
        {"image": [[[1, 2, 3], [4, 5, 6]]], "name": "x", "sick": True, "tags": "q", "age": -1e3, "split": None},
    ]
    records = read(put(tmp_path, content), labels=("name", "sick", "tags", "age"), image="image")
    assert records.set_aside == ()
    assert [record.targets for record in records] == [
        {"name": 0, "sick": 1, "tags": (0, 1), "age": (3.5,)},
        {"name": 1, "sick": 0, "tags": (), "age": (4,)},
        {"name": 0, "sick": 1, "tags": (1,), "age": (-1000,)},
    ]
    assert [(record.group, record.part) for record in records] == [("7", "validation"), (None, None), (None, None)]
    assert records[1].image.tolist() == [[[0], [64], [255]]]
    assert records[2].image.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert dict(records[1].facts) == {"note": "n"}


def test_rows_and_flat_pixels(tmp_path):
    rows = read(put(tmp_path, [{"a": 1, "b": 2.5, "label": "x"}, {"a": 3, "b": 4, "label": "y"}]))
    assert rows[0].row.tolist() == [1, 2.5]
    pixels = read(put(tmp_path, [{"pixels": [0, 1, 2, 3], "label": 7}, {"pixels": [4] * 9, "label": 8}]))
    assert [record.image.shape for record in pixels] == [(2, 2, 1), (3, 3, 1)]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (7, "the entry: expected an object; got int"),  # no object
        ({"image": "a.png", "label": {"name": "x"}}, "key 'label': expected a text, a number or a list"),  # nested
        ({"image": "a.png", "label": None}, "nothing in the column 'label'"),  # null
        ({"image": "a.png"}, "nothing in the column 'label'"),  # no such key
        ({"label": "x"}, "no image in the column 'image'"),
        ({"image": "../a.png", "label": "x"}, "climbs out of its folder"),
        ({"image": "z.png", "label": "x"}, "the image is missing"),
        ({"image": [[0, 256]], "label": "x"}, "expected whole numbers from 0 to 255; got 256"),
        ({"image": [[0.5]], "label": "x"}, "expected whole numbers from 0 to 255; got 0.5"),
        ({"image": [[0], [1, 2]], "label": "x"}, "expected lists of the same length"),  # ragged
        ({"image": [[None]], "label": "x"}, "expected a list of numbers, or of texts"),
        ({"image": [[10**400]], "label": "x"}, "expected a list of numbers, or of texts"),
        ({"image": [[[[1]]]], "label": "x"}, "expected an image of shape"),
        ({"image": ["a.png"], "label": "x"}, "no image in the column 'image'"),
        ({"image": "a.png", "label": [1, 2]}, "column 'label': expected one value; got a list"),
        ({"image": "a.png", "label": "\ud800"}, "key 'label': expected text in Unicode; got '\\ud800'"),
        ({"image": "https://a.example/1.png", "label": "x"}, "name a folder to fetch into: download=FOLDER"),
    ],
)
def test_entries_that_are_set_aside(tmp_path, entry, reason):
    records = read(put(tmp_path, [*TWO, entry]))
    assert len(records) == 2
    assert reason in reasons(records)["data.json[2]"]


def test_lines_that_are_set_aside(tmp_path):
    lines = [json.dumps(TWO[0]), "{", '{"image": NaN}', '{"image": "a.png", "image": "b.png"}', json.dumps(TWO[1])]
    records = read(put(tmp_path, "\n".join(lines), "data.jsonl"))
    assert len(records) == 2
    assert reasons(records) == {
        "data.jsonl:2": "not JSON: Expecting property name enclosed in double quotes",
        "data.jsonl:3": "expected numbers as JSON has them; got NaN",
        "data.jsonl:4": "the key 'image' stands twice in one object",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data.json:1: not JSON: Expecting value"),
        ("[\n{,}]", "data.json:2: not JSON: "),  # names the line
        ("7", "expected a list of objects, an object a line, or a file that Lensmith wrote; got int"),
        ('{"a": 1}', "or a file that Lensmith wrote; got an object with the keys 'a'"),  # no list
        ("[]", "got no object that has a key"),
        ("[1, 2]", "got no object that has a key"),
        ("[{}]", "got no object that has a key"),
        ('[{"a": NaN}]', "data.json: expected numbers as JSON has them; got NaN"),
        ('[{"a": -Infinity}]', "got -Infinity"),
        ('[{"a": 1, "a": 2}]', "the key 'a' stands twice in one object"),
        ("[" * 100_000, "data.json: not JSON that can be read: "),  # lists in lists without end
        (f'[{{"a": {"9" * 5000}}}]', "data.json: not JSON that can be read: "),  # a number without end
        ('[{"image": "a.png", "a": "x", "b": "y"}]', "expected one column that is the label; got several"),
        ('{"lensmith": 2}', "data.json: lensmith: expected 1; got 2. A newer Lensmith may have written it"),
        ('{"lensmith": 1}', "expected 'labels', an object, and 'examples', a list; got others"),
        ('{"lensmith": 1, "labels": {}, "examples": []}', "expected at least one example that can be used; got none"),
        ('{"lensmith": 1, "labels": {"a": 1}, "examples": []}', "labels of 'a': expected an object; got int"),
        ('{"lensmith": 1, "labels": {"a": {"kind": "clas", "names": []}}, "examples": []}', "Did you mean 'class'?"),
        ('{"lensmith": 1, "labels": {"a": {"kind": "class"}}, "examples": []}', "expected names, a list of texts"),
    ],
)
def test_refusals(tmp_path, text, message):
    with pytest.raises(check.DataError) as error:
        read(put(tmp_path, text))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_other_bytes_are_refused_with_their_line(tmp_path):
    (tmp_path / "x.json").write_bytes('[\n{"image":\n"é.png"}]'.encode("latin-1"))
    with pytest.raises(check.DataError, match=r"x\.json:3: expected text in UTF-8; got other bytes"):
        read(tmp_path / "x.json")


def test_a_misspelt_key_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(
        check.SettingError, match=r"expected one of 'image', 'label'; got 'lable'. Did you mean 'label'"
    ):
        read(put(tmp_path, TWO), labels=("lable",))


@pytest.mark.parametrize(
    ("name", "text", "seen"),
    [
        ("x.json", "[{", True),  # a list of objects
        ("x.json", " \n[ ]", True),  # will be refused with a reason
        ("x.json", '{"lensmith": 1', True),  # our own
        ("x.json", '{"a": 1}', True),  # nobody else's; refused with a reason
        ("x.json", '{"images": []', False),  # COCO
        ("x.json", '{"info": {}', False),
        ("x.json", '{\n  "categories": []', False),
        ("x.json", '[{"image_id": 1, "bbox": [0, 0, 1, 1]}]', False),  # the detections of a model
        ("x.jsonl", '{"image": 1}', True),
        ("x.csv", "[{", False),
    ],
)
def test_files_that_are_recognised(tmp_path, name, text, seen):
    (tmp_path / name).write_text(text)
    assert (JSON.recognise(tmp_path / name) is not None) is seen


def test_folders_that_are_recognised(tmp_path):
    assert JSON.recognise(tmp_path) is None
    put(tmp_path, '{"images": []}')
    assert JSON.recognise(tmp_path) is None
    put(tmp_path, TWO)
    assert JSON.recognise(tmp_path) == "data.json, a list of objects"
    put(tmp_path, TWO, "more.json")
    assert JSON.recognise(tmp_path) is None
    with pytest.raises(check.DataError, match=r"expected one JSON file, or records\.json; got none, or several"):
        read(tmp_path)


def test_the_real_coco_files_are_left_to_their_own_reader(shared_data):
    found = list((shared_data / "rbc_coco").rglob("*.json"))
    assert found
    assert not any(JSON.recognise(path) or JSON.recognise(path.parent) for path in found)


def everything(folder):
    """Records with every kind of target, and all that can be said of one."""
    labels = {
        "species": Labels("class", ("cat", "ünused", "dog")),
        "tags": Labels("classes", ("sun", "sea|side", "")),
        "body": Labels("number", ("weight", "height")),
        "face": Labels("points", ("left eye", "nose")),
        "things": Labels("boxes", ("ball", "bone")),
        "ground": Labels("mask", ("other", "gräss")),
        "sky": Labels("mask", ("other", "class 1", "sky")),
    }
    draw(folder / "in" / "a.png", 9)
    Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8)).save(folder / "in" / "mask.png")
    rings = ((np.array([[0, 0], [1.1, 0], [1, 1]]), np.array([[2, 2], [3, 2], [3, 3]])), ())
    boxes = Boxes([[0, 0, 2, 2], [0.1, 1 / 3, 5, 4]], [1, 0], rings, [True, False], [False, True], [False, False])
    full = Record(
        "x:1",
        image=folder / "in" / "a.png",
        targets={
            "species": 2,
            "tags": (1, 2),
            "body": (0.1, -1e300),
            "face": np.array([[1.1, 2], [np.nan, np.nan]], np.float32),
            "things": boxes,
            "ground": folder / "in" / "mask.png",
            "sky": np.array([[0, 2], [2, 1]], np.uint8),
        },
        group="litter 3",
        part="validation",
        size=(4, 5),
        facts={"camera": "o\n\u2028ld", "": ""},
    )
    bare = Record("x:2", image=np.full((2, 3, 3), 7, np.uint8), targets={"things": Boxes([], []), "tags": ()})
    row = Record("x:3", row=np.array([0.1, 1e-38, 3.4028235e38], np.float32), targets={"species": 0})
    return Records((full, bare, row), labels, "everything")


def array_of(mask):
    return np.asarray(Image.open(mask)) if isinstance(mask, Path) else mask


def same(first, second):
    assert len(first) == len(second)
    assert second.set_aside == ()
    assert dict(first.labels) == dict(second.labels)
    for mine, theirs in zip(first, second, strict=True):
        assert (mine.group, mine.part, mine.size) == (theirs.group, theirs.part, theirs.size)
        assert dict(mine.facts) == dict(theirs.facts)
        if mine.row is None:
            assert np.array_equal(decode(mine.image, 3), decode(theirs.image, 3))
        else:
            assert np.array_equal(mine.row, theirs.row)
        assert set(mine.targets) == set(theirs.targets)
        for task, target in mine.targets.items():
            kind, other = first.labels[task].kind, theirs.targets[task]
            if kind == "mask":
                assert np.array_equal(array_of(target), array_of(other))
            elif kind == "points":
                assert np.array_equal(target, other, equal_nan=True)
                assert other.dtype == np.float32
            else:
                assert target == other


def test_everything_comes_back(tmp_path):
    records = everything(tmp_path)
    assert {labels.kind for labels in records.labels.values()} == set(KINDS)
    out = tmp_path / "out"
    out.mkdir()
    JSON.write(records, out)
    assert JSON.recognise(out) == "records.json, written by Lensmith"
    for source in (out, out / "records.json"):
        same(records, read(source))
    again = tmp_path / "again"
    again.mkdir()
    JSON.write(read(out), again)
    same(records, read(again))
    found = read(out)
    assert found[0].source == str(out / "records.json[0]")
    assert found[0].targets["ground"].parent == out / "targets-1"


def test_what_stands_in_the_file(tmp_path):
    labels = {"label": Labels("class", ("cat",)), "box": Labels("boxes", ("é",))}
    targets = {"label": 0, "box": Boxes([[0.1, 0, 2, 2]], [0])}
    JSON.write(Records((Record("x:1", image=np.zeros((2, 2), np.uint8), targets=targets),), labels), tmp_path)
    lines = (tmp_path / "records.json").read_text(encoding="utf-8").splitlines()
    assert lines == [
        '{"lensmith": 1,',
        ' "labels": {"label": {"kind": "class", "names": ["cat"]}, "box": {"kind": "boxes", "names": ["é"]}},',
        ' "examples": [',
        '  {"image": "images/x-000001.png", "targets": {"label": "cat", '
        '"box": {"xyxy": [[0.1, 0.0, 2.0, 2.0]], "classes": ["é"]}}}]}',
    ]


OWN = {
    "lensmith": 1,
    "labels": {
        "class": {"kind": "class", "names": ["cat", "dog"]},
        "classes": {"kind": "classes", "names": ["x"]},
        "number": {"kind": "number", "names": ["n"]},
        "points": {"kind": "points", "names": ["p"]},
        "boxes": {"kind": "boxes", "names": ["b"]},
        "mask": {"kind": "mask", "names": ["m"]},
    },
    "examples": [{"image": "a.png", "targets": {"class": "cat"}}],
}


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (7, "the example: expected an object; got int"),
        ({"targets": {}}, "expected either an image or a row of numbers"),
        ({"image": "a.png", "row": [1]}, "expected either an image or a row of numbers"),
        ({"image": 7}, "image: expected the path of a file; got int"),
        ({"image": "../a.png"}, "climbs out of its folder"),
        ({"row": [1, "2"]}, "row: expected a list of numbers"),
        ({"row": [[1]]}, "row: expected a list of numbers; got shape (1, 1)"),
        ({"row": [1e39]}, "row: expected numbers that float32 holds"),
        (
            {"row": [1], "part": "tset"},
            "part: expected one of train, validation, test; got 'tset'. Did you mean 'test'",
        ),
        ({"row": [1], "group": 7}, "group and facts: expected texts; got [7]"),
        ({"row": [1], "facts": {"a": 1}}, "group and facts: expected texts; got [1]"),
        ({"row": [1], "facts": []}, "facts: expected an object; got list"),
        ({"row": [1], "size": [4, True]}, "size: expected [height, width] in pixels; got [4, True]"),
        ({"row": [1], "targets": {"clas": "cat"}}, "task: expected one of class, classes"),
        ({"row": [1], "targets": {"class": "cta"}}, "got 'cta'. Did you mean 'cat'?"),
        ({"row": [1], "targets": {"classes": "x"}}, "target of 'classes': expected a list; got str"),
        ({"row": [1], "targets": {"number": [1, 2]}}, "target of 'number': expected 1, one a name; got 2"),
        ({"row": [1], "targets": {"number": [None]}}, "target of 'number': expected a list of numbers"),
        ({"row": [1], "targets": {"points": [1, 2]}}, "target of 'points': expected a list; got int"),
        ({"row": [1], "targets": {"points": [[1, 2, 3]]}}, "target of 'points': expected a list of [x, y]"),
        ({"row": [1], "targets": {"points": [["1", 2]]}}, "target of 'points': expected a list of numbers"),
        ({"row": [1], "targets": {"points": [[1], [1, 2]]}}, "expected lists of the same length"),
        ({"row": [1], "targets": {"points": []}}, "target of 'points': expected 1, one a name; got 0"),
        ({"row": [1], "targets": {"mask": "z.png"}}, "the image is missing: 'z.png'"),
        ({"row": [1], "targets": {"boxes": []}}, "target of 'boxes': expected an object; got list"),
        (
            {"row": [1], "targets": {"boxes": {"xyxy": [[1, 2, 3]], "classes": ["b"]}}},
            "expected an array of shape (n, 4)",
        ),
        ({"row": [1], "targets": {"boxes": {"xyxy": [[1, 2, 3, 4]], "classes": []}}}, "expected one class a box (1)"),
        ({"row": [1], "targets": {"boxes": {"xyxy": [], "classes": [], "crowd": [1]}}}, "expected true or false"),
        ({"row": [1], "targets": {"boxes": {"xyxy": [], "classes": [], "polygons": [7]}}}, "expected a list; got int"),
    ],
)
def test_own_examples_that_are_set_aside(tmp_path, example, reason):
    records = read(put(tmp_path, {**OWN, "examples": [*OWN["examples"], example]}))
    assert len(records) == 1
    assert reason in reasons(records)["data.json[1]"]


@pytest.mark.parametrize(
    ("target", "kind", "message"),
    [
        ((float("inf"),), "number", "x:1: expected finite numbers; got NaN or infinity"),
        (np.zeros((2, 2), np.int64), "mask", "x:1: t: expected a mask, uint8 of shape (height, width); got int64"),
        (Path("gone.png"), "mask", "x:1: t: the mask gone.png cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_written(tmp_path, target, kind, message):
    record = Record("x:1", image=np.zeros((2, 2), np.uint8), targets={"t": target})
    with pytest.raises(check.DataError) as error:
        JSON.write(Records((record,), {"t": Labels(kind, ("n",))}), tmp_path)
    assert message in str(error.value)
    with pytest.raises(check.DataError, match="no record to write"):
        JSON.write(Records((), {}), tmp_path / "none")


@pytest.mark.parametrize(
    ("row", "targets", "labels"),
    [
        ((1, np.nan), {}, {}),  # null is for a point that is not known, and for nothing else
        ((1, 2), {"t": Boxes([[0, 0, 1, np.nan]], [0])}, {"t": Labels("boxes", ("n",))}),
    ],
)
def test_numbers_that_json_does_not_have(tmp_path, row, targets, labels):
    record = Record("x:1", row=np.array(row, np.float32), targets=targets)
    with pytest.raises(check.DataError, match="x:1: expected finite numbers; got NaN or infinity"):
        JSON.write(Records((record,), labels), tmp_path)


def test_names_that_are_not_unicode(tmp_path):
    records = Records((Record("x:1", row=np.ones(1, np.float32), targets={}),), {"t": Labels("class", ("\ud800",))})
    with pytest.raises(check.DataError, match="data: a text that is not Unicode"):
        JSON.write(records, tmp_path)


finite = some.floats(width=32, allow_nan=False, allow_infinity=False)
texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=5)
corner = some.lists(finite, min_size=4, max_size=4)
point = some.tuples(finite, finite).map(list)


@given(
    names=some.lists(texts, min_size=2, max_size=2, unique=True),
    boxes=some.lists(
        some.tuples(corner, some.integers(0, 1), some.booleans(), some.lists(point, max_size=3)), max_size=3
    ),
    points=some.lists(point, min_size=2, max_size=2),
    row=some.lists(finite, min_size=1, max_size=4),
    number=some.floats(allow_nan=False, allow_infinity=False, width=32),
    rest=some.tuples(some.none() | texts, some.dictionaries(texts, texts, max_size=2)),
)
@settings(max_examples=40, deadline=None)
def test_anything_comes_back(names, boxes, points, row, number, rest):
    group, facts = rest
    found = Boxes(
        [one[0] for one in boxes],
        [one[1] for one in boxes],
        tuple((np.array(one[3], np.float32),) if one[3] else () for one in boxes),
        truncated=[one[2] for one in boxes],
    )
    labels = {"b": Labels("boxes", tuple(names)), "p": Labels("points", tuple(names)), "n": Labels("number", ("n",))}
    targets = {"b": found, "p": np.array(points, np.float32), "n": (number,)}
    record = Record("r:1", row=np.array(row, np.float32), targets=targets, group=group, facts=facts)
    with tempfile.TemporaryDirectory() as folder:
        JSON.write(Records((record,), labels), Path(folder))
        same(Records((record,), labels), JSON.read(Path(folder), Hints()))


LEAVES = (
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.sampled_from(["a.png", "cat", "dog", "../a.png", "train", "http://x/", "1 2 3 4", "x|y"])
    | some.text(max_size=4)
)
KEYS = some.sampled_from(
    ["image", "label", "row", "targets", "part", "group", "size", "facts", "class", "boxes", "xyxy"]
)
ANY = some.recursive(
    LEAVES,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(KEYS | some.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
TARGETS = some.dictionaries(some.sampled_from(list(OWN["labels"])), ANY, max_size=3)
BOX = some.fixed_dictionaries({"xyxy": ANY, "classes": ANY}, optional={"polygons": ANY, "crowd": ANY})


@given(
    content=some.binary(max_size=60)
    | some.text(max_size=40).map(lambda text: text.encode("utf-8"))
    | ANY.map(lambda value: json.dumps(value).encode())
    | some.lists(some.dictionaries(KEYS, ANY, max_size=4), max_size=4).map(lambda value: json.dumps(value).encode())
    | some.lists(
        some.fixed_dictionaries(
            {"row": some.just([1])}, optional={"targets": TARGETS | BOX.map(lambda box: {"boxes": box}), "facts": ANY}
        ),
        max_size=4,
    ).map(lambda value: json.dumps({**OWN, "examples": value}).encode()),
    lines=some.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_whatever_stands_there_the_answer_is_one_of_ours(content, lines):
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "a.png")
        path = Path(folder) / ("x.jsonl" if lines else "x.json")
        path.write_bytes(content)
        JSON.recognise(path)
        try:
            records = JSON.read(path, Hints())
        except check.LensmithError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert len(records)
            assert all(len(one.reason.splitlines()) == 1 for one in records.set_aside)


def test_parse_gives_what_json_gives():
    assert parse('{"a": [1, 2.5, "é", null, true]}', "x") == {"a": [1, 2.5, "é", None, True]}


def test_tasks_of_our_own_form_are_chosen(tmp_path):
    labels = {task: {"kind": "class", "names": ["p", "q"]} for task in ("shape", "colour")}
    examples = [
        {"image": "a.png", "targets": {"shape": "q", "colour": "p"}},
        {"image": "b.png", "targets": {"shape": "p", "colour": "no such class"}},
    ]
    path = put(tmp_path, {"lensmith": 1, "labels": labels, "examples": examples})
    assert [record.targets for record in read(path)] == [{"shape": 1, "colour": 0}]
    one = read(path, labels=("shape",))
    assert list(one.labels) == ["shape"]
    assert [record.targets for record in one] == [{"shape": 1}, {"shape": 0}]  # what is not read cannot be wrong
    assert list(read(path, labels=("colour", "shape")).labels) == ["colour", "shape"]
    none = read(path, labels=())
    assert (none.labels, len(none)) == ({}, 2)
    with pytest.raises(check.SettingError, match=r"data.json: labels: .*got 'shap'\. Did you mean 'shape'\?"):
        read(path, labels=("shap",))
