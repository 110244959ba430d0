"""Records of drawn scenes: one digit to be found, several, or none; and what a window sees that slides over them.

Training, validation and test scenes are drawn of different digits, so that no digit is seen before it is tested.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lensmith import check
from lensmith.data.formats.arrays.scenes import (
    NAMES,
    SIDE,
    Digits,
    Placed,
    handwritten,
    paste,
    picture,
    scattered,
)
from lensmith.records import PARTS, Boxes, Labels, Record, Records, Target

BACKGROUND = "background"

_SHARES = (0.6, 0.2, 0.2)  # of the digits and of the examples, by part
# Pixels of 28: by which a digit in a window is off at most, from which on the window counts as background, and up to
# which that is a near miss.
_JITTER, _AWAY, _NEARLY = 1, 4, 9
_GRAIN = 12.0  # the most that the canvas deviates from black, so that no two scenes without a digit are alike


def one_digit(
    digits: Digits | None = None,
    *,
    count: int = 1500,
    size: tuple[int, int] = (64, 64),
    sides: tuple[int, int] = (20, 40),
    seed: int = 0,
    name: str = "one-digit",
) -> Records:
    """Canvases with one digit each: which digit it is, task ``digit``, and the box around it, task ``place``.

    Args:
        digits: to draw from; left out, scikit-learn's.
        count: of canvases; 60 % for training, 20 % each for validation and test, of different digits.
        size: height and width of a canvas.
        sides: the least and the largest side of a digit's picture.
        seed: of everything.
        name: what to call the records.
    """
    digits = digits or handwritten()
    items: list[Record] = []
    for part, digit, random in _dealt(digits, count, seed):
        drawn = scattered(digits, [next(digit)], size=size, sides=sides, seed=random)
        place = Boxes(drawn.boxes.xyxy, np.zeros(1, np.int64))
        targets: dict[str, Target] = {"digit": int(drawn.boxes.classes[0]), "place": place}
        items.append(Record(f"{name}:{len(items)}", image=_grained(drawn.image, random), targets=targets, part=part))
    labels = {"digit": Labels("class", NAMES), "place": Labels("boxes", ("digit",))}
    return Records(tuple(items), labels, name, layout=f"drawn scenes: {len(items)} with one digit")


def digit_scenes(
    digits: Digits | None = None,
    *,
    count: int = 1500,
    most: int = 4,
    size: tuple[int, int] = (96, 96),
    sides: tuple[int, int] = (14, 36),
    seed: int = 0,
    name: str = "digit-scenes",
) -> Records:
    """Canvases with none to several digits, whose boxes and classes are the task ``objects``.

    Args:
        most: digits on a canvas, at least none; each number is as frequent as the others.
        digits, count, size, sides, seed, name: as for :func:`one_digit`.
    """
    check.positive("digit-scenes.most", most)
    digits = digits or handwritten()
    items: list[Record] = []
    for part, digit, random in _dealt(digits, count, seed):
        chosen = [next(digit) for _ in range(int(random.integers(0, most + 1)))]
        drawn = scattered(digits, chosen, size=size, sides=sides, seed=random)
        items.append(
            Record(
                f"{name}:{len(items)}", image=_grained(drawn.image, random), targets={"objects": drawn.boxes}, part=part
            )
        )
    labels = {"objects": Labels("boxes", NAMES)}
    return Records(tuple(items), labels, name, layout=f"drawn scenes: {len(items)} with up to {most} digits")


def digit_windows(
    digits: Digits | None = None, *, count: int = 3000, side: int = SIDE, seed: int = 0, name: str = "digit-windows"
) -> Records:
    """What a window sees that slides over a scene: a digit that fills it, or the eleventh class, ``background``.

    Every other window shows the background: a digit at least 4 of 28 pixels off, or what remains of it. Windows of one
    digit are one group, which no split parts; the parts are left to the split, for among scikit-learn's digits are
    some that one hand wrote so alike that they pass for copies.

    Args:
        digits, seed, name: as for :func:`one_digit`.
        count: of windows.
        side: of a window and of the digits, in pixels.
    """
    digits = digits or handwritten()
    random = np.random.default_rng(seed)
    deal = _deal(np.arange(len(digits)), random)
    items: list[Record] = []
    for number in range(check.positive("digit-windows.count", count)):
        place, filled = next(deal), number % 2 == 0
        top, left = _shift(random, side, near=filled)
        one = Placed(place, top, left, side)
        image = np.zeros((side, side, 1), np.uint8)
        paste(image, picture(digits, one), one)
        label = int(digits.classes[place]) if filled else len(NAMES)
        image, targets = _grained(image, random), {"label": label}
        items.append(Record(f"{name}:{number}", image=image, targets=targets, group=f"digit {place}"))
    labels = {"label": Labels("class", (*NAMES, BACKGROUND))}
    return Records(tuple(items), labels, name, layout=f"drawn windows: {count}, every other without a digit")


def _dealt(digits: Digits, count: int, seed: int) -> Iterator[tuple[str, Iterator[int], np.random.Generator]]:
    """For each example its part, an iterator that deals out that part's digits, each as often, and the generator."""
    check.positive("scenes.count", count)
    random = np.random.default_rng(seed)
    ends = np.cumsum(_SHARES)
    own = np.split(random.permutation(len(digits)), np.rint(ends[:-1] * len(digits)).astype(int))
    ranges = np.diff(np.rint(np.array([0.0, *ends]) * count).astype(int))
    for part, places, examples in zip(PARTS, own, ranges, strict=True):
        if examples and not len(places):
            raise check.DataError(check.sentence("digits", "enough for three parts, at least 5", f"{len(digits)}"))
        deal = _deal(places, random)
        for _ in range(examples):
            yield part, deal, random


def _deal(places: np.ndarray, random: np.random.Generator) -> Iterator[int]:
    """Without end, each place as often as the others, in an order that is drawn anew each time."""
    while True:
        yield from random.permutation(places).tolist()


def _grained(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The image with noise of a strength that differs from scene to scene."""
    noise = random.normal(0, random.uniform(_GRAIN / 3, _GRAIN), image.shape)
    return np.asarray(np.clip(np.rint(image + np.abs(noise)), 0, 255), np.uint8)


def _shift(random: np.random.Generator, side: int, *, near: bool) -> tuple[int, int]:
    """By how many rows and columns a digit is off the window's corner."""
    scale = side / SIDE
    if near:
        top, left = random.integers(-_JITTER, _JITTER + 1, 2)
        return round(float(top) * scale), round(float(left) * scale)
    # Half of them are near misses, the windows that are hardest to tell from those that hold the digit.
    most = _NEARLY if random.random() < 0.5 else SIDE - 2
    far = int(random.integers(_AWAY, most + 1)) * (1 if random.random() < 0.5 else -1)
    other = int(random.integers(-min(most, 20), min(most, 20) + 1))
    top, left = (far, other) if random.random() < 0.5 else (other, far)
    return round(top * scale), round(left * scale)
