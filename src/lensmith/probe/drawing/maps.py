"""Numbers as colours: one pixel a value."""

from __future__ import annotations

import cv2
import numpy as np

from lensmith import check
from lensmith.probe.drawing import paper

MISSING = (198, 220, 202)  # a value that is not a number: pale green, a colour that no scale here has
_BLUE, _RED = (33, 76, 160), (178, 34, 40)  # the ends of the signed scale
_HIGH, _BAR = 224, 14  # pixels: a map beside its bar is at least about so high; the bar is so wide


def gray(values: np.ndarray, low: float | None = None, high: float | None = None, *, bar: bool = False) -> np.ndarray:
    """Numbers from black to white.

    Args:
        values: ``(h, w)`` numbers; what is not a number is drawn pale green.
        low: what is drawn black; by default the smallest finite value.
        high: what is drawn white; by default the largest. Where both are equal, all that is not above them is black.
        bar: whether the map is enlarged and has the scale with its numbers beside it.

    Returns:
        uint8 RGB ``(h, w, 3)``; larger with a bar.

    Raises:
        DataError: the values have another shape or none, or are not numbers.
        SettingError: ``low`` is above ``high``, or one of them is not finite.

    Example:
        >>> gray(np.array([[0.0, 0.5, 1.0]]))[0, :, 0].tolist()
        [0, 128, 255]
    """
    return _mapped(values, low, high, np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1), bar)


def coloured(
    values: np.ndarray, low: float | None = None, high: float | None = None, *, bar: bool = False
) -> np.ndarray:
    """Numbers from dark violet over green to yellow (viridis): brighter is more, to colour-blind eyes too.

    Arguments, result and errors are those of :func:`gray`.

    Example:
        >>> coloured(np.array([[0.0, 1.0]])).tolist()
        [[[68, 1, 84], [253, 231, 37]]]
    """
    return _mapped(values, low, high, _colours(cv2.COLORMAP_VIRIDIS), bar)


def signed(values: np.ndarray, largest: float | None = None, *, bar: bool = False) -> np.ndarray:
    """Numbers around zero: blue below, white at zero, red above, stronger the further away.

    Args:
        values: ``(h, w)`` numbers; what is not a number is drawn pale green.
        largest: the distance from zero that gets the strongest colour; by default the largest there is.
        bar: as in :func:`gray`.

    Returns:
        uint8 RGB ``(h, w, 3)``; larger with a bar.

    Raises:
        DataError: the values have another shape or none, or are not numbers.
        SettingError: ``largest`` is negative or not finite.

    Example:
        >>> signed(np.array([[-2.0, 0.0, 2.0]])).tolist()
        [[[33, 76, 160], [255, 255, 255], [178, 34, 40]]]
    """
    found = _numbers(values)
    if largest is None:
        largest = float(np.abs(found[np.isfinite(found)]).max(initial=0.0))
    if not 0 <= largest < np.inf:
        raise check.SettingError(check.sentence("largest", "a number of at least 0", largest))
    # A scale of no extent is still white in its middle; only infinities lie beside it.
    share = _shares(found, -largest, largest) if largest else (np.sign(found) + 1) / 2
    return _painted(share, _both_ways(), (-largest, largest), bar)


