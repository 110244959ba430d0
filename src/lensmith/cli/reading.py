"""How a verb is told to read its data, where looking at them is not enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lensmith import check

if TYPE_CHECKING:
    from lensmith.runs import DataSpec, ReadSpec

_NAMES = ("image", "labels", "rows", "separator", "pattern", "group", "names", "images", "download", "hosts")

FormatName = Annotated[
    str | None,
    typer.Option("--format", metavar="NAME", help="What DATA is: voc, coco, yolo, csv, …", show_default="look"),
]
Read = Annotated[
    list[str] | None,
    typer.Option(
        "--read",
        metavar="NAME=VALUE",
        help=f"How to read DATA: {', '.join(_NAMES)}, as labels=species,age; may be repeated.",
    ),
]


def spec_of(format: str | None, given: list[str] | None) -> ReadSpec:
    """The section of a spec that says the same as ``--format`` and ``--read``.

    Raises:
        SettingError: a name is unknown, or has no value.
    """
    from lensmith import runs

    values: dict[str, object] = {} if format is None else {"format": format}
    for one in given or ():
        name, equals, value = one.partition("=")
        check.one_of("--read", name, _NAMES)
        if not equals or not value:
            raise check.SettingError(check.sentence("--read", f"{name}=VALUE", repr(one)))
        values[name] = tuple(value.split(",")) if name in ("labels", "rows", "hosts") else value
    return runs.validated(runs.ReadSpec, values)


def source_of(source: str, format: str | None, given: list[str] | None, *, augment: object = None) -> DataSpec:
    """The section of a spec that names a source and how to read it."""
    from lensmith import runs

    where = source if source.startswith("bundled:") else str(Path(source).expanduser())
    values = {"source": where, "read": spec_of(format, given), "augment": augment}
    return runs.validated(runs.DataSpec, values)


def ranges(text: str | None) -> object:
    """The name of a ready set of ranges, or the ranges written out as YAML: ``{rotate: 15, zoom: [0.9, 1.1]}``."""
    import yaml

    try:
        return yaml.safe_load(text) if text is not None else None
    except yaml.YAMLError:
        expected = "a name such as light, or ranges such as '{rotate: 15}'"
        raise check.SettingError(check.sentence("--augment", expected, repr(text))) from None
