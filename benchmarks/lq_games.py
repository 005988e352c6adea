"""Linear-quadratic games: solves per second, and how good the equilibria are.

    .venv/bin/pip install -e ".[bench]"
    .venv/bin/python benchmarks/lq_games.py

It takes about four minutes on one core and writes `lq_games.md` and `lq_games.png` into
`docs/benchmarks/`. Contenders of a table solve the same games, take turns in one process on one
thread, and are timed in processor seconds. Peers that are not installed are left out, with a line
that says so.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.progress import track
from torch import Tensor

import ocngame as og
from ocngame.bellman import AffinePolicy
from ocngame.equilibria import Candidate, deviation_gain, residuals
from ocngame.games import InformationStructure
from ocngame.solvers.lq import StationaryRule, solve_stationary

STATES, CONTROLS, STAGES = 12, 2, 100
"""State size, control size of each player, horizon."""
JUDGED = 8  # games of a batch whose equilibria are judged
TYPES = (torch.float32, torch.float64)
COLOURS = {"feedback": "#4477aa", "open_loop": "#ee6677"}

Array = NDArray[Any]


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        batches: Sizes of the batches.
        repeats: Number of turns of every contender.
        out: Folder of the report.
    """

    batches: tuple[int, ...] = (1, 64, 1024)
    repeats: int = 7
    out: Path = Path("docs/benchmarks")


@dataclass
class Contender:
    """Something that solves games, and what became of it.

    Attributes:
        name: Name in the table.
        games: Number of games that a call solves.
        solve: Solves them.
        judge: Gives the relative residual and deviation gain of what `solve` gave back.
        device: Where it computes.
        seconds: Time of each turn.
        quality: What `judge` said.
    """

    name: str
    games: int
    solve: Callable[[], Any]
    judge: Callable[[Any], tuple[float, float]]
    device: str = "cpu"
    seconds: list[float] = field(default_factory=list)
    quality: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def rate(self) -> float:
        """Median number of solves per second."""
        return self.games / statistics.median(self.seconds)


def main(settings: Settings) -> None:
    settings.out.mkdir(parents=True, exist_ok=True)
    finite = finite_horizon(settings)
    repeated = repeated_stage(settings.repeats)
    stationary = infinite_horizon(settings.repeats)
    draw(finite, [*repeated, *stationary], settings.out / "lq_games.png")
    parts = [head(settings.repeats)]
    parts += ["## Finite horizon, stages that change", "", FINITE, "", *table(finite), ""]
    parts += [batched(finite), ""]
    parts += ["![Solves per second, and deviation gains](lq_games.png)", ""]
    parts += ["Gains below 1e-20 are drawn there; the larger a mark, the more games at once.", ""]
    parts += ["## Finite horizon, one stage repeated", "", REPEATED, "", *table(repeated), ""]
    parts += [versus(repeated), ""]
    parts += ["## Infinite horizon", "", STATIONARY, "", *table(stationary), ""]
    parts += [versus(stationary), ""]
    (settings.out / "lq_games.md").write_text("\n".join(parts))
    print("\n".join(parts))


FINITE = f"""\
Three players with {CONTROLS} controls each, {STATES} states, {STAGES} stages, every matrix random
at every stage. NumPy is the plain coupled Riccati recursion in loops over stages and players,
without linear terms, certificates or gradients; it solves one game at a time."""

REPEATED = f"""\
Two players with {CONTROLS} controls each, {STATES} states, {STAGES} stages of the same matrices,
feedback information. PyDiffGame is its discrete-time class, with matrices given in discrete time.
It sets the terminal costs itself, to the players' single-player Riccati solutions; all contenders
solve that game. Its construction, in which it finds those solutions, is not counted."""

