"""A model in two halves: the front that a stage leaves as it is, and the rest that it trains.

What the front gives for an image is the same in every epoch, so that it can be computed once and kept. The cut is
made as deep as possible: a layer is in the front when all that it is called on is, when it does not train, and when
it does the same in training as in prediction.

>>> from lensmith.compose import Classify, Dense, Recipe
>>> model = Recipe((784,), None, Dense((32, 16)), {"label": Classify(4, hidden=(8,))}).build(seed=0)
>>> cut = halves(model, ["learner"])
>>> cut.front.output_shape, cut.rest.count_params()
((None, 16), 172)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lensmith import check, trainable
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.compose.graph import Tensor

Node = Any  # of Keras: one call of a layer, with everything it was given


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """Two models that share the layers of the one they were cut from: ``rest(front(x))`` is ``model(x)``.

    Args:
        front: takes what the model takes, and gives what crosses the border: one tensor, or several as a dict by name.
            Nothing in it trains or is left to chance.
        rest: takes that, and gives what the model gives, in the same structure. Training it trains the model.
        frozen: the layers of ``rest`` that are to be left as they are all the same, by path: what
            ``train.Fit.freeze`` has to name when ``rest`` is trained.
    """

    front: Any
    rest: Any
    frozen: tuple[str, ...]


def halves(model: Any, freeze: Iterable[str] = ()) -> Halves:
    """Cut a model where what does not change ends and what trains begins.

    Args:
        model: made of connected layers; models inside it are opened.
        freeze: which layers are left as they are, besides those that do not train anyway, by names or patterns: see
            :mod:`lensmith.trainable`.

    Returns:
        The two halves. Which layers of the model train is the same afterwards.

    Raises:
        SettingError: a pattern chooses no layer with weights; the front would hold no weights, as the first layers
            train; nothing would be left to train; or the model is not made of connected layers.
    """
    still = trainable.chosen("freeze", model, freeze)
    with trainable.held(model, still):
        whole = graph.flat(model)
        nodes = _nodes(whole)
        inside = _front(nodes)
        outside = [node for node in nodes if id(node) not in inside]
        _check_front(whole, [node for node in nodes if id(node) in inside], outside)
        if not any(_trained(node.operation) for node in outside):
            expected, remedy = "layers that still train", "Freeze fewer"
            raise check.SettingError(check.sentence("freeze", expected, "all of them frozen", remedy))
        same = _same([node for node in nodes if id(node) in inside])
        border = _border(whole, outside, same)
        front = keras.Model(whole.input, _one_or_all(border), name=f"{model.name}-front")
        rest = _rest(whole, outside, border, same)
        frozen = tuple(place.path for place in trainable.places(rest) if not place.trains)
    return Halves(front, rest, frozen)


def _nodes(model: Any) -> list[Node]:
    by_depth = graph.connected(model)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _front(nodes: Sequence[Node]) -> set[int]:
    """Which calls give the same for an image in every epoch."""
    fixed: set[int] = set()
    found: set[int] = set()
    for node in nodes:
        if all(id(tensor) in fixed for tensor in node.input_tensors) and (node.is_input or _fixed(node.operation)):
            fixed |= {id(tensor) for tensor in node.outputs}
            found.add(id(node))
    return found


def _fixed(layer: Any) -> bool:
    """Whether a layer does not train, and does in training what it does in prediction."""
    if not isinstance(layer, keras.layers.Layer):
        return True  # an operation of keras.ops
    parts = layer._flatten_layers()
    if _trained(layer) or any(part._seed_generators or part.activity_regularizer is not None for part in parts):
        return False
    return not layer._call_has_context_arg.get("training") or all(_same_in_training(part) for part in parts)


def _same_in_training(layer: Any) -> bool:
    """Whether being told that it trains changes nothing for a layer that draws nothing and does not train."""
    if isinstance(layer, keras.layers.BatchNormalization):
        return not layer.trainable
    # Nobody knows what a user's own layer does; and the norm of the spectrum is followed in training.
    own = not type(layer).__module__.startswith(("keras.", "lensmith."))
    return not (own or isinstance(layer, keras.layers.SpectralNormalization))


def _trained(layer: Any) -> list[Any]:
    return list(getattr(layer, "trainable_weights", ()))


def _check_front(model: Any, front: Sequence[Node], rest: Sequence[Node]) -> None:
    if any(getattr(node.operation, "weights", ()) for node in front):
        return
    known = {id(tensor) for node in front for tensor in node.outputs}
    first = [node.operation.name for node in rest if all(id(tensor) in known for tensor in node.input_tensors)]
    got = f"{first[0]}, which trains or is left to chance, before all of them" if first else "a model without weights"
    remedy = "Freeze the first part too, such as 'stem'"
    raise check.SettingError(check.sentence("freeze", f"frozen layers at the start of {model.name}", got, remedy))


def _same(front: Sequence[Node]) -> dict[int, Tensor]:
    """The one that stands for each tensor: two heads often take the same average of the same maps."""
    first: dict[str, Sequence[Tensor]] = {}
    found: dict[int, Tensor] = {}
    for node in front:
        outputs = node.outputs
        if isinstance(node.operation, keras.layers.Layer) and node.input_tensors and not node.operation.weights:
            config = {name: value for name, value in node.operation.get_config().items() if name != "name"}
            inputs = [id(found[id(tensor)]) for tensor in node.input_tensors]
            given = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
            if len(given) == len(inputs):  # nothing but tensors
                outputs = first.setdefault(f"{type(node.operation)} {config} {inputs}", outputs)
        found |= {id(mine): one for mine, one in zip(node.outputs, outputs, strict=True)}
    return found


def _border(model: Any, outside: Sequence[Node], same: Mapping[int, Tensor]) -> dict[str, Tensor]:
    """The tensors that the rest takes from the front, by name."""
    used = [tensor for node in outside for tensor in node.input_tensors] + graph.outputs_of(model)
    crossing = {id(same[id(tensor)]): same[id(tensor)] for tensor in used if id(tensor) in same}
    named: dict[str, Tensor] = {}
    for tensor in crossing.values():
        name = base = f"{tensor._keras_history.operation.name}-features"
        while name in named:  # a layer that is called twice, or gives several
            name = f"{base}-{sum(other.startswith(base) for other in named) + 1}"
        named[name] = tensor
    return named


def _rest(model: Any, outside: Sequence[Node], border: Mapping[str, Tensor], same: Mapping[int, Tensor]) -> Any:
    """The calls behind the border once more, on inputs of their own."""
    inputs = {
        name: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=name) for name, tensor in border.items()
    }
    crossed = {id(tensor): inputs[name] for name, tensor in border.items()}
    known = {place: crossed[id(tensor)] for place, tensor in same.items() if id(tensor) in crossed}
    for node in outside:
        args, kwargs = node.arguments.fill_in(known)
        given = keras.tree.flatten(node.operation(*args, **kwargs))
        known |= {id(tensor): new for tensor, new in zip(node.outputs, given, strict=True)}
    if isinstance(model.output, dict):  # in its own order, which Keras would sort
        outputs: Any = {task: known[id(tensor)] for task, tensor in model.output.items()}
    else:
        outputs = keras.tree.map_structure(lambda tensor: known[id(tensor)], model.output)
    return keras.Model(_one_or_all(inputs), outputs, name=f"{model.name}-rest")


def _one_or_all(named: Mapping[str, Tensor]) -> Any:
    return next(iter(named.values())) if len(named) == 1 else dict(named)
