"""Joined matrices against the expansions' own recursion, which large batches take."""

import pytest
import torch
from lq_games import random_game

import ocngame as og
from ocngame.bellman import (
    AffinePolicy,
    CostateStage,
    DenseStage,
    StageRule,
    backward_pass,
    best_response,
    constant_policies,
    evaluate_costate,
    evaluate_policies,
    lq_stages,
    lq_terminal,
    stack_policies,
)
from ocngame.bellman.condensed import condensed_pivots
from ocngame.bellman.joined import joined_pass, joins
from ocngame.bellman.joining import FEW, join_lq, joined_values, split_values
from ocngame.games import InformationStructure
from ocngame.linalg import smallest_eigenvalue

KINDS = ("feedback", "open_loop", "cooperative")


def rule_of(game: og.LQGame, kind: str) -> StageRule:
    weights = None
    if kind == "cooperative":
        weights = torch.arange(1.0, game.player_count + 1).double()
    return StageRule(
        slices=game.control_slices, information=InformationStructure(kind), weights=weights
    )


def in_expansions(game: og.LQGame, rule: StageRule):
    costates = rule.information is InformationStructure.OPEN_LOOP
    make = CostateStage if costates else DenseStage
    stages = [make(quadratic=quadratic, rule=rule) for quadratic in lq_stages(game)]
    if costates:
        return backward_pass(stages, lq_terminal(game), evaluate_costate)
    return backward_pass(stages, lq_terminal(game))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [(), (1,), (3,)])
@pytest.mark.parametrize("seed", range(2))
def test_joined_matrices_give_what_expansions_give(kind, batch, seed):
    game = random_game(seed, sizes=(1, 2, 2), horizon=6, batch=batch)
    rule = rule_of(game, kind)
    expected = in_expansions(game, rule)
    found = joined_pass(join_lq(game), rule)
    policies = stack_policies(expected.policies)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(found.feedforward, policies.feedforward, **close)
    torch.testing.assert_close(found.feedback, policies.feedback, **close)
    for t, one in enumerate(expected.certificates):
        torch.testing.assert_close(found.certificate.system.select(-3, t), one.system, **close)
        for ours, theirs in zip(found.certificate.curvature, one.curvature, strict=True):
            torch.testing.assert_close(ours.select(-3, t), theirs, **close)
    played = AffinePolicy(feedforward=found.feedforward, feedback=found.feedback)
    values = [joined_values(join_lq(game), played)]
    values += [found.values] if kind != "open_loop" else []
    for value in values:
        for ours, theirs in zip(
            split_values(value), evaluate_policies(game, played).values, strict=True
        ):
            for name in ("v", "v_x", "v_xx"):
                torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), **close)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_pivots_of_the_condensed_hessian(batch):
    game = random_game(3, sizes=(1, 2), horizon=5, batch=batch)
    still = constant_policies(torch.zeros_like(game.r[..., 0, :, :]), game.state_size)
    expected = best_response(game, still).own_curvature
    found = [smallest_eigenvalue(block) for block in condensed_pivots(game)]
    torch.testing.assert_close(torch.stack(found, dim=-2), expected, rtol=1e-10, atol=1e-10)


def test_few_and_many_games_agree():
    """A batch on either side of the border between the two recursions."""
    many = random_game(5, sizes=(1, 2), horizon=5, batch=(FEW + 1,))
    parts = {name: getattr(many, name) for name in ("A", "B", "c", "Q", "q", "R", "r", "M")}
    few = og.LQGame(
        **{name: part[:FEW] for name, part in parts.items()}, control_slices=many.control_slices
    )
    for kind in KINDS:
        one, other = og.solve(few, information=kind), og.solve(many, information=kind)
        for name in ("v", "v_x", "v_xx"):
            torch.testing.assert_close(
                getattr(one, name), getattr(other, name)[:FEW], rtol=1e-10, atol=1e-10
            )


def test_conditions_that_are_not_own_rows_are_left_to_the_stage_game():
    rule = StageRule(
        slices=(slice(0, 1), slice(1, 2)), information=InformationStructure.STACKELBERG, leader=0
    )
    assert not joins(rule)
    assert joins(StageRule(slices=(slice(0, 1),)))
