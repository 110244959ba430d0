"""Whether a path holds YOLO labels, told from a config, from names, and from the first lines of a label file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from lensmith import check
from lensmith.data.formats.yolo.config import Config, read_text
from lensmith.data.formats.yolo.layout import find_configs, matches
from lensmith.data.formats.yolo.lines import parse
from lensmith.data.formats.yolo.paths import without_steps_up

_OPENED = 20  # label files, until one is not empty
_CONFIGS = (".yaml", ".yml", ".data")


def recognise(path: Path) -> str | None:
    """What is seen of YOLO at a path; None where it is another format. Configs and up to 20 labels are opened."""
    path = without_steps_up(path)
    configs = configs_of(path)
    if configs is None:
        return "a config that is damaged"
    if configs:
        boxes = [config for config in configs if config.kind == "boxes"]
        files = ", ".join(_below(config, path) for config in configs)
        return f"the config {files}" if boxes and len(configs) == 1 else f"the configs {files}" if boxes else None
    if not path.is_dir():
        return None
    for pair in islice(matches(path, "boxes"), _OPENED):
        try:
            text = read_text(Path(pair.label or ""))
            if len(parse("\n".join(text.splitlines()[:3]), None, (1, 1), "label")):
                return f"text files of boxes, such as {Path(pair.label or '').relative_to(path)}"
        except check.DataError:
            return None
    return None


def configs_of(path: Path) -> list[Config] | None:
    """The configs of a path; none where it holds something else, None where the one it has is damaged."""
    if path.is_file() and path.suffix.lower() not in _CONFIGS:
        return []
    try:
        return find_configs(path)
    except check.DataError:
        return [] if path.is_file() else None


def _below(config: Config, path: Path) -> str:
    file = Path(config.file)
    return str(file.relative_to(path)) if path.is_dir() else file.name
