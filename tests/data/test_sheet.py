"""The contact sheet: what it shows lies where it should, and nothing stops it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from lensmith import check
from lensmith.data.augmentation.record import Augment
from lensmith.data.masks import VOID
from lensmith.data.overlay import colour_of, painted
from lensmith.data.page import _last, _wrapped
from lensmith.data.sheet import _caption, save_sheet, sheet, strip
from lensmith.records import Boxes, Labels, Record, Records

MARGIN, TITLE, GAP = 20, 46, 14


def gray(level, height=40, width=60):
    return np.full((height, width, 1), level, np.uint8)


def some(count=5, labels=None, **targets):
    items = tuple(Record(source=f"{i}.png", image=gray(40 * i), targets=targets) for i in range(count))
    return Records(items, labels or {}, name="drawn")


def cell_of(page, column, row=0, side=60, line=1):
    step = side + 9 + 15 * line + GAP
    top, left = MARGIN + TITLE + row * step, MARGIN + column * (side + GAP)
    return page[top : top + side, left : left + side]


def test_images_stand_in_their_cells_in_order():
    page = sheet(some(), columns=3, cell=60, count=9)
    assert page.dtype == np.uint8
    assert page.shape[1] == 2 * MARGIN + 3 * 60 + 2 * GAP
    for place in range(5):  # 40 x 60 pixels in the middle of a cell of 60
        inside = cell_of(page, place % 3, place // 3)
        assert (inside[10:50] == 40 * place).all()
        assert (inside[:10] == inside[0, 0]).all()


def test_a_sample_is_drawn_by_its_seed():
    many = some(count=6)
    first = sheet(many, columns=2, cell=60, count=2, seed=1)
    np.testing.assert_array_equal(first, sheet(many, columns=2, cell=60, count=2, seed=1))
    assert any(not np.array_equal(first, sheet(many, columns=2, cell=60, count=2, seed=s)) for s in range(2, 6))


def test_each_row_shows_one_image_and_its_changes():
    page = sheet(some(), columns=3, cell=60, count=6, augment=Augment(brightness=0.5))
    for row in range(2):
        as_it_is, *changed = (cell_of(page, column, row)[30, 30, 0] for column in range(3))
        assert as_it_is % 40 == 0
        assert as_it_is == 0 or any(level != as_it_is for level in changed)


def test_boxes_follow_into_the_cell():
    labels = {"object": Labels("boxes", ("a", "b"))}
    page = sheet(some(1, labels, object=Boxes([[30, 20, 60, 40]], [1])), cell=120, columns=1)
    inside = cell_of(page, 0, side=120)  # twice as large, from row 20 on
    colour = np.array(colour_of(1))
    rows, columns = np.nonzero((np.abs(inside.astype(int) - colour) < 3).all(axis=2))
    assert (rows.min(), rows.max()) == (20 + 40, 20 + 79)
    assert (columns.min(), columns.max()) == (60, 119)


def test_a_box_in_a_changed_image_is_drawn_around_its_object():
    image = gray(0)
    image[10:20, 5:15] = 255
    labels = {"object": Labels("boxes", ("a",))}
    record = Record(source="a.png", image=image, targets={"object": Boxes([[5, 10, 15, 20]], [0])})
    page = sheet(Records((record,), labels), columns=4, cell=60, augment=Augment(flip="both", turn=True))
    for column in range(4):
        inside = cell_of(page, column).astype(int)
        white = np.argwhere((inside > 250).all(axis=2))
        blue = np.argwhere((np.abs(inside - colour_of(0)) < 3).all(axis=2))
        if column:  # the line of two pixels lies on the object's own border
            np.testing.assert_allclose(white.min(axis=0), blue.min(axis=0) + 2, atol=1)
            np.testing.assert_allclose(white.max(axis=0), blue.max(axis=0) - 2, atol=1)


def test_masks_are_seen_through_and_the_background_is_clear():
    mask = np.array([[0, 1], [2, VOID]], np.uint8)
    labels = {"m": Labels("mask", ("background", "a", "b"))}
    shown = painted(np.full((2, 2, 3), 100, np.uint8), {"m": mask}, labels)
    assert shown[0, 0].tolist() == [100] * 3
    np.testing.assert_allclose(shown[0, 1], (100 + np.array(colour_of(1))) / 2, atol=1)
    np.testing.assert_allclose(shown[1, 0], (100 + np.array(colour_of(2))) / 2, atol=1)
    assert shown[1, 1].tolist() not in ([100] * 3, shown[0, 1].tolist())


def test_points_are_dots_and_missing_ones_are_left_out():
    labels = {"p": Labels("points", ("a", "b"))}
    points = np.array([[10, 15], [np.nan, np.nan]], np.float32)
    shown = painted(np.zeros((30, 30, 3), np.uint8), {"p": points}, labels)
    assert shown[15, 10].tolist() == list(colour_of(0))
    assert not shown[:, 20:].any()


def test_outlines_are_filled_a_little():
    labels = {"o": Labels("boxes", ("a",))}
    boxes = Boxes([[5, 5, 25, 25]], [0], ((np.array([[5, 5], [25, 5], [5, 25]]), np.array([[1, 1]])),))
    shown = painted(np.zeros((30, 30, 3), np.uint8), {"o": boxes}, labels)
    assert 0 < shown[10, 10, 2] < colour_of(0)[2]
    assert not shown[22, 22].any()  # in the box, but not in the outline


def test_what_cannot_be_read_is_a_gray_cell(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "mask.png")
    labels = {"m": Labels("mask", ("a", "b"))}
    items = (
        Record(source="broken.png", image=tmp_path / "broken.png"),
        Record(source="missing.png", image=tmp_path / "missing.png"),
        Record(source="wrong mask.png", image=gray(9), targets={"m": tmp_path / "mask.png"}),
        Record(source="good.png", image=gray(77)),  # without a label
    )
    page = sheet(Records(items, labels), columns=4, cell=60)
    for column in range(3):
        assert cell_of(page, column)[1, 1].tolist() == [214, 216, 221]
    assert cell_of(page, 3)[30, 30].tolist() == [77] * 3

    changed = sheet(Records(items, labels), columns=3, cell=60, count=12, augment=Augment(rotate=5))
    assert cell_of(changed, 0, 0)[1, 1].tolist() == [214, 216, 221]
    assert cell_of(changed, 0, 3)[30, 30].tolist() == [77] * 3  # a broken image takes a whole row, as the others do


LONG = "a class with a very long name that no cell can hold"


@pytest.mark.parametrize(
    ("labels", "target"),
    [
        (Labels("class", (LONG, "dog")), 0),
        (Labels("classes", ("a", LONG, "c", "d", "e", "f", "g")), (0, 1, 2, 3, 4, 5, 6)),
        (Labels("classes", ("a",)), ()),  # none of the classes
        (Labels("number", ("age", "height")), (3.5, 1e9)),
        (Labels("points", tuple("abcdefghijkl")), np.zeros((12, 2), np.float32)),
        (Labels("boxes", ("Größe", "línea\nnueva")), Boxes([[0, 0, 9, 9], [1, 1, 3, 3]], [0, 1])),
        (Labels("boxes", ("a",)), Boxes([], [])),
        (Labels("mask", ("a",)), np.full((40, 60), 7, np.uint8)),  # an index beyond the names
    ],
)
@pytest.mark.parametrize("cell", [20, 60])
def test_every_kind_has_its_line(labels, target, cell):
    page = sheet(some(2, {"t": labels}, t=target), columns=2, cell=cell)
    assert page.shape[1] == 2 * MARGIN + 2 * cell + GAP
    assert page[-12:].min() > 200  # nothing is written over the edge


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 400, 3), (500, 2, 3), (8, 8, 1)])
def test_odd_sizes_fit(shape):
    records = Records((Record(source="a", image=np.full(shape, 200, np.uint8)),), {})
    for augment in (None, Augment(rotate=30)):
        assert sheet(records, columns=2, cell=60, augment=augment).ndim == 3


def test_a_size_shows_what_a_model_sees():
    page = sheet(some(2), columns=2, cell=60, size=(20, 20))
    assert (cell_of(page, 1) == 40).all()  # squeezed into a square


def test_it_is_written_as_png(tmp_path: Path):
    path = save_sheet(tmp_path / "new" / "sheet.png", some(), columns=2, cell=30)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), sheet(some(), columns=2, cell=30))
    assert [file.name for file in path.parent.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.JPEG", "JPEG")])
def test_the_suffix_says_the_format(tmp_path: Path, name, kind):
    with Image.open(save_sheet(tmp_path / name, some(), columns=2, cell=30)) as written:
        assert written.format == kind


@pytest.mark.parametrize("name", ["a.gif", "a", "a.png.txt"])
def test_other_suffixes_are_refused(tmp_path: Path, name):
    with pytest.raises(check.SettingError, match=r"expected a file that ends in \.png, \.jpg or \.jpeg"):
        save_sheet(tmp_path / name, some())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("count", "rows"), [(None, 4), (1, 1), (3, 3)])
def test_with_changes_each_example_has_a_row(count, rows):
    page = sheet(some(5), columns=2, cell=60, count=count, augment=Augment(rotate=5))
    assert len(page) == 2 * MARGIN + TITLE + rows * (60 + 9 + 15) + (rows - 1) * GAP


@pytest.mark.parametrize("setting", ["columns", "cell", "count"])
def test_wrong_settings_are_named(setting):
    with pytest.raises(check.SettingError, match=f"sheet: {setting}"):
        sheet(some(), **{setting: 0})


@pytest.mark.parametrize("items", [(), (Record(source="t:1", row=np.zeros(3, np.float32)),)])
def test_without_images_there_is_no_sheet(items):
    with pytest.raises(check.DataError, match="data: expected images to draw; got none"):
        sheet(Records(items, {}))


def test_real_photos(shared_data):
    from lensmith.data import read

    page = sheet(read(shared_data / "cats_vs_dogs"), columns=3, cell=80, count=3, augment=Augment(rotate=20))
    assert len(np.unique(page)) > 100


def test_mixed_images_say_how_much_of_what():
    """Two images of one level each; what is mixed lies between, and its line has a square of each class's colour."""
    items = tuple(
        Record(source=f"{i}.png", image=gray(level, 40, 40 + 20 * i), targets={"t": i})
        for i, level in enumerate((40, 200))
    )
    records = Records(items, {"t": Labels("class", ("dark", "bright"))})
    page = sheet(records, columns=6, cell=60, count=12, augment=Augment(mixup=5), seed=0)
    step = (len(page) - 2 * MARGIN - TITLE - GAP) // 2
    mixed, line = 0, (step - 60 - 9) // 15
    for column in range(1, 6):
        for row, own in enumerate((40, 200)):
            inside = cell_of(page, column, row, line=line)
            assert np.ptp(inside) == 0  # as large as the cell, or they could not be mixed
            weight = (inside[0, 0, 0] - 40.0) / 160
            below = MARGIN + TITLE + row * (step + GAP) + 60
            under = page[below : below + step - 60, MARGIN + column * (60 + GAP) :][:, :60].astype(int)
            squares = [(np.abs(under - colour_of(place)).max(axis=2) < 3).sum() > 40 for place in (0, 1)]
            assert squares == [weight < 0.995, weight > 0.005]
            mixed += 0.01 < weight < 0.99 and own != inside[0, 0, 0]
    assert mixed >= 4


