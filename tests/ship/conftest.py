"""What this room's tests share: a small network of every kind of task, drawn images, and its exported artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.backend import keras
from lensmith.compose import Binary, Classify, Conv, ConvStem, Group, Groups, MultiLabel, Recipe, Regress
from lensmith.data import Preprocessing
from lensmith.records import Labels
from lensmith.ship import Proof, Saved, export, onnx

RECIPE = Recipe(
    input=(20, 14, 3),
    # The padded pool of a linear stem: its inputs are below 0 too, where ONNX Runtime would lose the padding.
    stem=ConvStem(6, kernel=3, stride=1, pool=3, activation="linear"),
    learner=Groups(
        Group(Conv(norm="before"), filters=(6, 8), pool=2, dropout=0.2),
        Group(Conv(norm="after", activation="leaky_relu"), filters=(12,)),
    ),
    tasks={
        "shape": Classify(4, hidden=(8,), dropout=0.3),
        "round": Binary(pool="flatten"),
        "marks": MultiLabel(5, pool="max"),
        "size": Regress(2),
    },
)
LABELS = {
    "shape": Labels("class", ("circle", "square", "star", "Stück")),
    "round": Labels("class", ("no", "yes")),
    "marks": Labels("classes", ("dot", "line", "hole", "dent", "crack")),
    "size": Labels("number", ("width", "height")),
}
SCALING = Preprocessing(image=(20, 14, 3), scaling="standardise", mean=(120.0, 100.0, 90.0), deviation=(60.0, 50.0, 70))


@dataclass(frozen=True)
class Exported:
    """An artifact, what it came from, and the network as the backend gave it."""

    saved: Saved
    path: Path
    proof: Proof
    network: Any
    printed: str


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    """``draw(height, width, channels, seed)``: uint8 pixels with edges in them, the same every time."""

    def drawn(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng((seed, height, width))
        blocks = rng.integers(0, 256, (-(-height // 4), -(-width // 4), channels))
        pixels = np.kron(blocks, np.ones((4, 4, 1)))[:height, :width]
        return (pixels * 0.8 + rng.integers(0, 52, pixels.shape)).clip(0, 255).astype(np.uint8)

    return drawn


@pytest.fixture(scope="session")
def images(draw: Callable[..., np.ndarray]) -> list[np.ndarray]:
    """Images of several sizes: equal to the model's, larger, smaller, narrow, a single pixel."""
    sizes = [(20, 14), (41, 33), (9, 9), (20, 50), (64, 3), (1, 1), (20, 14), (41, 33)]
    return [draw(*size, seed=i) for i, size in enumerate(sizes)]


@pytest.fixture(scope="session")
def settle() -> Callable[[Any], Any]:
    """``settle(model)``: give batch normalisation the statistics of some input, as training would.

    An untrained residual network doubles its numbers in every block: its logits are in the thousands, where float32
    has no fourth decimal to compare.
    """

    def settled(model: Any) -> Any:
        layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        momenta = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 0.0
        model(np.random.default_rng(1).normal(size=(16, *model.input.shape[1:])).astype("float32"), training=True)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        return model

    return settled


@pytest.fixture(scope="session")
def saved(settle: Callable[[Any], Any]) -> Saved:
    """One network with every kind of task, batch normalisation and dropout. Leave its weights alone."""
    return Saved(settle(RECIPE.build(seed=3)), RECIPE, LABELS, SCALING)


@pytest.fixture(scope="session")
def exported(saved: Saved, images: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """The artifact of ``saved``, exported once for all tests."""
    import contextlib
    import io

    import onnx as standard

    path = tmp_path_factory.mktemp("artifact") / "new" / "model.onnx"
    kept = []
    whole = onnx.export_network

    def keeping(*arguments: Any) -> Any:
        kept.append(whole(*arguments))
        copy = standard.ModelProto()
        copy.CopyFrom(kept[0])
        return copy

    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(onnx, "export_network", keeping)
        proof = export(saved, path, images)
    yield Exported(saved, path, proof, kept[0], printed.getvalue())


@pytest.fixture
def reexport(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Proof]:
    """``reexport(path, images, fault)``: export again from the network kept, after ``fault`` changed a copy of it."""
    import onnx as standard

    def again(path: Path, images: Any, fault: Callable[[Any], None] = lambda network: None, **options: Any) -> Proof:
        network = standard.ModelProto()
        network.CopyFrom(exported.network)
        fault(network)
        monkeypatch.setattr(onnx, "export_network", lambda *arguments: network)
        return export(exported.saved, path, images, **options)

    return again