STATIONARY = """\
The same players and matrices without an end, feedback information. QuantEcon is `nnash`,
PyDiffGame its discrete-time class. Each stops at its own default tolerance (1.8e-12 in the Riccati
equations' residual, and below it as long as every stage halves that; changes of 1e-8 in the
policies; changes of 1e-7 in the norm of the values) unless the row names one. PyDiffGame starts
from the single-player solutions, found before. It stops after 100 stages in any case, without a
word, unless its `max_P_iterations` is set, as it is for the row with a tolerance. Policies are
judged over 200 stages, with the cost of playing them for ever after that. Ours are measured before
the others are imported: with QuantEcon in the process our batches take ten times as long."""


def head(repeats: int) -> str:
    gpu = "A GPU is in the table." if torch.cuda.is_available() else "There was no GPU."
    return f"""\
# Linear-quadratic games

Written by `benchmarks/lq_games.py` with torch {torch.__version__} and numpy {np.__version__} on
one thread of {processor()} (load average {os.getloadavg()[0]:.1f}). {gpu} A rate is the median of
{repeats} turns, the best in brackets, in processor seconds; making an `LQGame` is not counted.
"Residual" is the largest relative residual of a player's own first-order condition, "gain" the most
that a player can gain by deviating alone, relative to its cost (in feedback play from any state
near the path); both are the worst of {JUDGED} games, computed in float64 by `ocngame.equilibria`
from the policies alone.
"""


def processor() -> str:
    """Name the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def race(contenders: Sequence[Contender], repeats: int, title: str) -> None:
    """Let contenders take turns, after one call each to warm up, whose result is judged."""
    for contender in contenders:
        contender.quality = contender.judge(contender.solve())
    for _ in track(range(repeats), title):
        for contender in contenders:
            contender.seconds.append(timed(contender))


def timed(contender: Contender) -> float:
    if contender.device == "cpu":
        start = time.process_time()
        contender.solve()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    contender.solve()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def table(contenders: Sequence[Contender]) -> list[str]:
    return [
        "| solver | games at once | ms a call | solves/s (best) | residual | gain |",
        "|---|---|---|---|---|---|",
        *(
            f"| {c.name} | {c.games} | {digits(1e3 * statistics.median(c.seconds))} "
            f"| {digits(c.rate)} ({digits(c.games / min(c.seconds))}) "
            f"| {c.quality[0]:.1e} | {c.quality[1]:.1e} |"
            for c in contenders
        ),
    ]


def digits(number: float) -> str:
    """Write a number with three significant digits and no exponent."""
    return f"{float(f'{number:.3g}'):g}"


def versus(contenders: Sequence[Contender]) -> str:
    """Say how our single solve and our largest batch compare with every peer."""
    ours = [c for c in contenders if c.name.startswith("ocngame")]
    sentences = []
    for peer in (c for c in contenders if not c.name.startswith("ocngame")):
        alone, batch = ours[0].rate / peer.rate, ours[-1].rate / peer.rate
        sentences.append(
            f"The rate of ocngame is {alone:.2g} times that of {peer.name} for one game at a time, "
            f"{batch:.2g} times for {ours[-1].games}."
        )
    sentences += [
        f"{label} was not measured: it is not installed."
        for label, module in PEERS.items()
        if find_spec(module) is None
    ]
    return " ".join(sentences)


def batched(contenders: Sequence[Contender]) -> str:
    """Say how our smallest and largest batch compare with the plain recursion."""
    sentences = []
    for peer in (c for c in contenders if c.name.startswith("NumPy")):
        name = peer.name.replace("NumPy", "ocngame")
        rates = {c.games: c.rate / peer.rate for c in contenders if c.name == name}
        few, most = min(rates), max(rates)
        sentences.append(
            f"{name}: {rates[few]:.2g} times the rate of NumPy with {few} at once, "
            f"{rates[most]:.2g} times with {most}."
        )
    return " ".join(sentences)


PEERS = {"QuantEcon": "quantecon", "PyDiffGame": "PyDiffGame"}


def finite_horizon(settings: Settings) -> list[Contender]:
    """Measure games whose stages change, single and batched."""
    found = []
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    for batch in settings.batches:
        for dtype in TYPES:
            contenders = []
            pieces = random_pieces(batch, dtype)
            slices = slices_of_players(3)
            for information in COLOURS:
                for device in devices:
                    game = og.LQGame(
                        control_slices=slices, **{k: v.to(device) for k, v in pieces.items()}
                    )
                    contenders.append(ours(game, information, dtype, batch, device))
                if batch == 1:
                    contenders.append(by_numpy(pieces, slices, information, dtype))
            race(contenders, settings.repeats, f"{batch} games, {kind(dtype)}")
            found += contenders
            for contender in contenders:  # the games of a large batch must not outlive their turn
                contender.solve = contender.judge = _gone
    order = ["feedback", "open_loop"]
    return sorted(found, key=lambda c: [i for i, name in enumerate(order) if name in c.name])


def _gone(*_: Any) -> Any:
    raise RuntimeError("this contender has had its turns")


def kind(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def slices_of_players(players: int) -> tuple[slice, ...]:
    return tuple(slice(i * CONTROLS, (i + 1) * CONTROLS) for i in range(players))


def random_pieces(batch: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Make the pieces of well-posed games of three players; a batch of one has no dimension."""
    generator = torch.Generator().manual_seed(batch)
    lead = () if batch == 1 else (batch,)
    m = 3 * CONTROLS

    def normal(*shape: int) -> Tensor:
        return torch.randn(*lead, *shape, generator=generator)

    def definite(size: int, *shape: int) -> Tensor:
        root = normal(*shape, size, size)
        square = root @ root.mT / size
        return 0.5 * (square + square.mT)

    pieces = {
        "A": torch.eye(STATES) + 0.1 * normal(STAGES, STATES, STATES) / STATES**0.5,
        "B": normal(STAGES, STATES, m) / STATES**0.5,
        "Q": definite(STATES, 3, STAGES + 1),
        "R": 0.2 * definite(m, 3, STAGES) + torch.eye(m),
    }
    return {name: piece.to(dtype) for name, piece in pieces.items()}


