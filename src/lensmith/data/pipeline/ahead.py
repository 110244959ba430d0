"""Work done in a thread, a few items ahead of need."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

_END = object()
_PATIENCE = 0.1  # seconds after which a full queue is tried again, unless nobody waits for it any more


class Ahead:
    """An iterator over what another one gives, which a thread goes through; what it raises is raised here.

    The thread ends with the iterator: when it is exhausted, closed or forgotten. It does not keep the program
    from ending, whatever the other iterator waits for.

    Args:
        make: gives the other iterator; called in the thread.
        most: items that may wait.
    """

    __slots__ = ("__weakref__", "_close", "_done", "_ready")

    def __init__(self, make: Callable[[], Iterator[Any]], most: int) -> None:
        self._ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(most)
        self._done = False
        stop = threading.Event()
        self._close = weakref.finalize(self, stop.set)
        threading.Thread(target=_fill, args=(make, self._ready, stop), name="lensmith-stream", daemon=True).start()

    def __iter__(self) -> Ahead:
        return self

    def __next__(self) -> Any:
        if self._done:
            raise StopIteration
        item, error = self._ready.get()
        if error is None and item is not _END:
            return item
        self._done = True
        if error is not None:
            raise error
        raise StopIteration

    def close(self) -> None:
        """Let the thread end."""
        self._done = True
        self._close()


def _fill(make: Callable[[], Iterator[Any]], ready: queue.Queue[Any], stop: threading.Event) -> None:
    try:
        for item in make():
            if not _put(ready, (item, None), stop):
                return
            del item  # held by the queue alone
        _put(ready, (_END, None), stop)
    except BaseException as error:  # it belongs to who waits for the item
        _put(ready, (None, error), stop)


def _put(ready: queue.Queue[Any], item: object, stop: threading.Event) -> bool:
    while not stop.is_set():
        try:
            ready.put(item, timeout=_PATIENCE)
        except queue.Full:
            continue
        return True
    return False
