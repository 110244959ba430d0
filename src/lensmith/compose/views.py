"""Views of a model: other outputs of the same layers, and its feature maps by stride.

A view shares every layer with the model it was taken from: training one trains the other. Views are taken of models
built from recipes and of any other model made of connected layers, models inside it included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import graph
from lensmith.compose.graph import Call, Tensor
from lensmith.compose.sketch import Sketch

_HEAD = re.compile(r"task-([A-Za-z0-9_]+)-(?:logits|output)")
_LATER = ("task-", "decoder-")  # what comes after a model's encoding
# A part of the model; its last layer is a candidate for a tap.
_PART = re.compile(r"stem(?:-\d+|-pool$)?(?=-|$)|learner-group\d+(?:-block\d+|-pool$)?|learner-(?!decoder)[a-z]+\d*")
# Layers whose result is of another size than their strides tell.
_RESIZING = re.compile("Global|Resiz|Reshape")
# Layers that end a part without giving feature maps of its own: what they pass on is there before.
_PASSING = re.compile("Padding|Dropout|Noise|DropPath|StochasticDepth")

# Keras layers whose activation is the last thing they do.
_ACTIVATED = ("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "SeparableConv2D")
PROBABILISTIC = ("softmax", "sigmoid")

Factors = tuple[Fraction, Fraction]  # how many times smaller than the input, down and across


def heads(model: Any) -> dict[str, str]:
    """The layer of each task that gives its logits, or its numbers for a regression, in the order of the tasks.

    Raises:
        SettingError: the model has none, so it was not built from a recipe.
    """
    found = heads_found(model)
    if not found:
        raise check.SettingError("model: expected layers named task-NAME-logits; got none. Was it built from a recipe?")
    return found


def encoding(model: Any) -> Any:
    """The last feature maps before the heads, of shape ``(batch, height, width, channels)``.

    Of a model with several heads, those that the first one gets; before a decoder where there is one. A recipe
    whose learner is dense has no feature maps: its encoding is the learner's last layer, ``(batch, features)``.

    Raises:
        SettingError: the model has no feature maps, or is not made of connected layers.
    """
    named = any(layer.name.startswith("task-") for layer in model.layers)
    model = graph.connected(model) if named else graph.flat(model)
    steps = [call for call in _to_first_output(model) if not call.layer.name.startswith(_LATER)]
    if not named:
        steps = _with_maps(steps)
    if not steps:
        remedy = "Take its embedding"
        raise check.SettingError(check.sentence("encoding", "a model with feature maps", "none in it", remedy))
    return keras.Model(model.input, steps[-1].outputs[0], name="encoding")


def embedding(model: Any) -> Any:
    """The vector that the first task's logits are computed from, of shape ``(batch, features)``.

    It is the pooled feature maps, or the last hidden layer where the head has hidden layers; of a detector the
    averages of the :func:`encoding`. Of a model of the user's own, or whose learner gives the logits itself, it is
    what its last layer with weights is called on; feature maps are averaged over their pixels.

    Raises:
        SettingError: the model has no layer with weights, or its last one is called on several tensors.
    """
    found = heads_found(model)
    last = next(iter(found.values()), "")
    model = graph.connected(model) if found else graph.flat(model)
    steps = [call for call in _to_first_output(model) if getattr(call.layer, "weights", ())]
    # Of a head whose average comes last, and of one whose numbers are put in another order, which have no weights.
    names = {last, *(re.sub("(?:logits|output)$", kind, last) for kind in ("maps", "numbers"))}
    own = [call for call in steps if call.layer.name in names]
    if _reads_maps(model, last) and not own:
        return _averaged(model, encoding(model).output)
    steps = own or [call for call in steps if not call.layer.name.startswith("task-")]
    if not steps or len(steps[-1].inputs) != 1:
        got = f"{steps[-1].layer.name}, called on several" if steps else "a model without weights"
        raise check.SettingError(check.sentence("embedding", "a last layer with weights that is called once", got))
    return _averaged(model, steps[-1].inputs[0])


def _averaged(model: Any, x: Tensor) -> Any:
    """A view that ends with a row: of feature maps with the average of each."""
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D(name="embedding-pool")(x)
    return keras.Model(model.input, x, name="embedding")


def _reads_maps(model: Any, head: str) -> bool:
    """Whether the layer of a head's logits gives a row for each candidate of a detector."""
    return head.endswith("-logits") and len(model.get_layer(head).output.shape) == 3


