"""From a stage to a Keras optimizer whose learning rate follows the stage's schedule."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.backend.optimizers import fastest
from lensmith.train.history import number
from lensmith.train.schedules import Cosine
from lensmith.train.stages import Fit

# They wrap other optimizers or stand for none, so that a name alone cannot make them.
_NOT_BY_NAME = frozenset({"optimizer", "lossscaleoptimizer", "multioptimizer", "optimizermap"})


def build(stage: Fit, steps: int) -> Any:
    """The Keras optimizer of a stage.

    Args:
        stage: names the optimizer, its settings, the rate and the schedule.
        steps: the number of steps in the whole stage, at whose end a schedule has run down.

    Returns:
        A ``keras.optimizers.Optimizer``.

    Raises:
        SettingError: the name or one of the settings is unknown, or a value is refused.

    Example:
        >>> build(Fit(optimizer={"name": "sgd", "momentum": 0.9}), steps=10).momentum
        0.9
    """
    settings = {"name": stage.optimizer} if isinstance(stage.optimizer, str) else dict(stage.optimizer)
    known = _known()
    name = check.one_of("optimizer", str(settings.pop("name", "")).lower(), known)
    allowed = [key for key in inspect.signature(known[name]).parameters if key not in ("learning_rate", "kwargs")]
    for key in settings:
        check.one_of(f"optimizer.{name}", key, allowed)
    try:
        return fastest(known[name])(learning_rate=_schedule(stage, steps), **settings)
    except (TypeError, ValueError) as error:
        raise check.SettingError(f"optimizer.{name}: {' '.join(str(error).split())}") from error


def rate_at(stage: Fit, step: int, steps: int) -> float:
    """The learning rate that step number ``step`` (from 0) of ``steps`` is made with.

    >>> [round(rate_at(Fit(rate=0.1, schedule=Cosine()), step, steps=4), 3) for step in range(5)]
    [0.1, 0.085, 0.05, 0.015, 0.0]
    """
    schedule = _schedule(stage, steps)
    if isinstance(schedule, float):
        return schedule
    return number(schedule(step))


def _schedule(stage: Fit, steps: int) -> Any:
    if isinstance(stage.schedule, Cosine):
        return keras.optimizers.schedules.CosineDecay(float(stage.rate), steps, alpha=stage.schedule.final)
    return float(stage.rate)


def _known() -> Mapping[str, Any]:
    found = vars(keras.optimizers).items()
    classes = {name.lower(): value for name, value in found if inspect.isclass(value)}
    base = keras.optimizers.Optimizer
    return {name: value for name, value in classes.items() if issubclass(value, base) and name not in _NOT_BY_NAME}
