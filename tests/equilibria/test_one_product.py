"""The same questions of linear-quadratic and nonlinear games: same names, same shapes."""

from dataclasses import replace

import pytest
import torch
from lq_games import random_game, random_state
from nonlinear_games import START, as_functions, duel

import ocngame as og
from ocngame.bellman import AffinePolicy
from ocngame.equilibria import (
    Candidate,
    DeviationSearch,
    Evidence,
    classify,
    deviation_gain,
    is_equilibrium,
    own_curvature,
    residuals,
)
from ocngame.errors import InvalidInputError
from ocngame.games import InformationStructure, control_bounds

FEEDBACK, OPEN_LOOP = InformationStructure.FEEDBACK, InformationStructure.OPEN_LOOP
KINDS = (FEEDBACK, OPEN_LOOP, InformationStructure.COOPERATIVE)


@pytest.fixture(scope="module")
def solutions():
    return {kind: og.solve(duel(6), information=kind, x0=START) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_quadratic_game_written_as_functions_gets_the_same_answers(kind):
    """At points far from any equilibrium, so that no number is a rounding of zero."""
    lq = random_game(4, sizes=(1, 2), horizon=4)
    generator = torch.Generator().manual_seed(0)
    policies = AffinePolicy(
        feedforward=torch.randn(2, 4, 3, generator=generator, dtype=torch.float64),
        feedback=0.3 * torch.randn(2, 4, 3, 3, generator=generator, dtype=torch.float64),
    )
    play = Candidate(policies=policies, x0=random_state(4, lq))
    written = as_functions(lq)
    exact, found = deviation_gain(lq, play, kind), deviation_gain(written, play, kind)
    for name in ("gain", "subgame_gain", "own_curvature"):
        torch.testing.assert_close(getattr(found, name), getattr(exact, name), rtol=1e-8, atol=1e-9)
    assert found.relative.shape == exact.relative.shape
    assert (exact.evidence, found.evidence) == (Evidence.EXACT, Evidence.SEARCH)
    assert bool(exact.bounded.all())
    assert bool(found.bounded.all())
    torch.testing.assert_close(
        residuals(written, play, kind), residuals(lq, play, kind), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(
        own_curvature(written, play, kind), own_curvature(lq, play, kind), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_nonlinear_solution_is_an_equilibrium_of_its_own_kind_only(solutions, kind):
    verdicts = classify(duel(6), solutions[kind], tolerance=1e-6)
    assert {name: bool(yes) for name, yes in verdicts.items()} == {
        other: other is kind for other in KINDS
    }
    found = deviation_gain(duel(6), solutions[kind])
    assert float(found.relative.max()) < 1e-12
    assert float(found.subgame_relative.max()) < 1e-10
    assert bool(found.bounded.all())
    assert float(residuals(duel(6), solutions[kind]).max()) < 1e-8


def test_gains_that_answer_badly_off_the_path_show_in_the_subgames(solutions):
    play = replace(solutions[FEEDBACK], feedback=1.05 * solutions[FEEDBACK].feedback)
    found = deviation_gain(duel(6), play)
    assert float(found.subgame_relative.min()) > 1e-6
    assert not bool(is_equilibrium(duel(6), play, tolerance=1e-6))


def test_where_the_own_cost_is_not_convex_nothing_is_bounded():
    game = duel(
        3, running_costs=[lambda x, u, t: -(u[0] ** 2) + u[0] ** 4, lambda x, u, t: u[1] ** 2]
    )
    still = torch.zeros(3, 2, dtype=torch.float64)
    play = Candidate(
        policies=AffinePolicy(feedforward=still, feedback=still.unsqueeze(-1).expand(3, 2, 2)),
        x0=torch.zeros(2, dtype=torch.float64),
        information=OPEN_LOOP,
    )
    flat = replace_costs(game)
    found = deviation_gain(flat, play)
    assert found.bounded.tolist() == [False, True]
    assert float(found.gain[0]) > 0.7  # three stages, each with its minimum of -1/4
    assert float(own_curvature(flat, play)[0].min()) < 0
    assert not bool(is_equilibrium(flat, play, tolerance=1.0))


def replace_costs(game):
    """No terminal cost: resting is stationary, and a maximum for the first player."""
    return replace(game, terminal_costs=[lambda x: 0 * x.sum(), lambda x: 0 * x.sum()])


@pytest.mark.parametrize("piece", ["feedforward", "feedback"])
def test_nan_fails_in_its_own_element_only(solutions, piece):
    policies = solutions[FEEDBACK].policies
    parts = {
        name: getattr(policies, name).expand(2, *getattr(policies, name).shape).clone()
        for name in ("feedforward", "feedback")
    }
    parts[piece][1, 3] = torch.nan
    play = Candidate(policies=AffinePolicy(**parts), x0=START)
    found = deviation_gain(duel(6), play)
    for name in ("gain", "subgame_gain", "scale", "own_curvature"):
        assert bool(torch.isnan(getattr(found, name)[1]).all())
        assert bool(torch.isfinite(getattr(found, name)[0]).all())
    assert found.bounded.tolist() == [[True, True], [False, False]]
    assert bool(torch.isnan(residuals(duel(6), play)[1]).all())
    assert is_equilibrium(duel(6), play, tolerance=1e-6).tolist() == [True, False]
    lost = Candidate(
        policies=AffinePolicy(**{k: v * torch.nan for k, v in parts.items()}), x0=START
    )
    assert not is_equilibrium(duel(6), lost, tolerance=1e6).any()


def test_constraints_have_to_be_met_with_complementary_multipliers():
    game = duel(3, constraints=[control_bounds(0, slice(0, 1), [-0.3], [0.3])])
    found = og.solve(game, information="open_loop", x0=START)
    assert bool(is_equilibrium(game, found, tolerance=1e-6))
    y = found.multipliers
    free = og.solve(duel(3), information="open_loop", x0=START)
    none = replace(y, running=torch.zeros_like(y.running))
    violating = Candidate(policies=free.policies, x0=START, information=OPEN_LOOP, multipliers=none)
    assert float(residuals(game, violating).max()) < 1e-8
    assert not bool(is_equilibrium(game, violating, tolerance=1e-6))


def test_bad_questions_are_named(solutions):
    lq = random_game(1)
    play = og.solve(lq, x0=random_state(1, lq))
    for call, message in (
        (lambda: deviation_gain(lq, play, search=DeviationSearch()), "^search: expected None"),
        (
            lambda: residuals(duel(6), solutions[FEEDBACK], InformationStructure.OWN_BLOCK),
            "^inform",
        ),
        (lambda: deviation_gain(duel(5), solutions[FEEDBACK]), "^policies.feedforward: .*T=5"),
        (lambda: DeviationSearch(starts=-1), "^starts: "),
        (lambda: DeviationSearch(spread=-1.0), "^spread: "),
    ):
        with pytest.raises(InvalidInputError, match=message):
            call()