def test_a_mosaic_is_shown_with_its_boxes(tmp_path):
    labels = {"o": Labels("boxes", ("a", "b"))}
    (tmp_path / "broken.png").write_bytes(b"no image")
    items = (
        Record(source="0.png", image=gray(40), targets={"o": Boxes([[20, 10, 40, 30]], [0])}),
        Record(source="broken.png", image=tmp_path / "broken.png"),  # no part of any mosaic
        Record(source="1.png", image=gray(200), targets={"o": Boxes([[20, 10, 40, 30]], [1])}),
    )
    page = sheet(Records(items, labels), columns=5, cell=60, count=15, augment=Augment(mosaic=1), size=(60, 60))
    both = sum({40, 200} <= set(cell_of(page, column, row)[..., 0].ravel()) for column in range(1, 5) for row in (0, 2))
    assert both >= 4
    assert cell_of(page, 1, 1)[1, 1].tolist() == [214, 216, 221]


@pytest.mark.parametrize(
    ("augment", "said"),
    [
        (Augment(mixup=0.4), "augment: mixing: .* the task 'o' .*boxes"),
        (Augment(cutmix=1), "set mixup and cutmix to 0"),
    ],
)
def test_what_cannot_be_mixed_is_refused_as_in_training(augment, said):
    records = some(2, {"o": Labels("boxes", ("a",))}, o=Boxes([], []))
    with pytest.raises(check.SettingError, match=said):
        sheet(records, columns=2, cell=60, augment=augment)


