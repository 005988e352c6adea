"""Cooperating players in OCNOpt: pairs, alignment, the bandit."""

import copy
import io
import math

import pytest
import torch
from networks import Inception, ResNet18
from torch import Tensor, nn

from ocngame.curvature import ExactColumns, KroneckerCurvature, PairFactors
from ocngame.errors import InvalidInputError
from ocngame.games import GameGraph
from ocngame.games.alignment import parallel_players
from ocngame.games.rollout import record_rollout
from ocngame.solvers.ocnopt import (
    BanditAlignment,
    Cooperation,
    Exp3,
    FixedAlignment,
    FixedDamping,
    FixedStep,
    OCNOpt,
    OCNOptConfig,
)


class Shortcut(nn.Module):
    """A residual block whose shortcut has a control, on positions of equal number."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.second = nn.Linear(5, 3)
        self.shortcut = nn.Linear(4, 3, bias=False)
        self.out = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sin(x)
        return self.out(torch.tanh(self.second(torch.tanh(self.first(h))) + self.shortcut(h)))


def problem(samples: int = 24) -> tuple[nn.Module, Tensor, Tensor]:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 4, dtype=torch.float64, generator=generator)
    return Shortcut().double(), x, (x[:, 0] * x[:, 1] > 0).long()


def test_parallel_players_of_real_networks():
    resnet = GameGraph.from_module(ResNet18(4), torch.zeros(2, 3, 32, 32))
    pairs = parallel_players(resnet)
    assert [pair.stage for pair in pairs] == [f"layer{i}_0_downsample_0" for i in (2, 3, 4)]
    assert pairs[0].places == ("layer2_0_conv1", "layer2_0_conv2")
    inception = GameGraph.from_module(Inception(), torch.zeros(2, 3, 8, 8))
    pairs = parallel_players(inception)
    assert [(pair.stage, pair.places) for pair in pairs] == [
        ("one", ("pool_1",)),
        ("three_0", ("five_0", "five_2")),
    ]
    assert not parallel_players(GameGraph.from_module(ResNet18(4)))


@pytest.mark.parametrize("last", [True, False])
def test_a_step_moves_the_pair_by_the_joint_solve(last):
    model, x, y = problem()
    before = copy.deepcopy(model)
    config = OCNOptConfig(
        curvature=KroneckerCurvature(decay=0.0),
        columns=ExactColumns(),
        cooperation=Cooperation(alignment=FixedAlignment(last=last), decay=0.0),
        step=FixedStep(),
        damping=FixedDamping(damping=0.1),
        gradient_decay=0.0,
    )
    opt = OCNOpt(model, weight_decay=0.0, config=config, example_input=x)
    opt.step(x, y)
    plain = copy.deepcopy(before)
    alone = OCNOptConfig(
        curvature=config.curvature,
        columns=ExactColumns(),
        step=FixedStep(),
        damping=config.damping,
        gradient_decay=0.0,
    )
    OCNOpt(plain, weight_decay=0.0, config=alone).step(x, y)
    rollout = record_rollout(
        before, GameGraph.from_module(before).control_stages, lambda: before(x)
    )
    hessian = opt.hessian
    columns = rollout.backpropagate(
        config.columns.columns(hessian, rollout.output, x, opt.generator)
    )
    nn.functional.cross_entropy(before(x), y).backward()
    number = {control.stage: i for i, control in enumerate(rollout.controls)}
    partner = "second" if last else "first"
    u, v = number["shortcut"], number[partner]
    pair = PairFactors.of(columns[u], columns[v]).damped(0.1)
    gradients = [c.join([p.grad for p in c.parameters]) for c in rollout.controls]
    du, dv = pair.solve(gradients[u], gradients[v])
    for name, move in (("shortcut", du), (partner, dv)):
        control = rollout.controls[number[name]]
        for part, parameter, old in zip(
            control.split(-move),
            model.get_submodule(name).parameters(),
            before.get_submodule(name).parameters(),
            strict=True,
        ):
            torch.testing.assert_close(parameter - old, part, rtol=1e-7, atol=1e-10)
    for name in {"first", "second", "out"} - {partner}:
        torch.testing.assert_close(
            model.get_submodule(name).weight, plain.get_submodule(name).weight
        )
    assert not torch.allclose(model.shortcut.weight, plain.shortcut.weight, rtol=1e-3)


@pytest.mark.parametrize("alignment", [FixedAlignment(), BanditAlignment(bandit=Exp3(gamma=0.3))])
def test_cooperation_learns_and_resumes_bitwise(alignment):
    model, x, y = problem()
    config = OCNOptConfig(cooperation=Cooperation(alignment=alignment))
    opt = OCNOpt(model, config=config, example_input=x)
    losses = [opt.step(x, y).loss for _ in range(6)]
    saved = io.BytesIO()
    torch.save({"model": model.state_dict(), "opt": opt.state_dict()}, saved)
    losses += [opt.step(x, y).loss for _ in range(6)]
    saved.seek(0)
    content = torch.load(saved, weights_only=True)
    other = Shortcut().double()
    other.load_state_dict(content["model"])
    again = OCNOpt(other, config=config, example_input=x)
    again.load_state_dict(content["opt"])
    assert [again.step(x, y).loss for _ in range(6)] == losses[6:]
    assert losses[-1] < 0.8 * losses[0]
    if isinstance(alignment, BanditAlignment):
        pair = opt.team.state.pairs[0]
        assert all(count > 0 for count in pair.count)
        assert pair.weights[0] != pair.weights[1]


def test_a_game_without_pairs_is_refused():
    config = OCNOptConfig(cooperation=Cooperation())
    with pytest.raises(InvalidInputError, match=r"cooperation: expected parallel branches"):
        OCNOpt(problem()[0], config=config)


def rewards(rounds: int, seed: int) -> Tensor:
    """An adversary's table: the best arm changes, and one is best over all."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(rounds, 4, generator=generator, dtype=torch.float64)
    centre = torch.tensor([0.3, 0.45, 0.4, 0.6]).repeat(rounds, 1)
    centre[: rounds // 4] = torch.tensor([0.3, 0.7, 0.2, 0.5])
    return (noise < centre).double()


def test_regret_stays_below_its_bound():
    rounds, arms = 2000, 4
    bandit = Exp3.for_rounds(arms, rounds)
    regrets = []
    for seed in range(3):
        table = rewards(rounds, seed)
        generator = torch.Generator().manual_seed(100 + seed)
        weights, total = bandit.init(arms), 0.0
        for row in table:
            arm = bandit.draw(weights, generator)
            total += float(row[arm])
            weights = bandit.rewarded(weights, arm, float(row[arm]))
        regrets.append(float(table.sum(0).max()) - total)
        uniform = float(table.sum(0).max() - table.mean(1).sum())
        assert regrets[-1] < 0.6 * uniform, "better than drawing at random"
    bound = 2.63 * math.sqrt(rounds * arms * math.log(arms))
    assert sum(regrets) / len(regrets) < bound
    assert int(weights.argmax()) == 3


def test_the_update_is_the_formula():
    bandit, weights = Exp3(gamma=0.2), torch.tensor([0.0, 0.5, -1.0], dtype=torch.float64)
    plain = weights.exp()
    p = 0.8 * plain / plain.sum() + 0.2 / 3
    torch.testing.assert_close(bandit.probabilities(weights), p)
    plain[1] *= torch.exp(0.2 * 0.7 / (3 * p[1]))
    found = bandit.rewarded(weights, 1, 0.7)
    torch.testing.assert_close(found.softmax(0), plain / plain.sum())
    assert float(found.max()) == 0
    with pytest.raises(InvalidInputError, match=r"reward.*1\.5"):
        bandit.rewarded(weights, 1, 1.5)


def test_a_refused_step_leaves_the_team_as_it_was():
    model, x, y = problem()
    config = OCNOptConfig(cooperation=Cooperation(alignment=BanditAlignment()))
    opt = OCNOpt(model, config=config, example_input=x)
    for _ in range(3):
        opt.step(x, y)
    before = opt.team.save()
    opt.backward(lambda: nn.functional.cross_entropy(model(x), y))
    model.first.weight.grad.fill_(math.nan)
    assert not opt.step().accepted
    after = opt.team.save()
    assert after["scale"] == before["scale"]
    assert after["last_loss"] == before["last_loss"]
    for one, two in zip(after["pairs"], before["pairs"], strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    opt.zero_grad()
    assert opt.step(x, y).accepted
