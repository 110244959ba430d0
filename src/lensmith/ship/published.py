"""A network of the zoo with published weights, ready to use: its preprocessing and class names come with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from lensmith import backend, check
from lensmith.compose import weights, zoo
from lensmith.compose.tasks import Classify
from lensmith.data import Preprocessing
from lensmith.records import Labels
from lensmith.ship.saved import Saved


def pretrained(row: str, source: str | Path = "imagenet", *, names: tuple[str, ...] | None = None) -> Saved:
    """A network of the zoo with weights that others trained.

    Args:
        row: its name in the zoo.
        source: the name of published weights, such as ``imagenet``, which are fetched into Keras' cache and checked;
            or a file: Keras ``.h5`` or ``.keras``, ``.safetensors``, ``.npz`` or a PyTorch state dictionary.
        names: of the classes; left out, they are those of ImageNet where these are at hand, else numbers.

    Raises:
        SettingError: there is no such network, or none of these weights for it.
        DataError: the file cannot be read, or does not fit the network.
        LensmithError: the weights cannot be fetched.
    """
    recipe = zoo.get(row)
    (task, head), *others = recipe.tasks.items()
    if others or not isinstance(head, Classify):
        raise check.SettingError(check.sentence(row, "a network that sorts images into classes", "another"))
    path, published = file_of(row, source)
    count = published.classes.count if published else head.classes  # a file does not say what its classes are
    recipe = replace(recipe, tasks={task: replace(head, classes=count)})
    model = recipe.build(seed=0)
    report = weights.load(model, row, path)
    settings = published.preprocessing if published else weights.trained_with(report)
    labels = Labels("class", names or _class_names(published, count))
    height, width, channels = recipe.input
    return Saved(model, recipe, {task: labels}, Preprocessing(image=(height, width, channels), **settings))


def file_of(row: str, source: str | Path) -> tuple[Path, weights.Source | None]:
    """The file that is meant, and what its publisher says of it; None for a file of the user's own.

    Raises:
        SettingError: it is neither a file nor the name of published weights.
    """
    known = weights.PUBLISHED.get(row, {})
    if str(source) in known:
        published = known[str(source)]
        return weights.fetch(published), published
    if Path(source).is_file():
        return Path(source), None
    expected = " or ".join(["a file", *(repr(name) for name in known)])
    raise check.SettingError(check.sentence(f"weights of {row}", expected, repr(str(source))))


def _class_names(published: weights.Source | None, count: int) -> tuple[str, ...]:
    if published is not None and published.classes.names is not None:
        return published.classes.names
    index = backend.config_path().parent / "models" / "imagenet_class_index.json"
    if count == 1000 and index.is_file():  # Keras' own, once something has fetched it
        listed = json.loads(index.read_text(encoding="utf-8"))
        return tuple(listed[str(i)][1] for i in range(count))
    return tuple(str(i) for i in range(count))
