"""Class activation maps: against formulas on paper, plain PyTorch, finite differences, and on every kind of model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lensmith import backend, check
from lensmith.backend import keras
from lensmith.compose import Basic, Classify, ConvStem, Group, Groups, Recipe, Regress, tapping, zoo
from lensmith.compose.zoo import inception
from lensmith.data import Preprocessing
from lensmith.probe import cam, heads, map_derivatives, targets
from lensmith.probe.cam import Heat, grad_cam, grad_cam_plus_plus, heats
from lensmith.probe.subject import Subject
from lensmith.probe.targets import Target
from lensmith.probe.why import cam_figure
from lensmith.records import Labels, Record
from lensmith.ship.published import pretrained

layers = keras.layers
RESNET = Recipe(
    input=(16, 16, 3),
    stem=ConvStem(4, kernel=3, stride=1),
    learner=Groups(Group(Basic(), filters=4, stride=1), Group(Basic(), filters=8)),
    tasks={"label": Classify(4)},
)


def drawn(model: Any, seed: int = 0) -> Any:
    """The model with weights that are alike in size but for the variances, which stay positive."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if weight.path.endswith(("variance", "gamma")):
            weight.assign(rng.uniform(0.5, 1.5, shape).astype(np.float32))
        else:
            weight.assign(rng.normal(0, 1 / max(np.prod(shape[:-1]), 1) ** 0.5, shape).astype(np.float32))
    return model


