"""Solvers that are wrong in one place each: the checks of equilibria find every one."""

from collections.abc import Callable

import pytest
import torch
from lq_games import altered, random_game, random_state

import ocngame as og
from ocngame.bellman import AffinePolicy
from ocngame.equilibria import Candidate, is_equilibrium
from ocngame.games import InformationStructure, LQGame

TOLERANCE = 1e-5
Mutant = Callable[[LQGame], AffinePolicy]


def recursion(
    game: LQGame,
    *,
    shift: float = 0.0,
    short_form: bool = False,
    blocks_only: bool = False,
    own_control_cost_only: bool = False,
    affine_in_values: bool = True,
    answer_once: bool = False,
    swapped: bool = False,
) -> AffinePolicy:
    """The coupled Riccati recursion in (x, 1), with one fault switched on."""
    n, m, players = game.state_size, game.control_size, range(game.player_count)
    owner = [i for i in players for _ in range(m)[game.control_slices[i]]]
    if swapped:
        owner = owner[::-1]

    def corner(matrix, vector):
        zero = torch.zeros(1, 1, dtype=torch.float64)
        return torch.cat(
            [torch.cat([matrix, vector[:, None]], 1), torch.cat([vector[None], zero], 1)]
        )

    Z = [corner(game.Q[i, -1], game.q[i, -1]) for i in players]
    feedforward, feedback = [], []
    for t in reversed(range(game.horizon)):
        bottom = torch.zeros(1, n + 1, dtype=torch.float64)
        bottom[0, n] = 1
        A = torch.cat([torch.cat([game.A[t], game.c[t][:, None]], 1), bottom])
        B = torch.cat([game.B[t], torch.zeros(1, m, dtype=torch.float64)])
        mixed = [torch.cat([game.M[i, t], game.r[i, t][None]]).T for i in players]
        uu = [game.R[i, t] + B.T @ Z[i] @ B for i in players]
        ux = [mixed[i] + B.T @ Z[i] @ A for i in players]
        S = torch.stack([uu[owner[j]][j] for j in range(m)])
        Y = torch.stack([ux[owner[j]][j] for j in range(m)])
        if blocks_only:
            S = S * torch.block_diag(
                *(torch.ones(b.stop - b.start, b.stop - b.start) for b in game.control_slices)
            )
        P = torch.linalg.solve(S + shift * torch.eye(m, dtype=torch.float64), Y)
        F = A - B @ P
        new = []
        for i in players:
            Q = corner(game.Q[i, t], game.q[i, t])
            R = game.R[i, t]
            if own_control_cost_only:
                mask = torch.zeros(m, dtype=torch.float64)
                mask[game.control_slices[i]] = 1
                R = R * mask * mask[:, None]
            if short_form:
                own = game.control_slices[i]
                inner = torch.linalg.solve(uu[i][own, own], ux[i][own])
                value = Q + A.T @ Z[i] @ A - ux[i][own].T @ inner
            elif answer_once:
                value = Q - mixed[i].T @ P + A.T @ Z[i] @ F
            else:
                value = Q - mixed[i].T @ P - P.T @ mixed[i] + P.T @ R @ P + F.T @ Z[i] @ F
            if not affine_in_values:
                value = value.clone()
                value[n], value[:, n] = 0, 0
            new.append(value)
        Z = new
        feedback.insert(0, -P[:, :n])
        feedforward.insert(0, -P[:, n])
    return AffinePolicy(feedforward=torch.stack(feedforward), feedback=torch.stack(feedback))


def solved(game: LQGame, information: str = "feedback") -> AffinePolicy:
    return og.solve(game, information=information).policies


def changed(policies: AffinePolicy, **parts) -> AffinePolicy:
    kept = {"feedforward": policies.feedforward, "feedback": policies.feedback}
    return AffinePolicy(**{**kept, **parts})


def without(name: str) -> Mutant:
    return lambda game: solved(altered(game, **{name: torch.zeros_like(getattr(game, name))}))


