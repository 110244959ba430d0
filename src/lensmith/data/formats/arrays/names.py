"""What an array in a file is for, by its name: ``x_train``, ``y_breed``, ``class_names``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lensmith.data.formats.parts import PART_OF

TASK = "label"
_INPUTS = ("x", "data", "features", "image", "images", "img", "imgs", "inputs", "pixels")
_TARGETS = ("y", "label", "labels", "target", "targets")
_GROUPS = ("group", "groups")

Role = Literal["input", "target", "names", "groups"]


@dataclass(frozen=True, slots=True)
class Key:
    """What an array is for.

    Args:
        role: images or rows, targets, class names, groups.
        task: of targets and names; None for names of whatever task there is.
        part: train, validation or test, where the name says so.
    """

    role: Role
    task: str | None = None
    part: str | None = None


def parse(name: str) -> Key | None:
    """What an array is for by its name; None where the name says nothing.

    Example:
        >>> parse("x_train")
        Key(role='input', task=None, part='train')
        >>> parse("y_breed_val")
        Key(role='target', task='breed', part='validation')
        >>> parse("conv1.weight") is None
        True
    """
    words, part = name.split("_"), None
    for place in (0, -1):
        if part is None and len(words) > 1 and words[place].lower() in PART_OF:
            part = PART_OF[words.pop(place).lower()]
    lower = [word.lower() for word in words]
    if len(words) == 1 and lower[0] in _INPUTS:
        return Key("input", None, part)
    if len(words) == 1 and lower[0] in _GROUPS:
        return Key("groups", None, part)
    if lower == ["classes"] or "names" in (lower[0], lower[-1]):
        return _names(words, part)
    if lower[0] in _TARGETS:
        return Key("target", "_".join(words[1:]) or TASK, part)
    if lower[-1] in _TARGETS:
        return Key("target", "_".join(words[:-1]), part)
    return None


def _names(words: list[str], part: str | None) -> Key | None:
    at = 0 if words[0].lower() in ("names", "classes") else -1
    rest = [*words[1:]] if at == 0 else words[:-1]
    if rest and rest[0].lower() in ("feature", "column", *_INPUTS):
        return None
    general = len(rest) == 1 and rest[0].lower() in ("class", *_TARGETS) and at == -1
    return Key("names", None if general or not rest else "_".join(rest), part)
