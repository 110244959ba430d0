"""What Keras' losses do not do by themselves, on logits: label smoothing of class indices, class weights, taps."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.train import named
from lensmith.train.focal import Focal, Values, shares
from lensmith.train.named import Activation

# What is smoothed, by activation; the sparse one is then computed as the one of shares.
_SMOOTHED = {
    "softmax": {"SparseCategoricalCrossentropy", "CategoricalCrossentropy", "CategoricalFocalCrossentropy"},
    "sigmoid": {"BinaryCrossentropy", "BinaryFocalCrossentropy"},
    "linear": set(),
}


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is changed about a loss.

    Args:
        class_weights: by class; None weighs nothing.
        smoothing: of the targets, 0 to 1.
    """

    class_weights: tuple[float, ...] | None = None
    smoothing: float = 0.0


def balanced(counts: Sequence[int]) -> tuple[float, ...]:
    """Class weights that make every class count the same: ``n / (k * count)``, as scikit-learn's ``balanced``.

    Args:
        counts: how many examples each class has. A class without any does not count among the k, and its weight is 1.

    Returns:
        A weight for each class; the weights of all examples add up to their number.

    Example:
        >>> balanced((30, 10, 0))
        (0.6666666666666666, 2.0, 1.0)
    """
    total, present = sum(counts), sum(count > 0 for count in counts)
    return tuple(total / (present * count) if count else 1.0 for count in counts)


def check_class_weights(place: str, given: Any) -> tuple[float, ...]:
    """Class weights as floats.

    Raises:
        SettingError: they are no numbers of at least 0, or nothing but zeros.
    """
    expected = "a weight for each class, numbers of at least 0 that are not all 0"
    weights = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    good = all(_is_number(weight) and 0 <= weight < math.inf for weight in weights)
    if not good or not any(weights):
        raise check.SettingError(check.sentence(place, expected, repr(given)))
    return tuple(float(weight) for weight in weights)


def check_pairs(given: Any) -> tuple[tuple[Any, float], ...]:
    """Several losses, each with its weight.

    Raises:
        SettingError: they are not pairs, or a weight is no number of at least 0.
    """
    pairs = tuple(tuple(pair) if isinstance(pair, list | tuple) else pair for pair in given)
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise check.SettingError(check.sentence("loss", "pairs of (loss, weight)", repr(pair)))
        check.between("loss: the weight of one", pair[1], 0.0, math.inf)
    if not pairs:
        raise check.SettingError(check.sentence("loss", "at least one pair of (loss, weight)", repr(given)))
    return tuple((loss, float(weight)) for loss, weight in pairs)


def fits_head(place: str, weights: Sequence[float], activation: Activation, units: int | None) -> None:
    """Refuse class weights of another number than a head has classes.

    Raises:
        SettingError: as said.
    """
    if units is None:
        return
    wanted = 2 if activation == "sigmoid" and units == 1 else units
    if len(weights) != wanted:
        remedy = "Give one for no and one for yes" if units == 1 else ""
        raise check.SettingError(check.sentence(place, f"{wanted} weights", len(weights), remedy))


def smooths(loss: Any, activation: Activation) -> bool:
    """Whether label smoothing has a meaning for this loss."""
    return isinstance(loss, Focal) or type(loss).__name__ in _SMOOTHED[activation]


def keras_loss(loss: Any, activation: Activation) -> Any:
    """A loss that reads logits; it is given activated outputs if it cannot, behind a function then."""
    if isinstance(loss, Focal):
        return Adapted(loss, activation, Adjustment())
    if not isinstance(loss, keras.losses.Loss):
        return named.on_activated(named.function("loss", loss), activation)
    if getattr(loss, "from_logits", False) or activation == "linear":
        return loss
    if type(loss).__name__ in named.FROM_LOGITS[activation]:
        return type(loss).from_config(loss.get_config() | {"from_logits": True})
    # The call of a Loss also reduces and weighs, so the inner one is left whole behind a function.
    return named.on_activated(loss, activation)


