"""Train, validation and test by the many names that folders and files give them."""

from __future__ import annotations

import re
from collections.abc import Sequence

PART_OF = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def part_of(name: str) -> str | None:
    """The part that a folder of this name holds: ``train2017`` holds ``train``; most names hold none."""
    return PART_OF.get(name.lower().rstrip("0123456789").rstrip("_- "))


def part_on(way: Sequence[str]) -> str | None:
    """The part that the folders on a way name; of several the innermost.

    Example:
        >>> part_on(("images", "val2017")), part_on(("training", "images")), part_on(("images",))
        ('validation', 'train', None)
    """
    return next((part for name in reversed(way) if (part := part_of(name))), None)


def part_in(name: str) -> str | None:
    """The part that a file's name speaks of, if it speaks of one: ``instances_val2017`` of ``validation``."""
    found = {PART_OF[word] for word in re.split(r"[^a-z]+", name.lower()) if word in PART_OF}
    return found.pop() if len(found) == 1 else None
