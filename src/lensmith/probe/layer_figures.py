"""Pictures of what layers give and what they look for: feature maps, kernels, before and after, pooling."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lensmith import check
from lensmith.compose import graph, views
from lensmith.compose.tapping import layer_of
from lensmith.probe import drawing
from lensmith.probe.figure import Figure, file_name, told_apart
from lensmith.probe.maps import Around, Pooling, feature_maps, kernels, strongest

_MOST = 256  # inputs and outputs of a table of weights
_BLANK = np.full((1, 1), 255, "uint8")
_OWN_SCALE = "Each is drawn on its own scale, from dark (its smallest value) to yellow (its largest)."


def layers_to_show(model: Any) -> tuple[str, ...]:
    """The taps of a model, or where it has none, the last layer that gives feature maps of each size in turn.

    Raises:
        SettingError: the layers are not known to be connected.
    """
    whole = graph.flat(model)
    ends: list[tuple[tuple[Any, ...], str]] = []
    for call in graph.calls(whole):
        shape = tuple(call.outputs[0].shape)
        if len(shape) == 4 and call.inputs:
            if ends and ends[-1][0] == shape[1:3]:
                ends.pop()
            ends.append((shape[1:3], str(call.layer.name)))
    return tuple(views.tap_names(whole)) or tuple(dict.fromkeys(name for _, name in ends))


def maps_figures(model: Any, x: np.ndarray, layers: Iterable[str] | None = None, count: int = 16) -> tuple[Figure, ...]:
    """A picture for each layer of the maps that an image makes there.

    Args:
        model: any model made of connected layers.
        x: a batch, of which the first image is shown.
        layers: taps or names of layers; left out, :func:`layers_to_show`.
        count: how many maps at most.

    Raises:
        SettingError: there is no such tap or layer.
        DataError: ``x`` is not what the model takes.
    """
    asked = layers_to_show(model) if layers is None else tuple(layers)
    found = feature_maps(model, x[:1], asked)
    return tuple(told_apart(maps_figure(name, maps[0], count) for name, maps in found.items()))


def maps_figure(layer: str, maps: np.ndarray, count: int = 16) -> Figure:
    """The strongest feature maps of an image, or the strongest units of a dense layer.

    Args:
        layer: what they are called.
        maps: ``(height, width, channels)``, or ``(units,)``.
        count: how many at most.

    Raises:
        DataError: the maps have another shape.
    """
    if maps.ndim not in (1, 3):
        raise check.DataError(check.sentence(layer, "maps (height, width, channels) or (units,)", maps.shape))
    channels, means = strongest(maps, count)
    if maps.ndim == 1:
        rows = [[str(channel), f"{mean:.4g}"] for channel, mean in zip(channels, means, strict=True)]
        picture, note = drawing.table(rows, ["unit", "value"], title=layer), "The units with the largest values."
    else:
        captions = [f"{channel}: {mean:.3g}" for channel, mean in zip(channels, means, strict=True)]
        picture = drawing.grid([drawing.coloured(maps[..., each]) for each in channels], captions, title=layer)
        note = f"The number of each channel and its mean; the strongest first. {_OWN_SCALE}"
    facts = {"layer": layer, "shape": list(maps.shape), "channels": channels.tolist(), "means": _numbers(means)}
    arrays = {"maps": maps[..., channels], "channels": channels, "means": means}
    title = f"What {layer} gives: {len(channels)} of {maps.shape[-1]} {'units' if maps.ndim == 1 else 'channels'}"
    return Figure(file_name("maps", layer), title, picture, arrays, facts, note)


def kernels_figure(model: Any, layer: str, count: int = 64) -> Figure:
    """The largest kernels of a layer: in colour where they see three channels, else blue below 0 and red above.

    Of a convolution of many channels, each kernel is shown where it weighs most: at one input channel. Kernels of one
    pixel, and the weights of dense layers, are shown as one table of inputs and outputs, the largest 256 of either.

    Args:
        model: any model made of connected layers.
        layer: a tap or the name of a layer.
        count: how many kernels at most.

    Raises:
        SettingError: there is no such layer, or it has no kernels.
    """
    found = kernels(model, layer)
    name = layer_of(model, layer)
    parts = [_kernel_picture(f"{name}, {part}", values, count) for part, values in found.items()]
    picture = _stacked(parts)
    facts = {
        "layer": name,
        "shapes": {part: list(values.shape) for part, values in found.items()},
        "norms": {part: _numbers(np.array([np.linalg.norm(values)]))[0] for part, values in found.items()},
    }
    note = "All on one scale: white, or mid-gray in colour, is 0. Kernels of the largest norm first."
    return Figure(file_name("kernels", name), f"The kernels of {name}", picture, found, facts, note)


def before_after_figure(found: Around, count: int = 8) -> Figure:
    """What a layer was called on, above what it gave for the first image: the channels strongest afterwards."""
    channels, _ = strongest(found.after[0], count)
    rows = [
        _row(
            "before" if len(found.before) == 1 else f"before {place}",
            values[0],
            channels if values.shape[-1] == found.after.shape[-1] else None,
            count,
        )
        for place, values in enumerate(found.before, 1)
    ]
    rows.append(_row("after", found.after[0], channels, count))
    columns = max(len(tiles) for tiles, _ in rows)
    tiles = [tile for row, _ in rows for tile in (*row, *[_BLANK] * (columns - len(row)))]
    captions = [text for _, row in rows for text in (*row, *[""] * (columns - len(row)))]
    title = f"{found.layer} ({found.kind}) of {', '.join(found.sources)}"
    picture = drawing.grid(tiles, captions, columns=columns, title=title)
    sources = {f"before-{place}": values[0] for place, values in enumerate(found.before, 1)}
    facts = {
        "layer": found.layer,
        "kind": found.kind,
        "sources": list(found.sources),
        "before": [list(values.shape[1:]) for values in found.before],
        "after": list(found.after.shape[1:]),
        "channels": channels.tolist(),
    }
    name = file_name("before-and-after", found.layer)
    return Figure(
        name, f"Before and after {found.layer}", picture, sources | {"after": found.after[0]}, facts, _OWN_SCALE
    )


def pooling_figure(found: Pooling, count: int = 6) -> Figure:
    """Feature maps of the first image above what pooling makes of them, on the same scale."""
    before = found.before[0]
    after = found.after[0] if found.after.ndim == 4 else found.after[0][None, None]
    channels, _ = strongest(before, count)
    ends = [(float(before[..., each].min()), float(before[..., each].max())) for each in channels]
    tiles = [
        drawing.coloured(maps[..., each], *_scale(low, high))
        for maps in (before, after)
        for each, (low, high) in zip(channels, ends, strict=True)
    ]
    sizes = [f"{maps.shape[0]}×{maps.shape[1]}" for maps in (before, after)]
    captions = [f"{each}: {size}" for size in sizes for each in channels]
    picture = drawing.grid(tiles, captions, columns=len(channels), title=f"{found.layer} ({found.kind})")
    facts = {
        "layer": found.layer,
        "kind": found.kind,
        "before": list(before.shape),
        "after": list(found.after.shape[1:]),
        "factor": list(found.factor),
        "channels": channels.tolist(),
    }
    title = f"{found.layer}: {sizes[0]} to {sizes[1]}, {found.factor[0]:.3g} × {found.factor[1]:.3g} times smaller"
    note = "Above, the strongest maps before pooling; below, the same after it, on the same scale."
    arrays = {"before": before, "after": found.after[0]}
    return Figure(file_name("pooling", found.layer), title, picture, arrays, facts, note)


def _kernel_picture(title: str, values: np.ndarray, count: int) -> np.ndarray:
    largest = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    if values.ndim == 2 or values.shape[:-2] == (1, 1):
        return _matrix(values.reshape(values.shape[-2:]), largest)
    high, wide = (1, values.shape[0]) if values.ndim == 3 else (math.prod(values.shape[:-3]), values.shape[-3])
    folded = values.reshape(high, wide, *values.shape[-2:])
    if "depthwise" in title or (folded.shape[2] > 1 and folded.shape[3] == 1):
        folded = folded.reshape(high, wide, 1, -1)  # each sees one channel
    norms = np.linalg.norm(folded.reshape(-1, folded.shape[3]).astype("float64"), axis=0)
    order = np.argsort(-np.nan_to_num(norms), kind="stable")[:count]
    tiles, captions = [], []
    for each in order:
        channel = int(np.argmax(np.square(folded[..., each]).sum(axis=(0, 1))))
        colour = folded.shape[2] == 3
        tiles.append(
            _colour(folded[..., each], largest) if colour else drawing.signed(folded[:, :, channel, each], largest)
        )
        captions.append(f"{each}" if colour or folded.shape[2] == 1 else f"{each}, input {channel}")
    return drawing.grid(tiles, captions, cell=64, title=title)


def _matrix(values: np.ndarray, largest: float) -> np.ndarray:
    """The rows and columns of largest norm, in their own order, the longer side across."""
    for axis in (0, 1):
        norms = np.nan_to_num(np.linalg.norm(values, axis=1 - axis))
        values = values.take(np.sort(np.argsort(-norms, kind="stable")[:_MOST]), axis=axis)
    return drawing.signed(values if values.shape[1] >= values.shape[0] else values.T, largest or None, bar=True)


def _stacked(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures one below the other on white."""
    wide = max(part.shape[1] for part in parts)
    padded = [np.pad(part, ((0, 0), (0, wide - part.shape[1]), (0, 0)), constant_values=255) for part in parts]
    return np.concatenate(padded)


