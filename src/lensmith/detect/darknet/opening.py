"""Open a network of Darknet: its three files → a model that is like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lensmith import check
from lensmith.compose.layers import Maker
from lensmith.compose.recipe import Recipe, assemble
from lensmith.compose.tasks import Classify
from lensmith.data.preprocess import Preprocessing
from lensmith.detect.darknet.cfg import read as read_cfg
from lensmith.detect.darknet.names import plain_names, read_names
from lensmith.detect.darknet.recipe import preprocessing as preprocessing_of
from lensmith.detect.darknet.recipe import recipe as recipe_of
from lensmith.detect.darknet.weights import Header, load_weights
from lensmith.records import Labels


@dataclass(frozen=True, slots=True, eq=False)
class Darknet:
    """A network of Darknet as a model.

    Args:
        model: its Keras model, with taps and heads as those of every recipe.
        recipe: how it is built.
        labels: what its output means, by task: ``objects`` of a detector, ``label`` of a classifier.
        preprocessing: the network's size, RGB, pixels 0..1.
        header: what its file of weights says of itself.
        notes: what was ignored in the ``.cfg``, a sentence each.
    """

    model: Any
    recipe: Recipe
    labels: Mapping[str, Labels]
    preprocessing: Preprocessing
    header: Header
    notes: tuple[str, ...] = ()


def open_darknet(cfg: Path, weights: Path | None, names: Path | None = None) -> Darknet:
    """Open a network by its files.

    Args:
        cfg: the ``.cfg``.
        weights: the ``.weights``.
        names: the ``.names`` with one class a line, or a ``.data`` file that says where it is. None: the classes are
            called ``0``, ``1``, …

    Raises:
        DataError: a file cannot be read, or the three do not belong together; one line says which and where.
        SettingError: no weights were named.
    """
    cfg = Path(cfg)
    if weights is None:
        expected = "the file of weights that belongs to it"
        remedy = f"Name it, such as {cfg.with_suffix('.weights').name}"
        raise check.SettingError(check.sentence(str(cfg), expected, "none", remedy))
    read = read_cfg(cfg)
    made = recipe_of(read)
    [(task, head)] = made.tasks.items()
    called = plain_names(head.units if isinstance(head, Classify) else head.classes)  # type: ignore[union-attr]
    if names is not None:
        called = read_names(Path(names), len(called))
    model = assemble(made, Maker(seed=0, empty=True, conventions=made.conventions), auxiliaries=False)
    header = load_weights(model, made, Path(weights))
    labels = {task: Labels("class" if isinstance(head, Classify) else "boxes", called)}
    return Darknet(model, made, labels, preprocessing_of(read), header, read.notes)
