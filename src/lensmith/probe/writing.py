"""Figures in a folder: their pictures, their arrays and ``probe.json``, which names them all.

``NAME.png`` is the picture of a figure, ``NAME.ARRAY.npy`` one of its arrays, ``probe.html`` a page if there is one.
"""

from __future__ import annotations

import io
import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lensmith import check, files
from lensmith.probe.figure import Figure

DOCUMENT, PAGE = "probe.json", "probe.html"
_FORMAT = 1
_FIGURE, _ARRAY = re.compile(r"[A-Za-z0-9-]{1,200}"), re.compile(r"[A-Za-z0-9_-]{1,200}")


def write(folder: Path, figures: Sequence[Figure], facts: Mapping[str, Any], *, page: str = "") -> dict[str, Any]:
    """Write figures into a folder, all or nothing; what an earlier probe wrote there is replaced.

    Args:
        folder: the target; made where there is none.
        figures: each of another name.
        facts: what is to be said of them all, as JSON holds it.
        page: HTML that shows them, written as ``probe.html``.

    Returns:
        what ``probe.json`` holds (the facts; of each figure its title, note, facts, picture and arrays), with whole
        paths in place of file names, and ``paths``, those of all files.

    Raises:
        SettingError: two figures have one name, or an array has one with other characters than letters, digits, ``-``
            and ``_``; the folder holds files that no probe wrote, or is a file.
        DataError: a fact is nothing that JSON can hold, or an array holds objects.
        LensmithError: the disk is full or refuses; what was there is still there.
    """
    folder = Path(folder).resolve()
    document = _document(figures, facts, page)
    contents: dict[str, Callable[[], bytes]] = {}
    for figure, said in zip(figures, document["figures"], strict=True):
        contents[said["picture"]] = partial(_png, figure.picture)
        contents |= {one["file"]: partial(_npy, figure.arrays[one["name"]]) for one in said["arrays"]}
    written = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    for name, text in ((DOCUMENT, written), (PAGE, page)):
        if text:  # the name of a file may hold bytes that are no letters
            contents[name] = partial(text.encode, "utf-8", "replace")
    _check_replaceable(folder)
    files.write_folder(folder, _Made(contents), replace=True)
    return _with_paths(document, folder, list(contents))


def read(folder: Path) -> tuple[dict[str, Any], tuple[Figure, ...]]:
    """Read back what :func:`write` wrote: the facts, and the figures without their arrays.

    A figure whose picture is gone is left out. Nothing outside the folder is read, whatever its files say.

    Raises:
        DataError: there is no ``probe.json``, or it or a picture is damaged.
    """
    folder = Path(folder)
    document = _read_document(folder / DOCUMENT)
    found = []
    for said in document["figures"]:
        path = folder / said["picture"]
        if path.is_file() and not path.is_symlink():
            found.append(Figure(said["name"], said["title"], _picture(path), {}, said["facts"], said["note"]))
    return document["facts"], tuple(found)


