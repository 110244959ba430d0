"""What looking inside a model gives: arrays, the numbers worth saying, and one picture of both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lensmith import check

_LONGEST = 120  # letters of a name, so that files of it can be written everywhere


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """One thing that was looked at.

    Args:
        name: of letters, digits and ``-``, such as ``grad-cam-label-cat``: what its files are called.
        title: a line above the picture, as a person says it.
        picture: uint8 RGB ``(height, width, 3)``.
        arrays: what the picture was drawn from, by name; kept beside it as ``.npy``.
        facts: the numbers worth saying, as JSON holds them: text, numbers, lists, mappings.
        note: how to read it, in one or two sentences; may be empty.

    Raises:
        SettingError: the name has other characters.
        DataError: the picture has another type or shape.
    """

    name: str
    title: str
    picture: np.ndarray
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def __post_init__(self) -> None:
        if not self.name or not self.name.replace("-", "").isalnum() or not self.name.isascii():
            raise check.SettingError(check.sentence("figure", "a name of letters, digits and '-'", repr(self.name)))
        if self.picture.dtype != np.uint8 or self.picture.ndim != 3 or self.picture.shape[2] != 3:
            got = f"{self.picture.dtype} {self.picture.shape}"
            raise check.DataError(check.sentence(self.name, "a uint8 picture (height, width, 3)", got))


def file_name(*words: str, otherwise: str = "figure") -> str:
    """Words as the name of a figure: letters, digits and ``-``, at most 120.

    Args:
        words: such as the look and the layer.
        otherwise: the name where they hold no letter and no digit.

    Example:
        >>> file_name("maps", "inner/conv_1"), file_name("größe"), file_name("!", otherwise="3")
        ('maps-inner-conv-1', 'gr-e', '3')
    """
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(words))[:_LONGEST].strip("-") or otherwise


def told_apart(figures: Iterable[Figure]) -> list[Figure]:
    """Figures of which no two have one name, capitals or not: the later ones of those that had get a number.

    Example:
        >>> blank = np.zeros((1, 1, 3), "uint8")
        >>> [figure.name for figure in told_apart(Figure(name, "", blank) for name in ("conv-1", "Conv-1", "pool"))]
        ['conv-1', 'Conv-1-2', 'pool']
    """
    found: dict[str, Figure] = {}
    for figure in figures:
        name, number = figure.name, 1
        while name.casefold() in found:
            number += 1
            name = f"{figure.name}-{number}"
        found[name.casefold()] = replace(figure, name=name)
    return list(found.values())
