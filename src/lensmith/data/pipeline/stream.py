"""A user's own source and functions → elements or batches, with a position that can be saved."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data.pipeline import chain
from lensmith.data.pipeline.ahead import Ahead
from lensmith.data.pipeline.chain import Link, Number, Work
from lensmith.records import Records

Source = Sequence[Any] | np.ndarray | Callable[..., Iterable[Any]]
_WAITING = 2  # batches that may be ready ahead of need


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """What comes out of a source and a chain of functions; :func:`stream` makes it, and each link a longer one.

    Once it is batched, training takes it as it takes :class:`~lensmith.data.Batches`: with a length, epochs, a
    position and a fingerprint.

    Args:
        source: a sequence, or a function that is called anew for every pass.
        steps: how many make an epoch.
        threads: that make the elements of a batch.
        links: of the chain, in order.
    """

    source: Source
    steps: int | None
    threads: int
    links: tuple[Link, ...] = ()

    def map(self, function: Callable[..., Any], *, seed: int = 0) -> Stream:
        """Put a function of each element into the chain.

        It may be called in several threads at once, and is not called for what a resumed training has had: it is
        to depend on its element alone. One with a parameter ``rng`` gets a generator that is this element's own.

        Args:
            function: takes an element, and by name ``rng`` if it has such a parameter; gives an element.
            seed: of those generators.
        """
        return self._with(chain.Map(_callable("map", function), _whole("seed", seed)))

    def shuffle(self, window: int, *, seed: int = 0) -> Stream:
        """Take a random one of the next ``window`` elements at a time, in another order every epoch."""
        return self._with(chain.Shuffle(check.positive("shuffle", window), _whole("seed", seed)))

    def batch(self, size: int) -> Stream:
        """Stack ``size`` elements into arrays ``(n, …)``, tuples and dicts member by member; the last may be smaller.

        float64 becomes float32, and whole numbers of 64 bits int32, as models take them.
        """
        return self._with(chain.Batch(check.positive("batch", size)))

    def repeat(self, times: int | None = None) -> Stream:
        """Go through all that comes before so many times in one epoch; without a number, without end."""
        return self._with(chain.Repeat(None if times is None else check.positive("repeat", times)))

    def take(self, most: int) -> Stream:
        """Take the first so many elements and no more."""
        return self._with(chain.Take(check.positive("take", most)))

    def __len__(self) -> int:
        """How many come out in an epoch.

        Raises:
            SettingError: that is not known; say ``steps``.
        """
        count = self.steps if self.steps is not None else self._count()
        if count is None:
            got = f"no length of the source {self._name!r}, or no end of the chain"
            raise check.SettingError(check.sentence("stream", "steps, the number that makes an epoch", got))
        return count

    def epoch(self, number: int) -> Epoch:
        """An iterator over one epoch; see :class:`Epoch`."""
        return Epoch(self, number)

    def __iter__(self) -> Iterator[Any]:
        """The first epoch."""
        return self.epoch(0)

    def dataset(self, first: int = 0) -> Iterator[Any]:
        """Epoch after epoch without end, for Keras' ``fit`` with ``steps_per_epoch=len(stream), shuffle=False``."""
        for number in itertools.count(first):
            yield from self.epoch(number)

    @property
    def fingerprint(self) -> str:
        """A hash of the records, or of the length or the code of another source, of the links and of their code.

        What the user's functions call, and the arrays of a sequence, are not looked into.
        """
        digest = hashlib.sha256(json.dumps([self.steps, *(link.settings() for link in self.links)]).encode())
        if isinstance(self.source, Records):
            sources = "\n".join(record.source for record in self.source)
            digest.update(sources.encode(errors="surrogateescape"))
        else:
            known = chain.code_of(self.source) if callable(self.source) else str(len(self.source))
            digest.update(known.encode())
        return digest.hexdigest()

    def _with(self, link: Link) -> Stream:
        return replace(self, links=(*self.links, link))

    @property
    def _name(self) -> str:
        if isinstance(self.source, Records):
            return self.source.name
        return chain.name_of(self.source) if callable(self.source) else type(self.source).__name__

    def _count(self) -> int | None:
        """How many come out of one pass, where that is known."""
        count = None if callable(self.source) else len(self.source)
        for link in self.links:
            count = link.count(count)
        return count

    def _elements(self, number: Number) -> Iterator[Any]:
        if not callable(self.source):
            return iter(self.source)
        return iter(self.source(number[0]) if _takes_the_epoch(self.source) else self.source())

    def _pass(self, number: Number) -> Iterator[Work]:
        """The source and the whole chain, once."""
        here: chain.Pass = partial(chain.from_source, self._elements, place=f"stream: the source {self._name!r}")
        for position, link in enumerate(self.links, start=1):
            place = f"stream: {link.settings()[0]}, link {position} of {len(self.links)}"
            here = partial(_through, link, here, place)
        return here(number)

    def _works(self, epoch: int, skip: int) -> Iterator[Work]:
        """What makes up an epoch, from a position on."""
        if self.steps is None:
            return itertools.islice(self._pass((epoch,)), skip, None)
        count = self._count()
        if count == 0:
            raise check.DataError(f"stream: the source {self._name!r} gives nothing")
        if count is None:  # each epoch calls the source anew, and again when it ends too early
            passes: Iterator[Number] = ((epoch, again) for again in itertools.count())
            return itertools.islice(self._passes(passes), skip, self.steps)
        # The length of a pass is known: an epoch goes on where the one before it ended, so that all have their turn.
        before, inside = divmod(epoch * self.steps + skip, count)
        passes = ((number,) for number in itertools.count(before))
        return itertools.islice(self._passes(passes), inside, inside + self.steps - skip)

    def _passes(self, numbers: Iterable[Number]) -> Iterator[Work]:
        for number in numbers:
            empty = True
            for work in self._pass(number):
                empty = False
                yield work
            if empty:
                raise check.DataError(f"stream: the source {self._name!r} gives nothing")

    def _made(self, epoch: int, skip: int) -> Iterator[Any]:
        """The same, done; with threads, the elements of a batch together."""
        if self.threads < 2:
            for work in self._works(epoch, skip):
                yield work(chain.one_after_another)
            return
        with ThreadPoolExecutor(self.threads) as pool:

            def together(works: Sequence[Work]) -> list[Any]:
                return list(pool.map(lambda work: work(chain.one_after_another), works))

            for work in self._works(epoch, skip):
                yield work(together)


