"""The network that a painting is judged by: its layers, its weights, and what it wants of pixels.

Names such as ``block5_conv2`` mean, for VGG, the maps behind that convolution and its rectifier, as in Gatys, Ecker
and Bethge 2016 and in ``keras.applications``. Taps (``P3``) and names of layers mean themselves, in any model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import Classify, graph, views, weights, zoo
from lensmith.compose.tapping import tapped
from lensmith.compose.weights.partial import load_as_far_as, scaling_in
from lensmith.compose.weights.vgg import PREPARED
from lensmith.data import Preprocessing
from lensmith.stylize import colours

Tensor = Any  # of the backend in use

_PAPER = re.compile(r"block(\d+)_conv(\d+)")
_OURS = re.compile(r"learner-group(\d+)-block(\d+)-(?:conv|activation)")


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A model whose feature maps an image is compared by.

    Args:
        name: what messages call it.
        model: any ``keras.Model`` made of connected layers, with one input.
        layers: by the names asked for, the layers used. Where a file's weights end before a layer, that is the deepest
            one with weights; several names may then have the same.
        replaced: those names, and what each of them stands for instead, as a person would call it.
        preprocessing: what the model wants of pixels.
        trained: whether the weights come from training, and not from chance.
    """

    name: str
    model: Any
    layers: Mapping[str, str]
    replaced: tuple[tuple[str, str], ...]
    preprocessing: Preprocessing
    trained: bool

    def prepare(self, pixels: Tensor) -> Tensor:
        """What the model takes, of pixels: can be differentiated.

        Args:
            pixels: RGB, float32 ``(images, height, width, 3)``, 0..1.

        Returns:
            ``(images, height, width, channels)``; for a model of gray images, their luma.
        """
        ops = keras.ops
        multiplier, offset = self.preprocessing.affine()
        if self.preprocessing.shape[-1] == 1:
            pixels = sum(pixels[..., i : i + 1] * share for i, share in enumerate(colours.WEIGHTS.tolist()))
        elif self.preprocessing.turned:
            pixels = ops.flip(pixels, axis=-1)
        return ops.add(ops.multiply(pixels, multiplier * 255), offset)

    def taps(self, size: tuple[int, int]) -> Any:
        """The model for images of one size, as far as the deepest of the layers and no further.

        Args:
            size: height and width.

        Returns:
            A ``keras.Model`` that shares its layers with the whole one. Its output is a dict by the names asked for,
            of maps ``(images, height', width', channels)``.

        Raises:
            SettingError: nothing of such an image reaches some layer, or one of them takes images of one size only.
        """
        model = _cut(self.model, self.layers.values(), size)
        if isinstance(model, str):
            least = _least(self.model, self.layers.values(), min(size))
            if least is None:
                raise check.SettingError(model)
            expected = f"images of at least {least} x {least} pixels for {', '.join(self.layers)} of {self.name}"
            raise check.SettingError(check.sentence("size", expected, f"{size[1]} x {size[0]}"))
        return keras.Model(model.input, {asked: model.output[used] for asked, used in self.layers.items()}, name="taps")