def ours(
    game: og.LQGame, information: str, dtype: torch.dtype, batch: int, device: str
) -> Contender:
    def judge(solution: Any) -> tuple[float, float]:
        few = slice(None) if batch == 1 else slice(0, JUDGED)
        cut = {
            name: getattr(game, name)[few].cpu().double() if batch > 1 else getattr(game, name)
            for name in ("A", "B", "Q", "R")
        }
        cut = {name: piece.cpu().double() for name, piece in cut.items()}
        whole = og.LQGame(control_slices=game.control_slices, **cut)
        K = solution.policies.feedback
        return quality(whole, (K[few] if batch > 1 else K).cpu().double(), information)

    where = "" if device == "cpu" else f" on {torch.cuda.get_device_name()}"
    return Contender(
        f"ocngame {information}, {kind(dtype)}{where}",
        batch,
        lambda: og.solve(game, information=information),
        judge,
        device,
    )


def quality(game: og.LQGame, feedback: Tensor, information: str) -> tuple[float, float]:
    """Judge policies from the state of ones."""
    play = Candidate(
        policies=AffinePolicy(feedforward=torch.zeros_like(feedback[..., 0]), feedback=feedback),
        x0=torch.ones(*game.batch_shape, game.state_size, dtype=torch.float64),
        information=InformationStructure(information),
    )
    gain = deviation_gain(game, play).subgame_relative
    return float(residuals(game, play).max()), float(gain.max())


def by_numpy(
    pieces: Mapping[str, Tensor], slices: Sequence[slice], information: str, dtype: torch.dtype
) -> Contender:
    A, B, Q, R = (pieces[name].numpy() for name in ("A", "B", "Q", "R"))
    recursion = numpy_feedback if information == "feedback" else numpy_open_loop
    game = og.LQGame(
        control_slices=tuple(slices), **{name: piece.double() for name, piece in pieces.items()}
    )
    return Contender(
        f"NumPy {information}, {kind(dtype)}",
        1,
        lambda: recursion(A, B, Q, R, slices),
        lambda K: quality(game, torch.from_numpy(K).double(), information),
    )


