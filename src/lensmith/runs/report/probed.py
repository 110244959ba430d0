"""What a look inside a model adds to a page: an image, what the model says of it, and the figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

from lensmith import check
from lensmith.runs.report import wording

if TYPE_CHECKING:  # probe may load Keras, which a report can be written without
    from lensmith.probe.figure import Figure

_KINDS = ("class", "classes", "number")
_MOST_ROWS = 16  # of a figure's facts that a small table lists
_LONGEST = 160  # letters of a fact that still stand in a table


@dataclass(frozen=True, slots=True)
class Said:
    """What one task of the model says of an image.

    Args:
        task: its name.
        kind: ``class``, ``classes`` (any number of labels) or ``number``.
        values: a name and its probability (0..1), or its number, the most probable first.
    """

    task: str
    kind: Literal["class", "classes", "number"]
    values: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        check.one_of(f"{self.task}: kind", self.kind, _KINDS)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What was looked at, with one image or without any.

    Args:
        image: its name; empty where the figures are about the model alone.
        figures: in the order to be shown; their titles, notes, pictures and facts are read.
        said: what the model says of the image, a task each.
    """

    image: str
    figures: tuple[Figure, ...] = ()
    said: tuple[Said, ...] = ()


def rows(facts: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The facts that a small table can list, each as a name and its words; long ones are left to the files.

    Example:
        >>> rows({"dead_units": 3, "share": {"relu1": 0.25}, "names": ["cat", "dog"], "all": list(range(999))})
        (('dead units', '3'), ('share relu1', '0.25'), ('names', 'cat, dog'))
    """
    found = []
    for name, value in facts.items():
        inner = value.items() if isinstance(value, Mapping) else (("", value),)
        for key, one in inner:
            words = _words(one)
            if words and len(words) <= _LONGEST:
                found.append((f"{wording.plain(str(name))} {key}".strip(), words))
    return tuple(found) if len(found) <= _MOST_ROWS else ()


def _words(value: Any) -> str:
    """A plain value, or a short list of plain ones, in words; nothing for all else."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral):
        return f"{int(value):,}" if abs(int(value)) < 10**18 else ""
    if isinstance(value, Real):
        return wording.number(float(value))
    if value is None:
        return wording.NOTHING
    if isinstance(value, list | tuple) and len(value) <= _MOST_ROWS:
        return ", ".join(_words(one) for one in value if not isinstance(one, list | tuple | Mapping))
    return value if isinstance(value, str) else ""
