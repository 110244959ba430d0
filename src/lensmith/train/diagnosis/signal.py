"""Troubles of the signal on its way through the network: where it starts, grows, fades and ends.

Compared are gradients as parts of the weights they change, so that layers of all sizes can be set side by side.
Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural networks", section 4.2;
He et al. (2015), "Delving deep into rectifiers", section 2.2; Lu et al. (2020), "Dying ReLU and initialization".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from lensmith.train.diagnosis.course import Course, finite
from lensmith.train.diagnosis.kinds import Diagnosis, said

_FAR, _FAR_AT_LEAST = 3.0, 2.0  # times what guessing costs, and so much above it
_FADED = 1e-4  # of the largest of any layer
_FEWEST_LAYERS = 4
_EXPLODED = 1e3  # times the weights, for a loss of 1
_DEAD = 0.9
_FEWEST_EXAMPLES = 16
_STRUGGLING = 0.5  # of what guessing costs; below it, the network learns in spite of it

_DEEP = (
    "Use batch normalisation and He initialisation, add residual connections, use relu in place of sigmoid or tanh, "
    "or make the network less deep"
)


def at_the_start(course: Course) -> Iterator[Diagnosis]:
    """What was wrong before the first step."""
    yield from _initial_loss(course)
    looks = list(course.looks())
    if looks and looks[0][0] == course.epochs[0]:
        yield from _of_a_look(course, *looks[0], fresh=True)


def later(course: Course) -> Iterator[Diagnosis]:
    """The first thing that went wrong on the way."""
    for epoch, seen in course.looks():
        if epoch == course.epochs[0]:
            continue
        found = list(_of_a_look(course, epoch, seen, fresh=False))
        if found:
            yield from found
            return


def _initial_loss(course: Course) -> Iterator[Diagnosis]:
    """Freely initialised weights guess; inputs that are not scaled make a network sure of its guesses."""
    chance, start = course.whole.chance, course.whole.start
    if not course.watched or chance is None or start is None or not course.first:
        return
    if start > max(_FAR * chance, chance + _FAR_AT_LEAST):
        yield Diagnosis(
            "initial-loss",
            course.epochs[0],
            f"the loss of the first step is {said(start)}, where guessing among {round(math.exp(chance))} classes "
            f"costs {said(chance)}",
            "Scale the inputs to 0..1 or to mean 0 and standard deviation 1 (values of 0..255 do this); if they are, "
            "begin with smaller weights in the last layer",
        )


def _of_a_look(course: Course, epoch: int, seen: Mapping[str, Any], *, fresh: bool) -> Iterator[Diagnosis]:
    # Batch normalisation that has seen no batch passes everything on as it is, which tells nothing of training.
    if not (fresh and seen.get("normalised")):
        yield from _exploding(course, epoch, seen)
    if course.whole.level is not None and course.whole.level < _STRUGGLING:
        return
    dead = list(_dead(epoch, seen))
    # With batch normalisation a look sees the network on moving averages, on which the gradient is not what trains it.
    faded = [] if seen.get("normalised") else list(_vanishing(epoch, seen))
    # A gradient that is exactly 0 does not fade: something is dead above it.
    yield from dead if dead and (fresh or not faded) else faded


def _parts(seen: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """The gradient of each layer as a part of its weights; None where it is no number."""
    found = []
    for layer in seen.get("layers", ()):
        gradient, weights = finite(layer["gradient"]), finite(layer["weights"])
        bad = gradient is None or weights is None
        found.append((layer["name"], None if bad else gradient / weights if weights else 0.0))  # type: ignore[operator]
    return found


def _vanishing(epoch: int, seen: Mapping[str, Any]) -> Iterator[Diagnosis]:
    parts = [(name, part) for name, part in _parts(seen) if part is not None]
    if len(parts) < _FEWEST_LAYERS:
        return
    name, highest = max(parts, key=lambda pair: pair[1])
    early = parts[: max(1, len(parts) // 3)]
    low = max(part for _, part in early)
    if 0 < low < _FADED * highest:
        yield Diagnosis(
            "vanishing-gradients",
            epoch,
            f"the gradient fades on its way back to the input: it is {said(highest)} of the weights in {name}, but "
            f"{said(low)} at most in the first {len(early)} layers ({early[0][0]} to {early[-1][0]}), "
            f"{said(highest / low)} times less",
            _DEEP,
        )


def _exploding(course: Course, epoch: int, seen: Mapping[str, Any]) -> Iterator[Diagnosis]:
    parts = _parts(seen)
    infinite = [name for name, part in parts if part is None]
    advice = (
        "Clip the gradients (optimizer: {name: adam, clipnorm: 1.0}), use He initialisation or batch normalisation, "
        "scale the inputs, lower the rate"
    )
    if infinite:
        where = f"{infinite[0]} and {len(infinite) - 1} more layers" if len(infinite) > 1 else infinite[0]
        yield Diagnosis("exploding-gradients", epoch, f"the gradient in {where} is no finite number", advice)
        return
    if not parts:
        return
    name, highest = max(parts, key=lambda pair: pair[1] or 0.0)
    unit = course.whole.chance or finite(seen.get("loss")) or 1.0
    if (highest or 0.0) > _EXPLODED * max(abs(unit), 1e-6):
        evidence = f"the gradient in {name} is {said(highest or 0.0)} times as large as its weights"
        yield Diagnosis("exploding-gradients", epoch, evidence, advice)


def _dead(epoch: int, seen: Mapping[str, Any]) -> Iterator[Diagnosis]:
    examples = int(seen.get("examples", 0))
    shares = {name: share for name, share in seen.get("dead", {}).items() if share is not None and share >= _DEAD}
    if not shares or (examples < _FEWEST_EXAMPLES and max(shares.values()) < 1):
        return
    worst = max(shares, key=lambda name: shares[name])  # the first of equals, which is nearest to the input
    others = f", and as good as dead are {len(shares) - 1} more layers" if len(shares) > 1 else ""
    amount = "all units" if shares[worst] == 1 else f"{shares[worst]:.0%} of the units"
    yield Diagnosis(
        "dead-units",
        epoch,
        f"{amount} of {worst} give 0 for each of {examples} examples, so that no gradient passes them{others}",
        "Lower the rate, use He initialisation and biases of 0, scale the inputs, or use leaky_relu, elu or gelu in "
        "place of relu",
    )
