"""The commands: frozen settings with a `run` method each."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.supervised.campaign import Campaign, installed
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.store import RESULTS
from benchmarks.supervised.tasks import TASKS, task_named

CONTENDERS = ("ocnopt", *PEERS)


@dataclass(frozen=True, kw_only=True)
class RunTasks:
    """Tune the peers and make the runs that are missing.

    Attributes:
        optimizers: Contenders: ocnopt and the peers' names; ocnopt:lr=0.3 and the like.
        tasks: Names of tasks.
        seeds: Number of seeds.
        results: The file of results.
    """

    optimizers: tuple[str, ...] = CONTENDERS
    tasks: tuple[str, ...] = tuple(TASKS)
    seeds: int = 5
    results: Path = RESULTS

    def run(self) -> None:
        campaign = Campaign(self.results, say=lambda text: print(text, flush=True))
        names = list(installed(self.optimizers))
        for task in map(task_named, self.tasks):
            for name in names:
                campaign.compare(name, task, self.seeds)
