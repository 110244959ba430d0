"""Scenes of digits on a dark canvas, drawn where they are asked for: small data on which something is to be found.

The digits are scikit-learn's (8×8 pixels, enlarged smoothly), or others, such as MNIST's. The same seed draws the
same scenes, and nothing is written. Sets of them are in :mod:`.scene_sets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensmith import check
from lensmith.data.resampling import resize
from lensmith.records import Boxes, Records

NAMES = tuple("0123456789")
BOOK_SCENE = (140, 140)  # height and width of the canvas on which Michelucci's sliding window looks
SIDE = 28  # of the digit on it, in pixels

_SEEN = 64  # ink is part of a box from here on: what cubic interpolation adds around a stroke is darker
_SHARED = 0.1  # of the smaller of two boxes, how much the other may cover
_TRIES = 30


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Pictures of single digits, from which scenes are drawn.

    Args:
        images: uint8 ``(n, height, width)``, bright on black.
        classes: ``(n,)``, 0..9.

    Raises:
        DataError: the arrays are of another form.
    """

    images: np.ndarray
    classes: np.ndarray

    def __post_init__(self) -> None:
        images, classes = np.asarray(self.images), np.asarray(self.classes)
        if images.ndim != 3 or images.dtype != np.uint8 or not images.size:
            got = f"{images.dtype} of shape {images.shape}"
            raise check.DataError(check.sentence("digits", "uint8 images of shape (n, height, width)", got))
        whole = classes.dtype.kind in "iu" and classes.shape == images.shape[:1]
        if not whole or classes.min() < 0 or classes.max() >= len(NAMES):
            expected, got = f"a class 0..9 for each of {len(images)} images", f"{classes.dtype} {classes.shape}"
            raise check.DataError(check.sentence("digits", expected, got))
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "classes", classes.astype(np.int64))

    def __len__(self) -> int:
        return len(self.images)

    @staticmethod
    def of(records: Records, task: str = "label") -> Digits:
        """The digits of gray images in memory, such as those of MNIST's idx files.

        Raises:
            SettingError: there is no such task.
            DataError: an image is no gray image in memory.
        """
        check.one_of("task", task, records.labels)
        for record in records:
            if not isinstance(record.image, np.ndarray) or record.image.shape[-1] != 1:
                raise check.DataError(check.sentence(record.source, "a gray image in memory", "another"))
        images = [record.image[..., 0] for record in records]  # type: ignore[index]
        return Digits(np.stack(images), np.array([record.targets[task] for record in records]))


