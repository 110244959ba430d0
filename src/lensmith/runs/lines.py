"""YAML with line numbers: where in the text a setting stands, so that an error can say so."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from lensmith import check

Place = Sequence[int | str]


def load(text: str, name: str) -> Any:
    """The values of a YAML text that must be a mapping.

    Raises:
        SettingError: it is not YAML, or not a mapping; names the line.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        reason = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise check.SettingError(f"{name}, line {line}: not YAML: {reason}") from None
    except (ValueError, RecursionError) as error:  # a date that does not exist; brackets without end
        raise check.SettingError(f"{name}: not YAML: {error}") from None
    if not isinstance(values, dict):
        expected = "settings by name, such as data: and model:"
        raise check.SettingError(check.sentence(f"{name}, line 1", expected, type(values).__name__))
    return values


def explain(error: ValidationError, text: str, name: str, model: type[BaseModel]) -> str:
    """The first thing pydantic found wrong, as one line with its place in the file."""
    # A misspelt name is reported twice, as one too many and one too few; the first tells more.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    last = {first["loc"][-1]} if first["type"] == "missing" else set()
    place = [part for part in on_the_way(text, first["loc"]) if part not in last] + list(last)
    where = f"{name}, line {line_of(text, first['loc'])}: {dotted(place)}"
    if first["type"] == "union_tag_invalid":
        known, tag = re.findall(r"'(.*?)'", first["ctx"]["expected_tags"]), str(first["ctx"]["tag"])
        where += "." + first["ctx"]["discriminator"].strip("'")
        return check.sentence(where, f"one of {', '.join(known)}", repr(tag), check.nearest(tag, known))
    if first["type"] == "extra_forbidden":
        known = _known(model, first["loc"][:-1])
        remedy = check.nearest(str(first["loc"][-1]), known)
        return check.sentence(where, f"one of {', '.join(known)}", f"the unknown name {first['loc'][-1]!r}", remedy)
    if first["type"] == "missing":
        return f"{where}: missing; it has no default"
    return check.sentence(where, said(first["msg"]), repr(first["input"]))


def line_of(text: str, place: Place) -> int:
    """The line, counted from 1, of the deepest setting on the way to ``place`` that the text has."""
    return _walked(text, place)[1]


def on_the_way(text: str, place: Place) -> list[int | str]:
    """Those parts of a place that the text has: pydantic also names the kind of a stage or a schedule."""
    return _walked(text, place)[0]


def _walked(text: str, place: Place) -> tuple[list[int | str], int]:
    """The parts of a place that the text has, and the line of the last."""
    node, line = yaml.compose(text), 1
    found: list[int | str] = []
    for part in place:
        key, child = _child(node, part)
        if child is not None:
            node, line = child, (key or child).start_mark.line + 1
            found.append(part)
    return found, line


def dotted(place: Place) -> str:
    """``("train", 0, "epochs")`` as ``train[0].epochs``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def parts_of(place: str) -> list[int | str]:
    """``train[0].epochs`` as ``["train", 0, "epochs"]``."""
    return [int(word) if word.isdigit() else word for word in re.findall(r"[^.\[\]]+", place)]


def _child(node: Any, part: int | str) -> tuple[Any, Any]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def _known(model: type[BaseModel], place: Place) -> list[str]:
    """The settings a section has."""
    choices: list[type[BaseModel]] = [model]
    for part in place:
        if not isinstance(part, str):
            continue
        fields = [one.model_fields[part] for one in choices if part in one.model_fields]
        named = [one for one in choices if part in (field.default for field in one.model_fields.values())]
        if len(choices) > 1 and named:  # pydantic says the kind, of a stage or a schedule
            choices = named
        elif fields:  # otherwise it is the user's own name, such as that of a task
            choices = _sections(fields[0].annotation)
    return [name for one in choices for name in one.model_fields]


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [found for part in typing.get_args(annotation) for found in _sections(part)]


def said(message: str) -> str:
    """pydantic's sentence, as the middle of ours: ``a number greater than 0``."""
    if (few := re.search(r"should have at least (\d+) items?", message)) is not None:
        return f"at least {few[1]}"
    return message.removeprefix("Input should be ").removeprefix("Value error, ")
