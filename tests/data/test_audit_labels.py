"""Labels that cannot be right are found and named, and right ones are left in peace."""

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data import images
from lensmith.data.inspection.labels import problems
from lensmith.data.inspection.labels.outlines import crossing
from lensmith.data.inspection.labels.values import spelling
from lensmith.records import Boxes, Labels, Record, Records

PIXELS = np.zeros((1, 1, 1), np.uint8)
SIZE = (20, 30)  # height and width of every image here
NAMES = ("cat", "dog", "emu")
SQUARE = [(2, 2), (8, 2), (8, 8), (2, 8)]


def made(kind, *targets, names=NAMES, size=None):
    items = tuple(
        Record(f"{place}.png", image=PIXELS, targets={} if target is None else {"it": target}, size=size)
        for place, target in enumerate(targets)
    )
    return Records(items, {"it": Labels(kind, names)})


def found(records, sizes=None):
    """Severity, message without the task, and files of each finding."""
    findings = list(problems(records, sizes or [SIZE] * len(records)))
    assert all(one.kind == "label" and "\n" not in one.message for one in findings)
    assert all(len(one.notes) in (0, len(one.files)) for one in findings)
    return [(one.severity, one.message.removeprefix("it: "), named(one)) for one in findings]


def named(finding):
    """The files, each with its note."""
    return (
        tuple(f"{file} ({note})" for file, note in zip(finding.files, finding.notes, strict=bool(finding.notes)))
        or finding.files
    )


def test_right_labels_are_left_in_peace():
    fine = Boxes([[0, 0, 30, 20], [2, 2, 8, 8], [2, 2, 8, 8]], [0, 1, 2], [(), (SQUARE,), ()])
    nudged = Boxes([[-0.4, 0, 30.4, 20.4]], [0])  # rounding
    assert found(made("boxes", fine, Boxes([], []), nudged, None)) == []
    assert found(made("class", 0, 1, 2, None)) == []
    assert found(made("classes", (0, 2), ())) == []
    assert found(made("number", (1.5,), (-2.0,), names=("y",))) == []
    assert found(made("points", np.array([[0, 0], [30, 20], [29.5, 3]], np.float32))) == []
    assert found(made("mask", np.array([[0, 1], [2, 255]], np.uint8)), [(2, 2)]) == []
    assert found(Records(made("class", 0).items, {})) == []


# The box beside a right one; and what is said of it.
BOXES = [
    ([5, 5, np.nan, 9], ("severe", "1 box has no finite corners")),
    ([5, 5, np.inf, 9], ("severe", "1 box has no finite corners")),
    # no width
    ([5, 5, 5, 9], ("severe", "1 box has no area or its corners the wrong way round")),
    # corners exchanged
    ([9, 5, 5, 9], ("severe", "1 box has no area or its corners the wrong way round")),
    # begins where the image ends
    ([30, 5, 35, 9], ("severe", "1 box lies wholly outside its image")),
    ([5, -9, 8, 0], ("severe", "1 box lies wholly outside its image")),
    # one pixel too far, at each side
    ([-1, 5, 8, 9], ("warning", "1 box reaches out of its image")),
    ([5, 5, 31, 9], ("warning", "1 box reaches out of its image")),
    ([5, 5, 8, 21], ("warning", "1 box reaches out of its image")),
    # the same as the first
    ([1, 1, 4, 4], ("warning", "1 box is there twice")),
]


@pytest.mark.parametrize(("corners", "expected"), BOXES)
def test_faults_of_boxes(corners, expected):
    records = made("boxes", Boxes([], []), Boxes([[1, 1, 4, 4], corners], [0, 0]))
    assert found(records) == [(*expected, ("1.png (box 1)",))]


def test_one_finding_for_each_sort_lists_all():
    one = Boxes([[0, 0, 40, 5], [3, 3, 3, 3], [0, 0, 9, 9]], [0, 0, 0])
    two = Boxes([[0, 0, 40, 5], [0, 0, 40, 5], [0, 0, 40, 5]], [0, 0, 1])
    assert found(made("boxes", one, two)) == [
        ("severe", "1 box has no area or its corners the wrong way round", ("0.png (box 1)",)),
        (
            "warning",
            "4 boxes reach out of their image",
            ("0.png (box 0)", "1.png (boxes 0, 1, 2)"),
        ),
        ("warning", "1 box is there twice", ("1.png (box 1)",)),  # box 2 is of another class
    ]


