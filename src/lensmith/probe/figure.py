"""What looking inside a model gives: arrays, the numbers worth saying, and one picture of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lensmith import check


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
