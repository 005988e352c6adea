"""The Bellman recursion: one backward pass for trajectory games and networks."""

from ocngame.bellman.backward import BackwardPass, StageGame, backward_pass
from ocngame.bellman.bargaining import Bargain, bargaining_move, bargaining_weights
from ocngame.bellman.best_response import BestResponse, best_response, constant_policies, owners
from ocngame.bellman.costate import CostateStage, evaluate_costate
from ocngame.bellman.expansions import QExpansion, QuadraticStage, ValueExpansion, expand_q
from ocngame.bellman.fixed_policy import evaluate_policies
from ocngame.bellman.forward import forward_sweep
from ocngame.bellman.lq_stages import (
    DenseStage,
    lq_stages,
    lq_terminal,
    play_policies,
    stack_policies,
    unstack_policies,
)
from ocngame.bellman.policy import AffinePolicy
from ocngame.bellman.sample_space import SampleSpaceStage, terminal_value
from ocngame.bellman.stage_game import (
    StageCertificate,
    StageCondition,
    StageRule,
    solve_condition,
    solve_stage,
    stage_condition,
)
from ocngame.bellman.value import evaluate_policy

__all__ = [
    "AffinePolicy",
    "BackwardPass",
    "Bargain",
    "BestResponse",
    "CostateStage",
    "DenseStage",
    "QExpansion",
    "QuadraticStage",
    "SampleSpaceStage",
    "StageCertificate",
    "StageCondition",
    "StageGame",
    "StageRule",
    "ValueExpansion",
    "backward_pass",
    "bargaining_move",
    "bargaining_weights",
    "best_response",
    "constant_policies",
    "evaluate_costate",
    "evaluate_policies",
    "evaluate_policy",
    "expand_q",
    "forward_sweep",
    "lq_stages",
    "lq_terminal",
    "owners",
    "play_policies",
    "solve_condition",
    "solve_stage",
    "stack_policies",
    "stage_condition",
    "terminal_value",
    "unstack_policies",
]
