"""The audit as a person reads it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lensmith.data.inspection.findings import Finding, counted
from lensmith.data.inspection.record import AuditRecord

_STYLES = {"severe": "bold red", "warning": "yellow", "info": "dim"}
_LISTED = 5  # files of a finding
_CLASSES = 30  # rows of a table of classes


def print_audit(audit: AuditRecord, console: Console) -> None:
    """Print what there is, a table of classes for each task, and the findings."""
    console.print(summary(audit), highlight=False, markup=False)
    if audit.records.layout:
        console.print(f"Read as {audit.records.layout}", highlight=False, markup=False)
    for task in audit.counts:
        console.print(class_table(audit, task))
    for finding in audit.findings:
        line = f"{finding.severity} {finding.kind}: {finding.message}. {finding.remedy}".rstrip()
        console.print(line, style=_STYLES[finding.severity], highlight=False, markup=False)
        named = _named(finding)
        for line in named[:_LISTED]:
            console.print(f"    {line}", highlight=False, markup=False)
        if len(named) > _LISTED:
            console.print(f"    and {len(named) - _LISTED:,} more")
    if not audit.findings:
        console.print("Nothing wrong was found.")


def summary(audit: AuditRecord) -> str:
    """One line: how many examples, in which parts, of what size.

    Example:
        >>> from lensmith import data
        >>> summary(data.audit(data.bundled("digits")))
        'bundled:digits: 1,797 images, 8 x 8 pixels, gray'
    """
    text = f"{audit.records.name}: {counted(len(audit.records), audit.kind.removesuffix('s'))}"
    if set(audit.parts) != {"all"}:
        text += f" ({', '.join(f'{name} {count:,}' for name, count in audit.parts.items())})"
    if audit.heights is None or audit.widths is None:
        return text
    low, median, high = ((round(h), round(w)) for h, w in zip(audit.heights, audit.widths, strict=True))
    size = f"{median[0]:,} x {median[1]:,} pixels"
    if low != high:
        size = f"heights {low[0]:,} to {high[0]:,}, widths {low[1]:,} to {high[1]:,}, the median {size}"
    colours = {1: "gray", 3: "colour"}
    return f"{text}, {size}, {' and '.join(colours[count] for count in audit.channel_counts or ())}"


def class_table(audit: AuditRecord, task: str) -> Table:
    """Examples by class, or boxes of a task of boxes; one column a part."""
    by_part = audit.counts[task]
    table = Table(title=escape(task), title_justify="left")
    table.add_column("class")
    counted = "boxes" if audit.records.labels[task].kind == "boxes" else "examples"
    for part in by_part:
        table.add_column(counted if part == "all" else part, justify="right")
    names = audit.records.labels[task].names
    for name in names[:_CLASSES]:
        table.add_row(escape(name), *(f"{by_class[name]:,}" for by_class in by_part.values()))
    if len(names) > _CLASSES:
        table.add_row(f"and {len(names) - _CLASSES:,} more")
    return table


def _named(finding: Finding) -> list[str]:
    """A line a file, or a line a group of files that belong together."""
    if finding.groups:
        return [" = ".join(group) for group in finding.groups]
    notes = finding.notes or ("",) * len(finding.files)
    return [f"{source}: {note}" if note else source for source, note in zip(finding.files, notes, strict=True)]
