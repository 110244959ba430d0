"""How far a painting is: on standard error, and as pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from lensmith.stylize.course import Moment

_PREVIEW = 4.0  # seconds between two pictures of what is painted so far
_SHARE = 20  # which may take one part in so many of the time


class PaintingProgress:
    """Shows how far a painting is, and writes what it looks like.

    Args:
        out: the picture that is rewritten every few seconds.
        every: steps after which a picture of its own is written.
        bar: what is shown on a terminal; where it is disabled, lines are.
    """

    def __init__(self, out: Path, every: int | None, bar: Progress) -> None:
        self.written: list[Path] = []
        self._out, self._every, self._bar = out, every, bar
        self._task = bar.add_task("", total=1.0, values="")
        self._shown, self._wait = time.perf_counter(), _PREVIEW
        self._began: tuple[float, float] | None = None
        self._tenth = -1

    def __call__(self, moment: Moment) -> None:
        """Told after each step."""
        self._began = self._began or (time.perf_counter(), moment.done)
        self._tell(moment)
        self._preview(moment, self._numbered(moment))

    def _numbered(self, moment: Moment) -> np.ndarray | None:
        """Write the picture of a step that has one of its own, and give it."""
        from lensmith.stylize import pictures

        if not self._every or not moment.step or moment.step % self._every:
            return None
        path = pictures.numbered(self._out, moment.step)
        if path in self.written:  # a larger level begins with the last picture of the smaller
            return None
        picture = moment.picture()
        self.written.append(pictures.write(path, picture))
        return picture

    def _preview(self, moment: Moment, picture: np.ndarray | None) -> None:
        from lensmith.stylize import pictures

        before = time.perf_counter()
        if before - self._shown >= self._wait:
            pictures.write(self._out, moment.picture() if picture is None else picture)
            self._shown = time.perf_counter()
            self._wait = max(_PREVIEW, _SHARE * (self._shown - before))

    def _tell(self, moment: Moment) -> None:
        height, width = moment.size
        values = f"step {moment.step}/{moment.steps}  {width}×{height}  loss {moment.loss:.4g}"
        if moment.halved:
            values += f"  rate halved {moment.halved}×"
        if not self._bar.disable:
            self._bar.update(self._task, completed=moment.done, values=values)
            return
        tenth = 10 * moment.step // moment.steps
        if tenth != self._tenth:  # where there is no bar, a line ten times
            self._tenth = tenth
            self._bar.console.print(f"{values}{self._left(moment)}", soft_wrap=True)

    def _left(self, moment: Moment) -> str:
        began, first = self._began or (0.0, 0.0)
        if moment.done == first or moment.done == 1:
            return ""
        left = (time.perf_counter() - began) / (moment.done - first) * (1 - moment.done)
        return f"  {left:.0f} s left"


@contextmanager
def painting_progress(out: Path, every: int | None, console: Console) -> Iterator[PaintingProgress]:
    """While it lasts, a bar on a terminal. For the arguments see :class:`PaintingProgress`."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.fields[values]}"), TimeElapsedColumn(), TextColumn("left"))
    left = TimeRemainingColumn()
    with Progress(*columns, left, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield PaintingProgress(out, every, bar)