def image(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def averaged(activation: str | None = None) -> Any:
    """A network whose logits are sums of its averaged maps: its derivatives stand on paper."""
    parts = [keras.Input((8, 8, 3)), layers.Conv2D(5, 3, activation="relu", name="maps")]
    return keras.Sequential([*parts, layers.GlobalAveragePooling2D(), layers.Dense(4, activation=activation)])


def maps_of(model: Any, x: np.ndarray, layer: str = "maps") -> np.ndarray:
    return np.asarray(backend.predict(tapping.tapped(model, [layer]), x[None])[layer], np.float64)[0]


def close(found: np.ndarray, expected: np.ndarray) -> None:
    """To 1e-5 of the largest value."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


# --- numbers on paper ------------------------------------------------------------------------------------------------


@pytest.mark.backends
@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_of_averaged_maps_it_is_the_weighted_sum(activation: str | None) -> None:
    model, x = drawn(averaged(activation)), image(8, 8, 3)
    maps, kernel = maps_of(model, x), np.asarray(keras.ops.convert_to_numpy(model.layers[-1].kernel), np.float64)
    for index in range(4):
        found = grad_cam(model, x, target=index)
        # The derivative of the mean of 6 × 6 places by each is 1/36.
        close(found.weights, kernel[:, index] / 36)
        close(found.values, np.maximum(maps @ kernel[:, index] / 36, 0))
        # α = 1 / (2 + Σ A · g) with g = kernel/36 the same everywhere, so that 36 α g⁺ is left.
        gradient = kernel[:, index] / 36
        weights = 36 * np.maximum(gradient, 0) / (2 + maps.sum(axis=(0, 1)) * gradient)
        found = grad_cam_plus_plus(model, x, target=index)
        close(found.weights, weights)
        close(found.values, np.maximum(maps @ weights, 0))


def test_plus_plus_is_equation_19_with_derivatives_of_the_exponential() -> None:
    torch = pytest.importorskip("torch")
    model, x = drawn(averaged()), image(8, 8, 3)
    maps = torch.tensor(maps_of(model, x), requires_grad=True)
    kernel = torch.tensor(np.asarray(keras.ops.convert_to_numpy(model.layers[-1].kernel), np.float64))
    # The score exp(S) and its three derivatives by each place, taken one after the other. (The bias is a factor.)
    first = torch.autograd.grad(torch.exp(maps.mean(dim=(0, 1)) @ kernel[:, 2]), maps, create_graph=True)[0]
    weights = []
    for k in range(5):
        total = 0.0
        for i in range(6):
            for j in range(6):
                second = torch.autograd.grad(first[i, j, k], maps, create_graph=True)[0][i, j, k]
                third = torch.autograd.grad(second, maps, retain_graph=True)[0][i, j, k]
                alpha = second / (2 * second + maps[..., k].sum() * third)
                total += (alpha * torch.relu(first[i, j, k])).item()
        weights.append(total)
    expected = np.array(weights) / torch.exp(maps.mean(dim=(0, 1)) @ kernel[:, 2]).item()
    close(grad_cam_plus_plus(model, x, target=2).weights, expected)


@pytest.mark.backends
def test_one_logit_speaks_for_two_classes() -> None:
    parts = [keras.Input((4, 4, 1)), layers.Conv2D(1, 1, name="maps"), layers.GlobalAveragePooling2D()]
    model = keras.Sequential([*parts, layers.Dense(1, activation="sigmoid", name="sick")])
    weights = [np.ones((1, 1, 1, 1)), np.zeros(1), np.full((1, 1), 16.0), np.zeros(1)]
    model.set_weights([np.asarray(one, np.float32) for one in weights])
    x = np.arange(-8, 8, dtype=np.float32).reshape(4, 4, 1)  # their sum, −8, is the logit
    found = grad_cam(model, x)
    assert (found.target, found.score) == (Target("sick", 0, "0", unit=0, sign=-1.0), 8.0)
    assert found.probability == pytest.approx(1 - 1 / (1 + np.exp(8)))
    np.testing.assert_allclose(found.values, np.maximum(-x[..., 0], 0), atol=1e-6)
    np.testing.assert_allclose(grad_cam(model, x, target=1).values, np.maximum(x[..., 0], 0), atol=1e-6)


def test_in_mixed_precision() -> None:
    whole = drawn(averaged())
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = averaged()
    finally:
        keras.config.set_dtype_policy(policy)
    half.set_weights(whole.get_weights())
    expected = grad_cam(whole, image(8, 8, 3), target=1).values
    found = grad_cam(half, image(8, 8, 3), target=1).values
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=0.03 * expected.max())


@pytest.mark.backends
def test_of_several_calls_the_last() -> None:
    conv = layers.Conv2D(3, 3, padding="same", activation="relu", name="maps")
    x = keras.Input((6, 6, 3))
    model = drawn(keras.Model(x, layers.Dense(2, name="d")(layers.GlobalAveragePooling2D()(conv(conv(x))))))
    kernel = np.asarray(keras.ops.convert_to_numpy(model.get_layer("d").kernel))
    last = np.asarray(keras.ops.convert_to_numpy(conv(conv(image(1, 6, 6, 3)))))[0]
    close(grad_cam(model, image(6, 6, 3), layer="maps", target=1).values, np.maximum(last @ kernel[:, 1] / 36, 0))


@pytest.mark.backends
def test_a_head_that_does_not_depend_on_the_layer() -> None:
    x = keras.Input((6, 6, 1))
    ends = [layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3, name=name)(x)) for name in ("left", "right")]
    model = drawn(keras.Model(x, {name: layers.Dense(2)(end) for name, end in zip("ab", ends, strict=True)}))
    for fits, layer in ((True, "left"), (False, "right")):
        found = grad_cam(model, image(6, 6, 1), head="a", layer=layer, target=0)
        assert (found.connected, bool(np.abs(found.weights).any())) == (fits, fits)
        assert found.values.shape == (4, 4)
    assert found.facts["remark"] == "the head a does not depend on right: all values are 0"
    assert not found.values.any() and not found.scaled((8, 8)).any()


# --- plain PyTorch on the same weights -------------------------------------------------------------------------------


def nchw(x: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))


def hooked(network: Any, module: Any, x: Any, index: int) -> np.ndarray:
    """Grad-CAM as it is written in most places: hooks for activations and gradients, on ``module``'s output."""
    import torch

    kept: dict[str, Any] = {}

    def forward(_: Any, __: Any, output: Any) -> None:
        kept["maps"] = output
        output.register_hook(lambda gradient: kept.update(gradient=gradient))

    handle = module.register_forward_hook(forward)
    network.eval()
    network(x)[0, index].backward()
    handle.remove()
    weights = kept["gradient"].mean(dim=(2, 3), keepdim=True)
    return np.asarray(torch.relu((weights * kept["maps"]).sum(dim=1))[0].detach().numpy())


def copied(module: Any, layer: Any) -> Any:
    """The weights of a Keras layer in a module of PyTorch."""
    import torch

    values = {weight.path.rsplit("/", 1)[1]: np.asarray(keras.ops.convert_to_numpy(weight)) for weight in layer.weights}
    if "kernel" in values:
        kernel = values["kernel"]
        own = {"weight": kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T}
        own |= {"bias": values["bias"]} if "bias" in values else {}
    else:
        names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        own = {name: values[theirs] for name, theirs in names.items()}
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in own.items()}, strict=False)
    return module


