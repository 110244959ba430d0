"""What the targets of a batch have to look like, so that a wrong one is named and not learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check

Targets = Any  # one array, or arrays by task


@dataclass(frozen=True, slots=True)
class Task:
    """What the targets of one task have to look like.

    Args:
        shape: of the model's output for it, without the batch; None where it is open.
        activation: tells what whole-number targets mean: an index for softmax, 0 or 1 for sigmoid.
        name: how to call it in messages; empty when it is the only one.
        target: the task whose targets it takes; empty for its own.
        tap: whether the output is feature maps, whose loss takes targets as they are, or none where ``target`` is
            empty.
        weight: of its loss.
        given: of one example's targets, where that is not the shape of the output.
    """

    shape: tuple[int | None, ...]
    activation: str
    name: str
    target: str = ""
    tap: bool = False
    weight: float = 1.0
    given: tuple[int | None, ...] | None = None


def fitted(tasks: Mapping[str, Task], y: Targets, place: str) -> Targets:
    """Targets that are known to fit the model's outputs.

    A label outside a head's range is an obscure index error on torch and a silent NaN on JAX, and
    an ``(n,)`` target beside an ``(n, 1)`` output makes an ``(n, n)`` error in many a plain function.

    Args:
        tasks: what to expect.
        y: one array, or arrays by task; those of an output that takes another's are not among them.
        place: which batch it is, for the message.

    Returns:
        The same, binary classes as a column.

    Raises:
        DataError: a shape or a label does not fit; names the task and the batch.
    """
    wanted = list(dict.fromkeys(task.target or name for name, task in tasks.items() if task.target or not task.tap))
    # The loss of a tap that takes no targets is not shown any; Keras wants some for every output.
    sources = {name: task.target or (wanted[0] if task.tap else name) for name, task in tasks.items()}
    if len(wanted) == 1 < len(tasks) and not isinstance(y, Mapping):
        y = {wanted[0]: y}
    if isinstance(y, Mapping) != any(task.name for task in tasks.values()) or (
        isinstance(y, Mapping) and set(y) != set(wanted)
    ):
        got = f"targets for {', '.join(y)}" if isinstance(y, Mapping) else "one array"
        raise check.DataError(check.sentence(place, f"targets for {', '.join(wanted)}", got))
    if isinstance(y, Mapping):
        return {name: _fitted(task, y[sources[name]], place) for name, task in tasks.items()}
    return _fitted(next(iter(tasks.values())), y, place)


def _fitted(task: Task, y: np.ndarray, place: str) -> np.ndarray:
    if task.tap:
        return y
    where = f"{place}, task {task.name}" if task.name else place
    whole = y.dtype.kind in "iu"
    if task.given is not None:
        shape = task.given
    elif whole and task.activation == "softmax":
        _check_labels(y, task.shape[-1], where)
        shape = task.shape[:-1]
    else:
        if whole and task.activation == "sigmoid":
            _check_labels(y, 2, where)
        shape = task.shape
        if y.ndim == len(shape) and shape[-1] == 1:
            y = y[..., None]
    if len(shape) != y.ndim - 1 or any(a is not None and a != b for a, b in zip(shape, y.shape[1:], strict=True)):
        expected = f"targets of shape {('n', *shape)}".replace("'", "")
        raise check.DataError(check.sentence(where, expected, f"{y.shape}"))
    return y


def _check_labels(y: np.ndarray, classes: int | None, where: str) -> None:
    if classes is None or y.size == 0:
        return
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        expected = f"classes 0 to {classes - 1}, as the model has {classes}"
        if classes == 2:
            expected = "classes 0 and 1"
        raise check.DataError(check.sentence(where, expected, str(low if low < 0 else high)))
