"""Which value decides, which way is better, and for how long there was no improvement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from lensmith import check
from lensmith.train.schedules import Mode, Plateau
from lensmith.train.stages import Fit, Patience

Direction = Literal["min", "max"]
NOTHING: Mapping[str, Direction] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Monitor:
    """A value of the history and which way is better.

    >>> Monitor("val_accuracy", "max").improves(0.9, on=0.89, by=0.02)
    False
    """

    name: str
    direction: Direction

    def improves(self, value: float | None, *, on: float | None, by: float = 0.0) -> bool:
        """Whether ``value`` is better than ``on`` by more than ``by``; anything is better than None."""
        if value is None:
            return False
        if on is None:
            return True
        return value < on - by if self.direction == "min" else value > on + by


def monitors(
    stage: Fit,
    directions: Mapping[str, Direction | None],
    *,
    validated: bool,
    measured: Mapping[str, Direction] = NOTHING,
) -> tuple[Monitor, Monitor]:
    """The value that decides on the best epoch, and the one that decides when to stop.

    Args:
        stage: names them.
        directions: the names of the training values, and which way is better as far as known.
        validated: whether there is validation, and with it the same names with ``val_`` in front.
        measured: names of values that there are of the validation alone, without ``val_``.

    Raises:
        SettingError: there will be no such value, or nobody knows which way it is better. This is looked up for a
            plateau's monitor too.

    Example:
        >>> best, stop = monitors(Fit(), {"loss": "min"}, validated=False)
        >>> best.name, stop.name
        ('loss', 'loss')
    """
    known = _values(directions, measured, validated=validated)
    best = _monitor("monitor", stage.monitor, stage.mode, known)
    plateau_monitor(stage, directions, validated=validated, measured=measured)
    stop = stage.stop or Patience()
    if stop.monitor is None:
        return best, best
    return best, _monitor("stop.monitor", stop.monitor, stop.mode, known)


def plateau_monitor(
    stage: Fit,
    directions: Mapping[str, Direction | None],
    *,
    validated: bool,
    measured: Mapping[str, Direction] = NOTHING,
) -> Monitor | None:
    """The value by which a plateau cuts the rate; None where the stage's schedule is another. As :func:`monitors`.

    >>> plateau_monitor(Fit(schedule=Plateau(monitor="accuracy")), {"loss": "min", "accuracy": "max"}, validated=False)
    Monitor(name='accuracy', direction='max')
    """
    known, plateau = _values(directions, measured, validated=validated), stage.schedule
    if not isinstance(plateau, Plateau):
        return None
    if plateau.monitor is None:
        return _monitor("monitor", stage.monitor, stage.mode, known)
    return _monitor("schedule.monitor", plateau.monitor, plateau.mode, known)


def _values(
    directions: Mapping[str, Direction | None], measured: Mapping[str, Direction], *, validated: bool
) -> dict[str, Direction | None]:
    """The names of all values in a row of the history."""
    of_validation = {**directions, **measured} if validated else {}
    return {**directions, **{f"val_{name}": way for name, way in of_validation.items()}}


def _monitor(place: str, name: str, mode: Mode, known: Mapping[str, Direction | None]) -> Monitor:
    if name == "val_loss" and name not in known:
        name = "loss"
    check.one_of(place, name, known)
    way = known[name] if mode == "auto" else mode
    if way is None:
        expected = f"mode 'min' or 'max', as nothing says whether less or more of {name!r} is better"
        raise check.SettingError(check.sentence(place.replace("monitor", "mode"), expected, "'auto'"))
    return Monitor(name, way)
