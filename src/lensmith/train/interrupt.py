"""Ctrl-C and SIGTERM as a request that is honoured after the step, not in the middle of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lensmith import check


class Interrupted(check.LensmithError):
    """Training was asked to stop before its end; the message says how to go on."""


@contextmanager
def requests() -> Iterator[list[str]]:
    """Collect the names of the signals that ask to stop, in place of being ended by them.

    A second one ends the program at once, as usual. Only the main thread may handle signals, so in
    another one nothing changes.
    """
    asked: list[str] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(signal.Signals(number).name)

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            # None stands for a handler that was not installed from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
