"""The report: text, tables and a picture from the files of results and timings alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.ode.figures import Figures, median, ratio
from benchmarks.ode.horizon import HORIZON_RESULTS, TimeRun, read_horizons
from benchmarks.ode.horizon_report import draw_horizons, horizon_lines
from benchmarks.ode.memory import BATCH, OPTIMIZERS, SOLVERS, STEPS, read_memory
from benchmarks.ode.tasks import GRIDS, SEEDS, TASKS
from ocngame.training.curves import COLOURS, LABELS

_ADAM = ", ".join(f"{rate:g}" for rate in GRIDS["adam"])
_SGD = ", ".join(f"{rate:g}" for rate in GRIDS["sgd"])

HOW = f"""\
OCNOpt as `ocngame train ode` has it against Adam and SGD with momentum 0.9, on the networks of that
command: same networks, first weights and batches of 128. Equations are solved by even
steps of the fourth-order rule, the same for all, and differentiated as they are; "adjoint" is Adam
with the adaptive dopri5 of torchdiffeq (tolerances 1e-3) and its adjoint equation, at the same
learning rate.

Adam and SGD are tuned to the target itself: of the constant learning rates {_ADAM}
and {_SGD}, the one that reaches the target first on a seed of its own is taken.
OCNOpt is the same on every task: the optimizer's defaults, but for its measurements of curvature
(the first four steps, then at gaps of half the steps made, at most twenty; a quarter of the
samples, at least 32; one batch raises the model of the lengths at most fourfold), which were chosen
on seeds of their own, a damping of 3e-4, a constant weight decay of 3e-3, as the learning rate is
constant, and memories that do not fade. The loss is measured every
second step on 256 training samples. Medians are of {len(SEEDS)} seeds, for split, first weights
and batches. The runs have {TASKS["digits"].steps} steps, for series
{TASKS["japanese_vowels"].steps}; "never" means not in these, and counts as infinite."""

COST = """\
Steps are timed with the contenders taking turns of ten steps in one process (`time`), so that other
load cancels out. "step" is the mean processor time of a step over Adam's in the same mode over the
first 60 steps of the run, "late step" that of the last two turns, "whole run" that of all steps of
a run (above), with the last two turns going on to its end: OCNOpt measures curvature more often in
the beginning. Seconds to the target are the median steps at that pace; for the adjoint
they are the evaluations of the field to the target at its pace per evaluation. "state" is
the memory of the optimizer per parameter, in numbers of four bytes."""

MEMORY = f"""\
By how many MiB the process of `digits` grows in its first two steps, with batches of {BATCH}:
with the graph of the solver's steps, and by backward equations. Both steps of OCNOpt measure
curvature. A process for each, by its largest resident size; tens of MiB are the allocator's."""

LOSSES = """\
- A step of OCNOpt that measures curvature costs 1.5 (flows) to 2.4 of Adam's, one that does not
  1.02 to 1.09, most where networks are small. Over the short runs on series, steps are in the mean
  a fifth to a quarter dearer than Adam's.
- It keeps 9 to 19 numbers per parameter, Adam two.
- On flows, curvature is the empirical Fisher matrix and the loss is not bounded below: single steps
  overshoot in the first tens of steps before the loss falls.
- On BasicMotions, forty series, of twenty further seeds one never arrives in 60 steps (four without
  the bound on what one batch may add): a single series can have hundreds of times the curvature of
  all others, and an overshoot stays in the average of the gradients for ten steps. No optimizer's
  network generalises there: the interpolated paths lose what tells the activities apart."""


def write_report(
    results: Path, timings: Path, memory: Path, folder: Path, horizons: Path = HORIZON_RESULTS
) -> None:
    """Write `ode.md` and its pictures."""
    figures = Figures.load(results, timings)
    folder.mkdir(parents=True, exist_ok=True)
    draw(figures, folder / "ode_curves.png")
    times = read_horizons(horizons)
    if times:
        draw_horizons(times, folder / "ode_horizon.png")
    text = lines(figures, read_memory(memory), times)
    (folder / "ode.md").write_text("\n".join(text) + "\n")


def lines(
    figures: Figures,
    memory: Mapping[tuple[str, str, str, int], float],
    times: Sequence[TimeRun] = (),
) -> list[str]:
    """Write the report's lines."""
    found = ["# Continuous time", "", HOW, ""]
    found += ["```text", "python -m benchmarks.ode run"]
    found += ["python -m benchmarks.ode run --optimizers adam --solver adjoint_dopri5"]
    found += [f"python -m benchmarks.ode {what}" for what in ("time", "memory", "report")]
    found += ["```", ""]
    found += ["## Steps to the target", "", *_steps(figures), ""]
    found += ["![Training loss by steps](ode_curves.png)", ""]
    found += ["## Processor time and memory", "", COST, "", *_cost(figures), ""]
    found += ["## Memory of a step", "", MEMORY, "", *_memory(memory), ""]
    found += ["## Evaluations of the field to the target", "", *_evaluations(figures), ""]
    found += ["## Test samples at the end of the runs", "", *_tests(figures), ""]
    found += horizon_lines(times)
    found += ["## Where it loses", "", LOSSES]
    return found