def test_a_small_network_as_plain_pytorch_does_it() -> None:
    nn = pytest.importorskip("torch").nn
    parts = [keras.Input((18, 14, 3)), layers.Conv2D(6, 3, activation="relu", name="first"), layers.MaxPooling2D()]
    parts += [layers.Conv2D(8, 3, name="second"), layers.ReLU(name="relu"), layers.Permute((3, 1, 2))]
    ends = [layers.Flatten(), layers.Dense(7, activation="relu", name="hidden")]
    model = drawn(keras.Sequential([*parts, *ends, layers.Dense(5, activation="softmax", name="last")]))
    first, second = copied(nn.Conv2d(3, 6, 3), model.get_layer("first")), nn.Conv2d(6, 8, 3)
    second = copied(second, model.get_layer("second"))
    hidden, last = copied(nn.Linear(8 * 6 * 4, 7), model.get_layer("hidden")), copied(nn.Linear(7, 5), model.layers[-1])
    network = nn.Sequential(
        *(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.ReLU(), nn.Flatten(), hidden, nn.ReLU(), last)
    )
    x = image(18, 14, 3)
    for layer, module in {"first": network[1], "second": network[3], "relu": network[4]}.items():
        for index in (0, 3):
            expected = hooked(network, module, nchw(x[None]), index)
            assert expected.max() > 0 or layer == "second"
            close(grad_cam(model, x, layer=layer, target=index).values, expected)


def test_a_small_resnet_as_plain_pytorch_does_it() -> None:
    torch = pytest.importorskip("torch")
    nn, model = torch.nn, drawn(RESNET.build(seed=0), seed=3)

    def conv(name: str, old: int, new: int, kernel: int, stride: int = 1, pad: int = 1) -> Any:
        return copied(nn.Conv2d(old, new, kernel, stride, pad, bias=False), model.get_layer(name))

    def norm(name: str, channels: int) -> Any:
        return copied(nn.BatchNorm2d(channels, eps=1e-5), model.get_layer(name))

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, name: str, old: int, new: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.norm1 = conv(f"{name}-conv1", old, new, 3, stride), norm(f"{name}-norm1", new)
            self.conv2, self.norm2 = conv(f"{name}-conv2", new, new, 3), norm(f"{name}-norm2", new)
            self.short = nn.Identity()
            if stride > 1:
                short = conv(f"{name}-shortcut-conv", old, new, 1, stride, 0)
                self.short = nn.Sequential(short, norm(f"{name}-shortcut-norm", new))

        def forward(self, x: Any) -> Any:
            y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
            return torch.relu(y + self.short(x))

    stem = nn.Sequential(conv("stem-conv", 3, 4, 3), norm("stem-norm", 4), nn.ReLU())
    blocks = [Block("learner-group1-block1", 4, 4, 1), Block("learner-group2-block1", 4, 8, 2)]
    last = copied(nn.Linear(8, 4), model.get_layer("task-label-logits"))
    network = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    x = image(16, 16, 3)
    taps = {None: blocks[1], "P1": blocks[1], "P0": blocks[0], "stem-activation": stem[2], "stem-conv": stem[0]}
    for layer, module in taps.items():
        for index in range(4):
            expected = hooked(network, module, nchw(x[None]), index)
            found = grad_cam(model, x, layer=layer, target=index)
            np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-5 * max(expected.max(), 1e-3))


# --- any model -------------------------------------------------------------------------------------------------------


def functional() -> Any:
    x = keras.Input((12, 10, 3))
    y = layers.Conv2D(4, 3, activation="tanh", name="maps")(x)
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(layers.MaxPooling2D(name="pool")(y))))


def sigmoid() -> Any:
    parts = [keras.Input((8, 8, 1)), layers.Conv2D(3, 3, activation="relu", name="maps"), layers.Flatten()]
    return keras.Sequential([*parts, layers.Dense(1, activation="sigmoid")])


def nested() -> Any:
    inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="inner"), layers.ReLU(name="maps")])
    ends = [layers.GlobalMaxPooling2D(), layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((8, 8, 3)), inner, keras.Sequential([keras.Input((6, 6, 4)), *ends])])


