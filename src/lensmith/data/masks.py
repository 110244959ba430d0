"""Masks: one class index a pixel, from the file or the array that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from lensmith import check
from lensmith.data import images

VOID = 255  # the value of a pixel of which nothing is known (Pascal VOC's border); no class, and never scored
BINARY = ("background", "foreground")
_SINGLE = ("1", "L", "P", "LA", "PA", "I")  # and I;16: one value a pixel


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """What the header of a mask file says.

    Args:
        height: in pixels.
        width: in pixels.
        indices: whether a pixel holds one value; else it holds a colour, though it may be a gray one.
    """

    height: int
    width: int
    indices: bool


def load_mask(
    target: Path | np.ndarray, place: str, *, size: tuple[int, int] | None = None, classes: int | None = None
) -> np.ndarray:
    """The class index of each pixel of a mask.

    A file's pixel value is the index; a palette, which only colours it for people, is passed over. A file of 0
    and 255 alone is a binary mask, and becomes 0 and 1, where there are two classes or their number is not told;
    else 255 stays, and means :data:`VOID`. Gray that is stored as colour is taken as gray; real colours are
    refused, since nothing here says what they mean. An array is taken as it is.

    Args:
        target: a file, or uint8 of shape ``(height, width)`` or ``(height, width, 1)``.
        place: the record, for messages about an array; a file is called by its path.
        size: height and width that it must have: those of its image, upright.
        classes: how many classes there are.

    Returns:
        uint8 array of shape ``(height, width)``: indices, and 255 where nothing is known.

    Raises:
        DataError: the file cannot be read, holds colours, values above 255 or compressed with loss (JPEG); the
            array has another form; or the size is another. The line names the file or the place.

    Example:
        >>> load_mask(np.array([[0, 2], [1, 255]], np.uint8), "cat").tolist()
        [[0, 2], [1, 255]]
    """
    if isinstance(target, np.ndarray):
        mask = _checked(target, place)
    else:
        mask, place = _binary(_read(target), classes), str(target)
    if size is not None and mask.shape != tuple(size):
        check_size((mask.shape[0], mask.shape[1]), size, place)
    return mask


def resize_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at a target's height and width, each pixel from the nearest: no index comes out that was not there.

    Example:
        >>> resize_mask(np.array([[0, 2]], np.uint8), (2, 4)).tolist()
        [[0, 0, 2, 2], [0, 0, 2, 2]]
    """
    resized: np.ndarray = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return resized


def check_size(got: tuple[int, int], expected: tuple[int, int], place: str) -> None:
    """Refuse a mask that has another size than its image.

    Raises:
        DataError: names the place.
    """
    if tuple(got) != tuple(expected):
        said = f"the size of its image, {expected[0]} x {expected[1]} pixels (height x width)"
        raise check.DataError(check.sentence(place, said, f"a mask of {got[0]} x {got[1]}"))


def look(file: Path) -> MaskFacts:
    """What the header of a mask file says; no pixel is decoded.

    Raises:
        DataError: as :func:`load_mask`, as far as a header can tell.
    """
    height, width = images.extent(file)
    with Image.open(file) as picture:
        _not_lossy(picture, file)
        return MaskFacts(height, width, picture.mode in _SINGLE or picture.mode.startswith("I;16"))


def _checked(mask: np.ndarray, place: str) -> np.ndarray:
    flat = mask[..., 0] if mask.ndim == 3 and mask.shape[2] == 1 else mask
    if flat.dtype != np.uint8 or flat.ndim != 2 or not flat.size:
        expected = "a mask: uint8 of shape (height, width)"
        raise check.DataError(check.sentence(place, expected, f"{mask.dtype} of shape {mask.shape}"))
    return flat


def _read(file: Path) -> np.ndarray:
    try:
        with Image.open(file) as picture:
            _not_lossy(picture, file)
            picture.load()
            return _values(ImageOps.exif_transpose(picture), file)
    except check.DataError:
        raise
    except Exception as error:  # decoders raise anything at all; the reader of images finds the words for it
        images.load(file)
        raise check.DataError(f"{file}: damaged or cut short: {' '.join(str(error).split())}") from error


def _not_lossy(picture: Image.Image, file: Path) -> None:
    if picture.format == "JPEG":
        remedy = "JPEG changes pixel values; write the masks anew as PNG"
        raise check.DataError(check.sentence(str(file), "a mask as PNG", "JPEG", remedy))


def _values(picture: Image.Image, file: Path) -> np.ndarray:
    pixels = np.asarray(picture)
    if picture.mode in ("LA", "PA"):
        pixels = pixels[..., 0]
    if pixels.ndim == 3:
        red, green, blue = (pixels[..., channel] for channel in range(3))
        if picture.mode not in ("RGB", "RGBA") or (red != green).any() or (red != blue).any():
            remedy = "Colours need a file that says what they mean: labelmap.txt or class_dict.csv"
            raise check.DataError(check.sentence(str(file), "one class index a pixel", "colours", remedy))
        pixels = red
    if pixels.dtype not in (np.uint8, bool) and not (pixels.min() >= 0 and pixels.max() <= VOID):
        got = f"values from {pixels.min()} to {pixels.max()}"
        raise check.DataError(check.sentence(str(file), "class indices from 0 to 254", got))
    return np.asarray(pixels, np.uint8)


def _binary(mask: np.ndarray, classes: int | None) -> np.ndarray:
    if classes in (None, len(BINARY)) and (mask == VOID).any() and ((mask == 0) | (mask == VOID)).all():
        mask = (mask == VOID).astype(np.uint8)
    return mask
