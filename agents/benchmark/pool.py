"""Tasks in several processes, each of which may die without taking the others' results along.

Every worker is a fresh process with a pipe; it takes one task at a time, keeps its result on the
disk by itself, and tells of its progress. A worker that ends in the middle of a task is replaced,
and the task counts as failed. Workers end with the process that started them, also when that one is
killed, so that a benchmark that is started again never meets an old worker in a run folder.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import cloudpickle
import torch

from ocngame.agents.benchmark.store import Store
from ocngame.agents.benchmark.tasks import Task
from ocngame.agents.training.worlds import WorldMaker

__all__ = ["Failure", "run_tasks"]

Notify = Callable[[str, int, int], None]

Failure = tuple[Task, str, str]
"""A task, the kind of its error, and the error."""


def run_tasks(
    tasks: Sequence[Task], store: Store, make: WorldMaker, notify: Notify, jobs: int
) -> list[Failure]:
    """Make the results that the store does not have.

    Args:
        tasks: What to make.
        store: Where results are kept.
        make: Makes worlds; with several processes, something that cloudpickle can send.
        notify: Is told of the progress.
        jobs: Processes; 1 for this one alone.

    Returns:
        What failed.
    """
    missing = [task for task in tasks if store.read(task.stem) is None]
    count = len(missing)
    titles = {task.stem: f"{i + 1}/{count} {task.title}" for i, task in enumerate(missing)}
    if jobs == 1 or count < 2:
        failures: list[Failure] = []
        for task in missing:
            error = _attempt(task, store, make, _named(notify, titles[task.stem]))
            if error is not None:
                failures.append((task, *error))
        return failures
    with _Pool(min(jobs, count), store.path, make) as pool:
        return pool.run(missing, titles, notify)


def _attempt(
    task: Task, store: Store, make: WorldMaker, tell: Callable[[int, int], None]
) -> tuple[str, str] | None:
    try:
        store.write(task.stem, task.produce(store, make, tell))
    except Exception as error:  # noqa: BLE001 - whatever one task meets, the others go on
        return type(error).__name__, " ".join(str(error).split()) or "no reason was given"
    return None


def _named(notify: Notify, title: str) -> Callable[[int, int], None]:
    return lambda done, total: notify(title, done, total)


@dataclass
class _Worker:
    process: Any
    pipe: Any
    task: Task | None = field(default=None)


class _Pool:
    def __init__(self, count: int, path: Path, make: WorldMaker):
        self._context = multiprocessing.get_context("spawn")
        self._first = cloudpickle.dumps((path, make))
        self._workers = [self._start() for _ in range(count)]

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if worker.task is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def run(self, tasks: Sequence[Task], titles: dict[str, str], notify: Notify) -> list[Failure]:
        waiting, failures = list(tasks)[::-1], []
        while True:
            for i, worker in enumerate(self._workers):
                if worker.task is None and waiting:
                    self._give(i, waiting.pop())
            busy = [worker for worker in self._workers if worker.task is not None]
            if not busy:
                return failures
            ready = wait([w.pipe for w in busy] + [w.process.sentinel for w in busy], timeout=0.5)
            for i, worker in enumerate(self._workers):
                if {worker.pipe, worker.process.sentinel} & set(ready):
                    failures += self._hear(i, titles, notify)
            # With nothing to tell, those who watch are asked all the same whether to stop.
            if not ready:
                notify("", 0, 0)

    def _hear(self, index: int, titles: dict[str, str], notify: Notify) -> list[Failure]:
        """Take what a worker has to say, or note that it has ended in the middle of a task."""
        worker, failures = self._workers[index], []
        task = worker.task
        if task is None:
            return []
        # Read until the end of the pipe: a worker may have finished its task before it ended.
        with contextlib.suppress(EOFError, OSError):
            while worker.task is not None and worker.pipe.poll():
                kind, content = worker.pipe.recv()
                if kind == "progress":
                    notify(titles[task.stem], *content)
                    continue
                worker.task = None
                if content is not None:
                    failures.append((task, *content))
        if worker.task is not None and not worker.process.is_alive():
            failures.append((task, "WorkerError", _ended(worker.process.exitcode)))
            worker.task = None
        return failures

    def _give(self, index: int, task: Task) -> None:
        content = cloudpickle.dumps(task)
        try:
            self._workers[index].pipe.send_bytes(content)
        except OSError:
            self._workers[index].pipe.close()
            self._workers[index] = self._start()
            self._workers[index].pipe.send_bytes(content)
        self._workers[index].task = task

    def _start(self) -> _Worker:
        own, other = self._context.Pipe()
        process = self._context.Process(target=_work, args=(other, self._first), daemon=True)
        process.start()
        other.close()
        return _Worker(process, own)


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"the process that made it was ended by signal {name}; the next call tries it again"
    return f"the process that made it ended with code {code}; the next call tries it again"


def _work(pipe: Any, first: bytes) -> None:
    """Take tasks until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    torch.set_num_threads(1)
    path, make = cloudpickle.loads(first)
    store = Store(path)
    # The other end is closed when there is nothing more to do.
    with contextlib.suppress(EOFError, OSError):
        while True:
            task = cloudpickle.loads(pipe.recv_bytes())
            error = _attempt(task, store, make, lambda *done: pipe.send(("progress", done)))
            pipe.send(("done", error))


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
