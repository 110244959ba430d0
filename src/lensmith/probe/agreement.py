"""How far two lists of answers agree: shares, Cohen's kappa, a matrix, McNemar's test, means and correlations.

References:
    Cohen 1960, A Coefficient of Agreement for Nominal Scales.
    McNemar 1947, Note on the Sampling Error of the Difference Between Correlated Proportions: here exact, as the
    binomial test of the examples that only one of the two gets right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Correct:
    """How many examples whose class is known were answered rightly, and by whom.

    Args:
        both: of the two models.
        first: the first alone.
        second: the second alone.
        neither: none.
        p: of McNemar's exact test: how likely so uneven a count of the two in the middle is, or a more uneven one, if
            the models are equally often right; 1 where they never differ.
    """

    both: int
    first: int
    second: int
    neither: int
    p: float

    @property
    def known(self) -> int:
        """How many examples these are."""
        return self.both + self.first + self.second + self.neither

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds, with the shares of right answers."""
        counts = {"both": self.both, "first": self.first, "second": self.second, "neither": self.neither, "p": self.p}
        accuracy = {"first": (self.both + self.first) / self.known, "second": (self.both + self.second) / self.known}
        return {"known": self.known, **counts, "accuracy": accuracy}


@dataclass(frozen=True, slots=True, eq=False)
class Disagreement:
    """An example to which two models give different answers.

    Args:
        place: among the examples, from 0.
        source: what it is called.
        first: the class that the first model says; or a class and ``yes`` or ``no``, as in ``cat: yes``.
        second: that the second says.
        first_probability: that the first gives to its own answer, 0..1.
        second_probability: likewise.
        difference: how far they are apart on these two classes, 0..1: the mean of by how much each finds its own
            answer more probable than the other's. 1 where both are entirely sure.
        truth: the class as the record holds it; empty where it is not known.
        picture: uint8 ``(height, width, 3)``, small; None for rows.
    """

    place: int
    source: str
    first: str
    second: str
    first_probability: float
    second_probability: float
    difference: float
    truth: str
    picture: np.ndarray | None

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds, without the picture."""
        names = ("source", "first", "second", "first_probability", "second_probability", "difference", "truth")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class ClassAgreement:
    """Two heads that choose a class, on the same examples.

    Of heads that say yes or no to each of several classes, ``no`` and ``yes`` are the two classes, and each class that
    both know gives one answer for each example.

    Args:
        tasks: of the first model and of the second; mostly the same name.
        names: of all classes: the first model's in its order, then those that only the second has.
        only_first: the classes that only the first model has.
        only_second: those that only the second has.
        matrix: int64 ``(names, names)``: how often the first model said the row and the second the column.
        distance: the mean over the answers of half the sum of the differences of their probabilities, 0..1.
        disagreements: the surest first.
        correct: who was right, where the class of any example is known.
    """

    tasks: tuple[str, str]
    names: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    matrix: np.ndarray
    distance: float
    disagreements: tuple[Disagreement, ...]
    correct: Correct | None

    @property
    def agreement(self) -> float:
        """The share of answers in which both say the same, 0..1."""
        return float(np.trace(self.matrix) / self.matrix.sum())

    @property
    def kappa(self) -> float | None:
        """As :func:`kappa`."""
        return kappa(self.matrix)

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds."""
        return {
            "tasks": list(self.tasks),
            "names": list(self.names),
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "answers": int(self.matrix.sum()),
            "agreement": self.agreement,
            "kappa": self.kappa,
            "distance": self.distance,
            "matrix": self.matrix.tolist(),
            "disagreements": [one.to_dict() for one in self.disagreements],
            "correct": None if self.correct is None else self.correct.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class NumberAgreement:
    """Two heads that give numbers, on the same examples; each list has one entry a name.

    Args:
        tasks: of the first model and of the second.
        names: of the numbers that both give.
        only_first: those that only the first model gives.
        only_second: those that only the second gives.
        examples: how many.
        difference: the mean of what the two lie apart.
        correlation: Pearson's, −1..1; None where one of the two always says the same.
        errors: how far the first model, and the second, lie from the truth in the mean; None where it is not known.
        farthest: sources with both models' numbers, the farthest apart first, in units of the numbers' deviation.
    """

    tasks: tuple[str, str]
    names: tuple[str, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    examples: int
    difference: tuple[float, ...]
    correlation: tuple[float | None, ...]
    errors: tuple[tuple[float, float] | None, ...]
    farthest: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...]

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds."""
        names = ("tasks", "names", "only_first", "only_second", "difference", "correlation", "errors")
        found = {name: list(getattr(self, name)) for name in names}
        far = [{"source": name, "first": list(one), "second": list(other)} for name, one, other in self.farthest]
        return found | {"examples": self.examples, "farthest": far}


def kappa(matrix: np.ndarray) -> float | None:
    """Cohen's kappa of a matrix of counts: 1 for full agreement, 0 for as much as chance gives.

    None where it is not defined: both always give one and the same answer.

    Example:
        >>> kappa(np.array([[20, 5], [10, 15]]))
        0.4
    """
    total = matrix.sum()
    observed = np.trace(matrix) / total
    expected = float(matrix.sum(axis=1) @ matrix.sum(axis=0)) / float(total) ** 2
    return None if expected >= 1 else round(float((observed - expected) / (1 - expected)), 12)


def correct(truth: Sequence[str], first: Sequence[str], second: Sequence[str]) -> Correct | None:
    """Who was right, over the examples whose truth is known: not empty. None where no truth is.

    Example:
        >>> correct(["a", "a", "b", ""], ["a", "a", "a", "b"], ["a", "b", "a", "a"])
        Correct(both=1, first=1, second=0, neither=1, p=1.0)
    """
    right = [(one == known, other == known) for known, one, other in zip(truth, first, second, strict=True) if known]
    if not right:
        return None
    cases = ((True, True), (True, False), (False, True), (False, False))
    both, one, other, neither = (right.count(case) for case in cases)
    return Correct(both, one, other, neither, mcnemar(one, other))


def mcnemar(first: int, second: int) -> float:
    """The p of McNemar's exact test, two-sided, of how often only the first and only the second was right.

    Example:
        >>> mcnemar(1, 7)
        0.0703125
    """
    if first + second == 0:
        return 1.0
    from scipy import stats  # here, for importing it takes a second

    return float(stats.binomtest(first, first + second, 0.5).pvalue)


def correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    """Pearson's correlation of two lists of numbers; None where one of them does not vary."""
    one, other = first - first.mean(), second - second.mean()
    lengths = float(np.sqrt((one**2).sum()) * np.sqrt((other**2).sum()))
    # What is left of subtracting equal numbers is no variation.
    flat = any(np.ptp(values) <= 1e-12 * np.abs(values).max() for values in (first, second))
    return None if flat or lengths == 0 else float(np.clip((one * other).sum() / lengths, -1, 1))
