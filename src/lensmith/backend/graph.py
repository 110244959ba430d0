"""A functional Keras model as a plain list of steps, for torch.

Keras walks through a model's graph node by node, looks each time at what a call might be given, and keeps every
tensor to the end. Here this is looked at once: a step knows where its inputs are and which tensors nobody reads after
it, so that their memory is used again; and where the model alone reads a tensor, padding goes into the convolution
that follows it, and an activation is done in place. What comes out is what the model gives.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lensmith.backend import load, native

keras = load()

Tensor = Any  # a torch.Tensor
Forward = Callable[[Tensor, bool], Any]  # the input and whether it trains; the outputs in the model's structure


@dataclass(frozen=True, slots=True)
class Step:
    """One layer, or a convolution with the padding before it and the activation after it.

    Args:
        layers: in the order of their calls.
        joined: how the one with an operation does the others' work too; None where each is called by itself.
        operation: of the one that does it all.
        sources: the places of the inputs.
        many: whether the inputs are given as a list.
        target: the place of the output.
        last: the places that no later step reads.
    """

    layers: tuple[Any, ...]
    main: Any
    operation: native.Operation | None
    joined: native.Joined
    sources: tuple[int, ...]
    many: bool
    target: int
    last: tuple[int, ...] = ()

    def __call__(self, inputs: Any, training: bool) -> Tensor:
        if self.operation is not None and native.fits(self.main, inputs):
            outputs = self.operation.run(self.main, inputs, training, self.joined)
            if outputs is not None:
                return outputs
        for layer in self.layers:
            takes = "training" in getattr(layer, "_call_context_args", ())
            inputs = layer(inputs, training=training) if takes else layer(inputs)
        return inputs


def forward(model: Any) -> Forward:
    """A function that does what calling the model does, for one tensor as input.

    Models that are no graph of layers with one tensor out are called as they are.
    """
    steps = _steps(model)
    if steps is None:
        return lambda x, training: model(x, training=training)
    source, target = model.inputs[0], keras.tree.map_structure(id, model.output)
    layers = [layer for step in steps for layer in step.layers]
    whole = weakref.ref(model)  # whoever keeps this function must not keep the model alive by it

    def run(x: Tensor, training: bool) -> Any:
        named = isinstance(x, Mapping)  # features by name, be it a single one
        if named or tuple(x.shape[1:]) != tuple(source.shape[1:]) or any(map(native.hooked, layers)):
            owner: Any = whole()
            return owner(x, training=training)
        places = {id(source): keras.ops.convert_to_tensor(x, dtype=source.dtype)}
        for step in steps:
            inputs = [places[place] for place in step.sources]
            for place in step.last:
                del places[place]
            if step.many:
                places[step.target] = step(inputs, training)
            else:
                only = inputs.pop()  # no name may hold on to it here
                places[step.target] = step(only, training)
                del only
        return keras.tree.map_structure(places.__getitem__, target)

    return run


def _steps(model: Any) -> list[Step] | None:
    """The steps of a model; None where there is a node of another kind than this can run."""
    by_depth = getattr(model, "_nodes_by_depth", None)
    if by_depth is None or len(model.inputs) != 1 or native.hooked(model) or native.special(model):
        return None
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
    found: list[Step] = []
    for node in nodes:
        step = _step(node)
        if step is None:
            return None
        found.append(step)
    outputs = [id(tensor) for tensor in model.outputs]
    return _freed(_joined(found, outputs), outputs)


def _step(node: Any) -> Step | None:
    layer, (args, kwargs) = node.operation, (node.arguments.args, node.arguments.kwargs)
    # Keras notes `training` with each call of a dropout, and passes over what it noted when the model is called.
    settings = [value for name, value in kwargs.items() if name != "training" and value is not None]
    if len(args) != 1 or settings or len(node.outputs) != 1:
        return None
    many = isinstance(args[0], list)
    tensors: Sequence[Any] = args[0] if many else [args[0]]
    if not all(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        return None
    if not isinstance(layer, keras.layers.Layer):
        operation = None
    else:
        operation = None if native.special(layer) else native.operation_of(layer)
    sources = tuple(id(tensor) for tensor in tensors)
    return Step((layer,), layer, operation, native.ALONE, sources, many, id(node.outputs[0]))


def _joined(steps: list[Step], outputs: list[int]) -> list[Step]:
    """The steps with paddings and activations taken into those beside them."""
    readers = Counter(source for step in steps for source in step.sources) + Counter(outputs)
    by_target = {step.target: step for step in steps}
    taken: set[int] = set()
    for step in steps:
        before = by_target.get(step.sources[0])
        if before is None or step.many or readers[before.target] != 1:
            continue
        both = _followed(before, step) or _padded(before, step)
        if both is not None:
            taken.add(before.target)
            by_target[step.target] = both
    return [by_target[step.target] for step in steps if step.target not in taken]


def _followed(before: Step, step: Step) -> Step | None:
    """Two steps as one where the second is an activation that the first can do in place."""
    after = native.in_place(step.main) if step.operation is not None else None
    if after is None or before.operation is None or not before.operation.follows or before.joined.after is not None:
        return None
    joined = native.Joined(before.joined.padding, after)
    return _both(before, step, before, joined)


def _padded(before: Step, step: Step) -> Step | None:
    """Two steps as one where the first adds zeros, as many on either side, that a convolution can add."""
    padding = native.zeros_around(before.main) if before.operation is not None else None
    if padding is None or step.operation is None or not step.operation.pads or step.main.padding != "valid":
        return None
    return _both(before, step, step, native.Joined(padding, step.joined.after))


def _both(before: Step, step: Step, main: Step, joined: native.Joined) -> Step:
    layers = (*before.layers, *step.layers)
    return Step(layers, main.main, main.operation, joined, before.sources, before.many, step.target)


def _freed(steps: list[Step], outputs: list[int]) -> list[Step]:
    """The steps with the places that each is the last to read."""
    seen, found = set(outputs), []
    for step in reversed(steps):
        last = tuple(source for source in dict.fromkeys(step.sources) if source not in seen)
        seen.update(step.sources)
        found.append(
            Step(step.layers, step.main, step.operation, step.joined, step.sources, step.many, step.target, last)
        )
    return found[::-1]
