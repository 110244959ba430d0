"""Where the images and the label files of a YOLO or mask data set are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.listing import Listing
from lensmith.data.formats.pairs.config import Config, find_config, find_names, read_config
from lensmith.data.formats.pairs.gathering import Gathering, Matcher, Pair
from lensmith.data.formats.paths import inside, join, resolve, swaps
from lensmith.data.formats.text import read_names, read_text
from lensmith.data.formats.walking import folders, is_image
from lensmith.records import Problem

MASK_SUFFIXES = ("png", "bmp", "gif", "tif", "tiff")
MATCHERS = {
    "boxes": Matcher(("labels",), ("txt",)),
    "mask": Matcher(
        ("masks", "mask", "labels", "annotations", "SegmentationClass"),
        MASK_SUFFIXES,
        ("", "_mask", "_L"),
        ("_mask", "_L"),
    ),
}
_CONFIGS = (".yaml", ".yml", ".data")
_LOOKED_AT = 64  # folders, and images in each, to recognise a format
_LIST_SIZE = 256 * 2**20  # bytes of a file that lists images


@dataclass(frozen=True, slots=True)
class Source:
    """The pairs of one task, before any label is opened.

    Args:
        name: of the folder it was found in.
        kind: ``boxes`` or ``mask``.
        pairs: in the order of the parts, then of the paths.
        names: of the classes, by the number in the label files; None where nothing says them.
        problems: what cannot be used.
        folder: of the config, or of the whole.
        skip: whether an image without a label file is left out.
    """

    name: str
    kind: str
    pairs: tuple[Pair, ...]
    names: Mapping[int, str] | None
    problems: tuple[Problem, ...]
    folder: Path
    skip: bool = False


def find_configs(path: Path) -> list[Config]:
    """The config of a folder, or those of the folders in it; or the one that a path is.

    Raises:
        DataError: a config is damaged, or a folder has several.
    """
    if path.is_file():
        config = read_config(path)
        if config is None:
            expected = "a config with the names of the classes, and the folders of train, val or test"
            raise check.DataError(check.sentence(str(path), expected, "none of these"))
        return [config]
    own = find_config(path)
    if own:
        return [own]
    # A config has its labels beside it; a folder without folders is no data set of its own.
    return [config for folder in folders(path) if folders(folder) and (config := find_config(folder))]


def configs_of(path: Path) -> list[Config] | None:
    """The configs of a path; none where it holds something else, None where the one it has or is is damaged."""
    if path.is_file() and path.suffix.lower() not in _CONFIGS:
        return []
    try:
        return find_configs(path)
    except check.DataError:
        return [] if path.suffix.lower() == ".data" and path.is_file() else None  # which tables are called, too


def locate(path: Path, kind: str, hints: Hints, config: Config | None) -> Source:
    """Find the images and labels of one task.

    Args:
        path: the folder the user named, or the config.
        kind: ``boxes`` or ``mask``.
        hints: ``names`` and ``images`` count.
        config: of the task; None to go by the folders alone.

    Raises:
        DataError: the names cannot be read.
    """
    source = _locate(path, kind, hints, config)
    if config and not source.pairs and path.is_symlink():
        real = path.resolve()  # `..` in the config starts from where the link leads
        return _locate(real, kind, hints, replace(config, file=str(real / Path(config.file).relative_to(path))))
    return source


def _locate(path: Path, kind: str, hints: Hints, config: Config | None) -> Source:
    problems: list[Problem] = []
    folder = Path(config.file).parent if config else path
    given = path.parent if path.is_file() else path
    # Images may stand beside the folder of a config, with the folders of other tasks.
    allowed = str(given) if folder != given or not config else join(str(given), "..")
    bases = _bases(config, str(folder), allowed, problems) if config else (str(path),)
    named, names = _names(hints, config, folder, bases, allowed, problems)
    known = frozenset(str(file) for file in (named, hints.names) if file)
    gathered = Gathering(Listing(), MATCHERS[kind], bases, allowed, known, problems=problems)
    if config:
        _by_config(gathered, config)
    if not gathered.pairs:
        gathered = replace(gathered, allowed=str(folder), bases=(str(folder),), labels={})
        _by_folders(gathered, str(folder), hints)
    elif config:
        gathered.orphans()
    order = {"train": 0, "validation": 1, "test": 2}
    pairs = sorted(gathered.pairs.values(), key=lambda pair: (order.get(pair.part or "", -1), pair.image))
    return Source(folder.name, kind, tuple(pairs), names, tuple(problems), folder, config.skip if config else False)


def _bases(config: Config, folder: str, allowed: str, problems: list[Problem]) -> tuple[str, ...]:
    """The folders that a config's places may start from: what ``path`` says, its own folder, the one above."""
    bases = [folder, join(folder, "..")]
    if config.path and not config.darknet:
        try:
            bases.insert(0, resolve(config.path, [folder], allowed))
        except check.DataError as error:
            own = "its own folder is taken"
            problems.append(Problem(config.file, f"path: {error}; {own}"))
    return tuple(base for base in dict.fromkeys(bases) if inside(base, allowed))


