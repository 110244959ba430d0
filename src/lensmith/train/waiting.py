"""How much of the time training waits for its data."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np


class Positioned(Protocol):
    """An iterator over the batches of an epoch whose position can be saved and set."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, Any]]: ...
    def __next__(self) -> tuple[np.ndarray, Any]: ...
    def get_state(self) -> Mapping[str, Any]: ...
    def set_state(self, state: Mapping[str, Any]) -> None: ...


@dataclass(slots=True)
class Watched:
    """An iterator whose caller wants to know how long it waited.

    The first batch does not count: it fills what runs ahead, and every epoch has one.

    Args:
        batches: what is iterated over.
        clock: gives seconds.
        waited: seconds spent in asking for a batch.
        began: when the first batch had come.
    """

    batches: Positioned
    clock: Callable[[], float] = time.perf_counter
    waited: float = field(default=0.0, init=False)
    began: float | None = field(default=None, init=False)

    def __next__(self) -> tuple[np.ndarray, Any]:
        asked = self.clock()
        batch = next(self.batches)
        came = self.clock()
        if self.began is None:
            self.began = came
        else:
            self.waited += came - asked
        return batch

    @property
    def share(self) -> float:
        """The part of the time, 0..1, that was spent waiting.

        Example:
            >>> times = iter([0.0, 9.0, 10.0, 11.0, 13.0])  # the second batch is asked for at 10 and comes at 11
            >>> watched = Watched(iter([("x", "y")] * 2), clock=lambda: next(times))
            >>> _ = next(watched), next(watched)
            >>> watched.share
            0.25
        """
        total = 0.0 if self.began is None else self.clock() - self.began
        return min(self.waited / total, 1.0) if total > 0 else 0.0