class Epoch:
    """One epoch of a stream: an iterator whose position can be saved and set.

    ``get_state()`` is a dict that JSON holds, and counts what was taken, not what is ready. ``set_state`` goes there:
    the source is asked for what lies before, the functions of the chain are not. A source that gives the same again
    goes on with the same bits.
    """

    __slots__ = ("_made", "_number", "_stream", "_taken")

    def __init__(self, source: Stream, number: int) -> None:
        self._stream, self._number, self._taken = source, number, 0
        self._made: Iterator[Any] | None = None

    def __iter__(self) -> Epoch:
        return self

    def __next__(self) -> Any:
        if self._made is None:
            make = partial(self._stream._made, self._number, self._taken)
            self._made = Ahead(make, _WAITING) if self._stream.threads else make()
        item = next(self._made)
        self._taken += 1
        return item

    def get_state(self) -> dict[str, int]:
        """How many were taken."""
        return {"taken": self._taken}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go to a position that :meth:`get_state` gave."""
        if isinstance(self._made, Ahead):
            self._made.close()
        self._made, self._taken = None, int(state["taken"])


def stream(source: Source, *, steps: int | None = None, threads: int = 1) -> Stream:
    """Begin a chain: map, shuffle, batch, repeat, take.

    Args:
        source: records, another sequence, or a function that gives an iterable: without parameters, or of the
            epoch's number. It is called anew for every epoch, so that images which arrived meanwhile join:
            ``stream(lambda: data.read("photos/"), steps=100)``.
        steps: how many batches, or whatever comes out of the chain, make an epoch; needed where the source is a
            function. A source that ends before begins anew; one that does not end is left in the middle. A
            sequence goes on in the next epoch where it was left.
        threads: that make the elements of a batch ahead of need; with 0 each is made when it is asked for.

    Raises:
        SettingError: a setting is wrong, or the source can be gone through only once.

    Example:
        >>> def squares(epoch):
        ...     return ((np.full(2, number**2), number) for number in range(5 * epoch, 5 * epoch + 5))
        >>> pairs = stream(squares, steps=2).batch(2)
        >>> [(x[:, 0].tolist(), y.tolist()) for x, y in pairs.epoch(1)]
        [([25, 36], [5, 6]), ([49, 64], [7, 8])]
    """
    if not callable(source) and not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
        remedy = "Give the function itself, so that it can be called anew for every epoch"
        expected = "a sequence, or a function that gives an iterable"
        raise check.SettingError(check.sentence("stream: the source", expected, type(source).__name__, remedy))
    if steps is not None:
        check.positive("stream: steps", steps)
    return Stream(source, steps, _whole("stream: threads", threads))


def _through(link: Link, before: chain.Pass, place: str, number: Number) -> Iterator[Work]:
    return link.through(before, number, place)


def _takes_the_epoch(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters
    )


def _callable(place: str, function: Any) -> Any:
    if not callable(function):
        raise check.SettingError(check.sentence(place, "a function", repr(function)))
    return function


def _whole(place: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise check.SettingError(check.sentence(place, "a whole number of at least 0", repr(value)))
    return value
