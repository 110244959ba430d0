"""What the losses of all YOLO versions share.

A loss of an image is the sum over its objects and its candidates, as in Darknet and the papers, and Keras averages it
over the batch: the number of objects in other images changes nothing about what one image teaches. It is large where
candidates are many, above all before training, when each of 10,647 is punished for what it thinks to see: the heads of
:mod:`lensmith.compose.detection` start with an objectness of hardly anything, which makes it small from the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.detection import Candidates, Grid
from lensmith.detect import assigning
from lensmith.detect.losses.sizes import Grids, Sizes

Tensor = Any
PARTS = ("localisation", "confidence", "classification")


class YoloLoss(keras.losses.Loss):  # type: ignore[misc]
    """The sum of localisation, confidence and classification. Its subclasses say what these are.

    Targets are float32 ``(batch, M, 6)``: x1, y1, x2, y2 (shares of the image), class, counted; class -1 where there is
    no object, counted 0 for crowds and difficult objects. Predictions are the raw numbers of the candidates, ``(batch,
    N, 5 + C)``.

    Args:
        sizes: for each input size the maps of the detector; N says which it is.
        weights: by name, finite numbers of at least 0.
        ignore: the intersection over union, 0..1, above which a prediction is not punished for its objectness.
        name, reduction, dtype: as of any Keras loss.
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[Grid | Mapping[str, Any]]],
        weights: Mapping[str, float],
        ignore: float,
        name: str,
        reduction: str,
        dtype: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.sizes = Sizes(sizes)
        self.weights = {key: float(check.between(f"loss.{key}", value, 0.0, 1e6)) for key, value in weights.items()}
        self.ignore = float(check.between("loss.ignore", ignore, 0.0, 1.0))

    def parts(self, y_true: Tensor, y_pred: Tensor) -> dict[str, Tensor]:
        """The parts, each with its weights and of shape ``(batch,)``; their sum is the loss of each image."""
        y_pred = keras.ops.cast(keras.ops.convert_to_tensor(y_pred), "float32")
        grids, candidates = self.sizes.of(y_pred.shape[1])
        found = self._parts(assigning.objects(y_true), y_pred, grids, candidates)
        return dict(zip(PARTS, found, strict=True))

    def _parts(
        self, things: assigning.Objects, raw: Tensor, grids: Grids, candidates: Candidates
    ) -> tuple[Tensor, Tensor, Tensor]:
        raise NotImplementedError

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """The loss of each image, ``(batch,)``."""
        return sum(self.parts(y_true, y_pred).values())

    def get_config(self) -> dict[str, Any]:
        """The settings as plain values."""
        return {**super().get_config(), "sizes": self.sizes.to_list(), **self.weights, "ignore": self.ignore}


def over_objects(values: Tensor, has: Tensor) -> Tensor:
    """The sum of what is known of each object, ``(batch, M)``, over those that have a candidate: ``(batch,)``."""
    return keras.ops.sum(keras.ops.where(has, values, 0.0), axis=1)


def corners(centre: Tensor, size: Tensor) -> Tensor:
    """x1, y1, x2, y2 of boxes given by centre and size, both ``(…, 2)``."""
    return keras.ops.concatenate([centre - size / 2, centre + size / 2], axis=-1)
