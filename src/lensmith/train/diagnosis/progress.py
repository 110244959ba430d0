"""Troubles of how the training loss goes: too fast, back and forth, or nowhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lensmith.train.diagnosis.course import Course, Curve, finite
from lensmith.train.diagnosis.kinds import Diagnosis, said

# Times the loss at the start, or what guessing costs: of any one step, and of three running. 1.11 and 1.08 are the
# most that any of 60 healthy runs had. Losses without a known scale vary more.
_SPIKE, _SPIKE_OF_THREE, _SPIKE_UNKNOWN = 1.6, 1.4, 2.5
# The end of that epoch: below it the loss found its way back by itself, as Adam's first steps often let it. The sick
# networks of the tests ended at 0.97 or more, the books' convnet on CIFAR-10 at 0.57 to 0.76.
_BACK = 0.85
_DIVERGED, _DIVERGED_BY = 1.5, 0.5  # times the lowest; above it, in parts of the scale
_SWING = {"training": (0.1, 0.1), "validation": (0.5, 0.5)}  # a rise as a part of the scale, and of the value before
_SWINGS = 3
_FLAT, _SLOW = 0.01, 0.03  # of the scale, over a third of the epochs
_STUCK, _UNSATISFIED, _UNSATISFIED_NUMBER = 0.85, 0.5, 0.75  # of the scale
_LEARNED = 0.1  # of the scale
_STILL = 0.005  # change of the norm of weights
_FEWEST_EPOCHS, _FEWEST_FLAT = 4, 6


def rate_too_high(course: Course) -> Iterator[Diagnosis]:
    """Steps so large that the loss rises far above where it began, and does not come back within the epoch."""
    start, chance = course.whole.start, course.whole.chance
    if start is None or start <= 0:
        return
    base = max(start, chance or 0.0) + course.penalty
    for row, rate in zip(course.watched, _rates(course), strict=True):
        top = _top([value for value in row["steps"].get("losses", ()) if value is not None])
        highest = finite(row["steps"].get("highest")) or 0.0
        most, most_of_three = (_SPIKE, _SPIKE_OF_THREE) if chance else (_SPIKE_UNKNOWN, _SPIKE_UNKNOWN)
        end = finite(row["steps"].get("end"))
        back = end is not None and end < _BACK * base
        if not back and highest > most * base and top > most_of_three * base:
            at = "" if rate is None else f" (rate {rate:g})"
            yield Diagnosis(
                "rate-too-high",
                int(row["epoch"]),
                f"the loss rose to {said(highest)} within epoch {row['epoch']}{at}, from {said(start)} at the start",
                f"Lower the rate, to {_tenth(rate)} for a beginning, or let it grow with a warm-up; where the inputs "
                "are not scaled to about 0..1, scale them first",
            )
            return


def _rates(course: Course) -> list[float | None]:
    by_epoch = dict(zip(course.epochs, course.rates, strict=True))
    return [by_epoch.get(int(row["epoch"])) for row in course.watched]


def _tenth(rate: float | None) -> str:
    return "a tenth" if rate is None else f"{rate / 10:.1g}"


def _top(losses: Sequence[float]) -> float:
    """The highest mean of three neighbours, so that one batch of a few hard examples does not count."""
    if len(losses) < 3:
        return max(losses, default=0.0)
    return max(sum(losses[at : at + 3]) / 3 for at in range(len(losses) - 2))


def symptoms(course: Course, *, last: bool) -> Iterator[Diagnosis]:
    """What can be said when no cause is known: the first of these that holds."""
    found = list(_divergence(course)) or list(_oscillation(course))
    if not found and last:
        for curve in course.tasks:
            found = found or list(_standing(course, curve))
    yield from found


def _divergence(course: Course) -> Iterator[Diagnosis]:
    advice = "Lower the rate to a tenth, clip the gradients (clipnorm: 1.0), and look for broken examples"
    losses, scale = course.whole.loss, course.whole.scale
    for epoch, loss in zip(course.epochs, losses, strict=True):
        if loss is None:
            yield Diagnosis("divergence", epoch, f"the loss of epoch {epoch} is no finite number", advice)
            return
    known = [loss for loss in losses if loss is not None]
    lowest = min(known)
    at = known.index(lowest)
    if scale is None or lowest <= 0 or at + 1 == len(known):
        return
    if min(known[-2:]) > max(_DIVERGED * lowest, lowest + _DIVERGED_BY * scale):
        epoch = course.epochs[at + 1]
        evidence = (
            f"the training loss was {said(lowest)} in epoch {course.epochs[at]} and has risen to {said(known[-1])}"
        )
        yield Diagnosis("divergence", epoch, evidence, advice)


def _oscillation(course: Course) -> Iterator[Diagnosis]:
    scale = course.whole.scale
    series = {"training": course.whole.loss, "validation": course.whole.validation}
    for name, values in series.items():
        by_scale, by_value = _SWING[name]
        rises = [
            (epoch, before, after)
            for epoch, (before, after) in zip(course.epochs[1:], pairwise(values), strict=False)
            if scale is not None
            and before is not None
            and after is not None
            and after - before > max(by_scale * scale, by_value * abs(before))
        ]
        if len(rises) >= _SWINGS and len(rises) >= len(values) / 4:
            epoch, before, after = max(rises, key=lambda rise: rise[2] - rise[1])
            yield Diagnosis(
                "oscillation",
                rises[0][0],
                f"the {name} loss goes up and down: it rose in {len(rises)} of {len(values) - 1} epochs, the most from "
                f"{said(before)} to {said(after)} in epoch {epoch}",
                "Lower the rate, let it decay (schedule: cosine), or use larger batches",
            )
            return


def _standing(course: Course, curve: Curve) -> Iterator[Diagnosis]:
    """The loss does not fall any more, or as good as not, and is still high."""
    level, scale = curve.level, curve.scale
    if level is None or scale is None or (curve.chance is None and not course.first):
        return
    fallen = _fallen(curve) / scale
    moved = _moved(course)
    if (
        len(curve.loss) >= _FEWEST_EPOCHS
        and level > _STUCK
        and fallen < 1 - _STUCK
        and (moved < _STILL if moved is not None else _steady(curve))
    ):
        yield _rate_too_low(course, curve, moved)
    elif course.live() >= _FEWEST_FLAT and not course.decayed and _gained(curve) < _SLOW * scale:
        if level > _STUCK and fallen < _LEARNED and _gained(curve) < _FLAT * scale:
            yield _plateau(course, curve)
        elif level > (_UNSATISFIED_NUMBER if curve.chance is None else _UNSATISFIED):
            if _together(curve):
                yield _underfitting(course, curve)
            elif _gained(curve) < _FLAT * scale:
                yield _plateau(course, curve)


def _fallen(curve: Curve) -> float:
    known = [loss for loss in curve.loss if loss is not None]
    return known[0] - known[-1]


def _steady(curve: Curve) -> bool:
    """Whether nearly every epoch was a little better than the one before."""
    steps = [after < before for before, after in pairwise(curve.loss) if before is not None and after is not None]
    return bool(steps) and sum(steps) >= 0.8 * len(steps)


def _moved(course: Course) -> float | None:
    """The largest relative change of the norm of a layer's weights, from the first look to the last."""
    looks = [seen for _, seen in course.looks()]
    if len(looks) < 2:
        return None
    before = {layer["name"]: finite(layer["weights"]) for layer in looks[0]["layers"]}
    changes = [
        abs((finite(layer["weights"]) or math.inf) - weights) / weights
        for layer in looks[-1]["layers"]
        if (weights := before.get(layer["name"]))
    ]
    return max(changes, default=None)


