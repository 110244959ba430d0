"""The real data that scikit-learn carries, and scenes drawn of it: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np

from lensmith import check
from lensmith.data.formats.arrays.memory import from_arrays, from_rows
from lensmith.data.formats.arrays.scene_sets import digit_scenes, digit_windows, one_digit
from lensmith.records import Records

_DRAWN: dict[str, Callable[[], Records]] = {
    "digit-scenes": digit_scenes,
    "digit-windows": digit_windows,
    "one-digit": one_digit,
}
NAMES = ("breast-cancer", "diabetes", "digits", "linnerud", "wine", *_DRAWN)


def bundled(name: str) -> Records:
    """Read one of the data sets that are installed with scikit-learn, or draw scenes of its digits.

    =============  ========  =====================================================  =====================
    name           examples  each is                                                target, task ``label``
    =============  ========  =====================================================  =====================
    digits         1,797     a handwritten digit, 8×8 gray, 0..16 stretched to 255  10 classes
    breast-cancer  569       30 measures of cell nuclei                             2 classes
    wine           178       13 measures of a wine                                  3 classes
    diabetes       442       10 measures of a patient                               progress, one number
    linnerud       20        3 exercises done                                       3 numbers of the body
    one-digit      1,500     a digit somewhere on a dark canvas of 64×64            ``digit``, 10 classes;
                                                                                    ``place``, a box
    digit-scenes   1,500     none to four digits on a dark canvas of 96×96          ``objects``, boxes
    digit-windows  3,000     28×28 pixels that a digit fills, or the background     11 classes
    =============  ========  =====================================================  =====================

    Scenes come in three parts, of different digits.

    Raises:
        SettingError: no such data set; names the nearest.

    Example:
        >>> digits = bundled("digits")
        >>> len(digits), digits[17].source, digits[17].image.shape
        (1797, 'digits:17', (8, 8, 1))
    """
    check.one_of("bundled data", name, NAMES)
    if name in _DRAWN:
        return replace(_DRAWN[name](), name=f"bundled:{name}")
    from sklearn import datasets  # here, for importing it takes a second

    records = _digits(datasets) if name == "digits" else _table(datasets, name)
    return replace(records, name=f"bundled:{name}")  # what `read` takes, so that a run finds them again


def _digits(datasets: ModuleType) -> Records:
    digits = datasets.load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return from_arrays(images, digits.target, [str(digit) for digit in digits.target_names], name="digits")


def _table(datasets: ModuleType, name: str) -> Records:
    table = getattr(datasets, f"load_{name.replace('-', '_')}")()
    names = ["progression"] if name == "diabetes" else [str(label) for label in table.target_names]
    return from_rows(table.data, table.target, names, name=name)


PHOTOS = ("china", "flower")


def photo(name: str) -> Path:
    """The file of one of the two photos that are installed with scikit-learn, both 427×640 pixels in colour.

    ``china`` is a temple, by danielbuechele; ``flower`` a dahlia, by vultilion; both CC BY 2.0.

    Raises:
        SettingError: no such photo; names the nearest.

    Example:
        >>> photo("flower").name
        'flower.jpg'
    """
    check.one_of("bundled photo", name, PHOTOS)
    package = find_spec("sklearn")  # importing it takes a second
    if package is None or package.origin is None:
        raise check.LensmithError("scikit-learn is not installed, and its photos come with it")
    return Path(package.origin).parent / "datasets" / "images" / f"{name}.jpg"


def image_path(text: str | Path) -> Path:
    """The file that is meant: a path, or ``bundled:flower`` for a photo that is installed with scikit-learn.

    Raises:
        SettingError: there is no such photo.
    """
    name = str(text)
    return photo(name.removeprefix("bundled:")) if name.startswith("bundled:") else Path(text).expanduser()
