"""The loss of a painting and its derivative: against slow numpy, differences, and what must not change it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import tapping
from lensmith.data import resize_matrix
from lensmith.stylize import objective as objective_module
from lensmith.stylize.objective import Objective, objective
from lensmith.stylize.settings import Settings

layers = keras.layers
SETTINGS = Settings(
    content_layers={"deep": 1.0},
    style_layers={"first": 1.0, "deep": 3.0},
    content_weight=2.0,
    style_weight=5.0,
    variation_weight=0.5,
)


@dataclass(eq=False)
class StandIn:
    """What a network has, over any model."""

    model: Any
    layers: dict[str, str]

    def prepare(self, pixels: Any) -> Any:
        return 3.0 * pixels

    def taps(self, size: tuple[int, int]) -> Any:
        model = tapping.tapped(self.model, dict.fromkeys(self.layers.values()), size=size)
        return keras.Model(model.input, {asked: model.output[used] for asked, used in self.layers.items()})


def network(activation: str = "relu", **names: str) -> StandIn:
    """Two convolutions of one pixel with a pool between them, so that numpy can follow; without biases."""
    image = keras.Input((16, 16, 3))
    maps = layers.Conv2D(4, 1, activation=activation, use_bias=False, name="first")(image)
    maps = layers.AveragePooling2D(2, name="pool")(maps)
    model = keras.Model(image, layers.Conv2D(5, 1, activation=activation, use_bias=False, name="deep")(maps))
    rng = np.random.default_rng(8)
    model.set_weights([rng.normal(0, 1, weight.shape) for weight in model.weights])
    return StandIn(model, names or {"first": "first", "deep": "deep"})


def slow_maps(one: StandIn, image: np.ndarray) -> dict[str, np.ndarray]:
    first, deep = (
        np.asarray(keras.ops.convert_to_numpy(weight))[0, 0].astype(np.float64) for weight in one.model.weights
    )
    maps = np.maximum(3.0 * image.astype(np.float64) @ first, 0)
    height, width = image.shape[0] // 2, image.shape[1] // 2
    pooled = maps[: 2 * height, : 2 * width].reshape(height, 2, width, 2, 4).mean((1, 3))
    return {"first": maps, "deep": np.maximum(pooled @ deep, 0)}


def slow_loss(
    pixels: np.ndarray,
    content: np.ndarray,
    styles: Sequence[np.ndarray],
    asked: Settings,
    blend: Sequence[float],
    regions: Sequence[np.ndarray] = (),
) -> dict[str, float]:
    """The three terms in float64, written from the papers."""
    one = network()
    found, like = slow_maps(one, pixels), slow_maps(one, content)

    def rms(maps: np.ndarray) -> float:
        return float(np.sqrt((maps**2).mean())) if asked.normalise else 1.0

    def gram(maps: np.ndarray, region: np.ndarray | None = None) -> np.ndarray:
        part = np.ones(maps.shape[:2]) if region is None else _resized(region, maps.shape[:2])
        part = part / np.sqrt((part**2).sum())
        rows = (maps * part[..., None]).reshape(-1, maps.shape[-1])
        return rows.T @ rows

    terms = {"content": 0.0, "style": 0.0}
    for layer, weight in asked.content_layers.items():
        away = (found[layer] - like[layer]) / rms(like[layer])
        terms["content"] += weight / sum(asked.content_layers.values()) * float((away**2).mean())
    for i, style in enumerate(styles):
        maps = slow_maps(one, style)
        for layer, weight in asked.style_layers.items():
            divided = rms(maps[layer])
            target = gram(maps[layer] / divided)
            away = gram(found[layer] / divided, regions[i] if len(regions) else None) - target
            share = weight / sum(asked.style_layers.values()) * blend[i] / sum(blend)
            terms["style"] += share * float((away**2).sum()) / (4 * len(target) ** 2)
    steps = np.concatenate([np.diff(pixels, axis=0).ravel(), np.diff(pixels, axis=1).ravel()]).astype(np.float64)
    return {
        "content": asked.content_weight * terms["content"],
        "style": asked.style_weight * terms["style"],
        "variation": asked.variation_weight * float((steps**2).mean()),
    }


def _resized(region: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    down, across = (resize_matrix(to, of) for to, of in zip(size, region.shape, strict=True))
    resized: np.ndarray = down @ region @ across.T
    return resized


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def halves(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The left part, with a soft edge in an odd column, and the rest."""
    left = np.zeros((height, width), np.float32)
    left[:, :5], left[:, 5] = 1, 0.4
    return left, 1 - left


