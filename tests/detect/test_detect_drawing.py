"""Drawing: the right colours at the right places, and names that can be read wherever the box lies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from colour_detector import canvas
from lensmith.data.overlay import colour_of
from lensmith.detect import drawing
from lensmith.detect.drawing import draw, enlarged_by, ink_on
from lensmith.detect.finding import Found


def found(size: tuple[int, int], *boxes: list[float], classes: tuple[int, ...] = (), label: str = "dog") -> Found:
    kinds = np.array(classes or (0,) * len(boxes), np.int64)
    scores = np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)
    return Found(size, np.array(boxes, np.float32).reshape(-1, 4), scores, kinds, (label,) * len(boxes))


def test_lines_lie_along_the_inside_of_the_box() -> None:
    picture = canvas((400, 600))
    drawn = draw(picture, found((400, 600), [100, 50, 300, 350], classes=(3,)))
    colour = list(colour_of(3))
    for row, column in ((200, 100), (200, 299), (349, 200)):  # left, right, below: the outermost pixels of the box
        assert drawn[row, column].tolist() == colour
    for row, column in ((200, 99), (200, 300), (350, 200), (200, 200)):  # beside them, and the middle
        assert drawn[row, column].tolist() == [90, 90, 90]
    assert picture.max() == 90, "the picture itself is not changed"


def test_a_class_has_the_same_colour_in_every_picture() -> None:
    one = draw(canvas((400, 400)), found((400, 400), [100, 100, 300, 300], classes=(7,)))
    other = draw(canvas((500, 400)), found((500, 400), [0, 90, 50, 95], [100, 100, 300, 300], classes=(2, 7)))
    assert one[200, 100].tolist() == other[200, 100].tolist() == list(colour_of(7))


def test_the_best_lies_on_top() -> None:
    drawn = draw(canvas((400, 400)), found((400, 400), [100, 100, 300, 300], [100, 200, 300, 380], classes=(1, 2)))
    assert drawn[250, 100].tolist() == list(colour_of(1))


def test_nothing_found_is_the_picture() -> None:
    picture = canvas((330, 400), ("red", (1, 2, 30, 40)))
    assert (draw(picture, found((330, 400))) == picture).all()


@pytest.mark.parametrize(
    ("size", "times"),
    [((320, 200), 1), ((200, 320), 1), ((319, 100), 2), ((32, 32), 10), ((1, 1), 320), ((4000, 8000), 1)],
)
def test_small_pictures_are_enlarged(size: tuple[int, int], times: int) -> None:
    assert enlarged_by(size) == times


def test_an_enlarged_picture_has_its_boxes_enlarged() -> None:
    drawn = draw(canvas((32, 20)), found((32, 20), [4, 8, 16, 30]))
    assert drawn.shape == (320, 200, 3)
    assert drawn[200, 40].tolist() == list(colour_of(0))
    assert drawn[200, 39].tolist() == [90, 90, 90]


def test_lines_and_letters_grow_with_the_picture() -> None:
    def line(side: int) -> int:
        drawn = draw(canvas((side, side)), found((side, side), [side / 4, side / 4, side / 2, side / 2]))
        row = (drawn[side * 3 // 8] == colour_of(0)).all(axis=1)
        return int(row[: side * 3 // 8].sum())

    assert [line(400), line(1600), line(3200)] == [2, 6, 11]


@given(
    size=st.tuples(st.integers(1, 500), st.integers(1, 500)),
    corners=st.lists(st.tuples(*[st.floats(-0.2, 1.2)] * 4), max_size=4),
    label=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=40),
)
@settings(max_examples=25, deadline=None)
def test_any_box_and_any_name_can_be_drawn(
    size: tuple[int, int], corners: list[tuple[float, float, float, float]], label: str
) -> None:
    height, width = size
    boxes = [[min(a, c) * width, min(b, d) * height, max(a, c) * width, max(b, d) * height] for a, b, c, d in corners]
    times = enlarged_by(size)
    assert draw(canvas(size), found(size, *boxes, label=label)).shape == (height * times, width * times, 3)


@given(
    box=st.tuples(*[st.integers(0, 399)] * 4),
    label=st.tuples(st.integers(1, 400), st.integers(1, 300)),
    placed=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200)), max_size=5),
)
@settings(max_examples=25, deadline=None)
def test_a_label_is_never_outside(
    box: tuple[int, int, int, int], label: tuple[int, int], placed: list[tuple[int, int]]
) -> None:
    x1, y1, x2, y2 = box
    ordered = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    others = [(x, y, x + 50, y + 20) for x, y in placed]
    left, top, right, bottom = drawing._room(ordered, label, (400, 300), others, others)
    assert (right - left, bottom - top) == label
    assert left >= 0
    assert top >= 0
    assert right <= 400
    assert bottom <= 300


@pytest.mark.parametrize(
    ("box", "placed", "expected"),
    [
        ((50, 100, 150, 200), [], (50, 80)),  # above the box
        ((50, 5, 150, 200), [], (50, 5)),  # no room above: inside
        ((380, 100, 399, 200), [], (340, 80)),  # moved to the left, into the picture
        ((50, 100, 150, 200), [(50, 80, 90, 99)], (50, 100)),  # above is taken: inside
        ((50, 100, 150, 200), [(50, 80, 90, 110)], (50, 201)),  # inside too: below
        ((50, 100, 150, 200), [(0, 0, 400, 300)], (50, 80)),  # all is taken: above
        ((50, 100, 150, 200), [(0, 0, 400, 300), (50, 80, 90, 90)], (50, 100)),  # where least is hidden
    ],
)
def test_where_a_label_goes(
    box: tuple[int, int, int, int], placed: list[tuple[int, int, int, int]], expected: tuple[int, int]
) -> None:
    assert drawing._room(box, (60, 20), (400, 300), placed, [])[:2] == expected


def test_a_name_does_not_hide_what_is_in_a_small_box() -> None:
    box, small = (50, 100, 150, 200), [(60, 90, 70, 110)]
    assert drawing._room(box, (60, 20), (400, 300), [], small)[:2] == (50, 201)


def test_the_name_of_the_best_lies_on_top() -> None:
    """Two boxes at one place fill the picture, so that all places for names are the same."""
    names = draw(canvas((330, 40)), found((330, 40), [0, 0, 40, 330], [0, 0, 40, 330], classes=(1, 2)))
    shown = {tuple(pixel) for pixel in names.reshape(-1, 3).tolist()}
    assert colour_of(1) in shown


def test_small_boxes_have_smaller_names() -> None:
    pen = drawing._Pen.of((2000, 2000))
    assert [pen.letter_for((0, 0, side, side)) for side in (10, 140, 1000)] == [25, 35, 42]


def test_a_name_too_long_is_cut() -> None:
    font = drawing._font(12)
    assert isinstance(font, ImageFont.FreeTypeFont)
    assert drawing._shortened("dog 0.90", font, 400) == "dog 0.90"
    short = drawing._shortened("a very long name of a class 0.90", font, 60)
    assert short.endswith("…")
    assert font.getlength(short) <= 60
    assert drawing._shortened("dog", font, 1) == ""


@pytest.mark.parametrize("index", range(40))
def test_letters_stand_out_from_their_ground(index: int) -> None:
    """The contrast ratio of WCAG 2.1 is at least that for large letters, 3."""
    first, second = sorted((drawing._luminance(colour_of(index)), drawing._luminance(ink_on(colour_of(index)))))
    assert (second + 0.05) / (first + 0.05) >= 3