def _colour(kernel: np.ndarray, largest: float) -> np.ndarray:
    """Weights of red, green and blue as colours; mid-gray is 0."""
    share = np.nan_to_num(kernel / (largest or 1.0), nan=0.0, posinf=1.0, neginf=-1.0)
    return np.rint(127.5 + 127.5 * np.clip(share, -1, 1)).astype("uint8")


def _row(name: str, maps: np.ndarray, channels: np.ndarray | None, count: int) -> tuple[list[np.ndarray], list[str]]:
    """Tiles of some channels and what stands below them; numbers without places make one square."""
    if maps.ndim != 3:
        flat = maps.reshape(-1)
        side = math.ceil(math.sqrt(flat.size))
        square = np.full(side * side, np.nan)
        square[: flat.size] = flat
        return [drawing.coloured(square.reshape(side, side))], [name]
    if maps.shape[-1] == 3 and channels is None:  # an image
        low, high = float(maps.min()), float(maps.max())
        return [np.rint(255 * (maps - low) / ((high - low) or 1.0)).astype("uint8")], [name]
    shown = strongest(maps, count)[0] if channels is None else channels
    tiles = [drawing.coloured(maps[..., each]) for each in shown]
    return tiles, [f"{name}, {each}" if not place else str(each) for place, each in enumerate(shown)]


def _scale(low: float, high: float) -> tuple[float | None, float | None]:
    """The ends of a scale, left to the drawing where they are no numbers."""
    return (low, high) if math.isfinite(low) and math.isfinite(high) else (None, None)


def _numbers(values: np.ndarray | Sequence[float]) -> list[float | None]:
    """As JSON holds them."""
    return [float(value) if math.isfinite(value) else None for value in values]
