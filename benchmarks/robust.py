"""Robust classifiers: what ways to train make of one network in the same processor time.

Every method trains the same ReLU network on the same batches for the same processor seconds. Inputs
are in [0, 1]. Robust accuracy is the share of test samples that withstand PGD with 50 steps from 10
starts and, on what that leaves, AutoAttack, both of torchattacks where it is installed. Four checks
say whether gradients can be trusted: fewer steps must not be stronger, a larger ball not weaker,
perturbations made for the other networks and random far points not stronger. Each line is kept in a
file, and what the file has already is not run again. "averaged" is the usual method with the weight
averaging that ours has. Run, for one ball:
`python benchmarks/robust.py --data digits --radius 0.1 --seconds 5 --seeds 3`; the table of all
lines of a file: `python benchmarks/robust.py --table`, with a picture: `--picture FILE`.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import Tensor, nn

from ocngame.games import PerturbationBall
from ocngame.solvers.players import RobustConfig, RobustOpt
from ocngame.solvers.players.baselines import FastTraining, ProjectedTraining, TradesTraining
from ocngame.training.datasets import load_data
from ocngame.training.networks import build_network
from ocngame.training.robustness import (
    Attack,
    accuracy,
    auto_attack,
    has_torchattacks,
    randomly_perturbed_accuracy,
    robust_accuracy,
    robustness_curve,
    transferred_accuracy,
    withstanding,
)

MULTIPLES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is measured.

    Attributes:
        data: digits or mnist5k.
        seconds: Processor seconds of each training.
        norm: Norm of the ball.
        radius: Radius of the ball.
        seeds: Number of seeds.
        first_seed: The first of them; settings were chosen on seed 100.
        batch_size: Samples per step.
        lr: Step size of ours and of TRADES.
        lr_ascent: Step size of PGD training and FGSM.
        width: Units of the two hidden layers.
        samples: Test samples that are attacked.
        auto: Whether AutoAttack measures as well.
        only: Methods to measure; the first five if empty.
        out: File that lines are kept in.
        table: Print the table of the file and stop.
        picture: File for a picture of the curves of the file.
    """

    data: str = "digits"
    seconds: float = 5.0
    norm: Literal["linf", "l2"] = "linf"
    radius: float = 0.1
    seeds: int = 3
    first_seed: int = 0
    batch_size: int = 128
    lr: float = 3e-3
    lr_ascent: float = 3e-3
    width: int = 128
    samples: int = 200
    auto: bool = True
    only: tuple[str, ...] = ()
    out: Path = Path("robust.jsonl")
    table: bool = False
    picture: Path | None = None


def _ours(**settings) -> Callable:
    def make(model: nn.Module, x: Tensor, ball: PerturbationBall, s: Settings):
        return RobustOpt(model, x, config=RobustConfig(ball=ball, lr=s.lr, **settings))

    return make


def _usual(kind: Callable, rate: str, **settings) -> Callable:
    return lambda model, x, ball, s: kind(model, x, ball=ball, lr=getattr(s, rate), **settings)


METHODS: dict[str, Callable] = {
    "RobustOpt": _ours(stages=2),
    "TRADES-7": _usual(TradesTraining, "lr"),
    "TRADES-7, averaged": _usual(TradesTraining, "lr", memory=0.995),
    "PGD-7": _usual(ProjectedTraining, "lr_ascent"),
    "FGSM, random start": _usual(FastTraining, "lr_ascent"),
    "PGD-7, averaged": _usual(ProjectedTraining, "lr_ascent", memory=0.995),
    "RobustOpt, curvature": _ours(stages=1, inner=2),
    "RobustOpt, weight 3": _ours(stages=2, weight=3.0),
}
USUAL = tuple(METHODS)[:5]


def train(method: str, seed: int, s: Settings, ball: PerturbationBall) -> tuple[nn.Module, Any]:
    data = load_data(s.data, scaling="none", test_fraction=0.2, seed=seed)
    top = float(data.x_train.max())
    x, y = data.x_train / top, data.y_train
    model = build_network(
        "mlp",
        features=x.shape[1],
        classes=data.classes,
        width=s.width,
        depth=2,
        activation="relu",
        seed=seed,
    )
    training = METHODS[method](model, x, ball, s)
    noise = torch.Generator().manual_seed(seed)
    steps, used = 0, 0.0
    while used < s.seconds:
        rows = torch.randint(len(x), (s.batch_size,), generator=noise)
        before = time.process_time()
        training.step(rows, y[rows])
        used += time.process_time() - before
        steps += 1
    training.average(model)
    return model, {
        "steps": steps,
        "test": (data.x_test / top, data.y_test),
        "classes": data.classes,
    }


def examine(
    models: dict[str, nn.Module], name: str, told: Any, s: Settings, ball: PerturbationBall
) -> dict[str, Any]:
    model, (whole, classes) = models[name], told["test"]
    x, y = whole[: s.samples], classes[: s.samples]
    library = "torchattacks" if has_torchattacks() else "ours"
    strong, weak = Attack(library=library), Attack(steps=10, restarts=1, library=library)
    left = withstanding(model, x, y, ball=ball, attack=strong)
    robust = float(left.float().mean())
    auto = float("nan")
    if s.auto and has_torchattacks():
        share = 0.0
        if left.any():
            share = auto_attack(model, x[left], y[left], ball=ball, classes=told["classes"])
        auto = robust * share
    ours = Attack(steps=20, restarts=1)
    others = [other for key, other in models.items() if key != name]
    return {
        "steps": told["steps"],
        "clean": accuracy(model, whole, classes),
        "weak": robust_accuracy(model, x, y, ball=ball, attack=weak),
        "robust": robust,
        "auto": auto,
        "curve": robustness_curve(model, x, y, ball=ball, multiples=MULTIPLES, attack=ours),
        "transferred": min(
            transferred_accuracy(model, other, x, y, ball=ball, attack=ours) for other in others
        )
        if others
        else float("nan"),
        "random": randomly_perturbed_accuracy(model, x, y, ball=ball),
    }


