"""One image file → pixels no larger than a small target needs: the quick way to read for training."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lensmith.data.images import TURNED, checked, decode, orientation, upright, with_channels
from lensmith.data.resampling import resize, shrink

# OpenCV scales inside the JPEG decoder, whole blocks at a time: the flags of gray and of red, green, blue.
_GRAY = {1: cv2.IMREAD_GRAYSCALE, **{s: getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{s}") for s in (2, 4, 8)}}
_COLOUR = {scale: (flag if scale > 1 else 0) | cv2.IMREAD_COLOR_RGB for scale, flag in _GRAY.items()}
# How often the target must still fit into each side. To halve costs little likeness and saves the most; below that
# the decoder's own averaging would be most of the picture, and the target keeps twice its pixels.
_SPARE = {2: 1, 4: 2, 8: 2}
_START, _END = b"\xff\xd8", b"\xff\xd9"  # of a JPEG
_FRAMES = (0xC0, 0xC1, 0xC2)  # markers of a frame: baseline, extended and progressive, as decoders know them
_FRAME = struct.Struct(">BHHB")  # bits, height, width, components
_NOTES = 0xE1  # the marker of EXIF and XMP, either of which may say how the picture stands


@dataclass(frozen=True, slots=True)
class Pixels:
    """What was read of an image, and how large the image is.

    Args:
        values: uint8 ``(h, w, channels)``, upright.
        size: height and width of the whole image in pixels, upright; targets are in these.
        quick: whether the resize may be as far from the exact one as a reduced decode is: of a JPEG that was read
            for a small target.
    """

    values: np.ndarray
    size: tuple[int, int]
    quick: bool = False

    def resized(self, size: tuple[int, int], method: str = "area") -> np.ndarray:
        """At a target's height and width: ``(h, w, channels)``, 0..255, float32 or, in whole levels, uint8.

        As :func:`lensmith.data.resize`; but a quick one is shrunk linearly, in a quarter of the time, unless both
        sides are twice the target's or more (the more pixels it averages, the more the exact way is worth) or one
        is smaller than the target's. By another ``method`` than ``area`` it is exact in any case.
        """
        before = self.values.shape[:2]
        if before == size:
            return self.values
        if method != "area":
            return resize(self.values, size, method)
        fits = min(have / want for have, want in zip(before, size, strict=True))
        return shrink(self.values, size) if self.quick and 1 <= fits < 2 else resize(self.values, size)


def load_reduced(
    image: Path | np.ndarray, channels: int, size: tuple[int, int] | None, *, place: str = "image"
) -> Pixels:
    """Read an image as ``decode`` does, but a JPEG that is far larger than ``size`` at 1/2, 1/4 or 1/8.

    The largest reduction is taken that leaves each side at least the target's (1/2), or twice the target's (1/4
    and 1/8). A JPEG that is not reduced, and every other file, comes out as :func:`lensmith.data.decode` gives it
    to the bit. Resized to the target, a photo that was read so is 1 to 2 levels of 255 away on average from the exact
    one, for the decoder and the area average let different fine detail through: most in hair and grass.

    Args:
        image: a file, or pixels in memory, which are never reduced.
        channels: 1 or 3.
        size: height and width of the target; without it nothing is reduced.
        place: what to call pixels in a refusal.

    Raises:
        DataError: as ``decode``, in the same words: what is not a whole, ordinary JPEG goes through it.
    """
    pixels = None if isinstance(image, np.ndarray) else _reduced(image, channels, size)
    if pixels is None:
        values = decode(image, channels, place=place)
        height, width = values.shape[:2]
        pixels = Pixels(values, (height, width))
    return pixels


def _reduced(path: Path, channels: int, size: tuple[int, int] | None) -> Pixels | None:
    """A whole JPEG of 8 bits, gray or colour; None for what the exact loader must judge."""
    try:
        with path.open("rb", buffering=0) as file:
            content = _START + file.read() if file.read(2) == _START else b""
        # A JPEG that is cut short has no end, and a lenient decoder would fill it up with gray.
        header = _header(content) if content.rstrip(b"\0").endswith(_END) else None
        if header is None:
            return None
        stands = (header.width, header.height) if header.turn in TURNED else (header.height, header.width)
        scale = scale_for(stands, size)
        flags = (_GRAY if header.gray else _COLOUR)[scale] | cv2.IMREAD_IGNORE_ORIENTATION
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except Exception:  # decoders meet hostile bytes; the exact loader finds the words
        return None
    if decoded is None or decoded.shape[:2] != (-(-header.height // scale), -(-header.width // scale)):
        return None
    values = with_channels(checked(upright(decoded, header.turn), str(path)), channels)
    return Pixels(values, stands, quick=size is not None)


@dataclass(frozen=True, slots=True)
class _Header:
    height: int
    width: int
    gray: bool
    turn: int  # the EXIF orientation


def _header(content: bytes) -> _Header | None:
    """What a JPEG says of itself before its pixels; None for what is unusual. A tenth of the time Pillow takes.

    References:
        ITU-T T.81, "Digital compression and coding of continuous-tone still images", 1992, annex B.
    """
    place, noted = 2, False
    while content[place] == 0xFF:
        marker = content[place + 1]
        if marker in _FRAMES:
            bits, height, width, components = _FRAME.unpack_from(content, place + 4)
            fits = Image.MAX_IMAGE_PIXELS is None or height * width <= Image.MAX_IMAGE_PIXELS
            if bits != 8 or not height or not width or components not in (1, 3) or not fits:
                return None
            return _Header(height, width, components == 1, _turn(content) if noted else 1)
        noted = noted or marker == _NOTES
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return None


def _turn(content: bytes) -> int:
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as picture:
        return orientation(picture)


def scale_for(before: tuple[int, int], size: tuple[int, int] | None) -> int:
    """By how much a JPEG of one size is reduced for a target of another: 1, 2, 4 or 8.

    Example:
        >>> [scale_for((side, 2 * side), (100, 100)) for side in (199, 200, 799, 800, 4000)]
        [1, 2, 2, 4, 8]
    """
    if size is None:
        return 1
    fits = min(have / want for have, want in zip(before, size, strict=True))
    return max((scale for scale, spare in _SPARE.items() if fits >= scale * spare), default=1)
