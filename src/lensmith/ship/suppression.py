"""What a detector's candidates become, written as ONNX: the score threshold, non-maximum suppression, the best few.

It repeats :func:`lensmith.boxes.detections` and :func:`lensmith.boxes.padded` for a batch, with basic operators and
ONNX's own ``NonMaxSuppression``; in ONNX's text form, as the entry is. The thresholds are inputs with a default, so
that whoever runs the artifact may give others, without making it anew.

The overlap of two boxes is worked out in float32 here and in float64 there: where it is the threshold but for the last
bits, the two may differ; and where sides are beyond 1e18, which only an untrained network has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lensmith.boxes import Thresholds
from lensmith.boxes.suppression import ENDLESS
from lensmith.ship.entry import OPSET

CANDIDATES = "candidates"  # the input, and after a task's name and a slash an output of the artifact
FAR = 1e18  # corners further out count as this far when overlaps are worked out: areas stay within float32
SETTINGS = ("score_threshold", "iou_threshold", "most", "classwise", "best")  # inputs with defaults, likewise

# Names of ONNX's parser know neither '-' nor '/': the task's name comes before them afterwards.
_TEXT = """
<ir_version: 10, opset_import: ["": OPSET]>
suppress (float[batch, count, UNITS] candidates, float score_threshold, float iou_threshold, int64 most,
          bool classwise, bool best) => (float[batch, found, 6] detections)