def two_heads() -> Any:
    return replace(RESNET, tasks={"label": Classify(4), "size": Regress()}).build(seed=0)


def any_size() -> Any:
    """Images of any size, and a head that is a convolution of a single pixel."""
    x = keras.Input((None, None, 3))
    y = layers.Conv2D(4, 3, activation="relu", name="maps")(x)
    y = layers.Conv2D(3, 1)(layers.GlobalAveragePooling2D(keepdims=True)(y))
    return keras.Model(x, layers.Softmax()(layers.Flatten()(y)))


def googlenet() -> Any:
    tasks = {"label": Classify(4)}
    recipe = replace(zoo.get("googlenet"), input=(80, 80, 3), tasks=tasks, auxiliaries=inception.auxiliaries())
    return recipe.build(seed=0, auxiliaries=True)


def of_zoo(row: str, side: int) -> Any:
    return replace(zoo.get(row), input=(side, side, 3), tasks={"label": Classify(4)}).build(seed=0)


def unet() -> Any:
    row = zoo.get("unet")
    learner = replace(row.learner, filters=4, depth=2, padding="same")
    return replace(row, input=(16, 16, 1), learner=learner).build(seed=0)


def pixels() -> Any:
    """A class for each pixel, the softmax in the last convolution."""
    x = keras.Input((8, 6, 1))
    y = layers.Conv2D(3, 3, padding="same", activation="relu", name="maps")(x)
    return keras.Model(x, {"mask": layers.Conv2D(2, 1, activation="softmax")(y)})


# The model, the image, the layer that is taken, and the shape of its maps.
MODELS: list[tuple[str, Callable[[], Any], tuple[int, ...], str, tuple[int, int]]] = [
    ("sequential", lambda: averaged("softmax"), (8, 8, 3), "maps", (6, 6)),
    ("functional", functional, (12, 10, 3), "pool", (5, 4)),
    ("one sigmoid", sigmoid, (8, 8, 1), "maps", (6, 6)),
    ("nested", nested, (8, 8, 3), "maps", (6, 6)),
    ("pixels", pixels, (8, 6, 1), "maps", (8, 6)),
    ("two heads", two_heads, (16, 16, 3), "learner-group2-block1-relu", (8, 8)),
    ("any size", any_size, (9, 7, 3), "maps", (7, 5)),
    ("googlenet", googlenet, (80, 80, 3), "learner-group3-block2-concat", (3, 3)),
    ("resnet18-v2", lambda: of_zoo("resnet18-v2", 40), (40, 40, 3), "learner-relu", (2, 2)),
    ("mobilenet", lambda: of_zoo("mobilenet-v1-0.25", 64), (64, 64, 3), "learner-group5-block2-activation2", (2, 2)),
    ("unet", unet, (16, 16, 1), "learner-group3-dropout", (4, 4)),
]
HEAVY = (
    "two heads",
    "googlenet",
    "resnet18-v2",
    "mobilenet",
    "unet",
)  # JAX and TensorFlow compile them for a long time
ROWS = [pytest.param(*row[1:], id=row[0], marks=() if row[0] in HEAVY else pytest.mark.backends) for row in MODELS]


def judged(make: Callable[[], Any], shape: tuple[int, ...], layer: str, size: tuple[int, int]) -> None:
    """The derivatives against differences: of the logit when all of one map grows, or one place of it."""
    model, x = drawn(make()), image(*shape)
    found = grad_cam(model, x)
    assert (found.layer, found.values.shape) == (layer, size)
    assert found.values.dtype == np.float32 and found.values.min() >= 0 and found.connected and found.logits
    same = grad_cam(model, x, layer=layer, head=found.target.head, target=found.target.index)
    np.testing.assert_array_equal(found.values, same.values)

    moved = tapping.with_offset(heads.raw(model, found.target.head), layer)

    def logit(offset: np.ndarray) -> float:
        given = backend.predict(moved, {"image": x[None], "offset": offset[None]})["outputs"]
        return float(targets.score(given, found.target)[0])

    maps, step = maps_of(model, x, layer), 1e-2
    for channel in np.argsort(-np.abs(found.weights))[:2]:
        offset = np.zeros(maps.shape, np.float32)
        offset[..., channel] = step * np.abs(maps).mean()
        slope = (logit(offset) - logit(-offset)) / (2 * offset[0, 0, channel]) / np.prod(size)
        assert found.weights[channel] == pytest.approx(slope, rel=0.05, abs=2e-3 * float(np.abs(found.weights).max()))
    close(found.values, np.maximum(maps @ found.weights.astype(np.float64), 0))
    plus = grad_cam_plus_plus(model, x)
    assert np.isfinite(plus.values).all() and plus.values.min() >= 0
    assert plus.weights.min() >= 0 or maps.min() < 0, "of rectified maps no weight is negative"


