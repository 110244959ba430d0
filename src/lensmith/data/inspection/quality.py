"""Images that are odd: almost empty, dark, bright, blurred, of another size or sort than the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lensmith.data.images import Facts
from lensmith.data.inspection.findings import Finding, Severity, counted, mending
from lensmith.records import Records

_EMPTY = 2.0  # gray levels of deviation; what an encoder leaves of a plain area stays below
_SHAPELESS, _LEAST = 0.05, 0.5  # of what is bright in an image, and gray levels: what is dark may still show shapes
_DARK, _BRIGHT = 50, 205  # of 255: so much at the most, so little at the least, but for 1 % of the pixels
_SHARP_SIDE = 64  # pixels a side; in smaller images edges and blur look the same
_BLURRED = 0.25  # sharpness; a photo out of focus by 3 pixels of 500 has about 0.1, a usual one 0.6 to 1
_FAR = 3.5  # robust deviations from the median, after Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993)
_ENOUGH = 8  # images, to say what is usual among them
_OTHERS, _FEW = 0.1, 2  # of all images, and number of few: more are not blurred but another sort of picture
_SMALL_AREA, _SMALL_SIDE = 1 / 16, 16  # of the median area; pixels
_LONG = 4  # times as long, for its width, as the median image


@dataclass(frozen=True, slots=True)
class Quality:
    """What is measured of an image's gray values.

    Args:
        deviation: of the gray values, 0..127.5.
        low: the value that 1 % of the pixels stay below, 0..255.
        high: the value that 1 % of the pixels lie above.
        sharpness: the strongest edges (:func:`measure`); None of images with a side under 64 pixels.
    """

    deviation: float
    low: int
    high: int
    sharpness: float | None


def measure(gray: np.ndarray) -> Quality:
    """Measure an image.

    Sharpness is the Laplacian that 0.2 % of the pixels exceed, as a share of the contrast. A blurred image has no
    strong edge anywhere, whereas one may well have few: the variance of the Laplacian (Pech-Pacheco et al., "Diatom
    autofocusing in brightfield microscopy", 2000) takes a sharp cat before a plain wall for a blurred one.

    Args:
        gray: uint8 array of shape ``(height, width)`` from :func:`~lensmith.data.inspection.hashing.standard`.

    Example:
        >>> halves = np.repeat(np.array([[0, 200]], np.uint8), 40, axis=1).repeat(80, axis=0)
        >>> measure(halves)
        Quality(deviation=100.0, low=0, high=200, sharpness=1.0)
    """
    counts = np.bincount(gray.ravel(), minlength=256)
    low, high = np.searchsorted(counts.cumsum(), (0.01 * gray.size, 0.99 * gray.size))
    sharpness = None
    if min(gray.shape) >= _SHARP_SIDE:
        edges = np.bincount(np.abs(cv2.Laplacian(gray, cv2.CV_16S)).ravel()).cumsum()
        sharpness = float(np.searchsorted(edges, 0.998 * gray.size) / max(high - low, 1))
    deviation = float(cv2.meanStdDev(gray)[1][0, 0])
    return Quality(deviation, int(low), int(high), sharpness)


def odd_images(records: Records, qualities: Sequence[Quality]) -> Iterator[Finding]:
    """Images that show next to nothing, are dark, bright or blurred; each is named once.

    Args:
        records: images.
        qualities: of each.
    """
    blurred = _blurred([quality.sharpness for quality in qualities])
    found: dict[str, list[str]] = {"empty": [], "dark": [], "bright": [], "blurred": []}
    for record, quality, out_of_focus in zip(records, qualities, blurred, strict=True):
        kind = _kind(quality, out_of_focus)
        if kind:
            found[kind].append(record.source)
    said = {
        "empty": f"of almost one value throughout: the pixels deviate by less than {_EMPTY:g} of 255",
        "dark": f"dark: 99 % of the pixels are under {_DARK} of 255",
        "bright": f"bright: 99 % of the pixels are over {_BRIGHT} of 255",
        "blurred": "blurred beside the rest: no edge is sharp",
    }
    for kind, files in found.items():
        if files:
            leave_out = f"Leave them out: {mending(records, kind)}"
            remedy = leave_out if kind == "empty" else "Look at them, and leave out those that show too little"
            severity: Severity = "warning" if kind == "empty" else "info"
            yield Finding(kind, severity, f"{_images(len(files))} {said[kind]}", remedy, tuple(files))


def odd_sizes(records: Records, facts: Sequence[Facts]) -> Iterator[Finding]:
    """Images much smaller, or of a much longer shape, than most.

    Args:
        records: images.
        facts: of each.
    """
    sizes = np.array([(fact.height, fact.width) for fact in facts], np.float64).reshape(-1, 2)
    if not len(sizes):
        return
    areas, shapes = sizes.prod(axis=1), np.log(sizes[:, 1] / sizes[:, 0])
    usual = np.median(sizes, axis=0)
    small = areas < _SMALL_AREA * np.median(areas)
    small |= (sizes.min(axis=1) < _SMALL_SIDE) & (usual.min() >= _SHARP_SIDE)
    long = ~small & (np.abs(shapes - np.median(shapes)) > np.log(_LONG))
    median = f"the median of {usual[0]:,.0f} x {usual[1]:,.0f} pixels"
    whose = "its" if long.sum() == 1 else "their"
    for marked, said in ((small, "far smaller than"), (long, f"far longer, for {whose} width, than")):
        if marked.any():
            files = tuple(records[place].source for place in np.flatnonzero(marked).tolist())
            remedy = "Look at them: icons and strips that came among the images teach nothing"
            yield Finding("size", "warning", f"{_images(len(files))} {said} {median}", remedy, files)


def turned_and_mixed(records: Records, facts: Sequence[Facts]) -> Iterator[Finding]:
    """Images that had to be turned or converted; nothing is lost by either.

    Args:
        records: images.
        facts: of each.
    """
    pairs = list(zip(records, facts, strict=True))
    turned = tuple(record.source for record, fact in pairs if fact.orientation != 1)
    if turned:
        message = f"{counted(len(turned), 'image')} turned upright, as the EXIF block says that the camera was turned"
        yield Finding("orientation", "info", message, "Nothing need be done", turned)
    gray = tuple(record.source for record, fact in pairs if fact.channels == 1)
    if 0 < len(gray) < len(facts):
        message = (
            f"{counted(len(gray), 'gray image')} among {len(facts) - len(gray):,} in colour: all are read as colour"
        )
        yield Finding("mode", "info", message, "Nothing need be done", gray)
    deep = tuple(record.source for record, fact in pairs if fact.bits > 8)
    if deep:
        message = f"{counted(len(deep), 'image')} of more than 8 bits a channel: the values are scaled to 0..255"
        yield Finding("mode", "info", message, "Nothing need be done", deep)


def _images(count: int) -> str:
    return f"{counted(count, 'image')} {'is' if count == 1 else 'are'}"


def _kind(quality: Quality, blurred: bool) -> str:
    if quality.deviation <= min(_EMPTY, max(_SHAPELESS * quality.high, _LEAST)):
        return "empty"
    if quality.high < _DARK:
        return "dark"
    if quality.low > _BRIGHT:
        return "bright"
    return "blurred" if blurred else ""


def _blurred(sharpness: Sequence[float | None]) -> np.ndarray:
    """Which are blurred in themselves and far from what is usual among the others."""
    values = np.array([np.nan if value is None else value for value in sharpness], np.float64)
    known = np.isfinite(values) & (values > 0)
    if known.sum() < _ENOUGH:
        return np.zeros(len(values), bool)
    logs = np.log(values[known])
    middle = np.median(logs)
    spread = 1.4826 * np.median(np.abs(logs - middle))
    marked = np.zeros(len(values), bool)
    marked[known] = (values[known] < _BLURRED) & (logs - middle < -_FAR * spread)
    return marked if marked.sum() <= max(_OTHERS * len(marked), _FEW) else np.zeros(len(values), bool)
