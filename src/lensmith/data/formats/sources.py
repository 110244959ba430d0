"""Look at what the user named, and read it with the reader that understands it; write it with any writer."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from lensmith import check, files
from lensmith.data.formats import FORMATS
from lensmith.data.formats.arrays.archives import NPZ
from lensmith.data.formats.arrays.idx import IDX
from lensmith.data.formats.arrays.samples import bundled
from lensmith.data.formats.folders.classes import FOLDERS, TASK, read_folder
from lensmith.data.formats.folders.names import NAMES
from lensmith.data.formats.folders.patterns import Pattern
from lensmith.data.formats.folders.unlabelled import UNLABELLED
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.masks.reading import MASKS
from lensmith.data.formats.parts import part_in
from lensmith.data.formats.walking import closed, entries, folders, holds_image, is_unicode, loose_images, shown
from lensmith.data.formats.yolo.reading import YOLO
from lensmith.records import Records

_BUNDLED = "bundled:"
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_PARTS_OF_MANY = (".xml", ".txt")  # one file for each image
_MANY = 32  # folders, which may be classes rather than data sets
_DEEPEST = 3  # wrappers, one in the other, as archives unpack to
_BY_NAME = {one.name: one for one in FORMATS}
_IN_MEMORY = "npz"  # the format for what came from no file


@dataclass(frozen=True, slots=True)
class _Seen:
    format: Format
    path: Path
    what: str


def read(
    source: Path | str,
    *,
    format: str | None = None,
    image: str | None = None,
    labels: Sequence[str] | str | None = None,
    rows: Sequence[str] | str | None = None,
    separator: str | None = None,
    pattern: str | None = None,
    group: str | None = None,
    names: Path | str | None = None,
    images: Path | str | None = None,
    download: Path | str | None = None,
    hosts: Sequence[str] = (),
) -> Records:
    """Read records from wherever the user keeps them, in any of these formats:

    ==============  =====================================================================================
    ``voc``         Pascal VOC: an XML file of boxes for each image
    ``coco``        COCO: a JSON file of boxes and outlines
    ``yolo``        YOLO: a text file of boxes or outlines for each image, and the names
    ``masks``       a PNG of class indices for each image
    ``csv``         a table: paths or URLs of images, pixels or numbers in the rows, labels in columns
    ``json``        a JSON list of such rows
    ``npz``         NumPy arrays, ``x`` and ``y``, in ``.npz`` or ``.npy``
    ``idx``         the files of MNIST
    ``folders``     a folder for each class (see :func:`read_folder`), or species/breed folders
    ``names``       the label in the file name: ``cat.0.jpg``
    ``unlabelled``  images and nothing else
    ==============  =====================================================================================

    The format is found by looking; a folder that holds nothing but another folder is entered. What cannot be used
    is in ``set_aside``, and ``layout`` says what the source was found to be.

    Args:
        source: a folder or a file, or ``bundled:`` and the name of one of scikit-learn's data sets (see
            :func:`bundled`).
        format: one of the names above; left out, the first that fits.
        image: the column or key that holds the images.
        labels: the columns or keys that are targets, one task each; elsewhere the names of the tasks.
        rows: the columns that make a row of numbers.
        separator: of a table's columns.
        pattern: of file names without suffix, with named places: ``{label}.{number}``, ``{label}_{patient}_{row}``.
            With class folders it adds to what the folders say.
        group: the column, key or place in the pattern that gives the group of an example.
        names: a file with the class names, one a line.
        images: the folder that relative image paths start from.
        download: a folder into which images at URLs are fetched; left out, nothing is.
        hosts: hosts that may be asked although their address is private, such as ``localhost``.

    Raises:
        DataError: there is nothing there, or nothing that can be understood; says what can.
        SettingError: no such format or bundled data, or a setting that the format does not heed.

    Example:
        >>> read("bundled:wine").counts("label")
        {'class_0': 59, 'class_1': 71, 'class_2': 48}
    """
    hints = Hints(
        image=image,
        labels=_several(labels),
        rows=_several(rows),
        separator=separator,
        pattern=pattern,
        group=group,
        names=None if names is None else Path(names),
        images=None if images is None else Path(images),
        download=None if download is None else Path(download),
        hosts=_several(hosts) or (),
    )
    return read_with(source, format, hints)


def read_with(source: Path | str, format: str | None, hints: Hints) -> Records:
    """:func:`read` with hints that are at hand.

    Raises:
        DataError, SettingError: as :func:`read`.
    """
    if isinstance(source, str) and source.startswith(_BUNDLED):
        for name in _given(hints):
            raise check.SettingError(check.sentence(name, "nothing to be said about bundled data", "a setting"))
        return bundled(source.removeprefix(_BUNDLED))
    root = Path(source)
    if format is not None:
        chosen = _BY_NAME[check.one_of("format", format, _BY_NAME)]
        seen = _Seen(chosen, root, _look(chosen, root) or "as it was said")
    else:
        seen = _see(root, hints)
    _check_heeded(seen.format, hints)
    records = seen.format.read(seen.path, hints)
    if hints.group is not None and not any(record.group is not None for record in records):
        expected = "a place of a pattern, a column or an array that holds groups"
        raise check.SettingError(check.sentence("group", expected, repr(hints.group)))
    inside = "" if seen.path == root else f" in {shown(seen.path.relative_to(root))}/"
    counted = records.layout.partition(": ")[2] or seen.what
    return replace(records, name=str(root), layout=f"{seen.format.title}: {counted}{inside}")


def recognise(path: Path | str) -> tuple[Format, str]:
    """Which format a folder or file has, and what it was known by; little or nothing is opened.

    Raises:
        DataError: none; says what was looked for, and what is there.
    """
    seen = _see(Path(path), Hints())
    return seen.format, seen.what


def write(records: Records, folder: Path | str, format: str) -> None:
    """Write records into a new folder, which appears once it is complete.

    Args:
        records: from any reader, or made.
        folder: must not exist, or be empty.
        format: a name that :func:`read` knows; reading the folder gives the records again.

    Raises:
        SettingError: no such format, or the folder holds something.
        DataError: the format cannot hold these records; names the first.
        LensmithError: the disk is full or refuses.
    """
    chosen = _BY_NAME[check.one_of("format", format, [one.name for one in FORMATS if one.write])]
    writer = chosen.write
    if not records:
        raise check.DataError(f"{shown(records.name)}: there are no records to write")
    for task, labels in records.labels.items():
        if (strange := next((name for name in labels.names if not is_unicode(name)), None)) is not None:
            expected, got = f"classes of {task!r} whose names are text", shown(strange)
            raise check.DataError(check.sentence(shown(records.name), expected, got, "Rename it"))
    if writer is not None:
        files.build_folder(Path(folder), lambda place: writer(records, place))


def held(format: str) -> frozenset[str]:
    """What a format says of a box beside its corners and class: some of polygons, crowd, difficult, truncated."""
    return _BY_NAME[check.one_of("format", format, _BY_NAME)].holds


def format_of(records: Records) -> str:
    """The name of the format that records were read from, by their layout; ``npz`` for what came from no file."""
    before = records.layout.partition(":")[0]
    return next((one.name for one in FORMATS if one.title == before), _IN_MEMORY)


def _several(value: Sequence[str] | str | None) -> tuple[str, ...] | None:
    return (value,) if isinstance(value, str) else None if value is None else tuple(value)


def _given(hints: Hints) -> list[str]:
    return [one.name for one in fields(hints) if getattr(hints, one.name) not in (None, ())]


def _check_heeded(format: Format, hints: Hints) -> None:
    for name in _given(hints):
        if name not in format.heeds:
            takes = f"one of {', '.join(sorted(format.heeds))}" if format.heeds else "no setting"
            expected = f"{takes} for the format {format.name}"
            raise check.SettingError(check.sentence(name, expected, f"{getattr(hints, name)}"))


def _see(root: Path, hints: Hints) -> _Seen:
    if not root.exists():
        raise check.DataError(check.sentence(shown(root), _looked_for(), "nothing: there is no such folder or file"))
    if hints.pattern is not None and root.is_dir():
        return _by_pattern(root, Pattern(hints.pattern))
    for place in _wrapped(root):
        for one in FORMATS:
            what = None if one is UNLABELLED else _look(one, place)
            if what is not None:
                _check_one(place)
                return _Seen(one, place, what)
    what = _look(UNLABELLED, root)
    if what is None:
        raise check.DataError(_refusal(root))
    return _Seen(UNLABELLED, root, what)


def _check_one(place: Path) -> None:
    """Refuse a folder of data sets, which would be read as the first of them; of one format they may be one set."""
    inside = [folder for folder in folders(place) if part_in(folder.name) is None] if place.is_dir() else []
    sets = {} if len(inside) > _MANY else {folder: name for folder in inside if (name := _whole(folder))}
    if len(set(sets.values())) > 1:
        some = [shown(folder) for folder in sets][:3]
        remedy = f"Did you mean {', '.join(some[:-1])} or {some[-1]}?"
        raise check.DataError(check.sentence(shown(place), "one data set", f"a folder of {len(sets)}", remedy))


def _whole(folder: Path) -> str | None:
    """The format of a folder that needs no other: it has both images, or arrays, and what is said of them."""
    found = next((one for one in FORMATS if one not in (NAMES, UNLABELLED) and _look(one, folder)), None)
    if found is None or not (found in (NPZ, IDX) or holds_image(folder)):
        return None
    return YOLO.name if found is MASKS else found.name  # boxes and masks of the same images may lie side by side


def _by_pattern(root: Path, pattern: Pattern) -> _Seen:
    in_folders = None if TASK in pattern.places else _look(FOLDERS, root)
    return _Seen(FOLDERS, root, in_folders) if in_folders else _Seen(NAMES, root, pattern.text)


def _look(format: Format, path: Path) -> str | None:
    try:
        return format.recognise(path)
    except OSError:  # closed, or gone since: for the reader to name, if another format is not found
        return None


def _wrapped(root: Path) -> Iterator[Path]:
    """The folder, and as long as there is nothing but one folder in it, that one."""
    yield root
    place = root
    for _ in range(_DEEPEST):
        inside = [folder for folder in folders(place) if not folder.name.startswith("__")] if place.is_dir() else []
        if len(inside) != 1 or loose_images(place, []):
            return
        place = inside[0]
        yield place


def _refusal(root: Path) -> str:
    """One line: what was looked for, what is there, and what may be meant."""
    if root.is_file():
        remedy = "Unpack it, and name the folder" if root.suffix.lower() in _ARCHIVES else ""
        if root.suffix.lower() in _PARTS_OF_MANY:
            remedy = f"Name the folder of all such files: {shown(root.absolute().parent)}"
        return check.sentence(shown(root), _looked_for(), f"a file that ends in {root.suffix or 'nothing'}", remedy)
    try:
        os.scandir(root).close()
    except OSError as error:
        return check.sentence(shown(root), _looked_for(), f"a folder that {closed(error)}")
    if holds_image(root):
        return _folder_refusal(root)
    inside = entries(root, [])
    kinds = Counter(Path(entry.name).suffix.lower() or entry.name for entry in inside if not entry.is_dir())
    number = sum(1 for entry in inside if entry.is_dir())
    listed = ", ".join(
        [*(f"{count} {kind}" for kind, count in kinds.most_common(4)), *([f"{number} folder(s)"] * (number > 0))]
    )
    got = f"no image at all, but {shown(listed)}" if inside else "an empty folder"
    return check.sentence(shown(root), _looked_for(), got, _meant(root))


def _folder_refusal(root: Path) -> str:
    try:
        read_folder(root)
    except check.DataError as error:
        return str(error)
    return check.sentence(shown(root), _looked_for(), "images in folders that no format fits")


def _meant(root: Path) -> str:
    for entry in entries(root, [])[:20]:
        if any(_look(one, Path(entry)) for one in FORMATS if one is not UNLABELLED):
            return f"Did you mean {shown(entry.path)}?"
    return ""


def _looked_for() -> str:
    return f"a folder or file in one of the formats {', '.join(one.name for one in FORMATS)}"
