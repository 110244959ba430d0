"""The links of a stream: map, shuffle, batch, repeat, take. They pass on work to be done, and do none of it.

What goes through a chain are :data:`Work` items. Only the one that comes out at the end is done; so a position in
the middle of an epoch is reached again without a call of the user's functions, and elements can be made in parallel.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from lensmith import check

Number = tuple[int, ...]  # which pass this is: the epoch, then the repetitions in it; it seeds what is random
Together = Callable[["Sequence[Work]"], list[Any]]  # does several, in order: one after the other, or in threads
Work = Callable[[Together], Any]
Pass = Callable[[Number], Iterator[Work]]


class Link(Protocol):
    """One member of a chain."""

    def through(self, before: Pass, number: Number, place: str) -> Iterator[Work]:
        """What comes out in a pass; ``place`` names this link in messages."""
        ...

    def count(self, before: int | None) -> int | None:
        """How many come out, where it is known how many go in; None for unknown or without end."""
        ...

    def settings(self) -> list[Any]:
        """All that decides what comes out, in a form that JSON holds; the first is a name."""
        ...


@dataclass(frozen=True, slots=True)
class Map:
    """A function of each element, and of a random generator of its own if it has a parameter ``rng``."""

    function: Callable[..., Any]
    seed: int

    def through(self, before: Pass, number: Number, place: str) -> Iterator[Work]:
        drawing = takes(self.function, "rng")
        for index, work in enumerate(before(number)):
            key = (*number, index) if drawing else None
            yield partial(self._value, work, key, f"{place}, element {index}")

    def _value(self, work: Work, key: Number | None, place: str, together: Together) -> Any:
        value = work(together)
        try:
            if key is None:
                return self.function(value)
            return self.function(value, rng=np.random.default_rng([self.seed, *key]))
        except Exception as error:
            raise _failed(place, error) from error

    def count(self, before: int | None) -> int | None:
        return before

    def settings(self) -> list[Any]:
        return [f"map({name_of(self.function)})", self.seed, code_of(self.function)]


@dataclass(frozen=True, slots=True)
class Shuffle:
    """A random one of the next ``window`` elements at a time."""

    window: int
    seed: int

    def through(self, before: Pass, number: Number, place: str) -> Iterator[Work]:
        rng = np.random.default_rng([self.seed, *number])
        coming = before(number)
        waiting = list(itertools.islice(coming, self.window))
        for work in coming:
            chosen = int(rng.integers(len(waiting)))
            waiting[chosen], work = work, waiting[chosen]
            yield work
        for chosen in rng.permutation(len(waiting)):
            yield waiting[chosen]

    def count(self, before: int | None) -> int | None:
        return before

    def settings(self) -> list[Any]:
        return [f"shuffle({self.window})", self.seed]


@dataclass(frozen=True, slots=True)
class Batch:
    """So many elements as arrays with a first axis more; the last batch may be smaller."""

    size: int

    def through(self, before: Pass, number: Number, place: str) -> Iterator[Work]:
        coming = before(number)
        for index in itertools.count():
            works = list(itertools.islice(coming, self.size))
            if not works:
                return
            yield partial(self._stacked, works, f"{place}, batch {index}")

    def _stacked(self, works: Sequence[Work], place: str, together: Together) -> Any:
        return stacked(together(works), place)

    def count(self, before: int | None) -> int | None:
        return None if before is None else -(-before // self.size)

    def settings(self) -> list[Any]:
        return [f"batch({self.size})"]


@dataclass(frozen=True, slots=True)
class Repeat:
    """All that came before, so many times; without a number, without end."""

    times: int | None

    def through(self, before: Pass, number: Number, place: str) -> Iterator[Work]:
        for again in itertools.count() if self.times is None else range(self.times):
            empty = True
            for work in before((*number, again)):
                empty = False
                yield work
            if empty:
                return

    def count(self, before: int | None) -> int | None:
        return None if before is None or self.times is None else before * self.times

    def settings(self) -> list[Any]:
        return [f"repeat({'' if self.times is None else self.times})"]


@dataclass(frozen=True, slots=True)
class Take:
    """The first so many."""

    most: int

    def through(self, before: Pass, number: Number, place: str) -> Iterator[Work]:
        return itertools.islice(before(number), self.most)

    def count(self, before: int | None) -> int | None:
        return None if before is None else min(before, self.most)

    def settings(self) -> list[Any]:
        return [f"take({self.most})"]


def stacked(values: Sequence[Any], place: str) -> Any:
    """Elements as one: arrays and numbers along a new first axis, tuples and dicts member by member.

    float64 becomes float32, and whole numbers of 64 bits int32, as models take them.

    Raises:
        DataError: they do not fit together, are no numbers, or are whole numbers beyond 32 bits.

    Example:
        >>> x, y = stacked([(np.zeros((2, 2, 3)), 1), (np.ones((2, 2, 3)), 0)], "batch")
        >>> x.shape, x.dtype, y
        ((2, 2, 2, 3), dtype('float32'), array([1, 0], dtype=int32))
    """
    first = values[0]
    if isinstance(first, Mapping):
        if any(not isinstance(value, Mapping) or value.keys() != first.keys() for value in values):
            raise check.DataError(f"{place}: expected every element to have the keys {', '.join(map(str, first))}")
        return {key: stacked([value[key] for value in values], f"{place}, {key!r}") for key in first}
    if isinstance(first, tuple):
        if any(not isinstance(value, tuple) or len(value) != len(first) for value in values):
            raise check.DataError(f"{place}: expected every element to be a tuple of {len(first)}")
        return tuple(stacked(members, place) for members in zip(*values, strict=True))
    arrays = [np.asarray(value) for value in values]
    shapes = sorted({array.shape for array in arrays})
    for value, array in zip(values, arrays, strict=True):
        if array.dtype.kind not in "biuf":
            remedy = "Map a function that makes arrays of it before"
            raise check.DataError(check.sentence(place, "arrays or numbers", type(value).__name__, remedy))
    if len(shapes) > 1:
        raise check.DataError(check.sentence(place, "elements of one shape", f"{shapes[0]} and {shapes[1]}"))
    return _narrowed(np.stack(arrays), place)


def _narrowed(array: np.ndarray, place: str) -> np.ndarray:
    if array.dtype == np.float64:
        return array.astype(np.float32)
    if array.dtype not in (np.int64, np.uint64):
        return array
    narrow = array.astype(np.int32)
    if not np.array_equal(narrow, array):
        got = f"{array.min()} to {array.max()}"
        raise check.DataError(check.sentence(place, "whole numbers of 32 bits", got, "Map them to smaller ones before"))
    return narrow


def from_source(source: Callable[[Number], Iterator[Any]], number: Number, place: str) -> Iterator[Work]:
    """The elements of a source, as work that is done already."""
    index = 0
    try:
        for value in source(number):
            yield partial(_as_it_is, value)
            index += 1
    except Exception as error:
        raise _failed(f"{place}, element {index}", error) from error


def _as_it_is(value: Any, together: Together) -> Any:
    return value


def one_after_another(works: Sequence[Work]) -> list[Any]:
    """Do them here and now."""
    return [work(one_after_another) for work in works]


def _failed(place: str, error: Exception) -> check.DataError:
    text = " ".join(str(error).split())
    named = text if isinstance(error, check.LensmithError) else f"{type(error).__name__}: {text}"
    return check.DataError(f"{place}: {named}")


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of this name."""
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # of some that are written in C nothing is known
        return False