@dataclass(frozen=True, slots=True)
class Placed:
    """A digit on a canvas.

    Args:
        digit: its place among the :class:`Digits`.
        top, left: the upper left corner of its picture, in pixels of the canvas; part of it may lie outside.
        side: height and width to which its picture is brought, in pixels.
    """

    digit: int
    top: int
    left: int
    side: int = SIDE


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A canvas with digits.

    Args:
        image: uint8 ``(height, width, 1)``, bright on black.
        boxes: around the ink of each digit, with its class, in the order in which they were placed.
        placed: the digits themselves.
    """

    image: np.ndarray
    boxes: Boxes
    placed: tuple[Placed, ...]


def handwritten() -> Digits:
    """The 1,797 digits that are installed with scikit-learn: 8×8 pixels, 0..16 stretched to 255.

    Example:
        >>> handwritten().images.shape
        (1797, 8, 8)
    """
    from sklearn.datasets import load_digits  # here, for importing it takes a second

    digits = load_digits()
    return Digits(np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target)


def scene(digits: Digits, placed: Sequence[Placed] = (), *, size: tuple[int, int] = BOOK_SCENE) -> Scene:
    """Draw digits at given places; where two meet, the brighter pixel stays.

    Args:
        digits: to draw from.
        placed: which, where and how large.
        size: height and width of the canvas.

    Raises:
        SettingError: there is no such digit, or nothing of it would be seen.

    Example: the scene of Michelucci's sliding window.
        >>> drawn = scene(handwritten(), [Placed(3, top=56, left=56)])
        >>> drawn.image.shape, drawn.boxes.classes.tolist(), drawn.boxes.xyxy.tolist()
        ((140, 140, 1), [3], [[60.0, 56.0, 81.0, 84.0]])
    """
    height, width = (check.positive("scene.size", side) for side in size)
    canvas = np.zeros((height, width, 1), np.uint8)
    boxes = np.zeros((len(placed), 4), np.float32)
    for row, one in enumerate(placed):
        alone = np.zeros_like(canvas)
        paste(alone, picture(digits, one), one)
        found = _ink(alone)
        if found is None:
            got = f"digit {one.digit} at row {one.top}, column {one.left}"
            raise check.SettingError(check.sentence("scene", f"a digit on the canvas of {height}×{width}", got))
        boxes[row] = found
        np.maximum(canvas, alone, out=canvas)
    classes = digits.classes[[one.digit for one in placed]] if placed else np.zeros(0, np.int64)
    return Scene(canvas, Boxes(boxes, classes), tuple(placed))


def scattered(
    digits: Digits,
    chosen: Sequence[int],
    *,
    size: tuple[int, int] = BOOK_SCENE,
    sides: tuple[int, int] = (14, 36),
    seed: int | np.random.Generator = 0,
) -> Scene:
    """Draw digits at random places and sizes, so that they hardly overlap; one for which there is no room is left out.

    Args:
        digits: to draw from.
        chosen: which, by their places.
        size: height and width of the canvas.
        sides: the least and the largest side of a digit's picture, in pixels, both included.
        seed: of places and sizes, or the generator to draw them with.

    Raises:
        SettingError: the sides are upside down or do not fit into the canvas, or there is no such digit.

    Example:
        >>> len(scattered(handwritten(), [5, 6, 7], seed=1).boxes)
        3
    """
    low, high = (check.positive("scattered.sides", side) for side in sides)
    if not low <= high <= min(size):
        expected = f"the least before the largest, at most {min(size)} pixels"
        raise check.SettingError(check.sentence("scattered.sides", expected, f"{low}, {high}"))
    random = np.random.default_rng(seed)
    drawn = scene(digits, size=size)
    for digit in chosen:
        for _ in range(_TRIES):
            side = int(random.integers(low, high + 1))
            top, left = (int(random.integers(0, room - side + 1)) for room in size)
            new = scene(digits, [Placed(int(digit), top, left, side)], size=size)
            if _apart(new.boxes.xyxy[0], drawn.boxes.xyxy):
                drawn = scene(digits, [*drawn.placed, *new.placed], size=size)
                break
    return drawn


def picture(digits: Digits, one: Placed) -> np.ndarray:
    if not 0 <= one.digit < len(digits):
        raise check.SettingError(check.sentence("scene: digit", f"0 to {len(digits) - 1}", one.digit))
    side = check.positive("scene: side", one.side)
    pixels = resize(digits.images[one.digit][..., None], (side, side))
    return np.asarray(np.rint(pixels), np.uint8)


def paste(canvas: np.ndarray, picture: np.ndarray, one: Placed) -> None:
    """Put a picture onto a canvas, as far as it lies on it."""
    height, width = canvas.shape[:2]
    top, bottom = (min(max(row, 0), height) for row in (one.top, one.top + one.side))
    left, right = (min(max(column, 0), width) for column in (one.left, one.left + one.side))
    if top < bottom and left < right:
        seen = picture[top - one.top : bottom - one.top, left - one.left : right - one.left]
        canvas[top:bottom, left:right] = seen


def _ink(canvas: np.ndarray) -> tuple[int, int, int, int] | None:
    """The box around what can be seen."""
    rows, columns = (np.flatnonzero((canvas[..., 0] >= _SEEN).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _apart(new: np.ndarray, others: np.ndarray) -> bool:
    sides = np.minimum(new[2:], others[:, 2:]) - np.maximum(new[:2], others[:, :2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    smaller = np.minimum(np.prod(new[2:] - new[:2]), np.prod(others[:, 2:] - others[:, :2], axis=1))
    return bool((shared <= _SHARED * smaller).all())
