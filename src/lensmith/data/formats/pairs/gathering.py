"""Folders of images and, beside them, folders of labels: what YOLO files and masks have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lensmith.data.formats.listing import Listing
from lensmith.data.formats.parts import part_on
from lensmith.data.formats.paths import below, inside, join, stem, suffix, swaps
from lensmith.data.formats.walking import is_image
from lensmith.data.images import EXTENSIONS
from lensmith.records import Problem

# What stands beside images and labels without being one of them: configs, caches of training programs, notes.
_BESIDE = {"txt", "yaml", "yml", "names", "data", "cache", "npy", "md"}
_BESIDE |= {"cfg", "csv", "json", "xml", "html", "zip", "ini", "db"}
_NO_LABELS = ("classes", "obj", "labels", "names", "requirements", "license", "train", "val", "valid", "test")


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, and the file that holds its label where there is one.

    Args:
        image: the file.
        label: the file, or None.
        part: ``train``, ``validation``, ``test`` or None.
    """

    image: str
    label: str | None
    part: str | None


@dataclass(frozen=True, slots=True)
class Matcher:
    """How the labels of a format are found from the images.

    Args:
        folders: the names of label folders that stand for ``images``.
        suffixes: of label files.
        endings: that a label's stem may have after the image's: ``""``, ``_mask``.
        beside: the endings that do in the image's own folder.
    """

    folders: tuple[str, ...]
    suffixes: tuple[str, ...]
    endings: tuple[str, ...] = ("",)
    beside: tuple[str, ...] = ("",)

    def holds(self, names: Iterable[str]) -> bool:
        """Whether any of these file names is that of a label."""
        return any(suffix(name) in self.suffixes for name in names)

    def find(self, image: str, files: dict[str, None], *, same: bool) -> str | None:
        """The name of an image's label among the files of its label folder."""
        for ending in self.beside if same else self.endings:
            for one in self.suffixes:
                name = f"{stem(image)}{ending}.{one}"
                if name in files:
                    return name
        return None


@dataclass(slots=True)
class Gathering:
    """Pairs on their way from folders and lists into a task. Every image has one place, the first.

    Args:
        listing: of the folders.
        matcher: of the format.
        bases: the folders that label folders may start from.
        allowed: the folder that must hold them.
        known: files that are no label although they look like it, such as ``classes.txt``.
    """

    listing: Listing
    matcher: Matcher
    bases: tuple[str, ...]
    allowed: str
    known: frozenset[str] = frozenset()
    pairs: dict[str, Pair] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)  # label folders by image folder
    walked: set[str] = field(default_factory=set)  # label folders whose image folder was taken as a whole
    again: int = 0

    def folder(
        self,
        root: str,
        value: str,
        part: str | None,
        label_root: str | None = None,
        only: frozenset[str] | None = None,
    ) -> None:
        """Take every image below a folder.

        Args:
            root: the folder.
            value: the same as its source writes it, from which the label folder is made.
            part: of all; None to go by the names of the folders.
            label_root: where the labels begin, if that is said.
            only: the folders below that count; None for all.
        """
        before = self.again
        for folder in self.listing.walk(root, self.problems):
            inner = below(folder, root)
            images = [name for name in self.listing.files(folder) if self._is_image(folder, name)]
            if not images or (only is not None and folder not in only):
                continue
            labels = self.label_folder(folder, join(value, inner), join(label_root, inner) if label_root else None)
            for name in images if labels != folder else self.not_labels(folder, images):
                self.image(folder, name, labels, part or part_on(inner.split("/")))
            self.walked.add(labels)
        if self.again > before:
            reason = f"{self.again - before} of its images stand in another part already, and count there only"
            self.problems.append(Problem(root, reason))

    def image(self, folder: str, name: str, labels: str, part: str | None) -> None:
        """Take one image."""
        path = f"{folder}/{name}" if folder != "." else name
        if path in self.pairs:
            self.again += 1
            return
        found = self.matcher.find(name, self.listing.files(labels), same=folder == labels)
        label = None if found is None else (f"{labels}/{found}" if labels != "." else found)
        self.pairs[path] = Pair(path, label, part)

    def label_folder(self, folder: str, value: str, said: str | None = None) -> str:
        """The folder that holds the labels of the images of another: ``labels`` for ``images``, or the same."""
        if folder not in self.labels:
            value = re.sub(r"^(\.{1,2}/)+", "", value)
            candidates = [said] if said else []
            candidates += [join(base, one) for base in self.bases for one in swaps(value, self.matcher.folders)]
            if inside(folder, self.allowed):
                inner = below(folder, self.allowed)
                candidates += [join(self.allowed, one) for one in swaps(inner, self.matcher.folders)]
            fits = [one for one in candidates if self.matcher.holds(self.listing.files(one))]
            self.labels[folder] = next((one for one in fits if inside(one, self.allowed)), folder)
        return self.labels[folder]

    def not_labels(self, folder: str, images: Sequence[str]) -> list[str]:
        """Without those that are the label of another image in the same folder: ``a_mask.png`` beside ``a.jpg``."""
        stems = {stem(name) for name in images}
        endings = [ending for ending in self.matcher.beside if ending]
        return [
            name
            for name in images
            if not any(stem(name).endswith(one) and stem(name).removesuffix(one) in stems for one in endings)
        ]

    def orphans(self, folders: Iterable[str] = ()) -> None:
        """List the labels that belong to no image, in folders taken as a whole, and in these."""
        used = {pair.label for pair in self.pairs.values()}
        for folder in sorted(self.walked.union(folders)):
            for name in self.listing.files(folder):
                path = f"{folder}/{name}" if folder != "." else name
                if suffix(name) in self.matcher.suffixes and path not in used and not self._passes(path):
                    self.problems.append(Problem(path, "a label without an image of its name"))

    def _passes(self, path: str) -> bool:
        if path in self.known or path in self.pairs:
            return True
        name = path.rpartition("/")[2].lower()
        return stem(name) in _NO_LABELS or "readme" in name

    def _is_image(self, folder: str, name: str) -> bool:
        if is_image(name):
            return True
        if suffix(name) not in _BESIDE:
            reason = f"not an image by its name; these are: {', '.join(EXTENSIONS)}"
            self.problems.append(Problem(join(folder, name), reason))
        return False
