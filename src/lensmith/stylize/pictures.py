"""Image files ↔ the pixels that are painted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from lensmith import check, data, files

# By the suffix of the file; the qualities at which nothing is seen of the compression.
_FORMATS = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
}


def read(path: Path | str) -> np.ndarray:
    """An image file as upright uint8 pixels ``(h, w, 3)``, 0..255; grayscale is repeated, alpha dropped.

    Raises:
        DataError: the file is missing, damaged or no image; the line names it and says which.
    """
    return data.decode(Path(path), 3)


def checked(image: np.ndarray, place: str) -> np.ndarray:
    """Pixels in memory as ``(h, w, 3)``, either uint8 or float32 0..1, whatever of the two they were.

    Raises:
        DataError: they are neither, or not finite, or of another shape; names the place.

    >>> checked(np.zeros((2, 3), np.uint8), "content").shape
    (2, 3, 3)
    """
    if image.dtype == np.uint8:
        return data.decode(image, 3, place=place)
    pixels = image.astype(np.float32)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise check.DataError(check.sentence(place, "pixels of shape (height, width, 3)", f"shape {pixels.shape}"))
    if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        raise check.DataError(check.sentence(place, "uint8 pixels, or floats from 0 to 1", "others"))
    return pixels


def size_for(shape: tuple[int, int], longest: int) -> tuple[int, int]:
    """Height and width of the same proportions whose longer one is this many pixels.

    >>> size_for((427, 640), 512)
    (342, 512)
    """
    height, width = shape
    factor = longest / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def scaled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pixels at another size: averaged by area along an axis that shrinks, cubic along one that grows.

    Args:
        image: ``(h, w, channels)``, uint8, or float32 0..1.
        size: height and width, in this order.

    Returns:
        float32 array ``(height, width, channels)``, 0..1.
    """
    values = image if image.dtype == np.uint8 else image * np.float32(255)
    resized: np.ndarray = data.resize(values, size) / np.float32(255)
    return resized


def to_bytes(pixels: np.ndarray) -> np.ndarray:
    """Floats 0..1 as uint8 0..255, rounded; what lies outside is clipped."""
    rounded: np.ndarray = np.rint(np.clip(pixels, 0, 1) * 255)
    return rounded.astype(np.uint8)


def check_target(path: Path) -> Path:
    """Return the path of a picture that is to be written, if it can be; nothing is left there.

    Raises:
        SettingError: its name ends in no format that is written here, or it is a folder.
        LensmithError: the disk refuses.
    """
    if path.suffix.lower() not in _FORMATS:
        expected = f"a name that ends in {', '.join(_FORMATS)}"
        raise check.SettingError(check.sentence("--out", expected, repr(str(path))))
    if path.is_dir():
        raise check.SettingError(check.sentence("--out", "the name of a picture", f"{path}, which is a folder"))
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            return path
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise check.LensmithError(f"could not write {path}: {reason}; nothing there was changed") from error


def write(path: Path, picture: np.ndarray) -> Path:
    """Write uint8 pixels ``(h, w, 3)`` as the format that the suffix names, whole or not at all; returns the path.

    Raises:
        LensmithError: the disk is full or refuses; what was there is still there.
    """
    name, options = _FORMATS[path.suffix.lower()]
    files.put_file(path, lambda beside: Image.fromarray(picture).save(beside, format=name, **options))
    return path


def numbered(path: Path, step: int) -> Path:
    """The name of the picture after so many steps, beside the result.

    >>> numbered(Path("out/night.png"), 100).as_posix()
    'out/night-000100.png'
    """
    return path.with_name(f"{path.stem}-{step:06d}{path.suffix}")