def _gained(curve: Curve) -> float:
    """By how much the loss fell in the newest third of the epochs, of which there are three at least."""
    known = [loss for loss in curve.loss if loss is not None]
    newest = max(3, len(known) // 3)
    return known[-newest - 1] - min(known[-newest:]) if len(known) > newest else math.inf


def _together(curve: Curve) -> bool:
    """Whether the validation is about as good as the training, or nothing is known of it."""
    if not curve.validation or curve.validation[-1] is None or curve.loss[-1] is None:
        return True
    return curve.validation[-1] < 1.2 * curve.loss[-1]


def _since(course: Course, curve: Curve) -> int:
    """The epoch from which on the loss did not fall by a thirtieth of the scale any more."""
    known = [(epoch, loss) for epoch, loss in zip(course.epochs, curve.loss, strict=True) if loss is not None]
    lowest = min(loss for _, loss in known)
    return next(epoch for epoch, loss in known if loss - lowest < _SLOW * (curve.scale or 1.0))


def _compared(curve: Curve) -> str:
    if curve.chance is None:
        return f"{said(curve.start or 0.0)} at the start"
    return f"{said(curve.chance)} for guessing"


def _rate_too_low(course: Course, curve: Curve, moved: float | None) -> Diagnosis:
    rate = max((rate for rate in course.rates if rate is not None), default=None)
    at = "" if rate is None else f" at a rate of {rate:.2g}"
    if rate is not None and min(one for one in course.rates if one is not None) < rate:
        at = f" at a rate of {rate:.2g} at most"
    weights = "" if moved is None else f"; no layer's weights have changed in size{_by(moved)}"
    evidence = f"{_went(curve)} in {len(curve.loss)} epochs{at} ({_compared(curve)}){weights}"
    return Diagnosis(
        "rate-too-low", course.epochs[0], evidence, "Raise the rate tenfold, and again until the loss falls"
    )


def _went(curve: Curve) -> str:
    """How a loss went that hardly moved, from its first value to its last."""
    known = [loss for loss in curve.loss if loss is not None]
    first, last = said(known[0]), said(known[-1])
    if first == last:
        return f"{curve.about()} stays at {first}"
    way = "fell only from" if known[-1] < known[0] else "stays at"
    return f"{curve.about()} {way} {first} to {last}"


def _by(share: float) -> str:
    """By how much at most, rounded up to a hundredth of a percent, so that it is true of the smallest change too."""
    return f" by more than {math.ceil(share * 1e4) / 1e4:.2%}" if share else ""


def _plateau(course: Course, curve: Curve) -> Diagnosis:
    since = _since(course, curve)
    evidence = f"{curve.about()} stands still at {said(curve.loss[-1] or 0.0)} since epoch {since} ({_compared(curve)})"
    advice = (
        "Change the rate: ten times less, or more where it never fell; let it fall on a plateau (schedule: plateau); "
        "and look whether images and labels belong together (lensmith data)"
    )
    return Diagnosis("plateau", since, evidence, advice)


def _underfitting(course: Course, curve: Curve) -> Diagnosis:
    since = _since(course, curve)
    beside = ""
    if curve.validation and curve.validation[-1] is not None:
        beside = f", and the validation is no better than {said(curve.validation[-1])}"
    evidence = (
        f"{curve.about()} hardly falls since epoch {since} and is still {said(curve.loss[-1] or 0.0)} in training "
        f"({_compared(curve)}){beside}"
    )
    advice = (
        "Use a larger network or less dropout and augmentation; if that does not help, the inputs may not tell what is "
        "asked for"
    )
    return Diagnosis("underfitting", since, evidence, advice)