def _names(
    hints: Hints,
    config: Config | None,
    folder: Path,
    bases: tuple[str, ...],
    allowed: str,
    problems: list[Problem],
) -> tuple[Path | None, Mapping[int, str] | None]:
    """The file with the names, if one has been read, and the names."""
    if hints.names:
        return hints.names, _numbered(hints.names)
    if config and config.names:
        return None, config.names
    file = None
    if config and config.darknet and config.path:
        try:
            file = Path(resolve(config.path, bases, allowed, tails=True))
        except check.DataError as error:
            problems.append(Problem(config.file, f"names: {error}"))
    file = file or find_names([folder, folder / "labels", folder / "train", folder / "images"])
    return file, _numbered(file) if file else None


def _numbered(file: Path) -> dict[int, str]:
    return dict(enumerate(read_names(file, gaps=False)))


def _by_config(gathered: Gathering, config: Config) -> None:
    for place in config.places:
        try:
            images = resolve(place.images, gathered.bases, gathered.allowed, tails=config.darknet)
            masks = place.masks and resolve(place.masks, gathered.bases, gathered.allowed)
        except check.DataError as error:
            gathered.problems.append(Problem(config.file, f"{place.part}: {error}"))
            continue
        if Path(images).is_dir():
            gathered.folder(images, place.images, place.part, masks)
        else:
            _by_list(gathered, Path(images), place.part)


def _by_list(gathered: Gathering, file: Path, part: str) -> None:
    """Take the images that a file lists, one path a line."""
    bases = tuple(dict.fromkeys((str(file.parent), *gathered.bases)))
    before, known = gathered.again, dict[str, str]()  # folders that are found, by what the lines say
    try:
        lines = read_text(file, _LIST_SIZE).splitlines()
    except check.DataError as error:
        gathered.problems.append(Problem(str(file), str(error).removeprefix(f"{file}: ")))
        return
    for number, line in enumerate(lines, 1):
        said, _, name = line.strip().replace("\\", "/").rpartition("/")
        if not name:
            continue
        folder = known.get(said)
        if folder is None or name not in gathered.listing.files(folder):
            try:
                folder = _folder(resolve(line, bases, gathered.allowed, tails=True))
            except check.DataError as error:
                gathered.problems.append(Problem(f"{file}:{number}", str(error)))
                continue
            known[said] = folder
        gathered.image(folder, name, gathered.label_folder(folder, said), part)
    if gathered.again > before:
        reason = f"{gathered.again - before} of its images stand in the lists already, and count there only"
        gathered.problems.append(Problem(str(file), reason))


def _folder(file: str) -> str:
    return str(Path(file).parent)


def _by_folders(gathered: Gathering, folder: str, hints: Hints) -> None:
    """Take every image below a folder; what part it is of, the names of the folders say."""
    if hints.images:
        gathered.folder(str(hints.images), "images", None)
        gathered.orphans()
        return
    folders = list(gathered.listing.walk(folder, []))
    only, others = image_folders(gathered, folder, folders)
    gathered.folder(folder, "", None, only=frozenset(only))
    for other, count in others.items():
        gathered.problems.append(Problem(other, f"{count} images outside the folders called images, which count alone"))
    gathered.orphans(one for one in folders if named_below(folder, one) & set(gathered.matcher.folders))


def image_folders(gathered: Gathering, root: str, folders: Iterable[str]) -> tuple[list[str], dict[str, int]]:
    """The folders whose images count, and how many images lie in each of those that do not.

    Where a folder is called ``images``, only such folders count, for beside them may stand masks and previews.
    Folders of labels never hold images.
    """
    plain = [one for one in folders if not named_below(root, one) & set(gathered.matcher.folders)]
    counts = {one: count for one in plain if (count := sum(map(is_image, gathered.listing.files(one))))}
    called = [one for one in counts if swaps("/".join(named_below(root, one)), ["labels"])]
    return called or list(counts), {one: counts[one] for one in counts if called and one not in called}


def named_below(root: str, folder: str) -> set[str]:
    """The names on the way from one folder down to another."""
    return set(Path(folder).relative_to(root).parts)


def matches(path: Path, kind: str) -> Iterator[Pair]:
    """Images with a label, as far as the first folders show; no file is opened."""
    root = str(path)
    gathered = Gathering(Listing(), MATCHERS[kind], (root,), root)
    folders = list(islice(gathered.listing.walk(root, []), _LOOKED_AT))
    for folder in image_folders(gathered, root, folders)[0]:
        images = [name for name in gathered.listing.files(folder) if is_image(name)]
        labels = gathered.label_folder(folder, join("", Path(folder).relative_to(root).as_posix()))
        for name in images[:_LOOKED_AT]:
            gathered.image(folder, name, labels, None)
    yield from (pair for pair in gathered.pairs.values() if pair.label)
