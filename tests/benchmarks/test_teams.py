"""The benchmark of teams: its games, its methods, the choice of a step size, its store."""

import math

import pytest
import torch

import benchmarks.teams.__main__ as teams
from benchmarks.teams.methods import METHODS, alone
from benchmarks.teams.tasks import TASKS

OURS = [name for name in METHODS if name not in {"NashMTL", "UPGrad", "AlignedMTL"}]


@pytest.mark.parametrize("task", TASKS)
def test_every_cost_of_a_team_depends_on_its_player_and_scores_are_scores(task):
    team = TASKS[task](0)
    values = [[v.detach().requires_grad_() for v in own] for own in team.game.values()]
    costs = team.game.evaluate(values, *(part[:32] for part in team.train))
    for own, cost in zip(values, costs, strict=True):
        slopes = torch.autograd.grad(cost, own, retain_graph=True)
        assert all(bool(slope.any()) for slope in slopes)
    scores = team.scores()
    assert all(math.isfinite(score) and score <= 1 for score in scores.values())
    assert set(team.alone) <= set(scores)
    again = TASKS[task](0)
    assert torch.equal(again.game.control, team.game.control)
    assert not torch.equal(TASKS[task](1).game.control, team.game.control)


def test_runs_are_repeatable_and_methods_differ(monkeypatch):
    monkeypatch.setattr(teams, "_STEPS", 6)
    found = {}
    for name in OURS:
        one, again = (teams.play("halves", name, METHODS[name], 1e-2, 0) for _ in range(2))
        assert one.scores == again.scores
        found[name] = tuple(one.scores.values())
    assert len(set(found.values())) == len(OURS)
    first = teams.play("halves", "only", alone(0), 1e-2, 0)
    assert first.scores["upper half"] != first.scores["lower half"]


def test_the_best_step_size_is_that_of_the_tuning_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(teams, "_STEPS", 2)
    monkeypatch.setattr(teams, "_STORE", tmp_path / "results.jsonl")
    monkeypatch.setattr(teams, "METHODS", {"sum": METHODS["sum"]})
    teams.run(("halves",))
    done = teams.stored()
    grid = {lr: done["halves", "sum", lr, teams._TUNING_SEED].mean for lr in teams._GRID}
    chosen = max(grid, key=lambda lr: grid[lr])
    made = {key for key in done if key[3] in teams._SEEDS and key[1] == "sum"}
    assert made == {("halves", "sum", chosen, seed) for seed in teams._SEEDS}
    before = (tmp_path / "results.jsonl").read_text()
    teams.run(("halves",))
    assert (tmp_path / "results.jsonl").read_text() == before
