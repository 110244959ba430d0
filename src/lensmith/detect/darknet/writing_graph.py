"""A Keras graph that is being walked: what became of each tensor, and how an affine map or an activation is added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from lensmith import check
from lensmith.compose.graph import Call, Tensor
from lensmith.detect.darknet.writing_layers import Array
from lensmith.detect.darknet.writing_sections import IMAGE, NONE, POSITIVE, Pads, Sections


class Walk:
    """What became of the tensors so far.

    Args:
        steps: all calls that will be walked, a layer after those it reads.
        ends: tensors that are read once more, by the heads.
        image: the model's input tensor.
    """

    def __init__(self, steps: Sequence[Call], ends: Iterable[Tensor], image: Tensor) -> None:
        height, width, channels = image.shape[1:]
        self.sections = Sections((height, width, channels))
        self.uses = Counter(id(tensor) for call in steps for tensor in call.inputs)
        self.uses.update(id(tensor) for tensor in ends)
        self.places = {id(image): IMAGE}
        self.pads: dict[int, Pads] = {}
        self.lowest: dict[int, Pads] = {}  # of minus infinity, for a pool
        self.padders: dict[int, str] = {}  # the layers they come from
        if self.uses[id(image)] > 1:  # Darknet's routes lead to layers, and the input is none
            self.places[id(image)] = self.sections.copy(IMAGE, "image")

    def place(self, tensor: Tensor) -> int:
        """Where a tensor is; zeros that were to be laid around it are there."""
        if id(tensor) in self.lowest:
            expected = "a maximum pool after what is laid around for it"
            raise check.SettingError(check.sentence(str(tensor.name), expected, "another layer"))
        pads = self.pads.pop(id(tensor), None)
        if pads is not None:
            self.places[id(tensor)] = self.sections.copy(self.places[id(tensor)], self.padders[id(tensor)], pads)
        return self.places[id(tensor)]

    def unpadded(self, tensor: Tensor) -> tuple[int, Pads]:
        """Where a tensor is, and the zeros that are still to be laid around it."""
        return self.places[id(tensor)], self.pads.get(id(tensor), NONE)

    def put(self, call: Call, place: int | None) -> None:
        """Note where the call's output is; refuse what Darknet cannot do."""
        if place is None:
            raise refused(call, "a window that Darknet can lay", "one of which no square window takes the same places")
        self.places[id(call.outputs[0])] = place

    def pass_on(self, call: Call) -> None:
        """Let the output be the input: both are read by whoever reads either."""
        source, target = call.inputs[0], call.outputs[0]
        self.places[id(target)] = self.places[id(source)]
        if id(source) in self.pads:
            self.pads[id(target)], self.padders[id(target)] = self.pads[id(source)], self.padders[id(source)]
        self.uses[id(target)] += self.uses[id(source)] - 1

    def affine(self, call: Call, factor: Array, shift: Array) -> None:
        """``factor · x + shift``, folded into the layer before where nobody else reads that."""
        place = self.place(call.inputs[0])
        if self.sections.may_fold(place) and self.uses[id(call.inputs[0])] == 1:
            self.sections.made[place].fold(factor, shift)
        else:
            place = self.sections.scale(place, call.layer.name, factor, shift)
        self.put(call, place)

    def activate(self, call: Call, place: int, name: str, alone: bool) -> None:
        """An activation by Darknet's name after a place that nobody else reads, or somebody does."""
        made = self.sections.made
        if name == "relu6":  # 6 - relu(6 - relu(x)): the first Darknet and OpenCV have no relu6
            self.activate(call, place, "relu", alone)
            place, channels = self.places[id(call.outputs[0])], self.sections.shape(place)[2]
            for last in (False, True):
                minus, six = np.full(channels, -1, np.float32), np.full(channels, 6, np.float32)
                place = self.sections.scale(place, call.layer.name, minus, six)
                made[place].activation = "linear" if last else "relu"
                made[place].positive = True
        elif name != "linear":
            if not (alone and place != IMAGE and made[place].activation == "linear"):
                place = self.sections.copy(place, call.layer.name)
            made[place].activation = name
            made[place].positive = name in POSITIVE
        self.put(call, place)


def refused(call: Call, expected: str, got: object, remedy: str = "") -> check.SettingError:
    """What is raised where Darknet has nothing for a layer."""
    return check.SettingError(check.sentence(call.layer.name, expected, got, remedy))
