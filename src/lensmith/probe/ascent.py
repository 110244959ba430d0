"""Climbing a number by its derivative by the pixels of images: noise to start from, Adam, and what keeps it smooth.

References:
    Kingma and Ba 2015, Adam, Algorithm 1.
    Olah et al. 2017, Feature Visualization: moving the image about, and keeping it smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lensmith import check
from lensmith.backend import derivative, keras
from lensmith.probe.walking import Progress, as_pixels

Tensor = Any

_GRAY, _NOISE = 127.5, 8.0  # of the start: its mean and deviation in gray levels
_STARTS = 5  # noise of twice the deviation each time, where the unit does not answer to what it was given
_MOVING = 16  # the image is moved by this part of its smaller side at most
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # of Adam


@dataclass(frozen=True, slots=True)
class Ascent:
    """The settings of :func:`lensmith.probe.maximise.maximise`, checked."""

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


def climbed(
    run: derivative.Differentiated, shape: Sequence[int], ascent: Ascent, progress: Progress | None
) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Climb from noise, each image for itself: the derivative of the sum of their numbers holds each image's own.

    Args:
        run: of pixels 0..255 ``(images, h, w, channels)``; gives the sum, the number of each image, and the derivative.
        shape: of the pixels.
        ascent: how.
        progress: told after each step.

    Returns:
        For each image: uint8 pixels, its number before each step and at the end, and why it stopped early, if so.
    """
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


def _start(run: derivative.Differentiated, shape: Sequence[int], ascent: Ascent) -> tuple[np.ndarray, list[str]]:
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
