"""Where published weights are, what they were trained with, and how to get them.

The table is in :mod:`.table`. Nothing is fetched unless :func:`fetch` is called.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lensmith import backend, check, files
from lensmith.backend import keras
from lensmith.compose.weights.assigning import Report
from lensmith.compose.weights.names import NameMap
from lensmith.compose.weights.rows import maps_for
from lensmith.compose.weights.table import BY_NAMES, ROWS, Row


@dataclass(frozen=True, slots=True)
class ClassNames:
    """What the classes of a data set are called.

    Args:
        count: of the classes.
        names: in the order of the outputs; None where a file has them.
        file: its name in Keras' cache; JSON, ``{"0": [identifier, name], …}``.
        url: where it is published.
        md5: its checksum.
    """

    count: int
    names: tuple[str, ...] | None = None
    file: str | None = None
    url: str | None = None
    md5: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Published weights, and what they need to be used as they were trained.

    Args:
        file: its name in Keras' cache.
        url: where it is published.
        checksum: MD5 or SHA-256 as its publisher gives it; None where there is none, and it cannot be checked.
        names: how its weights are called.
        head: whether the file has the layers that give the classes.
        preprocessing: settings of ``lensmith.data.Preprocessing``: scaling, channels, and mean and deviation for
            pixels 0..255 in the order in which the network takes the channels.
        classes: what the outputs mean.
        licence: of the weights.
    """

    file: str
    url: str
    checksum: str | None
    names: NameMap
    head: bool
    preprocessing: Mapping[str, Any]
    classes: ClassNames
    licence: str


CLASSES: Mapping[str, ClassNames] = MappingProxyType(
    {
        "imagenet": ClassNames(
            count=1000,
            file="imagenet_class_index.json",
            url="https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json",
            md5="c2c37ea517e94d9795004a39431a14cb",
        ),
        "cifar10": ClassNames(
            count=10,
            names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        ),
    }
)


def _sources(row: Row, names: NameMap) -> Mapping[str, Source]:
    """``imagenet`` is the whole network, ``imagenet-features`` the smaller file without the head."""
    sources = {
        f"{row.data}{'-features' * i}": Source(
            file=file,
            url=row.address(i),
            checksum=row.checksums[i],
            names=names,
            head=i == 0,
            preprocessing=MappingProxyType(row.preprocessing),
            classes=CLASSES[row.data],
            licence=row.licence,
        )
        for i, file in enumerate(row.files)
    }
    return MappingProxyType(sources)


# By row of the zoo and name of the weights. Of a row's maps the first one that is not ours is its publisher's; a
# network whose family has no map is left out.
PUBLISHED: Mapping[str, Mapping[str, Source]] = MappingProxyType(
    {name: _sources(row, maps[1]) for name, row in ROWS.items() if len(maps := maps_for(name)) > 1}
)


def source_of(row: str, weights: str = "imagenet") -> Source:
    """The published weights of this name for a row of the zoo.

    Raises:
        SettingError: none are published for the row, or none of that name; the nearest is suggested.
    """
    if row not in PUBLISHED:
        remedy = check.nearest(row, PUBLISHED) or f"There are some for {', '.join(PUBLISHED)}"
        raise check.SettingError(check.sentence("weights", "a network with published weights", repr(row), remedy))
    return PUBLISHED[row][check.one_of(f"weights of {row}", weights, PUBLISHED[row])]


def fetch(source: Source) -> Path:
    """The file of published weights in Keras' own cache; downloaded, and its checksum compared, if not yet there.

    Raises:
        LensmithError: it cannot be downloaded, or is not what was published; says what was tried and where the
            file may be put by hand. Nothing half-written stays, and a file that was there stays as it was.
    """
    target = backend.config_path().parent / "models" / source.file
    if target.is_file() and _is_whole(target, source.checksum):
        return target
    files.put_file(target, lambda beside: _download(source, target, beside))
    return target


def _is_whole(path: Path, checksum: str | None) -> bool:
    if checksum is None:
        return True
    algorithm = "sha256" if len(checksum) == 64 else "md5"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False))
    return digest.hexdigest() == checksum


def _download(source: Source, target: Path, beside: Path) -> None:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # where progress belongs: the other is for documents
            keras.utils.get_file(
                beside.name, source.url, cache_subdir=str(beside.parent), file_hash=source.checksum, extract=False
            )
    except Exception as error:  # Keras wraps what went wrong on the network in a bare Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise check.LensmithError(
            f"{source.url}: could not be fetched: {reason}. Download it elsewhere and put it there: {target}"
        ) from error


def trained_with(report: Report) -> Mapping[str, Any]:
    """The preprocessing that a file's weights were trained with, told by how the file calls them.

    Returns:
        Settings of ``lensmith.data.Preprocessing``.

    Raises:
        SettingError: files with these names were trained in several ways; the user has to say which.

    >>> trained_with(Report("torchvision ResNet", (), (), ()))["scaling"]
    'standardise'
    """
    if report.names not in BY_NAMES:
        expected = f"names of one of {', '.join(BY_NAMES)}"
        remedy = "Say how pixels were scaled: only who trained the weights knows"
        raise check.SettingError(check.sentence("weights", expected, report.names, remedy))
    return MappingProxyType(BY_NAMES[report.names])
