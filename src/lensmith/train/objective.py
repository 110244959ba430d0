"""What a task is trained for and judged by, resolved to Keras losses and metrics on logits.

Models are trained on their logits, the values before softmax or sigmoid, because the losses are exact
there where probabilities have long been rounded to 0 or 1. A loss or metric that can read logits does;
any other one sees the activated outputs, as it would on the finished model.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras

Activation = Literal["linear", "softmax", "sigmoid"]
ACTIVATIONS: tuple[Activation, ...] = ("linear", "softmax", "sigmoid")

# Which Keras losses and metrics undo which activation themselves when told `from_logits`.
_FROM_LOGITS = {
    "softmax": {"CategoricalCrossentropy", "SparseCategoricalCrossentropy", "CategoricalFocalCrossentropy"},
    "sigmoid": {"BinaryCrossentropy", "BinaryFocalCrossentropy", "AUC"},
    "linear": set(),
}
# Metrics that look only at which class comes first, which softmax does not change.
_BY_RANK = {"CategoricalAccuracy", "SparseCategoricalAccuracy", "TopKCategoricalAccuracy"}
_BY_RANK |= {"SparseTopKCategoricalAccuracy"}
_ONE_HOT_LOSSES = {"CategoricalCrossentropy", "CategoricalFocalCrossentropy", "CategoricalHinge", "KLDivergence"}

_SHORT = {
    "acc": "accuracy",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
    "rmse": "root_mean_squared_error",
}


@dataclass(frozen=True, slots=True)
class Objective:
    """What one task is trained for (its loss) and judged by (its metrics).

    Args:
        loss: a Keras loss by name, a ``keras.losses.Loss``, or a function of ``(y_true, y_pred)``.
        metrics: Keras metrics by name, ``keras.metrics.Metric`` objects, or such functions.
            ``accuracy`` means the kind that fits the activation.
        activation: what turns the model's logits into its outputs. Losses and metrics are given
            activated outputs, or logits where they can read those.
        weight: the share of this task in the total loss when there are several.
        target: the task whose targets this output is compared with; None is its own. An auxiliary head of a task
            names that task here, and needs no targets of its own.

    Example:
        >>> Objective("sparse_categorical_crossentropy", ("accuracy",), activation="softmax").weight
        1.0
    """

    loss: Any
    metrics: tuple[Any, ...] = ()
    activation: Activation = "linear"
    weight: float = 1.0
    target: str | None = None

    def __post_init__(self) -> None:
        check.one_of("activation", self.activation, ACTIVATIONS)
        check.between("weight", self.weight, 0.0, float("inf"))
        object.__setattr__(self, "metrics", tuple(self.metrics))


def loss_of(objective: Objective) -> Any:
    """The Keras loss of an objective, for a model whose output is logits.

    Raises:
        SettingError: there is no loss of that name.

    Example:
        >>> loss_of(Objective("sparse_categorical_crossentropy", activation="softmax")).from_logits
        True
    """
    loss = objective.loss
    if isinstance(loss, str):
        loss = _made("loss", loss, _classes(keras.losses, keras.losses.Loss), {})
    if not isinstance(loss, keras.losses.Loss):
        return _on_activated(_function("loss", loss), objective.activation)
    if getattr(loss, "from_logits", False) or objective.activation == "linear":
        return loss
    if type(loss).__name__ in _FROM_LOGITS[objective.activation]:
        return type(loss).from_config(loss.get_config() | {"from_logits": True})
    # The call of a Loss also reduces and weighs, so the inner one is left whole behind a function.
    return _on_activated(loss, objective.activation)


def metrics_of(objective: Objective) -> list[Any]:
    """The Keras metrics of an objective, for a model whose output is logits.

    Raises:
        SettingError: there is no metric of that name, or it needs settings that a name cannot give.

    Example:
        >>> [metric] = metrics_of(Objective("mse", ("accuracy",), activation="sigmoid"))
        >>> metric.name
        'accuracy'
    """
    made = [_metric(metric, objective) for metric in objective.metrics]
    twice = [name for name, count in Counter(metric.name for metric in made).items() if count > 1]
    if twice:
        raise check.SettingError(f"metrics: the name {twice[0]!r} stands twice; rename one of the two")
    return made


def direction(metric: Any) -> Literal["min", "max"] | None:
    """Whether less or more of a metric is better, as far as Keras knows."""
    return {"up": "max", "down": "min"}.get(getattr(metric, "_direction", ""))  # type: ignore[return-value]


def describe(objectives: Mapping[str, Objective]) -> dict[str, Any]:
    """Objectives as plain values, to tell whether a run is resumed with the ones it began with."""
    return {
        task: {
            "loss": _described(objective.loss),
            "metrics": [_described(metric) for metric in objective.metrics],
            "activation": objective.activation,
            "weight": objective.weight,
            **({"target": objective.target} if objective.target is not None else {}),
        }
        for task, objective in objectives.items()
    }


class Activated(keras.metrics.Metric):  # type: ignore[misc]
    """A Keras metric that is shown activated outputs where the model gives logits."""

    def __init__(self, metric: Any, activation: Activation) -> None:
        super().__init__(name=metric.name, dtype=metric.dtype)
        self.metric = metric
        self._activation = activation
        self._direction = getattr(metric, "_direction", None)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.metric.update_state(y_true, _activated(y_pred, self._activation), sample_weight=sample_weight)

    def result(self) -> Any:
        return self.metric.result()

    def reset_state(self) -> None:
        self.metric.reset_state()


def _metric(metric: Any, objective: Objective) -> Any:
    made = metric
    if isinstance(metric, str):
        made = _named_metric(metric, objective)
    elif not isinstance(metric, keras.metrics.Metric):
        made = keras.metrics.MeanMetricWrapper(_function("metrics", metric), name=_name(metric))
    reads_logits = getattr(made, "from_logits", False) or getattr(made, "_from_logits", False)
    by_rank = objective.activation == "softmax" and type(made).__name__ in _BY_RANK
    if reads_logits or by_rank or objective.activation == "linear":
        return made
    return Activated(made, objective.activation)


def _named_metric(name: str, objective: Objective) -> Any:
    metrics = keras.metrics
    full = _SHORT.get(name, name)
    if full == "accuracy" and objective.activation != "linear":
        kind = metrics.BinaryAccuracy if objective.activation == "sigmoid" else metrics.SparseCategoricalAccuracy
        one_hot = objective.activation == "softmax" and type(loss_of(objective)).__name__ in _ONE_HOT_LOSSES
        return (metrics.CategoricalAccuracy if one_hot else kind)(name=name)
    classes = _classes(metrics, metrics.Metric)
    for base in ("metric", "mean", "sum", "mean_metric_wrapper"):  # these do not compare two arrays
        classes.pop(base, None)
    reads_logits = {_snake(kind) for kind in _FROM_LOGITS[objective.activation]}
    settings = {"from_logits": True} if full in reads_logits else {}
    return _made("metrics", name, classes, settings | {"name": name})


def _made(place: str, name: str, classes: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """An object of the class of this name, or an error that names the nearest one."""
    found = classes[check.one_of(place, _SHORT.get(name, name), classes)]
    try:
        return found(**settings)
    except TypeError as error:
        needs = [
            parameter.name
            for parameter in inspect.signature(found).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        ]
        module = "losses" if place == "loss" else "metrics"
        expected = f"a keras.{module}.{found.__name__} object made with {', '.join(needs)}"
        raise check.SettingError(check.sentence(place, expected, f"its name, {name!r}")) from error


def _classes(module: Any, base: Any) -> dict[str, Any]:
    found = {name: value for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, base)}
    return {_snake(name): value for name, value in found.items()}


def _snake(name: str) -> str:
    """``KLDivergence`` as ``kl_divergence``, the way Keras names its losses and metrics."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _function(place: str, value: Any) -> Callable[[Any, Any], Any]:
    if callable(value) and not inspect.isclass(value):
        return value  # type: ignore[no-any-return]
    expected = "a name, a Keras object or a function of (y_true, y_pred)"
    raise check.SettingError(check.sentence(place, expected, repr(value)))


def _on_activated(function: Callable[[Any, Any], Any], activation: Activation) -> Callable[[Any, Any], Any]:
    if activation == "linear":
        return function

    def on_activated(y_true: Any, y_pred: Any) -> Any:
        return function(y_true, _activated(y_pred, activation))

    on_activated.__name__ = _name(function)
    return on_activated


def _activated(logits: Any, activation: Activation) -> Any:
    return keras.ops.softmax(logits) if activation == "softmax" else keras.ops.sigmoid(logits)


def _name(value: Any) -> str:
    return str(getattr(value, "__name__", None) or getattr(value, "name", None) or type(value).__name__)


def _described(value: Any) -> Any:
    if isinstance(value, str):
        return _SHORT.get(value, value)
    if hasattr(value, "get_config"):
        return {type(value).__name__: json.loads(json.dumps(value.get_config(), default=str, sort_keys=True))}
    return _name(value)
