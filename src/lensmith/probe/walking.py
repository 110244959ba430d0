"""A walk over a data set: read once, a batch at a time, so that memory does not grow with the number of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from lensmith import check
from lensmith.data import decode, resize
from lensmith.probe.subject import Example, Subject
from lensmith.records import Labels, Problem, Record, Records

Progress = Callable[[int, int | None], object]  # examples done, and how many there are where that is known
_THREADS = 4  # that read files


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A few examples of a data set, read.

    Args:
        places: of each among all examples, from 0.
        sources: what each is called.
        examples: as they were given.
        raw: float32 ``(examples, …)`` at the model's size, pixels 0..255, before they are scaled.
        inputs: float32 ``(examples, …)``: what enters the model.
    """

    places: tuple[int, ...]
    sources: tuple[str, ...]
    examples: tuple[Example, ...]
    raw: np.ndarray
    inputs: np.ndarray


def walk(
    subject: Subject,
    examples: Iterable[Example],
    look: Callable[[Block], object],
    *,
    batch: int = 32,
    progress: Progress | None = None,
) -> tuple[int, tuple[Problem, ...]]:
    """Read a data set once, a batch at a time, and look at each batch while it is there.

    Args:
        subject: says how an example is read.
        examples: any number of them; they are let go once they were looked at.
        look: takes a batch in which all could be read.
        batch: examples at a time.
        progress: told how many are done after each batch.

    Returns:
        How many were read, and which could not be.

    Raises:
        DataError: there are none, or none can be read.
    """
    check.positive("batch", batch)
    total = len(examples) if isinstance(examples, Sized) else None
    waiting, done, set_aside = iter(examples), 0, list[Problem]()
    with ThreadPoolExecutor(min(_THREADS, batch)) as pool:

        def step() -> int:
            # A function of its own: when it ends, nothing holds the batch any more.
            chunk = [(done + i, example) for i, example in enumerate(islice(waiting, batch))]
            read = list(pool.map(lambda one: _read(subject, *one), chunk))
            set_aside.extend(one for one in read if isinstance(one, Problem))
            kept = [(here, one) for here, one in zip(chunk, read, strict=True) if not isinstance(one, Problem)]
            if kept:
                look(_block(subject, kept))
            return len(chunk)

        while count := step():
            done += count
            if progress is not None:
                progress(done, total)
    if done == len(set_aside):
        raise none_left(set_aside)
    return done - len(set_aside), tuple(set_aside)


def source_of(example: Example, place: int) -> str:
    """What to call an example: its source, its path, or its place among the examples."""
    if isinstance(example, Record):
        return example.source
    return f"example {place + 1}" if isinstance(example, np.ndarray) else str(example)


def class_of(example: Example, task: str | None, labels: Mapping[str, Labels]) -> str:
    """The name of an example's class as its record holds it; empty where it is not known."""
    if not isinstance(example, Record) or task is None or task not in labels:
        return ""
    target, names = example.targets.get(task), labels[task].names
    whole = isinstance(target, int | np.integer) and not isinstance(target, bool)
    known = labels[task].kind == "class" and whole and 0 <= int(target) < len(names)  # type: ignore[arg-type]
    return names[int(target)] if known else ""  # type: ignore[arg-type]


def labels_of(examples: Any, otherwise: Mapping[str, Labels]) -> Mapping[str, Labels]:
    """What the targets of these examples mean: what their reader said, else what the model's outputs mean."""
    return examples.labels if isinstance(examples, Records) else otherwise


def small(example: Example, side: int) -> np.ndarray | None:
    """A picture of an example, its longer side no more than this: uint8 ``(h, w, 3)``; None for rows.

    Raises:
        DataError: the image cannot be read.
    """
    content = example.image if isinstance(example, Record) else example
    if content is None or (isinstance(content, np.ndarray) and content.ndim == 1):
        return None
    pixels = decode(content, 3, place=source_of(example, 0))
    height, width = pixels.shape[:2]
    if max(height, width) <= side:
        return pixels.copy()  # for pixels may be the example's own
    scale = side / max(height, width)
    return as_pixels(resize(pixels, (max(1, round(height * scale)), max(1, round(width * scale)))))


def as_pixels(values: np.ndarray) -> np.ndarray:
    """Float values 0..255, rounded to uint8."""
    rounded: np.ndarray = np.rint(values).clip(0, 255).astype(np.uint8)
    return rounded


def listed(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """Problems in a form that JSON holds."""
    return [{"source": one.source, "reason": one.reason} for one in problems]


def none_left(set_aside: Iterable[Problem]) -> check.DataError:
    """What to raise when there is nothing to look at: names the first that could not be used."""
    first = next(iter(set_aside), None)
    got = "none" if first is None else f"none that can be used; the first: {first.source}: {first.reason}"
    return check.DataError(check.sentence("examples", "at least one", got))


def _read(subject: Subject, place: int, example: Example) -> np.ndarray | Problem:
    try:
        return subject.preprocessing.raw(example)
    except check.DataError as error:
        source = source_of(example, place)
        named = (source, str(example.image) if isinstance(example, Record) else "image")
        reason = str(error)
        for name in named:
            reason = reason.removeprefix(f"{name}: ")
        return Problem(source, reason)


def _block(subject: Subject, kept: list[tuple[tuple[int, Example], np.ndarray]]) -> Block:
    raw = np.stack([values for _, values in kept])
    places = tuple(place for (place, _), _ in kept)
    examples = tuple(example for (_, example), _ in kept)
    sources = tuple(source_of(example, place) for place, example in zip(places, examples, strict=True))
    return Block(places, sources, examples, raw, subject.preprocessing.scale(raw))
