"""The heads of a model, built from the records of its tasks.

A head pools the learner's feature maps, adds hidden layers if wanted, and ends in logits (``task-NAME-logits``)
with their activation (``task-NAME-probabilities``), or for a regression in plain numbers (``task-NAME-output``).
The heads of every pixel, Segment and Reconstruct, end in a convolution instead; detectors have their own
:mod:`.detection.heads`.
"""

from __future__ import annotations

import math

from lensmith import check
from lensmith.backend import keras
from lensmith.compose.layers import Maker, Tensor, check_image
from lensmith.compose.overlap import OVERLAPS
from lensmith.compose.tasks import CORNERS, Head, Localise, Pooled, Reconstruct, Segment

MIDDLE = [0.25, 0.25, 0.75, 0.75]  # a box of half the image's sides


def build_head(task: Head, x: Tensor, make: Maker, name: str, *, source: tuple[int, ...] = ()) -> Tensor:
    """Add the head of ``task`` to the learner's output; returns probabilities, or numbers for a regression.

    Args:
        task: the record.
        x: the learner's output.
        make: makes the layers.
        name: of the task.
        source: the shape of the model's input, which :class:`Reconstruct` gives again.

    Raises:
        SettingError: the head does not fit the learner's output.
    """
    if isinstance(task, Segment):
        check_image(f"task-{name}", x)
        x = make.conv(x, f"task-{name}-logits", task.classes, 1, bias=True)
        return make.activation(x, f"task-{name}-probabilities", "softmax")
    if isinstance(task, Reconstruct):
        return _reconstructed(task, x, make, name, source)
    if task.pool == "given":
        return _given(task, x, make, name)
    if task.pool == "average-last" and len(x.shape) == 4:
        return _averaged_last(task, x, make, name)
    x = _pooled(task, x, f"task-{name}-pool")
    for i, width in enumerate(task.hidden, start=1):
        x = make.dense(x, f"task-{name}-dense{i}", width)
        x = make.activation(x, f"task-{name}-activation{i}", task.activation)
        x = make.dropout(x, f"task-{name}-dropout{i}", task.dropout)
    if not task.hidden:
        x = make.dropout(x, f"task-{name}-dropout", task.dropout)
    if isinstance(task, Localise) and task.distance in OVERLAPS:
        return _begun_in_the_middle(x, make, _last(task, name))
    return _finished(task, make.dense(x, _last(task, name), task.units), make, name)


def _begun_in_the_middle(x: Tensor, make: Maker, name: str) -> Tensor:
    """A last layer whose first guesses are nearly the middle of the image: most boxes meet it.

    Of boxes that do not meet, measures of overlap say little, and a network that begins with any boxes ends with
    ones that are far too large, or without extent.
    """
    # Guesses a thirtieth as far apart as the features that they are made from, however many those are.
    draw = keras.initializers.VarianceScaling(0.001, "fan_in", "untruncated_normal", seed=make.seed_for(name))
    layer = make.layers.Dense(
        len(CORNERS),
        kernel_initializer="zeros" if make.empty else draw,
        bias_initializer=keras.initializers.Constant(MIDDLE),
        name=name,
    )
    return layer(x)


def _last(task: Pooled, name: str) -> str:
    """What the layer is called that gives a head's last numbers."""
    if isinstance(task, Localise) and task.points:
        return f"task-{name}-numbers"
    return f"task-{name}-{'output' if task.output_activation == 'linear' else 'logits'}"


def _finished(task: Pooled, x: Tensor, make: Maker, name: str) -> Tensor:
    """The last numbers with their activation, or as x and y of each key point."""
    if isinstance(task, Localise) and task.points:
        return make.layers.Reshape((task.points, 2), name=f"task-{name}-output")(x)
    if task.output_activation == "linear":
        return x
    return make.activation(x, f"task-{name}-probabilities", task.output_activation)


def _reconstructed(task: Reconstruct, x: Tensor, make: Maker, name: str, source: tuple[int, ...]) -> Tensor:
    last = f"task-{name}-{'output' if task.activation == 'linear' else 'logits'}"
    if len(x.shape) == 2:
        shaped = len(source) > 1
        x = make.dense(x, f"task-{name}-maps" if shaped else last, math.prod(source))
        x = make.layers.Reshape(source, name=last)(x) if shaped else x
    else:
        x = make.conv(_cut(x, make, f"task-{name}-crop", source), last, source[-1], task.kernel, bias=True)
    return make.activation(x, f"task-{name}-probabilities", task.activation)


def _cut(x: Tensor, make: Maker, name: str, source: tuple[int, ...]) -> Tensor:
    """Feature maps without what goes beyond the input at the right and at the bottom."""
    (height, width), wanted = x.shape[1:3], source[:2]
    if len(wanted) < 2 or height < wanted[0] or width < wanted[1]:
        expected = f"feature maps of the input's size, {'×'.join(str(size) for size in wanted)}"
        remedy = "Give the decoder as many layers as the encoder has strides"
        raise check.SettingError(check.sentence(name, expected, f"{height}×{width}", remedy))
    if (height, width) == wanted:
        return x
    return make.layers.Cropping2D(((0, height - wanted[0]), (0, width - wanted[1])), name=name)(x)


def _given(task: Pooled, x: Tensor, make: Maker, name: str) -> Tensor:
    """The learner's own numbers under the names of a head's."""
    if math.prod(x.shape[1:]) != task.units:
        expected = f"{task.units} numbers for an image, which the learner gives"
        raise check.SettingError(check.sentence(f"task-{name}", expected, "×".join(map(str, x.shape[1:]))))
    return _finished(task, make.layers.Flatten(name=_last(task, name))(x), make, name)


def _averaged_last(task: Pooled, x: Tensor, make: Maker, name: str) -> Tensor:
    """A map of each class by a 1×1 convolution, activated; the logits are the maps' averages."""
    x = make.dropout(x, f"task-{name}-dropout", task.dropout)
    x = make.conv(x, f"task-{name}-maps", task.units, 1, bias=True)
    x = make.activation(x, f"task-{name}-maps-activation", task.activation)
    return _finished(task, keras.layers.GlobalAveragePooling2D(name=_last(task, name))(x), make, name)


def _pooled(task: Pooled, x: Tensor, name: str) -> Tensor:
    if len(x.shape) == 2:
        return x
    if task.pool == "flatten":
        return keras.layers.Flatten(name=name)(x)
    layer = keras.layers.GlobalAveragePooling2D if task.pool == "average" else keras.layers.GlobalMaxPooling2D
    return layer(name=name)(x)