def host(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def gradient(of: Objective, pixels: np.ndarray) -> np.ndarray:
    return host(of.evaluate(pixels[None]).gradient)[0]


CONTENT, PIXELS = picture(12, 17), picture(12, 17, 1)
STYLES = [picture(10, 23, 2), picture(31, 8, 3) ** 3]  # of any size and aspect


# Each row: what is changed in the settings, the weights of the styles, whether each has a region.
@pytest.mark.parametrize(
    ("changed", "blend", "guided"),
    [
        ({}, (1,), False),  # one style as it is
        ({"normalise": False}, (1,), False),
        ({"content_layers": {"first": 1.0, "deep": 4.0}}, (1,), False),
        pytest.param({}, (3, 1), False, marks=pytest.mark.backends),
        pytest.param({}, (3, 1), True, marks=pytest.mark.backends),
        ({"normalise": False, "variation_weight": 0.0}, (0, 2), True),
    ],
    ids=str,
)
def test_the_terms_are_those_of_the_slow_way(changed: dict[str, Any], blend: Sequence[float], guided: bool) -> None:
    asked, styles = replace(SETTINGS, **changed), STYLES[: len(blend)]
    regions = halves(12, 17) if guided else ()
    found = objective(network(), CONTENT, styles, asked, blend=blend, regions=regions).evaluate(PIXELS[None])
    expected = slow_loss(PIXELS, CONTENT, styles, asked, blend, regions)
    assert {name: float(term) for name, term in found.terms.items()} == pytest.approx(expected, rel=1e-5)
    assert float(found.loss) == pytest.approx(sum(expected.values()), rel=1e-5)
    assert {str(host(each).dtype) for each in (found.loss, found.gradient, *found.terms.values())} == {"float32"}


@pytest.mark.parametrize("guided", [pytest.param(False, marks=pytest.mark.backends), True])
def test_the_gradient_is_what_the_loss_changes_by(guided: bool) -> None:
    """Of the slow loss in float64, along some directions: the loss is a polynomial where no rectifier changes side."""
    regions = halves(12, 17) if guided else ()
    found = gradient(objective(network(), CONTENT, STYLES, SETTINGS, blend=(2, 1), regions=regions), PIXELS)
    step = 1e-5
    for seed in range(3):
        way = np.random.default_rng(seed).normal(0, 1, PIXELS.shape)
        ends = [
            sum(slow_loss(PIXELS + sign * step * way, CONTENT, STYLES, SETTINGS, (2, 1), regions).values())
            for sign in (1, -1)
        ]
        assert float((found * way).sum()) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3)


@pytest.mark.backends
def test_pixels_may_be_a_tensor_and_are_not_changed() -> None:
    made = objective(network(), CONTENT, STYLES, SETTINGS)
    tensor = keras.ops.convert_to_tensor(PIXELS[None])
    first, again = made.evaluate(tensor), made.evaluate(PIXELS[None])
    assert float(first.loss) == float(again.loss) and first.gradient.shape == (1, 12, 17, 3)
    np.testing.assert_array_equal(host(tensor)[0], PIXELS)


def test_the_content_itself_and_the_style_itself_lose_nothing() -> None:
    found = objective(network(), CONTENT, [CONTENT[::-1]], SETTINGS).evaluate(CONTENT[None])
    assert float(found.terms["content"]) == 0
    # Turned over, the same positions stand in other places. (The pool takes other pairs only if a row is left over.)
    assert float(found.terms["style"]) < 1e-10 < float(found.terms["variation"])


