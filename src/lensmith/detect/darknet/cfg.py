"""The text of a Darknet network, a ``.cfg`` file, as sections of settings.

Read as Darknet reads it: white space counts nowhere, lines that begin with ``#`` or ``;`` are comments, of a setting
that stands twice the first counts, and settings that nothing reads are ignored; these are noted. What the sections
mean is the matter of :mod:`.cfg_layers`.

References: Redmon 2013-2018, Darknet, src/parser.c and src/option_list.c.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from lensmith import check
from lensmith.data.formats.text import read_text
from lensmith.detect.darknet.cfg_keys import ALIASES, KEYS, RECURRENT, UNSUPPORTED

MOST_BYTES = 4 * 2**20  # the longest published file has 40 thousand
MOST_SECTIONS = 4096
MOST_NOTES = 100  # beyond, it is no Darknet file with a slip, and looking for near names takes time
_WHOLE = re.compile(r"[+-]?[0-9]{1,9}(\.0*)?")
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}\.?[0-9]{0,40}|\.[0-9]{1,40})([eE][+-]?[0-9]{1,3})?")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a file: one layer, or the ``[net]`` itself.

    Args:
        kind: its name without brackets, in the long form: ``convolutional``.
        file, line: where it begins.
        settings: as they are written, without white space.
        lines: where each setting stands.
    """

    kind: str
    file: str
    line: int
    settings: Mapping[str, str] = field(hash=False)
    lines: Mapping[str, int] = field(hash=False)

    def place(self, key: str = "") -> str:
        """Where a refusal points to: the line of a setting, or of the section where it has none."""
        return f"{self.file}:{self.lines.get(key, self.line)}: [{self.kind}]{' ' * bool(key)}{key}"

    def wrong(self, key: str, expected: str, got: object, remedy: str = "") -> check.DataError:
        """The error that says so."""
        return check.DataError(check.sentence(self.place(key), expected, got, remedy))

    def whole(self, key: str, default: int, low: int = 0, high: int = 10**9) -> int:
        """A setting that is a whole number in ``low..high``.

        Raises:
            DataError: it is none, or outside.
        """
        text = self.settings.get(key)
        if text is None:
            return default
        value = self._whole(key, text)
        if not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low:,} to {high:,}", text)
        return value

    def number(self, key: str, default: float) -> float:
        """A setting that is a finite number.

        Raises:
            DataError: it is none.
        """
        text = self.settings.get(key)
        return default if text is None else self._number(key, text)

    def wholes(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers; empty where the setting is missing.

        Raises:
            DataError: one of them is none.
        """
        return tuple(self._whole(key, part) for part in self._parts(key))

    def numbers(self, key: str) -> tuple[float, ...]:
        """A list of finite numbers; empty where the setting is missing.

        Raises:
            DataError: one of them is none.
        """
        return tuple(self._number(key, part) for part in self._parts(key))

    def text(self, key: str, default: str) -> str:
        """A setting as it is written."""
        return self.settings.get(key, default)

    def _parts(self, key: str) -> list[str]:
        text = self.settings.get(key, "").removesuffix(",")
        return text.split(",") if text else []

    def _whole(self, key: str, text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise self.wrong(key, "a whole number", repr(text[:40]))
        return int(text.partition(".")[0])

    def _number(self, key: str, text: str) -> float:
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            raise self.wrong(key, "a number", repr(text[:40]))
        return float(text)


@dataclass(frozen=True, slots=True)
class Cfg:
    """A network as its file describes it.

    Args:
        file: what refusals call it.
        net: the settings of the whole: the size of the input, and of the training.
        sections: the layers, in their order.
        notes: lines that were ignored, one sentence each; of more than a hundred, the first ones.
    """

    file: str
    net: Section
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()


def read(path: Path) -> Cfg:
    """The sections of a ``.cfg`` file.

    Raises:
        DataError: as for :func:`parse`; or the file cannot be read, is too large, or no text in UTF-8.
    """
    return parse(read_text(Path(path), MOST_BYTES), str(path))


def parse(text: str, file: str = "cfg") -> Cfg:
    r"""The sections of a text.

    Args:
        text: what the file holds.
        file: what refusals call it.

    Raises:
        DataError: a section is unknown or cannot be had here, ``[net]`` is not the first one, there is no layer, or
            too many; names the line.

    >>> cfg = parse("[net]\nwidth = 8\nheight=8\n\n# one layer\n[conv]\nfilters=4\nfilter=5\n")
    >>> cfg.sections[0].kind, cfg.sections[0].line, cfg.sections[0].whole("filters", 1)
    ('convolutional', 6, 4)
    >>> cfg.notes
    ("cfg:8: [convolutional] has no setting 'filter'; it was ignored. Did you mean 'filters'?",)
    """
    if len(text) > MOST_BYTES or "\0" in text:
        raise check.DataError(check.sentence(file, f"a text of at most {MOST_BYTES:,} characters", "something else"))
    opened: list[_Open] = []
    notes: list[str] = []
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        line = re.split("[#;]", _SPACE.sub("", raw), maxsplit=1)[0]
        if line.startswith("["):
            kind = _kind(line, f"{file}:{number}")
            _check_order(f"{file}:{number}", kind, len(opened))
            opened.append(_Open(kind, number))
        elif line:
            said = _setting(line, f"{file}:{number}", number, opened)
            notes += [said()] if said and len(notes) < MOST_NOTES else []
    if len(opened) < 2:
        got = "[net] alone" if opened else "no section"
        raise check.DataError(check.sentence(file, "[net] and at least one layer", got))
    net, *layers = (one.closed(file) for one in opened)
    return Cfg(file, net, tuple(layers), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Open:
    """A section that is still being read."""

    kind: str
    line: int
    settings: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def closed(self, file: str) -> Section:
        return Section(self.kind, file, self.line, MappingProxyType(self.settings), MappingProxyType(self.lines))


def _kind(line: str, place: str) -> str:
    """The section that a line in brackets begins."""
    name = line[1:].removesuffix("]")
    kind = ALIASES.get(name, name)
    if kind in RECURRENT:
        expected = "layers of a network for images"
        raise check.DataError(check.sentence(place, expected, f"[{kind}], which is for sequences"))
    if kind in UNSUPPORTED:
        raise check.DataError(check.sentence(place, "a layer that can be read here", f"[{kind}]"))
    if not line.endswith("]") or kind not in KEYS:
        hint = check.nearest(name[:40], [*KEYS, *ALIASES])
        raise check.DataError(check.sentence(place, f"one of {', '.join(KEYS)}", repr(line[:40]), hint))
    return kind


def _check_order(place: str, kind: str, before: int) -> None:
    if (kind == "net") != (before == 0):
        expected = "[net] as the first section and nowhere else"
        raise check.DataError(check.sentence(place, expected, "a second one" if kind == "net" else f"[{kind}]"))
    if before > MOST_SECTIONS:
        raise check.DataError(check.sentence(place, f"at most {MOST_SECTIONS:,} layers", "more"))


def _setting(line: str, place: str, number: int, opened: list[_Open]) -> Callable[[], str] | None:
    """Put a setting into the section that is being read; returns what can be said of it, if anything."""
    key, equals, value = line.partition("=")
    if not opened:
        raise check.DataError(check.sentence(place, "[net] before any setting", repr(line[:40])))
    section = opened[-1]
    if not (key and equals and value):
        return lambda: f"{place}: expected a setting such as stride=2; got {line[:40]!r}, which was ignored"
    if key in section.settings:
        first = section.lines[key]
        return lambda: f"{place}: [{section.kind}] has {key[:40]!r} already in line {first}, which counts"
    section.settings[key], section.lines[key] = value, number
    return None if key in KEYS[section.kind] else lambda: _unknown(place, section.kind, key[:40])


def _unknown(place: str, kind: str, key: str) -> str:
    hint = check.nearest(key, KEYS[kind])
    return f"{place}: [{kind}] has no setting {key!r}; it was ignored{'. ' * bool(hint)}{hint}"
