"""Augmentation beside plain numpy: what must be exact is, and what is resampled is resampled once."""

import cv2
import numpy as np
import pytest

from lensmith.data import resize
from lensmith.data.augmentation.applying import augmented
from lensmith.data.augmentation.following import fit
from lensmith.data.augmentation.geometry import warp
from lensmith.data.augmentation.record import PRESETS, Augment
from lensmith.data.masks import VOID, resize_mask
from lensmith.records import Boxes, Labels

LABELS = {
    "object": Labels("boxes", ("a", "b")),
    "pixels": Labels("mask", ("no", "yes")),
    "tip": Labels("points", ("upper left",)),
}
SIZES = [(40, 60), (13, 17), (20, 30), (90, 45), (7, 100)]  # of an image of 40 x 60: as it is, down, up, both


def noise(height=40, width=60, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def some_targets(height=40, width=60):
    mask = np.random.default_rng(1).integers(0, 2, (height, width), np.uint8)
    outline = np.array([[5, 3], [12, 3], [8, 9]])
    boxes = Boxes([[2, 3, 20, 11], [0, 0, width, height]], [1, 0], ((outline,), ()))
    return {"object": boxes, "pixels": mask, "tip": np.array([[10, 8]], np.float32)}


def change(image, targets=None, size=(40, 60), seed=0, **ranges):
    labels = LABELS if targets else {}
    return augmented(
        image, targets or {}, labels, size=size, augment=Augment(**ranges), rng=np.random.default_rng(seed)
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ranges", [{}, {"fill": "constant", "fill_value": 9}, {"enlarge": True}, {"roll": True}])
def test_without_a_change_all_is_as_if_only_resized(size, ranges):
    image, targets = noise(), some_targets()
    x, moved = change(image, targets, size, **ranges)
    np.testing.assert_array_equal(x, resize(image, size))
    expected = fit(targets, LABELS, (40, 60), size)
    np.testing.assert_array_equal(moved["pixels"], resize_mask(targets["pixels"], size))
    np.testing.assert_array_equal(moved["tip"], expected["tip"])
    assert moved["object"] == expected["object"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("flip", "step"), [("horizontal", (1, -1)), ("vertical", (-1, 1)), ("both", (-1, -1))])
def test_a_flip_is_the_resized_image_backwards(size, flip, step):
    image, targets = noise(), some_targets()
    plain, fitted = resize(image, size), fit(targets, LABELS, (40, 60), size)
    for seed in range(30):
        x, moved = change(image, targets, size, seed, flip=flip)
        if np.array_equal(x, plain[:: step[0], :: step[1]]):
            break
    else:
        pytest.fail("no draw flips")
    np.testing.assert_array_equal(moved["pixels"], fitted["pixels"][:: step[0], :: step[1]])
    corners = fitted["object"].xyxy.copy()
    for axis, backwards in ((0, step[1] < 0), (1, step[0] < 0)):
        if backwards:
            corners[:, [axis, axis + 2]] = size[1 - axis] - corners[:, [axis + 2, axis]]
    np.testing.assert_allclose(moved["object"].xyxy, corners, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_quarter_turns_are_those_of_numpy(size):
    image, targets = noise(), some_targets()
    wanted = []
    for quarters in range(4):
        upright = size if quarters % 2 == 0 else size[::-1]
        mask = np.rot90(resize_mask(targets["pixels"], upright), quarters)
        wanted.append((np.rot90(resize(image, upright), quarters), mask))
    seen = set()
    for seed in range(20):
        x, moved = change(image, targets, size, seed, turn=True)
        (turned,) = [place for place, (pixels, _) in enumerate(wanted) if np.array_equal(x, pixels)]
        np.testing.assert_array_equal(moved["pixels"], wanted[turned][1])
        seen.add(turned)
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize(("angle", "quarters"), [(90, 1), (-90, 3), (180, 2), (270, 3), (360, 0), (-360, 0)])
@pytest.mark.parametrize("enlarge", [False, True])
def test_a_rotation_by_quarters_is_exact_too(angle, quarters, enlarge):
    image = noise(31, 31)
    x, _ = change(image, size=(31, 31), rotate=(angle, angle), enlarge=enlarge)
    np.testing.assert_array_equal(x, np.rot90(image, quarters))
    x, _ = change(noise(), size=(60, 40), rotate=(angle, angle), enlarge=True)
    if quarters % 2:
        np.testing.assert_array_equal(x, np.rot90(noise(), quarters))


@pytest.mark.parametrize("size", [(40, 60), (15, 20)])
@pytest.mark.parametrize("factor", [0.5, 1.2, 3])
def test_brightness_multiplies_and_cuts(size, factor):
    x, _ = change(noise(), size=size, brightness=(factor, factor))
    np.testing.assert_allclose(x, np.clip(resize(noise(), size) * np.float32(factor), 0, 255), atol=1e-4)


def test_the_unchanged_image_can_be_resized_by_another():
    given = np.full((13, 17, 3), 7, np.uint8)
    x, _ = augmented(
        noise(), {}, {}, size=(13, 17), augment=Augment(), rng=np.random.default_rng(0), resized=lambda size: given
    )
    np.testing.assert_array_equal(x, given)


@pytest.mark.parametrize(
    ("fill", "mode"), [("nearest", "edge"), ("constant", "constant"), ("reflect", "symmetric"), ("wrap", "wrap")]
)
@pytest.mark.parametrize(("right", "down"), [(3, 0), (-4, 2), (5, -6), (0, 0)])
def test_the_fills_are_the_pads_of_numpy(fill, mode, right, down):
    image = noise(8, 9)
    padded = np.pad(image, ((8, 8), (8, 8), (0, 0)), mode, **({"constant_values": 33} if mode == "constant" else {}))
    moved = warp(image, np.array([[1, 0, right], [0, 1, down], [0, 0, 1.0]]), (8, 9), fill=fill, value=33)
    np.testing.assert_array_equal(moved, padded[8 - down : 16 - down, 8 - right : 17 - right])


ALL = {"flip": "both", "turn": True, "rotate": 180, "shift": 0.2, "zoom": 0.3, "shear": 20, "affine": 0.15}
ALONE = [
    {"flip": "both"},
    {"turn": True},
    {"rotate": 180},
    {"shift": 0.3},
    {"shift": 0.2, "roll": True},
    {"zoom": (0.5, 1.6)},
    {"shear": 30},
    {"affine": 0.2},
    {"rotate": 180, "enlarge": True},
    {"affine": 0.2, "shear": 40, "turn": True, "enlarge": True},
    ALL,
    ALL | {"enlarge": True},
]


@pytest.mark.parametrize("size", [(60, 80), (95, 110)])
@pytest.mark.parametrize("ranges", ALONE, ids=lambda ranges: "+".join(ranges))
def test_boxes_lie_where_the_object_is_seen(ranges, size):
    """A bright rectangle on black; of all that a box says, only the pixels that came out are believed."""
    image = np.zeros((150, 200, 1), np.uint8)
    image[40:100, 60:150] = 255
    targets = {"object": Boxes([[60, 40, 150, 100]], [0]), "pixels": image[..., 0] // 255}
    compared = 0
    for seed in range(10):
        x, moved = change(image, targets | {"tip": np.array([[60, 40]])}, size, seed, fill="constant", **ranges)
        bright = x[..., 0] > 127
        boxes = moved["object"].xyxy
        if len(boxes) == 1:  # a roll may tear it
            rows, columns = np.nonzero(bright)
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(boxes[0], seen, atol=1.3)  # sharp tips end before their last pixel is half full
            compared += 1
        y, x_ = np.mgrid[: size[0], : size[1]] + 0.5
        inside = np.zeros(bright.shape, bool)
        for left, top, right, bottom in boxes:
            inside |= (x_ > left - 1) & (x_ < right + 1) & (y > top - 1) & (y < bottom + 1)
        assert not (bright & ~inside).any() or "roll" in ranges  # of a torn object, a sliver has no box
        known = moved["pixels"] != VOID
        assert ((moved["pixels"] == 1) == bright)[known].mean() > 0.98
    assert compared >= 7


@pytest.mark.parametrize("angle", [-30, 15, 45, 90, 137, 180])
@pytest.mark.parametrize("size", [(60, 60), (50, 90)])
def test_an_enlarged_frame_keeps_all_the_light(angle, size):
    """Squares, also in the very corners, on black: their light is that of the source, a pixel's area apart."""
    image = np.zeros((100, 140, 1), np.uint8)
    image.reshape(10, 10, 14, 10)[:, 2:7, :, 2:7] = 200
    image[:8, :8] = image[-8:, :8] = image[:8, -8:] = image[-8:, -8:] = 255
    x, _ = change(image, size=size, rotate=(angle, angle), enlarge=True, fill="constant")
    turned = np.radians(angle)
    width = 140 * abs(np.cos(turned)) + 100 * abs(np.sin(turned))
    height = 140 * abs(np.sin(turned)) + 100 * abs(np.cos(turned))
    assert x.sum() * (width * height) / (size[0] * size[1]) == pytest.approx(image.sum(dtype=float), rel=0.03)
    clipped, _ = change(image, size=size, rotate=(angle, angle), fill="constant")
    if angle % 180:
        assert clipped.sum() * (140 * 100) / (size[0] * size[1]) < 0.97 * image.sum(dtype=float)


@pytest.mark.parametrize("ranges", [{}, {"flip": "both"}, {"rotate": (10, 10)}, {"zoom": (0.9, 0.9)}])
def test_a_chessboard_shrunk_four_times_is_gray(ranges):
    board = (np.indices((160, 160)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    x, _ = change(board, size=(40, 40), fill="reflect", **ranges)
    assert np.ptp(x) < 4
    assert abs(x.mean() - 127.5) < 1


def test_pixels_are_resampled_once(monkeypatch):
    """One warp; before it, at most averages over whole blocks."""
    calls = []
    warp_affine, cv_resize = cv2.warpAffine, cv2.resize

    def counted_warp(pixels, m, *given, **named):
        calls.append("warp")
        return warp_affine(pixels, m, *given, **named)

    def counted_resize(pixels, size, *given, **named):
        blocks = size is None and named["interpolation"] == cv2.INTER_AREA
        calls.append("blocks" if blocks and (1 / named["fx"]) % 1 == (1 / named["fy"]) % 1 == 0 else "resize")
        return cv_resize(pixels, size, *given, **named)

    monkeypatch.setattr(cv2, "warpAffine", counted_warp)
    monkeypatch.setattr(cv2, "resize", counted_resize)
    for ranges in (*ALONE[2:], PRESETS["strong"].to_dict()):
        for size in ((375, 500), (150, 150), (400, 600)):
            calls.clear()
            change(noise(375, 500), size=size, **ranges)
            assert calls[-1] == "warp"
            assert set(calls[:-1]) <= {"blocks"}
    calls.clear()
    change(noise(375, 500), size=(150, 150), flip="both", turn=True)
    assert calls == ["resize", "warp"]  # the resize of any image; then whole pixels change places
