"""OCNOpt on the digits: against peers tuned over a grid, with and without feedback.

    .venv/bin/python benchmarks/digits.py

It takes about a quarter of an hour on one core and writes `digits.md`, `digits_steps.png` and
`digits_learning_rate.png` into `docs/benchmarks/`. All runs of a seed share the split, the first
weights and the batches, and the contenders make their steps in turn in one process on one thread.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.progress import track

from ocngame.training.config import AdamSettings, OCNOptSettings, SGDSettings, SupervisedConfig
from ocngame.training.supervised import SupervisedJob

ADAM_GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SGD_GRID = {"standard": (0.03, 0.1, 0.3, 1.0, 3.0), "none": (0.001, 0.003, 0.01, 0.03, 0.1)}
SCALES = (0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0)
FEEDBACK = ("off", "per_sample", "stacked", "exact")
SHORT = 66  # steps of the runs with feedback over the whole batch, which are slow
COLOURS = {
    "off": "#4477aa",
    "per_sample": "#66ccee",
    "stacked": "#aa3377",
    "exact": "#ccbb44",
    "Adam": "#ee6677",
    "SGD+momentum": "#228833",
}
BASE = SupervisedConfig(evaluate_every=1, target_loss=0.01)

Path_ = list[tuple[int, float, float, float]]
"""Rows (step, training loss, test accuracy, processor seconds) of one run."""


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        seeds: Number of seeds of the comparison.
        few: Number of seeds of the comparison of feedbacks and learning rates.
        out: Folder of the report.
    """

    seeds: int = 5
    few: int = 3
    out: Path = Path("docs/benchmarks")


def main(settings: Settings) -> None:
    settings.out.mkdir(parents=True, exist_ok=True)
    parts = [
        HEAD,
        compare("standard", settings.seeds, settings.out / "digits_steps.png"),
        compare("none", settings.seeds, None),
        sensitivity(settings.few, settings.out / "digits_learning_rate.png"),
    ]
    (settings.out / "digits.md").write_text("\n".join(parts))


HEAD = """\
# Digits

Written by `benchmarks/digits.py`. A tanh network 64-64-64-64-10 (13,130 parameters) on the 1,437
training digits of scikit-learn, batches of 128, 330 steps (30 epochs). Adam and SGD with momentum
0.9 have a cosine schedule over the run and each learning rate of a grid; OCNOpt has its defaults
and no learning rate. A line is the mean over seeds, ± the standard deviation. "Steps" and "CPU s"
are those to the first training loss, over all training samples, of at most 0.01. Processor seconds
are those of the steps alone; where their ratio is above 1, the peer is ahead at equal time.
"""


def trace(config: SupervisedConfig, steps: int | None = None) -> dict[str, Path_]:
    """Run a job in memory and keep every contender's rows."""
    job = SupervisedJob(config)
    kept: dict[str, Path_] = {c.name: [] for c in job.contenders}
    for rows in islice(job.run(), steps):
        for row in rows:
            kept[row.optimizer].append(
                (row.step, row.train_loss, row.test_accuracy, row.cpu_seconds)
            )
    return kept


def compare(scaling: str, seeds: int, picture: Path | None) -> str:
    """Compare OCNOpt's defaults with both grids, interleaved step by step."""
    runs: dict[str, list[Path_]] = {}
    base = replace(BASE, scaling=scaling)
    for seed in track(range(seeds), f"comparison, scaling {scaling}"):
        for position, (adam, sgd) in enumerate(zip(ADAM_GRID, SGD_GRID[scaling], strict=True)):
            config = replace(
                base,
                seed=seed,
                optimizers=("ocnopt", "adam", "sgd") if position == 0 else ("adam", "sgd"),
                adam=AdamSettings(lr=adam),
                sgd=SGDSettings(lr=sgd),
            )
            found = trace(config)
            names = {"ocnopt": "OCNOpt", "adam": f"Adam {adam:g}", "sgd": f"SGD+momentum {sgd:g}"}
            for name, path in found.items():
                runs.setdefault(names[name], []).append(path)
    order = sorted(runs, key=lambda name: (name.split()[0], float([*name.split(), "0"][1])))
    table = [
        "",
        f"## Features {'with mean 0 and deviation 1' if scaling == 'standard' else 'as they are'}",
        "",
        "| optimizer | steps to 0.01 | CPU s to 0.01 | final loss | test accuracy |",
        "|---|---|---|---|---|",
        *(line(name, runs[name]) for name in order),
        "",
        verdict(runs),
    ]
    if picture is not None:
        draw_steps({name: runs[name] for name in ("OCNOpt", *best_of_grids(runs))}, picture)
        table += ["", f"![Training loss and test accuracy by steps]({picture.name})"]
    return "\n".join(table)