def test_the_blend_is_divided_by_its_sum() -> None:
    one = network()
    both = objective(one, CONTENT, STYLES, SETTINGS).evaluate(PIXELS[None])
    assert float(objective(one, CONTENT, STYLES, SETTINGS, blend=(7, 7)).evaluate(PIXELS[None]).loss) == pytest.approx(
        float(both.loss)
    )
    alone = objective(one, CONTENT, STYLES[1:], SETTINGS)
    np.testing.assert_allclose(
        gradient(objective(one, CONTENT, STYLES, SETTINGS, blend=(0, 2)), PIXELS), gradient(alone, PIXELS), rtol=1e-5
    )


def test_a_region_everywhere_is_no_region() -> None:
    one = network()
    everywhere = objective(one, CONTENT, STYLES[:1], SETTINGS, regions=[np.ones((12, 17), np.float32)])
    np.testing.assert_allclose(
        gradient(everywhere, PIXELS),
        gradient(objective(one, CONTENT, STYLES[:1], SETTINGS), PIXELS),
        rtol=1e-3,
        atol=1e-8,
    )


def test_a_style_changes_nothing_outside_its_region() -> None:
    asked = replace(SETTINGS, content_weight=0.0, variation_weight=0.0, style_layers={"first": 1.0})
    left, right = halves(12, 17)
    styles = [STYLES[0], STYLES[1]]
    only = gradient(objective(network(), CONTENT, styles, asked, blend=(1, 0), regions=(left, right)), PIXELS)
    assert not only[:, 6:].any() and np.abs(only[:, :6]).min(axis=-1).max() > 0


def test_normalised_weights_mean_the_same_for_any_scale_of_a_network() -> None:
    """All maps a thousand times as large: the same loss where they are divided, and another where they are not."""
    large = network()
    large.model.get_layer("first").set_weights(
        [1000 * weight for weight in large.model.get_layer("first").get_weights()]
    )
    for normalise, same in ((True, True), (False, False)):
        asked = replace(SETTINGS, normalise=normalise)
        one, other = (
            float(objective(each, CONTENT, STYLES, asked).evaluate(PIXELS[None]).loss) for each in (network(), large)
        )
        assert (other == pytest.approx(one, rel=1e-4)) is same


@pytest.mark.parametrize("tile", [pytest.param(1024, marks=pytest.mark.backends), 8])
def test_maps_that_are_all_zero_give_no_nan(tile: int) -> None:
    black = np.zeros((12, 17, 3), np.float32)
    made = objective(network(), black, [black], replace(SETTINGS, tile=tile))
    for pixels in (black, PIXELS):
        found = made.evaluate(pixels[None])
        assert np.isfinite(float(found.loss)) and np.isfinite(host(found.gradient)).all()
    assert float(made.evaluate(black[None]).loss) == 0 < float(made.evaluate(PIXELS[None]).loss)


def test_what_weighs_nothing_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[set[str]] = []
    usual = objective_module.maps_of

    def noted(one: Any, model: Any, pixels: Any) -> Any:
        computed.append({layer.name for layer in model.layers} & {"first", "deep"})
        return usual(one, model, pixels)

    monkeypatch.setattr(objective_module, "maps_of", noted)
    # Each row: what is changed; the layers that are computed; the terms that are not 0.
    for changed, needed, terms in (
        ({}, {"first", "deep"}, {"content", "style", "variation"}),
        ({"content_weight": 0.0, "style_layers": {"first": 1.0}}, {"first"}, {"style", "variation"}),
        ({"content_weight": 0.0, "style_layers": {"first": 1.0, "deep": 0.0}}, {"first"}, {"style", "variation"}),
        ({"style_weight": 0.0, "content_layers": {"first": 1.0}}, {"first"}, {"content", "variation"}),
        ({"style_weight": 0.0, "style_layers": {"nowhere": 1.0}}, {"first", "deep"}, {"content", "variation"}),
        ({"style_weight": 0.0, "content_weight": 0.0}, None, {"variation"}),
        ({"style_weight": 0.0, "content_weight": 0.0, "variation_weight": 0.0}, None, set()),
    ):
        computed.clear()
        asked: Any = replace(SETTINGS, **changed)  # type: ignore[arg-type]
        found = objective(network(), CONTENT, STYLES, asked).evaluate(PIXELS[None])
        assert computed == ([] if needed is None else [needed]), changed
        assert {name for name, term in found.terms.items() if float(term)} == terms, changed
        assert host(found.gradient).any() == bool(terms)


