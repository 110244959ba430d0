"""Say no well: one line that names the place, what was expected, what came and what to do.

Every guard returns the value it checked, so that it can stand in an expression:

>>> from lensmith import check
>>> check.positive("batch_size", 32)
32
>>> check.one_of("schedule", "cosin", ["cosine", "constant"])
Traceback (most recent call last):
    ...
lensmith.check.SettingError: schedule: expected one of cosine, constant; got 'cosin'. Did you mean 'cosine'?
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class LensmithError(Exception):
    """Anything Lensmith refuses, in one line for a person to read."""


class SettingError(LensmithError, ValueError):
    """A setting is wrong: an argument, an option or a line of a spec."""


class DataError(LensmithError, ValueError):
    """A file, a folder or a record is wrong."""


def sentence(place: str, expected: str, got: object, remedy: str = "") -> str:
    """The one form all refusals take: ``place: expected …; got …. remedy``."""
    text = f"{place}: expected {expected}; got {got}"
    return f"{text}. {remedy}" if remedy else text


def nearest(name: str, known: Iterable[str]) -> str:
    """A remedy that names the closest known spelling, or an empty string."""
    close = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else ""


def reason(error: BaseException, most: int = 200) -> str:
    """What another library's exception says, in one line without the colours of a terminal."""
    words = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
    return words[:most] or type(error).__name__


def one_of(place: str, value: T, known: Iterable[T], remedy: str = "") -> T:
    """Return ``value`` if it is among ``known``, else raise with the nearest spelling."""
    names = list(known)
    if value in names:
        return value
    listed = ", ".join(str(name) for name in names)
    hint = nearest(str(value), [str(name) for name in names])
    raise SettingError(sentence(place, f"one of {listed}", repr(value), hint or remedy))


def positive(place: str, value: int) -> int:
    """Return ``value`` if it is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SettingError(sentence(place, "a whole number of at least 1", repr(value)))
    return value


def between(place: str, value: float, low: float, high: float) -> float:
    """Return ``value`` if it is a number with ``low <= value <= high``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise SettingError(sentence(place, f"a number from {low:g} to {high:g}", repr(value)))
    return value


def need_extra(package: str, extra: str) -> LensmithError:
    """What to raise when an optional package is missing: names the extra that brings it."""
    return LensmithError(f"{package} is not installed, and this needs it. Install it: pip install 'lensmith[{extra}]'")