def own_blocks_of_control_cost(game: LQGame) -> AffinePolicy:
    """Forgets what each player pays for the others' controls."""
    R = torch.zeros_like(game.R)
    for i, block in enumerate(game.control_slices):
        R[i, :, block, block] = game.R[i, :, block, block]
    return solved(altered(game, R=R))


FEEDBACK_MUTANTS: dict[str, Mutant] = {
    "sign of K": lambda g: changed(solved(g), feedback=-solved(g).feedback),
    "sign of k": lambda g: changed(solved(g), feedforward=-solved(g).feedforward),
    "block Jacobi": lambda g: recursion(g, blocks_only=True),
    "short form of the values": lambda g: recursion(g, short_form=True),
    "silent shift": lambda g: recursion(g, shift=1e-3),
    "control answers once": lambda g: recursion(g, answer_once=True),
    "R of the own control only": lambda g: recursion(g, own_control_cost_only=True),
    "values without affine part": lambda g: recursion(g, affine_in_values=False),
    "players' rows swapped": lambda g: recursion(g, swapped=True),
    "off by one stage": lambda g: changed(solved(g), feedback=solved(g).feedback.roll(1, 0)),
    "A transposed": lambda g: solved(altered(g, A=g.A.mT)),
    "M forgotten": without("M"),
    "c forgotten": without("c"),
    "q forgotten": without("q"),
    "r forgotten": without("r"),
    "R^{ij} forgotten": own_blocks_of_control_cost,
    "running cost at the end": lambda g: solved(
        altered(g, Q=torch.cat([g.Q[:, :-1], g.Q[:, -2:-1]], 1))
    ),
    "costs of one player for all": lambda g: solved(g.team(torch.tensor([1.0, 0, 0]).double())),
    "cooperation": lambda g: solved(g, "cooperative"),
    "open loop": lambda g: solved(g, "open_loop"),
    "NaN": lambda g: changed(solved(g), feedback=solved(g).feedback * torch.nan),
    "a thousandth off": lambda g: changed(solved(g), feedback=1.001 * solved(g).feedback),
}
OPEN_LOOP_MUTANTS: dict[str, Mutant] = {
    "feedback": solved,
    "block Jacobi in feedback": lambda g: recursion(g, blocks_only=True),
    "sign of k": lambda g: changed(
        solved(g, "open_loop"), feedforward=-solved(g, "open_loop").feedforward
    ),
    "M forgotten": lambda g: solved(altered(g, M=torch.zeros_like(g.M)), "open_loop"),
    "c forgotten": lambda g: solved(altered(g, c=torch.zeros_like(g.c)), "open_loop"),
    "silent shift": lambda g: recursion(g, answer_once=True, shift=1e-3),
    "short form of the values": lambda g: recursion(g, short_form=True),
    "NaN": lambda g: changed(solved(g), feedforward=solved(g).feedforward * torch.nan),
}
GAME = random_game(31, sizes=(1, 2, 1), states=3, horizon=5)
X0 = random_state(31, GAME)


def verdict(policies: AffinePolicy, information: InformationStructure, tolerance: float) -> bool:
    play = Candidate(policies=policies, x0=X0, information=information)
    return bool(is_equilibrium(GAME, play, tolerance=tolerance))


def test_the_recursion_without_a_fault_passes():
    assert verdict(recursion(GAME), InformationStructure.FEEDBACK, 1e-12)
    assert verdict(recursion(GAME, answer_once=True), InformationStructure.OPEN_LOOP, 1e-12)


@pytest.mark.parametrize("name", FEEDBACK_MUTANTS)
def test_feedback_mutant_is_caught(name):
    assert not verdict(FEEDBACK_MUTANTS[name](GAME), InformationStructure.FEEDBACK, TOLERANCE)


@pytest.mark.parametrize("name", OPEN_LOOP_MUTANTS)
def test_open_loop_mutant_is_caught(name):
    assert not verdict(OPEN_LOOP_MUTANTS[name](GAME), InformationStructure.OPEN_LOOP, TOLERANCE)
