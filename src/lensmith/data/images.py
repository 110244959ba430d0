"""One image file → upright pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from lensmith import check

EXTENSIONS = ("bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp")
TURNED = (5, 6, 7, 8)  # the EXIF orientations that change height for width


@dataclass(frozen=True, slots=True)
class Facts:
    """What an image file holds, before any of it is changed.

    Args:
        height: in pixels, once the image stands upright.
        width: likewise.
        channels: 1 for grayscale, 3 for colour; alpha is not counted.
        bits: per channel as stored: 1, 8, 16 or 32. Colour is always 8: that is what is read of it.
        orientation: the EXIF orientation, 1 (upright) to 8.
    """

    height: int
    width: int
    channels: int
    bits: int = 8
    orientation: int = 1


def decode(image: Path | str | np.ndarray, channels: int, *, place: str = "image") -> np.ndarray:
    """Read an image, turn it upright, and give it the channels that are wanted.

    The EXIF orientation is applied; alpha is dropped; of an animation the first frame is taken; palettes,
    CMYK and single bits become ordinary pixels, in the order red, green, blue. Grayscale pixels of 16 bits are
    divided by 257, never clipped (of 16-bit colour Pillow keeps the high byte, at most one step away). Pixels
    of 32 bits, which have no agreed range, are taken as 0..1 (floating point only), 0..255 or 0..65535, the
    first that holds them all. Colour becomes gray by the luma of ITU-R BT.601.

    Args:
        image: a file, or uint8 pixels of shape ``(h, w)`` or ``(h, w, 1 | 3 | 4)``.
        channels: 1 or 3.
        place: what to call pixels in a refusal; a file is called by its path.

    Returns:
        uint8 array of shape ``(height, width, channels)``, 0..255.

    Raises:
        DataError: the file is missing, empty, damaged, cut short, too large (about 178 million pixels, Pillow's
            limit) or no image; the line names it and says which.

    Example:
        >>> decode(np.full((2, 2, 3), (255, 0, 0), np.uint8), channels=1)[0, 0]
        array([76], dtype=uint8)
    """
    check.one_of("channels", channels, (1, 3))
    pixels = checked(image, place) if isinstance(image, np.ndarray) else load(image)[0]
    return with_channels(pixels, channels)


def load(path: Path | str) -> tuple[np.ndarray, Facts]:
    """Decode a file to upright uint8 pixels ``(h, w, 1 | 3)``, as it stores them, and say what it held.

    Raises:
        DataError: as :func:`decode`.
    """
    try:
        if Path(path).stat().st_size == 0:
            raise check.DataError(f"{path}: the file is empty (0 bytes)")
        with Image.open(path) as picture:
            # TIFF turns itself while it loads and then forgets; PNG may only know afterwards.
            before = orientation(picture)
            picture.load()
            after = orientation(picture)
            pixels = upright(_pixels(picture), after)
            bits = {"1": 1, "I": 32, "F": 32}.get(picture.mode, 16 if picture.mode.startswith("I;16") else 8)
    except check.DataError:
        raise
    except Exception as error:  # decoders meet hostile bytes and raise anything at all; each is named here
        raise check.DataError(f"{path}: {_reason(error)}") from error
    height, width, channels = pixels.shape
    return pixels, Facts(height, width, channels, bits, max(before, after))


def extent(path: Path | str) -> tuple[int, int]:
    """Height and width of the upright image, from the file's header: no pixel is decoded, nor checked.

    Raises:
        DataError: the file is missing, empty, too large, or no image; what is wrong behind the header is not seen.
    """
    try:
        if Path(path).stat().st_size == 0:
            raise check.DataError(f"{path}: the file is empty (0 bytes)")
        with Image.open(path) as picture:
            width, height = picture.size
            if picture.format == "TIFF":  # versions of Pillow differ on whether this size is already turned
                tags = picture.getexif()
                width, height = tags[ExifTags.Base.ImageWidth], tags[ExifTags.Base.ImageLength]
            if picture.format == "PNG" and _late_words(path):
                picture.load()
            turn = orientation(picture, ahead=True)
    except check.DataError:
        raise
    except Exception as error:  # as in `load`
        raise check.DataError(f"{path}: {_reason(error)}") from error
    return (width, height) if turn in TURNED else (height, width)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "the file is missing"
    if isinstance(error, IsADirectoryError):
        return "this is a folder, not an image"
    if isinstance(error, PermissionError):
        return "the file may not be read (permission denied)"
    if isinstance(error, UnidentifiedImageError):
        return "not an image that can be read, whatever its name says"
    if isinstance(error, Image.DecompressionBombError):
        return f"too large to open safely: {error}"
    return f"damaged or cut short: {' '.join(str(error).split()) or type(error).__name__}"


def _late_words(path: Path | str) -> bool:
    """Whether a PNG has text or EXIF behind its pixels, which says how it stands only once they are decoded."""
    with Path(path).open("rb") as file:
        place, kind, pixels = 8, b"", False
        while kind != b"IEND":
            file.seek(place)
            head = file.read(8)
            if len(head) < 8:
                return False
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            pixels = pixels or kind == b"IDAT"
            if pixels and kind in (b"eXIf", b"iTXt", b"tEXt", b"zTXt"):
                return True
            place += length + 12
    return False


def orientation(picture: Image.Image, *, ahead: bool = False) -> int:
    """The EXIF orientation; a broken EXIF block says nothing about the pixels, and counts as upright.

    PNG's own way to it decodes the whole image; ``ahead`` takes what is known without.
    """
    try:
        exif = Image.Image.getexif(picture) if ahead else picture.getexif()
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return value if value in range(1, 9) else 1


def upright(pixels: np.ndarray, turn: int) -> np.ndarray:
    """Undo an EXIF orientation (``turn``, 1 to 8); 2, 4, 5 and 7 are mirrored."""
    if turn in TURNED:
        pixels = pixels.swapaxes(0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _pixels(picture: Image.Image) -> np.ndarray:
    """The pixels as uint8 ``(h, w, 1)`` or ``(h, w, 3)``, not yet upright."""
    if picture.mode.startswith("I;16"):
        return _from_16_bits(np.asarray(picture))[..., None]
    if picture.mode in ("I", "F"):
        return _from_32_bits(np.asarray(picture))[..., None]
    if picture.mode in ("1", "L", "LA"):
        return np.asarray(picture.convert("L"))[..., None]
    if picture.mode in ("P", "PA"):  # through RGBA, for Pillow warns of transparent palettes otherwise
        picture = picture.convert("RGBA")
    return np.asarray(picture.convert("RGB"))


def _from_16_bits(values: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = (values.astype(np.uint32) + 128) // 257
    return rounded.astype(np.uint8)


def _from_32_bits(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 65535):
        raise ValueError(f"32-bit pixels from {low:g} to {high:g}, which fit none of 0..1, 0..255 and 0..65535")
    if values.dtype.kind == "f" and high <= 1:
        values = values * 255
    elif high > 255:
        values = values / 257
    rounded: np.ndarray = np.rint(values)
    return rounded.astype(np.uint8)


def checked(pixels: np.ndarray, place: str) -> np.ndarray:
    """In-memory pixels with a channel axis.

    Raises:
        DataError: they are not uint8 or not of a shape that :func:`decode` takes; names the place.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        expected = "uint8 of shape (height, width) or (height, width, 1, 3 or 4)"
        raise check.DataError(check.sentence(place, expected, f"{pixels.dtype} of shape {pixels.shape}"))
    return pixels


def with_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Pixels of shape ``(h, w, 1 | 3 | 4)`` as ``(h, w, channels)``: see :func:`decode`."""
    present = pixels.shape[2]
    if present == 4:
        pixels, present = pixels[..., :3], 3
    if present == channels:
        return np.ascontiguousarray(pixels)
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    red, green, blue = np.moveaxis(pixels.astype(np.uint32), 2, 0)
    # 0.299, 0.587 and 0.114 in 16-bit fixed point, rounded: Pillow's "L" to the bit.
    luma: np.ndarray = (red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16
    return luma.astype(np.uint8)[..., None]
