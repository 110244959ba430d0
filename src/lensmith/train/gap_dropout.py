"""Dropout that follows the gap between training and validation: the rate in force, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.train.history import Row
from lensmith.train.stages import GapDropout


@dataclass(frozen=True, slots=True)
class Dropouts:
    """The dropout layers of a model, also of models inside it, with the rates that are their own.

    A layer whose own rate is 0 is not among them: Keras gives it no random state to drop with.

    Args:
        model: the compiled model.
        layers: in the order of the model.
        own: their rates before the stage.
        rule: how they follow the gap.
    """

    model: Any
    layers: tuple[Any, ...]
    own: tuple[float, ...]
    rule: GapDropout

    def after(self, row: Row) -> tuple[float, ...]:
        """The rates after an epoch with this row: each its own plus ``gain`` times the gap, within the bounds.

        They are rounded to hundredths, as a compiled step has to be made anew for each change on JAX and TensorFlow.
        Where the losses are no numbers, or the training loss is not above 0, they stay as they are.
        """
        loss, unseen = row.get("loss"), row.get("val_loss")
        if loss is None or unseen is None or loss <= 0:
            return self.rates
        change = self.rule.gain * (unseen - loss) / loss
        low, high = self.rule.lowest, self.rule.highest
        return tuple(round(min(max(rate + change, low), high), 2) for rate in self.own)

    @property
    def rates(self) -> tuple[float, ...]:
        """The rates in force."""
        return tuple(float(layer.rate) for layer in self.layers)

    @property
    def mean(self) -> float:
        """The mean of the rates in force."""
        return round(sum(self.rates) / len(self.layers), 4)

    def put(self, rates: Sequence[float]) -> None:
        """Put rates in force, for the next step on."""
        if tuple(rates) == self.rates:
            return
        for layer, rate in zip(self.layers, rates, strict=True):
            layer.rate = rate
        if keras.config.backend() != "torch":  # a compiled step has the rates of when it was compiled
            self.model.make_train_function(force=True)


def dropouts(model: Any, rule: GapDropout | None, *, validated: bool) -> Dropouts | None:
    """The dropout layers of a model that follow a rule; None without a rule.

    Args:
        model: the model, compiled or not.
        rule: how they follow the gap.
        validated: whether there is validation, without which there is no gap.

    Raises:
        SettingError: there is no validation, or the model has no dropout layer with a rate above 0.
    """
    if rule is None:
        return None
    if not validated:
        raise check.SettingError(check.sentence("dropout", "validation, whose loss it goes by", "none"))
    kind = keras.layers.Dropout  # Keras' SpatialDropout layers are of it too
    layers = tuple(layer for layer in model._flatten_layers() if isinstance(layer, kind) and layer.rate > 0)
    if not layers:
        remedy = "Put a Dropout layer into the model, or leave dropout out of the stage"
        raise check.SettingError(check.sentence("dropout", "a model with dropout layers", "none", remedy))
    return Dropouts(model, layers, tuple(float(layer.rate) for layer in layers), rule)
