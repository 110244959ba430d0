"""The form of file names, with named places: ``{label}_{patient}_{row}``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lensmith import check


@dataclass(frozen=True, slots=True)
class Pattern:
    """A form of file names, without the suffix, with named places: ``{label}_{patient}_{row}``.

    A place holds at least one character. Where a name can be split in several ways, the places in front take the
    most: ``golden_retriever_12`` is ``{label}_{number}`` with the label ``golden_retriever``.

    Raises:
        SettingError: a bracket is not closed, a place has no plain name or stands twice, or two stand side by side.

    Example:
        >>> Pattern("{label}_{patient}_{row}").match("benign_P12_3")
        {'label': 'benign', 'patient': 'P12', 'row': '3'}
    """

    text: str

    def __post_init__(self) -> None:
        literals, places = self._pieces()
        plain = all(place.isidentifier() for place in places) and not set("{}") & set("".join(literals))
        if not places or not plain or len(set(places)) < len(places) or not all(literals[1:-1]):
            expected = "different names in brackets with something between them, such as {label}_{number}"
            raise check.SettingError(check.sentence("pattern", expected, repr(self.text)))

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(self._pieces()[1])

    def match(self, stem: str) -> dict[str, str] | None:
        """What each place holds in a file name without its suffix; None where the name has another form."""
        literals, places = self._pieces()
        start, end = len(literals[0]), len(stem) - len(literals[-1])
        if end <= start or not stem.startswith(literals[0]) or not stem.endswith(literals[-1]):
            return None
        found = {}
        # From the right, each literal as far right as can be: linear, where a regular expression may not be.
        for literal, place in zip(literals[-2:0:-1], places[:0:-1], strict=True):
            at = stem.rfind(literal, start + 1, end - 1)
            if at < 0:
                return None
            found[place], end = stem[at + len(literal) : end], at
        found[places[0]] = stem[start:end]
        return {place: found[place] for place in places}

    def _pieces(self) -> tuple[list[str], list[str]]:
        pieces = re.split(r"\{([^{}]*)\}", self.text)
        return pieces[::2], pieces[1::2]