def overlaid(image: np.ndarray, heat: np.ndarray, *, strength: float = 0.5) -> np.ndarray:
    """An image with heat over it: none leaves it as it was, then blue, green, yellow, red (turbo).

    Args:
        image: uint8 ``(h, w)``, ``(h, w, 1)`` or ``(h, w, 3)``.
        heat: ``(h', w')`` numbers 0..1, stretched smoothly over the image; others are clipped, NaN is no heat.
        strength: how much of the image is hidden where the heat is 0.5 or more, 0..1; less heat hides less.

    Returns:
        uint8 RGB ``(h, w, 3)``.

    Raises:
        DataError: the image or the heat has another type or shape.
        SettingError: the strength is not from 0 to 1.

    Example:
        >>> image = np.full((4, 4, 3), 7, np.uint8)
        >>> bool((overlaid(image, np.zeros((2, 2))) == image).all())
        True
    """
    check.between("strength", strength, 0, 1)
    below = paper.coloured_picture("image", image)
    height, width = below.shape[:2]
    wanted = np.nan_to_num(np.clip(_numbers(heat), 0, 1), nan=0.0).astype(np.float32)
    smaller = height * width < wanted.size
    stretched = cv2.resize(wanted, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    share = np.clip(np.reshape(stretched, (height, width, 1)), 0, 1)
    hidden = strength * np.minimum(2 * share, 1)  # so that the colours of middling heat can be told apart
    colour = _colours(cv2.COLORMAP_TURBO)[np.rint(255 * share[..., 0]).astype(np.int64)]
    return np.asarray(np.rint(below * (1 - hidden) + colour * hidden), np.uint8)


def _mapped(values: np.ndarray, low: float | None, high: float | None, colours: np.ndarray, bar: bool) -> np.ndarray:
    found = _numbers(values)
    ends = _ends(found[np.isfinite(found)], low, high)
    return _painted(_shares(found, *ends), colours, ends, bar)


def _ends(usable: np.ndarray, low: float | None, high: float | None) -> tuple[float, float]:
    """The ends of the scale: those given, else the extremes of the finite values, never in the wrong order."""
    given = [float(end) for end in (low, high) if end is not None]
    if not np.isfinite(given).all() or given != sorted(given):
        raise check.SettingError(check.sentence("low and high", "finite numbers, low not above high", (low, high)))
    least, most = (float(usable.min()), float(usable.max())) if usable.size else (0.0, 0.0)
    if low is None:
        return (least, most) if high is None else (min(least, float(high)), float(high))
    return float(low), max(most, float(low)) if high is None else float(high)


def _colours(scale: int) -> np.ndarray:
    """The 256 colours of one of OpenCV's scales, RGB."""
    found = cv2.applyColorMap(np.arange(256, dtype=np.uint8), scale)
    return np.asarray(found, np.uint8).reshape(256, 3)[:, ::-1]


def _both_ways() -> np.ndarray:
    """257 colours, of which the middle one is white."""
    steps, white = np.linspace(0, 1, 129)[:, None], np.array(paper.PAPER, float)
    below = np.array(_BLUE) + (white - _BLUE) * steps
    above = white + (np.array(_RED) - white) * steps[1:]
    return np.asarray(np.rint(np.concatenate([below, above])), np.uint8)


def _numbers(values: np.ndarray) -> np.ndarray:
    found = np.asarray(values)
    if found.ndim != 2 or not found.size or found.dtype.kind not in "fiub":
        got = f"{found.dtype} {found.shape}"
        raise check.DataError(check.sentence("values", "an array of numbers (height, width)", got))
    return np.asarray(found, np.float64)


def _shares(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where values lie from low (0) to high (1), NaN kept; halved first, so that no difference overflows."""
    extent = high / 2 - low / 2
    if not extent > 0:
        return np.where(np.isnan(values), np.nan, (values > high).astype(float))
    return np.asarray(np.clip((np.clip(values, low, high) / 2 - low / 2) / extent, 0, 1))


def _painted(share: np.ndarray, colours: np.ndarray, ends: tuple[float, float], bar: bool) -> np.ndarray:
    missing = np.isnan(share)
    # Halves are rounded up, so that the middle of 256 grays is the same on every machine.
    index = np.floor(np.where(missing, 0, share) * (len(colours) - 1) + 0.5).astype(np.int64)
    picture: np.ndarray = np.where(missing[..., None], np.array(MISSING, np.uint8), colours[index]).astype(np.uint8)
    return _with_bar(picture, colours, ends) if bar else picture


def _with_bar(picture: np.ndarray, colours: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """The map enlarged, and at its right the scale with the numbers of its ends, and zero where it lies between."""
    times = max(1, round(_HIGH / max(picture.shape[:2])))
    large = paper.resized(picture, picture.shape[0] * times, picture.shape[1] * times)
    high, wide = max(large.shape[0], 48), large.shape[1]
    low, most = (end + 0.0 for end in ends)  # not "-0"
    words = {most: f"{most:.4g}", low: f"{low:.4g}"} | ({0.0: "0"} if _apart(low, most, high) else {})
    page, pen, top = paper.sheet(wide + paper.GAP + _BAR + 6 + max(map(paper.length, words.values())), high)
    left = paper.MARGIN + wide + paper.GAP
    paper.paste(page, large, (paper.MARGIN, top))
    paper.paste(page, paper.resized(colours[::-1, None], high, _BAR), (left, top))
    for value, text in words.items():
        y = top + (high - 1) * (1 - float(_shares(np.array(value), low, most)))
        paper.put(pen, (left + _BAR + 6, min(max(y, top + 5), top + high - 6)), text, "lm", soft=True)
    return np.asarray(page)


def _apart(low: float, high: float, pixels: int) -> bool:
    """Whether zero lies on the scale, far enough from its ends that its label covers none of theirs."""
    if not low < 0 < high:
        return False
    place = float(_shares(np.array(0.0), low, high)) * pixels
    return paper.LINE <= place <= pixels - paper.LINE
