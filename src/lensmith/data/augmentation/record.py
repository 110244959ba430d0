"""The ranges from which the changes of an image are drawn: one record, which a spec can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from lensmith import check

FLIPS = ("none", "horizontal", "vertical", "both")
FILLS = ("nearest", "constant", "reflect", "wrap")
Range = float | tuple[float, float]

_ROLL = 0.2  # of the side, at most: what is rolled further tears most objects apart


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a range may be, and where a single number, the half-width, has its middle."""

    middle: float
    low: float
    high: float


_RANGES = {
    "rotate": _Limits(0, -360, 360),
    "shear": _Limits(0, -60, 60),
    "zoom": _Limits(1, 0.1, 10),
    "brightness": _Limits(1, 0, 10),
    "contrast": _Limits(1, 0, 10),
    "saturation": _Limits(1, 0, 10),
}
# Three corners that move by a quarter of the side or more could fall on one line.
_NUMBERS = {"affine": 0.2, "noise": 1, "erase": 1, "mosaic": 1, "share": 1, "mixup": 100, "cutmix": 100}


@dataclass(frozen=True, slots=True)
class Augment:
    """Ranges of changes, drawn anew for every image in every epoch. As it stands by default, nothing changes.

    A range is two numbers ``(low, high)``, or one: ``rotate=15`` is −15 to 15 degrees, ``zoom=0.1`` a factor of 0.9
    to 1.1; the field then holds the two. All is drawn evenly between them.

    Args:
        flip: ``"none"``, ``"horizontal"`` (left and right change places), ``"vertical"`` or ``"both"``; each
            direction in half of the images.
        turn: a rotation by 0, 90, 180 or 270 degrees, of which no pixel is interpolated; the frame turns with it.
        rotate: degrees, −360..360, counter-clockwise, about the centre.
        enlarge: whether the frame grows around what was turned, rotated, sheared or moved at its corners, so that
            nothing is clipped, before it is resized to the target.
        shift: up to this share of the width and the height, 0..1, to either side; two numbers are x and y.
        roll: what a shift moves out on one side comes in on the other; then at most 0.2.
        zoom: factor, 0.1..10; above 1 things get larger.
        shear: degrees, −60..60, by which upright lines lean.
        affine: each of three corners moves by up to this share of the sides, 0..0.2, which settles an affine map.
        fill: what lies beyond the image: ``"nearest"`` (its border goes on), ``"constant"``, ``"reflect"`` (its
            mirror image, the border pixel twice) or ``"wrap"`` (the image again). The last two show objects again
            that have no box there.
        fill_value: of the constant, 0..255.
        brightness: factor of the pixels, 0..10.
        contrast: factor of the distance from the image's mean, 0..10.
        saturation: factor of the distance from gray, 0..10; gray images stay as they are.
        noise: standard deviation of normal noise as a share of 255, 0..1.
        erase: probability, 0..1, that a rectangle is overwritten with random pixels.
        erase_area: share of the image that is overwritten, ``(low, high)`` within 0..1.
        mixup: alpha of the Beta distribution; 0 is off.
        cutmix: likewise. With both on, a batch gets one of the two.
        mosaic: probability, 0..1, that an image is made of four.
        share: of the images of each batch that are changed, 0..1: with 0.5, 16 of 32; the others are left exactly as
            they are.

    Raises:
        SettingError: a value is out of its range; names the field.

    Example:
        >>> Augment(flip="horizontal", rotate=15, zoom=(0.9, 1.1), share=0.5).rotate
        (-15.0, 15.0)
        >>> Augment(rotate=15) == Augment(rotate=(-15, 15))
        True

    References:
        MixUp: Zhang et al., 2018. CutMix: Yun et al., 2019. Erasing: Zhong et al., "Random Erasing Data
        Augmentation", 2020. Mosaic: Bochkovskiy et al., "YOLOv4", 2020, section 3.3.
    """

    flip: str = "none"
    turn: bool = False
    rotate: Range = 0.0
    enlarge: bool = False
    shift: Range = 0.0
    roll: bool = False
    zoom: Range = 0.0
    shear: Range = 0.0
    affine: float = 0.0
    fill: str = "nearest"
    fill_value: int = 0
    brightness: Range = 0.0
    contrast: Range = 0.0
    saturation: Range = 0.0
    noise: float = 0.0
    erase: float = 0.0
    erase_area: tuple[float, float] = (0.02, 0.4)
    mixup: float = 0.0
    cutmix: float = 0.0
    mosaic: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        check.one_of("augment.flip", self.flip, FLIPS)
        check.one_of("augment.fill", self.fill, FILLS)
        for name in ("turn", "enlarge", "roll"):
            remedy = "One angle alone is rotate: [90, 90]" if name == "turn" else ""
            check.one_of(f"augment.{name}", getattr(self, name), (True, False), remedy)
        for name, limits in _RANGES.items():
            object.__setattr__(self, name, _range(f"augment.{name}", getattr(self, name), limits))
        for name, most in _NUMBERS.items():
            check.between(f"augment.{name}", getattr(self, name), 0, most)
        object.__setattr__(self, "shift", _shift(self.shift, _ROLL if self.roll else 1, rolled=self.roll))
        object.__setattr__(self, "erase_area", _range("augment.erase_area", self.erase_area, _Limits(0, 0, 1)))
        if isinstance(self.fill_value, bool) or self.fill_value not in range(256):
            expected = "a whole number from 0 to 255"
            raise check.SettingError(check.sentence("augment.fill_value", expected, repr(self.fill_value)))

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with others of their batch, so that a class becomes a share of several."""
        return self.mixup > 0 or self.cutmix > 0

    def to_dict(self) -> dict[str, Any]:
        """Every field, in a form that JSON and YAML hold without loss.

        Example:
            >>> Augment(rotate=15).to_dict()["rotate"]
            [-15.0, 15.0]
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Augment:
        """What :meth:`to_dict` wrote, or as much of it as a person did.

        Raises:
            SettingError: a key is unknown, with the nearest one that is known, or a value is wrong.

        Example:
            >>> Augment.from_dict({"rotat": 15})
            Traceback (most recent call last):
                ...
            lensmith.check.SettingError: augment: expected a known setting; got 'rotat'. Did you mean 'rotate'?
        """
        known = [field.name for field in fields(Augment)]
        if not isinstance(values, Mapping):
            remedy = "Write augment: {flip: horizontal, rotate: 15}"
            raise check.SettingError(check.sentence("augment", "settings by name", repr(values), remedy))
        for key in values:
            if key not in known:
                remedy = check.nearest(key, known) or f"Known: {', '.join(known)}"
                raise check.SettingError(check.sentence("augment", "a known setting", repr(key), remedy))
        given: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        return Augment(**given)