def reached(path: Path_, column: int) -> float:
    """Give the step (column 0) or time (column 3) of the first loss of at most 0.01."""
    return next((float(row[column]) for row in path if row[1] <= BASE.target_loss), float("inf"))


def line(name: str, paths: Sequence[Path_]) -> str:
    def shown(values: Sequence[float], form: str) -> str:
        if any(value == float("inf") for value in values):
            missing = sum(value == float("inf") for value in values)
            return f"not reached by {missing} of {len(values)}"
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        return f"{statistics.mean(values):{form}} ± {spread:{form}}"

    return (
        f"| {name} | {shown([reached(p, 0) for p in paths], '.1f')} "
        f"| {shown([reached(p, 3) for p in paths], '.2f')} "
        f"| {shown([p[-1][1] for p in paths], '.1e')} "
        f"| {shown([100 * p[-1][2] for p in paths], '.2f')} % |"
    )


def mean_reached(paths: Sequence[Path_], column: int) -> float:
    return statistics.mean(reached(path, column) for path in paths)


def best_of_grids(runs: dict[str, list[Path_]]) -> list[str]:
    """Name the best of Adam's and of SGD's grid by mean steps to the target, then final loss."""

    def rank(name: str) -> tuple[float, float]:
        return mean_reached(runs[name], 0), statistics.mean(p[-1][1] for p in runs[name])

    names = [[n for n in runs if n.startswith(kind)] for kind in ("Adam", "SGD")]
    return [min(group, key=rank) for group in names]


def verdict(runs: dict[str, list[Path_]]) -> str:
    adam, sgd = best_of_grids(runs)
    ours = runs["OCNOpt"]
    sentences = []
    for peer in (adam, sgd):
        if mean_reached(runs[peer], 0) == float("inf"):
            sentences.append(f"{peer}, the best of its grid, does not reach it with every seed.")
            continue
        steps, time = (mean_reached(ours, c) / mean_reached(runs[peer], c) for c in (0, 3))
        sentences.append(
            f"To a training loss of 0.01 OCNOpt needs {steps:.2f} of the steps and {time:.2f} of "
            f"the processor time of {peer}."
        )
    gap = 100 * (
        statistics.mean(p[-1][2] for p in ours) - statistics.mean(p[-1][2] for p in runs[adam])
    )
    sentences.append(
        f"Its test accuracy after all steps is {abs(gap):.2f} points "
        f"{'above' if gap >= 0 else 'below'} that of {adam}."
    )
    return " ".join(sentences)