def open_network(
    source: Any,
    layers: Iterable[str],
    *,
    weights: Path | str | None = None,
    preprocessing: Preprocessing | None = None,
    random: bool = False,
    seed: int = 0,
) -> Network:
    """A network by its name in the zoo with weights, or a model of the user's own.

    Args:
        source: ``vgg19`` or another name of the zoo; or a ``keras.Model``, whose weights are its own.
        layers: whose feature maps are wanted: ``block5_conv2`` and the like for VGG, taps such as ``P3``, or names of
            layers.
        weights: a file of them, which may end before the network does; ``imagenet`` for those that Keras publishes,
            fetched where they are not in its cache. Left out: those in Keras' cache.
        preprocessing: what the model wants of pixels. Needed for a model; for a network of the zoo it is known by the
            weights, unless they have Lensmith's own names.
        random: whether to leave the weights to chance where none are given, whatever is in the cache.
        seed: of such weights.

    Returns:
        The network. Layers that a file has no weights for are replaced by the deepest layer of the same kind that it
        has all weights for, and listed as such.

    Raises:
        SettingError: there is no such network or layer, with the nearest name; there are no trained weights, and
            random ones were not asked for; or it is not known what the weights want of pixels.
        DataError: the file cannot be read, or is of another network.
        LensmithError: the weights cannot be fetched.

    Example:
        >>> network = open_network("vgg19", ["block1_conv1", "block2_conv1"], random=True)
        >>> {name: tuple(tensor.shape) for name, tensor in network.taps(size=(32, 48)).output.items()}
        {'block1_conv1': (None, 32, 48, 64), 'block2_conv1': (None, 16, 24, 128)}
    """
    asked = tuple(dict.fromkeys(layers))
    if not asked:
        raise check.SettingError(check.sentence("layers", "at least one", "none"))
    if not isinstance(source, str):
        return _of_model(source, asked, preprocessing)
    recipe = zoo.get(source)
    if len(recipe.input) != 3:
        raise check.SettingError(check.sentence("network", "one that takes images", repr(source)))
    # Heads are not needed, and VGG's have six times the weights of all other layers.
    model = replace(recipe, tasks={"label": Classify(2)}, auxiliaries=()).build(seed=seed)
    named = {name: _layer(model, name) for name in asked}
    file = _file(source, weights, random=random)
    if file is None:
        wants = preprocessing or _preprocessing(recipe.input, _published(source))
        return Network(source, model, named, (), wants, False)
    report, missing = load_as_far_as(model, source, file)
    settings = {} if preprocessing else _trained_with(file, report)
    used = _reached(model, named, missing)
    return Network(
        source,
        model,
        used,
        tuple((name, _called(used[name])) for name in asked if used[name] != named[name]),
        preprocessing or _preprocessing(recipe.input, settings),
        True,
    )


def _of_model(model: Any, asked: Sequence[str], preprocessing: Preprocessing | None) -> Network:
    if not isinstance(model, keras.Model):
        expected = "a name of the zoo, or a keras.Model"
        raise check.SettingError(check.sentence("network", expected, type(model).__name__))
    if preprocessing is None or preprocessing.image is None:
        remedy = "Pass preprocessing=Preprocessing(image=(height, width, channels), …)"
        raise check.SettingError(check.sentence("preprocessing", "what the model wants of pixels", "none", remedy))
    inputs = graph.connected(model).inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        got = " and ".join(str(tuple(source.shape[1:])) for source in inputs)
        raise check.SettingError(check.sentence(str(model.name), "a model that takes one image", got))
    if inputs[0].shape[-1] != preprocessing.image[-1]:
        expected = f"{inputs[0].shape[-1]} channels, as the model takes"
        raise check.SettingError(check.sentence("preprocessing.image", expected, preprocessing.image[-1]))
    return Network(str(model.name), model, {name: _layer(model, name) for name in asked}, (), preprocessing, True)


# --- layers --------------------------------------------------------------------------------------------------------


def _layer(model: Any, asked: str) -> str:
    """The layer that a name stands for; it gives feature maps."""
    flat = graph.flat(model)
    shapes = {call.layer.name: call.outputs[0].shape for call in graph.calls(flat)}
    by_paper = {_called(name): name for name in shapes if name.endswith("-activation") and _OURS.fullmatch(name)}
    known = {**by_paper, **views.tap_names(flat), **{name: name for name, shape in shapes.items() if len(shape) == 4}}
    if asked in known:
        return str(known[asked])
    if asked in shapes:
        expected = "a layer that gives feature maps"
        raise check.SettingError(check.sentence("layers", expected, f"{asked}, which gives {shapes[asked][1:]}"))
    listed = ", ".join([*by_paper, *views.tap_names(flat)])
    expected = f"one of {listed}, or the name of a layer" if listed else "the name of a layer"
    raise check.SettingError(check.sentence("layers", expected, repr(asked), check.nearest(asked, known)))


def _called(layer: str) -> str:
    """A layer as the paper calls it: ``learner-group5-block2-activation`` is ``block5_conv2``."""
    match = _OURS.fullmatch(layer)
    return f"block{match[1]}_conv{match[2]}" if match else layer


