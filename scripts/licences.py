"""Refuse packages that may not be part of Lensmith: by their licence, or because nobody keeps them.

Looks at every distribution installed beside this Python, at what pyproject.toml and the locks ask for, and at
the source. ``--verbose`` prints the table of licences.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

LICENCES = re.compile(r"AGPL|Affero|non-?\s?commercial|CC[- ]BY[- ]NC|not for commercial", re.IGNORECASE)
PACKAGES = {
    "ultralytics": "AGPL",
    "albumentationsx": "AGPL",
    "fastdup": "non-commercial",
    "keras-cv": "no longer maintained",
    "albumentations": "no longer maintained",
    "tensorflow-addons": "no longer maintained",
}


def stated(about: metadata.PackageMetadata) -> list[str]:
    """What a distribution says of its licence, the most exact statement first."""
    expression = about.get_all("License-Expression") or []
    classifiers = [text.rpartition(" :: ")[2] for text in about.get_all("Classifier") or [] if "License ::" in text]
    # Some put the whole text here, which may speak of other licences: its first line names it.
    first_lines = [text.strip().partition("\n")[0] for text in about.get_all("License") or []]
    return [text for text in (*expression, *classifiers, *first_lines) if text]


def canonical(name: str) -> str:
    """The one spelling of a distribution's name: Keras_CV is keras-cv."""
    return re.sub(r"[-_.]+", "-", name).lower()


def refused_distribution(name: str, licences: list[str]) -> Iterator[str]:
    """Why this installed distribution may not be here."""
    if canonical(name) in PACKAGES:
        yield f"{name} is installed: {PACKAGES[canonical(name)]}"
    if wrong := [text for text in licences if LICENCES.search(text)]:
        yield f"{name} is installed, and its licence is {wrong[0]}"


def refused_mentions(path: Path) -> Iterator[str]:
    """Where a file asks for a package that may not be part of this."""
    spellings = "|".join(name.replace("-", "[-_.]") for name in PACKAGES)
    pattern = re.compile(rf"(?<![\w-])({spellings})(?![\w-])")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        for name in pattern.findall(line):
            yield f"{path.relative_to(ROOT)}:{number} names {name}: {PACKAGES[canonical(name)]}"


def main() -> int:
    """Print every refusal; the exit status is 1 if there is one."""
    table = {about["Name"]: stated(about) for about in (found.metadata for found in metadata.distributions())}
    if "--verbose" in sys.argv[1:]:
        for name in sorted(table, key=str.lower):
            print(f"{name:28} {(table[name] or ['not stated'])[0]}")
    files = [ROOT / "pyproject.toml", *sorted(ROOT.glob("*.lock")), *sorted((ROOT / "src").rglob("*.py"))]
    refusals = [why for name, licences in table.items() for why in refused_distribution(name, licences)]
    refusals += [why for path in files for why in refused_mentions(path)]
    for why in refusals:
        print(why, file=sys.stderr)
    print(f"{len(table)} distributions and {len(files)} files looked at: {len(refusals) or 'none'} refused")
    return 1 if refusals else 0


if __name__ == "__main__":
    sys.exit(main())
