"""A batch of examples, one array or several by name: how many there are, and the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def size_of(x: Any) -> int:
    """How many examples a batch holds.

    >>> import numpy as np
    >>> size_of(np.zeros((3, 2))), size_of({"left": np.zeros((4, 2)), "right": np.zeros((4, 8))})
    (3, 4)
    """
    return len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)


def first_of(values: Any, count: int) -> Any:
    """The first examples of a batch, or of its targets; as many as there are."""
    if isinstance(values, Mapping):
        return {name: part[:count] for name, part in values.items()}
    return values[:count]
