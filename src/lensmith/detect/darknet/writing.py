"""Write a model as Darknet's own files, ``.cfg``, ``.weights`` and ``.names``, so that it runs in Darknet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lensmith import check, files
from lensmith.compose import graph
from lensmith.compose.detection import Decode
from lensmith.compose.graph import Call, Tensor
from lensmith.data.preprocess import Preprocessing
from lensmith.detect.darknet.writing_graph import Walk
from lensmith.detect.darknet.writing_heads import Head, heads_of
from lensmith.detect.darknet.writing_kinds import take
from lensmith.detect.darknet.writing_layers import Section, cfg_text, weights_bytes
from lensmith.detect.darknet.writing_sections import IMAGE


@dataclass(frozen=True, slots=True)
class Written:
    """A model in Darknet's words.

    Args:
        cfg: the text of the ``.cfg``.
        weights: the bytes of the ``.weights``.
        names: the text of the ``.names``.
        layers: how many layers Darknet counts.
    """

    cfg: str
    weights: bytes
    names: str
    layers: int


def write_darknet(
    path: Path, model: Any, names: Sequence[str], preprocessing: Preprocessing | None = None
) -> tuple[Path, Path, Path]:
    """Write a detector or a classifier for Darknet and whatever reads its files.

    Args:
        path: where; the files get the suffixes ``.cfg``, ``.weights`` and ``.names``, and replace earlier ones.
        model, names, preprocessing: as of :func:`as_darknet`.

    Returns:
        The three paths.

    Raises:
        SettingError: Darknet cannot hold the model, as :func:`as_darknet` says; nothing is written.
        LensmithError: the disk refuses.
    """
    written = as_darknet(model, names, preprocessing)
    path = Path(path)
    contents = {".cfg": written.cfg.encode(), ".weights": written.weights, ".names": written.names.encode()}
    targets = [path.with_name(path.name + suffix) for suffix in contents]
    for target, content in zip(targets, contents.values(), strict=True):
        files.put_file(target, lambda beside, content=content: beside.write_bytes(content))  # type: ignore[misc]
    return targets[0], targets[1], targets[2]


def as_darknet(model: Any, names: Sequence[str], preprocessing: Preprocessing | None = None) -> Written:
    r"""A model as the contents of Darknet's files. In Darknet it gives the same numbers.

    Batch normalisation is folded into the convolutions. Windows that are not square, have zeros on one side only or
    taps that lie apart become larger ones with weights of 0; ``relu6`` becomes 6 − relu(6 − relu(x)), which every
    Darknet has; the pass-through of YOLO v2 a convolution of ones and zeros.

    Args:
        model: one with a single input of images and a single task: a detector, or a classifier of any zoo that is
            made of the layers Darknet has. It may be of the user's own.
        names: of the classes, one each.
        preprocessing: of the model; Darknet's own is RGB, 0..1. Any other becomes a first convolution of 1×1. None
            is Darknet's own.

    Raises:
        SettingError: a layer or its setting is none of Darknet's, and one line names the layer; the names do not
            fit; or the model has several inputs or tasks.

    Example:
        >>> from lensmith.backend import keras
        >>> image = keras.Input((8, 8, 3))
        >>> x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(image)
        >>> x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
        >>> print(as_darknet(keras.Model(image, keras.layers.Softmax()(x)), ["cat", "dog"]).cfg.split("\n\n")[1])
        # first
        [convolutional]
        filters=4
        size=3
        stride=1
        pad=1
        activation=relu
    """
    flat = graph.flat(model)
    image, steps = _image(flat), graph.calls(flat)
    outputs = graph.outputs_of(flat)
    if len(outputs) != 1:
        expected = "a model of one task"
        raise check.SettingError(
            check.sentence(str(model.name), expected, f"{len(outputs)} outputs", "Write each task")
        )
    heads, classes = _heads(outputs[0], steps, image)
    if len(names) != classes:
        raise check.SettingError(check.sentence("names", f"{classes}, one a class", f"{len(names)}"))
    sections = _sections(steps, heads, image, preprocessing)
    listed = "".join(f"{_one_line(name)}\n" for name in names)
    return Written(cfg_text(image.shape[1:], sections), weights_bytes(sections), listed, len(sections))


def _image(model: Any) -> Tensor:
    shape = tuple(model.inputs[0].shape[1:])
    if len(model.inputs) != 1 or len(shape) != 3 or not all(shape):
        expected = "a model with one input, images of a fixed size"
        got = f"{len(model.inputs)} inputs" if len(model.inputs) != 1 else f"shape {shape}"
        raise check.SettingError(check.sentence(str(model.name), expected, got))
    return model.inputs[0]


def _heads(output: Tensor, steps: Sequence[Call], image: Tensor) -> tuple[list[Head], int]:
    """What gives the model's output, and how many classes it tells apart."""
    last = graph.giver(output, steps)
    if isinstance(last.layer, Decode):
        return heads_of(last, steps, image.shape[1:]), int(output.shape[-1]) - 5
    return [Head(output, Section("", "", (1, 1, 1)))], int(output.shape[-1])


def _sections(
    steps: Sequence[Call], heads: Sequence[Head], image: Tensor, preprocessing: Preprocessing | None
) -> list[Section]:
    ends = [head.tensor for head in heads]
    walk = Walk(graph.leading_to(ends, steps), ends, image)
    _prepared(walk, image, preprocessing)
    givers = {id(tensor): call for call in steps for tensor in call.outputs}
    for head in heads:
        for call in _order(head.tensor, givers, walk.places):
            take(walk, call)
        place = walk.place(head.tensor)
        if head.section.kind:
            walk.sections.add(head.section, place)
        else:
            walk.sections.turn_to(place)
    return walk.sections.made


def _prepared(walk: Walk, image: Tensor, preprocessing: Preprocessing | None) -> None:
    """What is done to pixels of 0..1 before the first layer, where that is anything."""
    if preprocessing is None:
        return
    if preprocessing.shape != tuple(image.shape[1:]):
        expected = f"of {tuple(image.shape[1:])}, as the model"
        raise check.SettingError(check.sentence("preprocessing", expected, preprocessing.shape))
    multiplier, offset = preprocessing.affine()
    if preprocessing.scaling == "0..1" and not preprocessing.turned:
        return
    channels = len(multiplier)
    order = np.eye(channels, dtype=np.float32)[:: -1 if preprocessing.turned else 1]
    kernel = (order * (255 * multiplier)[:, None]).reshape(channels, channels, 1, 1)
    place = walk.sections.convolve(IMAGE, "preprocessing", kernel, offset)
    walk.places[id(image)] = IMAGE if place is None else place
    walk.uses[id(image)] += 1  # so that nothing is folded into it


def _order(end: Tensor, givers: dict[int, Call], known: dict[int, int]) -> list[Call]:
    """The calls that a tensor still needs, each branch to its end before the next one begins."""
    found: list[Call] = []
    met: set[int] = set()
    waiting = [(givers[id(end)], False)]
    while waiting:
        call, ready = waiting.pop()
        if ready:
            found.append(call)
        elif id(call.outputs[0]) not in met and id(call.outputs[0]) not in known:
            met.add(id(call.outputs[0]))
            waiting.append((call, True))
            waiting.extend((givers[id(tensor)], False) for tensor in reversed(call.inputs))
    return found


def _one_line(name: str) -> str:
    if not name.strip() or any(sign in name for sign in "\r\n"):
        raise check.SettingError(check.sentence("names", "names of one line each", repr(name)))
    return name.strip()
