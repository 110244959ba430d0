"""Epochs of another length than the training part: the first batches of an order, or several orders one after another.

>>> class Letters:
...     fingerprint = "letters"
...     def __len__(self):
...         return 3
...     def epoch(self, number):
...         return iter([f"{letter}{number}" for letter in "abc"])
>>> list(Resized(Letters(), 2).epoch(0)), list(Resized(Letters(), 2).epoch(1))
(['a0', 'b0'], ['a1', 'b1'])
>>> list(Resized(Letters(), 4).epoch(1))
['a2', 'b2', 'c2', 'a3']
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lensmith.train.waiting import Positioned


class _Batches(Protocol):
    @property
    def fingerprint(self) -> str: ...
    def __len__(self) -> int: ...
    def epoch(self, number: int) -> Positioned: ...


@dataclass(frozen=True, slots=True)
class Resized:
    """Batches with so many steps an epoch, whatever they have by themselves.

    No order comes twice: an epoch that is shorter than the training part takes the first batches of its order, a
    longer one goes on with the next order and leaves the rest of its last.

    Args:
        batches: the training part, at least one batch long.
        steps: of an epoch, at least 1.
    """

    batches: _Batches
    steps: int

    @property
    def fingerprint(self) -> str:
        """That of the batches: how many of them make an epoch is a setting of the stage."""
        return self.batches.fingerprint

    def __len__(self) -> int:
        return self.steps

    def epoch(self, number: int) -> Resumable:
        """The batches of an epoch; their position can be saved and set."""
        orders = -(-self.steps // len(self.batches))
        return Resumable(self.batches, number * orders, self.steps)


@dataclass(slots=True)
class Resumable:
    """The batches of one epoch, out of one order or several.

    Args:
        batches: the training part.
        first: its first order.
        steps: how many batches there are.
    """

    batches: _Batches
    first: int
    steps: int
    _made: int = field(default=0, init=False)
    _order: int = field(default=0, init=False)
    _inside: Positioned = field(init=False)

    def __post_init__(self) -> None:
        self._inside = self.batches.epoch(self.first)

    def __iter__(self) -> Resumable:
        return self

    def __next__(self) -> Any:
        if self._made == self.steps:
            raise StopIteration
        try:
            batch = next(self._inside)
        except StopIteration:
            self._order += 1
            self._inside = self.batches.epoch(self.first + self._order)
            batch = next(self._inside)
        self._made += 1
        return batch

    def get_state(self) -> dict[str, Any]:
        return {"made": self._made, "order": self._order, "inside": self._inside.get_state()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._made = state["made"]
        if state["order"] != self._order:
            self._order = state["order"]
            self._inside = self.batches.epoch(self.first + self._order)
        self._inside.set_state(state["inside"])
