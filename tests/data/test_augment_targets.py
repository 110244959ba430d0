"""Boxes, outlines, points and masks go where their pixels go."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lensmith import check
from lensmith.data.augmentation.applying import augmented
from lensmith.data.augmentation.clipping import clip_ring, ring_area
from lensmith.data.augmentation.following import apply_boxes, apply_mask, apply_points, fit, follow
from lensmith.data.augmentation.geometry import Change, matrix, warp
from lensmith.data.augmentation.record import Augment
from lensmith.data.augmentation.rolling import join, roll_targets
from lensmith.data.masks import VOID
from lensmith.records import Boxes, Labels

HEIGHT, WIDTH = 30, 40
BOXES = {"object": Labels("boxes", ("a", "b"))}
changes = st.builds(
    Change,
    mirror=st.tuples(st.booleans(), st.booleans()),
    quarters=st.integers(0, 3),
    corners=st.tuples(*[st.floats(-0.15, 0.15)] * 6),
    shear=st.floats(-30, 30),
    angle=st.floats(-180, 180),
    enlarge=st.booleans(),
    zoom=st.floats(0.6, 1.8),
    shift=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
)
sizes = st.tuples(st.integers(15, 50), st.integers(15, 50))


@st.composite
def rectangles(draw):
    x, y = draw(st.integers(0, WIDTH - 3)), draw(st.integers(0, HEIGHT - 3))
    return x, y, draw(st.integers(x + 3, WIDTH)), draw(st.integers(y + 3, HEIGHT))


def bounds_of_warped(mask, m, size, fine=6):
    """The box around what is left of a mask after the warp, looked at through a grid of ``fine`` lines a pixel."""
    finer = np.diag([fine, fine, 1.0]) @ m
    warped = warp(mask, finer, (size[0] * fine, size[1] * fine), fill="constant", value=0, nearest=True)
    if not warped.any():
        return None
    rows, columns = np.flatnonzero(warped.any(axis=1)), np.flatnonzero(warped.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / fine


@settings(max_examples=40, deadline=None)
@given(change=changes, rectangle=rectangles(), size=sizes)
def test_a_box_through_the_matrix_is_the_box_of_the_warped_mask(change, rectangle, size):
    m = matrix(change, (HEIGHT, WIDTH), size)
    x1, y1, x2, y2 = rectangle
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y1:y2, x1:x2] = 1
    moved = apply_boxes(Boxes([rectangle], [0]), m, size, least=0)
    expected, finer = bounds_of_warped(mask, m, size), bounds_of_warped(mask, m, size, fine=12)
    if expected is None or finer is None:  # then at most a sliver between the lines of the grid is left
        assert not len(moved) or (moved.xyxy[0, 2:] - moved.xyxy[0, :2]).min() < 1
        return
    assert len(moved) == 1
    if np.abs(expected - finer).max() < 0.4:
        np.testing.assert_allclose(moved.xyxy[0], finer, atol=1)
    else:  # a tip too thin for the grid: what is seen of it lies in the box
        assert (moved.xyxy[0, :2] <= finer[:2] + 0.2).all()
        assert (moved.xyxy[0, 2:] >= finer[2:] - 0.2).all()


@settings(max_examples=40, deadline=None)
@given(change=changes, size=sizes, seed=st.integers(0, 99))
def test_an_outline_through_the_matrix_is_that_of_the_warped_mask(change, size, seed):
    """An ellipse: a box around its corners would be too large once it is tilted."""
    rng = np.random.default_rng(seed)
    centre, radii = rng.uniform([8, 8], [32, 22]), rng.uniform(4, 8, 2)
    turns = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = centre + radii * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    fine = 4  # the mask of the source is drawn finer too
    y, x = (np.mgrid[: HEIGHT * fine, : WIDTH * fine] + 0.5) / fine
    mask = (((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1).astype(np.uint8)
    m = matrix(change, (HEIGHT, WIDTH), size)
    xyxy = [*(centre - radii), *(centre + radii)]
    moved = apply_boxes(Boxes([xyxy], [0], ((ring,),)), m, size, least=0.02)
    drawn = m @ np.diag([1 / fine, 1 / fine, 1])
    expected, finer = bounds_of_warped(mask, drawn, size), bounds_of_warped(mask, drawn, size, fine=12)
    if expected is not None and len(moved):
        if np.abs(expected - finer).max() < 0.4:
            np.testing.assert_allclose(moved.xyxy[0], finer, atol=1)
        assert (moved.polygons[0][0].min(axis=0) >= 0).all()
        assert (moved.polygons[0][0].max(axis=0) <= np.array(size[::-1]) + 1e-4).all()


@settings(max_examples=40, deadline=None)
@given(change=changes, size=sizes, points=st.lists(st.tuples(st.floats(-5, 45), st.floats(-5, 35)), max_size=5))
def test_points_come_back_by_the_inverse(change, size, points):
    m = matrix(change, (HEIGHT, WIDTH), size)
    there = apply_points(np.array(points, np.float32).reshape(-1, 2), m)
    assert there.dtype == np.float32
    back = apply_points(there, np.linalg.inv(m))
    np.testing.assert_allclose(back, np.array(points).reshape(-1, 2), atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(first=changes, second=changes, rectangle=rectangles())
def test_two_matrices_are_one(first, second, rectangle):
    """With frames so wide that nothing is cut, the outline after both is that of their product."""
    wide = (HEIGHT, WIDTH)
    one, other = matrix(first, wide, wide), matrix(second, wide, wide)
    x1, y1, x2, y2 = rectangle
    corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], np.float64)
    in_turn = apply_points(apply_points(corners, one).astype(np.float64), other)
    np.testing.assert_allclose(in_turn, apply_points(corners, other @ one), atol=1e-3)


def test_everything_stays_without_a_change():
    boxes = Boxes(
        [[0, 0, 40, 30], [3.3, 4.7, 10.1, 12.2]],
        [1, 0],
        ((), (np.array([[4, 5], [10, 5], [7, 12]]),)),
        crowd=[True, False],
        difficult=[False, True],
    )
    assert apply_boxes(boxes, np.eye(3), (HEIGHT, WIDTH)) == boxes


@pytest.mark.parametrize(
    ("box", "m", "least", "expected"),
    [
        # In a frame of 10 x 10.
        ([2, 2, 6, 4], np.diag([2.0, 2, 1]), 0.1, [4, 4, 10, 8]),  # grows to 12 wide, cut at 10
        ([0, 0, 4, 4], [[1, 0, -3], [0, 1, 0], [0, 0, 1]], 0.25, [0, 0, 1, 4]),  # just a quarter remains
        ([0, 0, 4, 4], [[1, 0, -3], [0, 1, 0], [0, 0, 1]], 0.26, None),  # a little less than asked
        ([0, 0, 4, 4], [[1, 0, -4], [0, 1, 0], [0, 0, 1]], 0.0, None),  # it only touches the frame
        ([0, 0, 4, 4], [[1, 0, 50], [0, 1, 0], [0, 0, 1]], 0.0, None),  # far away
        ([1, 2, 3, 8], [[-1, 0, 10], [0, 1, 0], [0, 0, 1]], 0.1, [7, 2, 9, 8]),  # mirrored: corners stay in order
    ],
)
def test_boxes_on_paper(box, m, least, expected):
    moved = apply_boxes(Boxes([box], [0]), np.array(m, np.float64), (10, 10), least=least)
    assert moved.xyxy.tolist() == ([] if expected is None else [expected])


def test_a_cut_outline_makes_the_box_tighter():
    """A triangle with its tip at the lower right: of its left half, only the part above the long side is seen."""
    ring = np.array([[0, 0], [8, 0], [8, 8]])
    m = np.array([[1, 0, -4.0], [0, 1, 0], [0, 0, 1]])
    outside = apply_boxes(Boxes([[0, 0, 8, 8]], [0], ((ring,),)), m, (8, 2))
    assert outside.xyxy.tolist() == [[0, 0, 2, 6]]  # the rectangle alone would reach down to 8
    assert outside.truncated.tolist() == [True]
    assert ring_area(outside.polygons[0][0]) == 4 * 2 + 2 * 2 / 2


def test_what_is_said_about_a_box_goes_with_it():
    boxes = Boxes([[0, 0, 2, 2], [6, 6, 9, 9]], [1, 0], crowd=[True, False], difficult=[False, True])
    moved = apply_boxes(boxes, np.array([[1, 0, -5.0], [0, 1, -5], [0, 0, 1]]), (10, 10))
    assert moved == Boxes([[1, 1, 4, 4]], [0], difficult=[True])
    assert len(apply_boxes(Boxes([], []), np.eye(3), (4, 4))) == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), corners=st.integers(3, 9))
def test_a_clipped_outline_has_the_area_of_its_mask(seed, corners):
    """A star around the middle, half of it outside; its area inside is counted on a fine grid."""
    rng = np.random.default_rng(seed)
    turns = (np.arange(corners) + rng.uniform(0, 0.4, corners)) * 2 * np.pi / corners  # it never crosses itself
    ring = rng.uniform(0, 20, 2) + rng.uniform(3, 15, (corners, 1)) * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    clipped = clip_ring(ring, (20, 20))
    y, x = (np.mgrid[:200, :200] + 0.5) / 10
    inside = np.zeros(x.shape, bool)
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        crosses = (y1 > y) != (y2 > y)
        inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1 if y2 != y1 else 1) + x1)
    assert abs(ring_area(clipped) - inside.mean() * 400) < 3


@pytest.mark.parametrize("aside", [(10, 0), (-10, 0), (0, 10), (0, -10), (10, 10), (-9, 9)])
def test_an_outline_stays_as_it_is_or_goes_as_a_whole(aside):
    ring = np.array([[1.0, 1], [2, 1], [2, 3]])
    assert clip_ring(ring, (4, 4)) is ring
    assert clip_ring(ring + aside, (4, 4)).shape == clip_ring(np.zeros((0, 2)), (4, 4)).shape == (0, 2)


def test_masks_take_the_nearest_pixel_and_know_what_is_void():
    mask = np.array([[1, 2], [3, 4]], np.uint8)
    right = np.array([[1, 0, 1.0], [0, 1, 0], [0, 0, 1]])
    assert apply_mask(mask, right, (2, 2), fill="constant").tolist() == [[VOID, 1], [VOID, 3]]
    assert apply_mask(mask, right, (2, 2), fill="nearest").tolist() == [[1, 1], [3, 3]]
    assert apply_mask(mask, right, (2, 2), fill="wrap").tolist() == [[2, 1], [4, 3]]
    assert apply_mask(mask, right, (2, 2), fill="reflect").tolist() == [[1, 1], [3, 3]]
    assert set(np.unique(apply_mask(mask, np.diag([3.7, 3.7, 1]), (7, 7)))) == {1, 2, 3, 4}  # nothing in between


def test_every_kind_follows_its_pixels():
    """A white rectangle on black: its box, its corner and its mask lie where it lies in the image that comes out."""
    image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    image[8:20, 10:30] = 255
    labels = {
        "object": Labels("boxes", ("a",)),
        "corner": Labels("points", ("upper left",)),
        "pixels": Labels("mask", ("no", "yes")),
        "label": Labels("class", ("x", "y")),
    }
    targets = {
        "object": Boxes([[10, 8, 30, 20]], [0]),
        "corner": np.array([[10, 8]], np.float32),
        "pixels": (image[..., 0] // 255),
        "label": 1,
    }
    ranges = Augment(flip="both", turn=True, rotate=30, zoom=0.3, shear=10, fill="constant", shift=0.1)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, moved = augmented(image, targets, labels, size=(60, 80), augment=ranges, rng=rng)
        rows, columns = np.nonzero(x[..., 0] > 127)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(moved["object"].xyxy[0], seen, atol=1.5)
        column, row = moved["corner"][0]
        around = x[max(int(row) - 2, 0) : int(row) + 3, max(int(column) - 2, 0) : int(column) + 3]
        assert not 0 < column < 80 or not 0 < row < 60 or np.ptp(around) > 100  # an edge is there
        known = moved["pixels"] != VOID
        assert ((moved["pixels"] == 1) == (x[..., 0] > 127))[known].mean() > 0.97
        assert moved["label"] == 1


def test_a_rolled_image_takes_its_targets_along():
    size = (10, 20)
    labels = BOXES | {"tip": Labels("points", ("a", "b")), "m": Labels("mask", ("no", "yes"))}
    mask = np.zeros(size, np.uint8)
    mask[2:6, 14:20] = 1
    targets = {"object": Boxes([[14, 2, 20, 6]], [1]), "tip": np.array([[14, 2], [-3, 4]]), "m": mask}
    rolled = roll_targets(targets, labels, (4, 0), size)
    # 6 wide, 4 of it over the right border: two pieces, 2 wide on the right and 4 on the left.
    assert rolled["object"].xyxy.tolist() == [[18, 2, 20, 6], [0, 2, 4, 6]]
    assert rolled["object"].classes.tolist() == [1, 1]
    assert rolled["tip"].tolist() == [[18, 2], [1, 4]]  # the second lies outside: it moves, but is not wrapped
    assert rolled["m"][3].tolist() == [1] * 4 + [0] * 14 + [1] * 2
    back = roll_targets(rolled, labels, (-4, 0), size)
    np.testing.assert_array_equal(back["m"], mask)


@settings(max_examples=40, deadline=None)
@given(rectangle=rectangles(), x=st.integers(-8, 8), y=st.integers(-6, 6))
def test_the_pieces_of_a_rolled_box_cover_what_was_rolled(rectangle, x, y):
    x1, y1, x2, y2 = rectangle
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y1:y2, x1:x2] = True
    pieces = roll_targets({"object": Boxes([rectangle], [0])}, BOXES, (x, y), (HEIGHT, WIDTH), least=0)["object"]
    covered = np.zeros_like(mask)
    for left, top, right, bottom in pieces.xyxy.astype(int):
        covered[top:bottom, left:right] = True
    np.testing.assert_array_equal(covered, np.roll(mask, (y, x), axis=(0, 1)))


def test_boxes_are_joined_with_all_they_have():
    one = Boxes([[0, 0, 1, 1]], [0], ((np.array([[0, 0], [1, 0], [1, 1]]),),), crowd=[True])
    joined = join([one, Boxes([], []), Boxes([[2, 2, 3, 3]], [1])])
    assert joined.select([0]) == one
    assert joined.classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("target", "kind", "said"),
    [
        (3, "boxes", "target of 't': expected boxes; got int"),
        (Path("mask.png"), "mask", "expected an array; got .*Path. Read a mask's file first"),
    ],
)
def test_a_target_of_another_form_is_named(target, kind, said):
    with pytest.raises(check.DataError, match=said):
        follow({"t": target}, {"t": Labels(kind, ("a",))}, np.eye(3), (4, 4))


def test_the_targets_of_an_image_that_is_only_resized(tmp_path):
    mask = np.repeat(np.array([[0, 1], [2, 3]], np.uint8), 10, axis=0)  # 20 x 2
    Image.fromarray(mask).save(tmp_path / "mask.png")
    labels = BOXES | {
        "tip": Labels("points", ("a",)),
        "m": Labels("mask", tuple("abcd")),
        "age": Labels("number", ("n",)),
    }
    sliver = Boxes([[0, 0, 2, 0.01]], [0])  # thin, but nothing of it is lost
    targets = {"object": sliver, "tip": np.array([[1, 20.0]]), "m": tmp_path / "mask.png", "age": (3.5,)}
    fitted = fit(targets, labels, (20, 2), (4, 4))
    np.testing.assert_allclose(fitted["object"].xyxy, [[0, 0, 4, 0.002]])
    assert fitted["tip"].tolist() == [[2, 4]]
    assert fitted["m"].tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2
    assert fitted["age"] == (3.5,)


def test_a_mask_of_another_size_is_refused():
    image, labels = np.zeros((4, 4, 1), np.uint8), {"m": Labels("mask", ("a", "b"))}
    with pytest.raises(check.DataError, match=r"target of 'm': expected the size of its image, 4 x 4"):
        mask = np.zeros((4, 5), np.uint8)
        augmented(image, {"m": mask}, labels, size=(4, 4), augment=Augment(), rng=np.random.default_rng(0))
