"""The report: text, tables and pictures from the file of results alone."""

import math
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.supervised import experiment_tables, pictures, tables
from benchmarks.supervised.analysis import Results
from benchmarks.supervised.experiments import FEW, OURS_OF_EXPERIMENTS, SENSITIVITY
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.tables import OURS, number, title_of
from benchmarks.supervised.tasks import TASKS
from benchmarks.supervised.texts import (
    ABLATION,
    BATCHES,
    COMMANDS,
    COST,
    HOW,
    KFAC,
    QUALITY,
    SENSITIVITY_TEXT,
    STEPS,
    VANISHING,
)


def write_report(path: Path, folder: Path) -> None:
    """Write `supervised.md` and its pictures."""
    results = Results.load(path)
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in (
        ("ratios", pictures.draw_ratios),
        ("curves", pictures.draw_curves),
        ("learning_rate", pictures.draw_sensitivity),
    ):
        draw(results, folder / f"supervised_{name}.png")
    (folder / "supervised.md").write_text("\n".join(_lines(results)) + "\n")


def _lines(results: Results) -> list[str]:
    lines = ["# Supervised tasks", "", HOW, "", _versions(results), "", COMMANDS, ""]
    lines += ["## OCNOpt against the best tuned peer", "", *tables.overview(results), ""]
    lines += [*verdict(results), "", "![Steps over the best peer's](supervised_ratios.png)", ""]
    lines += ["![Training loss by steps](supervised_curves.png)", ""]
    lines += ["## Steps to the target", "", STEPS, "", *tables.steps_table(results), ""]
    lines += ["At the learning rate for quality:", ""]
    lines += [*tables.steps_table(results, at_quality=True), ""]
    lines += [
        "Learning rates chosen, for quality / for speed:",
        "",
        *tables.rates_table(results),
        "",
    ]
    lines += ["## Test samples", "", QUALITY, "", *tables.quality_table(results, 0), ""]
    lines += ["Mean test loss (NLL; for the autoencoder half the squared error):", ""]
    lines += [*tables.quality_table(results, 1), ""]
    lines += ["## Cost of a step", "", COST, "", *tables.cost_table(results), ""]
    lines += ["## Sensitivity of OCNOpt", "", SENSITIVITY_TEXT.format(seeds=FEW), ""]
    for kind in SENSITIVITY:
        lines += [*experiment_tables.sensitivity_table(results, kind), ""]
    lines += ["![Steps by learning rate](supervised_learning_rate.png)", ""]
    lines += [
        "## Feedback and curvature",
        "",
        ABLATION,
        "",
        *experiment_tables.ablation(results),
        "",
    ]
    lines += [
        "## Vanishing gradients",
        "",
        VANISHING,
        "",
        *experiment_tables.vanishing(results),
        "",
    ]
    lines += ["## Small batches", "", BATCHES, "", *experiment_tables.batches(results), ""]
    return [*lines, "## The K-FAC", "", KFAC]


def verdict(results: Results) -> list[str]:
    """Say in sentences where OCNOpt stands: medians, losses, accuracy, cost, what is missing."""
    found = {task: tables.ratios(results, task) for task in TASKS}
    known = {task: three for task, three in found.items() if not math.isnan(three[0])}
    lines = []
    if known:
        steps, same, fastest = (
            tables.median_of([three[k] for three in known.values()]) for k in range(3)
        )
        lines.append(
            f"Over {len(known)} tasks the median ratio is {number(steps)} in steps, "
            f"{number(same)} in processor seconds against the same peer, and {number(fastest)} "
            "against the peer that is fastest in processor seconds."
        )
        worst = max(known, key=lambda task: known[task][0])
        lines.append(
            f"The largest ratio in steps is {number(known[worst][0])}, on {TASKS[worst].title}."
        )
    lines += [_loss(results, task) for task, three in known.items() if three[0] > 1]
    for task in TASKS.values():
        gap = tables.accuracy_gap(results, task.name)
        best = results.best_quality(task.name, 0)
        if gap < -0.3 and not task.autoencoder and best is not None:
            lines.append(
                f"On {task.title} its test accuracy is {-gap:.2f} points below that of "
                f"{title_of(best.optimizer)}."
            )
    for task in TASKS.values():
        reason = results.refusal(task.name, OURS)
        if reason:
            lines.append(f"OCNOpt refused {task.title}: {reason}.")
        elif results.steps(task.name, OURS) is None:
            lines.append(f"OCNOpt was not run on {task.title}.")
    missing = [peer.title for peer in PEERS.values() if not results.of("digits-tanh", peer.name)]
    if missing:
        lines.append(f"Not run: {', '.join(missing)}.")
    return [f"- {line}" for line in lines]


def _loss(results: Results, task: str) -> str:
    ours, peer = results.steps(task, OURS), results.best_steps(task)
    assert ours is not None
    assert peer is not None
    theirs = f"{peer.figure.mean:.0f} of {title_of(peer.optimizer)}"
    if math.isinf(ours.mean):
        return (
            f"On {TASKS[task].title} OCNOpt loses: with {ours.missed} of {ours.seeds} seeds it "
            f"never reaches the target, against {theirs}."
        )
    return f"On {TASKS[task].title} OCNOpt loses: {ours.mean:.0f} steps against {theirs}."


def _versions(results: Results) -> str:
    packages = []
    for name in ("torch", "pytorch_optimizer", "approxngd"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            packages.append(f"{name} not installed")
    names = (
        OURS,
        *OURS_OF_EXPERIMENTS,
        *(o for kind in SENSITIVITY.values() for o in kind.values()),
    )
    commits = sorted({r.commit for r in results.runs if r.optimizer in names and r.commit})
    which = ", ".join(commits) or "none yet"
    return (
        f"This copy was written with {', '.join(packages)}, Python {platform.python_version()}; "
        f"the runs of OCNOpt are of commit {which} (a plus: with changes not committed)."
    )
