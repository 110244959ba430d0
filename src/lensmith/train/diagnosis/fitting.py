"""Troubles that show in training and validation side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from lensmith.train.diagnosis.course import Course, finite
from lensmith.train.diagnosis.kinds import Diagnosis, said

_RISE, _RISE_OF_SCALE, _RISE_UNKNOWN = 0.1, 0.05, 0.2  # of the best value; of the scale; of the best, without chance
_SINCE_BEST = 3  # epochs
_GAP, _HIGH = 0.25, 0.5  # training of validation; validation of the scale
_FEWEST_EPOCHS = 5
_EASIER, _EASIER_BY = 0.7, 0.1  # validation of training; of the scale
_FEWEST_LOOKS = 3

_ADVICE = (
    "Keep the weights of the best epoch and stop there (stop: {patience: 3}); more images or augmentation, dropout, "
    "weight decay or a smaller network, or begin with trained weights"
)


def overfitting(course: Course) -> Iterator[Diagnosis]:
    """The training loss goes on falling while the validation loss rises, or stays far above it."""
    curve = course.whole
    pairs = [
        (epoch, loss, value)
        for epoch, loss, value in zip(course.epochs, curve.loss, curve.validation, strict=False)
        if loss is not None and value is not None
    ]
    if len(pairs) < _FEWEST_EPOCHS or curve.scale is None or min(value for _, _, value in pairs) < 0:
        return
    epochs, losses, values = zip(*pairs, strict=True)
    smooth = _smooth(values)
    best = min(range(len(smooth)), key=lambda at: smooth[at])
    rise = smooth[-1] - smooth[best]
    if curve.chance is None:
        enough = _RISE_UNKNOWN * smooth[best]
    else:
        enough = max(_RISE * smooth[best], _RISE_OF_SCALE * curve.scale)
    since = len(pairs) - 1 - best
    if since >= _SINCE_BEST and rise >= enough and losses[-1] < losses[best]:
        at = min(range(len(values)), key=lambda at: values[at])
        yield Diagnosis(
            "overfitting",
            epochs[min(at + 1, len(epochs) - 1)],
            f"the validation loss was {said(values[at])} at its best, in epoch {epochs[at]}, and is {said(values[-1])} "
            f"now, while the training loss fell from {said(losses[at])} to {said(losses[-1])}",
            _ADVICE,
        )
    elif _apart(losses, values, curve.scale):
        at = next(at for at in range(len(pairs)) if losses[at] < _GAP * values[at])
        yield Diagnosis(
            "overfitting",
            epochs[at],
            f"the training loss is {said(losses[-1])} and the validation loss {said(values[-1])}, which has not become "
            f"better in the last {_SINCE_BEST} epochs",
            _ADVICE,
        )


def _smooth(values: Sequence[float]) -> list[float]:
    """The median of each value and its neighbours, so that a single one does not count."""
    return [median(values[max(0, at - 1) : at + 2]) for at in range(len(values))]


def _apart(losses: Sequence[float], values: Sequence[float], scale: float) -> bool:
    """Whether the validation stays as good as nothing learned while the training is learned by heart."""
    if losses[-1] >= _GAP * values[-1] or min(values[-_SINCE_BEST:]) < _HIGH * scale:
        return False
    return min(values[-_SINCE_BEST:]) > 0.98 * min(values[:-_SINCE_BEST])


def validation_easier(course: Course) -> Iterator[Diagnosis]:
    """The validation loss is far below the training loss, dropout and the running mean set aside.

    Both are: a look before an epoch measures a training batch as the validation was measured just before it.
    """
    curve = course.whole
    by_epoch = dict(zip(course.epochs, curve.validation, strict=False))
    compared = [
        (before, loss)
        for epoch, seen in course.looks()
        if (before := by_epoch.get(epoch - 1)) is not None and (loss := finite(seen.get("loss"))) is not None
    ]
    measured = zip(curve.validation, curve.loss, strict=False)
    newest = [(value, loss) for value, loss in measured if value is not None and loss is not None][-_FEWEST_LOOKS:]
    if curve.scale is None or len(newest) < _FEWEST_LOOKS or len(compared) < _FEWEST_LOOKS:
        return
    easier = all(
        value < _EASIER * loss and loss - value > _EASIER_BY * curve.scale
        for value, loss in [*compared[-_FEWEST_LOOKS:], *newest]
    )
    if easier:
        value, loss = compared[-1]
        yield Diagnosis(
            "validation-easier",
            course.epochs[0],
            f"the validation loss was {said(value)} where training examples, measured in the same way, cost "
            f"{said(loss)}",
            "Look whether the parts were split at random and by class, and whether validation images are copies of "
            "training images (lensmith data)",
        )
