"""What YOLO v2 and v3 share: boxes relative to anchors, and what each object asks of its candidate."""

from __future__ import annotations

from typing import Any, NamedTuple

from lensmith.backend import keras
from lensmith.compose.detection import Candidates
from lensmith.detect import assigning
from lensmith.detect.losses.base import corners
from lensmith.detect.losses.sizes import Grids

Tensor = Any
_WIDEST = 10.0  # of tw: e^10 anchors are wider than any image, and e^89 is infinite


class Places(NamedTuple):
    """Of each row of raw numbers: its cell, the cells of its map, its anchor, how far a centre may leave its cell."""

    cells: Tensor
    grid: Tensor
    anchors: Tensor
    bend: Tensor


class Picked(NamedTuple):
    """The candidate of each object, and what is asked of it; all but the flags ``(batch, M, …)`` float32.

    Args:
        has: bool ``(batch, M)``: whether the object has a candidate of its own.
        free: bool ``(batch, N)``: the candidates that are to see nothing.
        raw: the candidate's raw numbers.
        offset: where in its cell the centre is predicted, ``(…, 2)``.
        box: the predicted box, ``(…, 4)`` as shares of the image.
        bend: of the candidate's map, ``(…, 1)``.
        sought_offset: where in its cell the object's centre lies, 0..1.
        sought_size: ``log(w / anchor_w)`` and the same of the height.
        sought_box: the object's box.
        factor: ``2 − w · h``, so that small objects count more (Darknet).
    """

    has: Tensor
    free: Tensor
    raw: Tensor
    offset: Tensor
    box: Tensor
    bend: Tensor
    sought_offset: Tensor
    sought_size: Tensor
    sought_box: Tensor
    factor: Tensor


def pick(things: assigning.Objects, raw: Tensor, grids: Grids, candidates: Candidates, ignore: float) -> Picked:
    """Give the objects their candidates.

    Args:
        things: the objects.
        raw: float32 ``(batch, N, 5 + C)``.
        grids, candidates: the maps, and the N candidates that they are.
        ignore: the intersection over union above which another candidate is left alone.
    """
    ops = keras.ops
    asked = assigning.best_anchors(things, grids)
    everywhere = places_of(candidates)
    near = assigning.overlapping(boxes(ops.stop_gradient(raw), everywhere), things, ignore)
    free = ops.logical_not(ops.logical_or(near, assigning.taken(asked, len(candidates))))
    places = Places(*(ops.take(values, asked.index, axis=0) for values in everywhere))
    own = ops.take_along_axis(raw, asked.index[..., None], axis=1)
    centre = ops.stack([things.centre_x, things.centre_y], axis=-1)
    size = ops.stack([things.width, things.height], axis=-1)
    return Picked(
        has=asked.has,
        free=free,
        raw=own,
        offset=offsets(own, places),
        box=boxes(own, places),
        bend=places.bend,
        sought_offset=ops.clip(centre * places.grid - places.cells, 0.0, 1.0),
        sought_size=ops.log(size / places.anchors),
        sought_box=ops.stack(things[:4], axis=-1),
        factor=2.0 - things.width * things.height,
    )


def places_of(candidates: Candidates) -> Places:
    """The constants of all candidates."""
    arrays = (candidates.cells, candidates.grid, candidates.anchors, candidates.scale_xy)
    return Places(*(keras.ops.convert_to_tensor(values, dtype="float32") for values in arrays))


def offsets(raw: Tensor, places: Places) -> Tensor:
    """Where in its cell each centre is predicted, ``(…, 2)``."""
    return places.bend * keras.ops.sigmoid(raw[..., :2]) - (places.bend - 1) / 2


def boxes(raw: Tensor, places: Places) -> Tensor:
    """The predicted boxes, ``(…, 4)``: x1, y1, x2, y2 as shares of the image."""
    centre = (places.cells + offsets(raw, places)) / places.grid
    return corners(centre, keras.ops.exp(keras.ops.minimum(raw[..., 2:4], _WIDEST)) * places.anchors)