def logits(model: Any) -> Any:
    """The model without its last activations, in the same structure: what a loss should be computed from.

    Of a model of the user's own, the activation is the last layer, or belongs to it (``Dense(10,
    activation="softmax")``); that layer is then replaced by one without activation that has the same variables.

    Raises:
        SettingError: the model is not made of connected layers, or its last layer cannot be had without activation.
    """
    found = heads_found(model)
    if found:
        outputs = {name: model.get_layer(layer).output for name, layer in found.items()}
        return keras.Model(model.input, outputs if len(outputs) > 1 else next(iter(outputs.values())), name="logits")
    model = graph.flat(model)
    steps = graph.calls(model)
    return keras.Model(model.input, _each_output(model, lambda _, x: _not_activated(x, steps)), name="logits")


def probabilities(model: Any, activation: str | Mapping[str, str] | None = None) -> Any:
    """The model with its last activations, in the same structure: what a user wants to see.

    Outputs that come from a softmax or a sigmoid stay as they are, and so do the plain numbers of a regression
    built from a recipe.

    Args:
        model: one whose outputs are probabilities or logits.
        activation: what makes probabilities of outputs that are logits, ``softmax`` or ``sigmoid``; or one for each
            task.

    Raises:
        SettingError: an output is no probability, and no activation was named for it.
    """
    model = graph.flat(model)
    steps = graph.calls(model)

    def activated(task: str, x: Tensor) -> Tensor:
        layer = graph.giver(x, steps).layer
        regresses = _HEAD.fullmatch(layer.name) and layer.name.endswith("-output")
        regresses = regresses or layer.name.endswith("-detections")  # which are decoded already
        if regresses or activation_of(layer) in PROBABILISTIC:
            return x
        wanted = activation.get(task) if isinstance(activation, Mapping) else activation
        place = "activation" + f" of {task}" * bool(task)
        check.one_of(place, wanted, PROBABILISTIC, f"{layer.name} gives no probabilities; name what makes them")
        name = f"{layer.name.removesuffix('-logits')}-probabilities"
        return keras.layers.Activation(wanted, name=name)(x)

    return keras.Model(model.input, _each_output(model, activated), name="probabilities")


def tap_names(model: Any) -> dict[str, str]:
    """The layer that holds the last feature maps of each size, by how many times smaller they are.

    ``P3`` is 2³ times smaller than the input in each direction; where the factor is not a power of two the
    name is ``S6`` for six times. The names are layer names, so they survive saving and loading.

    Only the ends of parts count: of the stem and its steps, of each block and pool of the learner. What comes after
    feature maps have been made larger again, as in a decoder, is no tap.

    >>> from lensmith.compose import zoo
    >>> tap_names(zoo.get("resnet18-v1").build())["P5"]
    'learner-group4-block2-relu'
    """
    factors = _factors(graph.calls(model))
    ends: dict[str, str] = {}
    for layer in model.operations:  # of a sketched model they are no layers
        match = _PART.match(layer.name)
        if match and layer.name in factors and not _is(layer, _PASSING):
            ends.pop(match[0], None)  # so that the parts come in the order in which they end
            ends[match[0]] = layer.name
    taps: dict[int, str] = {}
    for name in ends.values():  # a later part of the same size replaces an earlier one
        down, across = factors[name]
        if down == across and down.denominator == 1:
            taps[down.numerator] = name
    return {tap_name(stride): name for stride, name in sorted(taps.items())}


def tap_name(stride: int) -> str:
    """``P`` and the exponent for a power of two, else ``S`` and the stride itself."""
    return f"P{stride.bit_length() - 1}" if stride & (stride - 1) == 0 else f"S{stride}"


def activation_of(layer: Any) -> str:
    """The name of the activation a layer is or ends in, such as ``softmax``; ``linear`` where there is none."""
    kind = type(layer).__name__.lower()
    if kind in PROBABILISTIC:
        return kind
    function = getattr(layer, "activation", None)
    return "linear" if function is None else str(getattr(function, "__name__", type(function).__name__)).lower()