def _range(place: str, value: Any, limits: _Limits) -> tuple[float, float]:
    """One number, the half-width, or two in order, as two floats."""
    given = value
    if _is_number(value) and value >= 0:
        value = limits.middle - value, limits.middle + value
    if _is_pair(value) and limits.low <= value[0] <= value[1] <= limits.high:
        return float(value[0]), float(value[1])
    half = min(limits.middle - limits.low, limits.high - limits.middle)
    alone = f"one number from 0 to {half:g}, or " if half else ""
    expected = f"{alone}(low, high) within {limits.low:g} to {limits.high:g}"
    remedy = f"One number is how far it goes to either side of {limits.middle:g}" if half and _is_number(given) else ""
    raise check.SettingError(check.sentence(place, expected, " ".join(repr(given).split()), remedy))


def _shift(value: Any, most: float, *, rolled: bool) -> tuple[float, float]:
    pair = value if _is_pair(value) else (value, value)
    if all(_is_number(share) and 0 <= share <= most for share in pair):
        return float(pair[0]), float(pair[1])
    expected = f"a share, or (x, y), from 0 to {most:g}"
    remedy = "A roll is limited; without it, up to 1 is allowed" if rolled else ""
    raise check.SettingError(check.sentence("augment.shift", expected, repr(value), remedy))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_pair(value: Any) -> bool:
    return isinstance(value, Sequence) and len(value) == 2 and all(map(_is_number, value))


PRESETS: Mapping[str, Augment] = MappingProxyType(
    {
        # Photos in which left and right may change places, but up and down may not.
        "light": Augment(flip="horizontal", rotate=10, shift=0.05, zoom=0.1, brightness=0.1),
        "strong": Augment(
            flip="horizontal",
            rotate=30,
            shift=0.1,
            zoom=0.2,
            shear=10,
            brightness=0.3,
            contrast=0.3,
            saturation=0.3,
            erase=0.25,
        ),
        # Microscopy, tiles, views from above: no side is up.
        "any-side-up": Augment(flip="both", turn=True, brightness=0.1, contrast=0.1),
    }
)
"""Ready-made records by name, for a first try: ``light``, ``strong`` and ``any-side-up``."""