def numpy_feedback(A: Array, B: Array, Q: Array, R: Array, slices: Sequence[slice]) -> Array:
    """Solve coupled Riccati equations as the textbook writes them (Basar & Olsder, cor. 6.1)."""
    stages, _, m = B.shape
    P = [cost[-1] for cost in Q]
    K = np.empty((stages, m, A.shape[-1]), dtype=A.dtype)
    for t in reversed(range(stages)):
        S, Y = np.empty((m, m), dtype=A.dtype), np.empty((m, A.shape[-1]), dtype=A.dtype)
        for i, own in enumerate(slices):
            BP = B[t][:, own].T @ P[i]
            S[own] = R[i][t][own] + BP @ B[t]
            Y[own] = BP @ A[t]
        K[t] = -np.linalg.solve(S, Y)
        F = A[t] + B[t] @ K[t]
        P = [Q[i][t] + K[t].T @ R[i][t] @ K[t] + F.T @ P[i] @ F for i in range(len(slices))]
    return K


def numpy_open_loop(A: Array, B: Array, Q: Array, R: Array, slices: Sequence[slice]) -> Array:
    """Solve for the costates' matrices (Basar & Olsder, thm. 6.2)."""
    stages, _, m = B.shape
    L = [cost[-1] for cost in Q]
    K = np.empty((stages, m, A.shape[-1]), dtype=A.dtype)
    for t in reversed(range(stages)):
        S, Y = np.empty((m, m), dtype=A.dtype), np.empty((m, A.shape[-1]), dtype=A.dtype)
        for i, own in enumerate(slices):
            BL = B[t][:, own].T @ L[i]
            S[own] = R[i][t][own] + BL @ B[t]
            Y[own] = BL @ A[t]
        K[t] = -np.linalg.solve(S, Y)
        F = A[t] + B[t] @ K[t]
        L = [Q[i][t] + A[t].T @ L[i] @ F for i in range(len(slices))]
    return K


@dataclass(frozen=True)
class Repeated:
    """Matrices of a two-player game of which one stage repeats, a batch of them in front."""

    A: Array
    B: tuple[Array, Array]
    Q: tuple[Array, Array]
    R: tuple[Array, Array]

    @staticmethod
    def random(batch: int) -> "Repeated":
        draw = np.random.default_rng(0)

        def square() -> Array:
            root = draw.standard_normal((batch, STATES, STATES))
            return root @ root.transpose(0, 2, 1) / STATES

        A = 0.9 * np.eye(STATES) + 0.1 * draw.standard_normal((batch, STATES, STATES)) / STATES**0.5
        B = [draw.standard_normal((batch, STATES, CONTROLS)) / STATES**0.5 for _ in range(2)]
        R = np.tile(np.eye(CONTROLS), (batch, 1, 1))
        return Repeated(A, (B[0], B[1]), (square(), square()), (R, R))

    def of_one(self, game: int) -> "Repeated":
        only = slice(game, game + 1)
        B, Q, R = ((part[0][only], part[1][only]) for part in (self.B, self.Q, self.R))
        return Repeated(self.A[only], B, Q, R)

    def game(
        self, horizon: int, games: slice | int, terminal: Sequence[Array] | None = None
    ) -> og.LQGame:
        def of(pieces: Sequence[Array]) -> list[Tensor]:
            return [torch.from_numpy(np.ascontiguousarray(piece[games])) for piece in pieces]

        end = None if terminal is None else of(terminal)
        A = torch.from_numpy(self.A[games])
        return og.LQGame.time_invariant(
            A, of(self.B), of(self.Q), of(self.R), horizon=horizon, terminal=end
        )


