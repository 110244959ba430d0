"""Pictures of tables, times and statistics: they hold the numbers that they were drawn from."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import zoo
from lensmith.probe import drawing
from lensmith.probe.figure import Figure
from lensmith.probe.statistics import statistics
from lensmith.probe.table import table
from lensmith.probe.table_figures import _bytes, _count, statistics_figures, table_figures, times_figure
from lensmith.probe.timing import LayerTime, Times, times

L = keras.layers


def in_order(figure: Figure) -> Figure:
    json.dumps(dict(figure.facts), allow_nan=False)
    assert figure.title and figure.picture.dtype == np.uint8
    return figure


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The rows of the last table that was drawn."""
    drawn: list[list[str]] = []
    draw = drawing.table

    def watched(rows: Any, head: Any, *, title: str = "") -> np.ndarray:
        drawn[:] = [list(row) for row in rows]
        return draw(rows, head, title=title)

    monkeypatch.setattr(drawing, "table", watched)
    return drawn


def small() -> Any:
    return keras.Sequential(
        [
            keras.Input((6, 6, 3), name="image"),
            L.Conv2D(4, 3, activation="relu", name="conv"),
            L.Flatten(name="row"),
            L.Dense(3, activation="softmax", name="kinds"),
        ]
    )


@pytest.mark.parametrize(
    ("number", "text"), [(None, "–"), (999, "999"), (1234, "1.23 k"), (3_857_973_248, "3.86 G"), (0, "0")]
)
def test_large_numbers_are_said_short(number: int | None, text: str) -> None:
    assert _count(number) == text


@pytest.mark.parametrize(("number", "text"), [(None, "–"), (40, "40 B"), (1536, "1.5 KiB"), (2**30, "1.0 GiB")])
def test_bytes_are_said_with_their_unit(number: int | None, text: str) -> None:
    assert _bytes(number) == text


def test_the_table_is_drawn_with_what_it_holds(rows: list[list[str]]) -> None:
    found = table(small())
    [figure] = map(in_order, table_figures(found))
    assert rows[1] == ["conv", "Conv2D", "4×4×4", "112", "112", "1.73 k", "448 B", "256 B", "3×3"]
    assert figure.arrays["parameters"].tolist() == [0, 112, 0, 195]
    assert figure.facts["parameters"] == found.parameters == 307


def test_a_long_table_is_several_pictures_of_which_the_first_holds_the_facts(rows: list[list[str]]) -> None:
    chain = keras.Sequential([keras.Input((3,)), *(L.Dense(3, name=f"d{i}") for i in range(150))])
    found = table(chain)
    figures = list(map(in_order, table_figures(found)))
    assert [figure.name for figure in figures] == ["layers", "layers-2"]
    assert [row[0] for row in rows] == [f"d{i}" for i in range(99, 150)], "99 and the input stand on the first"
    one_row = 22  # pixels
    assert figures[0].picture.shape[0] - figures[1].picture.shape[0] == (100 - 51) * one_row
    assert figures[0].facts["parameters"] == found.parameters and not figures[1].facts


def test_a_table_of_unknown_sizes_can_be_drawn(rows: list[list[str]]) -> None:
    x = keras.Input((None, None, 3), name="image")
    [figure] = map(in_order, table_figures(table(keras.Model(x, L.Conv2D(4, 3, name="conv")(x)))))
    assert rows[1] == ["conv", "Conv2D", "?×?×4", "112", "112", "–", "448 B", "–", "3×3"]
    assert np.isnan(figure.arrays["flops"][1])


def test_the_slowest_layers_come_first_and_the_rest_is_summed(rows: list[list[str]]) -> None:
    layers = tuple(LayerTime(f"l{i}", "Dense", 1, float(i), i / 1275) for i in range(51))
    figure = in_order(times_figure(Times(layers, 1275.0, 1000.0, 1, 5, "torch", ("cpu",))))
    assert rows[0] == ["l50", "Dense", "1", "50.000", "3.9%"] and len(rows) == 41
    assert rows[-1] == ["11 others", "", "11", "55.000", "4.3%"]
    assert figure.arrays["milliseconds"].tolist() == list(range(51))


def test_times_that_were_measured_can_be_drawn() -> None:
    in_order(times_figure(times(small(), np.ones((1, 6, 6, 3), "float32"), repeats=1)))


def test_statistics_give_a_table_and_two_pages_of_histograms(rows: list[list[str]]) -> None:
    found = statistics(small(), [np.random.default_rng(0).normal(size=(3, 6, 6, 3)).astype("float32")])
    figures = [in_order(figure) for figure in statistics_figures(found)]
    assert [figure.name for figure in figures] == ["statistics", "activations-histograms", "weights-histograms"]
    assert rows[0][:3] == ["conv", "relu", "4"] and rows[1][:4] == ["kinds", "softmax", "3", "–"]
    assert figures[0].facts == found.to_dict()
    assert figures[1].facts["names"] == {"1": "conv", "2": "kinds"}
    np.testing.assert_array_equal(figures[1].arrays["counts-1"], found.activations[0].spread.counts)
    assert figures[2].facts["names"] == {"1": "conv", "2": "kinds"}  # kernels, and no biases


def test_exact_zeros_do_not_hide_the_other_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    draw = drawing.bars
    monkeypatch.setattr(drawing, "bars", lambda bars, **settings: (drawn.append(bars), draw(bars, **settings))[1])
    found = statistics(small(), [np.random.default_rng(0).normal(size=(3, 6, 6, 3)).astype("float32")], ["conv"])
    statistics_figures(found)
    spread = found.activations[0].spread
    counts, edges = drawn[0]["1 conv"]
    assert spread.zeros > 0 and counts.sum() == spread.count - spread.zeros
    assert counts[0] == spread.counts[0] - spread.zeros and edges[0] == 0.0


def test_statistics_of_nothing_but_nan_can_be_drawn() -> None:
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="units")])
    found = statistics(model, [np.full((1, 3), np.nan, "float32")])
    figures = [in_order(figure) for figure in statistics_figures(found)]
    assert "not finite" in figures[0].note


def test_a_long_network_takes_several_pictures() -> None:
    model = replace(zoo.get("googlenet"), input=(64, 64, 3)).build(seed=0)
    found = statistics(model, [np.zeros((1, 64, 64, 3), "float32")])
    names = [in_order(figure).name for figure in statistics_figures(found)]
    assert len(found.activations) > 40 and {"statistics-2", "activations-histograms-2"} <= set(names)
    assert len(set(names)) == len(names)
