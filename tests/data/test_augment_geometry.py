"""One matrix and one resampling: exact where it can be, near a slow reference where not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith.data import resize
from lensmith.data.augmentation.applying import augmented, chosen
from lensmith.data.augmentation.geometry import Change, drawn, matrix, reduced, reduction, warp
from lensmith.data.augmentation.record import Augment

share = st.floats(0, 1)
changes = st.builds(
    Change,
    mirror=st.tuples(st.booleans(), st.booleans()),
    quarters=st.integers(0, 3),
    corners=st.tuples(*[st.floats(-0.2, 0.2)] * 6),
    shear=st.floats(-40, 40),
    angle=st.floats(-180, 180),
    enlarge=st.booleans(),
    zoom=st.floats(0.5, 2),
    shift=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
)
sides = st.tuples(st.integers(3, 40), st.integers(3, 40))


def noise(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def through(point, m):
    x, y, one = m @ [*point, 1]
    assert one == 1
    return x, y


def change_image(image, size=None, **ranges):
    size = size or image.shape[:2]
    return augmented(image, {}, {}, size=size, augment=Augment(**ranges), rng=np.random.default_rng(0))[0]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect", "wrap"])
def test_without_ranges_the_image_comes_back_to_the_bit(channels, fill):
    image = noise(13, 17, channels)
    result = change_image(image, fill=fill)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, image)


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("size", [(6, 6), (5, 8)])
def test_mirrors_and_quarter_turns_are_exact(quarters, mirror, size):
    image = noise(*size)
    mirrored = image[:: -1 if mirror[1] else 1, :: -1 if mirror[0] else 1]
    expected = np.rot90(mirrored, quarters)
    m = matrix(Change(mirror=mirror, quarters=quarters), size, expected.shape[:2])
    np.testing.assert_array_equal(warp(image, m, expected.shape[:2], fill="constant"), expected)


@pytest.mark.parametrize(
    ("change", "point", "lands"),
    [
        # An image of 40 x 20 (width x height) to the same size; its centre is (20, 10).
        (Change(), (3, 4), (3, 4)),
        (Change(zoom=2), (25, 10), (30, 10)),  # 5 from the centre becomes 10
        (Change(shift=(0.25, -0.5)), (20, 10), (30, 0)),  # a quarter of 40, half of 20
        (Change(angle=90), (30, 10), (20, 0)),  # counter-clockwise: what was right is above
        (Change(angle=180), (0, 0), (40, 20)),
        (Change(shear=45), (20, 20), (30, 10 + 10)),  # 10 below the centre goes 10 to the right
        (Change(corners=(0.1, 0, 0, 0, 0, 0)), (0, 0), (4, 0)),  # the upper left corner by a tenth of 40
        (Change(corners=(0.1, 0, 0, 0, 0, 0)), (40, 0), (40, 0)),  # the others stay
        (Change(corners=(0, 0, 0, 0.2, 0.1, 0)), (40, 0), (40, 4)),
        (Change(corners=(0, 0, 0, 0.2, 0.1, 0)), (0, 20), (4, 20)),
        # A quarter turn with the frame enlarged gives a frame of 20 x 40; it is resized to 40 x 20.
        (Change(angle=90, enlarge=True), (40, 0), (0, 0)),
        (Change(angle=90, enlarge=True), (0, 20), (40, 20)),
    ],
)
def test_where_points_land(change, point, lands):
    np.testing.assert_allclose(through(point, matrix(change, (20, 40), (20, 40))), lands, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(change=changes, before=sides, size=sides)
def test_an_enlarged_frame_clips_nothing(change, before, size):
    enlarged = Change(change.mirror, change.quarters, change.corners, change.shear, change.angle, enlarge=True)
    m = matrix(enlarged, before, size)
    corners = np.array([through((x, y), m) for x in (0, before[1]) for y in (0, before[0])])
    np.testing.assert_allclose(corners.min(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(corners.max(axis=0), [size[1], size[0]], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(change=changes, before=sides, middle=sides, size=sides)
def test_the_resize_is_a_matrix_after_the_others(change, before, middle, size):
    folded = matrix(change, before, size)
    in_turn = matrix(Change(), middle, size) @ matrix(change, before, middle)
    np.testing.assert_allclose(folded, in_turn, atol=1e-9)


def slow_warp(image, m, size, fill, value=0):
    """Each target pixel's centre, carried back, between the four source pixels around it."""
    height, width = image.shape[:2]

    def pixel(row, column):
        inside = 0 <= row < height and 0 <= column < width
        if fill == "constant":
            return image[row, column].astype(float) if inside else np.full(image.shape[2], float(value))
        if fill == "nearest":
            row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
        elif fill == "wrap":
            row, column = row % height, column % width
        else:  # reflect: the border pixel twice
            row, column = row % (2 * height), column % (2 * width)
            row, column = min(row, 2 * height - 1 - row), min(column, 2 * width - 1 - column)
        return image[row, column].astype(float)

    result = np.zeros((*size, image.shape[2]))
    back = np.linalg.inv(m)
    for i in range(size[0]):
        for j in range(size[1]):
            x, y = (back @ [j + 0.5, i + 0.5, 1])[:2] - 0.5
            left, top = int(np.floor(x)), int(np.floor(y))
            for dy, wy in ((0, 1 - (y - top)), (1, y - top)):
                for dx, wx in ((0, 1 - (x - left)), (1, x - left)):
                    result[i, j] += wy * wx * pixel(top + dy, left + dx)
    return result