def name_of(function: Callable[..., Any]) -> str:
    """What to call a function in a message."""
    function = _inner(function)
    names = (getattr(function, name, None) for name in ("__qualname__", "__name__"))
    return str(next(filter(None, names), type(function).__qualname__)).rpartition("<locals>.")[2]


def code_of(function: Callable[..., Any]) -> str:
    """What a function does, as far as its own code and the plain values of its arguments tell.

    Comments, line numbers, and what it calls do not count. It is the same in every process.
    """
    inner = _inner(function)
    code = getattr(inner, "__code__", None) or getattr(type(inner).__call__, "__code__", None)
    given = [getattr(inner, "__defaults__", None), getattr(inner, "__kwdefaults__", None)]
    if isinstance(function, partial):
        given += [function.args, function.keywords]
    text = f"{getattr(inner, '__module__', '')}.{name_of(inner)}" if code is None else _code(code)
    return text + "".join(_plain(one) for one in given if one)


def _inner(function: Callable[..., Any]) -> Callable[..., Any]:
    return function.func if isinstance(function, partial) else function


def _code(code: Any) -> str:
    constants = [_code(one) if hasattr(one, "co_code") else _plain(one) for one in code.co_consts[1:]]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _plain(value: Any) -> str:
    """A value as text, if that is the same in every process: neither an address nor the order of a set."""
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_plain, value))})"
    if isinstance(value, frozenset | set):
        return f"{{{', '.join(sorted(map(_plain, value)))}}}"
    if isinstance(value, dict):
        return _plain(sorted((_plain(key), _plain(one)) for key, one in value.items()))
    plain = value is None or isinstance(value, str | bytes | bool | int | float | complex)
    return repr(value) if plain else type(value).__qualname__
