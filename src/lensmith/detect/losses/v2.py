"""The loss of YOLO v2, as Darknet's ``region`` layer has it (Redmon & Farhadi 2017, YOLO9000, section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith.backend import keras
from lensmith.compose import overlap
from lensmith.compose.detection import Candidates, Grid
from lensmith.detect import assigning
from lensmith.detect.losses.anchored import pick
from lensmith.detect.losses.base import YoloLoss, over_objects
from lensmith.detect.losses.sizes import Grids

Tensor = Any


@keras.saving.register_keras_serializable("lensmith")
class YoloV2Loss(YoloLoss):
    """Half of squared errors, and the cross-entropy of the classes: its derivative is what Darknet computes.

    - localisation: ``coord`` · ½ Σ (2 − ŵĥ) [(σ(tx) − x̂)² + (σ(ty) − ŷ)² + (tw − log(ŵ / anchor))² + (th − …)²] over
      the objects, of the candidate with the anchor most like each; x̂ and ŷ are where in its cell the centre lies.
    - confidence: ``object`` · ½ Σ (σ(to) − IoU)² of those candidates (``rescore=1``; the IoU is not differentiated),
      and ``no_object`` · ½ Σ σ(to)² of the others that overlap no object by more than ``ignore``.
    - classification: ``classes`` · the cross-entropy of the softmax of the classes of those candidates.

    Left out: that for the first 12,800 images Darknet draws all predictions towards their anchors, with weight 0.01.

    Args:
        sizes: for each input size its maps.
        coord, object, no_object, classes: 1, 5, 1 and 1 in ``yolov2-voc.cfg``.
        ignore: ``thresh`` there, 0..1.
        name, reduction, dtype: as of any Keras loss.

    Example:
        >>> import numpy as np
        >>> loss = YoloV2Loss([[Grid(1, 1, ((0.5, 0.5),))]])
        >>> truth, raw = np.float32([[[0.25, 0.25, 0.75, 0.75, 0, 1]]]), np.zeros((1, 1, 7), np.float32)
        >>> {name: round(float(value[0]), 3) for name, value in loss.parts(truth, raw).items()}  # 5/2 (½ − 1)², ln 2
        {'localisation': 0.0, 'confidence': 0.625, 'classification': 0.693}
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[Grid | Mapping[str, Any]]],
        coord: float = 1.0,
        object: float = 5.0,
        no_object: float = 1.0,
        classes: float = 1.0,
        ignore: float = 0.6,
        name: str = "yolo_v2",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        weights = {"coord": coord, "object": object, "no_object": no_object, "classes": classes}
        super().__init__(sizes, weights, ignore, name, reduction, dtype)

    def _parts(
        self, things: assigning.Objects, raw: Tensor, grids: Grids, candidates: Candidates
    ) -> tuple[Tensor, Tensor, Tensor]:
        ops, weights = keras.ops, self.weights
        own = pick(things, raw, grids, candidates, self.ignore)
        apart = ops.square(own.offset - own.sought_offset) + ops.square(own.raw[..., 2:4] - own.sought_size)
        located = over_objects(own.factor * ops.sum(apart, axis=-1), own.has) / 2
        known = ops.stop_gradient(overlap.iou(own.box, own.sought_box))
        seen = over_objects(ops.square(ops.sigmoid(own.raw[..., 4]) - known), own.has) / 2
        unseen = ops.sum(ops.where(own.free, ops.square(ops.sigmoid(raw[..., 4])), 0.0), axis=1) / 2
        sought = ops.one_hot(things.classes, raw.shape[-1] - 5, dtype="float32")
        surprise = -ops.sum(sought * ops.log_softmax(own.raw[..., 5:], axis=-1), axis=-1)
        return (
            weights["coord"] * located,
            weights["object"] * seen + weights["no_object"] * unseen,
            weights["classes"] * over_objects(surprise, own.has),
        )