def test_layers_that_were_replaced_by_the_same_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the largest of their weights, 3, as ``deep`` has it when it is asked for itself."""
    counted: list[int] = []
    usual = objective_module.losses.gram
    monkeypatch.setattr(objective_module.losses, "gram", lambda *maps: counted.append(1) or usual(*maps))
    several = network(x="first", y="deep", z="deep")
    asked = replace(SETTINGS, content_layers={"z": 1.0}, style_layers={"x": 1.0, "y": 2.0, "z": 3.0})
    one = objective(several, CONTENT, STYLES, asked)
    found = gradient(one, PIXELS)
    assert len(counted) == 2
    np.testing.assert_array_equal(found, gradient(objective(network(), CONTENT, STYLES, SETTINGS), PIXELS))


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 50), st.integers(0, 3))
@examples(max_examples=25, deadline=None)
def test_the_terms_sum_to_the_loss_and_none_is_below_0(height: int, width: int, seed: int, weight: int) -> None:
    asked = replace(SETTINGS, variation_weight=float(weight))
    image, pixels = picture(height, width, seed), picture(height, width, seed + 1)
    found = objective(network(), image, [picture(width, 2 * height, 3)], asked).evaluate(pixels[None])
    terms = [float(term) for term in found.terms.values()]
    assert min(terms) >= 0 and float(found.loss) == pytest.approx(sum(terms), rel=1e-6)


# Each row: what is wrong; the changed arguments; the kind of refusal; how its line begins.
@pytest.mark.parametrize(
    ("changed", "kind", "line"),
    [
        ({"content": np.zeros((4, 5), np.float32)}, check.DataError, "content: expected an array (height, width, 3)"),
        (
            {"content": np.zeros((9, 9, 3), np.uint8)},
            check.DataError,
            "content: expected finite floating-point numbers; got uint8",
        ),
        ({"styles": [np.full((9, 9, 3), np.nan)]}, check.DataError, "style 1: expected finite floating-point numbers"),
        ({"styles": []}, check.SettingError, "styles: expected at least one image"),
        ({"blend": (1,)}, check.SettingError, "blend: expected one for each style, 2 of them; got 1"),
        ({"blend": (1, -1)}, check.SettingError, "blend: expected a number from 0"),
        ({"blend": (0, 0)}, check.SettingError, "blend: expected a weight above 0 for one of them; got 0 for all"),
        ({"regions": [np.ones((12, 17))]}, check.SettingError, "region: expected one for each style, 2 of them; got 1"),
        (
            {"regions": [np.ones((17, 12))] * 2},
            check.DataError,
            "region 1: expected the content's size, 17×12 pixels; got 12",
        ),
        ({"regions": [np.zeros((12, 17))] * 2}, check.DataError, "region 1: expected a mask with something white"),
        (
            {"settings": replace(SETTINGS, style_layers={"depp": 1.0})},
            check.SettingError,
            "layers: expected one of first, deep; got 'depp'. Did you mean 'deep'?",
        ),
        (  # nothing of it reaches the deep layer
            {"styles": [STYLES[0], np.zeros((1, 9, 3), np.float32)]},
            check.SettingError,
            "style 2: ",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refusals(changed: dict[str, Any], kind: type[Exception], line: str) -> None:
    given: dict[str, Any] = {"content": CONTENT, "styles": STYLES, "settings": SETTINGS} | changed
    with pytest.raises(kind) as caught:
        objective(network(), **given)
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)
