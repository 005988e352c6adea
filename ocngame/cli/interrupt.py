"""Ctrl-C between the steps of a job."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["between_steps"]


@contextmanager
def between_steps() -> Iterator[Callable[[], bool]]:
    """Let the first Ctrl-C wait for the end of a step; the second comes through at once.

    Yields:
        Says whether Ctrl-C has been pressed.
    """
    asked = threading.Event()

    def note(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            signal.default_int_handler(number, frame)
        asked.set()

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
