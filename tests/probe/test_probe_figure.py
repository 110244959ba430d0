"""Figures: what they are called, and that no two of them are called the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.probe.figure import Figure, file_name, told_apart

BLANK = np.zeros((1, 1, 3), np.uint8)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("maps", "inner/conv_1"), "maps-inner-conv-1"),
        (("maps", "größe"), "maps-gr-e"),  # a file name everywhere
        (("maps", "", "Conv"), "maps-Conv"),
        (("__",), "figure"),
        (("a" * 119 + "_b",), "a" * 119),  # cut, and not between two letters with a - at the end
    ],
)
def test_names_are_such_as_files_can_have(words: tuple[str, ...], name: str) -> None:
    assert file_name(*words) == name
    Figure(name, "", BLANK)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text("aA-_1/é", max_size=4), max_size=8))
def test_whatever_layers_are_called_no_two_figures_have_one_name(layers: list[str]) -> None:
    names = [file_name("maps", layer) for layer in layers]
    found = [figure.name for figure in told_apart(Figure(name, "", BLANK) for name in names)]
    assert len({name.casefold() for name in found}) == len(layers)
    assert all(new.startswith(old) for new, old in zip(found, names, strict=True))


def test_a_number_that_is_taken_is_passed_over() -> None:
    names = ["conv", "conv-2", "conv", "conv"]
    assert [one.name for one in told_apart(Figure(name, "", BLANK) for name in names)] == [
        "conv",
        "conv-2",
        "conv-3",
        "conv-4",
    ]


@pytest.mark.parametrize("name", ["", "a_b", "a/b", "größe", "-"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(check.SettingError, match="figure: expected a name of letters, digits and '-'"):
        Figure(name, "", BLANK)


@pytest.mark.parametrize("picture", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3)), np.zeros((2, 2, 4), np.uint8)])
def test_other_pictures_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(check.DataError, match="a uint8 picture"):
        Figure("name", "", picture)
