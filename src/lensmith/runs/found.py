"""What a detector came to, as ``results.json`` holds it, with its mistakes as pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from lensmith import boxes, check, data
from lensmith.boxes import Thresholds
from lensmith.detect.drawing_mistakes import draw_mistakes
from lensmith.detect.mistakes import Mistakes, mistakes, worst
from lensmith.files import put_file
from lensmith.records import Boxes, Record, Records
from lensmith.runs.detected import Detected
from lensmith.runs.folder import RunFolder

MOST = 8  # pictures of each kind of mistake
PICTURE = 320  # longest side of one, in pixels
COUNTED = ("matched", "missed", "invented", "confused")
_MOST_PAIRS = 12  # of names that are told
_MOST_SAID = 3  # mistakes of a picture that are put in words


def told(folder: RunFolder, task: str, detected: Detected, part: Records) -> dict[str, Any]:
    """The scores of a detector, the curves behind them, and pictures of what it missed, invented and confused.

    Returns:
        Plain values: ``scores``, ``curves`` (the precision at the recalls 0, 0.01 … 1 of each class), the ``counts`` of
        mistakes at the recipe's ``threshold``, the ``pairs`` of names most often confused (truth, name given, times)
        and ``pictures`` by kind of mistake, each with its ``source``, what it ``says`` and the path of its
        ``picture``.
    """
    shown, looked = _looked(detected)
    kinds = worst(looked, detected.truths, shown, most=MOST)
    names = part.labels[task].names

    def pictures(kind: str, places: tuple[int, ...]) -> Iterator[dict[str, Any]]:
        for number, place in enumerate(places, start=1):
            truth, rows, wrong = detected.truths[place], shown[place], looked[place]
            drawn = _drawn(part[place], truth, rows, names, wrong)
            name = f"{task}-{kind}-{number:02}"
            yield {
                "source": part[place].source,
                "says": _says(kind, truth, rows, names, wrong),
                "picture": None if drawn is None else _kept(folder, name, drawn),
            }

    return {
        "scores": detected.scores.to_dict(),
        "curves": [[None if np.isnan(one) else float(one) for one in row] for row in detected.scores.curves],
        "counts": _counts(looked),
        "threshold": detected.thresholds.score,
        "pairs": _pairs(detected.truths, shown, looked, names),
        "pictures": {kind: list(pictures(kind, getattr(kinds, kind))) for kind in COUNTED[1:]},
    }


def counts(detected: Detected) -> dict[str, int]:
    """How many objects were ``matched``, ``missed`` and ``confused`` at the recipe's threshold, how many invented."""
    return _counts(_looked(detected)[1])


def _looked(detected: Detected) -> tuple[list[np.ndarray], tuple[Mistakes, ...]]:
    """What people are shown of each image, and what is wrong with it."""
    shown = [_shown(rows, detected.thresholds) for rows in detected.found]
    return shown, mistakes(detected.truths, shown, score=detected.thresholds.score)


def _shown(rows: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Of what was measured, which may hold a box once for each class, what people are shown."""
    rows = rows[rows[:, 4] >= thresholds.score]
    if thresholds.best:
        rows = rows[np.argsort(-rows[:, 4], kind="stable")]
        _, first = np.unique(rows[:, :4], axis=0, return_index=True)
        rows = rows[np.sort(first)]
    return rows[: thresholds.most]


def _counts(looked: Iterable[Mistakes]) -> dict[str, int]:
    found = list(looked)
    return {name: sum(len(getattr(one, name)) for one in found) for name in COUNTED}


def _pairs(
    truths: Sequence[Boxes], shown: Sequence[np.ndarray], looked: Sequence[Mistakes], names: Sequence[str]
) -> list[list[Any]]:
    """The names most often confused."""
    counted = Counter(
        (names[truth.classes[place]], names[int(rows[row, 5])])
        for truth, rows, one in zip(truths, shown, looked, strict=True)
        for row, place in one.confused
    )
    return [[truth, given, times] for (truth, given), times in counted.most_common(_MOST_PAIRS)]


def _says(kind: str, truth: Boxes, rows: np.ndarray, names: Sequence[str], wrong: Mistakes) -> list[str]:
    """The mistakes of one kind in an image, in words, the worst first."""

    def seen(row: int) -> str:
        return f"{names[int(rows[row, 5])]} {rows[row, 4]:.2f}"

    if kind == "missed":
        areas = boxes.area(truth.xyxy)
        largest = sorted(wrong.missed, key=lambda place: -areas[place])
        counted = Counter(names[truth.classes[place]] for place in largest)
        said = [f"missed {name}" if times == 1 else f"missed {times} × {name}" for name, times in counted.items()]
    elif kind == "invented":
        said = [f"invented {seen(row)}" for row in sorted(wrong.invented, key=lambda row: -rows[row, 4])]
    else:
        said = [f"said {seen(row)}, is {names[truth.classes[place]]}" for row, place in wrong.confused]
    return said if len(said) <= _MOST_SAID else [*said[:_MOST_SAID], f"and {len(said) - _MOST_SAID} more"]


def _drawn(
    record: Record, truth: Boxes, found: np.ndarray, names: tuple[str, ...], wrong: Mistakes
) -> np.ndarray | None:
    """A small picture of an example with its objects and what was found; None where it cannot be read any more."""
    if record.image is None:
        return None
    try:
        pixels = data.decode(record.image, 3)
    except check.DataError:
        return None
    return draw_mistakes(pixels, truth, found, names, longest=PICTURE, wrong=wrong)


def _kept(folder: RunFolder, name: str, pixels: np.ndarray) -> str:
    """Write a picture into the run folder; returns its path there."""
    path, picture = folder.mistakes / f"{name}.png", Image.fromarray(pixels)
    put_file(path, lambda beside: picture.save(beside, "png"))
    return str(path.relative_to(folder.path))