class Adapted(keras.losses.Loss):  # type: ignore[misc]
    """A loss of logits with smoothed targets and weighed examples.

    The weights multiply each example's loss, and the sum is divided by the number of examples, as Keras does it with
    its own class weights; where one of several labels has a weight, it is that label's loss that is multiplied. An
    example of several classes, with shares, has the mean of their weights.
    """

    def __init__(self, loss: Any, activation: Activation, adjustment: Adjustment) -> None:
        reduction = loss.reduction if isinstance(loss, keras.losses.Loss) else "sum_over_batch_size"
        super().__init__(name=_plain_name(loss), reduction=reduction)
        self._loss, self._activation, self._adjustment = loss, activation, adjustment
        self._values = _values(loss, activation)
        self._smoothing = adjustment.smoothing if smooths(loss, activation) else 0.0

    def call(self, y_true: Any, y_pred: Any) -> Any:
        ops, given = keras.ops, self._adjustment.class_weights
        targets = self._targets(y_true, y_pred)
        if given is None:
            return self._values(targets, y_pred)
        weights = _weights(given, self._activation, y_true, y_pred)
        if self._activation == "sigmoid":  # each label is looked at alone
            targets, y_pred = ops.expand_dims(targets, -1), ops.expand_dims(y_pred, -1)
        values = self._values(targets, y_pred)
        if tuple(values.shape) != tuple(weights.shape):
            expected = f"a loss of each example for the class weights to weigh, of shape {tuple(weights.shape)}"
            raise check.SettingError(check.sentence(f"loss: {self.name}", expected, f"{tuple(values.shape)}"))
        if self.reduction == "mean_with_sample_weight":
            weights = weights / ops.mean(weights)
        return values * weights

    def _targets(self, y_true: Any, y_pred: Any) -> Any:
        one_hot = self._activation == "softmax" and type(self._loss).__name__ == "CategoricalFocalCrossentropy"
        if not self._smoothing:
            return shares(y_true, y_pred) if one_hot else y_true
        if self._activation == "sigmoid":
            return smoothed(y_true, self._smoothing, 2)
        return smoothed(shares(y_true, y_pred), self._smoothing, y_pred.shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "reduction": self.reduction}


class Several(keras.losses.Loss):  # type: ignore[misc]
    """The weighted sum of several losses of one output."""

    def __init__(self, parts: Sequence[tuple[Any, float]]) -> None:
        super().__init__(name="several")
        self.parts = tuple(parts)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return sum(weight * loss(y_true, y_pred, sample_weight) for loss, weight in self.parts)


class Tapped(keras.losses.Loss):  # type: ignore[misc]
    """A loss that reads feature maps: a function of the targets, as they are, and the maps.

    Args:
        function: gives one number, or one for each example, which are averaged.
        targets: whether it is given targets; else None.
    """

    def __init__(self, function: Callable[[Any, Any], Any], *, targets: bool) -> None:
        super().__init__(name=named.name_of(function))
        self._function, self._targets = function, targets

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        ops = keras.ops
        maps = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        value = self._function(ops.convert_to_tensor(y_true) if self._targets else None, maps)
        return ops.mean(ops.convert_to_tensor(value, dtype=self.dtype))


def smoothed(y_true: Any, smoothing: float, classes: int) -> Any:
    """Targets with a part of them spread evenly over the classes.

    Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, Section 7. For labels of 0 and 1
    there are two classes, no and yes.
    """
    return y_true * (1 - smoothing) + smoothing / classes


def _weights(given: Sequence[float], activation: Activation, y_true: Any, logits: Any) -> Any:
    """The weight of each example, or for labels of 0 and 1 that of each label of each example."""
    ops = keras.ops
    weights = ops.convert_to_tensor(given, dtype=logits.dtype)
    if activation == "softmax":
        if len(y_true.shape) == len(logits.shape):
            return ops.sum(ops.cast(y_true, logits.dtype) * weights, axis=-1)
        return ops.take(weights, ops.cast(y_true, "int32"), axis=0)
    if logits.shape[-1] == 1:
        no, yes = given
        return no + (yes - no) * ops.cast(y_true, logits.dtype)
    return ops.ones_like(logits) * weights


def _values(loss: Any, activation: Activation) -> Values:
    """The loss of each example as a function of targets and logits."""
    if isinstance(loss, Focal):
        return loss.values(activation)
    made = keras_loss(loss, activation)
    if not isinstance(loss, keras.losses.Loss):
        return made  # type: ignore[no-any-return]
    if isinstance(made, keras.losses.SparseCategoricalCrossentropy):
        return _crossentropy(made)
    if isinstance(made, keras.losses.Loss):
        return made.call  # type: ignore[no-any-return]
    return named.on_activated(loss.call, activation)


def _crossentropy(sparse: Any) -> Values:
    """Cross-entropy of class indices as Keras has it, and of rows of shares, which smoothed targets are."""
    rows = keras.losses.CategoricalCrossentropy(from_logits=True)

    def of_either(y_true: Any, logits: Any) -> Any:
        return (rows if len(y_true.shape) == len(logits.shape) else sparse).call(y_true, logits)

    return of_either


def _plain_name(loss: Any) -> str:
    return "focal" if isinstance(loss, Focal) else named.name_of(loss)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