<int64[1] axis_0 = {0}, int64[1] axis_1 = {1}, int64[1] axis_2 = {2}, int64[2] axes_but_1 = {0, 2},
 int64[1] at_0 = {0}, int64[1] at_2 = {2}, int64[1] at_4 = {4}, int64[1] at_5 = {5}, int64[1] at_end = {UNITS},
 int64 zero = {0}, int64 one = {1}, int64 classes = {CLASSES}, int64[1] one_row = {1}, int64[1] four = {4},
 int64[1] class_length = {CLASSES}, float nothing = {0}, float no_class = {-1},
 float least = {-ENDLESS}, float largest = {ENDLESS}, float nearest = {-FAR}, float furthest = {FAR}>
{
    # Only places where some class of some image counts: the rest of the work is done for these few.
    boxes = Slice(candidates, at_0, at_4, axis_2)
    scores = Slice(candidates, at_5, at_end, axis_2)
    highest = ReduceMax <keepdims = 0> (scores, axes_but_1)
    counts = Greater(highest, score_threshold)
    where_row = NonZero(counts)
    where = Squeeze(where_row, axis_0)
    near_given = Gather <axis = 1> (boxes, where)
    near_boxes = Clip(near_given, least, largest)
    near_scores = Gather <axis = 1> (scores, where)

    # Each place for its likeliest class alone, unless all classes count; a score of 0 never does.
    likeliest = ArgMax <axis = 2, keepdims = 1> (near_scores)
    class_numbers = Range(zero, classes, one)
    is_likeliest = Equal(likeliest, class_numbers)
    all_count = Not(best)
    eligible = Or(is_likeliest, all_count)
    eligible_scores = Where(eligible, near_scores, nothing)

    # A box that is upside down has no area; ONNX would turn it round. And areas have to be finite in float32.
    low = Slice(near_boxes, at_0, at_2, axis_2)
    high_given = Slice(near_boxes, at_2, at_4, axis_2)
    high = Max(low, high_given)
    upright_given = Concat <axis = 2> (low, high)
    upright = Clip(upright_given, nearest, furthest)

    # Which stay, as image and place · classes + class.
    shape = Shape(near_boxes)
    images = Slice(shape, at_0, one_row)
    places = Gather(shape, one)
    length = Mul(places, classes)
    length_row = Reshape(length, one_row)
    kept = If (classwise) <
        then_branch = by_class () => (int64[kept_by_class, 2] kept_then) {
            by_class_scores = Transpose <perm = [0, 2, 1]> (eligible_scores)
            chosen_then = NonMaxSuppression(upright, by_class_scores, most, iou_threshold, score_threshold)
            image_then, class_then, place_then = Split <axis = 1, num_outputs = 3> (chosen_then)
            start_then = Mul(place_then, classes)
            flat_then = Add(start_then, class_then)
            kept_then = Concat <axis = 1> (image_then, flat_then)
        },
        else_branch = over_all () => (int64[kept_over_all, 2] kept_else) {
            each = Unsqueeze(upright, axis_2)
            each_shape = Concat <axis = 0> (images, length_row, four)
            repeat_shape = Concat <axis = 0> (one_row, one_row, class_length, one_row)
            repeated = Expand(each, repeat_shape)
            all_boxes = Reshape <allowzero = 1> (repeated, each_shape)
            all_shape = Concat <axis = 0> (images, one_row, length_row)
            all_scores = Reshape <allowzero = 1> (eligible_scores, all_shape)
            chosen_else = NonMaxSuppression(all_boxes, all_scores, most, iou_threshold, score_threshold)
            image_else, class_else, flat_else = Split <axis = 1, num_outputs = 3> (chosen_else)
            kept_else = Concat <axis = 1> (image_else, flat_else)
        }
    >

    # The best of them; of equals the first place, then the first class. Zeros stand for what is missing.
    flat_shape = Concat <axis = 0> (images, length_row)
    flat_scores = Reshape <allowzero = 1> (eligible_scores, flat_shape)
    kept_scores = GatherND(flat_scores, kept)
    most_row = Reshape(most, one_row)
    wide = Add(length_row, most_row)
    wide_shape = Concat <axis = 0> (images, wide)
    blank = Expand(nothing, wide_shape)
    laid_out = ScatterND(blank, kept, kept_scores)
    top, top_flat = TopK <axis = 1> (laid_out, most_row)
    there = Greater(top, nothing)

    # Their rows; what is missing has a row of zeros behind the last place.
    flat = Where(there, top_flat, length)
    place = Div(flat, classes)
    place_index = Unsqueeze(place, axis_2)
    class_whole = Mod(flat, classes)
    class_float = Cast <to = 1> (class_whole)
    class = Where(there, class_float, no_class)
    empty_shape = Concat <axis = 0> (images, one_row, four)
    empty = Expand(nothing, empty_shape)
    all_near = Concat <axis = 1> (near_boxes, empty)
    corners = GatherND <batch_dims = 1> (all_near, place_index)
    top_column = Unsqueeze(top, axis_2)
    class_column = Unsqueeze(class, axis_2)
    detections = Concat <axis = 2> (corners, top_column, class_column)
}
"""


def suppression(classes: int, thresholds: Thresholds) -> Any:
    """An ONNX model that does with a batch of candidates what :func:`lensmith.boxes.detections` does with one image's.

    Args:
        classes: how many.
        thresholds: the defaults of the inputs named in :data:`SETTINGS`.

    Returns:
        An ``onnx.ModelProto`` from ``candidates``, float32 ``(batch, N, 5 + classes)``, to ``detections``, float32
        ``(batch, most, 6)``, padded as :func:`lensmith.boxes.padded` does.
    """
    from onnx import numpy_helper, parser

    numbers = {"CLASSES": classes, "UNITS": 5 + classes, "OPSET": OPSET, "ENDLESS": ENDLESS, "FAR": FAR}
    text = _TEXT
    for name, number in numbers.items():
        text = text.replace(name, str(number))
    model = parser.parse_model(text)
    for name, value in settings(thresholds).items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return model


def settings(thresholds: Thresholds) -> dict[str, np.ndarray]:
    """Thresholds as the artifact takes them, by the names in :data:`SETTINGS`.

    Example:
        >>> {name: value.item() for name, value in settings(Thresholds(score=0.5)).items()}["score_threshold"]
        0.5
    """
    return {
        "score_threshold": _below(thresholds.score),
        "iou_threshold": _below(thresholds.iou),
        "most": np.array(thresholds.most, np.int64),
        "classwise": np.array(thresholds.classwise),
        "best": np.array(thresholds.best),
    }


def _below(value: float) -> np.ndarray:
    """The largest float32 that is not above ``value``: the same float32 numbers are above it as above ``value``."""
    near = np.float32(value)
    return np.array(np.nextafter(near, np.float32(-1)) if float(near) > value else near, np.float32)


def append_suppression(graph: Any, task: str, classes: int, thresholds: Thresholds) -> None:
    """Let a graph go on from its output ``TASK/candidates`` to another, ``TASK``; inputs with defaults are added."""
    made = suppression(classes, thresholds).graph
    rename(made, lambda name: task if name == "detections" else f"{task}/{name}" if name else name)
    graph.node.extend(made.node)
    graph.initializer.extend(made.initializer)
    graph.input.extend(value for value in made.input if value.name != f"{task}/{CANDIDATES}")
    place = next(i for i, value in enumerate(graph.output) if value.name == f"{task}/{CANDIDATES}")
    graph.output.insert(place, made.output[0])


def rename(graph: Any, new: Callable[[str], str]) -> None:
    """Give every value of a graph another name, in its branches too."""
    for node in graph.node:
        for listed in (node.input, node.output):
            listed[:] = [new(name) for name in listed]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                rename(attribute.g, new)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new(value.name)
