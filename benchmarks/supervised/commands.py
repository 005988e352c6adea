"""The commands: frozen settings with a `run` method each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.supervised import experiments
from benchmarks.supervised.campaign import Campaign, installed
from benchmarks.supervised.ours import is_ours
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.report import write_report
from benchmarks.supervised.store import RESULTS, append, newest, prune, read
from benchmarks.supervised.tasks import TASKS, task_named
from benchmarks.supervised.timing import race
from benchmarks.supervised.tuning import best, by_speed
from ocngame.errors import OcnGameError

CONTENDERS = ("ocnopt", *PEERS)


def _campaign(path: Path) -> Campaign:
    return Campaign(path, say=lambda text: print(text, flush=True))


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
        campaign = _campaign(self.results)
        names = list(installed(self.optimizers))
        for task in map(task_named, self.tasks):
            for name in names:
                campaign.compare(name, task, self.seeds)


@dataclass(frozen=True, kw_only=True)
class Time:
    """Measure the processor time of a step, all contenders in turn.

    Attributes:
        optimizers: Contenders; Adam, to which ratios are taken, is one in any case.
        tasks: Names of tasks.
        rounds: Turns of ten steps; the later ones, from the third, give the ratios.
        results: The file of results.
    """

    optimizers: tuple[str, ...] = CONTENDERS
    tasks: tuple[str, ...] = tuple(TASKS)
    rounds: int = 8
    results: Path = RESULTS

    def run(self) -> None:
        runs = newest(read(self.results)[0])
        names = list(dict.fromkeys(["adam", *installed(self.optimizers)]))
        for task in map(task_named, self.tasks):
            rates: dict[str, float] = {}
            for name in names:
                own = [r for r in runs if r.task == task.name and r.optimizer == name and r.tuning]
                peer = PEERS.get(name)
                middle = peer.grid[len(peer.grid) // 2] if peer is not None else 1.0
                rates[name] = best(own, by_speed) if own else middle
            try:
                timing = race(task, rates, self.rounds)
            except OcnGameError as error:
                print(f"{task.name}: timed without OCNOpt: {error}")
                rates = {name: lr for name, lr in rates.items() if not is_ours(name)}
                timing = race(task, rates, self.rounds)
            append(timing, self.results)
            print(task.name, timing.ratios, flush=True)


@dataclass(frozen=True, kw_only=True)
class Experiments:
    """Sensitivity, ablation, vanishing gradients, small batches.

    Attributes:
        parts: Which.
        contenders: Who takes part in the last two.
        seeds: Number of seeds of the last two.
        tasks: Tasks of the sensitivity and of the ablation.
        results: The file of results.
    """

    parts: tuple[Literal["sensitivity", "ablation", "vanishing", "batches"], ...] = (
        "sensitivity",
        "ablation",
        "vanishing",
        "batches",
    )
    contenders: Literal["all", "ours", "peers"] = "all"
    seeds: int = 3
    tasks: tuple[str, ...] = tuple(TASKS)
    results: Path = RESULTS

    def run(self) -> None:
        campaign = _campaign(self.results)
        names = experiments.contenders(self.contenders)
        if "sensitivity" in self.parts:
            experiments.sensitivity(campaign, self.tasks)
        if "ablation" in self.parts:
            experiments.ablation(campaign, self.tasks)
        if "vanishing" in self.parts:
            experiments.extra(campaign, experiments.VANISHING, self.seeds, names)
        if "batches" in self.parts:
            experiments.extra(campaign, experiments.BATCHES, self.seeds, names)


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write the report from the file of results.

    Attributes:
        results: The file of results.
        out: Folder of the report.
    """

    results: Path = RESULTS
    out: Path = Path("docs/benchmarks")

    def run(self) -> None:
        write_report(self.results, self.out)


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Drop runs of OCNOpt by older sources of ocngame from the file of results.

    Attributes:
        results: The file of results.
    """

    results: Path = RESULTS

    def run(self) -> None:
        prune(self.results)