@pytest.mark.parametrize("fill", ["nearest", "constant", "reflect", "wrap"])
@settings(max_examples=8, deadline=None)
@given(change=changes, size=st.tuples(st.integers(2, 12), st.integers(2, 12)))
def test_the_warp_equals_a_slow_one(fill, change, size):
    image = noise(7, 9)
    m = matrix(change, (7, 9), size)
    result = warp(image.astype(np.float32), m, size, fill=fill, value=77)
    np.testing.assert_allclose(result, slow_warp(image, m, size, fill, 77), atol=0.05)  # of 255
    rounded = warp(image, m, size, fill=fill, value=77)
    np.testing.assert_allclose(rounded, result, atol=0.51)


@pytest.mark.parametrize(
    ("before", "size", "factors"),
    [
        ((100, 100), (100, 100), (1, 1)),
        ((199, 200), (100, 100), (1, 2)),  # 1.99 is not yet 2
        ((300, 300), (100, 100), (2, 2)),  # 1.5 is left to the warp
        ((1600, 400), (100, 100), (16, 4)),
        ((50, 1), (1, 10), (32, 1)),  # a row of pixels is never less than one
    ],
)
def test_what_is_averaged_before(before, size, factors):
    assert reduction(matrix(Change(), before, size), before) == factors


@pytest.mark.parametrize("factors", [(1, 1), (2, 2), (4, 4), (2, 1), (1, 4), (8, 2)])
def test_blocks_are_averaged(factors):
    image = noise(16, 24)
    rows, columns = factors
    expected = image.reshape(16 // rows, rows, 24 // columns, columns, 3).mean(axis=(1, 3))
    # Each step rounds to whole numbers, half a level at most.
    np.testing.assert_allclose(reduced(image, factors), expected, atol=0.51 * max(1, np.log2(max(factors))))


def test_a_pattern_too_fine_for_the_target_becomes_gray():
    """Without the average before, linear interpolation would pick single pixels of the chessboard."""
    board = np.tile(np.array([[0, 255], [255, 0]], np.uint8), (64, 64))[..., None]
    result = change_image(board, size=(20, 20), rotate=(10, 10), fill="reflect")
    assert np.ptp(result) < 3
    assert abs(result.mean() - 127.5) < 1


@pytest.mark.parametrize(("height", "width"), [(90, 120), (61, 47), (37, 150)])
def test_the_resize_alone_is_close_to_that_of_untouched_images(height, width):
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([127 + 100 * np.sin(x / 17 + y / 23), y, x], axis=2).astype(np.uint8)
    result, expected = change_image(smooth, size=(31, 29)), resize(smooth, (31, 29))
    assert np.abs(result - expected)[1:-1, 1:-1].max() < 3


def test_a_reduced_decode_gives_the_same_picture():
    y, x = np.mgrid[:160, :240]
    smooth = np.stack([127 + 100 * np.sin(x / 40), y, 255 - x], axis=2).astype(np.uint8)
    half = reduced(smooth, (2, 2))
    ranges = Augment(rotate=(20, 20), zoom=(1.1, 1.1), shift=0.1)
    one, other = (
        augmented(pixels, {}, {}, size=(40, 50), augment=ranges, rng=np.random.default_rng(3), source=(160, 240))[0]
        for pixels in (smooth, half)
    )
    assert np.abs(one - other).max() < 3


@settings(max_examples=25, deadline=None)
@given(numbers=st.lists(share, min_size=14, max_size=14))
def test_a_draw_stays_in_its_ranges(numbers):
    ranges = Augment(flip="both", turn=True, rotate=(5, 20), zoom=(0.5, 0.7), shift=(0.1, 0), shear=3, affine=0.1)
    change = drawn(ranges, [number * 0.999 for number in numbers])
    assert change.quarters in range(4)
    assert 5 <= change.angle <= 20
    assert 0.5 <= change.zoom <= 0.7
    assert abs(change.shift[0]) <= 0.1
    assert change.shift[1] == 0
    assert max(map(abs, change.corners)) <= 0.1
    assert drawn(Augment(), numbers) == Change()


def test_the_same_state_gives_the_same_bits():
    image = noise(40, 50)
    ranges = {"rotate": 30, "noise": 0.1, "erase": 1, "zoom": 0.2, "roll": True, "shift": 0.1, "contrast": 0.3}
    first, second = change_image(image, **ranges), change_image(image, **ranges)
    assert first.tobytes() == second.tobytes()
    other = augmented(image, {}, {}, size=(40, 50), augment=Augment(**ranges), rng=np.random.default_rng(1))[0]
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("count", "share", "counts"),
    [
        (32, 0.5, {16}),  # exactly half of each batch
        (32, 1, {32}),
        (32, 0, {0}),
        (30, 0.1, {3}),  # 0.1 · 30 is 3.0000000000000004
        (100, 0.29, {29}),  # and 0.29 · 100 is 28.999999999999996
        (5, 0.5, {2, 3}),  # two or three, as often
        (1, 0.5, {0, 1}),
    ],
)
def test_an_exact_share_of_each_batch_is_chosen(count, share, counts):
    rng = np.random.default_rng(0)
    drawn_masks = np.array([chosen(count, share, rng) for _ in range(400)])
    assert set(drawn_masks.sum(axis=1).tolist()) == counts
    assert abs(drawn_masks.mean() - share) < 0.06
    assert np.abs(drawn_masks.mean(axis=0) - share).max() < 0.12  # no place in the batch is preferred


def test_a_roll_moves_whole_pixels():
    image = noise(10, 20)
    result = change_image(image, shift=0.2, roll=True)
    shifts = [(dy, dx) for dy in range(-2, 3) for dx in range(-4, 5)]
    assert any(np.array_equal(result, np.roll(image, shift, axis=(0, 1))) for shift in shifts)
    assert not np.array_equal(result, image)