def masked(line: dict[str, Any]) -> list[str]:
    """Name the checks that fail by more than two samples in a hundred."""
    found = []
    if line["weak"] < line["robust"] - 0.02:
        found.append("fewer steps are stronger")
    if any(later > earlier + 0.02 for earlier, later in pairwise(line["curve"])):
        found.append("a larger ball is weaker")
    found += [
        f"{k} is stronger" for k in ("transferred", "random") if line[k] < line["robust"] - 0.02
    ]
    return found


def read(path: Path) -> list[dict[str, Any]]:
    """Read the lines of a file, by data, norm and radius."""
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return sorted(lines, key=lambda r: (r["data"], r["norm"] != "linf", r["radius"]))


def show(lines: list[dict[str, Any]]) -> None:
    for ball in dict.fromkeys((r["data"], r["norm"], r["radius"]) for r in lines):
        group = [r for r in lines if (r["data"], r["norm"], r["radius"]) == ball]
        print(f"\n{ball[0]}, {ball[1]} {ball[2]:g}, {group[0]['seconds']:g} s\n")
        print(
            "| training | steps | clean % | PGD-50 x 10 % | and AutoAttack % | each seed | masked |"
        )
        print("|---|---|---|---|---|---|---|")
        for name in dict.fromkeys(r["method"] for r in group):
            own = [r for r in group if r["method"] == name]
            means = [100 * sum(r[k] for r in own) / len(own) for k in ("clean", "robust", "auto")]
            each = " ".join(f"{100 * r['auto']:.1f}" for r in own)
            hints = sorted({hint for r in own for hint in masked(r)})
            cells = [name, str(round(sum(r["steps"] for r in own) / len(own)))]
            cells += [f"{mean:.1f}" for mean in means]
            print(f"| {' | '.join([*cells, each, '; '.join(hints) or 'no'])} |")


def draw(lines: list[dict[str, Any]], path: Path) -> None:
    import matplotlib.pyplot as plt

    balls = list(dict.fromkeys((r["data"], r["norm"], r["radius"]) for r in lines))
    names = list(dict.fromkeys(r["method"] for r in lines))
    rows = list(dict.fromkeys(data for data, _, _ in balls))
    columns = max(sum(ball[0] == row for ball in balls) for row in rows)
    size = (3.1 * columns, 2.7 * len(rows) + 0.4)
    figure, axes = plt.subplots(len(rows), columns, figsize=size, sharey=True, squeeze=False)
    for r, row in enumerate(rows):
        for c, (data, norm, radius) in enumerate(ball for ball in balls if ball[0] == row):
            panel = axes[r][c]
            for name in names:
                own = [
                    line["curve"]
                    for line in lines
                    if (line["data"], line["norm"], line["radius"]) == (data, norm, radius)
                    and line["method"] == name
                ]
                if own:
                    mean = 100 * torch.tensor(own).mean(0)
                    style = {"lw": 2.2} if name == "RobustOpt" else {"lw": 1.2}
                    radii = [m * radius for m in MULTIPLES]
                    panel.plot(radii, mean, marker=".", label=name, **style)
            panel.axvline(radius, color="#999999", lw=0.8, ls=":")
            panel.set_title(f"{data}, {norm} {radius:g}", fontsize=9)
            panel.set_ylim(0, 102)
            panel.grid(color="#dddddd", lw=0.5)
        axes[r][0].set_ylabel("accuracy under 20 ascents, %", fontsize=8)
    for panel in axes[-1]:
        panel.set_xlabel("radius of the attack", fontsize=8)
    for panel in axes.flat:
        panel.set_visible(panel.has_data())
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, ncols=len(labels), loc="upper center", frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path, dpi=110)


def main(s: Settings) -> None:
    torch.set_num_threads(1)
    if s.picture is not None:
        draw(read(s.out), s.picture)
    if s.table:
        show(read(s.out))
    if s.table or s.picture is not None:
        return
    ball = PerturbationBall(radius=s.radius, norm=s.norm, low=0.0, high=1.0)
    rates = {"lr": s.lr, "lr_ascent": s.lr_ascent, "first_seed": s.first_seed}
    key = {k: getattr(s, k) for k in ("data", "norm", "radius", "seconds")} | rates
    for seed in range(s.first_seed, s.first_seed + s.seeds):
        done = {
            r["method"] for r in read(s.out) if {k: r[k] for k in key} == key and r["seed"] == seed
        }
        names = s.only or USUAL
        if done.issuperset(names):
            continue
        trained = {name: train(name, seed, s, ball) for name in names}
        models = {name: model for name, (model, _) in trained.items()}
        for name in names:
            line = examine(models, name, trained[name][1], s, ball)
            told = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(s).items()}
            row = told | {"method": name, "seed": seed} | line
            with s.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(
                f"{s.data} {s.norm} {s.radius:g} seed {seed} {name}: "
                f"clean {100 * line['clean']:.1f}, PGD {100 * line['robust']:.1f}, "
                f"AutoAttack {100 * line['auto']:.1f} "
                f"{'; '.join(masked(line))}",
                flush=True,
            )


if __name__ == "__main__":
    main(tyro.cli(Settings))
