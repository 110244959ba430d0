"""The image of a row: a file by its path, or pixels in the cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lensmith import check
from lensmith.data.formats.listing import Listing
from lensmith.data.formats.parts import part_in
from lensmith.data.formats.paths import inner_path
from lensmith.data.formats.tables.cells import looks_like_image
from lensmith.data.formats.walking import folders, shown
from lensmith.records import PARTS

MISSING = "the image is missing:"
_FEW = 32  # folders beside a table, into which one can look without having been told


class ImageFolders:
    """The folders that relative image paths may start from, in order. Each is listed once, when it is first needed."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders, self._listing = tuple(folders), Listing()

    @staticmethod
    def beside(file: Path, part: str | None = None) -> ImageFolders:
        """For the table in a file: its own folder, ``images/``, a folder of its name, and others as far as they fit.

        Beside ``train.csv`` that is ``train_images/``, but not ``test_images/``.
        """
        usual = [file.parent, file.parent / "images", file.parent / file.stem]
        found = folders(file.parent)
        parts = {folder: part_in(folder.name) for folder in found if folder not in usual}
        fit = [folder for folder, own in parts.items() if part is None or own in (part, None)]
        order = [part, None, *PARTS]
        return ImageFolders(
            [*usual, *sorted(fit, key=lambda one: order.index(parts[one]))[: _FEW * (len(found) <= _FEW)]]
        )

    def find(self, text: str) -> Path:
        """The file that a relative path leads to, from the first of the folders in which it exists.

        Raises:
            DataError: it is absolute, leaves its folder, or is nowhere; says only that, for the caller knows the place.
        """
        name = inner_path(text)
        found = self.locate(name) or self.locate(name.strip())
        if found is None:
            few = " or ".join(map(shown, self._folders[:3]))
            raise check.DataError(f"{MISSING} {text[:80]!r} is not in {few}")
        return found

    def locate(self, text: str) -> Path | None:
        """The file of this name, with a suffix or without, in the first of the folders that has it; or None."""
        found = self._listing.find(self._folders, text)
        if found is None and not looks_like_image(text):
            above, _, last = text.rpartition("/")
            found = self._listing.find_stem([folder / above for folder in self._folders], last) if last else None
        return found


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
