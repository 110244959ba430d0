"""A content painted in the style of others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lensmith import check
from lensmith.stylize.course import Course, Kept, Moment
from lensmith.stylize.masks import Elsewhere, Mask
from lensmith.stylize.optimizers import Ended
from lensmith.stylize.settings import Settings
from lensmith.stylize.task import checked_task

if TYPE_CHECKING:
    from lensmith.stylize.network import Network


@dataclass(frozen=True, slots=True)
class Painting:
    """What painting came to.

    Args:
        image: uint8 ``(h, w, 3)``: the picture, colours and mask applied.
        first_loss: of the picture that was begun with, at its level.
        last_loss: of the result, before colours and mask are applied.
        losses: of the first picture and after each step; a larger level begins with that of the enlarged picture.
        steps: that were made, before a resume too.
        seconds: from the call to the result.
        steps_per_second: of the steps of this call at the last size, without set-up and without what was told and
            written meanwhile; 0 where none was made.
        replaced: layers that were asked for with those that stood in.
        ended: ``done``; ``stopped`` on request; ``not finite``, where the loss became no number and smaller steps did
            not help; ``nothing to gain``, where L-BFGS found no better picture near.
        halved: how often the loss was no number.
    """

    image: np.ndarray
    first_loss: float
    last_loss: float
    losses: tuple[float, ...]
    steps: int
    seconds: float
    steps_per_second: float
    replaced: tuple[tuple[str, str], ...]
    ended: Ended
    halved: int


def paint(
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    network: Network,
    settings: Settings | None = None,
    *,
    blend: Sequence[float] = (),
    mask: Mask | None = None,
    elsewhere: Elsewhere = "white",
    regions: Sequence[Mask] = (),
    start: np.ndarray | None = None,
    state: Path | None = None,
    resume: bool = False,
    save_every: int | None = None,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[Moment], None] | None = None,
) -> Painting:
    """Paint an image in the style of others by Gatys' method, with a network's feature maps.

    Images are uint8 ``(h, w)`` or ``(h, w, 1 | 3 | 4)``, or float32 ``(h, w, 3)`` 0..1, of any size. They are resized:
    the longer side of each becomes that of the level.

    Args:
        content: what is to be seen.
        styles: how it is painted, one or more.
        network: whose taps are the features.
        settings: layers, weights, sizes and steps.
        blend: a weight for each style; equal where none is given.
        mask: float32 ``(h, w)`` 0..1 of the content's size, as :func:`lensmith.stylize.masks.read` gives it: the
            styles are inside.
        elsewhere: what is outside of the mask.
        regions: a mask for each style, likewise: it is painted there only.
        start: an image to begin with in place of what the settings say.
        state: the file in which an unfinished painting is kept; it is taken away when the painting is done.
        resume: whether to go on with it. On the same machine that ends with the same bits as never having stopped.
        save_every: steps after which the state is written; every half minute where none is given.
        stop: asked after each step whether to end; the state is then written.
        progress: told after each step.

    Raises:
        SettingError: numbers of styles, weights and regions do not fit together, there is nothing to resume, or what
            was begun was begun with other settings; the number of steps may be another.
        DataError: an image or a mask is wrong.
        LensmithError: the loss of the first picture is no number.

    References:
        Gatys, Ecker & Bethge 2016, "Image style transfer using convolutional neural networks"; Gatys, Ecker, Bethge,
        Hertzmann & Shechtman 2017, "Controlling perceptual factors in neural style transfer", for regions and sizes.
    """
    began = time.perf_counter()
    task = checked_task(content, styles, network, settings or Settings(), blend, mask, elsewhere, regions, start)
    kept = None if state is None else Kept(state, task.facts(), save_every)
    if resume and kept is None:
        raise check.SettingError(check.sentence("resume", "the file of an unfinished painting", "none"))
    course = Course(task, kept, stop, progress)
    outcome = course.run(kept.read(task) if resume and kept is not None else None)
    image = task.finished(outcome.pixels)
    if kept is not None:
        course.close(outcome)
    return Painting(
        image,
        course.losses[0],
        course.losses[-1],
        tuple(course.losses),
        course.steps,
        time.perf_counter() - began,
        course.speed,
        tuple(network.replaced),
        outcome.ended,
        outcome.point.halved,
    )
