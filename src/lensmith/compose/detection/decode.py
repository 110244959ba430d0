"""What the raw numbers of a detector mean: boxes as shares of the image, objectness and the score of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.detection.candidates import Candidates, Grid

Tensor = Any
KINDS = ("cells", "anchors")


@keras.saving.register_keras_serializable("lensmith")
class Decode(keras.layers.Layer):  # type: ignore[misc]
    """Raw numbers of every candidate → its box, its objectness and its classes' scores.

    With ``anchors`` (Redmon & Farhadi 2017, YOLO9000, section 2; 2018, YOLOv3, section 2.1) ``x = (column + s σ(tx) −
    (s − 1) / 2) / columns``, ``w = anchor_w · exp(tw)`` and objectness ``σ(to)``; with ``cells`` (Redmon et al. 2016,
    You Only Look Once, section 2) the numbers themselves, ``x = (column + tx) / columns`` and ``w = tw²``. A class's
    score is objectness times its probability.

    Args:
        grids: the maps of the output, each as :class:`.candidates.Grid` or its plain values.
        kind: ``cells`` or ``anchors``.
        softmax: whether the classes exclude each other. Without, they are independent (``anchors``: a sigmoid each;
            ``cells``: the numbers as they are).
        sqrt: of ``cells``: whether tw and th are the square roots of the sides.

    Shapes:
        ``(batch, N, 5 + C)`` in: tx, ty, tw, th, to, classes; out: x1, y1, x2, y2 (shares of the image, not clipped),
        objectness, class scores. Always float32.

    Raises:
        SettingError: it is called on another number of candidates than its maps have.
    """

    def __init__(
        self,
        grids: Sequence[Grid | Mapping[str, Any]],
        kind: str = "anchors",
        softmax: bool = False,
        sqrt: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**{**options, "dtype": "float32"})  # a box is no place to save bits
        self.grids = tuple(one if isinstance(one, Grid) else Grid.from_dict(dict(one)) for one in grids)
        self.kind = check.one_of("decode.kind", kind, KINDS)
        self.softmax, self.sqrt = bool(softmax), bool(sqrt)
        self.candidates = Candidates.of(self.grids)

    def call(self, inputs: Tensor) -> Tensor:
        ops, x = keras.ops, inputs
        self._check_count(x.shape)
        centre, size, objectness, classes = x[..., :2], x[..., 2:4], x[..., 4:5], x[..., 5:]
        if self.kind == "anchors":
            bend = ops.convert_to_tensor(self.candidates.scale_xy)
            centre = bend * ops.sigmoid(centre) - (bend - 1) / 2
            size = ops.exp(size) * ops.convert_to_tensor(self.candidates.anchors)
            objectness = ops.sigmoid(objectness)
            classes = ops.softmax(classes, axis=-1) if self.softmax else ops.sigmoid(classes)
        else:
            size = ops.square(size) if self.sqrt else size
            classes = ops.softmax(classes, axis=-1) if self.softmax else classes
        centre = (centre + ops.convert_to_tensor(self.candidates.cells)) / ops.convert_to_tensor(self.candidates.grid)
        return ops.concatenate([centre - size / 2, centre + size / 2, objectness, objectness * classes], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        self._check_count(input_shape)
        return input_shape

    def _check_count(self, shape: Sequence[int | None]) -> None:
        if shape[1] is not None and shape[1] != len(self.candidates):
            expected = f"{len(self.candidates)} candidates, as images of the model's own size have"
            remedy = "For other sizes take the model's logits"
            raise check.SettingError(check.sentence(self.name, expected, shape[1], remedy))

    def get_config(self) -> dict[str, Any]:
        own = {"grids": [grid.to_dict() for grid in self.grids], "kind": self.kind}
        return {**super().get_config(), **own, "softmax": self.softmax, "sqrt": self.sqrt}
