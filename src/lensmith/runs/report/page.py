"""From the content record to the page: one HTML text with its style, charts and pictures inside."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from lensmith.runs.report import (
    anchors,
    charts,
    detection,
    gradients,
    matrix,
    pictures,
    precision_recall,
    probed,
    results,
    wording,
)
from lensmith.runs.report.content import Content
from lensmith.runs.report.diagram import diagram, name_of

_PACKAGE = "lensmith.runs.report"
MOST_MISTAKES = 24


def render(content: Content) -> str:
    """The report as one HTML text that needs no other file and no network.

    Everything that comes from the content is escaped. Colours follow the reader's light or dark setting.

    Args:
        content: what to say.

    Example:
        >>> "<h1>digits</h1>" in render(Content("digits"))
        True
    """
    columns = _history_columns(content)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            content=content,
            tiles=tuple(_tiles(content)),
            columns=columns,
            validated=any(name.startswith("val_") for name in columns),
        )
    )


def render_audit(content: Content) -> str:
    """The page of an audit alone, before anything was trained.

    Args:
        content: its title, subtitle, audit and pictures are read.

    Example:
        >>> "<h1>digits</h1>" in render_audit(Content("digits"))
        True
    """
    return _environment().get_template("audit.html.j2").render(content=content)


def render_probe(content: Content) -> str:
    """The page of a look inside a model that is no run.

    Args:
        content: its title, subtitle, looks, outline, backend and commands are read.

    Example:
        >>> "<h1>vgg19</h1>" in render_probe(Content("vgg19"))
        True
    """
    return _environment().get_template("probe.html.j2").render(content=content)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "anchor_sizes": anchors.written,
        "count": lambda value: f"{value:,}",
        "data_uri": pictures.data_uri,
        "duration": wording.duration,
        "fraction": _fraction,
        "measure": wording.measure,
        "metric": wording.metric,
        "name_of": name_of,
        "number": wording.number,
        "part": _part,
        "photo_uri": pictures.photo_uri,
        "plain": wording.plain,
        "shape": wording.shape,
        "share": wording.share,
        "short": wording.short,
        "sentence": wording.sentence,
        "tail": wording.tail,
        "trouble": wording.trouble,
        "written": _written,
    }
    environment.globals |= {
        "cells": matrix.cells,
        "confused_pairs": results.confused_pairs,
        "counted_sentence": wording.counted,
        "curves": charts.curves,
        "diagram": diagram,
        "drawn_anchors": anchors.drawn_anchors,
        "fact_rows": probed.rows,
        "gradients": gradients.by_layer,
        "largest": _largest,
        "is_tiny": pictures.is_tiny,
        "largest_matrix": matrix.LARGEST,
        "mistake_kinds": detection.KINDS,
        "most_mistakes": MOST_MISTAKES,
        "most_named": precision_recall.MOST_NAMED,
        "precision_recall": precision_recall.precision_recall,
        "scatter": charts.scatter,
        "style": resources.files(_PACKAGE).joinpath("style.css").read_text(encoding="utf-8"),
        "thin": charts.thin,
        "thumbnail": pictures.thumbnail,
    }
    return environment


def _tiles(content: Content) -> Iterator[tuple[str, str]]:
    """What the page says first: the metrics, then the facts of the run; unknown ones are left out."""
    several = len(content.results) > 1
    for result in content.results:
        for name, value in result.metrics.items():
            if "loss" not in name:
                words = f"{result.name} {wording.metric(name)}" if several else wording.metric(name)
                yield f"{content.part} {words}", wording.measure(value, name, 2)
    if content.examples:
        yield "examples", f"{sum(content.examples.values()):,}"
    if content.history:
        yield "epochs", f"{len(content.history):,}"
    if content.seconds is not None:
        yield "training time", wording.duration(content.seconds)
    if content.outline:
        yield "parameters", wording.short(sum(part.parameters for part in content.outline))
    if content.backend:
        yield "backend", content.backend
    if content.seed is not None:
        yield "seed", str(content.seed)


def _history_columns(content: Content) -> tuple[str, ...]:
    """The names in the history, in order of first use, the epoch first."""
    names = dict.fromkeys(name for row in content.history for name in row)
    return ("epoch", *(name for name in names if name != "epoch"))


def _largest(by_part: Mapping[str, Mapping[str, int]]) -> int:
    """The largest count of a class in any part; at least 1, to divide by."""
    return max([1, *(count for counts in by_part.values() for count in counts.values())])


def _part(value: float) -> str:
    """A probability as the style sheet reads it."""
    return f"{min(max(value, 0.0), 1.0) if math.isfinite(value) else 0.0:.3f}"


def _fraction(value: float | None) -> str:
    """A score as the pictures have it."""
    return wording.NOTHING if value is None else f"{value:.2f}"


def _written(value: Any) -> str:
    """A value of the environment in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_written(item)}" for key, item in value.items()) or wording.NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(_written(item) for item in value) or wording.NOTHING
    return wording.NOTHING if value is None else str(value)
