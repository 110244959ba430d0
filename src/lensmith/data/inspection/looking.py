"""Open every image once, and keep of it what the rules of the audit need."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from lensmith import check
from lensmith.data.images import Facts, checked, load
from lensmith.data.inspection.hashing import colours, content, standard, thumbnail
from lensmith.data.inspection.quality import Quality, measure
from lensmith.data.reading import choose_threads, problem
from lensmith.records import Problem, Record, Records

_QUEUED = 2048  # records at a time: what waits for a thread takes memory too
OnFile = Callable[[int, int], None]
Seen = TypeVar("Seen")


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What is kept of one image: about 1 KB, whatever its size.

    Args:
        facts: of the file.
        content: the hash of its pixels.
        thumbnail: uint8 array of shape ``(24, 24)``.
        colours: uint8 array of shape ``(4, 4, 3)``.
        quality: what was measured of its gray values.
    """

    facts: Facts
    content: bytes
    thumbnail: np.ndarray
    colours: np.ndarray
    quality: Quality


def look_closely(pixels: np.ndarray, facts: Facts) -> Look:
    """Hash, shrink and measure one image."""
    gray = standard(pixels)
    return Look(facts, content(pixels), thumbnail(gray), colours(pixels), measure(gray))


def readable(records: Records, *, threads: int | None = None, on_file: OnFile | None = None) -> Records:
    """Open every image, and set aside those that cannot be read; nothing else is looked for.

    Args:
        records: from any reader.
        threads: that open files; left out, up to 4.
        on_file: called after each example with how many are done and how many there are.

    Raises:
        DataError: not one example can be used.

    Example:
        >>> from lensmith.data import bundled
        >>> len(readable(bundled("digits")))
        1797
    """
    return open_all(records, lambda pixels, facts: facts, threads=threads, on_file=on_file)[0]


def open_all(
    records: Records,
    look: Callable[[np.ndarray, Facts], Seen],
    *,
    threads: int | None = None,
    on_file: OnFile | None = None,
) -> tuple[Records, tuple[Problem, ...], list[Seen | None]]:
    """Decode every image and look at it while its pixels are there.

    Args:
        records: from any reader.
        look: takes upright pixels and the facts of the file; called from several threads.
        threads: that open files; left out, up to 4.
        on_file: called after each example with how many are done and how many there are.

    Returns:
        The records that can be used, why the others cannot, and what ``look`` gave for each of the former: None for
        rows. The order is that of the records, whatever the threads.

    Raises:
        DataError: not one example can be used.
    """
    seen: list[Seen | Problem | None] = []
    with warnings.catch_warnings(), ThreadPoolExecutor(max(choose_threads(records, threads), 1)) as pool:
        warnings.simplefilter("ignore")  # of decoders, about metadata: what matters here is whether the pixels come
        for start in range(0, len(records), _QUEUED):
            for one in pool.map(lambda record: _open(record, look), records[start : start + _QUEUED]):
                seen.append(one)
                if on_file is not None:
                    on_file(len(seen), len(records))
    problems = tuple(one for one in seen if isinstance(one, Problem))
    if len(problems) == len(records):
        first = f"; the first: {problems[0].source}: {problems[0].reason}" if problems else ""
        raise check.DataError(f"{records.name}: none of {len(records)} examples can be used{first}")
    good = [place for place, one in enumerate(seen) if not isinstance(one, Problem)]
    kept = replace(records.select(good), set_aside=records.set_aside + problems)
    return kept, problems, [one for one in seen if not isinstance(one, Problem)]


def _open(record: Record, look: Callable[[np.ndarray, Facts], Seen]) -> Seen | Problem | None:
    if record.image is None:
        return None
    try:
        if isinstance(record.image, np.ndarray):
            pixels = checked(record.image, record.source)
            height, width, channels = pixels.shape
            return look(pixels[..., :3], Facts(height, width, 1 if channels == 1 else 3))
        return look(*load(record.image))
    except check.DataError as error:
        return problem(record, error)
