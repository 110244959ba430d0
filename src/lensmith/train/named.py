"""Keras losses and metrics by name, functions in their place, and how both are described as plain values."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from lensmith import check
from lensmith.backend import keras

Activation = Literal["linear", "softmax", "sigmoid"]
ACTIVATIONS: tuple[Activation, ...] = ("linear", "softmax", "sigmoid")

# Which Keras losses and metrics undo which activation themselves when told `from_logits`.
FROM_LOGITS = {
    "softmax": {"CategoricalCrossentropy", "SparseCategoricalCrossentropy", "CategoricalFocalCrossentropy"},
    "sigmoid": {"BinaryCrossentropy", "BinaryFocalCrossentropy", "AUC"},
    "linear": set(),
}
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


def full(name: str) -> str:
    """The name that a short form such as ``mse`` stands for."""
    return _SHORT.get(name, name)


def made(place: str, name: str, classes: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
    """An object of the class of this name, or an error that names the nearest one."""
    found = classes[check.one_of(place, full(name), classes)]
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


def classes(module: Any, base: Any) -> dict[str, Any]:
    """The classes of a module that are of one kind, by the names that Keras gives them."""
    found = {name: value for name, value in vars(module).items() if inspect.isclass(value) and issubclass(value, base)}
    return {snake(name): value for name, value in found.items()}


def snake(name: str) -> str:
    """``KLDivergence`` as ``kl_divergence``, the way Keras names its losses and metrics."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def function(place: str, value: Any) -> Callable[[Any, Any], Any]:
    """The value, if it is a function.

    Raises:
        SettingError: it is not.
    """
    if callable(value) and not inspect.isclass(value):
        return value  # type: ignore[no-any-return]
    expected = "a name, a Keras object or a function of (y_true, y_pred)"
    raise check.SettingError(check.sentence(place, expected, repr(value)))


def on_activated(function: Callable[[Any, Any], Any], activation: Activation) -> Callable[[Any, Any], Any]:
    """The function as it is called with logits: it is shown activated outputs."""
    if activation == "linear":
        return function

    def on_activated(y_true: Any, y_pred: Any) -> Any:
        return function(y_true, activated(y_pred, activation))

    on_activated.__name__ = name_of(function)
    return on_activated


def activated(logits: Any, activation: Activation) -> Any:
    """Softmax or sigmoid of logits."""
    return keras.ops.softmax(logits) if activation == "softmax" else keras.ops.sigmoid(logits)


def name_of(value: Any) -> str:
    """What to call a function or an object."""
    return str(getattr(value, "__name__", None) or getattr(value, "name", None) or type(value).__name__)


def described(value: Any) -> Any:
    """A loss or a metric as plain values: a name, or a class with its settings."""
    if isinstance(value, str):
        return full(value)
    if hasattr(value, "get_config"):
        return {type(value).__name__: json.loads(json.dumps(value.get_config(), default=str, sort_keys=True))}
    return name_of(value)
