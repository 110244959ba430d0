"""Pictures of what layers cost and do: the table of layers, their times, and their statistics over a dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lensmith.probe import drawing
from lensmith.probe.accumulating import Spread
from lensmith.probe.figure import Figure
from lensmith.probe.statistics import Activations, Statistics
from lensmith.probe.table import Row, Table
from lensmith.probe.timing import Times

_PAGE = 40  # histograms or rows in one picture
_ROWS = 100  # layers of the table in one picture
_LONGEST = 24  # letters above a histogram
_UNKNOWN = "–"


def table_figures(found: Table) -> tuple[Figure, ...]:
    """The layers with their costs, 100 to a picture; the first holds all facts and arrays."""
    head = ["layer", "kind", "output", "parameters", "trainable", "multiply-adds", "weights", "output of one", "sees"]
    rows = [_table_row(row) for row in found.rows]
    sums = f"{found.parameters:,} parameters, {_count(found.flops)} multiply-adds, {_bytes(found.weight_bytes)} of "
    sums += f"weights, {_bytes(found.peak_bytes)} at most for the outputs of one image"
    numbers: Mapping[str, Callable[[Row], Any]] = {
        "parameters": lambda row: row.parameters,
        "flops": lambda row: row.flops,
        "weight-bytes": lambda row: row.weight_bytes,
        "output-bytes": lambda row: row.output_bytes,
    }
    arrays = {name: np.array([of(row) for row in found.rows], "float64") for name, of in numbers.items()}
    note = "'Sees' is the receptive field in pixels: – is the whole image, or not known."
    title = "Layers, what they cost and how far they see"
    pictures = [drawing.table(part, head, title=sums) for part in _pages(rows, _ROWS) or [[]]]
    first = Figure("layers", title, pictures[0], arrays, found.to_dict(), note)
    return first, *(Figure(_paged("layers", page), title, more) for page, more in enumerate(pictures[1:], 1))


def times_figure(found: Times) -> Figure:
    """The layers by their time, the slowest first."""
    ordered = sorted(found.rows, key=lambda row: -row.milliseconds)
    rows = [
        [row.name, row.kind, str(row.calls), f"{row.milliseconds:.3f}", f"{row.share:.1%}"] for row in ordered[:_PAGE]
    ]
    rest = ordered[_PAGE:]
    if rest:
        spent, share = sum(row.milliseconds for row in rest), sum(row.share for row in rest)
        rows.append([f"{len(rest)} others", "", str(sum(row.calls for row in rest)), f"{spent:.3f}", f"{share:.1%}"])
    title = f"{found.sum:.1f} ms one by one, {found.whole:.1f} ms as a whole, for {found.images} image"
    title += "s" * (found.images != 1)
    note = f"Medians of {found.repeats} passes on {found.backend} ({', '.join(found.devices)}), measured on this "
    note += "machine. The whole may take less than the sum where layers are computed together."
    arrays = {"milliseconds": np.array([row.milliseconds for row in found.rows])}
    picture = drawing.table(rows, ["layer", "kind", "calls", "ms", "share"], title=title)
    return Figure("times", "How long each layer takes", picture, arrays, found.to_dict(), note)


def statistics_figures(found: Statistics) -> tuple[Figure, ...]:
    """A table of the layers, and the histograms of what they give and of their weights, 40 to a picture."""
    activations = [(row.name, row.spread) for row in found.activations]
    large = [row for row in found.weights if len(row.shape) > 1] or list(found.weights)
    weights = [(row.layer if row.name == "kernel" else f"{row.layer}, {row.name}", row.spread) for row in large]
    return (
        *_tables(found),
        *_histograms("activations", "What layers give", activations),
        *_histograms("weights", "The weights of layers", weights),
    )


def _tables(found: Statistics) -> list[Figure]:
    """The first holds all facts."""
    head = ["layer", "activation", "channels", "dead", "constant", "zeros", "low end", "high end", "mean", "deviation"]
    head += ["smallest", "largest", "not finite"]
    rows = [_statistics_row(row) for row in found.activations]
    title = f"What layers do over {found.images:,} image" + "s" * (found.images != 1)
    note = "Dead: channels never above 0. Low and high end: the share of numbers within 0.01 of the ends of a softmax, "
    note += "sigmoid or tanh, or at those of relu6 and hard sigmoid. " + ". ".join(found.notes[:5])
    return [
        Figure(
            _paged("statistics", page),
            title,
            drawing.table(part, head, title=title),
            {},
            {} if page else found.to_dict(),
            note.strip(),
        )
        for page, part in enumerate(_pages(rows))
    ]


def _histograms(name: str, title: str, spreads: Sequence[tuple[str, Spread]]) -> list[Figure]:
    note = "Exact zeros are not drawn; the files hold them too. The number of each is the end of its files' names."
    figures = []
    for page, part in enumerate(_pages(list(enumerate(spreads, 1)))):
        shown = {_label(place, each): _without_zeros(spread) for place, (each, spread) in part}
        arrays = {f"counts-{place}": spread.counts for place, (_, spread) in part}
        arrays |= {f"edges-{place}": spread.edges for place, (_, spread) in part}
        facts = {"names": {str(place): each for place, (each, _) in part}}
        picture = drawing.bars(shown, title=title)
        figures.append(Figure(_paged(f"{name}-histograms", page), title, picture, arrays, facts, note))
    return figures


def _label(place: int, name: str) -> str:
    """A number, and of a long name the end, which tells layers apart."""
    return f"{place} {name if len(name) <= _LONGEST else '…' + name[1 - _LONGEST :]}"


def _without_zeros(spread: Spread) -> tuple[np.ndarray, np.ndarray]:
    counts = spread.counts.copy()
    if spread.zeros:
        counts[np.searchsorted(spread.edges, 0.0, side="right") - 1] -= spread.zeros
    return counts, spread.edges


def _pages(rows: Sequence[Any], size: int = _PAGE) -> list[list[Any]]:
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def _paged(name: str, page: int) -> str:
    return name if page == 0 else f"{name}-{page + 1}"


def _table_row(row: Row) -> list[str]:
    shape = "×".join("?" if side is None else str(side) for side in row.shape)
    return [
        row.name,
        row.kind,
        shape,
        f"{row.parameters:,}",
        f"{row.trainable:,}",
        _count(row.flops),
        _bytes(row.weight_bytes),
        _bytes(row.output_bytes),
        _UNKNOWN if row.field is None else f"{row.field[0]}×{row.field[1]}",
    ]


def _statistics_row(row: Activations) -> list[str]:
    spread = row.spread
    return [
        row.name,
        "" if row.activation == "linear" else row.activation,
        str(row.channels),
        _UNKNOWN if row.dead is None else str(len(row.dead)),
        str(len(row.constant)),
        f"{spread.sparsity:.1%}",
        *(_UNKNOWN if share is None else f"{share:.1%}" for share in (row.low, row.high)),
        *(f"{value:.4g}" for value in (spread.mean, spread.deviation, spread.smallest, spread.largest)),
        f"{spread.nonfinite:,}",
    ]


def _count(number: int | None) -> str:
    """Such as ``3.86 G``."""
    if number is None:
        return _UNKNOWN
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def _bytes(number: int | None) -> str:
    """Such as ``1.2 MiB``."""
    if number is None:
        return _UNKNOWN
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} B"
