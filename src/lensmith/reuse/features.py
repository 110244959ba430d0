"""The feature dataset: a frozen front runs once over the data, and heads are trained on what it gave.

Rows are kept in a cache on disk under what they were computed from: the front's layers and weights, the preprocessing,
and the content of each image. So a changed image is computed anew and no other, several heads train from one cache, and
a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lensmith.compose.halving import halves
from lensmith.data import Augment, Preprocessing
from lensmith.records import Records
from lensmith.reuse.feature_batches import Features, checked_tasks
from lensmith.reuse.feature_outputs import Told, outputs_of


def features(
    model: Any,
    records: Records,
    preprocessing: Preprocessing,
    *,
    freeze: Iterable[str],
    cache: Path | None,
    augment: Augment | None = None,
    views: int = 0,
    batch: int = 32,
    seed: int = 0,
    limit: int | None = None,
    tasks: Sequence[str] | None = None,
    progress: Told | None = None,
) -> Features:
    """Run the part of a model that does not train once over records, and keep what it gives.

    The model is cut by :func:`lensmith.compose.halving.halves`. Images are read as prediction reads them: decoded at
    full size and resized exactly. Train ``rest`` on the batches, and the whole model is trained, as it has the same
    layers.

    Args:
        model: made of connected layers, with one input; the one to train, such as ``compose.logits(model)``.
        records: the examples.
        preprocessing: makes the input of one example.
        freeze: the layers that are left as they are, by names or patterns.
        cache: a folder to keep the features in; None keeps them in memory.
        augment: changes of the images in the views; needs ``views``.
        views: how many changed versions of each image to compute besides the image as it is. Each is drawn once, from
            the seed and the image's content.
        batch: images that the front is given at once.
        seed: of the changes.
        limit: bytes that the cache may take on disk, all that was in it before included.
        tasks: whose targets will be delivered; left out, all. Others may be chosen later.
        progress: is told after each block how many rows are done, and how many there are to compute.

    Raises:
        SettingError: the model cannot be cut so; a setting is wrong; the features do not fit into the limit, which is
            said before anything is computed; or the cache is a folder of something else.
        DataError: there are no records, or none can be read.
        LensmithError: the disk is full, or another process is filling this cache.

    Example:
        >>> from lensmith.compose import Classify, Dense, Flatten, Recipe, logits
        >>> from lensmith.data import bundled
        >>> recipe = Recipe((8, 8, 1), Flatten(), Dense((16,)), {"digit": Classify(10, hidden=(12,))})
        >>> model = logits(recipe.build(seed=0))
        >>> made = features(model, bundled("digits"), Preprocessing(image=(8, 8, 1)), freeze=["learner"], cache=None)
        >>> x, y = next(made.batches(100).epoch(0))
        >>> x.shape, y.shape, made.rest.count_params()
        ((100, 16), (100,), 334)
    """
    cut = halves(model, freeze)
    wanted = checked_tasks(records, tasks, views)
    found = outputs_of(
        cut.front,
        records,
        preprocessing,
        cache=cache,
        augment=augment,
        views=views,
        batch=batch,
        seed=seed,
        limit=limit,
        progress=progress,
    )
    return Features(cut.front, cut.rest, cut.frozen, found, wanted)
