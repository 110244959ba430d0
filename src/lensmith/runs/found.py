"""What a detector came to, as ``results.json`` holds it, with its mistakes as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

from lensmith import check, data
from lensmith.detect.drawing_mistakes import draw_mistakes
from lensmith.detect.mistakes import mistakes, worst
from lensmith.files import put_file
from lensmith.records import Boxes, Record, Records
from lensmith.runs.detected import Detected
from lensmith.runs.folder import RunFolder

MOST = 8  # pictures of each kind of mistake
PICTURE = 320  # longest side of one, in pixels
COUNTED = ("matched", "missed", "invented", "confused")


def told(folder: RunFolder, task: str, detected: Detected, part: Records) -> dict[str, Any]:
    """The scores of a detector, the curves behind them, and pictures of what it missed, invented and confused.

    Returns:
        Plain values: ``scores``, ``curves`` (the precision at the recalls 0, 0.01 … 1 of each class), the ``counts`` of
        mistakes at the recipe's ``threshold``, and ``pictures`` by kind of mistake.
    """
    least = detected.thresholds.score
    shown = [rows[rows[:, 4] >= least] for rows in detected.found]
    looked = mistakes(detected.truths, shown, score=least)
    kinds = worst(looked, detected.truths, shown, most=MOST)

    def pictures(kind: str, places: tuple[int, ...]) -> Iterator[dict[str, Any]]:
        for number, place in enumerate(places, start=1):
            drawn = _drawn(part[place], detected.truths[place], shown[place], part.labels[task].names)
            name = f"{task}-{kind}-{number:02}"
            yield {"source": part[place].source, "picture": None if drawn is None else _kept(folder, name, drawn)}

    return {
        "scores": detected.scores.to_dict(),
        "curves": [[None if np.isnan(one) else float(one) for one in row] for row in detected.scores.curves],
        "counts": {name: sum(len(getattr(one, name)) for one in looked) for name in COUNTED},
        "threshold": least,
        "pictures": {kind: list(pictures(kind, getattr(kinds, kind))) for kind in COUNTED[1:]},
    }


def _drawn(record: Record, truth: Boxes, found: np.ndarray, names: tuple[str, ...]) -> np.ndarray | None:
    """A small picture of an example with its objects and what was found; None where it cannot be read any more."""
    if record.image is None:
        return None
    try:
        pixels = data.decode(record.image, 3)
    except check.DataError:
        return None
    return draw_mistakes(pixels, truth, found, names, longest=PICTURE)


def _kept(folder: RunFolder, name: str, pixels: np.ndarray) -> str:
    """Write a picture into the run folder; returns its path there."""
    path, picture = folder.mistakes / f"{name}.png", Image.fromarray(pixels)
    put_file(path, lambda beside: picture.save(beside, "png"))
    return str(path.relative_to(folder.path))
