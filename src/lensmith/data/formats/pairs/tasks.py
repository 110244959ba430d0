"""The targets of one task, and several tasks as one set of records."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lensmith import check
from lensmith.data.formats.format import Hints
from lensmith.data.formats.pairs.gathering import Pair
from lensmith.records import Labels, Problem, Record, Records, Target

_THREADS = 8  # they wait for the disk most of the time
_AT_ONCE = 256  # files a thread takes; one is too small a piece of work


@dataclass(frozen=True, slots=True)
class Example:
    """A target that has been read, and the size of its upright image."""

    pair: Pair
    target: Target
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Task:
    """All that is read of one task.

    Args:
        name: of the folder it was found in.
        labels: what the targets mean.
        examples: by image.
        problems: what is set aside.
        lacking: the images without a label, which are set aside where no other task has one for them.
        says: what was found, for a person.
    """

    name: str
    labels: Labels
    examples: Mapping[str, Example]
    problems: tuple[Problem, ...]
    lacking: tuple[Problem, ...]
    says: str


def each(pairs: Sequence[Pair], work: Callable[[Pair], Example]) -> tuple[dict[str, Example], list[Problem]]:
    """Read many targets with several threads.

    Args:
        pairs: the images and labels.
        work: makes an example of one, or raises DataError, whose line becomes a problem.

    Returns:
        The examples by image, and the problems, both in the order of the pairs.
    """

    def some(first: int) -> list[Example | Problem]:
        return [_one(pair, work) for pair in pairs[first : first + _AT_ONCE]]

    with ThreadPoolExecutor(_THREADS) as pool:
        done = [one for part in pool.map(some, range(0, len(pairs), _AT_ONCE)) for one in part]
    examples, problems = {}, []
    for pair, one in zip(pairs, done, strict=True):
        if isinstance(one, Problem):
            problems.append(one)
        else:
            examples[pair.image] = one
    return examples, problems


def _one(pair: Pair, work: Callable[[Pair], Example]) -> Example | Problem:
    try:
        return work(pair)
    except check.DataError as error:
        return as_problem(error, (pair.label, pair.image))


def as_problem(error: check.DataError, files: Sequence[str | None]) -> Problem:
    """What an error says, under the file and line it is about.

    Example:
        >>> as_problem(check.DataError("a.txt:3: expected numbers; got 'x'"), ["a.txt"])
        Problem(source='a.txt:3', reason="expected numbers; got 'x'")
    """
    for file in files:
        if file and (found := re.match(rf"({re.escape(file)}(?::\d+)?): (.*)", str(error), re.DOTALL)):
            return Problem(found[1], found[2])
    return Problem(next(file for file in files if file), str(error))


def named(tasks: Sequence[Task], hints: Hints, usual: str) -> dict[str, Task]:
    """Tasks by the name they get: a single one the usual name, several the names of their folders.

    Raises:
        SettingError: ``hints.labels`` names a task that is not there, or several where there is one.
    """
    if len(tasks) > 1:
        by_name = {task.name: task for task in tasks}
        return {check.one_of("labels", name, by_name): by_name[name] for name in hints.labels or by_name}
    wanted = hints.labels or (usual,)
    if len(wanted) != 1:
        raise check.SettingError(check.sentence("labels", "one name, for there is one task", ", ".join(wanted)))
    return {wanted[0]: tasks[0]}


def combine(tasks: Mapping[str, Task], name: str, layout: str) -> Records:
    """One set of records of the images that have a target in any task.

    A record lacks the tasks for which its image has no label, or one that cannot be used; how many have no label is
    said once for each task. An image without any target is set aside.

    Raises:
        DataError: no image is left.
    """
    if not tasks:
        raise check.DataError(check.sentence(name, "at least one task", "none"))
    images = dict.fromkeys(image for task in tasks.values() for image in task.examples)
    problems = list(dict.fromkeys(one for task in tasks.values() for one in task.problems))
    problems += dict.fromkeys(one for task in tasks.values() for one in task.lacking if one.source not in images)
    for task, read in tasks.items():
        kept = [one.source for one in read.lacking if one.source in images]
        if kept:
            reason = f"{len(kept)} of {len(images)} images have no label of this task, such as {kept[0]}; "
            problems.append(Problem(f"{name}: {task}", f"{reason}they keep the others. {_alone(tasks, len(images))}"))
    items = [
        _record(image, {task: read.examples[image] for task, read in tasks.items() if image in read.examples})
        for image in images
    ]
    if not items:
        reason = f"{len(problems)} that cannot be used, such as {problems[0].source}: {problems[0].reason}"
        raise check.DataError(check.sentence(name, "an image with its labels", reason if problems else "none"))
    return Records(tuple(items), {task: read.labels for task, read in tasks.items()}, name, tuple(problems), layout)


def _alone(tasks: Mapping[str, Task], images: int) -> str:
    """How to read examples that lack nothing."""
    whole = [task for task, read in tasks.items() if len(read.examples) == images]
    return f"To train, read one task: --read labels={(whole or list(tasks))[0]}"


def _record(image: str, examples: Mapping[str, Example]) -> Record:
    first = next(iter(examples.values()))
    targets = {task: example.target for task, example in examples.items()}
    return Record(image, Path(image), targets=targets, part=first.pair.part, size=first.size)


def unlabelled(pairs: Sequence[Pair], place: str, expected: str) -> tuple[list[Pair], list[Problem]]:
    """Leave out the parts in which no image at all has a label file: they are unlabelled, not empty.

    Raises:
        DataError: that is so everywhere; names the place and what was expected.
    """
    with_label = {pair.part for pair in pairs if pair.label}
    if not with_label:
        got = f"{len(pairs)} images and no label file" if pairs else "no image"
        raise check.DataError(check.sentence(place, expected, got))
    kept, lost = [], list[Problem]()
    for pair in pairs:
        if pair.part in with_label:
            kept.append(pair)
        else:
            lost.append(Problem(pair.image, f"no label file in its whole part ({pair.part or 'of no name'})"))
    return kept, lost
