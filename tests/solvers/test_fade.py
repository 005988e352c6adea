import math

import pytest
import torch
from torch import nn

from ocngame.curvature import (
    DiagonalCurvature,
    EigenKroneckerCurvature,
    FullCurvature,
    KroneckerCurvature,
)
from ocngame.errors import InvalidInputError
from ocngame.linalg import OuterColumns
from ocngame.solvers.ocnopt import Fade, FixedStep, OCNOpt, OCNOptConfig
from ocngame.solvers.ocnopt.fade import Level


def test_the_level_follows_the_mean_room():
    fade = Fade(memory=0.5, gradients=0.5, curvature=1.0)
    level = fade.level(Level(), 4.0)
    assert level == Level(4.0, 4.0)
    level = fade.level(level, 0.0625)
    assert (level.mean, level.low) == pytest.approx((2.03125, 2.03125))
    assert level.curvature == pytest.approx(2.03125 / 4)
    assert level.gradients == pytest.approx(math.sqrt(2.03125 / 4))
    assert level.overstated == pytest.approx(math.sqrt(2.03125 / 0.0625))


def test_a_rise_leaves_memories_as_they_are():
    level = Fade().level(Level(1.0, 1.0), 50.0)
    assert (level.gradients, level.curvature, level.overstated) == (1.0, 1.0, 1.0)
    assert (level.mean, level.low) == pytest.approx((10.8, 1.0))


def test_a_loss_that_goes_up_and_down_does_not_wear_memories_out():
    generator = torch.Generator().manual_seed(0)
    fade, level, product = Fade(), Level(), 1.0
    for room in torch.rand(2000, generator=generator).tolist():
        level = fade.level(level, room)
        product *= level.curvature
    assert product > 0.05


def test_without_a_bound_nothing_fades_and_a_loss_at_its_bound_is_no_trouble():
    assert math.isnan(Fade().level(Level(), None).mean)
    level = Level()
    for _ in range(2000):
        level = Fade().level(level, 0.0)
        assert math.isfinite(level.overstated)
        assert 0 <= level.curvature <= 1


def batches(count: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    found = []
    for _ in range(count):
        x = torch.randn(16, 5, generator=generator)
        found.append((x, (x[:, 0] > 0).long()))
    return found


def test_the_average_of_gradients_is_that_of_the_formula():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 2))
    fade, beta = Fade(), 0.9
    config = OCNOptConfig(step=FixedStep(), fade=fade, gradient_decay=beta)
    opt = OCNOpt(model, config=config, lr=0.01, weight_decay=0.0)
    average, mean, low = torch.zeros(2, 6), math.nan, math.inf
    for x, y in batches(12):
        loss = nn.functional.cross_entropy(model(x), y)
        loss_value = float(loss.detach())
        w, b = torch.autograd.grad(loss, list(model.parameters()))
        gradient = torch.cat([w, b[:, None]], dim=1)
        new = loss_value if math.isnan(mean) else 0.8 * mean + 0.2 * loss_value
        fall = min(1.0, new / low) if low < math.inf else 1.0
        mean, low = new, min(low, new)
        average = beta * math.sqrt(fall) * average + (1 - beta) * gradient
        opt.step(x, y)
    assert opt._solver is not None
    kept = opt._solver.stages[0].average
    assert kept is not None
    assert opt._solver.level.mean == pytest.approx(mean, rel=1e-5)
    torch.testing.assert_close(kept, average, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "rule",
    [KroneckerCurvature(), EigenKroneckerCurvature(), DiagonalCurvature(), FullCurvature()],
    ids=lambda rule: type(rule).__name__,
)
def test_faded_curvature_is_the_operator_times_the_factor(rule):
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(2, 9, 1, 3, generator=generator, dtype=torch.float64)
    right = torch.randn(9, 1, 4, generator=generator, dtype=torch.float64)
    like, gradient = torch.zeros(3, 4).double(), torch.randn(3, 4, generator=generator).double()
    state = rule.init((3, 4), like)
    for _ in range(2):
        state = rule.refresh(rule.update(state, OuterColumns(left, right), gradient), 1e-9)
    whole = rule.operator(state, 1e-9).solve(gradient)
    faded = rule.refresh(rule.faded(state, 0.25), 0.25e-9)
    torch.testing.assert_close(rule.operator(faded, 0.25e-9).solve(gradient), 4 * whole)


def test_curvature_waits_with_its_fading_for_the_next_measurement():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    opt = OCNOpt(model)
    waiting = []
    for x, y in batches(32):
        measured = opt.step(x, y).measured
        assert opt._solver is not None
        waiting.append((measured, opt._solver.faded))
    assert all(faded == 1.0 for measured, faded in waiting if measured)
    assert any(faded < 1.0 for measured, faded in waiting if not measured)


def test_a_stopped_run_goes_on_as_it_would(tmp_path):
    def run(stop: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
        opt = OCNOpt(model)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 30)
        for number, (x, y) in enumerate(batches(30)):
            if stop and number == 22:
                parts = [part.state_dict() for part in (model, opt, schedule)]
                torch.save(parts, tmp_path / "state.pt")
                model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
                opt = OCNOpt(model)
                schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 30)
                loaded = torch.load(tmp_path / "state.pt", weights_only=False)
                for part, state in zip((model, opt, schedule), loaded, strict=True):
                    part.load_state_dict(state)
            opt.step(x, y)
            schedule.step()
        return [p.detach().clone() for p in model.parameters()]

    for whole, resumed in zip(run(False), run(True), strict=True):
        assert torch.equal(whole, resumed)


def test_bad_settings_are_refused(as_user):
    with pytest.raises(InvalidInputError, match="gradients"):
        Fade(gradients=2.0)
    with pytest.raises(InvalidInputError, match="memory"):
        Fade(memory=1.0)
    with pytest.raises(InvalidInputError, match="fade: expected a Fade or None"):
        OCNOptConfig(fade=0.5)
    with pytest.raises(InvalidInputError, match="decay_growth"):
        OCNOptConfig(decay_growth=-1.0)
