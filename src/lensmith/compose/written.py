"""Parts as plain mappings and back, so that a recipe can be a YAML file.

A part is written as a mapping with its name under ``part`` and its settings beside it; a part with no
settings may be its bare name: ``{part: conv, kernel: 5}``, ``flatten``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

import yaml

from lensmith import check
from lensmith.boxes import Thresholds
from lensmith.compose.auxiliary import Auxiliary
from lensmith.compose.blocks import BLOCKS, Branches, InvertedResidual, Pool, Squeeze, Step
from lensmith.compose.cells import CellGroup, Cells
from lensmith.compose.detection.tasks import DETECTORS, YoloMaps, YoloOutput, YoloV1, YoloV2, YoloV3, YoloV3Tiny
from lensmith.compose.layers import Conventions
from lensmith.compose.learners import Autoencoder, LayerGraph, UNet
from lensmith.compose.learners.layer_graph import GRAPH_LAYERS
from lensmith.compose.parts import ConvStem, Dense, Flatten, Group, Groups, Steps
from lensmith.compose.tasks import Binary, Classify, Localise, MultiLabel, Reconstruct, Regress, Segment

Kinds = Mapping[str, type]

STEMS: Kinds = {"conv-stem": ConvStem, "steps": Steps, "flatten": Flatten}
LEARNERS: Kinds = {
    "groups": Groups,
    "dense": Dense,
    "cells": Cells,
    "u-net": UNet,
    "autoencoder": Autoencoder,
    "layer-graph": LayerGraph,
}
TASKS: Kinds = {
    "classify": Classify,
    "binary": Binary,
    "multi-label": MultiLabel,
    "regress": Regress,
    "localise": Localise,
    "segment": Segment,
    "reconstruct": Reconstruct,
    "yolo-v1": YoloV1,
    "yolo-v2": YoloV2,
    "yolo-v3": YoloV3,
    "yolo-v3-tiny": YoloV3Tiny,
    "yolo-maps": YoloMaps,
}
CONVENTIONS: Kinds = {"conventions": Conventions}
AUXILIARIES: Kinds = {"auxiliary": Auxiliary}

_STEP: Kinds = {"step": Step, "pool": Pool, "branches": Branches}
# Which parts may stand inside which: (part, field) -> what is allowed there, alone or in lists.
_INSIDE: dict[tuple[type, str], Kinds] = {
    (Groups, "groups"): {"group": Group},
    (Cells, "groups"): {"cell-group": CellGroup},
    (Steps, "steps"): _STEP,
    (Branches, "branches"): _STEP,
    (Group, "block"): BLOCKS,
    (Group, "pool"): {"pool": Pool},
    (Auxiliary, "pool"): {"pool": Pool},
    (Autoencoder, "encoder"): {"groups": Groups, "dense": Dense},
    (LayerGraph, "layers"): GRAPH_LAYERS,
    (InvertedResidual, "squeeze"): {"squeeze": Squeeze},
    (YoloMaps, "outputs"): {"yolo-output": YoloOutput},
    **{(detector, "thresholds"): {"thresholds": Thresholds} for detector in DETECTORS},
}
_INNER: Kinds = {
    "group": Group,
    "cell-group": CellGroup,
    "squeeze": Squeeze,
    "yolo-output": YoloOutput,
    "thresholds": Thresholds,
}
_LISTS = (Groups, Steps)  # made of their one field's items
_NAMES = {
    kind: name
    for table in (STEMS, LEARNERS, BLOCKS, TASKS, CONVENTIONS, AUXILIARIES, _STEP, _INNER, GRAPH_LAYERS)
    for name, kind in table.items()
}


def to_plain(part: Any) -> Any:
    """A part as a mapping, every default written out; tuples become lists, all else stays."""
    if isinstance(part, tuple):
        return [to_plain(item) for item in part]
    if type(part) not in _NAMES:
        return part
    return {"part": _NAMES[type(part)], **{item.name: to_plain(getattr(part, item.name)) for item in fields(part)}}


def from_plain(place: str, value: Any, kinds: Kinds) -> Any:
    """The part that ``value`` describes, one of ``kinds``; None passes through.

    Raises:
        SettingError: names the place, such as ``learner.groups[1].block``.
    """
    if value is None:
        return None
    if isinstance(value, str):
        value = {"part": value}
    if not isinstance(value, Mapping):
        raise check.SettingError(check.sentence(place, f"a part ({', '.join(kinds)})", repr(value)))
    name = value.get("part", next(iter(kinds)) if len(kinds) == 1 else None)
    remedy = f"{name!r} is a part, but not for this place" if name in _NAMES.values() else ""
    kind = kinds[check.one_of(f"{place}.part", name, kinds, remedy)]
    settings = check_keys(place, {key: item for key, item in value.items() if key != "part"}, *_keys(kind))
    made = {key: _setting(f"{place}.{key}", kind, key, item) for key, item in settings.items()}
    return _make(place, kind, made)


def _keys(kind: type) -> tuple[list[str], list[str]]:
    settings: tuple[Field[Any], ...] = fields(kind)
    required = [item.name for item in settings if item.default is MISSING and item.default_factory is MISSING]
    return required, [item.name for item in settings if item.name not in required]


def _setting(place: str, kind: type, key: str, value: Any) -> Any:
    inside = _INSIDE.get((kind, key))
    if inside is None or (key == "pool" and isinstance(value, int)):  # a number is short for a max pool
        return value
    if kind in _LISTS and not isinstance(value, list | tuple):
        raise check.SettingError(check.sentence(place, f"a list of {key}", repr(value)))
    return from_plain(place, value, inside) if key == "pool" else parts(place, value, inside)


def parts(place: str, value: Any, kinds: Kinds) -> Any:
    """A part, or lists of parts as deep as they are written."""
    if isinstance(value, list | tuple):
        return tuple(parts(f"{place}[{i}]", item, kinds) for i, item in enumerate(value))
    return from_plain(place, value, kinds)


def _make(place: str, kind: type, settings: Mapping[str, Any]) -> Any:
    try:
        return kind(*next(iter(settings.values()), ())) if kind in _LISTS else kind(**settings)
    except check.SettingError as error:  # "dense.units: …" becomes "learner.units: …"
        raise check.SettingError(f"{place}.{str(error).removeprefix(f'{_NAMES[kind]}.')}") from None


def check_keys(place: str, values: Any, required: Iterable[str], optional: Iterable[str]) -> dict[str, Any]:
    """``values`` as a dictionary, if it has all required keys and no unknown ones."""
    if not isinstance(values, Mapping):
        raise check.SettingError(check.sentence(place, "settings by name", repr(values)))
    required, known = list(required), [*required, *optional]
    for key in values:
        if not known:
            raise check.SettingError(check.sentence(place, "no settings", repr(key)))
        check.one_of(place, key, known)
    for key in required:
        if key not in values:
            raise check.SettingError(f"{place}.{key}: missing; it has no default")
    return dict(values)


def to_yaml(values: Mapping[str, Any]) -> str:
    """Plain values as a YAML document, in their own order, short lists and mappings on one line."""
    return yaml.safe_dump(dict(values), sort_keys=False, default_flow_style=None, width=110)


def from_yaml(text: str) -> Any:
    """What the text says, as plain values.

    Raises:
        SettingError: the text is not YAML; names the line.
    """
    if not isinstance(text, str):
        raise check.SettingError(check.sentence("recipe", "YAML text", repr(text)))
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        place = f"recipe, line {error.problem_mark.line + 1}" if error.problem_mark else "recipe"
        raise check.SettingError(f"{place}: not YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise check.SettingError(f"recipe, line {line}: not YAML: {error.reason}") from None
    except (ValueError, RecursionError) as error:  # such as the 13th month, or ten thousand brackets
        raise check.SettingError(f"recipe: not YAML: {error}") from None
