"""The Bellman recursion: one backward pass for trajectory games and networks."""

from ocngame.bellman.backward import BackwardPass, StageGame, backward_pass
from ocngame.bellman.expansions import QExpansion, QuadraticStage, ValueExpansion, expand_q
from ocngame.bellman.forward import forward_sweep
from ocngame.bellman.policy import AffinePolicy
from ocngame.bellman.sample_space import SampleSpaceStage, terminal_value
from ocngame.bellman.stage_game import StageCertificate, StageRule, solve_stage
from ocngame.bellman.value import evaluate_policy

__all__ = [
    "AffinePolicy",
    "BackwardPass",
    "QExpansion",
    "QuadraticStage",
    "SampleSpaceStage",
    "StageCertificate",
    "StageGame",
    "StageRule",
    "ValueExpansion",
    "backward_pass",
    "evaluate_policy",
    "expand_q",
    "forward_sweep",
    "solve_stage",
    "terminal_value",
]
