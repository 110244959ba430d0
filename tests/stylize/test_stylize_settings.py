"""What settings are refused, and how."""

from typing import Any

import pytest

from lensmith import check
from lensmith.stylize.settings import Settings

# Each row: settings, and what the refusal names.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"size": 0}, "size: expected a whole number of at least 1"),
    ({"steps": -1}, "steps: "),
    ({"style_weight": -0.5}, "style_weight: "),
    ({"style_weight": float("nan")}, "style_weight: "),
    ({"optimizer": "sgd"}, "optimizer: expected one of adam, lbfgs"),
    ({"start": "nosie"}, "Did you mean 'noise'?"),
    ({"rate": 0.0}, "rate: "),
    ({"style_layers": {"a": -1.0}}, "style_layers.a: "),
    ({"style_layers": {"a": 0.0}}, "style_layers: expected a weight above 0"),
    ({"style_layers": {}, "content_layers": {}}, "layers: expected at least one of content or style"),
    ({"size": 100, "levels": 3}, "levels: expected levels of 32 pixels or more; got 3 levels up to 100 pixels"),
]


@pytest.mark.parametrize(("given", "refusal"), WRONG)
def test_wrong_settings(given: dict[str, Any], refusal: str) -> None:
    with pytest.raises(check.SettingError) as refused:
        Settings(**given)
    assert refusal in str(refused.value)


def test_defaults_are_valid_and_not_shared() -> None:
    first, second = Settings(), Settings()
    assert first == second
    assert first.style_layers is not second.style_layers


def test_a_small_image_in_one_level() -> None:
    assert Settings(size=8).sizes == (8,)
    assert Settings(size=128, levels=3).sizes == (32, 64, 128)


def test_sizes_where_nobody_says_how_many_levels() -> None:
    # One level, two from 1024 pixels on, three from 2048 on.
    for size, sizes in ((512, (512,)), (1023, (1023,)), (1024, (512, 1024)), (2047, (1023, 2047))):
        assert Settings(size=size).sizes == sizes
    assert Settings(size=2048).sizes == (512, 1024, 2048)
