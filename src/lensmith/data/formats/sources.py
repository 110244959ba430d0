"""Look at what the user named, and read it with the reader that understands it."""

from __future__ import annotations

from pathlib import Path

from lensmith.data.formats.folders import read_folder
from lensmith.data.formats.samples import bundled
from lensmith.records import Records

_BUNDLED = "bundled:"


def read(source: Path | str) -> Records:
    """Read records from wherever the user keeps them.

    Args:
        source: a folder of class folders (see :func:`read_folder`), or ``bundled:`` and the name of one of
            scikit-learn's data sets (see :func:`bundled`).

    Raises:
        DataError: there is nothing there, or nothing that can be understood; says what can.
        SettingError: no bundled data of that name.

    Example:
        >>> read("bundled:wine").counts("label")
        {'class_0': 59, 'class_1': 71, 'class_2': 48}
    """
    if isinstance(source, str) and source.startswith(_BUNDLED):
        return bundled(source.removeprefix(_BUNDLED))
    return read_folder(source)
