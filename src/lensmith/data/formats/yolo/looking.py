"""Whether a path holds YOLO labels, told from a config, from names, and from the first lines of a label file."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from lensmith import check
from lensmith.data.formats.pairs.config import Config
from lensmith.data.formats.pairs.layout import configs_of, matches
from lensmith.data.formats.paths import without_steps_up
from lensmith.data.formats.text import read_text
from lensmith.data.formats.yolo.lines import is_number, parse

_OPENED = 20  # label files, until one holds boxes
_COLUMNS = (5, 6)  # of a box, and of one with a confidence


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
        label = Path(pair.label or "")
        if _is_label(label):
            return f"text files of boxes, such as {label.relative_to(path)}"
    return None


def _is_label(file: Path) -> bool:
    """Whether a file begins with boxes, or with what was meant to be some and the reader can say what is wrong with."""
    try:
        lines = read_text(file).splitlines()[:3]
    except check.DataError:
        return False
    try:
        if len(parse("\n".join(lines), None, (1, 1), "label")):
            return True
    except check.DataError:
        words = next(line.split() for line in lines if line.strip())
        return len(words) in _COLUMNS and words[0].isdecimal() and all(map(is_number, words))
    return False


def _below(config: Config, path: Path) -> str:
    file = Path(config.file)
    return str(file.relative_to(path)) if path.is_dir() else file.name
