"""From targets and predictions to what a report shows of them; numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lensmith import check
from lensmith.runs.report.content import ClassRow


def confusion(truth: np.ndarray, predicted: np.ndarray, k: int) -> np.ndarray:
    """Count how often each class was taken for each other.

    Args:
        truth: the class of each example, integers ``(n,)`` in 0..k-1.
        predicted: the class each was given, likewise.
        k: the number of classes.

    Returns:
        int64 of shape ``(k, k)``: rows are the truth, columns what was predicted.

    Raises:
        DataError: the two differ in length, or a class is outside 0..k-1.

    Example:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    rows, columns = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    if rows.shape != columns.shape or rows.ndim != 1:
        expected = f"one prediction a target ({rows.shape[0] if rows.ndim else 0})"
        raise check.DataError(check.sentence("confusion", expected, f"shapes {rows.shape} and {columns.shape}"))
    for name, values in (("truth", rows), ("predicted", columns)):
        if values.size and not 0 <= values.min() <= values.max() < k:
            wrong = int(values.min() if values.min() < 0 else values.max())
            raise check.DataError(check.sentence(f"confusion: {name}", f"classes from 0 to {k - 1}", wrong))
    return np.bincount(rows * k + columns, minlength=k * k).reshape(k, k)


def per_class(confusion: np.ndarray, names: Sequence[str]) -> tuple[ClassRow, ...]:
    """Precision, recall and F1 of each class, from a confusion matrix of shape ``(k, k)``.

    A ratio without a denominator (no example of the class, or none given it) is None, not zero.

    Example:
        >>> rows = per_class(np.array([[3, 1], [0, 4]]), ("cat", "dog"))
        >>> rows[1].precision, rows[1].recall, round(rows[1].f1, 3)
        (0.8, 1.0, 0.889)
    """
    return _rows(names, np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0))


def per_label(truth: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> tuple[ClassRow, ...]:
    """The same for labels of which an example can have several.

    Args:
        truth: which labels each example has, ``(n, k)`` of 0 and 1 or of booleans.
        predicted: which it was given, likewise.
        names: of the k labels.
    """
    has, given = np.asarray(truth, bool), np.asarray(predicted, bool)
    return _rows(names, (has & given).sum(axis=0), has.sum(axis=0), given.sum(axis=0))


def _rows(names: Sequence[str], right: np.ndarray, actual: np.ndarray, given: np.ndarray) -> tuple[ClassRow, ...]:
    return tuple(
        ClassRow(name, int(of), _ratio(hits, to), _ratio(hits, of), _ratio(2 * hits, of + to))
        for name, hits, of, to in zip(names, right, actual, given, strict=True)
    )


def _ratio(count: int, of: int) -> float | None:
    return float(count / of) if of else None


def surest_mistakes(truth: np.ndarray, probabilities: np.ndarray, count: int = 24) -> np.ndarray:
    """The places of the wrong predictions, those the model was surest of first.

    Args:
        truth: classes, integers ``(n,)``.
        probabilities: of each class, ``(n, k)``, the largest being the prediction; or of a yes, ``(n, 1)``.
        count: how many at most.

    Returns:
        int64 ``(at most count,)``; equal probabilities keep their order.

    Example:
        >>> surest_mistakes(np.array([0, 0, 1]), np.array([[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]])).tolist()
        [1, 0]
    """
    if probabilities.shape[1] == 1:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != truth)
    order = np.argsort(-probabilities[wrong].max(axis=1), kind="stable")
    return wrong[order][:count]


@dataclass(frozen=True, slots=True)
class Pair:
    """A class taken for another: how often, and the share of the examples of the true class."""

    truth: str
    predicted: str
    count: int
    share: float


def confused_pairs(confusion: np.ndarray, names: Sequence[str], count: int = 30) -> tuple[Pair, ...]:
    """The classes most often taken for another, the most frequent first: a large matrix in one table.

    Example:
        >>> confused_pairs(np.array([[3, 1], [0, 4]]), ("cat", "dog"))
        (Pair(truth='cat', predicted='dog', count=1, share=0.25),)
    """
    wrong = confusion - np.diag(np.diag(confusion))
    totals = confusion.sum(axis=1)
    places = np.argsort(-wrong, axis=None, kind="stable")[: min(count, np.count_nonzero(wrong))]
    return tuple(
        Pair(names[row], names[column], int(wrong[row, column]), float(wrong[row, column] / totals[row]))
        for row, column in zip(*np.unravel_index(places, wrong.shape), strict=True)
    )
