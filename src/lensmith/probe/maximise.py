"""Activation maximisation: the image that a unit answers to most, painted by climbing its derivative by the pixels.

References:
    Erhan et al. 2009, Visualizing Higher-Layer Features of a Deep Network, Section 3.1.
    Olah et al. 2017, Feature Visualization: moving the image about, and keeping it smooth.
    Kingma and Ba 2015, Adam, Algorithm 1.
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
from lensmith.probe import targets
from lensmith.probe.examples import check_unit
from lensmith.probe.subject import Subject
from lensmith.probe.walking import as_pixels

Tensor = Any
Size = tuple[int, int]
Progress = Callable[[int, int], object]  # steps done, and steps in all
Measured = Callable[[Tensor], Tensor]  # what enters the model, to the numbers to climb: (images,)

_GRAY, _NOISE = 127.5, 8.0  # of the start: its mean and deviation in gray levels
_STARTS = 5  # noise of twice the deviation each time, where the unit does not answer to what it was given
_MOVING = 16  # the image is moved by this part of its smaller side at most
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of Adam


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
    _, shape = _image(subject.preprocessing, size)
    name = tapping.layer_of(subject.model, layer)
    model = tapping.tapped(subject.model, [name], size=size)
    numbers = [check_unit(name, unit, model.output[name].shape) for unit in units]
    chosen = np.eye(model.output[name].shape[-1], dtype="float32")[numbers]

    def measured(x: Tensor) -> Tensor:
        values = targets.by_unit(derivative.call(model, x)[name])
        return keras.ops.sum(values * keras.ops.convert_to_tensor(chosen), axis=-1)

    climbed = _climbed(
        derivative.differentiated(_function(measured, subject.preprocessing), model),
        (len(units), *shape),
        _Ascent(steps, rate, variation, jitter, seed),
        progress,
    )
    return tuple(Maximised(name, unit, "", *one) for unit, one in zip(numbers, climbed, strict=True))


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
    _, shape = _image(subject.preprocessing, size)
    of = targets.chosen(targets.head_of(subject, head), wanted)
    model = targets.raw(subject, of.head)
    last = str(graph.giver(model.outputs[0], graph.calls(model)).layer.name)
    model = model if size is None else tapping.tapped(model, [last], size=size)
    key = of.head if size is None else last

    def measured(x: Tensor) -> Tensor:
        return targets.score(derivative.call(model, x)[key], of)

    run = derivative.differentiated(_function(measured, subject.preprocessing), model)
    [one] = _climbed(run, (1, *shape), _Ascent(steps, rate, variation, jitter, seed), progress)
    return Maximised(of.head, of.index, of.name, *one)


@dataclass(frozen=True, slots=True)
class _Ascent:
    """The settings of :func:`maximise`, checked."""

    steps: int
    rate: float
    variation: float
    jitter: int | None
    seed: int

    def __post_init__(self) -> None:
        check.positive("steps", self.steps)
        if check.between("rate", self.rate, 0, 255) == 0:
            raise check.SettingError(check.sentence("rate", "a number above 0", repr(self.rate)))
        check.between("variation", self.variation, 0, 1)
        if self.jitter is not None and self.jitter != 0:
            check.positive("jitter", self.jitter)

    def moves(self, shape: Sequence[int]) -> np.ndarray:
        """By how much the image is moved in each step: ``(steps, 2)``."""
        most = min(shape[1:3]) // _MOVING if self.jitter is None else self.jitter
        return np.random.default_rng([self.seed, 1]).integers(-most, most + 1, (self.steps, 2))

    def noise(self, shape: Sequence[int], attempt: int) -> np.ndarray:
        """Where to start: one image for all units, so that each comes out as if it were alone."""
        drawn = np.random.default_rng([self.seed, 2, attempt]).standard_normal(shape[1:])
        start = (_GRAY + _NOISE * 2**attempt * drawn).clip(0, 255).astype(np.float32)
        return np.repeat(start[None], shape[0], axis=0)


def adam(
    gradient: Tensor, first: Tensor, second: Tensor, step: int, betas: tuple[float, float] = _BETAS
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of Adam as a pure function, for a rate of 1.

    Args:
        gradient: a tensor.
        first: the running mean of the gradients, of the same shape; 0 at first.
        second: the running mean of their squares; 0 at first.
        step: from 1.
        betas: how much of the two means is kept.

    Returns:
        The change, and the two running means.

    References:
        Kingma and Ba 2015, Algorithm 1.
    """
    first = betas[0] * first + (1 - betas[0]) * gradient
    second = betas[1] * second + (1 - betas[1]) * gradient * gradient
    root = keras.ops.sqrt(second / (1 - betas[1] ** step))
    return first / (1 - betas[0] ** step) / (root + _EPSILON), first, second


def smoothed(pixels: Tensor, share: float) -> Tensor:
    """Each pixel of ``(n, h, w, channels)`` moved by this share towards the mean of its four neighbours.

    That is a step down the sum of the squared differences between neighbours; the border is repeated outside.
    """
    around = keras.ops.zeros_like(pixels)
    for axis in (1, 2):
        low = [slice(None)] * axis
        before = [pixels[(*low, slice(0, 1))], pixels[(*low, slice(0, -1))]]
        after = [pixels[(*low, slice(1, None))], pixels[(*low, slice(-1, None))]]
        around = around + keras.ops.concatenate(before, axis) + keras.ops.concatenate(after, axis)
    return pixels + share * (around / 4 - pixels)