def repeated_stage(repeats: int, batch: int = 64) -> list[Contender]:
    """Measure a finite horizon of one repeated stage, against PyDiffGame."""
    given = Repeated.random(batch)
    terminal = [single_player(given, i) for i in range(2)]
    one = given.game(STAGES, 0, terminal)
    many = given.game(STAGES, slice(None), terminal)

    def judge(K: Tensor) -> tuple[float, float]:
        return quality(one, K, "feedback")

    slices = one.control_slices
    A, B, Q, R = (getattr(one, name).numpy() for name in ("A", "B", "Q", "R"))
    contenders = [
        Contender(
            "ocngame, float64", 1, lambda: og.solve(one), lambda s: judge(s.policies.feedback)
        ),
        Contender(
            "ocngame, float64",
            batch,
            lambda: og.solve(many),
            lambda s: quality(
                given.game(STAGES, slice(0, JUDGED), terminal),
                s.policies.feedback[:JUDGED],
                "feedback",
            ),
        ),
        Contender(
            "NumPy",
            1,
            lambda: numpy_feedback(A, B, Q, R, slices),
            lambda K: judge(torch.from_numpy(K)),
        ),
    ]
    peer = pydiffgame(given, STAGES)
    if peer is not None:
        contenders.append(
            Contender(
                "PyDiffGame",
                1,
                lambda: peer.solve().K,
                lambda K: judge(torch.from_numpy(-np.stack([np.concatenate(k) for k in K]))),
            )
        )
    race(contenders, repeats, "one stage repeated")
    return contenders


def infinite_horizon(repeats: int, batch: int = 64) -> list[Contender]:
    """Measure stationary policies, against QuantEcon and PyDiffGame."""
    given = Repeated.random(batch)
    one, many = given.game(1, 0), given.game(1, slice(None))

    def judge(K: Tensor) -> tuple[float, float]:
        return judge_stationary(given, 0, K)

    def judge_few(solution: Any) -> tuple[float, float]:
        found = [judge_stationary(given, g, solution.feedback[g]) for g in range(JUDGED)]
        return max(r for r, _ in found), max(g for _, g in found)

    loose = StationaryRule(tolerance=1e-8)
    contenders = [
        Contender(
            "ocngame, float64", 1, lambda: solve_stationary(one), lambda s: judge(s.feedback)
        ),
        Contender(
            "ocngame, float64, tolerance 1e-8",
            1,
            lambda: solve_stationary(one, rule=loose),
            lambda s: judge(s.feedback),
        ),
        Contender("ocngame, float64", batch, lambda: solve_stationary(many), judge_few),
        Contender(
            "ocngame, float64, tolerance 1e-8",
            batch,
            lambda: solve_stationary(many, rule=loose),
            judge_few,
        ),
    ]
    # Before any peer is imported: with QuantEcon in the process our batches take ten times as long.
    race(contenders, repeats, "infinite horizon, ocngame")
    peers: list[Contender] = []
    if find_spec("quantecon") is not None:
        nnash = import_module("quantecon").nnash
        A, B, Q, R = given.A[0], [b[0] for b in given.B], [q[0] for q in given.Q], np.eye(CONTROLS)
        no, none = np.zeros((CONTROLS, CONTROLS)), np.zeros((STATES, CONTROLS))
        peers.append(
            Contender(
                "QuantEcon",
                1,
                lambda: nnash(A, *B, *Q, R, R, no, no, none, none, no, no),
                lambda found: judge(torch.from_numpy(-np.concatenate(found[:2]))),
            )
        )
    for most, suffix in ((None, ""), (10_000, ", tolerance 1e-13")):
        peer = pydiffgame(given, None, most)
        if peer is not None:
            peers.append(
                Contender(
                    f"PyDiffGame{suffix}",
                    1,
                    lambda peer=peer: peer.solve().K,
                    lambda K: judge(torch.from_numpy(-np.concatenate(K))),
                )
            )
    race(peers, repeats, "infinite horizon, others")
    return [*contenders, *peers]