def test_the_size_a_record_states_serves_where_none_is_known():
    records = made("boxes", Boxes([[0, 0, 9, 9]], [0]), size=(5, 5))
    assert found(records, [None])[0][1] == "1 box reaches out of its image"
    assert found(made("boxes", Boxes([[0, 0, 9, 9]], [0])), [None]) == []
    with pytest.raises(check.SettingError, match=r"sizes: expected one a record \(1\); got 2"):
        list(problems(records, [None, None]))


# Kind, stated size, real size; and what is said.
STATED = [
    ("boxes", SIZE, []),
    ("boxes", (30, 20), [("severe", "1 image stated with height and width exchanged: the labels may belong to")]),
    ("boxes", (20, 31), [("warning", "1 image of another size than stated")]),
    # a class does not turn with its image
    ("class", (30, 20), [("warning", "1 image stated with height and width exchanged")]),
]


@pytest.mark.parametrize(("kind", "stated", "expected"), STATED)
def test_stated_sizes(kind, stated, expected):
    said = found(made(kind, Boxes([], []) if kind == "boxes" else 0, size=stated))
    assert [
        (severity, message[: len(start)]) for (severity, message, _), (_, start) in zip(said, expected, strict=True)
    ] == expected
    assert [files for *_, files in said] == [("0.png",)] * len(expected)


# The rings of a box 2, 2, 8, 8; and what is said of it.
OUTLINES = [
    ([SQUARE], []),
    # the point that closes the ring stands twice
    ([[*SQUARE, SQUARE[0]]], []),
    # a bow
    ([[(2, 2), (8, 8), (8, 2), (2, 8)]], [("warning", "1 box with an outline that crosses itself")]),
    # two parts, the second crossed: named once
    ([SQUARE, [(2, 2), (8, 8), (8, 2), (2, 8)]], [("warning", "1 box with an outline that crosses itself")]),
    # touches itself in a corner, as a ring with a hole does
    ([[(2, 2), (8, 2), (5, 5), (8, 8), (2, 8), (5, 5)]], []),
    ([SQUARE, [(3, 3), (4, 4)]], [("severe", "1 box with an outline of fewer than 3 points")]),
    ([[]], [("severe", "1 box with an outline of fewer than 3 points")]),
    # a pixel is rounding, two are not
    ([[(1, 2), (9, 2), (8, 8)]], []),
    ([[(0, 2), (8, 2), (8, 8)]], [("warning", "1 box with an outline that reaches out of it")]),
]


@pytest.mark.parametrize(("rings", "expected"), OUTLINES)
def test_outlines(rings, expected):
    boxes = Boxes([[0, 0, 5, 5], [2, 2, 8, 8]], [0, 0], [(), tuple(rings)])
    assert found(made("boxes", boxes)) == [(*one, ("0.png (box 1)",)) for one in expected]


def crosses(ring):
    """Whether two edges that share no corner meet inside both: exact, and slow."""
    corners = [(Fraction(float(x)), Fraction(float(y))) for x, y in ring]
    edges = list(zip(corners, [*corners[1:], corners[0]], strict=True))

    def side(a, b, c):
        value = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        return (value > 0) - (value < 0)

    return any(
        side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
        for place, (a, b) in enumerate(edges)
        for c, d in edges[:place]
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=0, max_size=9), min_size=1, max_size=6)
)
def test_crossings_as_exact_arithmetic_finds_them(rings):
    points = np.array([point for ring in rings for point in ring], np.float64).reshape(-1, 2)
    got = crossing(points, np.array([len(ring) for ring in rings]))
    assert got.tolist() == [len(ring) > 3 and crosses(ring) for ring in rings]


def test_crossings_of_long_rings():
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1) * 100
    knot = circle.copy()
    knot[[40, 41]] = knot[[41, 40]]
    assert crossing(np.concatenate([circle, knot]), np.array([300, 300])).tolist() == [False, True]


def test_points():
    outside = np.array([[5, 5], [31, 5]], np.float32)
    endless = np.array([[5, np.nan], [1, 5]], np.float32)
    assert found(made("points", outside, endless, outside)) == [
        ("severe", "1 example with points that are not finite", ("1.png",)),
        ("warning", "2 images with points outside", ("0.png", "2.png")),
    ]


