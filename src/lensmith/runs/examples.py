"""From what a spec says of the data to audited examples, and from these to the three parts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace

from lensmith import check, data
from lensmith.records import Record, Records
from lensmith.runs.data_spec import DataSpec, ReadSpec, SplitSpec
from lensmith.runs.manifest import Parts


def audited(
    section: DataSpec, records: Records | None = None, *, on_file: Callable[[int, int], None] | None = None
) -> data.Audit:
    """The audit of what a section of a spec names; its remedies read the data as the section does.

    Args:
        section: the source, and how to read it.
        records: used in place of what the source names.
        on_file: told of each example.

    Raises:
        DataError: nothing can be read.
        SettingError: a setting of ``read`` does not fit the source.
    """
    audit = data.audit(section.records() if records is None else records, on_file=on_file)
    options = shlex.join(_options(section.read))
    if not options:
        return audit
    findings = (
        replace(one, remedy=one.remedy.replace(" OUT --mend", f" OUT {options} --mend")) for one in audit.findings
    )
    return replace(audit, findings=tuple(findings))


def _options(read: ReadSpec) -> Iterator[str]:
    """What ``lensmith data convert`` is given to read data so."""
    for name, value in read.model_dump(exclude_defaults=True).items():
        text = ",".join(value) if isinstance(value, tuple) else str(value)
        yield from ("--format", text) if name == "format" else ("--read", f"{name}={text}")


def refuse_leakage(audit: data.Audit, *, allowed: bool) -> None:
    """Stop where the same picture would both train and judge.

    Raises:
        DataError: the source's own parts share examples, and nobody said that they may.
    """
    found = [finding for finding in audit.findings if finding.kind == "leakage" and finding.severity == "severe"]
    if found and not allowed:
        raise check.DataError(f"{audit.records.name}: {found[0].message}. {found[0].remedy}")


def earlier(wanted: SplitSpec) -> data.Split | None:
    """The split that was written down before, where one is named.

    Raises:
        DataError: it cannot be read.
    """
    return None if wanted.file is None else data.read_split(wanted.file)


def split(audit: data.Audit, wanted: SplitSpec, previous: data.Split | None) -> Parts:
    """The three parts of audited records; copies of one picture stay together.

    Raises:
        DataError: too few examples, or the earlier split is one of other data.
        SettingError: no such group.
    """
    training, validation, test = shares_of(wanted, previous)
    return data.split(
        audit.records,
        training,
        validation,
        test,
        seed=wanted.seed,
        group=wanted.group,
        together=audit.together,
        previous=previous,
    )


def shares_of(wanted: SplitSpec, previous: data.Split | None) -> tuple[float, float, float]:
    """The shares of the parts: as stated, or of the earlier split where none is stated."""
    if previous is not None and not wanted.model_fields_set & {"train", "validation", "test"}:
        return previous.fractions
    return wanted.train, wanted.validation, wanted.test


def read_again(section: DataSpec) -> tuple[Record, ...]:
    """Every example of the source and of the sources that came later, to find those of a run among them.

    Raises:
        DataError: a source can no longer be read.
    """
    later = (record for source in section.more for record in data.read(source))
    return (*section.records(), *later)


def unlabelled(source: str) -> Records:
    """The images of a source that can be read, without labels, parts and groups.

    Raises:
        DataError: there is none.
    """
    found = data.readable(data.read(source))
    items = tuple(replace(record, targets={}, part=None) for record in found if record.image is not None)
    if not items:
        raise check.DataError(check.sentence(source, "images", f"none that can be read ({found.layout})"))
    return replace(found, items=items, labels={})
