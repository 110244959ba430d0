"""The files that say what a YOLO data set is: ``data.yaml``, Darknet's ``.data``, and lists of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from lensmith import check
from lensmith.data.formats.text import MOST_CLASSES, check_once, read_text

_KEYS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
_NOTHING = ("", "null", "~")
_FIRST = ("data.yaml", "config.yaml", "dataset.yaml")
_NAME_FILES = ("classes.txt", "obj.names", "classes.names", "labels.txt", "names.txt")


@dataclass(frozen=True, slots=True)
class Place:
    """One line of a config: where the images of a part are, and its masks.

    Args:
        part: ``train``, ``validation`` or ``test``.
        images: a folder or a file that lists images, as it is written there.
        masks: the folder of the masks, where the config says one.
    """

    part: str
    images: str
    masks: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """What a config says.

    Args:
        file: its path.
        kind: of the targets.
        names: of the classes, by the number that stands in the label files; None where it says none.
        path: the folder its places start from, as it is written there.
        places: of the images.
        skip: whether an image without a label file is left out, and no background.
        darknet: whether it is Darknet's.
    """

    file: str
    kind: Literal["boxes", "mask"]
    names: Mapping[int, str] | None
    path: str = ""
    places: tuple[Place, ...] = ()
    skip: bool = False
    darknet: bool = False


def find_config(folder: Path) -> Config | None:
    """The config of a folder; None where there is none.

    Raises:
        DataError: there are several and none has a usual name, or the only one is damaged.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in (".yaml", ".yml", ".data"))
    except OSError:
        return None
    files.sort(key=lambda path: _FIRST.index(path.name) if path.name in _FIRST else len(_FIRST))
    found = [config for config in map(_if_config, files) if config]
    if len(found) > 1 and Path(found[0].file).name not in _FIRST:
        got = ", ".join(Path(config.file).name for config in found)
        raise check.DataError(check.sentence(str(folder), "one config", got, "Name one of these files as the source"))
    return found[0] if found else None


def _if_config(file: Path) -> Config | None:
    """The config; None where the file is something else, so that a stray file ends no read."""
    try:
        return read_config(file)
    except check.DataError:
        if file.name in _FIRST:
            raise
        return None


def read_config(file: Path) -> Config | None:
    """Read a config; None where the file holds something else.

    Raises:
        DataError: it cannot be read, or its names are wrong; the line names the file.
    """
    if file.suffix.lower() == ".data":
        return _darknet(file)
    values = _yaml(file)
    if not isinstance(values, dict):
        return None
    places = tuple(_places(values, str(file)))
    for kind, key in (("mask", "classes"), ("boxes", "names")):
        masks = any(place.masks for place in places)
        if key in values and (masks or kind == "boxes") and isinstance(values[key], (list, dict)):
            names = _names(values[key], str(file))
            _check_count(values, names, str(file))
            skip = str(values.get("skip_if_label_file_missing", "")).lower() in ("true", "yes", "on", "1")
            path = values.get("path", "")
            path = path if isinstance(path, str) and path not in _NOTHING else ""
            return Config(str(file), "mask" if masks else "boxes", names, path, places, skip)
    if "nc" in values and places:
        count = _whole(values["nc"], str(file), "nc")
        return Config(str(file), "boxes", {index: str(index) for index in range(count)}, "", places)
    return None


def _check_count(values: Mapping[str, Any], names: Mapping[int, str], file: str) -> None:
    """Refuse names that are more or fewer than the number of classes beside them."""
    said = str(values.get("nc", ""))
    if said.isdecimal() and int(said[:9]) != len(names):
        remedy = "Correct one of the two"
        raise check.DataError(check.sentence(f"{file}: names", f"{said}, as nc says", str(len(names)), remedy))


def _yaml(file: Path) -> Any:
    try:
        # The base loader makes text of everything, which keeps a class called `no` or `007`, and runs no code.
        return yaml.load(read_text(file), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, check.DataError):
            raise
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else str(file)
        reason = getattr(error, "problem", None) or "it cannot be parsed"
        raise check.DataError(check.sentence(where, "YAML", " ".join(str(reason).split()))) from error


def _places(values: Mapping[str, Any], file: str) -> Iterable[Place]:
    for key, part in _KEYS.items():
        given = values.get(key, "")
        if isinstance(given, dict) and isinstance(given.get("images"), str):
            masks = given.get("masks")
            yield Place(part, given["images"], masks if isinstance(masks, str) else None)
            continue
        for one in given if isinstance(given, list) else [given]:
            if not isinstance(one, str):
                expected = "a folder, a list of folders, or a file that lists images"
                raise check.DataError(check.sentence(f"{file}: {key}", expected, type(one).__name__))
            if one not in _NOTHING:
                yield Place(part, one)


def _names(given: list[Any] | dict[Any, Any], file: str) -> dict[int, str]:
    pairs = list(enumerate(given)) if isinstance(given, list) else list(given.items())
    names: dict[int, str] = {}
    for key, name in pairs:
        number = key if isinstance(key, int) else _whole(key, file, "a class number")
        if not isinstance(name, str):
            raise check.DataError(check.sentence(f"{file}: class {number}", "a name", type(name).__name__))
        if number in names:
            raise check.DataError(f"{file}: the class number {number} stands twice; remove one of the two")
        names[number] = name
    check_once(names.values(), file)
    return dict(sorted(names.items()))


def _whole(text: object, file: str, what: str) -> int:
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 9 and int(text) < MOST_CLASSES:
        return int(text)
    raise check.DataError(check.sentence(f"{file}: {what}", f"a whole number from 0 to {MOST_CLASSES - 1}", repr(text)))


def _darknet(file: Path) -> Config | None:
    values = {}
    for line in read_text(file).splitlines():
        key, equals, value = line.partition("#")[0].partition("=")
        if equals:
            values[key.strip()] = value.strip()
    places = tuple(Place(part, values[key]) for key, part in _KEYS.items() if values.get(key))
    if not places and not values.get("names"):
        return None
    return Config(str(file), "boxes", None, values.get("names", ""), places, darknet=True)


def find_names(folders: Iterable[Path]) -> Path | None:
    """The file with class names: ``classes.txt``, ``obj.names``, or the only ``.names`` file of a folder."""
    for folder in folders:
        for name in _NAME_FILES:
            if (folder / name).is_file():
                return folder / name
        try:
            named = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".names")
        except OSError:
            continue
        if len(named) == 1:
            return named[0]
    return None
