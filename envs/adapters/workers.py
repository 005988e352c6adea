"""Copies spread over worker processes, which write into memory shared with this one.

The processes come from a forkserver where there is one, so that nothing of this process is shared
by accident; a script that makes such a world therefore needs `if __name__ == "__main__":`.
"""

import ctypes
import multiprocessing
import traceback
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import numpy as np

from ocngame.envs.adapters.layout import Layout
from ocngame.envs.adapters.record import MomentArrays, Record, carve
from ocngame.envs.adapters.runner import Runner
from ocngame.errors import ApiError, InvalidInputError, OcnGameError, WorkerError

__all__ = ["Workers"]

_PATIENCE = 5.0
"""Seconds that a worker gets to end by itself."""


class Workers:
    """What a `Runner` does, done by several in processes of their own.

    Attributes:
        numbers: The shared buffer of numbers.
        flags: The shared buffer of flags.
    """

    def __init__(
        self,
        factory: Callable[[], Any],
        layout: Layout,
        batch: int,
        count: int,
        horizon: int | None,
        dtype: type[np.floating[Any]],
        sizes: tuple[int, int],
    ):
        """Start the processes.

        Args:
            factory: Makes an environment.
            layout: What there is.
            batch: Copies in all.
            count: Processes.
            horizon: Steps after which an episode is truncated.
            dtype: Of the numbers.
            sizes: Of the two buffers.

        Raises:
            InvalidInputError: if the factory cannot be sent to another process.
        """
        methods = multiprocessing.get_all_start_methods()
        method = "forkserver" if "forkserver" in methods else "spawn"
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["ocngame.envs.adapters.workers"])
        number = ctypes.c_double if dtype is np.float64 else ctypes.c_float
        shared = context.RawArray(number, sizes[0]), context.RawArray(ctypes.c_bool, sizes[1])
        self.numbers = np.frombuffer(shared[0], dtype=dtype)
        self.flags = np.frombuffer(shared[1], dtype=bool)
        self._title = layout.title
        edges = np.linspace(0, batch, count + 1).astype(int).tolist()
        self._slices = [slice(low, high) for low, high in pairwise(edges)]
        try:
            payload = cloudpickle.dumps(factory)
        except Exception as error:
            raise InvalidInputError(
                f"workers: expected a world that can be sent to another process, "
                f"{layout.title} cannot: {error}"
            ) from error
        plan = cloudpickle.dumps((payload, layout, batch, horizon, np.dtype(dtype).str))
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        self._end = weakref.finalize(self, _end, self._pipes, self._processes)
        for rows in self._slices:
            here, there = context.Pipe()
            process = context.Process(
                target=_work, args=(there, plan, shared, rows.start, rows.stop), daemon=True
            )
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        self._gather("making its copies")

    def start(self, seed: int, episodes: Sequence[int]) -> None:
        """Start every copy; see `Runner.start`.

        Args:
            seed: Of the world.
            episodes: How many each copy has begun before.
        """
        self._call("start", [(seed, list(episodes[rows])) for rows in self._slices])

    def step(self, actions: Sequence[np.ndarray]) -> None:
        """Step every copy; see `Runner.step`.

        Args:
            actions: Per group, of all copies.
        """
        self._call("step", [([group[rows] for group in actions],) for rows in self._slices])

    def replay(
        self,
        seed: int,
        episodes: Sequence[int],
        ages: Sequence[int],
        actions: Sequence[np.ndarray],
    ) -> None:
        """Play the episodes that were under way again; see `Runner.replay`.

        Args:
            seed: Of the world.
            episodes: How many each copy had begun.
            ages: Steps made in it.
            actions: Per group, of all copies.
        """
        self._call(
            "replay",
            [
                (
                    seed,
                    list(episodes[rows]),
                    list(ages[rows]),
                    [group[:, rows] if group.ndim > 1 else group for group in actions],
                )
                for rows in self._slices
            ],
        )

    def close(self) -> None:
        """End the processes."""
        self._end()

    def _call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        if not self._end.alive:
            raise WorkerError(f"{self._title}: its worker processes have been ended")
        for number, (pipe, given) in enumerate(zip(self._pipes, arguments, strict=True)):
            try:
                pipe.send((method, given))
            except OSError:
                raise self._died(number, method) from None
        self._gather(method)

    def _gather(self, doing: str) -> None:
        """Wait for all, so that none is left in the middle when one has an error."""
        first: Exception | None = None
        for number, pipe in enumerate(self._pipes):
            try:
                answer = pipe.recv()
            except (EOFError, OSError):
                raise self._died(number, doing) from None
            if answer is not None and first is None:
                first = answer
        if first is not None:
            raise first

    def _died(self, number: int, doing: str) -> WorkerError:
        process = self._processes[number]
        process.join(_PATIENCE)
        code, rows = process.exitcode, self._slices[number]
        self._end()
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return WorkerError(
            f"{self._title}: worker {number} (copies {rows.start} to {rows.stop - 1}) has died "
            f"during {doing}, {how}; the other workers have been ended"
        )


def _end(pipes: list[Connection], processes: list[Any]) -> None:
    for pipe in pipes:
        # Its process may be dead already.
        try:
            pipe.send(("close", ()))
        except OSError:
            continue
        finally:
            pipe.close()
    for process in processes:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _rows(moment: MomentArrays[np.ndarray], rows: slice) -> MomentArrays[np.ndarray]:
    return MomentArrays(
        observations=[array[rows] for array in moment.observations],
        state=moment.state[rows],
        acting=[array[rows] for array in moment.acting],
        masks=[None if array is None else array[rows] for array in moment.masks],
    )


def _work(pipe: Connection, plan: bytes, shared: Any, low: int, high: int) -> None:
    """Serve one worker's share until the pipe closes."""
    try:
        payload, layout, batch, horizon, dtype = cloudpickle.loads(plan)
        numbers = np.frombuffer(shared[0], dtype=np.dtype(dtype))
        flags = np.frombuffer(shared[1], dtype=bool)
        whole = carve(layout, batch, numbers, flags)
        rows = slice(low, high)
        record = Record(
            next=_rows(whole.next, rows),
            last=_rows(whole.last, rows),
            rewards=[array[rows] for array in whole.rewards],
            terminated=[array[rows] for array in whole.terminated],
            truncated=[array[rows] for array in whole.truncated],
            over=whole.over[rows],
        )
        runner = Runner(cloudpickle.loads(payload), layout, record, low, horizon)
    except Exception as error:  # noqa: BLE001 - whatever it is, the main process raises it
        pipe.send(_sendable(error))
        return
    pipe.send(None)
    while True:
        try:
            method, arguments = pipe.recv()
        except (EOFError, OSError):
            return
        if method == "close":
            runner.close()
            return
        try:
            getattr(runner, method)(*arguments)
        except Exception as error:  # noqa: BLE001 - the same
            pipe.send(_sendable(error))
        else:
            pipe.send(None)


def _sendable(error: Exception) -> OcnGameError:
    if isinstance(error, OcnGameError):
        return type(error)(*error.args)
    return ApiError("".join(traceback.format_exception_only(error)).strip())