def heads_found(model: Any) -> dict[str, str]:
    """As :func:`heads`, and none where there are none."""
    found = {match[1]: layer.name for layer in model.layers if (match := _HEAD.fullmatch(layer.name))}
    # Keras sorts layers by depth, which is not the order of the tasks.
    order = model.output if found and isinstance(model.output, dict) else found
    return {name: found[name] for name in order if name in found}


def _each_output(model: Any, change: Callable[[str, Tensor], Tensor]) -> Any:
    """The model's outputs, changed, in their structure; the change is told the task where there are several."""
    if isinstance(model.output, dict):
        return {task: change(task, tensor) for task, tensor in model.output.items()}
    return keras.tree.map_structure(lambda tensor: change("", tensor), model.output)


def _to_first_output(model: Any) -> tuple[Call, ...]:
    first = next(iter(model.output.values())) if isinstance(model.output, dict) else graph.outputs_of(model)[0]
    return graph.leading_to([first], graph.calls(model))


def _with_maps(steps: Iterable[Call]) -> list[Call]:
    """The calls that give feature maps; those of one pixel only where there are no others: they are pooled."""
    maps = [call for call in steps if call.inputs and len(call.outputs[0].shape) == 4]
    return [call for call in maps if call.outputs[0].shape[1:3] != (1, 1)] or maps


def _not_activated(x: Tensor, steps: Iterable[Call]) -> Tensor:
    call = graph.giver(x, steps)
    if activation_of(call.layer) == "linear":
        return x
    if isinstance(call.layer, keras.layers.Activation) or type(call.layer).__name__.lower() in PROBABILISTIC:
        return call.inputs[0]
    return _linear(call.layer)(*call.inputs)


def _linear(layer: Any) -> Any:
    """A layer that has the same variables and no activation."""
    remedy = "Let it end without activation, and add keras.layers.Activation after it"
    text = check.sentence("logits", "a last layer whose activation can be left out", layer.name, remedy)
    kinds = tuple(getattr(keras.layers, kind) for kind in _ACTIVATED)
    if not isinstance(layer, kinds):
        raise check.SettingError(text)
    other = type(layer).from_config(layer.get_config() | {"activation": "linear"})
    other.built = True  # building it would make new variables
    for name, value in vars(layer).items():
        # Of what building would have set, the variables, and that there is no bias.
        if isinstance(value, keras.Variable) or (name == "bias" and value is None):
            setattr(other, name, value)
    if [id(weight) for weight in other.weights] != [id(weight) for weight in layer.weights]:
        raise check.SettingError(text)
    return other


def _factors(steps: Iterable[Call]) -> dict[str, Factors]:
    """How many times smaller than the input each layer's feature maps are, before any are made larger again."""
    known: dict[int, tuple[Factors, bool]] = {}
    for call in steps:
        sources = [known[id(tensor)] for tensor in call.inputs if id(tensor) in known]
        if len(call.outputs[0].shape) != 4 or _is(call.layer, _RESIZING) or (call.inputs and not sources):
            continue
        down, across = (max((source[0][axis] for source in sources), default=Fraction(1)) for axis in (0, 1))
        grows = isinstance(call.layer, keras.layers.Conv2DTranspose | keras.layers.UpSampling2D)
        sides = _sides(call.layer)
        factors = (down / sides[0], across / sides[1]) if grows else (down * sides[0], across * sides[1])
        grown = any(source[1] for source in sources) or (grows and max(sides) > 1)
        known |= {id(tensor): (factors, grown) for tensor in call.outputs}
    ends = ((call.layer.name, known.get(id(call.outputs[0]))) for call in steps)
    return {name: found[0] for name, found in ends if found is not None and not found[1]}


def _sides(layer: Any) -> tuple[int, int]:
    own = getattr(layer, "size" if isinstance(layer, keras.layers.UpSampling2D) else "strides", 1)
    down, across = own if isinstance(own, tuple | list) else (own, own)
    return int(down), int(across)


def _is(layer: Any, kind: re.Pattern[str]) -> bool:
    names = [layer.kind] if isinstance(layer, Sketch) else [each.__name__ for each in type(layer).__mro__]
    return any(kind.search(name) for name in names)
