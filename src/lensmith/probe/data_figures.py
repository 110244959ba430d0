"""Pictures of a data set as a model sees it: what a unit answers to, maps, neighbours, and where two models differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from lensmith import check
from lensmith.probe import drawing
from lensmith.probe.agreement import ClassAgreement, Disagreement, NumberAgreement
from lensmith.probe.comparing import Comparison
from lensmith.probe.embedding import Embedded, Neighbour, pca, tsne
from lensmith.probe.examples import Activating, MostActivating
from lensmith.probe.figure import Figure, file_name, told_apart
from lensmith.probe.maximise import Maximised

MOST = 2000  # examples in t-SNE, which takes about a minute for them
_NAMES = 16  # of classes, whose counts are a table; of more, the pairs that differ are listed
_PAIRS = 24  # of them
_TILE = 144  # pixels of an image that has a caption of several words
_FRAME = (255, 96, 0)


def examples_figure(found: MostActivating) -> Figure:
    """The examples that a unit answers to most, each with its value; what its strongest position sees is framed."""
    said = [f"{one.value:.4g}, {_short(one.source)}" for one in found.found]
    title = f"What channel or unit {found.unit} of {found.layer} answers to most, of {found.seen:,} examples"
    images = found.found[0].content.ndim == 3
    if images:
        picture = drawing.grid([_framed(one) for one in found.found], said, cell=_TILE, title=title)
    else:
        rows = [[one.source, f"{one.value:.4g}"] for one in found.found]
        picture = drawing.table(rows, ["example", "value"], title=title)
    note = f"By the {found.by} of the unit, the largest first."
    if any(one.patch is not None for one in found.found):
        note += " The frame shows the pixels that its strongest position sees."
    arrays = {
        "values": np.array([one.value for one in found.found]),
        "images" if images else "rows": np.stack([one.content for one in found.found]),
    }
    return Figure(file_name("examples", found.layer, str(found.unit)), title, picture, arrays, found.to_dict(), note)


def maximised_figure(found: Maximised | Sequence[Maximised]) -> Figure:
    """The images painted for units of one layer, or for classes of one head, each with its last value.

    Raises:
        DataError: there is none.
    """
    painted = list(found) if isinstance(found, Sequence) else [found]
    if not painted:
        raise check.DataError(check.sentence("maximised", "at least one image", "none"))
    layer, names = painted[0].layer, [one.name or str(one.unit) for one in painted]
    shown = ", ".join(names[:6]) + ", …" * (len(names) > 6)
    title = f"What {layer} looks for: {shown}"
    captions = [f"{name}: {_number(one.values[-1])}" for name, one in zip(names, painted, strict=True)]
    cell = 224 if len(painted) == 1 else _TILE
    picture = drawing.grid([one.image for one in painted], captions, cell=cell, title=title)
    # Those that stopped early have fewer values.
    values = np.full((len(painted), max(len(one.values) for one in painted)), np.nan, np.float32)
    for row, one in zip(values, painted, strict=True):
        row[: len(one.values)] = one.values
    note = "Painted from noise by climbing the derivative of the unit; a number is the unit's value for the image."
    stopped = [f"{name}: {one.stopped}" for name, one in zip(names, painted, strict=True) if one.stopped]
    note += f" Stopped early: {'; '.join(stopped)}." * bool(stopped)
    arrays = {"images": np.stack([one.image for one in painted]), "values": values}
    name = file_name("maximised", layer, *names[:6])
    return Figure(name, title, picture, arrays, {"units": [one.to_dict() for one in painted]}, note)


def embedding_figures(embedded: Embedded, *, seed: int = 0, most: int = MOST) -> tuple[Figure, ...]:
    """The data set as a map: by its principal components, and by t-SNE; in the colours of the classes where known.

    Args:
        embedded: what :func:`lensmith.probe.embedding.embed` gave.
        seed: of t-SNE.
        most: examples in t-SNE at most; of more, as many evenly chosen ones.
    """
    check.positive("most", most)
    line = pca(embedded.vectors)
    shares = " and ".join(f"{100 * share:.0f} %" for share in line.explained)
    note = f"The two directions in which the vectors differ most hold {shares} of their variance."
    whole = np.arange(len(embedded))
    facts: dict[str, Any] = {"explained": list(line.explained)}
    first = _map_figure("pca", "principal components", embedded, whole, line.points, note, facts)
    chosen = np.linspace(0, len(embedded) - 1, min(most, len(embedded))).round().astype(int)
    near = tsne(embedded.vectors[chosen], seed=seed)
    note = f"By {near.method}: what lies near is alike; how far groups lie apart means little."
    note += f" {len(chosen):,} of {len(embedded):,} examples, evenly chosen." * (len(chosen) < len(embedded))
    facts = {"method": near.method, "seed": seed}
    return first, _map_figure("tsne", near.method, embedded, chosen, near.points, note, facts)


def neighbours_figure(
    embedded: Embedded, found: Sequence[Neighbour], image: np.ndarray | None = None, name: str = "image"
) -> Figure:
    """The nearest neighbours of an image, with their similarity.

    Args:
        embedded: the data set.
        found: what :func:`lensmith.probe.embedding.neighbours` gave.
        image: the one that was asked about, uint8; shown first.
        name: what it is called.
    """
    said = [_neighbour(one) for one in found]
    title = f"Nearest to {_short(name)}, of {len(embedded):,} examples"
    if embedded.thumbnails is None:
        rows = [[one.source, one.name, f"{one.similarity:.4f}"] for one in found]
        picture = drawing.table(rows, ["example", "class", "similarity"], title=title)
    else:
        tiles, captions = [embedded.thumbnails[one.place] for one in found], said
        if image is not None:
            tiles, captions = [image, *tiles], [_short(name), *captions]
        picture = drawing.grid(tiles, captions, cell=112, title=title)
    note = "By the cosine of the angle between the vectors that the model computes its answer from; 1 is the same."
    note += " 'itself' marks an example with the very vector that was asked about." * any(one.same for one in found)
    near = [{"source": one.source, "class": one.name, "similarity": one.similarity, "same": one.same} for one in found]
    arrays = {
        "places": np.array([one.place for one in found], np.int64),
        "similarity": np.array([one.similarity for one in found]),
    }
    return Figure(file_name("neighbours", _short(name)), title, picture, arrays, {"of": name, "neighbours": near}, note)


def comparison_figures(found: Comparison) -> tuple[Figure, ...]:
    """For each task: the answers of two models against each other, and what they disagree on most."""
    figures: list[Figure] = []
    for task in found.classes:
        figures.append(_matrix_figure(found, task))
        if task.disagreements:
            figures.append(_disagreements_figure(found, task))
    return tuple(told_apart([*figures, *(_numbers_figure(found, task) for task in found.numbers)]))


def _matrix_figure(found: Comparison, task: ClassAgreement) -> Figure:
    label, kappa = _task(task.tasks), task.kappa
    title = f"{label}: {found.first} (down) against {found.second} (across), {found.examples:,} examples"
    if len(task.names) <= _NAMES:
        rows = [[name, *map(str, row)] for name, row in zip(task.names, task.matrix.tolist(), strict=True)]
        picture = drawing.table(rows, ["", *task.names], title=title)
    else:
        picture = drawing.table(_pairs(task), [found.first, found.second, "examples"], title=title)
    note = f"They agree on {100 * task.agreement:.1f} %"
    note += f" (Cohen's kappa {kappa:.3f})." if kappa is not None else "."
    if task.correct is not None:
        right = task.correct
        note += (
            f" Of {right.known:,} whose class is known, both are right on {right.both:,}, {found.first} alone on"
            f" {right.first:,}, {found.second} alone on {right.second:,}, neither on {right.neither:,}"
            f" (McNemar's exact p {right.p:.3g})."
        )
    if len(task.names) > _NAMES:
        note += f" Shown are the answers that differ, the {_PAIRS} most frequent pairs at most."
    facts = {name: value for name, value in task.to_dict().items() if name not in ("matrix", "disagreements")}
    models = {"first_model": found.first, "second_model": found.second}
    return Figure(file_name("compare", label), title, picture, {"matrix": task.matrix}, models | facts, note)


def _pairs(task: ClassAgreement) -> list[list[str]]:
    """Of many classes, which answers stand against each other, the most frequent first."""
    apart = task.matrix * (1 - np.eye(len(task.names), dtype=np.int64))
    order = np.argsort(-apart, axis=None, kind="stable")[:_PAIRS]
    rows, columns = np.unravel_index(order, apart.shape)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [[task.names[i], task.names[j], str(apart[i, j])] for i, j in pairs if apart[i, j]]


def _disagreements_figure(found: Comparison, task: ClassAgreement) -> Figure:
    label = _task(task.tasks)
    title = f"{label}: where {found.first} and {found.second} disagree, the surest first"
    shown = task.disagreements
    pictures = [one.picture for one in shown if one.picture is not None]
    if len(pictures) == len(shown):
        captions = [_disagreement(one) for one in shown]
        picture = drawing.grid(pictures, captions, cell=_TILE, title=title)
    else:
        rows = [
            [
                one.source,
                one.first,
                f"{one.first_probability:.3f}",
                one.second,
                f"{one.second_probability:.3f}",
                one.truth,
            ]
            for one in shown
        ]
        head = ["example", found.first, "probability", found.second, "probability", "truth"]
        picture = drawing.table(rows, head, title=title)
    arrays = {
        "places": np.array([one.place for one in shown], np.int64),
        "difference": np.array([one.difference for one in shown]),
    }
    note = f"The answer of {found.first}, then that of {found.second}, each with its own probability."
    if any(one.truth for one in shown):
        note += " * marks the right one; where both are wrong, it stands behind them."
    facts = {"disagreements": [one.to_dict() for one in shown]}
    return Figure(file_name("compare", label, "disagreements"), title, picture, arrays, facts, note)


def _numbers_figure(found: Comparison, task: NumberAgreement) -> Figure:
    label = _task(task.tasks)
    title = f"{label}: {found.first} against {found.second}, {task.examples:,} examples"
    rows = []
    for i, name in enumerate(task.names):
        correlation, errors = task.correlation[i], task.errors[i]
        shown = ["–", "–"] if errors is None else [f"{error:.4g}" for error in errors]
        rows.append([name, f"{task.difference[i]:.4g}", "–" if correlation is None else f"{correlation:.4f}", *shown])
    head = ["number", "mean difference", "correlation", f"error of {found.first}", f"error of {found.second}"]
    arrays = {"difference": np.array(task.difference)}
    note = "Mean absolute differences between the two, and between each and the truth where it is known."
    picture = drawing.table(rows, head, title=title)
    return Figure(file_name("compare", label, "numbers"), title, picture, arrays, task.to_dict(), note)


def _map_figure(
    name: str,
    method: str,
    embedded: Embedded,
    chosen: np.ndarray,
    points: np.ndarray,
    note: str,
    facts: Mapping[str, Any],
) -> Figure:
    classes = sorted({one for one in embedded.classes if one})
    numbers = {one: i for i, one in enumerate(classes)}
    colours = [numbers.get(embedded.classes[i], -1) for i in chosen.tolist()] if classes else []
    thumbnails = () if embedded.thumbnails is None else [embedded.thumbnails[i] for i in chosen.tolist()]
    title = f"{len(chosen):,} examples by {method}"
    picture = drawing.scatter(points, classes=classes, colours=colours, thumbnails=thumbnails, title=title)
    arrays = {"points": points, "places": chosen.astype(np.int64)}
    whole = embedded.to_dict() | {"classes": classes} | dict(facts)
    return Figure(f"embedding-{name}", title, picture, arrays, whole, note)


def _framed(one: Activating) -> np.ndarray:
    """The image, with a frame around the pixels that the strongest position sees."""
    image = np.repeat(one.content, 3 // one.content.shape[2], axis=2)
    times = max(1, math.ceil(_TILE / max(image.shape[:2])))
    image = image.repeat(times, axis=0).repeat(times, axis=1)
    if one.patch is not None:
        top, left, bottom, right = (times * side for side in one.patch)
        wide = max(1, max(image.shape[:2]) // _TILE)
        for inner in (
            (slice(top, top + wide), slice(left, right)),
            (slice(bottom - wide, bottom), slice(left, right)),
            (slice(top, bottom), slice(left, left + wide)),
            (slice(top, bottom), slice(right - wide, right)),
        ):
            image[inner] = _FRAME
    return image


def _neighbour(one: Neighbour) -> str:
    words = [f"{one.similarity:.3f}", one.name or _short(one.source)]
    return ", ".join([*words, "itself"] if one.same else words)


def _disagreement(one: Disagreement) -> str:
    marks = ["*" if one.truth and answer == one.truth else "" for answer in (one.first, one.second)]
    said = f"{one.first}{marks[0]} {one.first_probability:.2f}, {one.second}{marks[1]} {one.second_probability:.2f}"
    return said + f" ({one.truth})" * (bool(one.truth) and not any(marks))


def _task(tasks: tuple[str, str]) -> str:
    return tasks[0] if tasks[0] == tasks[1] else f"{tasks[0]} and {tasks[1]}"


def _short(source: str) -> str:
    """The last part of a path; anything else as it is."""
    return PurePath(source).name or source


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "no number"
