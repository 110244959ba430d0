"""COCO: what is found where, what is read from a file, what is set aside and why, what is written."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.formats.coco.masks import contours, decode_runs, outline
from lensmith.data.formats.coco.reading import COCO, HOLDS, read, recognise
from lensmith.data.formats.format import Hints
from lensmith.records import Boxes, Labels, Record, Records

HINTS = Hints()
CATEGORIES = ({"id": 7, "name": "dog"}, {"id": 3, "name": "cat", "supercategory": "animal"})


def draw(path, height=20, width=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width), np.uint8)).save(path)


def picture(key=1, name="a.png", **more):
    return {"id": key, "file_name": name, "height": 20, "width": 30, **more}


def thing(key=1, image=1, category=3, bbox=(1, 2, 10, 11), **more):
    return {"id": key, "image_id": image, "category_id": category, "bbox": [*bbox], "iscrowd": 0, **more}


def annotate(file, annotations, images=None, categories=CATEGORIES):
    file.parent.mkdir(parents=True, exist_ok=True)
    images = [picture()] if images is None else images
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))


def example(root, *annotations, **settings):
    draw(root / "a.png")
    annotate(root / "coco.json", annotations, **settings)
    return root


def boxes_of(records, place=0):
    return records[place].targets["objects"]


def problems(records):
    return [(Path(problem.source).name, problem.reason) for problem in records.set_aside]


def test_an_annotation_is_read(tmp_path):
    polygons = [[0, 0, 4, 0, 4, 4.5], [5, 5, 6, 5, 6, 6, 5, 6]]
    example(tmp_path, thing(1, category=7, segmentation=polygons), thing(2, bbox=(0.1, 0, 0.2, 5), iscrowd=1))
    records = read(tmp_path, HINTS)
    assert records.labels == {"objects": Labels("boxes", ("cat", "dog"))}  # by ascending id
    assert boxes_of(records) == Boxes(
        [[1, 2, 11, 13], [0.1, 0, 0.1 + 0.2, 5]],
        [1, 0],
        polygons=([np.reshape(polygons[0], (3, 2)), np.reshape(polygons[1], (4, 2))], []),
        crowd=[False, True],
    )
    assert (records[0].size, records[0].part, records[0].source) == ((20, 30), None, str(tmp_path / "a.png"))
    assert records.set_aside == ()
    assert records.layout == "COCO: 1 image, 2 boxes, 2 classes"
    assert read(tmp_path, Hints(labels=("animals",)))[0].targets.keys() == {"animals"}


@pytest.mark.parametrize(
    ("file", "name", "image", "part"),
    [
        ("coco.json", "a.png", "a.png", None),
        ("coco.json", "a.png", "images/a.png", None),
        ("coco.json", "photos/a.png", "photos/a.png", None),
        ("coco.json", ".\\photos\\a.png", "photos/a.png", None),
        ("coco.json", "A.PNG", "a.png", None),
        ("train/_annotations.coco.json", "a.png", "train/a.png", "train"),  # Roboflow
        ("annotations/instances_val2017.json", "a.png", "val2017/a.png", "validation"),  # as COCO unpacks
        ("annotations/instances_val2017.json", "a.png", "images/val2017/a.png", "validation"),
        ("annotations/instances_default.json", "a.png", "images/a.png", None),  # CVAT
        ("annotations/train.json", "train2017/a.png", "train2017/a.png", "train"),
        ("annotations/test.json", "a.png", "images/test/a.png", "test"),
        ("set/annotations/all.json", "a.png", "set/images/a.png", None),
    ],
)
def test_folders(tmp_path, file, name, image, part):
    draw(tmp_path / image)
    annotate(tmp_path / file, [thing()], [picture(name=name)])
    assert recognise(tmp_path) == f"1 JSON file with images and annotations: {file}"
    assert [(record.image, record.part) for record in read(tmp_path, HINTS)] == [(tmp_path / image, part)]
    assert recognise(tmp_path / file) == "a JSON file with images and annotations"
    if "annotations/" not in file:  # its images lie below; else one goes up as far as the folder says
        assert [record.part for record in read(tmp_path / file, HINTS)] == [None]


def test_one_file_by_name(tmp_path):
    draw(tmp_path / "val2017/a.png")
    annotate(tmp_path / "annotations/instances_val2017.json", [thing()])
    annotate(tmp_path / "annotations/person_keypoints_val2017.json", [thing(keypoints=[1, 2, 2])])
    whole = read(tmp_path, HINTS)
    assert (len(whole), problems(whole)) == (
        1,
        [("person_keypoints_val2017.json", "other annotations of the same images; name this file to read it")],
    )
    one = read(tmp_path / "annotations/person_keypoints_val2017.json", HINTS)
    assert problems(one) == [
        ("person_keypoints_val2017.json", "the keypoints of 1 annotation are not read, only the boxes")
    ]


def test_images_elsewhere(tmp_path):
    example(tmp_path / "here", thing())
    draw(tmp_path / "far/a.png", 5, 6)
    assert read(tmp_path / "here", Hints(images=tmp_path / "far"))[0].image == tmp_path / "far/a.png"
    with pytest.raises(check.SettingError, match=r"images: expected a folder"):
        read(tmp_path / "here", Hints(images=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (thing(12, image=9), "image_id: expected the id of an image; got 9"),
        ({"id": 12, "category_id": 3, "bbox": [1, 2, 3, 4]}, "image_id: expected the id of an image; got None"),
        (thing(12, category=1), "category_id: expected the id of a category that has a name; got 1"),
        (thing(12, category=[]), "category_id: expected the id of a category that has a name; got []"),
        (thing(12, bbox=()), "bbox: expected four finite numbers: x, y, width, height; got []"),
        (thing(12, bbox=(1, 2, 3)), "bbox: expected four finite numbers: x, y, width, height; got [1, 2, 3]"),
        (thing(12, bbox=(1, 2, 3, float("nan"))), "bbox: expected four finite numbers"),
        (thing(12, bbox=(1, 2, 3, float("inf"))), "bbox: expected four finite numbers"),
        (thing(12, bbox=(3e38, 2, 3e38, 4)), "bbox: expected four finite numbers"),  # the sum is past float32
        (thing(12, bbox=(1, 2, 3, 10**400)), "bbox: expected four finite numbers"),
        (thing(12, bbox=(1, 2, 3, "4")), "bbox: expected four finite numbers"),
        (thing(12, bbox=(1, 2, 3, True)), "bbox: expected four finite numbers"),
        ({"id": 12, "image_id": 1, "category_id": 3}, "bbox: expected four finite numbers"),
        (thing(12, iscrowd="no"), "iscrowd: expected 0 or 1; got 'no'"),
    ],
)
def test_a_bad_annotation_is_set_aside_by_its_id(tmp_path, annotation, reason):
    records = read(example(tmp_path, thing(), annotation), HINTS)
    assert len(boxes_of(records)) == 1
    [(source, found)] = problems(records)
    assert source == "coco.json: annotation 12"
    assert found.startswith(reason)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[1, 2, 3, 4]], "segmentation: expected polygons of at least 3 points"),
        ([[1, 2, 3, 4, 5, 6, 7]], "segmentation: expected polygons of at least 3 points"),
        ([[1, 2, 3, 4, 5, float("nan")]], "segmentation: expected polygons of at least 3 points"),
        ([1, 2, 3, 4, 5, 6], "segmentation: expected polygons of at least 3 points"),
        ("polygon", "segmentation: expected polygons or run lengths; got 'polygon'"),
        ({"counts": [1, 2]}, "segmentation: size: expected height and width; got None"),
        ({"counts": [1, 2], "size": [20, 30]}, "segmentation: counts: expected lengths that add up to 20 × 30 pixels"),
        ({"counts": [-1, 601], "size": [20, 30]}, "segmentation: counts: expected lengths that add up to"),
        ({"counts": "~~~~", "size": [20, 30]}, "segmentation: counts: expected lengths that add up to"),
        ({"counts": [4], "size": [2, 2]}, "segmentation: size: expected that of the image, [20, 30]; got [2, 2]"),
        ({"counts": [1], "size": [10**9, 10**9]}, "segmentation: size: expected height and width"),
    ],
)
def test_a_bad_outline_leaves_the_box(tmp_path, segmentation, reason):
    records = read(example(tmp_path, thing(12, segmentation=segmentation)), HINTS)
    assert boxes_of(records) == Boxes([[1, 2, 11, 13]], [0])
    [(source, found)] = problems(records)
    assert source == "coco.json: annotation 12"
    assert found.startswith(reason) and found.endswith("; its box is kept")


@pytest.mark.parametrize(
    ("images", "source", "reason"),
    [
        ([picture(), picture(1, "b.png")], "image 1 at place 1", "an earlier one has the same id"),
        ([picture(), picture(2, "b.png")], "image 2", "got 'b.png', which is not there"),
        (
            [picture(), picture(2, "../a.png")],
            "image 2",
            "file_name: the path '../a.png' climbs out of its folder",
        ),
        ([picture(), picture(2, "/a.png")], "image 2", "file_name: the path '/a.png' is absolute"),
        (
            [picture(), picture(2, "x/../../a.png")],
            "image 2",
            "the path 'x/../../a.png' climbs out",
        ),
        ([picture(), picture(2, None)], "image 2", "file_name: expected a text; got None"),
        ([picture(), picture(2, "a\0.png")], "image 2", "file_name: expected an image in or beside the folder"),
        ([picture(), picture(2, "\ud800/a.png")], "image 2", "which is not there"),
        ([picture(), {"file_name": "a.png"}], "image at place 1", "id: expected a whole number or a text; got None"),
        ([picture(), picture(2.5)], "image at place 1", "id: expected a whole number or a text; got 2.5"),
        ([picture(), 5], "image at place 1", "id: expected a whole number or a text; got 5"),
    ],
)
def test_a_bad_image_is_set_aside(tmp_path, images, source, reason):
    records = read(example(tmp_path, thing(), images=images), HINTS)
    assert len(records) == 1
    [problem] = records.set_aside
    assert problem.source == f"{tmp_path / 'coco.json'}: {source}"
    assert reason in problem.reason


def test_images_without_annotations_and_without_size(tmp_path):
    draw(tmp_path / "b.png", 4, 5)
    draw(tmp_path / "c.png")
    example(tmp_path, images=[picture(), {"id": "b", "file_name": "b.png", "height": 0}])
    records = read(tmp_path, HINTS)
    assert [(len(boxes_of(records, place)), records[place].size) for place in (0, 1)] == [(0, (20, 30)), (0, (4, 5))]
    assert problems(records) == [(tmp_path.name, "1 image here that no annotation file names, such as 'c.png'")]


def test_an_image_listed_twice_is_one_record(tmp_path):
    example(tmp_path, thing(1), thing(2, image=2, category=7), images=[picture(), picture(2)])
    records = read(tmp_path, HINTS)
    assert (len(records), boxes_of(records).classes.tolist()) == (1, [0, 1])


@pytest.mark.parametrize(
    ("categories", "used", "names", "classes"),
    [
        ([(5, "b"), (2, "a"), (9, "unused")], (5, 2), ("a", "b", "unused"), [1, 0]),
        ([(0, "a"), (1, "a")], (1, 1), ("a",), [0, 0]),  # Roboflow: the project is called like its only class
        ([(0, "bat"), (1, "bat"), (2, "bat 2")], (0, 1), ("bat", "bat 3", "bat 2"), [0, 1]),  # two things
        ([(1, 12), (2, "x")], (1, 2), ("12", "x"), [0, 1]),
        ([("y", "b"), ("x", "a")], ("y", "x"), ("a", "b"), [1, 0]),
    ],
)
def test_categories(tmp_path, categories, used, names, classes):
    listed = [{"id": key, "name": name} for key, name in categories]
    example(tmp_path, *(thing(place, category=key) for place, key in enumerate(used)), categories=listed)
    records = read(tmp_path, HINTS)
    assert (records.labels["objects"].names, boxes_of(records).classes.tolist()) == (names, classes)


def test_a_category_without_a_name(tmp_path):
    example(tmp_path, thing(), thing(2, category=4), categories=[*CATEGORIES, {"id": 4}, {"name": "no id"}])
    assert [source for source, _ in problems(read(tmp_path, HINTS))] == [
        "coco.json: category at place 3",
        "coco.json: category 4",
        "coco.json: annotation 2",
    ]


def test_names_by_hint(tmp_path):
    example(tmp_path / "data", thing(1, category=7), thing(2))
    (tmp_path / "names").write_text("bird\ndog\ncats")
    records = read(tmp_path / "data", Hints(names=tmp_path / "names"))
    assert (records.labels["objects"].names, boxes_of(records).classes.tolist()) == (("bird", "dog", "cats"), [1])
    assert problems(records) == [
        ("coco.json: annotation 2", "category: expected one of the names given; got 'cat'. Did you mean 'cats'?")
    ]


def test_parts_with_other_categories(tmp_path):
    for part, listed in (("train", [(1, "b"), (2, "a")]), ("valid", [(1, "a"), (2, "c")])):
        draw(tmp_path / part / "a.png")
        categories = [{"id": key, "name": name} for key, name in listed]
        annotate(tmp_path / part / "_annotations.coco.json", [thing(category=1)], categories=categories)
    (tmp_path / "test").mkdir()
    (tmp_path / "test/_annotations.coco.json").write_text('{"images": [], "annotations": [')
    records = read(tmp_path, HINTS)
    assert records.labels["objects"].names == ("b", "a", "c")
    assert {record.part: record.targets["objects"].classes.tolist() for record in records} == {
        "train": [0],
        "validation": [1],
    }
    assert records.set_aside[0].reason.startswith("expected JSON; got what is none")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected JSON; got what is none: Expecting value"),
        ("\xff", "expected text in UTF-8"),
        ("[" * 100_000, "expected JSON"),
        ("[]", r"expected COCO: an object with the lists .*; got JSON that starts with \[\]"),
        ('{"images": [], "annotations": {}}', "got no list annotations nor categories"),
        ('{"images": [], "annotations": [{"caption": "a cat"}], "categories": []}', "with a bbox; got caption"),
        ('{"images": [], "annotations": [], "categories": []}', "expected at least one image of a COCO file; got none"),
        (
            '{"images": [{"id": 1, "file_name": "b.png"}], "annotations": [], "categories": []}',
            "the first of 1 set aside",
        ),
    ],
)
def test_a_file_that_is_not_coco(tmp_path, text, message):
    file = tmp_path / "coco.json"
    file.write_text(text, "latin-1")
    with pytest.raises(check.DataError, match=message) as caught:
        read(file, HINTS)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_no_such_data(tmp_path):
    (tmp_path / "shape.json").write_text('{"shapes": [], "imagePath": "a.png"}')
    (tmp_path / "notes.txt").write_text('{"images": [], "annotations": []}')
    assert recognise(tmp_path) is None and recognise(tmp_path / "shape.json") is None
    assert recognise(tmp_path / "nothing") is None and recognise(tmp_path / "notes.txt") is None
    with pytest.raises(check.DataError, match=r"expected COCO: a JSON file .*; got no such file"):
        read(tmp_path, HINTS)
    with pytest.raises(check.DataError, match="cannot be opened: no such file"):
        read(tmp_path / "nothing.json", HINTS)


def test_a_long_file_is_recognised_by_its_ends(tmp_path):
    annotate(tmp_path / "a.json", [thing(key) for key in range(60_000)])
    assert (tmp_path / "a.json").stat().st_size > 2**22
    assert recognise(tmp_path) is not None


def slow_text(runs):
    """Run lengths as text, after rleToString of the COCO API, a bit at a time."""
    text = ""
    for place, run in enumerate(runs):
        value = run - (runs[place - 2] if place > 2 else 0)
        while True:
            group, value = value & 31, value >> 5
            more = value != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
            if not more:
                break
    return text


def slow_runs(mask):
    runs, last = [0], False
    for pixel in mask.T.reshape(-1):
        if pixel == last:
            runs[-1] += 1
        else:
            runs.append(1)
            last = pixel
    return runs


@given(st.integers(1, 40), st.integers(1, 40), st.randoms(use_true_random=False), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_run_lengths(height, width, random, share):
    mask = np.array([[random.random() < share for _ in range(width)] for _ in range(height)])
    runs = slow_runs(mask)
    assert np.array_equal(decode_runs(runs, [height, width]), mask)
    assert np.array_equal(decode_runs(slow_text(runs), [height, width]), mask)


def test_long_run_lengths():
    runs = [100_000, 3, 50, 2_000, 197_947]
    assert np.array_equal(decode_runs(slow_text(runs), [500, 600]), decode_runs(runs, [500, 600]))


@pytest.mark.parametrize(
    ("mask", "areas"),
    [
        (["#"], [1]),  # one pixel covers one square
        (["..", ".#"], [1]),
        (["###", "###"], [6]),
        (["###", "#.#", "###"], [9]),  # a hole is filled
        (["#..", "..#"], [1, 1]),  # two pieces
        (["#.#"], [1, 1]),
        (["#.", ".#"], [2]),  # pixels that touch
        (["##", "#."], [3]),  # a corner that runs inwards
        (["..."], []),
    ],
)
def test_contours(mask, areas):
    rings = contours(np.array([[pixel == "#" for pixel in row] for row in mask]))
    found = [abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2 for x, y in (ring.T for ring in rings)]
    assert sorted(found) == areas


@given(st.integers(1, 12), st.integers(1, 12), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_contours_hold_the_pixels_they_are_drawn_round(height, width, random):
    mask = np.array([[random.random() < 0.6 for _ in range(width)] for _ in range(height)])
    rings = contours(mask)
    centres = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) + 0.5
    inside = np.zeros_like(mask)
    for ring in rings:  # even-odd rule, a ray to the right of each centre
        for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            assert (x1 == x2) != (y1 == y2)  # along the edges of pixels
            if x1 == x2:
                inside ^= (centres[..., 0] < x1) & (min(y1, y2) < centres[..., 1]) & (centres[..., 1] < max(y1, y2))
    assert (inside | ~mask).all()  # whatever is inside beyond the mask is a hole
    reached = ~np.pad(mask, 1)
    outside = np.zeros_like(reached)
    outside[0] = True
    for _ in range(mask.size + height):  # what can be reached from outside, edge by edge
        grown = outside.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                grown |= np.roll(outside, step, axis) & reached
        outside = grown
    assert np.array_equal(inside, ~outside[1:-1, 1:-1])


def test_an_outline_of_run_lengths_fits_its_box(tmp_path):
    mask = np.zeros((20, 30), bool)
    mask[2:13, 1:11] = True
    example(tmp_path, thing(segmentation={"counts": slow_text(slow_runs(mask)), "size": [20, 30]}, iscrowd=1))
    [[ring]] = boxes_of(read(tmp_path, HINTS)).polygons
    assert [*ring.min(axis=0), *ring.max(axis=0)] == [1, 2, 11, 13]
    assert outline(None) == outline([]) == ()


def test_what_is_written(tmp_path):
    triangle = np.array([[0, 0], [4, 0], [4, 3]], np.float32)
    boxes = Boxes([[0.1, 2, 0.7, 4], [0, 0, 4, 3]], [1, 0], polygons=([], [triangle]), crowd=[True, False])
    records = Records(
        (Record("x:1", np.zeros((4, 6, 3), np.uint8), targets={"animals": boxes}),),
        {"animals": Labels("boxes", ("épée", "b", "unused"))},
    )
    (tmp_path / "flat").mkdir()
    COCO.write(records, tmp_path / "flat")
    content = json.loads((tmp_path / "flat/annotations.json").read_text())
    assert content["images"] == [{"id": 1, "file_name": "x-000001.png", "height": 4, "width": 6}]
    assert [one["name"] for one in content["categories"]] == ["épée", "b", "unused"]
    first, second = content["annotations"]
    assert first["bbox"] == [0.1, 2, 0.6, 2] and first["area"] == pytest.approx(1.2)
    assert (first["category_id"], first["iscrowd"], first["segmentation"]) == (2, 1, [])
    assert (second["bbox"], second["area"], second["segmentation"]) == ([0, 0, 4, 3], 6, [[0, 0, 4, 0, 4, 3]])
    assert HOLDS == {"polygons", "crowd"}  # noqa: SIM300


def test_parts_are_written(tmp_path):
    empty = {"objects": Boxes([], [])}
    pixels = np.zeros((4, 6), np.uint8)
    items = [Record(f"x:{place}", pixels, targets=empty, part=part) for place, part in enumerate(("validation", None))]
    COCO.write(Records(tuple(items), {"objects": Labels("boxes", ("a",))}), tmp_path)
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert written == [
        "train/_annotations.coco.json",
        "train/x-000001.png",
        "valid/_annotations.coco.json",
        "valid/x-000000.png",
    ]


def test_a_short_outline_is_not_written(tmp_path):
    boxes = Boxes([[0, 0, 1, 1]], [0], polygons=([[[0, 0], [1, 1]]],))
    record = Record("x:0", np.zeros((4, 6), np.uint8), targets={"t": boxes})
    with pytest.raises(check.DataError, match="x:0: polygons: expected at least 3 points each; got fewer"):
        COCO.write(Records((record,), {"t": Labels("boxes", ("a",))}), tmp_path)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4))
@settings(max_examples=200, deadline=None)
def test_corners_come_back_exactly(corners):
    from lensmith.data.formats.coco.writing import _bbox

    x, y, width, height = json.loads(json.dumps(_bbox(np.asarray(corners, np.float32))))
    again = np.float32([x, y, x + width, y + height])
    assert np.allclose(again, np.float32(corners), rtol=0, atol=1e-9)
    if np.abs(corners).min() > 0.1:
        assert np.array_equal(again, np.float32(corners))


VALID = {
    "images": [picture(), picture("b", "a.png")],
    "annotations": [
        thing(1, segmentation=[[0, 0, 4, 0, 4, 4]]),
        thing(2, image="b", segmentation={"counts": "0X3", "size": [20, 30]}, iscrowd=1),
    ],
    "categories": [*CATEGORIES],
}
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "size", "counts"]), inner),
    max_leaves=5,
)


def swap(value, random, odd):
    """The value with one place in it exchanged."""
    if isinstance(value, dict | list) and value and random.random() < 0.9:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key = random.choice(list(keys))
        copy = dict(value) if isinstance(value, dict) else list(value)
        if random.random() < 0.1:
            del copy[key]
        else:
            copy[key] = swap(value[key], random, odd)
        return copy
    return odd


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    root = tmp_path_factory.mktemp("fuzz")
    draw(root / "a.png")
    return root


def read_or_refuse(file):
    try:
        records = read(file, HINTS)
    except check.LensmithError as error:
        assert "\n" not in str(error)
        return
    assert all(np.isfinite(boxes_of(records, place).xyxy).all() for place in range(len(records)))
    assert all("\n" not in problem.source + problem.reason for problem in records.set_aside)


@given(st.randoms(use_true_random=False), st.lists(ODD, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_values_crash_the_reader(fuzzed, random, values):
    content = VALID
    for odd in values:
        content = swap(content, random, odd)
    (fuzzed / "coco.json").write_text(json.dumps(content))
    recognise(fuzzed)
    read_or_refuse(fuzzed / "coco.json")


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=4)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_crash_the_reader(fuzzed, changes):
    content = json.dumps(VALID).encode()
    for share, gone, chunk in changes:
        place = int(share * len(content))
        content = content[:place] + chunk + content[place + gone :]
    (fuzzed / "coco.json").write_bytes(content)
    read_or_refuse(fuzzed / "coco.json")


def test_blood_cells(shared_data):
    records = read(shared_data / "rbc_coco", HINTS)
    assert (records.layout, records.set_aside) == ("COCO: 240 images, 5,638 boxes, 3 classes", ())
    assert [len(records.part(part)) for part in ("train", "validation", "test")] == [210, 20, 10]