def _reached(model: Any, named: Mapping[str, str], missing: Collection[str]) -> dict[str, str]:
    """The layers, each that is computed with weights that are missing replaced by the deepest of its kind that is not.

    Raises:
        SettingError: the weights reach none.
    """
    without: set[int] = set()
    reached: dict[str, Any] = {}
    for call in graph.calls(model):
        if call.layer.name in missing or any(id(tensor) in without for tensor in call.inputs):
            without |= {id(tensor) for tensor in call.outputs}
        elif call.inputs and len(call.outputs[0].shape) == 4:
            reached[call.layer.name] = call.layer
    used = {}
    for asked, layer in named.items():
        kind = type(model.get_layer(layer))
        alike = [name for name, other in reached.items() if type(other) is kind] or list(reached)
        if not alike:
            raise check.DataError(check.sentence("weights", f"those that lead to {asked}", "none of them"))
        used[asked] = layer if layer in reached else alike[-1]
    return used


# --- weights -------------------------------------------------------------------------------------------------------


def _file(name: str, wanted: Path | str | None, *, random: bool) -> Path | None:
    """The file of weights; None where they are to be left to chance."""
    published = weights.PUBLISHED.get(name, {})
    sources = [published[kind] for kind in ("imagenet-features", "imagenet", "cifar10") if kind in published]
    if wanted is None and random:
        return None
    if wanted is not None and str(wanted) != "imagenet":
        return Path(wanted)
    folder = backend.config_path().parent / "models"
    cached = [source for source in sources if (folder / source.file).is_file()]
    if wanted is None and not cached:
        fetched = ", 'imagenet' to fetch Keras' own" if sources else ""
        remedy = f"Give --weights FILE ({_fitting(name)}){fetched}, or ask for random weights"
        raise check.SettingError(check.sentence("weights", f"trained weights of {name}", "none", remedy))
    if not sources:
        raise check.SettingError(f"weights: none are published for {name}. Give --weights FILE ({_fitting(name)})")
    try:
        return weights.fetch((cached or sources)[0])
    except check.LensmithError as error:
        raise check.LensmithError(f"{error}. Or give --weights FILE ({_fitting(name)})") from error


def _fitting(name: str) -> str:
    """Which files have names that are known."""
    names = ", ".join(names.name for names in weights.maps_for(name))
    return f".h5, .npz, .safetensors or a PyTorch state dict, with the names of {names}"


def _published(name: str) -> Mapping[str, Any]:
    """What the network's published weights want of pixels; 0..1 where none are published."""
    sources = list(weights.PUBLISHED.get(name, {}).values())
    return sources[0].preprocessing if sources else {"scaling": "0..1"}


def _trained_with(file: Path, report: weights.Report) -> Mapping[str, Any]:
    own = scaling_in(weights.read(file)) if report.names == PREPARED.name else None
    return weights.trained_with(report) if own is None else own


def _preprocessing(image: tuple[int, ...], settings: Mapping[str, Any]) -> Preprocessing:
    return Preprocessing(image=(image[0], image[1], image[2]), **settings)


# --- sizes ---------------------------------------------------------------------------------------------------------


def _cut(model: Any, layers: Iterable[str], size: tuple[int, int]) -> Any | str:
    """The model for images of a size; in words why not, where nothing of them reaches some layer."""
    try:
        found = tapped(model, dict.fromkeys(layers), size=size)
    except check.SettingError as error:
        return str(error)
    empty = [name for name, tensor in found.output.items() if 0 in tensor.shape[1:]]
    return f"size: nothing of {size[1]} x {size[0]} pixels reaches {empty[0]}" if empty else found


def _least(model: Any, layers: Iterable[str], above: int) -> int | None:
    """The side of the smallest square image that reaches all layers; None where none of a reasonable size does."""
    wanted = list(layers)
    low, high = above, 2 * above
    while isinstance(_cut(model, wanted, (high, high)), str):
        low, high = high, 2 * high
        if high > 1024:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if isinstance(_cut(model, wanted, (middle, middle)), str) else (low, middle)
    return high
