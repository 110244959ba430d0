"""What is wrong with a training run, in plain words, with the numbers that show it and what to do.

A healthy run gets no warning: each rule wants a clear sign, and where one trouble causes others only the cause is
named. The rules are in the modules beside this one, a family of troubles each; what they read is a
:class:`~lensmith.train.diagnosis.course.Course`, one stage of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lensmith.train.diagnosis import course, fitting, progress, signal
from lensmith.train.diagnosis.course import Course, Row
from lensmith.train.diagnosis.kinds import KINDS, Diagnosis
from lensmith.train.diagnosis.predicted import never_predicted

__all__ = ["KINDS", "Diagnosis", "diagnose", "never_predicted", "waiting"]

_STARVED, _STARVED_ALONE, _WORTH_SECONDS = 0.3, 0.5, 10.0


def diagnose(
    rows: Sequence[Row],
    watched: Sequence[Mapping[str, Any]] = (),
    *,
    classes: Mapping[str, int] | None = None,
    waited: float | None = None,
    seconds: float | None = None,
    augmented: bool | None = None,
) -> tuple[Diagnosis, ...]:
    """Name the troubles of a training run so far, the most important first; none of a healthy one.

    Stages are judged one by one; a trouble of several is told of the first. What is a matter of how a run ends
    (underfitting, a plateau, too low a rate) is told of the last stage alone.

    Args:
        rows: of ``history.jsonl``.
        watched: rows of ``watch.jsonl``. Without them less can be seen, and nothing of gradients and units.
        classes: how many classes each task has whose loss is a cross-entropy, so that guessing costs their logarithm.
            None goes by what the watched rows say.
        waited: the share of the time, 0..1, that training waited for its data.
        seconds: how long training took; waiting that cost less than ten of them is not worth a word.
        augmented: whether training examples are varied, which makes them harder than those of the validation. Only
            where it is False can it be said that the validation is easier than the training.

    Example:
        >>> rows = [{"epoch": e + 1, "loss": 2.0 / (e + 1), "val_loss": abs(e - 4) / 4 + 1} for e in range(9)]
        >>> [(one.kind, one.epoch) for one in diagnose(rows)]
        [('overfitting', 6)]
    """
    courses = course.courses(rows, watched, classes)
    found: dict[str, Diagnosis] = {}
    for one in courses:
        for diagnosis in _of(one, last=one is courses[-1], augmented=augmented):
            found.setdefault(diagnosis.kind, diagnosis)
    if starved := _starvation(waited, seconds):
        found[starved.kind] = starved
    return tuple(sorted(found.values(), key=lambda one: KINDS.index(one.kind)))


def waiting(times: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None]:
    """The share of the time that training waited for its data, and how long it took, from rows of ``timing.jsonl``.

    >>> waiting([{"seconds": 1.0, "waited_for_data": 0.5}, {"seconds": 3.0, "waited_for_data": 0.1}])
    (0.2, 4.0)
    """
    seconds = float(sum(row["seconds"] for row in times))
    if not seconds:
        return None, None
    return sum(row["waited_for_data"] * row["seconds"] for row in times) / seconds, seconds


def _of(one: Course, *, last: bool, augmented: bool | None) -> Iterator[Diagnosis]:
    """The troubles of one stage: the causes, or where there are none the symptoms; and those that have no cause."""
    causes = list(signal.at_the_start(one)) or list(progress.rate_too_high(one)) or list(signal.later(one))
    yield from causes or progress.symptoms(one, last=last)
    yield from fitting.overfitting(one)
    if augmented is False:
        yield from fitting.validation_easier(one)


def _starvation(waited: float | None, seconds: float | None) -> Diagnosis | None:
    if waited is None or not waited >= (_STARVED_ALONE if seconds is None else _STARVED):
        return None
    if seconds is not None and waited * seconds < _WORTH_SECONDS:
        return None
    lost = "" if seconds is None else f", about {waited * seconds:.0f} of {seconds:.0f} seconds"
    return Diagnosis(
        "data-starvation",
        None,
        f"training waited for its data in {waited:.0%} of the time{lost}",
        "Read ahead with more workers, keep the decoded images in a cache, make the images smaller on the disk, or "
        "train on cached features where the first layers are frozen",
    )