def test_masks(tmp_path):
    def saved(name, pixels):
        Image.fromarray(np.asarray(pixels, np.uint8)).save(tmp_path / name)
        return tmp_path / name

    (tmp_path / "note.png").write_text("a mask")
    masks = [
        saved("fine.png", [[0, 1], [2, 255]]),
        tmp_path / "none.png",
        saved("large.png", np.zeros((4, 6))),
        saved("more.png", [[0, 7], [9, 1]]),
        np.array([[0, 9], [1, 1]], np.uint8),
        tmp_path / "note.png",
    ]
    assert found(made("mask", *masks), [(2, 2)] * 6) == [
        ("severe", "1 mask missing", ("1.png",)),
        ("severe", "1 mask that cannot be read as class indices", ("5.png",)),
        ("severe", "1 mask of another size than the image", ("2.png",)),
        ("severe", "2 masks with values that no class has (7, 9)", ("3.png", "4.png")),
    ]
    binary = saved("binary.png", [[0, 255], [255, 0]])
    assert found(made("mask", binary, names=("no", "yes")), [(2, 2)]) == []


def test_numbers_that_are_none():
    records = made("number", (1.0, np.nan), (2.0, 3.0), (np.inf, 0.0), names=("x", "y"))
    assert found(records) == [("severe", "2 examples with a number that is not finite", ("0.png", "2.png"))]


# Kind, targets; and what is said of a class that has no name.
UNKNOWN = [
    ("class", (0, 5, -1), "2 examples of a class that has no name (-1, 5; there are 3 names, from 0)"),
    ("classes", ((0,), (2, 3)), "1 example of a class that has no name (3; there are 3 names, from 0)"),
]


@pytest.mark.parametrize(("kind", "targets", "message"), UNKNOWN)
def test_classes_without_a_name(kind, targets, message):
    assert [one[:2] for one in found(made(kind, *targets))] == [("severe", message)]


def test_boxes_of_a_class_without_a_name():
    ((severity, message, files),) = found(made("boxes", Boxes([[0, 0, 5, 5], [0, 0, 6, 6]], [0, 4])))
    assert (severity, files) == ("severe", ("0.png (box 1)",))
    assert message == "1 box of a class that has no name (4; there are 3 names, from 0)"


# Names, the classes used, and whether ids seem to count from 1.
SHIFTED = [
    # three names, ids 1 to 3
    (NAMES, (1, 2, 3), True),
    # numbers for names, as arrays without names have: 0 is never used
    (("0", "1", "2"), (1, 2), True),
    (("class 0", "class 1", "class 2"), (1, 2), True),
    (("0", "1", "2"), (0, 1, 2), False),
    # names of their own: cats are missing, nothing more
    (NAMES, (1, 2), False),
    # one class alone says nothing
    (("0", "1"), (1, 1), False),
    (("0", "1", "2", "3"), (2, 3), False),
]


@pytest.mark.parametrize(("names", "used", "expected"), SHIFTED)
def test_ids_that_count_from_one(names, used, expected):
    for kind, targets in (("class", used), ("boxes", [Boxes([[0, 0, 5, 5]], [index]) for index in used])):
        said = [message for _, message, _ in found(made(kind, *targets, names=names))]
        assert any("ids seem to count from 1" in message for message in said) == expected


# Names, and those that may mean the same.
ALIKE = [
    (("Cat", "cat ", "dog"), "'Cat', 'cat '"),
    (("golden_retriever", "golden retriever"), "'golden_retriever', 'golden retriever'"),
    (("box", "boxes", "berry", "berries"), "'box', 'boxes'; 'berry', 'berries'"),
    (("cats", "cat"), "'cats', 'cat'"),
    # words that end so
    (("bus", "buses"), "'bus', 'buses'"),
    (("bus", "bu", "glass", "glas", "as", "a"), None),
    (("0", "1", "class 12"), None),
]


@pytest.mark.parametrize(("names", "listed"), ALIKE)
def test_names_that_may_mean_the_same(names, listed):
    said = [message for _, message, _ in found(made("class", 0, names=names))]
    assert said == ([f"class names that may mean the same: {listed}"] if listed else [])
    assert spelling("A_b  c ") == "a b c"


def test_a_hundred_thousand_boxes_take_a_second_or_two():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 10, (10_000, 10, 2))
    corners = np.concatenate([low, low + rng.uniform(1, 9, low.shape)], axis=2)
    records = made("boxes", *(Boxes(one, np.zeros(10)) for one in corners))
    start = time.perf_counter()
    assert found(records) == []
    assert time.perf_counter() - start < 8  # half a second alone; the machine may be busy


def test_real_boxes_are_in_order(shared_data):
    from lensmith.data.formats.format import Hints
    from lensmith.data.formats.voc.reading import read

    records = read(shared_data / "raccoon_voc", Hints())
    assert found(records, [images.extent(Path(record.image)) for record in records]) == []
