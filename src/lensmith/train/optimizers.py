"""From a stage to a Keras optimizer, and to the learning rate of each of its steps."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.backend.optimizers import fastest
from lensmith.train.schedules import NOTHING, Memory, Moment
from lensmith.train.stages import Fit

# The names that textbooks give to settings of another optimizer.
ALIASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "momentum": ("sgd", {"momentum": 0.9}),
    "nesterov": ("sgd", {"momentum": 0.9, "nesterov": True}),
    "amsgrad": ("adam", {"amsgrad": True}),
}
# They wrap other optimizers or stand for none, so that a name alone cannot make them.
_NOT_BY_NAME = frozenset({"optimizer", "lossscaleoptimizer", "multioptimizer", "optimizermap"})
# What the stage sets, and which of its fields does.
_OF_THE_STAGE = {
    "learning_rate": "rate",
    "use_ema": "average",
    "ema_momentum": "average",
    "ema_overwrite_frequency": "average",
    "gradient_accumulation_steps": "accumulate",
}
_CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")


def build(stage: Fit) -> Any:
    """The Keras optimizer of a stage.

    Its learning rate is a plain number: whoever trains sets it before each step to what :func:`rate_at` says.

    Args:
        stage: names the optimizer and its settings: any of ``keras.optimizers``, or ``momentum``, ``nesterov`` (SGD
            with momentum 0.9) and ``amsgrad`` (Adam). All take ``weight_decay`` and one of ``clipnorm`` (each
            gradient's norm), ``global_clipnorm`` (that of all together) and ``clipvalue`` (each number).

    Returns:
        A ``keras.optimizers.Optimizer``, which averages weights and accumulates gradients where the stage says so.

    Raises:
        SettingError: the name or one of the settings is unknown, is the stage's own, or a value is refused.

    Example:
        >>> build(Fit(optimizer={"name": "sgd", "momentum": 0.8, "clipnorm": 1.0})).momentum
        0.8
        >>> build(Fit(optimizer="nesterov")).nesterov
        True
    """
    settings = {"name": stage.optimizer} if isinstance(stage.optimizer, str) else dict(stage.optimizer)
    known = _known()
    name = check.one_of("optimizer", str(settings.pop("name", "")).lower(), [*known, *ALIASES])
    kind, preset = ALIASES.get(name, (name, {}))
    _check_settings(f"optimizer.{name}", settings, known[kind])
    given = {**preset, **settings, **_of_stage(stage)}
    try:
        return fastest(known[kind])(learning_rate=float(stage.rate), **given)
    except (TypeError, ValueError) as error:
        raise check.SettingError(f"optimizer.{name}: {' '.join(str(error).split())}") from error


def rate_at(stage: Fit, at: Moment, memory: Memory = NOTHING) -> float:
    """The learning rate that a step is made with: the schedule's, times the warm-up of the stage.

    Args:
        stage: names the rate, the schedule and how many epochs the warm-up lasts, over which the rate grows in a
            line; its last step is the first that is made with the schedule's own rate.
        at: which step it is.
        memory: what the schedule remembers of the steps before, if it does.

    Example:
        >>> from lensmith.train.schedules import Cosine
        >>> [round(rate_at(Fit(rate=0.1, schedule=Cosine()), Moment(step, steps=4, epochs=1)), 3) for step in range(5)]
        [0.1, 0.085, 0.05, 0.015, 0.0]
    """
    rate = stage.schedule.rate(float(stage.rate), at, memory)
    length = stage.warmup * at.steps
    return rate * (at.step + 1) / length if at.step + 1 < length else rate


def _check_settings(place: str, settings: Mapping[str, Any], kind: Any) -> None:
    inside = {"learning_rate", "kwargs", "name", *_OF_THE_STAGE}
    allowed = [key for key in inspect.signature(kind).parameters if key not in inside]
    for key in settings:
        if key in _OF_THE_STAGE:
            remedy = f"Set {_OF_THE_STAGE[key]} of the stage instead"
            raise check.SettingError(check.sentence(place, "settings that the stage has no field for", key, remedy))
        check.one_of(place, key, allowed)
    clipped = [key for key in _CLIPPING if settings.get(key) is not None]
    if len(clipped) > 1:
        expected = f"one of {', '.join(_CLIPPING)}"
        raise check.SettingError(check.sentence(place, expected, " and ".join(clipped), "Leave one out"))
    for key in clipped:
        if check.between(f"{place}.{key}", settings[key], 0.0, math.inf) == 0:
            raise check.SettingError(check.sentence(f"{place}.{key}", "a number above 0", "0"))
    if settings.get("weight_decay") is not None:
        check.between(f"{place}.weight_decay", settings["weight_decay"], 0.0, math.inf)


def _of_stage(stage: Fit) -> dict[str, Any]:
    """What the fields of a stage set of its optimizer."""
    settings: dict[str, Any] = {}
    if stage.average is not None:
        settings |= {"use_ema": True, "ema_momentum": float(stage.average)}
    if stage.accumulate > 1:
        settings["gradient_accumulation_steps"] = stage.accumulate
    return settings


def _known() -> Mapping[str, Any]:
    found = vars(keras.optimizers).items()
    classes = {name.lower(): value for name, value in found if inspect.isclass(value)}
    base = keras.optimizers.Optimizer
    return {name: value for name, value in classes.items() if issubclass(value, base) and name not in _NOT_BY_NAME}
