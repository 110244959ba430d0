"""Text → what JSON says, read strictly; and what kind of value it is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from lensmith import check


def parse(text: str, place: str) -> object:
    """Read JSON strictly: no key twice in an object, no NaN.

    Raises:
        DataError: names the place and the line.

    Example:
        >>> parse('{"a": 1, "a": 2}', "cats.json")
        Traceback (most recent call last):
            ...
        lensmith.check.DataError: cats.json: the key 'a' stands twice in one object
    """

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise check.DataError(f"{place}: the key {twice!r} stands twice in one object")
        return found

    def refuse(word: str) -> object:
        raise check.DataError(check.sentence(place, "numbers as JSON has them", word))

    try:
        return json.loads(text, object_pairs_hook=once, parse_constant=refuse)
    except check.DataError:
        raise
    except json.JSONDecodeError as error:
        raise check.DataError(f"{place}:{error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; lists in lists without end
        raise check.DataError(f"{place}: not JSON that can be read: {' '.join(str(error).split())}") from error


def numbers_in(values: object, place: str) -> np.ndarray:
    """A list of numbers, or lists of them in one another, as an array.

    Raises:
        DataError: it is none, or not all of its numbers are finite.
    """
    try:
        array = np.array(values)
    except ValueError as error:
        raise check.DataError(check.sentence(place, "lists of the same length", "lists of several")) from error
    if array.dtype.kind not in "iuf" and array.size:
        raise check.DataError(check.sentence(place, "a list of numbers, or of texts", "a list of something else"))
    if not np.isfinite(array.astype(np.float64)).all():
        raise check.DataError(check.sentence(place, "finite numbers", "one that is too large"))
    return array


def list_in(value: object, place: str) -> list[Any]:
    """The value itself, if it is a list; DataError where it is none."""
    if not isinstance(value, list):
        raise check.DataError(check.sentence(place, "a list", type(value).__name__))
    return value


def object_in(value: object, place: str) -> dict[str, Any]:
    """The value itself, if it is an object; DataError where it is none."""
    if not isinstance(value, dict):
        raise check.DataError(check.sentence(place, "an object", type(value).__name__))
    return value