class _Made(Mapping[str, bytes]):
    """Contents that are made one at a time, as each is asked for: never all of them are in memory."""

    def __init__(self, contents: Mapping[str, Callable[[], bytes]]) -> None:
        self._contents = contents

    def __getitem__(self, name: str) -> bytes:
        return self._contents[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def __len__(self) -> int:
        return len(self._contents)


def _document(figures: Sequence[Figure], facts: Mapping[str, Any], page: str) -> dict[str, Any]:
    names: set[str] = set()
    for figure in figures:
        if figure.name.casefold() in names:  # some disks do not tell capitals from small letters
            raise check.SettingError(check.sentence("figures", "another name for each", f"{figure.name!r} twice"))
        if not _FIGURE.fullmatch(figure.name):
            raise check.SettingError(check.sentence("figure", "a name of at most 200 letters", len(figure.name)))
        names.add(figure.name.casefold())
    said = [
        {
            "name": figure.name,
            "title": figure.title,
            "note": figure.note,
            "facts": _json(f"{figure.name}: facts", figure.facts),
            "picture": f"{figure.name}.png",
            "arrays": [_array(figure.name, name, array) for name, array in figure.arrays.items()],
        }
        for figure in figures
    ]
    pages = {"page": PAGE} if page else {}
    return {"format": _FORMAT, "facts": _json("facts", facts), "figures": said, **pages}


def _array(figure: str, name: str, array: np.ndarray) -> dict[str, Any]:
    if not _ARRAY.fullmatch(name):
        expected = "a name of letters, digits, '-' and '_'"
        raise check.SettingError(check.sentence(f"{figure}: array", expected, repr(name)))
    if array.dtype.hasobject:
        raise check.DataError(check.sentence(f"{figure}: array {name}", "numbers or text", f"{array.dtype}"))
    return {"name": name, "file": f"{figure}.{name}.npy", "shape": list(array.shape), "dtype": str(array.dtype)}


def _json(place: str, value: Any) -> Any:
    """The value as JSON holds it: numpy's numbers as numbers, arrays as lists, None for what is not finite."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _json(f"{place}: {key}", one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(place, one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    raise check.DataError(check.sentence(place, "text, numbers, lists and mappings", type(value).__name__))


def _png(picture: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(picture).save(held, format="PNG")
    return held.getvalue()


def _npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array, allow_pickle=False)
    return held.getvalue()


def _check_replaceable(folder: Path) -> None:
    """Refuse a folder with anything that no probe wrote. Names that begin with a dot, of desktops, may go."""
    expected = "a new folder, or one that a probe wrote"
    if folder.exists() and not folder.is_dir():
        raise check.SettingError(check.sentence(str(folder), expected, "a file"))
    present = sorted(path.name for path in folder.glob("[!.]*"))
    if not present:
        return
    remedy = "Choose another folder, so that nothing is lost"
    if DOCUMENT not in present:
        raise check.SettingError(check.sentence(str(folder), expected, f"one that holds {present[0]}", remedy))
    try:
        earlier = _read_document(folder / DOCUMENT)
    except check.DataError as error:
        got = f"one whose {DOCUMENT} is of something else or damaged"
        raise check.SettingError(check.sentence(str(folder), expected, got, remedy)) from error
    own = {DOCUMENT, PAGE} | {said["picture"] for said in earlier["figures"]}
    own |= {array["file"] for said in earlier["figures"] for array in said["arrays"]}
    foreign = [name for name in present if name not in own or not (folder / name).is_file()]
    if foreign:
        raise check.SettingError(check.sentence(str(folder), expected, f"one that also holds {foreign[0]}", remedy))


def _with_paths(document: Mapping[str, Any], folder: Path, names: Sequence[str]) -> dict[str, Any]:
    figures = [
        {
            **said,
            "picture": str(folder / said["picture"]),
            "arrays": [{**array, "file": str(folder / array["file"])} for array in said["arrays"]],
        }
        for said in document["figures"]
    ]
    page = {"page": str(folder / PAGE)} if "page" in document else {}
    return {**document, "figures": figures, **page, "paths": [str(folder / name) for name in names]}


def _read_document(path: Path) -> dict[str, Any]:
    """The document, checked: every name in it is one that :func:`write` would give."""
    expected = f"a {DOCUMENT} as a probe writes it"
    if not path.is_file() or path.is_symlink():
        raise check.DataError(check.sentence(str(path), expected, "no such file"))
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise check.DataError(check.sentence(str(path), expected, "a file that cannot be read")) from error
    wrong = _wrong(document)
    if wrong:
        raise check.DataError(check.sentence(str(path), expected, f"one with {wrong}"))
    checked: dict[str, Any] = document
    return checked


def _wrong(document: Any) -> str:
    """What is wrong with a document, or nothing."""
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return f"another format than {_FORMAT}"
    figures = document.get("figures")
    if not isinstance(document.get("facts"), dict) or not isinstance(figures, list):
        return "no facts or no figures"
    names = [said.get("name") if isinstance(said, dict) else None for said in figures]
    if len({str(name).casefold() for name in names}) < len(names):
        return "two figures of one name"
    return next(filter(None, map(_wrong_figure, figures)), "")


def _wrong_figure(said: Any) -> str:
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        return "a figure without a name"
    name, arrays = said["name"], said.get("arrays")
    if not _FIGURE.fullmatch(name) or not name.strip("-"):
        return f"a figure named {name[:60]!r}"
    if said.get("picture") != f"{name}.png":
        return f"another picture for {name} than {name}.png"
    texts = isinstance(said.get("title"), str) and isinstance(said.get("note"), str)
    if not texts or not isinstance(said.get("facts"), dict) or not isinstance(arrays, list):
        return f"parts of {name} missing"
    for array in arrays:
        given = array.get("name") if isinstance(array, dict) else None
        if not isinstance(given, str) or not _ARRAY.fullmatch(given) or array.get("file") != f"{name}.{given}.npy":
            return f"an array of {name} that has another file"
    return ""


def _picture(path: Path) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            # A small file may claim to be of any size: of what Pillow only warns is refused too.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG",)) as opened:
                return np.asarray(opened.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise check.DataError(check.sentence(str(path), "a PNG", "a file that cannot be read")) from error
