"""Activation maximisation: the image that a unit answers to most, painted by climbing its derivative by the pixels.

References:
    Erhan et al. 2009, Visualizing Higher-Layer Features of a Deep Network, Section 3.1.
    Olah et al. 2017, Feature Visualization: moving the image about, and keeping it smooth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import derivative, keras
from lensmith.compose import graph, tapping
from lensmith.data import Preprocessing
from lensmith.probe import heads, targets
from lensmith.probe.ascent import Ascent, climbed
from lensmith.probe.examples import check_unit
from lensmith.probe.subject import Subject
from lensmith.probe.walking import Progress

Tensor = Any
Size = tuple[int, int]
Measured = Callable[[Tensor], Tensor]  # what enters the model, to the numbers to climb: (images,)


@dataclass(frozen=True, slots=True, eq=False)
class Maximised:
    """An image that a unit answers to strongly.

    Args:
        layer: the name of the layer, or of the head.
        unit: its number, from 0.
        name: of the class, where the unit is one; else empty.
        image: uint8 ``(height, width, channels)``, as an example that the model could be given.
        values: float32 ``(steps + 1,)``: the unit before each step, for the image as it was moved then, and at the
            end, for this very image; shorter where it stopped. Of feature maps, the mean of the channel.
        stopped: why it stopped early, in words; empty where it did not.
    """

    layer: str
    unit: int
    name: str
    image: np.ndarray
    values: np.ndarray
    stopped: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A form that JSON holds, without the image; a value that is no number is None."""
        first, last = (float(value) if np.isfinite(value) else None for value in (self.values[0], self.values[-1]))
        named = {"layer": self.layer, "unit": self.unit, "name": self.name, "steps": len(self.values) - 1}
        return named | {"first": first, "last": last, "stopped": self.stopped}


def maximise(
    subject: Subject,
    layer: str,
    unit: int,
    *,
    steps: int = 200,
    rate: float = 4.0,
    variation: float = 0.05,
    jitter: int | None = None,
    size: Size | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Maximised:
    """Paint the image that a unit answers to most.

    Args:
        subject: the model and what it takes.
        layer: its name, or a tap.
        unit: the channel of feature maps, whose mean is climbed, or the place in a vector; from 0.
        steps: of the ascent.
        rate: gray levels that a pixel moves by in the first step, about; falls evenly to 0.
        variation: how far each pixel goes towards the mean of its four neighbours after a step, 0..1: a step down the
            squared variation, whose weight so does not depend on how large the unit's numbers are. It falls with the
            rate.
        jitter: pixels by which the image is moved at most, in each step anew, its border joined to the other side;
            left out, a sixteenth of the smaller side.
        size: height and width of the image; left out, what the model takes.
        seed: of the noise it starts from and of the moves: the same gives the same image.
        progress: told after each step.

    Returns:
        The image. Where the unit is no number, or its derivative is 0 for every start (a unit that never fires), it
        stops with the last good image and says so.

    Raises:
        SettingError: there is no such layer or unit, a setting is wrong, or the model takes no images (of this size).

    Example:
        >>> from dataclasses import replace
        >>> from lensmith.compose import zoo
        >>> model = replace(zoo.get("compact"), input=(8, 8, 1)).build(seed=0)
        >>> found = maximise(Subject(model, Preprocessing(image=(8, 8, 1))), "P1", 3, steps=8)
        >>> found.image.shape, len(found.values), bool(found.values[-1] > found.values[0])
        ((8, 8, 1), 9, True)
    """
    return maximise_several(
        subject,
        layer,
        [unit],
        steps=steps,
        rate=rate,
        variation=variation,
        jitter=jitter,
        size=size,
        seed=seed,
        progress=progress,
    )[0]


def maximise_several(
    subject: Subject,
    layer: str,
    units: Sequence[int],
    *,
    steps: int = 200,
    rate: float = 4.0,
    variation: float = 0.05,
    jitter: int | None = None,
    size: Size | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Maximised, ...]:
    """An image for each of several units of a layer, painted together as one batch. Arguments as of :func:`maximise`.

    Raises:
        SettingError: as :func:`maximise`, or no unit is named.
    """
    if not units:
        raise check.SettingError(check.sentence("units", "at least one", "none"))
    shape = _image(subject.preprocessing, size)
    name = tapping.layer_of(subject.model, layer)
    model = tapping.tapped(subject.model, [name], size=size)
    numbers = [check_unit(name, unit, model.output[name].shape) for unit in units]
    chosen = np.eye(model.output[name].shape[-1], dtype="float32")[numbers]

    def measured(x: Tensor) -> Tensor:
        values = targets.by_unit(derivative.call(model, x)[name])
        return keras.ops.sum(values * keras.ops.convert_to_tensor(chosen), axis=-1)

    found = climbed(
        derivative.differentiated(_function(measured, subject.preprocessing), model),
        (len(units), *shape),
        Ascent(steps, rate, variation, jitter, seed),
        progress,
    )
    return tuple(Maximised(name, unit, "", *one) for unit, one in zip(numbers, found, strict=True))


def maximise_class(
    subject: Subject,
    wanted: str | int,
    *,
    head: str | int | None = None,
    steps: int = 200,
    rate: float = 4.0,
    variation: float = 0.05,
    jitter: int | None = None,
    size: Size | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Maximised:
    """Paint the image that speaks most for a class: its logit is climbed, before the softmax or sigmoid.

    A probability would be climbed by pushing the other classes down (Simonyan et al. 2014, Section 2).

    Args:
        subject: the model, what it takes, and what its outputs mean.
        wanted: the class, or number, by its name or index.
        head: by name or number; left out, the first.
        steps, rate, variation, jitter, size, seed, progress: as of :func:`maximise`.

    Raises:
        SettingError: as :func:`maximise`, or there is no such head or class.
    """
    shape = _image(subject.preprocessing, size)
    of = targets.chosen(heads.head_of(subject, head), wanted)
    model = heads.raw(subject, of.head)
    last = str(graph.giver(model.outputs[0], graph.calls(model)).layer.name)
    model = model if size is None else tapping.tapped(model, [last], size=size)
    key = of.head if size is None else last

    def measured(x: Tensor) -> Tensor:
        return targets.score(derivative.call(model, x)[key], of)

    run = derivative.differentiated(_function(measured, subject.preprocessing), model)
    [one] = climbed(run, (1, *shape), Ascent(steps, rate, variation, jitter, seed), progress)
    return Maximised(of.head, of.index, of.name, *one)


def _image(preprocessing: Preprocessing, size: Size | None) -> tuple[int, int, int]:
    if preprocessing.image is None:
        raise check.SettingError(check.sentence("maximise", "a model that takes images", "one that takes rows"))
    height, width = preprocessing.image[:2] if size is None else size
    return check.positive("size: height", height), check.positive("size: width", width), preprocessing.image[2]


def _function(measured: Measured, preprocessing: Preprocessing) -> derivative.Function:
    """Of pixels 0..255, through what is done to an example before it enters the model."""
    multiplier, offset = preprocessing.affine()

    def function(pixels: Tensor) -> tuple[Tensor, Tensor]:
        ordered = keras.ops.flip(pixels, axis=-1) if preprocessing.turned else pixels
        scale, move = keras.ops.convert_to_tensor(multiplier), keras.ops.convert_to_tensor(offset)
        values = keras.ops.cast(measured(ordered * scale + move), "float32")
        return keras.ops.sum(values), values

    return function
