"""Examples changed together, as training changes those of a batch, to be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lensmith.data.augmentation import mixing
from lensmith.data.augmentation.applying import augmented
from lensmith.data.augmentation.mosaic import mosaic
from lensmith.data.augmentation.record import Augment
from lensmith.records import Labels, Target

Example = tuple[np.ndarray, Mapping[str, Target]]  # pixels, uint8 (h, w, channels), and targets by task


@dataclass(frozen=True, slots=True)
class Changed:
    """An example after its changes.

    Args:
        image: float32 ``(height, width, channels)``, 0..255.
        targets: by task, in its pixels.
        shares: how much of it is of which example, by its place; more than one only where examples were mixed.
    """

    image: np.ndarray
    targets: Mapping[str, Target]
    shares: Mapping[int, float]


def preview(
    examples: Sequence[Example],
    labels: Mapping[str, Labels],
    *,
    sizes: Sequence[tuple[int, int]],
    augment: Augment,
    draws: Sequence[np.random.Generator],
) -> list[Changed]:
    """Change every example once, whatever the record's ``share``, and mix them where the record says so.

    Args:
        examples: one or more.
        labels: by task.
        sizes: height and width of the target, of each example; to be mixed, all must have the same.
        augment: the ranges.
        draws: one for each example; the mixing takes of the first.

    Raises:
        SettingError: a task cannot be part of a mosaic or be mixed; names it.

    Example:
        >>> pixels = [np.full((4, 4, 1), level, np.uint8) for level in (0, 100)]
        >>> both = {"sizes": [(2, 2)] * 2, "draws": [np.random.default_rng(place) for place in range(2)]}
        >>> one, other = preview([(image, {}) for image in pixels], {}, augment=Augment(mixup=0.4), **both)
        >>> bool(np.isclose(one.image[0, 0, 0], 100 * one.shares.get(1, 0)))
        True
    """
    changed = []
    for place, (size, rng) in enumerate(zip(sizes, draws, strict=True)):
        if augment.mosaic and rng.random() < augment.mosaic:
            four = [examples[place], *(examples[other] for other in rng.integers(0, len(examples), 3).tolist())]
            image, targets = mosaic(four, labels, size=size, augment=augment, rng=rng)
        else:
            image, targets = augmented(*examples[place], labels, size=size, augment=augment, rng=rng)
        changed.append(Changed(image, targets, {place: 1.0}))
    return _mixed(changed, labels, augment, draws[0]) if augment.mixes else changed


def _mixed(
    changed: Sequence[Changed], labels: Mapping[str, Labels], augment: Augment, rng: np.random.Generator
) -> list[Changed]:
    """The images mixed; one-hot rows of their places tell how much is of which."""
    mixing.check_kinds(labels)
    count = len(changed)
    whole = {"place": np.eye(count, dtype=np.float32)}
    images, rows = mixing.mix(
        np.stack([one.image for one in changed]), whole, augment, rng, changed=np.ones(count, bool)
    )
    shares = [{int(place): float(row[place]) for place in np.flatnonzero(row)} for row in rows["place"]]
    return [Changed(image, one.targets, parts) for image, one, parts in zip(images, changed, shares, strict=True)]
