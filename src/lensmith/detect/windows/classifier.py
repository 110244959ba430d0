"""A small network for what a window shows: a digit, or the background."""

from __future__ import annotations

from lensmith.compose.blocks import Conv
from lensmith.compose.parts import Group, Groups
from lensmith.compose.recipe import Recipe
from lensmith.compose.tasks import Classify


def digit_classifier(classes: int = 11, *, side: int = 28, hidden: int = 64) -> Recipe:
    """Two convolutions with pools and two dense layers, nothing padded: it has an exact convolutional form.

    Args:
        classes: ten digits and the background, as ``data.bundled("digit-windows")`` has them.
        side: of the window, in pixels; at least 10.
        hidden: width of the first dense layer, which most of the work of the convolutional form is in.

    Example:
        >>> digit_classifier().count()[0]
        56779
    """
    valid = Conv(padding="valid")
    learner = Groups(*(Group(valid, filters=filters, pool=2) for filters in (16, 32)))
    return Recipe((side, side, 1), None, learner, {"label": Classify(classes, pool="flatten", hidden=(hidden,))})
