"""What the verbs share in showing: where text goes, and how a document is printed."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on one line.")]


def console(as_json: bool) -> Console:
    """Where a verb speaks to a person: standard output, or standard error when that belongs to the document."""
    from rich.console import Console

    # Names of files and packages may look like markup, and are to be shown as they are.
    return Console(stderr=as_json, highlight=False, soft_wrap=True, markup=False)


def progress_console() -> Console:
    """Where progress is shown: standard error, always. Warnings of the rooms below come out here too."""
    from rich.console import Console

    shown = Console(stderr=True, highlight=False)
    logging.getLogger("lensmith").handlers = [_Lines(shown)]
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler) is logging.StreamHandler:  # a library that we import sets it up, and all would be told twice
            root.removeHandler(handler)
    if not root.handlers:
        root.addHandler(logging.NullHandler())  # so that none does so later
    return shown


class _Lines(logging.Handler):
    """Each warning as one line, however narrow the terminal, and above a progress bar."""

    def __init__(self, shown: Console) -> None:
        super().__init__()
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        self._shown.print(self.format(record), soft_wrap=True, markup=False, highlight=False)


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error for work that tells how many of how many are done; on a terminal only."""
    from rich.console import Console
    from rich.progress import Progress

    shown = Console(stderr=True)
    with Progress(console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(what, total=None)

        def tell(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield tell


@contextlib.contextmanager
def several() -> Iterator[Callable[[str], Callable[[int, int | None], None]]]:
    """Progress bars as :func:`counting` has one, for work of several parts: each is made by its name."""
    from rich.progress import Progress

    shown = progress_console()
    with Progress(console=shown, transient=True, disable=not shown.is_terminal) as bars:

        def begin(what: str) -> Callable[[int, int | None], None]:
            task = bars.add_task(what, total=None)
            return lambda done, total: bars.update(task, completed=done, total=total)

        yield begin


def document(values: Any) -> None:
    """Print a document for a machine."""
    from lensmith.files import finite

    print(json.dumps(finite(values), ensure_ascii=False, default=str))


def size(path: Path) -> str:
    """A file's size for a person."""
    count = path.stat().st_size
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"