def _steps(figures: Figures) -> list[str]:
    head = [
        "task",
        "target loss",
        "OCNOpt",
        "Adam (rate)",
        "SGD (rate)",
        "/ Adam",
        "/ better of both",
    ]
    rows, against = [], []
    for name, task in TASKS.items():
        ours, adam, sgd = (median(figures.steps(name, o)) for o in ("ocnopt", "adam", "sgd"))
        pair = ratio(ours, adam), ratio(ours, min(adam, sgd))
        against.append(pair)
        cells = [task.title, f"{task.target:g}", _each(figures, name, "ocnopt")]
        cells += [f"{_each(figures, name, o)} ({_rate(figures, name, o)})" for o in ("adam", "sgd")]
        rows.append([*cells, *(_number(value) for value in pair)])
    medians = [f"**{_number(median([p[k] for p in against]))}**" for k in range(2)]
    rows.append(["**median**", "", "", "", "", *medians])
    return _table(head, rows)


def _cost(figures: Figures) -> list[str]:
    head = ["task", "step / Adam's", "late step", "whole run"]
    head += ["seconds: OCNOpt", "Adam", "SGD", "Adam, adjoint"]
    head += ["OCNOpt / Adam", "OCNOpt / adjoint", "state: OCNOpt, Adam, SGD"]
    rows, against = [], []
    for name, task in TASKS.items():
        seconds = [figures.seconds(name, c) for c in ("ocnopt", "adam", "sgd", "adam_adjoint")]
        found = (
            figures.pace(name, "ocnopt"),
            figures.late_pace(name, "ocnopt"),
            figures.run_pace(name, "ocnopt"),
            ratio(seconds[0], seconds[1]),
            ratio(seconds[0], seconds[3]),
        )
        against.append(found)
        cells = [task.title, *(_number(value) for value in found[:3])]
        cells += [_number(value) for value in seconds]
        cells += [*(_number(value) for value in found[3:]), _state(figures, name)]
        rows.append(cells)
    medians = [f"**{_number(median([f[k] for f in against]))}**" for k in range(5)]
    rows.append(["**median**", *medians[:3], "", "", "", "", *medians[3:], ""])
    return _table(head, rows)


def _memory(memory: Mapping[tuple[str, str, str, int], float]) -> list[str]:
    names = {"rk4": "graph kept", "adjoint_rk4": "backward equations"}
    pairs = [(o, s) for o in OPTIMIZERS for s in SOLVERS]
    head = ["solver's steps", *(f"{LABELS[o]}, {names[s]}" for o, s in pairs)]
    rows = [
        [
            str(steps),
            *(_number(memory.get(("digits", o, s, steps), math.nan), ".0f") for o, s in pairs),
        ]
        for steps in STEPS
    ]
    return _table(head, rows)


def _evaluations(figures: Figures) -> list[str]:
    contenders = (("ocnopt", "rk4"), ("adam", "rk4"), ("sgd", "rk4"), ("adam", "adjoint_dopri5"))
    rows = [
        [
            task.title,
            *(_number(median(figures.evaluations(name, o, s)), ".0f") for o, s in contenders),
        ]
        for name, task in TASKS.items()
    ]
    return _table(["task", "OCNOpt", "Adam", "SGD", "Adam, adjoint"], rows)


def _tests(figures: Figures) -> list[str]:
    rows = []
    for name, task in TASKS.items():
        cells = [task.title]
        for optimizer in ("ocnopt", "adam", "sgd"):
            runs = figures.of(name, optimizer)
            accuracy = median([run.test_accuracy for run in runs])
            loss = _number(median([run.test_loss for run in runs]), ".3f")
            shown = "" if math.isnan(accuracy) else f"{100 * accuracy:.1f} %, "
            cells.append(f"{shown}{loss}")
        rows.append(cells)
    return _table(["accuracy, loss", "OCNOpt", "Adam", "SGD"], rows)


def _each(figures: Figures, task: str, optimizer: str) -> str:
    steps = figures.steps(task, optimizer)
    every = ", ".join(_number(value, ".0f") for value in sorted(steps))
    return f"{_number(median(steps), '.0f')} [{every}]"


def _rate(figures: Figures, task: str, optimizer: str) -> str:
    runs = figures.of(task, optimizer)
    return f"{runs[0].cell.lr:g}" if runs else "–"


def _state(figures: Figures, task: str) -> str:
    found = []
    for optimizer in ("ocnopt", "adam", "sgd"):
        runs = figures.of(task, optimizer)
        found.append(f"{runs[0].state_bytes / runs[0].parameters / 4:.1f}" if runs else "–")
    return ", ".join(found)


def _number(value: float, form: str = ".2f") -> str:
    return "–" if math.isnan(value) else "never" if math.isinf(value) else f"{value:{form}}"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    made = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return made + ["| " + " | ".join(row) + " |" for row in rows]


def draw(figures: Figures, path: Path) -> None:
    """Draw the training loss by steps, a line per seed."""
    figure = Figure(figsize=(11, 6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, task) in zip(figure.subplots(2, 3).flat, TASKS.items(), strict=False):
        for optimizer in ("sgd", "adam", "ocnopt"):
            for number, run in enumerate(figures.of(name, optimizer)):
                axes.plot(
                    [point[0] for point in run.curve],
                    [point[1] for point in run.curve],
                    color=COLOURS[optimizer],
                    label=LABELS[optimizer] if number == 0 else None,
                    linewidth=1.0,
                )
        axes.axhline(task.target, color="#888888", linewidth=0.8, linestyle=":")
        axes.set_title(task.title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        if task.target < 1:
            axes.set_yscale("log")
            axes.set_ylim(task.target / 30, 3)
        else:
            axes.set_ylim(top=3.6)
    if figure.axes[0].lines[1:]:
        figure.axes[0].legend(frameon=False)
    figure.supxlabel("steps")
    figure.supylabel("training loss")
    figure.savefig(path)
