"""Focal loss of logits, exact where probabilities have long been rounded to 0 or 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.train.named import Activation

Values = Callable[[Any, Any], Any]  # of targets and logits: a loss for each example
_NEVER = -1e30  # a logit of what cannot be; float32 holds it


@dataclass(frozen=True, slots=True)
class Focal:
    """Focal loss, which looks away from what is easy: ``-(1 - p)^gamma ln p`` of the true class's probability p.

    Lin et al. 2017, Focal Loss for Dense Object Detection, Section 3. It is a loss of class indices, of rows of
    shares (as mixed images have) and of labels of 0 and 1; for shares it is the sum over classes of each one's share
    of its loss, for several labels their mean.

    Args:
        gamma: how strongly easy examples are looked away from, at least 0; 0 is cross-entropy.
        alpha: for labels of 0 and 1 the weight of 1, that of 0 being ``1 - alpha``; for classes a factor of the whole
            loss. 0..1; None weighs nothing.

    Example:
        >>> Focal(gamma=2.0).get_config()
        {'gamma': 2.0, 'alpha': None}
    """

    gamma: float = 2.0
    alpha: float | None = None

    def __post_init__(self) -> None:
        check.between("focal.gamma", self.gamma, 0.0, 100.0)
        if self.alpha is not None:
            check.between("focal.alpha", self.alpha, 0.0, 1.0)

    def get_config(self) -> dict[str, Any]:
        """The settings as plain values, ready for JSON."""
        return {"gamma": self.gamma, "alpha": self.alpha}

    def values(self, activation: Activation) -> Values:
        """The loss as a function of targets and logits."""
        return self._of_classes if activation == "softmax" else self._of_labels

    def _of_classes(self, y_true: Any, logits: Any) -> Any:
        ops = keras.ops
        log_p, log_rest = _log_chances(logits)
        loss = -ops.sum(shares(y_true, logits) * ops.exp(self.gamma * log_rest) * log_p, axis=-1)
        return loss if self.alpha is None else loss * self.alpha

    def _of_labels(self, y_true: Any, logits: Any) -> Any:
        ops = keras.ops
        log_yes, log_no = ops.log_sigmoid(logits), ops.log_sigmoid(-logits)
        yes = -ops.exp(self.gamma * log_no) * log_yes
        no = -ops.exp(self.gamma * log_yes) * log_no
        if self.alpha is not None:
            yes, no = yes * self.alpha, no * (1 - self.alpha)
        y_true = ops.cast(y_true, logits.dtype)
        return ops.mean(y_true * yes + (1 - y_true) * no, axis=-1)


def shares(y_true: Any, logits: Any) -> Any:
    """Class indices as rows of 0 and 1; rows stay as they are."""
    ops = keras.ops
    if len(y_true.shape) == len(logits.shape):
        return ops.cast(y_true, logits.dtype)
    return ops.one_hot(ops.cast(y_true, "int32"), logits.shape[-1], dtype=logits.dtype)


def _log_chances(logits: Any) -> tuple[Any, Any]:
    """``ln p`` and ``ln(1 - p)`` of each class.

    Where p is near 1 neither has digits left if computed from p, so for the likeliest class both are computed from how
    far its logit is above the others together.
    """
    ops = keras.ops
    first = ops.one_hot(ops.argmax(logits, axis=-1), logits.shape[-1], dtype=logits.dtype) > 0
    above = logits - ops.logsumexp(ops.where(first, _NEVER, logits), axis=-1, keepdims=True)
    log_p = ops.log_softmax(logits, axis=-1)
    p = ops.where(first, 0.0, ops.exp(log_p))  # of any other class at most 1/2
    return ops.where(first, ops.log_sigmoid(above), log_p), ops.where(first, ops.log_sigmoid(-above), ops.log1p(-p))
