"""Processes that fail or die cost their task only, and end with who started them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import cloudpickle
import pytest

from ocngame.agents.benchmark.pool import run_tasks
from ocngame.agents.benchmark.store import Store
from ocngame.agents.benchmark.tasks import Task
from ocngame.agents.training.worlds import make_world


@dataclass(frozen=True)
class Does(Task):
    what: str

    @property
    def stem(self):
        return self.what

    @property
    def title(self):
        return self.what

    def produce(self, store, make, tell):
        tell(1, 2)
        if self.what == "raise":
            raise ValueError("out of\norder")
        if self.what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.what == "leave":
            os._exit(3)
        return {"made": self.what, "by": os.getpid()}


@pytest.fixture
def by_value():
    """The tests' folder is not on the path of a worker, so the class travels by value."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


def test_one_that_dies_does_not_take_the_others_along(tmp_path, by_value):
    store, told = Store(tmp_path), []
    tasks = [Does(w) for w in ("a", "raise", "die", "b", "c", "leave")]
    failures = run_tasks(tasks, store, make_world, lambda *row: told.append(row), 2)
    assert {(task.what, kind, error) for task, kind, error in failures} == {
        ("raise", "ValueError", "out of order"),
        (
            "die",
            "WorkerError",
            "the process that made it was ended by signal SIGKILL; the next call tries it again",
        ),
        (
            "leave",
            "WorkerError",
            "the process that made it ended with code 3; the next call tries it again",
        ),
    }
    for name in ("a", "b", "c"):
        found = store.read(name)
        assert found is not None
        assert found["by"] != os.getpid()
    assert {title[1:] for title, _, total in told if total == 2} >= {"/6 a", "/6 b", "/6 raise"}
    # What is there is not made again.
    before = store.read("a")
    run_tasks([Does("a"), Does("d")], store, make_world, lambda *_: None, 2)
    assert store.read("a") == before


def test_a_single_process_is_this_one(tmp_path):
    store = Store(tmp_path)
    failures = run_tasks([Does("a"), Does("raise")], store, make_world, lambda *_: None, 1)
    assert [(t.what, kind) for t, kind, _ in failures] == [("raise", "ValueError")]
    found = store.read("a")
    assert found is not None
    assert found["by"] == os.getpid()


PROGRAM = """
import os, sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
import sleeper
from ocngame.agents.benchmark.pool import run_tasks
from ocngame.agents.benchmark.store import Store
from ocngame.agents.training.worlds import make_world
if __name__ == "__main__":
    tasks = [sleeper.Sleeps(str(i)) for i in range(2)]
    run_tasks(tasks, Store(Path({out!r})), make_world, lambda *_: None, 2)
"""

SLEEPER = """
import os, time
from pathlib import Path
from dataclasses import dataclass
from ocngame.agents.benchmark.tasks import Task

@dataclass(frozen=True)
class Sleeps(Task):
    what: str
    stem = property(lambda self: self.what)
    title = property(lambda self: self.what)

    def produce(self, store, make, tell):
        (store.path / f"{os.getpid()}.pid").touch()
        time.sleep(60)
        return {}
"""


def _alive(pid: int) -> bool:
    """A process that has ended and waits for its parent does not count."""
    found = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip()[:1] not in {"", "Z"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_workers_end_with_a_killed_parent(tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    out = tmp_path / "out"
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(folder=str(tmp_path), out=str(out)))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    }
    parent = subprocess.Popen([sys.executable, str(program)], env=environment)
    limit = time.monotonic() + 120
    pids: list[int] = []
    while len(pids) < 2 and time.monotonic() < limit:
        time.sleep(0.1)
        pids = [int(p.stem) for p in out.glob("*.pid")] if out.exists() else []
    parent.kill()
    parent.wait()
    assert len(pids) == 2
    while any(map(_alive, pids)) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not any(map(_alive, pids))