def test_tasks_that_say_the_same_say_it_once():
    one = {"a": Labels("class", ("cat",)), "b": Labels("class", ("cat",))}
    pages = [
        sheet(some(1, {task: one[task] for task in tasks}, **dict.fromkeys(tasks, 0)), columns=1, cell=120)
        for tasks in ("a", "ab")
    ]
    np.testing.assert_array_equal(*pages)


def test_a_caption_never_leaves_its_cell():
    font = ImageFont.load_default(12)
    rng = np.random.default_rng(0)
    for _ in range(300):
        width, count = int(rng.integers(30, 250)), int(rng.integers(1, 9))
        words = [("kitten on a sofa"[: rng.integers(1, 16)], (0, 0, 0) if rng.random() < 0.7 else None)] * count
        lines = _wrapped(tuple(words), width)
        assert 1 <= len(lines) <= 2
        for line in lines:
            assert all(text for text, _ in line)
            squares = sum(13 for _, colour in line if colour)
            assert sum(font.getlength(text) + 9 for text, _ in line) - 9 + squares <= width
        left_out = sum(len(line) for line in lines) < count
        assert not left_out or lines[-1][-1][0].endswith("…")


def test_tasks_are_told_apart_by_name_and_colour():
    labels = {"animal": Labels("class", ("cat", "dog")), "place": Labels("class", ("in", "out"))}
    assert _caption({"animal": 1, "place": 0}, labels) == (("animal: dog", colour_of(1)), ("place: in", colour_of(2)))
    assert _caption({"animal": 1}, {"animal": labels["animal"]}) == (("dog", colour_of(1)),)
    shown = painted(
        np.zeros((30, 30, 3), np.uint8),
        {"a": np.float32([[5, 5]]), "b": np.float32([[20, 20]])},
        {"a": Labels("points", ("x",)), "b": Labels("points", ("y",))},
    )
    assert (shown[5, 5].tolist(), shown[20, 20].tolist()) == (list(colour_of(0)), list(colour_of(1)))