def draw_steps(runs: dict[str, list[Path_]], path: Path) -> None:
    figure = Figure(figsize=(9.5, 3.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3)
    colours = dict(zip(runs, ("#4477aa", "#ee6677", "#228833"), strict=True))
    for name, paths in runs.items():
        steps = [row[0] for row in paths[0]]
        for axes, x_column, y_column, scale in (
            (panels[0], 0, 1, 1.0),
            (panels[1], 3, 1, 1.0),
            (panels[2], 0, 2, 100.0),
        ):
            across = [[scale * p[k][y_column] for p in paths] for k in range(len(steps))]
            x = [statistics.mean(p[k][x_column] for p in paths) for k in range(len(steps))]
            axes.plot(x, [statistics.mean(v) for v in across], color=colours[name], label=name)
            axes.fill_between(
                x,
                [min(v) for v in across],
                [max(v) for v in across],
                color=colours[name],
                alpha=0.2,
            )
    finish(panels[0], "steps", "training loss", log=True)
    finish(panels[1], "processor seconds", "training loss", log=True)
    finish(panels[2], "steps", "test accuracy (%)")
    panels[2].set_ylim(88, 100)
    panels[2].legend(frameon=False, loc="lower right")
    figure.savefig(path)


def sensitivity(seeds: int, picture: Path) -> str:
    """Scale every optimizer's own learning rate, with every feedback, over a short run."""
    base = replace(BASE, batch_size=64, epochs=SHORT // (1437 // 64), schedule="cosine")
    makers: dict[str, Callable[[float], SupervisedConfig]] = {
        mode: lambda s, mode=mode: replace(
            base, optimizers=("ocnopt",), ocnopt=OCNOptSettings(lr=s, feedback=mode)
        )
        for mode in FEEDBACK
    }
    makers["Adam"] = lambda s: replace(base, optimizers=("adam",), adam=AdamSettings(lr=0.03 * s))
    makers["SGD+momentum"] = lambda s: replace(
        base, optimizers=("sgd",), sgd=SGDSettings(lr=0.3 * s)
    )
    runs: dict[str, dict[float, list[Path_]]] = {name: {} for name in makers}
    jobs = [(n, s, k) for n in makers for s in SCALES for k in range(seeds)]
    for name, scale, seed in track(jobs, "feedback and learning rates"):
        (path,) = trace(replace(makers[name](scale), seed=seed), SHORT).values()
        runs[name].setdefault(scale, []).append(path)
    draw_sensitivity(runs, picture)
    lines = [
        "",
        "## Feedback, and the learning rate",
        "",
        f"Batches of 64, {SHORT} steps, {seeds} seeds; features with mean 0 and deviation 1. The "
        "step length of OCNOpt (1 by default) and the learning rates of Adam (0.03) and SGD (0.3) "
        "are multiplied by the number at the head of the column; the cosine schedule spans these "
        f"{SHORT} steps. A cell is the mean training loss after them.",
        "",
        "| | " + " | ".join(f"{s:g}" for s in SCALES) + " | CPU ms a step |",
        "|---|" + "---|" * (len(SCALES) + 1),
    ]
    for name, by_scale in runs.items():
        label = name if name in ("Adam", "SGD+momentum") else f"OCNOpt, feedback {name}"
        cells = [f"{statistics.mean(p[-1][1] for p in by_scale[s]):.4f}" for s in SCALES]
        cost = 1e3 * statistics.median(p[-1][3] / p[-1][0] for p in by_scale[1.0])
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {cost:.1f} |")
    lines += ["", f"![Loss by steps, and by learning rate]({picture.name})", ""]
    return "\n".join(lines)


def draw_sensitivity(runs: dict[str, dict[float, list[Path_]]], path: Path) -> None:
    figure = Figure(figsize=(9.5, 3.8), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name, by_scale in runs.items():
        label = name if name in ("Adam", "SGD+momentum") else f"OCNOpt, feedback {name}"
        style = {"color": COLOURS[name], "linestyle": "-" if name in FEEDBACK else "--"}
        paths = by_scale[1.0]
        across = [[p[k][1] for p in paths] for k in range(len(paths[0]))]
        left.plot([r[0] for r in paths[0]], [statistics.mean(v) for v in across], **style)
        finals = [[p[-1][1] for p in by_scale[s]] for s in SCALES]
        right.plot(SCALES, [statistics.mean(v) for v in finals], label=label, marker=".", **style)
        right.fill_between(
            SCALES,
            [min(v) for v in finals],
            [max(v) for v in finals],
            color=COLOURS[name],
            alpha=0.12,
        )
    finish(left, "steps, each at its own learning rate", "training loss", log=True)
    finish(right, "multiple of the learning rate", f"training loss after {SHORT} steps", log=True)
    right.set_xscale("log")
    right.set_xticks(SCALES, [f"{s:g}" for s in SCALES])
    right.minorticks_off()
    figure.legend(frameon=False, loc="outside right center", fontsize=8)
    figure.savefig(path)


def finish(axes, x_label: str, y_label: str, log: bool = False) -> None:
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if log:
        axes.set_yscale("log")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tyro.cli(Settings, description=__doc__))