@pytest.mark.parametrize(("make", "shape", "layer", "size"), ROWS)
def test_any_model(make: Callable[[], Any], shape: tuple[int, ...], layer: str, size: tuple[int, int]) -> None:
    judged(make, shape, layer, size)


def test_auxiliary_heads_are_looked_at_from_their_own_maps() -> None:
    model = drawn(googlenet())
    found = grad_cam(model, image(80, 80, 3), head="label_aux1")
    assert (found.target.head, found.layer) == ("label_aux1", "learner-group2-block1-concat")
    behind = grad_cam(model, image(80, 80, 3), head="label_aux1", layer="learner-group3-block2-concat")
    assert not behind.connected and behind.values.shape == (3, 3)


# --- many images -----------------------------------------------------------------------------------------------------


@pytest.mark.backends
def test_a_batch_is_its_images_one_by_one() -> None:
    model = drawn(averaged("softmax"))
    model.layers[-1].bias.assign(np.zeros(4, np.float32))  # which would decide alone
    x = np.stack([image(8, 8, 3, seed=seed) + 3 * image(3, seed=seed) for seed in range(20)])  # each of a colour
    found = list(heats(model, x))
    assert len({one.target.index for one in found}) > 1, "each image has its own class"
    for one, each in zip(found, x, strict=True):
        alone = grad_cam(model, each)
        assert alone.target == one.target
        np.testing.assert_allclose(one.values, alone.values, atol=1e-6)
        assert one.score == pytest.approx(alone.score, abs=1e-5)


@pytest.mark.backends
def test_nothing_is_traced_anew_for_another_image_or_class(monkeypatch: pytest.MonkeyPatch) -> None:
    model, count = drawn(averaged()), 0
    original = map_derivatives.derivative.differentiated

    def counted(function: Any, *models: Any) -> Any:
        def called(rows: Any) -> Any:
            nonlocal count
            count += 1
            return function(rows)

        return original(called, *models)

    monkeypatch.setattr(map_derivatives.derivative, "differentiated", counted)
    for seed in range(4):
        grad_cam(model, image(8, 8, 3, seed=seed), target=seed)
        grad_cam_plus_plus(model, image(8, 8, 3, seed=seed), target=seed)
    assert count == (8 if keras.config.backend() == "torch" else 1)


# --- scaled, drawn and said ------------------------------------------------------------------------------------------


def test_scaled_is_a_share_of_the_largest() -> None:
    heat = Heat(np.float32([[0, 4], [2, 0]]), np.zeros(1, np.float32), Target("a", 0, "0"), "l", "grad-cam", 0.0, None)
    np.testing.assert_array_equal(heat.scaled((2, 2)), [[0, 1], [0.5, 0]])
    wide = heat.scaled((2, 8))
    assert wide.shape == (2, 8) and wide.dtype == np.float32
    np.testing.assert_allclose(wide[0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])  # half a pixel at either edge


def test_a_figure_of_a_record() -> None:
    labels = {"label": Labels("class", ("cat", "dög", "a b", "!"))}
    model = drawn(averaged("softmax"))
    subject = Subject(model, Preprocessing(image=(8, 8, 3)), labels)
    pixels = np.random.default_rng(0).integers(0, 256, (300, 150, 3), np.uint8)
    figure = cam_figure(subject, Record("here", image=pixels), target="dög", method="grad-cam++")
    assert figure.name == "grad-cam-plus-plus-label-d-g"
    assert cam_figure(subject, pixels, target="!").name == "grad-cam-label-3"
    assert set(figure.arrays) == {"heat", "weights"} and figure.arrays["heat"].shape == (6, 6)
    assert {"target": "dög", "layer": "maps", "score_of": "logits"}.items() <= figure.facts.items()
    assert figure.facts["probability"] == pytest.approx(
        float(backend.predict(model, subject.inputs([pixels]))[0, 1]), abs=1e-6
    )
    assert figure.picture.shape[1] < 3 * 150, "three pictures in the image's own proportions"


