"""Freeze layers of a model and set them free again, with every weight accounted for.

A frozen layer gets no gradient, and its batch normalisation stays in inference mode: it normalises with its moving
statistics, and these do not move. Dropout stays what it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lensmith import check, trainable
from lensmith.trainable import Place


@dataclass(frozen=True, slots=True)
class Frozen:
    """What of a model trains and what does not; the three counts add up to all its parameters.

    Args:
        layers: the frozen layers that have weights, by path, in the order that data passes through them.
        trainable: parameters that gradients change.
        frozen: parameters of frozen layers, their moving statistics included.
        statistics: parameters of layers that train which gradients do not change: moving statistics.
    """

    layers: tuple[str, ...]
    trainable: int
    frozen: int
    statistics: int

    @property
    def total(self) -> int:
        """All parameters of the model."""
        return self.trainable + self.frozen + self.statistics


def freeze(
    model: Any, *patterns: str, first: int | None = None, last: int | None = None, but_last: int | None = None
) -> Frozen:
    """Let layers not train: those that a pattern or a count chooses, or all. Others stay as they are.

    It works in place, so also for all views and models that share these layers. Compile the model again
    before training it with Keras itself.

    Args:
        model: any built ``keras.Model``; models inside it are gone into.
        patterns: names of layers or parts (``stem``, ``learner-group2``, ``task-label``), or patterns of such names
            (``*-norm1``, ``block[12]_*``); see :mod:`lensmith.trainable`.
        first: choose the first so many layers instead, of those that have weights.
        last: choose the last so many.
        but_last: choose all but the last so many.

    Returns:
        What of the model trains now.

    Raises:
        SettingError: a pattern chooses no layer with weights, or the model has fewer layers.

    Example:
        >>> from lensmith.compose import Classify, Dense, Recipe
        >>> model = Recipe((784,), None, Dense((32,)), {"label": Classify(32)}).build(seed=0)
        >>> freeze(model, last=1)
        Frozen(layers=('task-label-logits',), trainable=25120, frozen=1056, statistics=0)
    """
    trainable.set_trainable(_chosen("freeze", model, patterns, first, last, but_last), False)
    return frozen(model)


def unfreeze(
    model: Any, *patterns: str, first: int | None = None, last: int | None = None, but_last: int | None = None
) -> Frozen:
    """Let layers train again. Arguments, result and errors are those of :func:`freeze`.

    >>> from lensmith.compose import Classify, Dense, Recipe
    >>> model = Recipe((784,), None, Dense((32,)), {"label": Classify(32)}).build(seed=0)
    >>> freeze(model).trainable, unfreeze(model, "task-label").trainable
    (0, 1056)
    """
    trainable.set_trainable(_chosen("unfreeze", model, patterns, first, last, but_last), True)
    return frozen(model)


def frozen(model: Any) -> Frozen:
    """What of a model trains, as it stands."""
    places = trainable.places(model)
    still = [place for place in places if not place.trains]
    free = [weight for place in places if place.trains for weight in place.layer.weights]
    training = sum(_size(weight) for weight in model.trainable_weights)
    statistics = sum(_size(weight) for weight in free if not weight.trainable)
    whole = sum(_size(weight) for weight in model.weights)
    return Frozen(tuple(place.path for place in still), training, whole - training - statistics, statistics)


def _chosen(
    setting: str, model: Any, patterns: Iterable[str], first: int | None, last: int | None, but_last: int | None
) -> tuple[Place, ...]:
    counts = {"first": first, "last": last, "but_last": but_last}
    given = {name: count for name, count in counts.items() if count is not None}
    patterns = tuple(patterns)
    if len(given) + bool(patterns) > 1:
        got = ", ".join([*map(repr, patterns), *(f"{name}={count}" for name, count in given.items())])
        raise check.SettingError(check.sentence(setting, "patterns or one count", got, "Call it once for each"))
    if patterns:
        return trainable.chosen(setting, model, patterns)
    places = trainable.places(model)
    for name, count in given.items():
        return _counted(setting, name, count, places)
    return places


def _counted(setting: str, name: str, count: int, places: tuple[Place, ...]) -> tuple[Place, ...]:
    check.positive(f"{setting}.{name}", count)
    if count > len(places):
        expected = f"at most {len(places)}, as many layers as have weights"
        raise check.SettingError(check.sentence(f"{setting}.{name}", expected, count))
    return {"first": places[:count], "last": places[-count:], "but_last": places[:-count]}[name]


def _size(weight: Any) -> int:
    return math.prod(weight.shape)
