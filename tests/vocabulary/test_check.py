"""Guards return what they checked, and refuse in one line that says what to do."""

from __future__ import annotations

import math

import pytest

from lensmith import check


def test_guards_return_the_value() -> None:
    assert check.one_of("schedule", "cosine", ["cosine", "constant"]) == "cosine"
    assert check.positive("epochs", 3) == 3
    assert check.between("rate", 0.5, 0, 1) == 0.5


def test_a_sentence_with_and_without_a_remedy() -> None:
    assert check.sentence("spec.yaml:3", "a number", "'x'") == "spec.yaml:3: expected a number; got 'x'"
    assert check.sentence("a", "b", 1, "Do c.") == "a: expected b; got 1. Do c."


def test_errors_can_be_caught_as_one_and_as_value_errors() -> None:
    for kind in (check.SettingError, check.DataError):
        assert issubclass(kind, check.LensmithError)
        assert issubclass(kind, ValueError)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("cosin", "Did you mean 'cosine'?"),  # a letter short
        ("Cosine", "Did you mean 'cosine'?"),  # a capital
        ("zzz", "See the list."),  # nothing is near: the caller's remedy
    ],
)
def test_one_of_suggests(given: str, remedy: str) -> None:
    with pytest.raises(check.SettingError) as refusal:
        check.one_of("schedule", given, ["cosine", "constant"], "See the list.")
    assert str(refusal.value) == f"schedule: expected one of cosine, constant; got {given!r}. {remedy}"


def test_one_of_takes_a_generator_and_things_that_are_not_text() -> None:
    assert check.one_of("channels", 3, (n for n in (1, 3))) == 3
    with pytest.raises(check.SettingError, match="channels: expected one of 1, 3; got 2"):
        check.one_of("channels", 2, (n for n in (1, 3)))


@pytest.mark.parametrize("wrong", [0, -1, 2.0, "3", True, None])
def test_positive_refuses(wrong: object) -> None:
    with pytest.raises(check.SettingError, match="epochs: expected a whole number of at least 1; got"):
        check.positive("epochs", wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("edge", [0, 1, 0.0, 1.0])
def test_between_includes_its_ends(edge: float) -> None:
    assert check.between("share", edge, 0, 1) == edge


@pytest.mark.parametrize("wrong", [-0.001, 1.001, math.nan, math.inf, "0.5", True, None])
def test_between_refuses(wrong: object) -> None:
    with pytest.raises(check.SettingError, match="share: expected a number from 0 to 1; got"):
        check.between("share", wrong, 0, 1)  # type: ignore[arg-type]


def test_nearest_says_nothing_when_nothing_is_near() -> None:
    assert check.nearest("zzz", ["cosine"]) == ""
    assert check.nearest("cosine", []) == ""


def test_a_missing_extra_is_named() -> None:
    assert "pip install 'lensmith[ship]'" in str(check.need_extra("onnx", "ship"))