# --- refused ---------------------------------------------------------------------------------------------------------


def rows_only() -> Any:
    return keras.Sequential([keras.Input((4,)), layers.Dense(2, name="d")])


def pictured() -> Any:
    """A model whose input and whose first maps have names."""
    parts = [keras.Input((4, 4, 1), name="picture"), layers.Conv2D(2, 3, name="maps"), layers.Flatten()]
    return keras.Sequential([*parts, layers.Dense(2)])


REFUSED = [
    (
        lambda: grad_cam(pictured(), image(4, 4, 1), layer="picture"),
        "layer: expected one that gives feature maps; got picture, the image itself. "
        "The last feature maps are those of maps",
    ),
    (lambda: grad_cam(keras.Sequential([layers.Dense(2)]), image(4)), "whose layers are connected"),
    (lambda: grad_cam(functional(), image(12, 10, 3), layer="map"), "got 'map'. Did you mean 'maps'?"),
    (
        lambda: grad_cam(rows_only(), np.ones(4, np.float32)),
        "layer: expected a model with feature maps of more than one pixel before d; got none in it. "
        "Integrated gradients need none",
    ),
    (lambda: grad_cam(averaged(), image(8, 8, 1)), "x: expected shape ('batch', 8, 8, 3); got (1, 8, 8, 1)"),
    (lambda: grad_cam(averaged(), image(2, 8, 8, 3)), "x: expected one image; got 2. heats() takes a batch"),
    (lambda: grad_cam(averaged(), np.full((8, 8, 3), np.nan)), "x: expected finite numbers; got NaN or infinity"),
    (lambda: heats(averaged(), image(1, 8, 8, 3), method="gradcam"), "Did you mean 'grad-cam'?"),  # type: ignore[arg-type]
    (lambda: grad_cam(averaged(), image(8, 8, 3), target=4), "expected a number from 0 to 3; got 4"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_refused_in_one_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(check.LensmithError) as caught:
        make()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_layer_without_maps_names_the_last_one_that_has() -> None:
    with pytest.raises(check.SettingError) as caught:
        grad_cam(RESNET.build(seed=0), image(16, 16, 3), layer="task-label-pool")
    assert str(caught.value) == (
        "layer: expected one that gives feature maps; got task-label-pool, which gives (8,). "
        "The last feature maps are those of learner-group2-block1-relu"
    )


# --- real weights, real photographs ----------------------------------------------------------------------------------

# Where the two elephants stand, as shares of height and width: top, bottom, left, right; read off the photograph.
ELEPHANTS = (0.12, 0.70, 0.17, 1.0)
PUBLISHED = {
    "squeezenet-1.0": "squeezenet_v10/squeezenet_v10_decoded.npz",
    "mobilenet-v1-0.25": "mobilenet_v1_025/mobilenet_v1_0.25_224.h5",
}


@pytest.mark.parametrize("row", PUBLISHED)
@pytest.mark.parametrize("method", cam.METHODS)
def test_the_evidence_for_the_elephants_lies_on_them(shared_data: Any, row: str, method: cam.Method) -> None:
    weights, photo = shared_data / PUBLISHED[row], shared_data / "photos" / "creative_commons_elephant.jpg"
    if not weights.is_file() or not photo.is_file():
        pytest.skip(f"{PUBLISHED[row]} or the photograph is not in ../shared/data")
    saved = pretrained(row, weights)
    subject = Subject(saved.model, saved.preprocessing, saved.labels, row)
    [heat] = heats(subject, subject.inputs([photo]), method=method)
    assert heat.target.index == 386, "African elephant"
    with Image.open(photo) as opened:
        height, width = opened.height, opened.width
    shown = heat.scaled((height, width))
    sides = (height, height, width, width)
    top, bottom, left, right = (int(share * side) for share, side in zip(ELEPHANTS, sides, strict=True))
    inside = shown[top:bottom, left:right].mean()
    outside = (shown.sum() - shown[top:bottom, left:right].sum()) / (shown.size - (bottom - top) * (right - left))
    assert inside > 2.5 * outside
    row_at, column = np.unravel_index(shown.argmax(), shown.shape)
    assert top <= row_at < bottom and left <= column < right
