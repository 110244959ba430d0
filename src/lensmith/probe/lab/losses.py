"""Losses explained by numbers: what the errors of a regression are made of, and what a wrong belief costs.

Information is measured in bits (logarithms to the base 2) or nats (natural ones), which is what networks are trained
with. What is certain to happen tells nothing, and what was held for impossible costs without bound.

>>> [round(cost, 3) for cost in coins().values()]
[1.737, 1.322, 1.126, 1.029, 1.0]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lensmith import check
from lensmith.probe.lab.operands import numbers

Unit = Literal["bits", "nats"]
UNITS: tuple[Unit, ...] = ("bits", "nats")


@dataclass(frozen=True, slots=True)
class Moments:
    """What errors are like.

    Args:
        mean: of the errors, their bias: 0 when what is too high and too low evens out.
        variance: the mean of the squares of what is left when the mean is taken away.
        mse: the mean of the squares of the errors: ``variance + mean²``.
        mae: the mean of the errors without their sign.
        skewness: the third central moment by the variance to the power 3/2; 0 for errors that lie alike on both sides.
        kurtosis: the fourth central moment by the square of the variance; 3 for errors that are normally distributed,
            more where a few are very large. Both are NaN when all errors are the same.
    """

    mean: float
    variance: float
    mse: float
    mae: float
    skewness: float
    kurtosis: float


def moments(errors: ArrayLike) -> Moments:
    """The moments of errors, which are predictions less truths, as the whole of what there is (divided by n).

    The mean squared error is the second moment about 0. Where the mean error is 0, it is equal to the variance.

    Args:
        errors: finite numbers, in an array of any shape.

    Raises:
        DataError: there are none, or one of them is not finite.

    Example:
        >>> centred, shifted = moments([-1, 1, -3, 3]), moments([1, 3, -1, 5])
        >>> (centred.mean, centred.variance, centred.mse), (shifted.mean, shifted.variance, shifted.mse)
        ((0.0, 5.0, 5.0), (2.0, 5.0, 9.0))
    """
    array = np.ravel(numbers("errors", errors)).astype(np.float64)
    if array.size == 0 or not np.isfinite(array).all():
        raise check.DataError(check.sentence("errors", "finite numbers, at least one", _outlier(array)))
    mean = moment(array, 1)
    second, third, fourth = (moment(array, order, about=mean) for order in (2, 3, 4))
    # Rounding leaves a little where all errors are the same.
    spread = bool(np.ptp(array) > 0 and second > 0)
    skewness, kurtosis = (third / second**1.5, fourth / second**2) if spread else (math.nan, math.nan)
    return Moments(mean, second, moment(array, 2), float(np.mean(np.abs(array))), skewness, kurtosis)


def moment(values: ArrayLike, order: int, *, about: float = 0.0) -> float:
    """The mean of ``(value - about)`` to the power ``order``.

    Example:
        >>> moment([1, 2, 3], 2), moment([1, 2, 3], 1, about=2)
        (4.666666666666667, 0.0)
    """
    return float(np.mean((numbers("values", values) - float(about)) ** check.positive("order", order)))


def self_information(probability: float, unit: Unit = "bits") -> float:
    """How much it tells when something of this probability happens: ``-log p``; infinite for what was impossible.

    Raises:
        DataError: it is not from 0 to 1.

    References:
        Shannon, "A mathematical theory of communication", 1948, section 6, and so for entropy.

    Example:
        >>> self_information(0.5), self_information(1), self_information(0)
        (1.0, 0.0, inf)
    """
    scale = _scale(unit)
    value = numbers("probability", probability)
    if value.ndim or not 0 <= value <= 1:
        raise check.DataError(check.sentence("probability", "a number from 0 to 1", probability))
    return math.inf if value == 0 else abs(math.log(value)) / scale  # abs: never -0.0


def entropy(truth: ArrayLike, unit: Unit = "bits") -> float:
    """How much one draw tells on average: the sum of ``-p·log p``, where ``0·log 0`` is 0.

    Args:
        truth: a distribution: probabilities that sum to 1.
        unit: ``"bits"`` or ``"nats"``.

    Raises:
        DataError: it is no distribution.

    Example:
        >>> entropy([0.5, 0.5]), entropy([0.25] * 4), entropy([1, 0])
        (1.0, 2.0, 0.0)
    """
    return cross_entropy(truth, truth, unit)


def cross_entropy(truth: ArrayLike, belief: ArrayLike, unit: Unit = "bits") -> float:
    """How much one draw tells on average to someone who holds another distribution for true: the sum of ``-p·log q``.

    It is least, and the entropy, where the belief is the truth. With one class for certain, which is what a label is,
    it is ``-log`` of what the network gave that class: the loss that classifiers are trained with.

    Args:
        truth: the distribution ``p`` that is drawn from.
        belief: the distribution ``q`` that is held for true, over the same outcomes.
        unit: ``"bits"`` or ``"nats"``.

    Returns:
        Infinite when something that happens was held for impossible; what never happens costs nothing.

    Raises:
        DataError: one of them is no distribution, or they have other numbers of outcomes.

    Example:
        >>> cross_entropy([0, 1, 0], [0.25, 0.5, 0.25]), cross_entropy([0.5, 0.5], [1, 0])
        (1.0, inf)
    """
    scale = _scale(unit)
    p, q = distribution("truth", truth), distribution("belief", belief)
    if p.shape != q.shape:
        raise check.DataError(check.sentence("belief", f"{p.size} probabilities, as the truth has", q.size))
    happens = p > 0
    if np.any(q[happens] == 0):
        return math.inf
    return float(np.sum(p[happens] * -np.log(q[happens])) / scale) + 0.0  # never -0.0


def kl_divergence(truth: ArrayLike, belief: ArrayLike, unit: Unit = "bits") -> float:
    """What a wrong belief costs beyond the entropy: the sum of ``p·log(p / q)``; 0 for the right one, never less.

    The arguments and errors are those of :func:`cross_entropy`, and it is infinite where that is.

    References:
        Kullback and Leibler, "On information and sufficiency", 1951.

    Example:
        >>> kl_divergence([0.5, 0.5], [0.5, 0.5]), round(kl_divergence([0.5, 0.5], [0.1, 0.9]), 3)
        (0.0, 0.737)
    """
    difference = cross_entropy(truth, belief, unit) - entropy(truth, unit)
    return max(difference, 0.0)  # rounding may leave a little less than 0


def coin(heads: float) -> np.ndarray:
    """The distribution of a coin: ``(heads, tails)``.

    Raises:
        DataError: the probability is not from 0 to 1.

    Example:
        >>> coin(0.25)
        array([0.25, 0.75])
    """
    self_information(heads)
    return np.array([heads, 1 - heads])


def coins(heads: float = 0.5, beliefs: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5)) -> dict[float, float]:
    """What it costs, in bits a toss, to take a coin for another: the cross-entropy by what was believed of heads.

    Example:
        >>> {belief: round(cost, 3) for belief, cost in coins().items()}
        {0.1: 1.737, 0.2: 1.322, 0.3: 1.126, 0.4: 1.029, 0.5: 1.0}
    """
    return {belief: cross_entropy(coin(heads), coin(belief)) for belief in beliefs}


def distribution(place: str, values: ArrayLike) -> np.ndarray:
    """The values as float64 ``(outcomes,)``, if they are probabilities that sum to 1, within a millionth.

    Raises:
        DataError: they are not.
    """
    array = numbers(place, values).astype(np.float64)
    expected = "probabilities from 0 to 1 that sum to 1"
    if array.ndim != 1 or array.size == 0:
        raise check.DataError(check.sentence(place, expected, f"an array of shape {array.shape}"))
    wrong = array[~((array >= 0) & (array <= 1))]  # so that NaN is wrong, too
    if wrong.size:
        raise check.DataError(check.sentence(place, expected, f"{wrong[0]:g}"))
    if abs(array.sum() - 1) > 1e-6:
        raise check.DataError(check.sentence(place, expected, f"a sum of {array.sum():g}"))
    return array


def _scale(unit: Unit) -> float:
    return math.log(2) if check.one_of("unit", unit, UNITS) == "bits" else 1.0


def _outlier(array: np.ndarray) -> str:
    return f"{array[~np.isfinite(array)][0]}" if array.size else "none"