def _image(preprocessing: Preprocessing, size: Size | None) -> tuple[Preprocessing, tuple[int, int, int]]:
    if preprocessing.image is None:
        raise check.SettingError(check.sentence("maximise", "a model that takes images", "one that takes rows"))
    height, width = preprocessing.image[:2] if size is None else size
    shape = check.positive("size: height", height), check.positive("size: width", width), preprocessing.image[2]
    return preprocessing, shape


def _function(measured: Measured, preprocessing: Preprocessing) -> derivative.Function:
    """Of pixels 0..255, through what is done to an example before it enters the model."""
    multiplier, offset = preprocessing.affine()

    def function(pixels: Tensor) -> tuple[Tensor, Tensor]:
        ordered = keras.ops.flip(pixels, axis=-1) if preprocessing.turned else pixels
        scale, move = keras.ops.convert_to_tensor(multiplier), keras.ops.convert_to_tensor(offset)
        values = keras.ops.cast(measured(ordered * scale + move), "float32")
        return keras.ops.sum(values), values

    return function


def _climbed(
    run: derivative.Differentiated, shape: Sequence[int], ascent: _Ascent, progress: Progress | None
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Image, values and why it stopped, for each unit; the derivative of the sum holds each image's own."""
    start, stopped = _start(run, shape, ascent)
    pixels = good = keras.ops.convert_to_tensor(start)
    first = second = keras.ops.zeros_like(pixels)
    values: list[list[float]] = [[] for _ in stopped]
    for step, (down, across) in enumerate(ascent.moves(shape).tolist(), 1):
        _, each, gradient = run(keras.ops.roll(pixels, (down, across), axis=(1, 2)))
        gradient, rms = _scaled(keras.ops.roll(gradient, (-down, -across), axis=(1, 2)))
        found = keras.ops.convert_to_numpy(each)
        good = keras.ops.where(_images(np.isfinite(found)), pixels, good)
        for i, value in enumerate(found):
            if not stopped[i] and np.isfinite(value):
                values[i].append(float(value))
            if not stopped[i] and not (np.isfinite(value) and np.isfinite(rms[i])):
                stopped[i] = f"no number any more at step {step}"
        if all(stopped):
            break
        change, first, second = adam(gradient, first, second, step)
        share = 1 - (step - 1) / ascent.steps
        moved = keras.ops.clip(pixels + ascent.rate * share * change, 0, 255)
        moved = smoothed(moved, ascent.variation * share)  # of the same share, or the last steps would but blur
        pixels = keras.ops.where(_images(np.array([not reason for reason in stopped])), moved, good)
        if progress is not None:
            progress(step, ascent.steps)
    return _finished(run, pixels, good, values, stopped)


def _finished(
    run: derivative.Differentiated, pixels: Tensor, good: Tensor, values: list[list[float]], stopped: list[str]
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """The images as whole numbers, and the unit for each as it is given back."""
    images = as_pixels(keras.ops.convert_to_numpy(pixels))
    last = keras.ops.convert_to_numpy(run(images.astype(np.float32))[1])
    kept = as_pixels(keras.ops.convert_to_numpy(good))
    results = []
    for i, reason in enumerate(stopped):
        lost = not np.isfinite(last[i])
        ends = [] if lost else [float(last[i])]
        listed = np.array(values[i] + ends or [np.nan], np.float32)
        results.append((kept[i] if lost else images[i], listed, reason or "no number any more at the end" * lost))
    return results


def _start(run: derivative.Differentiated, shape: Sequence[int], ascent: _Ascent) -> tuple[np.ndarray, list[str]]:
    """Noise that each unit answers to, stronger where it must be; and what to say of units that answer to none."""
    start, stuck = ascent.noise(shape, 0), np.ones(shape[0], bool)
    for attempt in range(_STARTS):
        start[stuck] = ascent.noise(shape, attempt)[stuck]
        _, each, gradient = run(start)
        stuck = (_scaled(gradient)[1] == 0) & np.isfinite(keras.ops.convert_to_numpy(each))
        if not stuck.any():
            break
    start[stuck] = ascent.noise(shape, 0)[stuck]
    return start, [f"its derivative is 0 for {_STARTS} starts: it never fires" * bool(one) for one in stuck]


def _scaled(gradient: Tensor) -> tuple[Tensor, np.ndarray]:
    """Each image's derivative divided by its root mean square, which may be far below Adam's epsilon; and these."""
    # In two steps, for the squares of small numbers are 0.
    largest = keras.ops.max(keras.ops.abs(gradient), axis=(1, 2, 3), keepdims=True)
    divided = gradient / keras.ops.where(largest > 0, largest, keras.ops.ones_like(largest))
    rms = keras.ops.sqrt(keras.ops.mean(divided * divided, axis=(1, 2, 3), keepdims=True))
    scaled = divided / keras.ops.where(rms > 0, rms, keras.ops.ones_like(rms))
    return scaled, keras.ops.convert_to_numpy(largest * rms).reshape(-1)


def _images(chosen: np.ndarray) -> Tensor:
    return keras.ops.convert_to_tensor(chosen.reshape(-1, 1, 1, 1))
