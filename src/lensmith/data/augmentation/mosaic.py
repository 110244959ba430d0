"""Four images as one: the mosaic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lensmith import check
from lensmith.data.augmentation.applying import tile
from lensmith.data.augmentation.following import apply_boxes, as_array, as_boxes
from lensmith.data.augmentation.record import Augment
from lensmith.data.augmentation.rolling import join
from lensmith.records import Labels, Target

KINDS = ("boxes", "mask", "classes")  # of the tasks that four images can share
_MARGIN = 0.25  # of the side: the corner where the four meet keeps this far from the border
_SMALLEST = 0.5  # of its size alone, that an image has at least


def mosaic(
    examples: Sequence[tuple[np.ndarray, Mapping[str, Target]]],
    labels: Mapping[str, Labels],
    *,
    size: tuple[int, int],
    augment: Augment,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Target]]:
    """Put four images around a random corner, each changed by ranges of its own, and each in one resampling.

    Each fills its quarter: it is made between half as large as it would be alone and as large, at least as large
    as the quarter, and cut there at random. The boxes and the mask are those of all four; the classes of an image
    that has several are those of any of the four.

    Args:
        examples: four of pixels, uint8 ``(h, w, channels)``, and targets by task; upper left, upper right, lower
            left and lower right.
        labels: by task.
        size: height and width of the target.
        augment: the ranges.
        rng: the only source of chance.

    Returns:
        float32 ``(height, width, channels)``, 0..255, and the targets in its pixels.

    Raises:
        SettingError: a task has one class, one set of numbers or points an image, which four images do not share;
            or the images are not four.

    References:
        A. Bochkovskiy et al., "YOLOv4: Optimal Speed and Accuracy of Object Detection", 2020, section 3.3.
    """
    check_kinds(labels)
    if len(examples) != 4:
        raise check.SettingError(check.sentence("mosaic", "four images", len(examples)))
    height, width = size
    y, x, *scales = rng.random(6).tolist()
    row, column = (round((_MARGIN + (1 - 2 * _MARGIN) * share) * side) for share, side in ((y, height), (x, width)))
    canvas = np.empty((*size, examples[0][0].shape[2]), np.float32)
    parts = []
    for (pixels, targets), scale, place in zip(examples, scales, range(4), strict=True):
        top, bottom = (row, height) if place >= 2 else (0, row)
        left, right = (column, width) if place % 2 else (0, column)
        window = bottom - top, right - left
        if not min(window):  # of an image of a pixel or two
            continue
        inside = _inside(window, size, scale, rng)
        canvas[top:bottom, left:right], moved = tile(
            pixels, targets, labels, place=inside, window=window, size=size, augment=augment, rng=rng
        )
        parts.append((moved, top, left))
    return canvas, _united(parts, labels, size)


def check_kinds(labels: Mapping[str, Labels]) -> None:
    """Refuse tasks that a mosaic has no target for.

    Raises:
        SettingError: names the task.
    """
    for task, meaning in labels.items():
        if meaning.kind not in KINDS:
            expected = "tasks of boxes, masks or several classes"
            remedy = "Set augment.mosaic to 0, or leave the task out"
            got = f"the task {task!r} of the kind {meaning.kind!r}"
            raise check.SettingError(check.sentence("augment.mosaic", expected, got, remedy))


def _inside(window: tuple[int, int], size: tuple[int, int], scale: float, rng: np.random.Generator) -> np.ndarray:
    """The matrix that makes an image smaller and moves it so that it covers the window."""
    smallest = max(window[0] / size[0], window[1] / size[1], _SMALLEST)
    factor = smallest + (1 - smallest) * scale
    down, right = ((side - factor * whole) * rng.random() for side, whole in zip(window, size, strict=True))
    return np.array([[factor, 0, right], [0, factor, down], [0, 0, 1.0]])


def _united(
    parts: Sequence[tuple[Mapping[str, Target], int, int]], labels: Mapping[str, Labels], size: tuple[int, int]
) -> dict[str, Target]:
    united: dict[str, Target] = {}
    for task, meaning in labels.items():
        given = [(moved[task], top, left) for moved, top, left in parts if task in moved]
        if len(given) < len(parts):  # of an example without this target nothing can be said
            continue
        if meaning.kind == "boxes":
            there = [
                (as_boxes(one, task), np.array([[1, 0, left], [0, 1, top], [0, 0, 1.0]])) for one, top, left in given
            ]
            united[task] = join([apply_boxes(one, step, size) for one, step in there])
        elif meaning.kind == "mask":
            mask = np.empty(size, np.uint8)
            for one, top, left in given:
                piece = as_array(one, task)
                mask[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
            united[task] = mask
        else:
            united[task] = tuple(sorted({index for one, _, _ in given for index in one}))  # type: ignore[union-attr]
    return united
