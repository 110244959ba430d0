"""What a file of the zoo says of its family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lensmith.compose.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Family:
    """Networks of one design.

    Args:
        name: of the family, such as ``ResNet``.
        origin: where the design comes from: authors, year, title.
        convention: how its parameters are counted, where papers and code differ.
        recipes: the variants by name: lower case with hyphens.
    """

    name: str
    origin: str
    convention: str
    recipes: Mapping[str, Recipe] = field(hash=False)
