"""Settings of the continuous-time job; importing them does not import torch."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ocngame._checks import in_range, integer, non_negative, one_of, positive
from ocngame.errors import InvalidInputError
from ocngame.training.config import AdamSettings, OCNOptSettings, Optimizer, SGDSettings
from ocngame.training.ode.times_config import TimesSettings

__all__ = ["PROBLEMS", "WEIGHT_DECAY", "ODEConfig", "Usual", "ode_config_from_dict"]

WEIGHT_DECAY = 3e-3
"""Weight decay of OCNOpt: constant, as the learning rate is here."""

Solver = Literal["euler", "midpoint", "rk4", "adjoint_rk4", "adjoint_dopri5"]
EVEN_STEPS = ("euler", "midpoint", "rk4", "adjoint_rk4")


@dataclass(frozen=True, kw_only=True)
class Usual:
    """What a problem takes where a setting is not given.

    Attributes:
        solver_steps: Steps of the solver.
        target_loss: Training loss whose first step is reported.
        longest: Greatest time that makes sense.
        density: Whether it is a density.
    """

    solver_steps: int
    target_loss: float
    longest: float = 1.0
    density: bool = False


PROBLEMS = {
    "japanese_vowels": Usual(solver_steps=8, target_loss=0.05),
    "basic_motions": Usual(solver_steps=8, target_loss=0.1),
    "oscillations": Usual(solver_steps=8, target_loss=0.03),
    "digits": Usual(solver_steps=4, target_loss=0.1, longest=math.inf),
    "circles": Usual(solver_steps=8, target_loss=2.8, density=True),
    "moons": Usual(solver_steps=8, target_loss=2.6, density=True),
    "gaussians8": Usual(solver_steps=8, target_loss=2.8, density=True),
}


@dataclass(frozen=True, kw_only=True)
class ODEConfig:
    """Train a network with a differential equation inside, with OCNOpt next to Adam and SGD.

    Attributes:
        problem: japanese_vowels and basic_motions: series at irregular times to classify;
            oscillations: such series to regress on; digits: images to classify; circles, moons,
            gaussians8: densities in the plane, by a continuous normalizing flow.
        optimizers: Who trains: each starts from the same weights and sees the same batches.
        ocnopt: Settings of OCNOpt.
        adam: Settings of Adam.
        sgd: Settings of SGD.
        solver: Rule of the even steps that are differentiated as they are; adjoint_rk4: such steps
            with backward equations, in memory that does not grow with them; adjoint_dopri5:
            adaptive steps of torchdiffeq and its adjoint equation.
        solver_steps: Number of even steps; the problem's own if not given.
        times: The integration time, if it is trained as well.
        tolerance: Relative and absolute tolerance of adaptive steps.
        width: Width of the field's hidden layers, for digits its channels; the problem's own if not
            given.
        keep: Part of the observations of a series that are kept.
        knots: Even knots of the path through a series.
        kinetic: Weight of the running cost of a flow's speed.
        jacobian: Weight of the running cost of a flow's Jacobian.
        steps: Steps of every optimizer.
        batch_size: Samples per step, or all if there are fewer.
        seed: Seed of the data, the first weights and the batches.
        target_loss: Training loss whose first step is reported; the problem's own if not given.
        evaluate_every: Steps between measurements on all training and test samples.
        checkpoint_every: Steps between checkpoints.
        threads: Threads of torch; results are bitwise repeatable for the same number.
    """

    problem: str = "japanese_vowels"
    optimizers: tuple[Optimizer, ...] = ("ocnopt", "adam", "sgd")
    ocnopt: OCNOptSettings = field(
        default_factory=lambda: OCNOptSettings(weight_decay=WEIGHT_DECAY)
    )
    adam: AdamSettings = field(default_factory=lambda: AdamSettings(lr=0.01))
    sgd: SGDSettings = field(default_factory=lambda: SGDSettings(lr=0.03))
    solver: Solver = "rk4"
    solver_steps: int | None = None
    times: TimesSettings = field(default_factory=TimesSettings)
    tolerance: float = 1e-3
    width: int | None = None
    keep: float = 0.7
    knots: int = 17
    kinetic: float = 0.0
    jacobian: float = 0.0
    steps: int = 100
    batch_size: int = 128
    seed: int = 0
    target_loss: float | None = None
    evaluate_every: int = 1
    checkpoint_every: int = 50
    threads: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        one_of("problem", self.problem, PROBLEMS)
        one_of("solver", self.solver, get_args(Solver))
        object.__setattr__(self, "optimizers", tuple(self.optimizers))
        for name in self.optimizers:
            one_of("optimizers", name, get_args(Optimizer))
        if not self.optimizers or len(set(self.optimizers)) < len(self.optimizers):
            raise InvalidInputError(
                f"optimizers: expected at least one, each once, got {list(self.optimizers)}"
            )
        positive("tolerance", self.tolerance)
        in_range("keep", self.keep, low=0.0, high=1.0, low_open=True)
        non_negative("kinetic", self.kinetic)
        non_negative("jacobian", self.jacobian)
        integer("knots", self.knots, low=2)
        integer("seed", self.seed, low=0)
        for name in ("solver_steps", "width"):
            if getattr(self, name) is not None:
                integer(name, getattr(self, name), low=1)
        for name in ("steps", "batch_size", "evaluate_every", "checkpoint_every", "threads"):
            integer(name, getattr(self, name), low=1)
        if self.times.rule != "fixed":
            self._check_times()

    def _check_times(self) -> None:
        usual, rule = PROBLEMS[self.problem], self.times.rule
        if self.solver not in EVEN_STEPS:
            raise InvalidInputError(
                f"times.rule: expected fixed with solver {self.solver}, got {rule!r}; the time is "
                f"trained with {', '.join(EVEN_STEPS)}"
            )
        if usual.density:
            raise InvalidInputError(f"times.rule: expected fixed for densities, got {rule!r}")
        low, high = self.time_bounds
        if high > usual.longest:
            raise InvalidInputError(
                f"times.high: expected at most {usual.longest:g} for {self.problem}, got {high}"
            )
        if not (low < high and low <= 1 <= high):
            raise InvalidInputError(
                f"times.low: expected times.low < times.high on either side of 1, where the time "
                f"begins, got {low} and {high}"
            )

    @property
    def even_steps(self) -> int:
        """The number of even steps from 0 to 1."""
        usual = PROBLEMS[self.problem].solver_steps
        return usual if self.solver_steps is None else self.solver_steps

    @property
    def time_bounds(self) -> tuple[float, float]:
        """The least and the greatest time, where it is trained."""
        low, high = self.times.low, self.times.high
        longest = min(PROBLEMS[self.problem].longest, 4.0)
        return (1 / self.even_steps if low is None else low, longest if high is None else high)

    @property
    def target(self) -> float:
        """The training loss whose first step is reported."""
        own = PROBLEMS[self.problem].target_loss
        return own if self.target_loss is None else self.target_loss

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as plain data.

        Returns:
            Settings by name, with the name of the job.
        """
        return {"job": "ode", **asdict(self), "optimizers": list(self.optimizers)}


def ode_config_from_dict(settings: dict[str, Any]) -> ODEConfig:
    """Read settings back that `as_dict` gave.

    Args:
        settings: Settings by name.

    Returns:
        The settings, validated.

    Raises:
        InvalidInputError: if a name is missing or not known, or a value is out of range.
    """
    values = {name: value for name, value in settings.items() if name != "job"}
    nested = {
        "ocnopt": OCNOptSettings,
        "adam": AdamSettings,
        "sgd": SGDSettings,
        "times": TimesSettings,
    }
    values.setdefault("times", {})  # runs of earlier versions
    try:
        parts = {name: kind(**values[name]) for name, kind in nested.items()}
        order = {"optimizers": tuple(values["optimizers"])}
        return ODEConfig(**{**values, **parts, **order})
    except (KeyError, TypeError) as error:
        raise InvalidInputError(f"config: expected the settings of a run ({error})") from error
