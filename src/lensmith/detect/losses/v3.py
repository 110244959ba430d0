"""The loss of YOLO v3, as Darknet's ``yolo`` layer has it (Redmon & Farhadi 2018, YOLOv3, section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import overlap
from lensmith.compose.detection import Candidates, Grid
from lensmith.detect import assigning
from lensmith.detect.losses.anchored import Picked, pick
from lensmith.detect.losses.base import YoloLoss, over_objects
from lensmith.detect.losses.sizes import Grids

Tensor = Any
BOX_FORMS = ("squared", *overlap.OVERLAPS)
_OVERLAPS = {"iou": overlap.iou, "giou": overlap.giou, "diou": overlap.diou, "ciou": overlap.ciou}


@keras.saving.register_keras_serializable("lensmith")
class YoloV3Loss(YoloLoss):
    """Binary cross-entropies H, and half of squared errors of the sizes: its derivative is what Darknet computes.

    - localisation, over the objects, of the candidate with the anchor most like each, weighed by ``coord`` · (2 − ŵĥ):
      H(σ(tx), x̂) + H(σ(ty), ŷ) + ½ (tw − log(ŵ / anchor))² + ½ (th − log(ĥ / anchor))². The paper speaks of the sum
      of squared errors for x and y too; its code takes x̂ − σ(tx) for the derivative by tx, which is that of the
      cross-entropy. H is not 0 where the centre is met, but the least it can be. With another ``box`` it is 1 − IoU,
      or of that kind.
    - confidence: ``object`` · Σ H(σ(to), 1) of those candidates, and ``no_object`` · Σ H(σ(to), 0) of the others that
      overlap no object by more than ``ignore``.
    - classification: ``classes`` · Σ H(σ(tc), 0 or 1) over all classes of those candidates.

    Args:
        sizes: for each input size its maps.
        box: ``squared`` as published, or ``iou``, ``giou``, ``diou``, ``ciou``, which look at the box as a whole (see
            :mod:`lensmith.compose.overlap`); boxes there are shares of the image, which for one that is not square
            changes what ``ciou`` takes for the same shape.
        coord, object, no_object, classes: all 1 as published.
        ignore: 0..1; 0.7 in ``yolov3.cfg``, 0.5 in the paper.
        name, reduction, dtype: as of any Keras loss.

    Raises:
        SettingError: there is no such form.

    Example:
        >>> import numpy as np
        >>> loss = YoloV3Loss([[Grid(1, 1, ((0.5, 0.5),))]], box="ciou")
        >>> truth, raw = np.float32([[[0.25, 0.25, 0.75, 0.75, 0, 1]]]), np.zeros((1, 1, 7), np.float32)
        >>> {name: round(float(value[0]), 3) for name, value in loss.parts(truth, raw).items()}  # 0, ln 2, 2 ln 2
        {'localisation': 0.0, 'confidence': 0.693, 'classification': 1.386}
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[Grid | Mapping[str, Any]]],
        box: str = "squared",
        coord: float = 1.0,
        object: float = 1.0,
        no_object: float = 1.0,
        classes: float = 1.0,
        ignore: float = 0.7,
        name: str = "yolo_v3",
        reduction: str = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        weights = {"coord": coord, "object": object, "no_object": no_object, "classes": classes}
        super().__init__(sizes, weights, ignore, name, reduction, dtype)
        self.box = check.one_of("loss.box", box, BOX_FORMS)

    def _parts(
        self, things: assigning.Objects, raw: Tensor, grids: Grids, candidates: Candidates
    ) -> tuple[Tensor, Tensor, Tensor]:
        ops, weights = keras.ops, self.weights
        own = pick(things, raw, grids, candidates, self.ignore)
        located = over_objects(own.factor * self._apart(own), own.has)
        seen = over_objects(_entropy(own.raw[..., 4], 1.0), own.has)
        unseen = ops.sum(ops.where(own.free, _entropy(raw[..., 4], 0.0), 0.0), axis=1)
        sought = ops.one_hot(things.classes, raw.shape[-1] - 5, dtype="float32")
        surprise = ops.sum(_entropy(own.raw[..., 5:], sought), axis=-1)
        return (
            weights["coord"] * located,
            weights["object"] * seen + weights["no_object"] * unseen,
            weights["classes"] * over_objects(surprise, own.has),
        )

    def _apart(self, own: Picked) -> Tensor:
        """How far each object and its candidate are from each other, ``(batch, M)``."""
        ops = keras.ops
        if self.box != "squared":
            return 1.0 - _OVERLAPS[self.box](own.box, own.sought_box)
        sought = (own.sought_offset + (own.bend - 1) / 2) / own.bend  # what the sigmoid has to be
        sizes = ops.square(own.raw[..., 2:4] - own.sought_size) / 2
        return ops.sum(_entropy(own.raw[..., :2], sought) + sizes, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The settings as plain values."""
        return {**super().get_config(), "box": self.box}


def _entropy(logits: Tensor, sought: Any) -> Tensor:
    """The binary cross-entropy of logits and of what is sought, 0..1; exact for any finite logit."""
    return keras.ops.softplus(logits) - sought * logits
