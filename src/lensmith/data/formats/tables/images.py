"""The image of a row: a file by its path, or pixels in the cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

import numpy as np

from lensmith import check
from lensmith.data.formats.tables.cells import looks_like_image
from lensmith.data.formats.walking import shown
from lensmith.data.images import EXTENSIONS

_ODD = frozenset("\\:")  # in a path, beside a slash in front or two dots: it may leave its folder


def find_image(text: str, folders: Sequence[Path]) -> Path:
    """The file that a relative path leads to, from the first of the folders in which it exists.

    Raises:
        DataError: it is absolute, leaves its folder, or is nowhere; says only that, for the caller knows the place.
    """
    # Most paths are plain, and a table has many: only the others are taken apart.
    if text.startswith("/") or not _ODD.isdisjoint(text) or ".." in text:
        _check_stays(text)
    found = locate(text, folders)
    if found is None:
        raise check.DataError(f"the image is missing: {text!r} is not in {' or '.join(map(shown, folders))}")
    return found


def _check_stays(text: str) -> None:
    windows = PureWindowsPath(text)  # which knows the separators of all systems
    if windows.drive or windows.root:
        raise check.DataError(f"the path {text!r} is absolute; paths start in the table's own folder")
    depth = 0
    for step in windows.parts:
        depth += -1 if step == ".." else 1
        if depth < 0:
            raise check.DataError(f"the path {text!r} climbs out of its folder")


def locate(text: str, folders: Sequence[Path]) -> Path | None:
    """The file of this name, with a suffix or without, in the first of the folders that has it; or None."""
    spellings = [text, text.replace("\\", "/")] if "\\" in text else [text]
    if not looks_like_image(text):
        spellings += [f"{text}.{suffix}" for suffix in EXTENSIONS]
    for folder in folders:
        for spelling in spellings:
            path = folder / spelling
            try:
                if path.is_file():
                    return path
            except OSError:  # a name longer than the system allows
                continue
    return None


def square(count: int) -> tuple[int, int, int] | None:
    """The shape of the square image of so many values: one channel, or three, the channels of a pixel together.

    Example:
        >>> square(784), square(12), square(5)
        ((28, 28, 1), (2, 2, 3), None)
    """
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side and side * side * channels == count:
            return side, side, channels
    return None


def to_pixels(values: np.ndarray | list[str], shape: tuple[int, int, int] | None = None) -> np.ndarray:
    """Numbers as uint8 pixels; flat ones become a square where no shape is given.

    Args:
        values: numbers of shape ``(values,)``, ``(height, width)`` or ``(height, width, channels)``; or flat, as texts.
        shape: height, width and channels, of flat ones.

    Returns:
        uint8 ``(height, width, channels)``.

    Raises:
        DataError: they are no whole numbers 0..255, or make no image; says only that.
    """
    array = _shaped(_from_texts(values) if isinstance(values, list) else np.asarray(values, np.float64), shape)
    whole: np.ndarray = np.rint(np.clip(np.nan_to_num(array), 0, 255)).astype(np.uint8)
    if not np.array_equal(whole, array):
        wrong = array[whole != array][0]
        raise check.DataError(check.sentence("pixels", "whole numbers from 0 to 255", f"{wrong:g}"))
    return whole


def _from_texts(texts: list[str]) -> np.ndarray:
    """Texts as numbers; by far the most are bytes, for which there is a short way."""
    try:
        return np.frombuffer(bytearray(map(int, texts)), np.uint8)
    except ValueError:
        pass
    try:
        return np.array(texts, np.float64)
    except ValueError as error:  # the message ends with the text that is meant
        raise check.DataError(f"a pixel is no number: {str(error).rpartition(': ')[2]}") from error


def _shaped(array: np.ndarray, shape: tuple[int, int, int] | None) -> np.ndarray:
    if array.ndim == 1:
        form = shape or square(array.size)
        if form is None:
            raise check.DataError(check.sentence("pixels", "s·s or 3·s·s of them", array.size))
        array = array.reshape(form)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        expected = "an image of shape (height, width) or (height, width, 1, 3 or 4)"
        raise check.DataError(check.sentence("pixels", expected, f"shape {array.shape}"))
    return array
