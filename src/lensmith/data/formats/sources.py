"""Look at what the user named, and read it with the reader that understands it; write it with any writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from lensmith import check, files
from lensmith.data.formats import FORMATS
from lensmith.data.formats.arrays.samples import bundled
from lensmith.data.formats.format import Format, Hints
from lensmith.data.formats.recognising import Seen, look, see
from lensmith.data.formats.walking import is_unicode, shown
from lensmith.records import Records

_BUNDLED = "bundled:"
_BY_NAME = {one.name: one for one in FORMATS}
_IN_MEMORY = "npz"  # the format for what came from no file


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
        seen = Seen(chosen, root, look(chosen, root) or "as it was said")
    else:
        seen = see(root, hints)
    _check_heeded(seen.format, hints)
    try:
        records = seen.format.read(seen.path, hints)
    except check.LensmithError as error:
        if str(error).isprintable():
            raise
        raise type(error)(shown(str(error))) from error  # a name with a line feed, which would end the line
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
    seen = see(Path(path), Hints())
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
