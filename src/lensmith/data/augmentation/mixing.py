"""Images made of several: MixUp and CutMix of a batch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lensmith import check
from lensmith.data.augmentation.applying import chosen
from lensmith.data.augmentation.record import Augment
from lensmith.records import Labels

KINDS = ("class", "classes", "number")  # of the tasks that can be mixed
_REMEDY = "Leave the task out, or set mixup and cutmix to 0"


def mix(
    x: np.ndarray,
    y: Mapping[str, np.ndarray],
    augment: Augment,
    rng: np.random.Generator,
    *,
    changed: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Mix the images of a batch in pairs, and their targets in the same proportion.

    MixUp adds λ of an image and 1 − λ of its partner, with one λ from Beta(alpha, alpha) for the batch. CutMix puts
    a rectangle of the partner, of 1 − λ of the area, into the image; λ is then what of the image is left. The
    partners are a permutation of the batch. With both on, a batch gets one or the other, evenly.

    Args:
        x: float32 ``(n, h, w, channels)``; it is not changed.
        y: float32 ``(n, k)`` by task: classes as one-hot rows, or numbers.
        augment: its fields ``mixup``, ``cutmix`` and ``share``.
        rng: the only source of chance.
        changed: bool ``(n,)``: which images may be mixed; the others are left exactly as they are. Left out, that is
            drawn by ``share``.

    Returns:
        New arrays; with neither on, ``x`` itself.

    Raises:
        SettingError: a target cannot be mixed: boxes, points, masks, or class indices.

    Example:
        >>> x, y = np.zeros((2, 4, 4, 1), np.float32), {"label": np.eye(2, dtype=np.float32)}
        >>> _, mixed = mix(x, y, Augment(mixup=0.2), np.random.default_rng(0))
        >>> mixed["label"].sum(axis=1).tolist()
        [1.0, 1.0]

    References:
        H. Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, equation 1.
        S. Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", 2019, equations 1 and 2.
    """
    if not augment.mixup and not augment.cutmix:
        return x, dict(y)
    for task, values in y.items():
        if values.dtype != np.float32 or values.ndim != 2:
            expected = "a task of classes or numbers, as float32 (n, k)"
            got = f"{values.dtype} of shape {values.shape}"
            raise check.SettingError(check.sentence(f"augment: mixing {task!r}", expected, got, _REMEDY))
    both = bool(augment.mixup and augment.cutmix)
    cuts = rng.random() < 0.5 if both else bool(augment.cutmix)
    alpha = augment.cutmix if cuts else augment.mixup
    weight, partners = float(rng.beta(alpha, alpha)), rng.permutation(len(x))
    corner = rng.random(2).tolist()
    if changed is None:
        changed = chosen(len(x), augment.share, rng)
    rows, partners = np.flatnonzero(changed), partners[changed]
    mixed = x.copy()
    if cuts:
        top, left, bottom, right = _rectangle(x.shape[1:3], 1 - weight, corner)
        mixed[rows, top:bottom, left:right] = x[partners, top:bottom, left:right]
        weight = 1 - (bottom - top) * (right - left) / (x.shape[1] * x.shape[2])
    else:
        mixed[rows] = _between(x[rows], x[partners], weight)
    return mixed, {task: _mixed_rows(values, rows, partners, weight) for task, values in y.items()}


def check_kinds(labels: Mapping[str, Labels]) -> None:
    """Refuse tasks of which two images have no target between them.

    Raises:
        SettingError: names the task.
    """
    for task, meaning in labels.items():
        if meaning.kind not in KINDS:
            got = f"the task {task!r} of the kind {meaning.kind!r}"
            raise check.SettingError(check.sentence("augment: mixing", "tasks of classes or numbers", got, _REMEDY))


def _mixed_rows(values: np.ndarray, rows: np.ndarray, partners: np.ndarray, weight: float) -> np.ndarray:
    mixed = values.copy()
    mixed[rows] = _between(values[rows], values[partners], weight)
    return mixed


def _between(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    between: np.ndarray = np.float32(weight) * first + np.float32(1 - weight) * second
    return between


def _rectangle(size: tuple[int, ...], share: float, centre: list[float]) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of a rectangle of the image's own shape about a centre, cut at the border."""
    height, width = size
    rows, columns = height * math.sqrt(share), width * math.sqrt(share)
    y, x = centre[0] * height, centre[1] * width
    top, bottom = max(round(y - rows / 2), 0), min(round(y + rows / 2), height)
    left, right = max(round(x - columns / 2), 0), min(round(x + columns / 2), width)
    return top, left, bottom, right
