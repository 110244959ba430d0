"""Tiles: the cut of an image along an axis, and that tiles add up to the whole image."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lensmith import check
from lensmith.backend import keras
from lensmith.compose import tapping
from lensmith.stylize import sweep, tiles
from lensmith.stylize.network import open_network
from lensmith.stylize.objective import objective
from lensmith.stylize.settings import Settings

layers = keras.layers


@dataclass(eq=False)
class StandIn:
    """What a network has, over any model; notes how large the pixels were that it was given."""

    model: Any
    layers: dict[str, str]
    seen: list[int] = field(default_factory=list)

    def prepare(self, pixels: Any) -> Any:
        self.seen.append(int(np.prod(pixels.shape[1:3])))
        return 2.0 * pixels - 1.0

    def taps(self, size: tuple[int, int]) -> Any:
        model = tapping.tapped(self.model, dict.fromkeys(self.layers.values()), size=size)
        return keras.Model(model.input, {asked: model.output[used] for asked, used in self.layers.items()})


def stand_in(*steps: Any, taps: tuple[str, ...]) -> StandIn:
    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 3))
    model = keras.Model(image, keras.Sequential(list(steps))(image))
    for variable in model.weights:  # biases count at borders, and are 0 in a new layer
        variable.assign(np.random.default_rng(len(variable.shape)).normal(0, 0.3, variable.shape))
    return StandIn(model, {name: name for name in taps})


def conv(filters: int, size: int = 3, strides: int = 1, name: str | None = None, **more: Any) -> Any:
    padding = more.pop("padding", "same")
    return layers.Conv2D(filters, size, strides, padding, activation="relu", name=name, **more)


def vgg_like() -> StandIn:
    return stand_in(
        conv(4, name="a"), conv(4), layers.MaxPooling2D(2), conv(6, name="b"), layers.MaxPooling2D(2),
        conv(5, name="c"), taps=("a", "b", "c"),
    )  # fmt: skip


def strided() -> StandIn:
    return stand_in(conv(4, 5, 2, name="a"), conv(4, 3, 2), conv(5, 3, 1, "c", dilation_rate=2), taps=("a", "c"))


def unpadded() -> StandIn:
    return stand_in(
        conv(4, 5, padding="valid", name="a"), layers.AveragePooling2D(3, 2), conv(5, 3, 3, "c", padding="valid"),
        taps=("a", "c"),
    )  # fmt: skip


def cropped() -> StandIn:
    return stand_in(
        layers.ZeroPadding2D(((1, 2), (0, 3))), conv(4, name="a"), layers.Cropping2D(((5, 4), (3, 6))), conv(4),
        layers.MaxPooling2D(3, 2, padding="same"), conv(5, 2, name="c"), taps=("a", "c"),
    )  # fmt: skip


def enlarged() -> StandIn:
    return stand_in(
        conv(4, name="a"), layers.MaxPooling2D(4, padding="same"), conv(4), layers.UpSampling2D(2), conv(5, name="c"),
        layers.Conv2DTranspose(4, 3, 2, padding="same", name="d"), taps=("a", "c", "d"),
    )  # fmt: skip


NETWORKS = {made.__name__: made for made in (vgg_like, strided, unpadded, cropped, enlarged)}


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def wanted(network: StandIn, **changes: Any) -> Settings:
    first, *_, last = network.layers
    basis = Settings(
        content_layers={last: 1.0},
        style_layers=dict.fromkeys(network.layers, 1.0) | {first: 2.0},
        variation_weight=0.3,
    )
    return replace(basis, **changes)


def host(tensor: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def assert_same(found: Any, expected: Any, tolerance: float = 1e-4) -> None:
    """The same loss, terms and gradient, relative to the largest derivative."""
    assert float(found.loss) == pytest.approx(float(expected.loss), rel=tolerance)
    for name, term in expected.terms.items():
        assert float(found.terms[name]) == pytest.approx(float(term), rel=tolerance), name
    one, other = host(found.gradient), host(expected.gradient)
    assert np.abs(other).max() > 0
    assert np.abs(one - other).max() <= tolerance * np.abs(other).max()


# --- along one axis ------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 300), st.integers(1, 60), st.sampled_from([1, 2, 3, 4, 8, 16]), st.integers(0, 3), st.integers(0, 40)
)
@settings(max_examples=50, deadline=None)
def test_the_cores_share_out_the_axis_and_have_what_they_need_around_them(
    length: int, tile: int, stride: int, before: int, after: int
) -> None:
    reach = tiles.Reach(stride, before * stride, after)
    side = tiles._side(length, tile, reach)
    cut = tiles.spans(length, side, reach)
    assert cut[0].first == 0 and cut[-1].last == length
    assert all(one.last == other.first for one, other in pairwise(cut))
    for span in cut:
        assert span.end - span.begin == side and 0 <= span.begin <= span.first < span.last <= span.end <= length
        assert span.begin % stride == span.first % stride == 0 and (length - span.end) % stride == 0
        assert span.begin == 0 or span.first - span.begin >= reach.before
        assert span.end == length or span.end - span.last >= reach.after
    # As large as asked for; where little more than what is seen around it fits, half of that for the core.
    assert side <= max(tile, reach.before + after + max(tile // 2, 2 * stride))


# --- maps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [pytest.param((53, 70), marks=pytest.mark.backends), (64, 47)], ids=str)
def test_maps_of_tiles_are_those_of_the_whole_image_to_the_last_row(name: str, size: tuple[int, int]) -> None:
    network = NETWORKS[name]()
    image = picture(*size)
    whole = sweep.whole_maps(network, list(network.layers), image, max(size))
    parts = sweep.whole_maps(network, list(network.layers), image, 24)
    for layer, maps in whole.items():
        assert maps.std() > 0 and maps.shape == parts[layer].shape
        np.testing.assert_allclose(parts[layer], maps, atol=2e-6, err_msg=layer)


@given(st.sampled_from(sorted(NETWORKS)), st.integers(40, 75), st.integers(40, 75), st.integers(12, 39))
@settings(max_examples=12, deadline=None)
def test_maps_of_tiles_for_any_size(name: str, height: int, width: int, tile: int) -> None:
    network = NETWORKS[name]()
    image = picture(height, width)
    whole = sweep.whole_maps(network, list(network.layers), image, 75)
    for layer, maps in sweep.whole_maps(network, list(network.layers), image, tile).items():
        np.testing.assert_allclose(maps, whole[layer], atol=2e-6, err_msg=layer)


def test_too_little_around_the_core_is_noticed() -> None:
    """The comparisons above can fail: without pixels around the cores, or off the grid of pools, maps differ."""
    network, image = vgg_like(), picture(53, 70)
    whole = sweep.whole_maps(network, ["c"], image, 70)["c"]
    cut = tiles.tiling(network, ["c"], (53, 70), 24)
    for spans in (tiles.spans(70, 26, tiles.Reach(4, 0, 0)), tiles.spans(70, 27, tiles.Reach(1, 12, 12))):
        model = tiles.tapped(network, ["c"], (53, spans[0].end))
        down = tiles.Span(0, 53, 0, 53)
        other = replace(cut, model=model, tiles=((down, spans[1]),), size=(53, spans[0].end))
        rows, columns = other.pixels(other.tiles[0])
        maps = host(model(network.prepare(image[None, rows, columns]))["c"])
        start = spans[1].begin // 4
        first, last = spans[1].first // 4, spans[1].last // 4
        assert np.abs(maps[:, :, first - start : last - start] - whole[:, :, first:last]).max() > 1e-3


# --- the gradient --------------------------------------------------------------------------------------------------


@pytest.mark.backends
@pytest.mark.parametrize("name", ["vgg_like", "strided"])
def test_the_gradient_of_tiles_is_that_of_the_whole_image(name: str) -> None:
    network = NETWORKS[name]()
    content, style, pixels = picture(53, 70), picture(41, 60, 1), picture(53, 70, 2)[None]
    whole = objective(network, content, [style], wanted(network))
    cut = objective(network, content, [style], wanted(network, tile=32))
    assert whole.tiles == 1 and cut.tiles > 4
    assert_same(cut.evaluate(pixels), whole.evaluate(pixels))
    assert_same(cut.evaluate(pixels[:, ::-1]), whole.evaluate(pixels[:, ::-1]))  # nothing is left of the last call


@pytest.mark.parametrize("name", ["unpadded", "cropped", "enlarged"])
@pytest.mark.parametrize("tile", [13, 40])
def test_the_gradient_of_tiles_of_other_networks_and_sizes(name: str, tile: int) -> None:
    network = NETWORKS[name]()
    content, style, pixels = picture(64, 51), picture(70, 42, 1), picture(64, 51, 2)[None]
    whole = objective(network, content, [style], wanted(network)).evaluate(pixels)
    assert_same(objective(network, content, [style], wanted(network, tile=tile)).evaluate(pixels), whole)


@pytest.mark.backends
def test_the_gradient_of_tiles_with_regions() -> None:
    network = vgg_like()
    content, styles, pixels = picture(53, 70), [picture(41, 60, 1), picture(30, 33, 4)], picture(53, 70, 2)[None]
    mask = np.zeros((53, 70), np.float32)
    mask[11:40, 20:51] = 1
    mask[40, 20:51] = 0.4
    options: dict[str, Any] = {"blend": (3, 1), "regions": (mask, 1 - mask)}
    whole = objective(network, content, styles, wanted(network), **options).evaluate(pixels)
    assert_same(objective(network, content, styles, wanted(network, tile=32), **options).evaluate(pixels), whole)


@pytest.mark.parametrize("off", ["content_weight", "style_weight"])
def test_the_gradient_of_tiles_with_a_term_switched_off(off: str) -> None:
    network, content, pixels = vgg_like(), picture(53, 70), picture(53, 70, 2)[None]
    whole = objective(network, content, [content[::-1]], wanted(network, **{off: 0.0})).evaluate(pixels)
    cut = objective(network, content, [content[::-1]], wanted(network, **{off: 0.0, "tile": 32})).evaluate(pixels)
    assert_same(cut, whole)
    assert float(cut.terms[off.removesuffix("_weight")]) == 0


def test_the_model_never_sees_more_than_a_tile() -> None:
    """However large image and style are; half of a tile of 32 and what is seen around its core fits in 32."""
    for side, tile, most in ((50, 32, 32 * 32), (90, 32, 32 * 32), (90, 90, 90 * 87)):
        network, image = vgg_like(), picture(side, side - 3)
        made = objective(network, image, [image[::-1]], wanted(network, tile=tile))
        made.evaluate(image[None])
        assert 0.6 * most < max(network.seen) <= most


def test_a_network_that_sees_everything_is_computed_whole_or_refused() -> None:
    image = keras.Input((32, 32, 3))
    maps = conv(4, name="a")(image)
    weighed = layers.Multiply(name="se")([maps, layers.GlobalAveragePooling2D(keepdims=True, name="mean")(maps)])
    network = StandIn(keras.Model(image, weighed), {"a": "a", "se": "se"})
    content = picture(40, 48)
    asked = Settings(content_layers={}, style_layers={"se": 1.0}, tile=48)
    assert objective(network, content, [content], asked).tiles == 1
    expected = (
        r"tile: expected layers that see a known part of the image, to compute 48 x 40 pixels in parts; got mean, "
        r"which sees all of it or is of a kind not known. Take layers before it, or a tile of 48"
    )
    with pytest.raises(check.SettingError, match=expected):
        objective(network, content, [content], replace(asked, tile=47))
    assert objective(network, content, [content], replace(asked, tile=24, style_layers={"a": 1.0})).tiles > 1


def test_a_layer_that_is_not_there_is_refused() -> None:
    with pytest.raises(check.SettingError, match=r"layers: expected one of a, b, c; got 'bb'. Did you mean 'b'\?"):
        tiles.tapped(vgg_like(), ["bb"], (32, 32))


def test_vgg19_in_tiles(shared_data: Path) -> None:
    """The network itself, as far as the file reaches: 12 pixels are seen before each core and 10 after it."""
    file = shared_data / "vgg19_to_relu3_1" / "vgg_normalised_conv3_1.npz"
    asked = Settings(variation_weight=0.1)
    network = open_network("vgg19", [*asked.content_layers, *asked.style_layers], weights=file)
    content, style, pixels = picture(101, 90), picture(90, 113, 1), picture(101, 90, 2)[None]
    cut = objective(network, content, [style], replace(asked, tile=80))
    assert cut.tiles > 1
    assert_same(cut.evaluate(pixels), objective(network, content, [style], asked).evaluate(pixels))
