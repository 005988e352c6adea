"""OCNOpt on networks with Dropout, batch statistics, tables and parameters without a stage."""

import copy

import pytest
import torch
from torch import Tensor, nn

from ocngame.curvature import DampingMetric, ExactColumns, KroneckerCurvature
from ocngame.games import GameGraph
from ocngame.games.replay import RandomState, replayed
from ocngame.games.rollout import record_rollout
from ocngame.solvers.ocnopt import (
    FallbackRule,
    Feedback,
    FixedDamping,
    FixedStep,
    Judge,
    LevenbergMarquardt,
    ModelStep,
    OCNOpt,
    OCNOptConfig,
    Sweep,
)


def normal(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def images(count: int, seed: int = 3) -> tuple[Tensor, Tensor]:
    x = normal(count, 2, 6, 6, seed=seed)
    return x, (x[:, 0, 2:4].mean((1, 2)) > 0).long() + (x[:, 1].mean((1, 2)) > 0.1).long()


def network(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout(dropout),
        nn.Conv2d(4, 4, 2),
        nn.GroupNorm(2, 4),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ).double()


def buffers(model: nn.Module) -> Tensor:
    return torch.cat([b.double().flatten().clone() for b in model.buffers()])


def test_gradient_runs_through_the_statistics_and_columns_do_not():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = normal(7, 3)
    rollout = record_rollout(model, GameGraph.from_module(model).control_stages, lambda: model(x))
    loss = rollout.output.square().sum(1).mean()
    gradient = torch.autograd.grad(loss, rollout.output, retain_graph=True)[0]
    columns = normal(2, 7, 2, seed=4)
    derived = rollout.differentiate(gradient * 7, columns)
    frozen = copy.deepcopy(model)
    hidden = model[0](x)
    with torch.no_grad():
        frozen[1].running_mean.copy_(hidden.mean(0))
        frozen[1].running_var.copy_(hidden.var(0, correction=0))
    frozen.eval()
    other = record_rollout(frozen, GameGraph.from_module(frozen).control_stages, lambda: frozen(x))
    torch.testing.assert_close(other.output, rollout.output)
    for one, two in zip(derived.columns or [], other.backpropagate(columns), strict=True):
        torch.testing.assert_close(one.dense, two.dense)
    torch.autograd.backward(loss)
    ones = torch.full((1, 7), 1 / 7, dtype=torch.float64)
    differs = False
    at_rest = other.differentiate(gradient * 7).gradients
    for control, z, still in zip(rollout.controls, derived.gradients, at_rest, strict=True):
        found = z.combine(ones)
        torch.testing.assert_close(found, control.join([p.grad for p in control.parameters]))
        differs |= not torch.allclose(found, still.combine(ones))
    assert differs, "the gradient at fixed statistics is another one"


def test_measuring_leaves_no_trace():
    model = network(0.5)
    x, _ = images(8)
    start = RandomState.now()
    first = model(x).detach()
    kept, random = buffers(model), torch.get_rng_state()
    with replayed(model, start), torch.no_grad():
        again = model(x)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
    assert torch.equal(buffers(model), kept)
    assert torch.equal(torch.get_rng_state(), random)
    assert not torch.equal(model(x), first), "another pass draws other masks"


@pytest.mark.parametrize("judge", list(Judge))
def test_running_statistics_are_updated_once_a_step(judge):
    model, (x, y) = network(), images(16)
    counted = []

    def count(layer: nn.Module, args: tuple[Tensor, ...], _output: Tensor) -> None:
        counted.append(args[0].detach().mean((0, 2, 3)))

    opt = OCNOpt(model, config=OCNOptConfig(damping=LevenbergMarquardt(judge=judge)))
    mean = model[1].running_mean.clone()
    for step in range(4):
        counted.clear()
        handle = model[1].register_forward_hook(count)
        opt.step(x, y)
        handle.remove()
        mean = 0.9 * mean + 0.1 * counted[0]
        assert int(model[1].num_batches_tracked) == step + 1
        torch.testing.assert_close(model[1].running_mean, mean)
    assert len(counted) == (1 if judge is Judge.NOBODY else 2)


def test_a_judgement_compares_the_same_masks():
    """A step of almost no length promises almost nothing: other masks would change far more."""
    model, (x, y) = network(0.5), images(64)
    config = OCNOptConfig(step=ModelStep(), damping=LevenbergMarquardt())
    opt = OCNOpt(model, lr=1e-9, config=config)
    ratios = [opt.step(x, y).ratio for _ in range(4)][1:]
    assert all(abs(ratio) < 100 for ratio in ratios)


def test_a_network_of_all_kinds_learns():
    model, (x, y) = network(), images(96)
    opt = OCNOpt(model)
    infos = [opt.step(x, y) for _ in range(30)]
    assert all(info.accepted for info in infos)
    assert infos[-1].loss < 0.5 * infos[0].loss


@pytest.mark.parametrize("feedback", [Feedback.PER_SAMPLE, Feedback.STACKED, Feedback.EXACT])
def test_feedback_on_a_convolutional_network_keeps_its_promise(feedback):
    model, (x, y) = network(), images(12)
    metric = DampingMetric() if feedback is Feedback.EXACT else KroneckerCurvature(decay=0.0)
    config = OCNOptConfig(
        feedback=feedback,
        curvature=metric,
        gradient_decay=0.0,
        step=ModelStep(),
        columns=ExactColumns(),
        damping=LevenbergMarquardt(start=1.0, judge=Judge.SAME_BATCH),
    )
    opt = OCNOpt(model, config=config, lr=0.1)
    infos = [opt.step(x, y) for _ in range(3)]
    assert all(info.accepted and info.predicted < 0 for info in infos)
    assert infos[-1].loss < infos[0].loss


def test_the_second_pass_repeats_masks_and_statistics():
    """With a tiny step the measured sweep is the linearised one, Dropout and statistics or not."""
    moves = {}
    for sweep in Sweep:
        model, (x, y) = network(0.3), images(10)
        torch.manual_seed(5)
        config = OCNOptConfig(
            feedback=Feedback.EXACT,
            curvature=DampingMetric(),
            gradient_decay=0.0,
            sweep=sweep,
            step=FixedStep(),
            damping=FixedDamping(damping=1e4),
        )
        before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
        OCNOpt(model, config=config).step(x, y)
        moves[sweep] = nn.utils.parameters_to_vector(model.parameters()).detach() - before
    error = (moves[Sweep.ROLLOUT] - moves[Sweep.LINEAR]).norm() / moves[Sweep.LINEAR].norm()
    assert error < 1e-6


class Positions(nn.Module):
    """Tokens with learned positions, which no stage covers."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.position = nn.Parameter(torch.zeros(5, 6))
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.table(x) + self.position).mean(1))


def test_the_fallback_is_adam():
    torch.manual_seed(0)
    model = Positions().double()
    reference = copy.deepcopy(model)
    x = torch.randint(0, 11, (20, 5), generator=torch.Generator().manual_seed(1))
    y = x[:, 0] % 2
    opt = OCNOpt(model, weight_decay=0.0, config=OCNOptConfig(fallback=FallbackRule(rate=0.01)))
    assert opt.game.uncovered == ("position",)
    adam = torch.optim.Adam([reference.position], lr=0.01)
    for _ in range(4):
        with torch.no_grad():
            for one, two in zip(reference.parameters(), model.parameters(), strict=True):
                if one is not reference.position:
                    one.copy_(two)
        adam.zero_grad()
        nn.functional.cross_entropy(reference(x), y).backward()
        adam.step()
        assert opt.step(x, y).accepted
        torch.testing.assert_close(model.position, reference.position)
    assert float(opt.step(x, y).loss) < 0.69


def test_a_step_says_what_it_did_to_parameters_without_a_stage():
    """The promise includes them, and a judgement takes them back."""
    torch.manual_seed(0)
    model = Positions().double()
    x = torch.randint(0, 11, (40, 5), generator=torch.Generator().manual_seed(1))
    config = OCNOptConfig(
        step=ModelStep(), damping=LevenbergMarquardt(), fallback=FallbackRule(rate=100.0)
    )
    opt = OCNOpt(model, lr=1e-7, config=config)
    ratios = [opt.step(x, x[:, 0] % 2).ratio for _ in range(4)][1:]
    assert all(abs(ratio - 1) < 0.2 for ratio in ratios)


def test_per_sample_feedback_takes_the_gradient_through_the_statistics():
    model, (x, y) = network(), images(12)
    config = OCNOptConfig.with_feedback(Feedback.PER_SAMPLE)
    opt = OCNOpt(model, config=config)
    batch = opt._reader.read(lambda: opt.loss(model(x), y), due=True)
    ones = torch.full((1, 12), 1 / 12, dtype=torch.float64)
    assert batch.samples is not None
    for control, samples in zip(opt._controls(), batch.samples, strict=True):
        gradient = control.join([p.grad for p in control.parameters])
        torch.testing.assert_close(samples.combine(ones), gradient)
