"""How names, numbers and times read in a report."""

from __future__ import annotations

import math
from collections.abc import Mapping

NOTHING = "–"
_COUNTED = ("matched", "missed", "confused", "invented")
_ROUNDING = 1e-9  # what is as near to all of it as this, is all of it
_NARROW = "\u202f"  # a narrow space that does not break, between a number and its unit
_SHARES = ("accuracy", "precision", "recall", "f1", "auc")
_MEANS = {"map50": "mAP@0.5", "map75": "mAP@0.75", "map": "mAP@[.5:.95]"}  # of average precisions


def plain(name: str) -> str:
    """A metric's or part's name in words.

    >>> plain("mean_absolute_error")
    'mean absolute error'
    """
    return name.replace("_", " ")


def metric(name: str) -> str:
    """A metric's name in words, with those of mean average precision as the field writes them.

    >>> metric("val_objects_map50"), metric("map"), metric("val_accuracy")
    ('val objects mAP@0.5', 'mAP@[.5:.95]', 'val accuracy')
    """
    before, _, last = name.rpartition("_")
    return f"{plain(before)} {_MEANS[last]}".strip() if last in _MEANS else plain(name)


def number(value: float | None) -> str:
    """Whole numbers in full, others to four significant digits.

    >>> number(1234567), number(0.123456), number(None)
    ('1,234,567', '0.1235', '–')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def share(value: float | None, digits: int = 1) -> str:
    """A part of one in percent; never rounded up to all of it, nor down to none.

    >>> share(0.9833), share(0.99996), share(1.0), share(0.00002)
    ('98.3\\u202f%', '99.996\\u202f%', '100\\u202f%', '<0.1\\u202f%')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if value in (0, 1) or abs(value - 1) < _ROUNDING:
        return f"{100 * value:.0f}{_NARROW}%"
    if 0 < value < 0.5 * 10.0 ** -(digits + 2):
        return f"<{10.0**-digits:g}{_NARROW}%"
    while value < 1 and digits < 6 and round(100 * value, digits) >= 100:
        digits += 1
    return f"{100 * value:.{digits}f}{_NARROW}%"


def is_share(name: str) -> bool:
    """Whether a metric of this name is a part of one, such as an accuracy."""
    words = name.lower().split("_")
    return words[-1] in _MEANS or any(word in words for word in _SHARES)


def measure(value: float | None, name: str, digits: int = 1) -> str:
    """A metric's value: shares in percent, others as numbers.

    >>> measure(0.5, "val_accuracy"), measure(0.5, "loss")
    ('50.0\\u202f%', '0.5')
    """
    return share(value, digits) if is_share(name) else number(value)


def counted(counts: Mapping[str, int], threshold: float) -> str:
    """What a detector found, missed and invented, as a sentence.

    Args:
        counts: ``matched``, ``missed``, ``confused`` and ``invented``.
        threshold: the least score that was shown.

    >>> counted({"matched": 45, "missed": 10, "confused": 5, "invented": 7}, 0.25)
    'At a score of 0.25 it found 45 of 60 objects, missed 10, called 5 by a wrong name, and invented 7.'
    """
    found, missed, confused, invented = (counts.get(name, 0) for name in _COUNTED)
    objects = found + missed + confused
    if not objects:
        seen = {0: "nothing", 1: "1 object that is not there"}.get(invented, f"{invented:,} objects that are not there")
        return f"At a score of {threshold:g} it found {seen}."
    named = f", called {confused:,} by a wrong name" if confused else ""
    return (
        f"At a score of {threshold:g} it found {found:,} of {objects:,} object{'s' * (objects != 1)}, "
        f"missed {missed:,}{named}, and invented {invented:,}."
    )


def trouble(kind: str) -> str:
    """A kind of diagnosis in words.

    >>> trouble("rate-too-high")
    'Rate too high'
    """
    return kind.replace("-", " ").capitalize()


def sentence(text: str) -> str:
    """Words as a sentence: a capital in front and a full stop behind.

    >>> sentence("the loss rose to 9")
    'The loss rose to 9.'
    """
    return f"{text[:1].upper()}{text[1:]}." if text else text


def short(value: int) -> str:
    """A large count in three digits and a letter.

    >>> short(950), short(9408), short(25557032)
    ('950', '9,408', '25.6\\u202fM')
    """
    rounded = float(f"{value:.3g}")
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 10_000 and rounded >= unit:
            return f"{rounded / unit:g}{_NARROW}{letter}"
    return f"{value:,}"


def duration(seconds: float | None) -> str:
    """A time in its two largest units.

    >>> duration(4.25), duration(75), duration(7380)
    ('4.2\\u202fs', '1\\u202fmin 15\\u202fs', '2\\u202fh 3\\u202fmin')
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 59.5:
        return f"{seconds:.1f}{_NARROW}s" if seconds < 10 else f"{seconds:.0f}{_NARROW}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_NARROW}min {rest}{_NARROW}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{_NARROW}h {minutes}{_NARROW}min"


def shape(sizes: tuple[int, ...]) -> str:
    """The sizes of an array.

    >>> shape((28, 28, 1)), shape((1000,))
    ('28×28×1', '1,000')
    """
    return f"{sizes[0]:,}" if len(sizes) == 1 else "×".join(str(size) for size in sizes)


def tail(source: str, length: int = 18) -> str:
    """The end of a path, where files differ.

    >>> tail("photos/tulip/IMG_0231.jpg")
    '…ulip/IMG_0231.jpg'
    """
    return source if len(source) <= length else f"…{source[1 - length :]}"
