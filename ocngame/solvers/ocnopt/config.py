"""Settings of OCNOpt: one small class per alternative instead of flags."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from ocngame._checks import in_range, non_negative, one_of
from ocngame.curvature import (
    ColumnRule,
    Curvature,
    DampingMetric,
    ExactColumns,
    KroneckerCurvature,
    SketchedColumns,
)
from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt.cooperation import Cooperation
from ocngame.solvers.ocnopt.damping import DampingRule, FixedDamping, LevenbergMarquardt
from ocngame.solvers.ocnopt.decay import Decay
from ocngame.solvers.ocnopt.fade import Fade
from ocngame.solvers.ocnopt.fallback import FallbackRule
from ocngame.solvers.ocnopt.rhythm import Rhythm
from ocngame.solvers.ocnopt.step_rule import StepRule
from ocngame.solvers.ocnopt.steps import ModelStep
from ocngame.solvers.ocnopt.trust_region import TrustRegionStep

__all__ = ["Feedback", "OCNOptConfig", "Sweep"]


class Feedback(StrEnum):
    """How stages react to the moves of earlier stages.

    Attributes:
        OFF: Open loop; the method is preconditioned backpropagation.
        PER_SAMPLE: One value function per sample; every sample contributes its own policy.
        STACKED: One value function of the whole batch; the curvature stands for all of Q_uu.
        EXACT: One value function of the whole batch; the curvature is the metric of the damping and
            the batch's columns are the rest of Q_uu: the joint damped Gauss-Newton step.
    """

    OFF = "off"
    PER_SAMPLE = "per_sample"
    STACKED = "stacked"
    EXACT = "exact"


class Sweep(StrEnum):
    """How the forward sweep learns the state deviation that feedback answers.

    Attributes:
        LINEAR: By the linearised dynamics, from the recorded columns alone.
        ROLLOUT: By a second forward pass through the moved network.
    """

    LINEAR = "linear"
    ROLLOUT = "rollout"


@dataclass(frozen=True, kw_only=True)
class OCNOptConfig:
    """Settings of OCNOpt.

    Attributes:
        curvature: Rule that stands for Q_uu.
        columns: Rule for the columns of the output Hessian.
        feedback: Reaction of stages to earlier moves.
        sweep: Source of the state deviation in the forward sweep.
        step: From directions to moves.
        damping: Rule for lambda.
        rhythm: Which steps measure curvature and which factorise it.
        cooperation: How players of one stage move together; None if each moves by its own block.
        fallback: Rule for the parameters that no stage covers.
        decay: Which entries of a parameter its weight decay takes from.
        decay_growth: Power of `1 - lr / (highest lr so far)` that the weight decay is multiplied
            by; 0 for a decay that does not wait for the schedule.
        gradient_decay: Memory of the bias-corrected average of gradients (0: newest only).
        fade: How memories follow the fall of the loss; None if they do not.
    """

    curvature: Curvature = field(default_factory=KroneckerCurvature)
    columns: ColumnRule = field(default_factory=SketchedColumns)
    feedback: Feedback = Feedback.OFF
    sweep: Sweep = Sweep.LINEAR
    step: StepRule = field(default_factory=TrustRegionStep)
    damping: DampingRule = field(default_factory=FixedDamping)
    cooperation: Cooperation | None = None
    fallback: FallbackRule = field(default_factory=FallbackRule)
    rhythm: Rhythm = field(default_factory=Rhythm)
    decay: Decay = Decay.CAUTIOUS
    decay_growth: float = 2.0
    gradient_decay: float = 0.9
    fade: Fade | None = field(default_factory=Fade)

    def __post_init__(self) -> None:
        """Validate the settings."""
        for name, kind in (
            ("curvature", Curvature),
            ("columns", ColumnRule),
            ("step", StepRule),
            ("damping", DampingRule),
            ("rhythm", Rhythm),
            ("fallback", FallbackRule),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise InvalidInputError(f"{name}: expected a {kind.__name__}, got {value!r}")
        if self.cooperation is not None and not isinstance(self.cooperation, Cooperation):
            raise InvalidInputError(
                f"cooperation: expected a Cooperation or None, got {self.cooperation!r}"
            )
        one_of("decay", self.decay, Decay)
        object.__setattr__(self, "decay", Decay(self.decay))
        one_of("feedback", self.feedback, Feedback)
        one_of("sweep", self.sweep, Sweep)
        object.__setattr__(self, "feedback", Feedback(self.feedback))
        object.__setattr__(self, "sweep", Sweep(self.sweep))
        if self.columns.every(2**62) > 1 and self.feedback is not Feedback.OFF:
            raise InvalidInputError(
                "columns: expected a rule that measures every sample beside feedback, got "
                f"{self.columns!r}"
            )
        if self.fade is not None and not isinstance(self.fade, Fade):
            raise InvalidInputError(f"fade: expected a Fade or None, got {self.fade!r}")
        non_negative("decay_growth", self.decay_growth)
        in_range("gradient_decay", self.gradient_decay, low=0.0, high=1.0, high_open=True)

    @classmethod
    def with_feedback(cls, feedback: "Feedback | str") -> "OCNOptConfig":
        """Give the settings that belong to a kind of feedback.

        Feedback reads the columns of every batch and answers the moves of earlier stages, which the
        joint choice of lengths would undo: with it the step is the minimum of the batch's own model
        and lambda follows the reduction ratio.

        Args:
            feedback: Reaction of stages to earlier moves.

        Returns:
            The settings.
        """
        one_of("feedback", feedback, Feedback)
        kind = Feedback(feedback)
        if kind is Feedback.OFF:
            return cls()
        config = cls(
            feedback=kind,
            columns=ExactColumns(),
            step=ModelStep(),
            damping=LevenbergMarquardt(),
            rhythm=Rhythm(refresh_every=1),
            fade=None,
        )
        if kind is not Feedback.EXACT:
            return config
        # An average of gradients leaves the span of the columns, where only lambda acts.
        return replace(config, curvature=DampingMetric(), gradient_decay=0.0)

    @property
    def uses_columns(self) -> bool:
        """Whether any part reads the output Hessian's columns."""
        return (
            self.curvature.needs_columns
            or self.step.uses_columns
            or self.feedback is not Feedback.OFF
            or self.cooperation is not None
        )

    def measures(self, step: int) -> bool:
        """Say whether a step measures columns.

        Args:
            step: Number of accepted steps before it.

        Returns:
            True where the rhythm asks for it, and at every step if feedback or the step rule needs
            the columns of every batch.
        """
        always = self.step.needs_columns or self.feedback is not Feedback.OFF
        return self.uses_columns and (always or self.rhythm.measures(step))
