"""Tables of the experiments, as lines of Markdown."""

import math

from benchmarks.supervised.analysis import Results, ratio
from benchmarks.supervised.experiments import (
    ABLATION_TASKS,
    BATCHES,
    CURVATURES,
    FEEDBACKS,
    FEW,
    OURS_OF_EXPERIMENTS,
    PEERS_OF_EXPERIMENTS,
    SENSITIVITY,
    VANISHING,
    ablated,
)
from benchmarks.supervised.tables import OURS, cell, number, table, title_of
from benchmarks.supervised.tasks import TASKS, task_named


def few_seeds(results: Results, task: str, optimizer: str) -> float:
    """Give the mean steps over the seeds that the sensitivities have; NaN if one is missing."""
    runs = [r for r in results.of(task, optimizer) if not r.tuning and r.seed < FEW]
    if len(runs) < FEW or any(run.refused for run in runs):
        return math.nan
    return sum(math.inf if run.reached is None else run.reached for run in runs) / FEW


def sensitivity_table(results: Results, kind: str) -> list[str]:
    """Give OCNOpt's steps with a scaled setting; the last column is the worst over the default."""
    choices = SENSITIVITY[kind]
    counted = [label for label in choices if label != "0.1"]  # the range that is to be flat
    rows = []
    for task in TASKS.values():
        steps = {label: few_seeds(results, task.name, o) for label, o in choices.items()}
        worst = max((ratio(steps[label], steps["1"]) for label in counted), default=math.nan)
        least = min((ratio(steps[label], steps["1"]) for label in counted), default=math.nan)
        spread = f"{number(least)} – {number(worst)}" if not math.isnan(worst) else "–"
        rows.append([task.title, *(number(s, ".0f") for s in steps.values()), spread])
    return table([kind, *choices, f"over the default, {counted[0]} to {counted[-1]}"], rows)


def ablation_table(results: Results, task: str) -> list[str]:
    """Give the steps to the target with every feedback and curvature."""
    rows = [
        [feedback.replace("_", " ")]
        + [cell(results.steps(task, ablated(feedback, curvature))) for curvature in CURVATURES]
        for feedback in FEEDBACKS
    ]
    return table(["feedback", *CURVATURES], rows)


def ablation(results: Results) -> list[str]:
    """Give the ablation of every task."""
    lines: list[str] = []
    for task in ABLATION_TASKS:
        cells = [ablated(feedback, curvature) for feedback in FEEDBACKS for curvature in CURVATURES]
        if not any(results.of(task, cell) for cell in cells):
            lines += [f"{TASKS[task].title}: not run for this copy.", ""]
            continue
        found = ablation_table(results, task)
        lines += [f"{TASKS[task].title}, loss {TASKS[task].target:g}:", "", *found, ""]
    return lines[:-1]


def extra_table(results: Results, tasks: tuple[str, ...]) -> list[str]:
    """Give steps to the target and final test accuracy on tasks beside the eleven."""
    rows = []
    for name in (*PEERS_OF_EXPERIMENTS, *OURS_OF_EXPERIMENTS):
        cells = [title_of(name)]
        for task in tasks:
            cells.append(cell(results.steps(task, name)))
            accuracy = results.quality(task, name, 0)
            cells.append("–" if accuracy is None else number(100 * accuracy.mean, ".1f"))
        rows.append(cells)
    head = [""]
    for task in map(task_named, tasks):
        head += [f"{task.title}: steps to {task.target:g}", "test accuracy, %"]
    return table(head, rows)


def vanishing(results: Results) -> list[str]:
    """Give the experiment with a deep sigmoid network."""
    return extra_table(results, VANISHING)


def batches(results: Results) -> list[str]:
    """Give the experiment with small batches."""
    return extra_table(results, BATCHES)


__all__ = ["OURS", "ablation", "batches", "sensitivity_table", "vanishing"]