def test_a_strip_keeps_the_order_and_brackets_its_groups():
    """Groups of 2, 2 and 1: the second would be broken by a row of three, and begins the next."""
    head, step = 26, 60 + 9 + 15 + 15 + GAP  # a name and a line below each
    page = strip(some(5), "5 images", groups=[0, 0, 1, 1, 2], columns=3, cell=60)
    assert page.shape == (2 * MARGIN + head + 2 * step - GAP, 2 * MARGIN + 3 * 60 + 2 * GAP, 3)
    for place, level in zip((0, 1, 3, 4, 5), range(0, 200, 40), strict=True):
        row, column = divmod(place, 3)
        assert page[MARGIN + head + row * step + 30, MARGIN + column * (60 + GAP) + 30, 0] == level
    for row, gaps in enumerate(([True, False], [True, False])):  # does the line go on between two cells?
        line = page[MARGIN + head + row * step - 5]
        middles = [line[MARGIN + 60 + GAP // 2 + column * (60 + GAP), 0] < 200 for column in range(2)]
        assert middles == gaps


def test_a_strip_shows_what_cannot_be_read_and_the_ends_of_long_names(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    records = Records((Record(source="broken.png", image=tmp_path / "broken.png"),), {})
    assert strip(records, "1 image", cell=60)[MARGIN + 26 + 1, MARGIN + 1].tolist() == [214, 216, 221]
    font = ImageFont.load_default(12)
    short = _last("a folder/a long name of a photo 0123.jpg", 80, font)
    assert short.startswith("…") and short.endswith("0123.jpg") and font.getlength(short) <= 80