def judge_stationary(given: Repeated, game: int, K: Tensor) -> tuple[float, float]:
    """Judge a stationary policy over a long horizon, with its own cost from there on."""
    k = K.numpy()
    F = given.A[game] + np.concatenate([b[game] for b in given.B], axis=-1) @ k
    values = []
    for i in range(2):
        own = k[i * CONTROLS : (i + 1) * CONTROLS]
        V, power = given.Q[i][game] + own.T @ given.R[i][game] @ own, F
        for _ in range(50):  # after j doublings V is the cost of 2^j stages
            V, power = V + power.T @ V @ power, power @ power
        values.append(0.5 * (V + V.T)[None])
    return quality(given.of_one(game).game(200, 0, values), K.expand(200, *K.shape), "feedback")


def single_player(given: Repeated, player: int) -> Array:
    """Give the Riccati solutions of a player whom nobody disturbs."""
    pieces = (given.A, given.B[player], given.Q[player], given.R[player])
    A, B, Q, R = (torch.from_numpy(piece) for piece in pieces)
    alone = og.LQGame.time_invariant(A, [B], [Q], [R], horizon=1)
    return solve_stationary(alone, rule=StationaryRule(tolerance=1e-12)).v_xx[:, 0].numpy()


def pydiffgame(given: Repeated, stages: int | None, most: int | None = None) -> Any:
    """Make PyDiffGame's solver of the first game; None where it is not installed.

    With `most` it iterates that often at most, to a change of 1e-13; its own limits otherwise.
    """
    if find_spec("PyDiffGame") is None:
        return None
    package = import_module("PyDiffGame")
    solver = package.DiscretePyDiffGame(
        given.A[0],
        [package.Objective(given.Q[i][0], given.R[i][0]) for i in range(2)],
        Bs=[b[0] for b in given.B],
        is_input_discrete=True,
        T_f=None if stages is None else float(stages),
        L=stages or 1,
        **({} if most is None else {"epsilon_P": 1e-13}),
    )
    if most is not None:
        solver.max_P_iterations = most
    return solver


def draw(finite: Sequence[Contender], peers: Sequence[Contender], path: Path) -> None:
    figure = Figure(figsize=(9.5, 3.8), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for information, colour in COLOURS.items():
        for dtype, style in zip(TYPES, ("-", "--"), strict=True):
            ending = f"{information}, {kind(dtype)}"
            own = [c for c in finite if c.name == f"ocngame {ending}"]
            (theirs,) = [c for c in finite if c.name == f"NumPy {ending}"]
            batches = [c.games for c in own]
            left.plot(batches, [c.rate for c in own], style, color=colour, marker=".", label=ending)
            left.plot(batches, [theirs.rate] * len(own), style, color=colour, alpha=0.4, lw=1)
    left.set(xscale="log", yscale="log", xlabel="games at once", ylabel="solves per second")
    left.legend(frameon=False, fontsize=8, title="ocngame (pale: NumPy)", title_fontsize=8)
    marks = {"ocngame": "o", "NumPy": "s", "QuantEcon": "^", "PyDiffGame": "D"}
    for contender in [*finite, *peers]:
        colour = COLOURS["open_loop" if "open_loop" in contender.name else "feedback"]
        solver = contender.name.split()[0].rstrip(",")
        right.scatter(
            contender.rate,
            max(contender.quality[1], 1e-20),
            marker=marks[solver],
            s=12 + 10 * np.log10(contender.games),
            facecolor="none" if "float32" in contender.name else colour,
            edgecolor=colour,
        )
    for solver, mark in marks.items():
        right.scatter([], [], marker=mark, color="#555555", label=solver)
    right.set(xscale="log", yscale="log", xlabel="solves per second", ylabel="deviation gain")
    right.legend(frameon=False, fontsize=8, title="hollow: float32", title_fontsize=8)
    for axes in (left, right):
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tyro.cli(Settings, description=__doc__))
