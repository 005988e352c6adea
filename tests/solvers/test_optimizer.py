"""OCNOpt as a citizen of torch: closures, checkpoints, refusals, schedulers."""

import io
from dataclasses import replace

import pytest
import torch
from torch import nn

from ocngame.curvature import (
    DampingMetric,
    EigenKroneckerCurvature,
    ExactColumns,
    FullCurvature,
    KroneckerCurvature,
    SketchedColumns,
)
from ocngame.errors import InvalidInputError, UnknownNameError, UnsupportedModuleError
from ocngame.games.rollout import trained_controls
from ocngame.solvers.ocnopt import (
    Feedback,
    FixedDamping,
    FixedStep,
    Judge,
    LevenbergMarquardt,
    ModelStep,
    OCNOpt,
    OCNOptConfig,
    Rhythm,
    Sweep,
    TrustRegionStep,
)
from ocngame.solvers.ocnopt.moves import control_sizes

JUDGED = OCNOptConfig(
    columns=ExactColumns(),
    step=ModelStep(),
    damping=LevenbergMarquardt(),
    rhythm=Rhythm(refresh_every=1),
)


def network(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)


def batches(count: int, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        x = torch.randn(32, 5, generator=generator, dtype=torch.float64).to(dtype)
        yield x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


@pytest.mark.parametrize(
    ("curvature", "feedback", "step"),
    [
        (FullCurvature(decay=0.0), Feedback.OFF, FixedStep()),
        (FullCurvature(decay=0.0), Feedback.OFF, ModelStep()),
        (KroneckerCurvature(decay=0.0), Feedback.OFF, FixedStep()),
        (EigenKroneckerCurvature(decay=0.0), Feedback.OFF, ModelStep()),
        (DampingMetric(), Feedback.EXACT, FixedStep()),
        (DampingMetric(), Feedback.EXACT, ModelStep()),
    ],
)
def test_one_step_solves_a_linear_quadratic_problem(curvature, feedback, step):
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 2)).double()
    x = torch.randn(20, 4, dtype=torch.float64)
    y = torch.randn(20, 2, dtype=torch.float64)
    design = torch.cat([x, torch.ones(20, 1, dtype=torch.float64)], 1)
    best = (design @ torch.linalg.lstsq(design, y).solution - y).square().mean()
    config = OCNOptConfig(
        curvature=curvature,
        feedback=feedback,
        step=step,
        columns=ExactColumns(),
        damping=FixedDamping(damping=1e-8),
        gradient_decay=0.0,
    )
    start = nn.functional.mse_loss(model(x), y).detach()
    OCNOpt(model, nn.MSELoss(), weight_decay=0.0, config=config).step(x, y)
    final = nn.functional.mse_loss(model(x), y).detach()
    assert float(start - best) > 0.1
    torch.testing.assert_close(final, best, rtol=1e-6, atol=0)


def test_defaults_learn_and_say_what_they_did():
    model = network(torch.float32)
    opt = OCNOpt(model)
    infos = [opt.step(x, y) for x, y in batches(40, torch.float32)]
    assert all(info.accepted for info in infos)
    assert infos[-1].loss < 0.5 * infos[0].loss
    assert sum(info.measured for info in infos) == 25
    assert all(info.predicted < 0 for info in infos)
    assert set(infos[0].as_dict()) >= {"loss", "length", "damping", "predicted"}


def test_closure_and_batch_calls_are_the_same_step():
    one, two = network(), network()
    first, second = OCNOpt(one), OCNOpt(two)
    for x, y in batches(5):
        first.step(x, y)
        second.step(lambda x=x, y=y: nn.functional.cross_entropy(two(x), y))
    torch.testing.assert_close(weights(one), weights(two), rtol=0, atol=0)


def test_a_closure_that_calls_backward_is_refused_by_name():
    model = network()
    x, y = next(iter(batches(1)))

    def closure():
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return loss

    start = weights(model)
    with pytest.raises(InvalidInputError, match=r"closure: .* on which backward has been called"):
        OCNOpt(model).step(closure)
    assert torch.equal(weights(model), start)


@pytest.mark.parametrize("columns", [ExactColumns(), SketchedColumns(2)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_dict_resumes_bitwise(columns, dtype):
    config = OCNOptConfig(columns=columns, rhythm=Rhythm(first=2, measure_every=2, refresh_every=3))
    whole, split = network(dtype), network(dtype)
    data = list(batches(12, dtype))
    opt = OCNOpt(whole, config=config)
    for x, y in data:
        opt.step(x, y)
    opt = OCNOpt(split, config=config)
    for x, y in data[:7]:
        opt.step(x, y)
    buffer = io.BytesIO()
    torch.save({"model": split.state_dict(), "optimizer": opt.state_dict()}, buffer)
    buffer.seek(0)
    saved = torch.load(buffer, weights_only=True)
    resumed = network(dtype)
    resumed.load_state_dict(saved["model"])
    opt = OCNOpt(resumed, config=config, seed=99)
    opt.load_state_dict(saved["optimizer"])
    for x, y in data[7:]:
        opt.step(x, y)
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_non_finite_batch_is_refused_and_changes_nothing(poison):
    model = network()
    clean = network()
    opt, reference = OCNOpt(model), OCNOpt(clean)
    data = list(batches(6))
    for x, y in data[:3]:
        opt.step(x, y)
        reference.step(x, y)
    before = weights(model)
    bad = data[3][0].clone()
    bad[2, 1] = poison
    info = opt.step(bad, data[3][1])
    assert not info.accepted
    assert torch.equal(weights(model), before)
    for x, y in data[3:]:
        opt.step(x, y)
        reference.step(x, y)
    assert torch.equal(weights(model), weights(clean))


def test_a_refused_step_raises_a_damping_that_adapts():
    model = network()
    opt = OCNOpt(model, config=JUDGED)
    (x, y), *_ = batches(1)
    opt.step(x, y)
    before, start = weights(model), opt.state_dict()["state"]["solver"]
    refused = opt.step(x * torch.nan, y)
    assert (refused.accepted, refused.refused, refused.damping) == (False, 1, start["damping"])
    after = opt.state_dict()["state"]["solver"]
    assert torch.equal(weights(model), before)
    assert after["damping"] == JUDGED.damping.adjusted(start["damping"], float("nan"))
    assert after["damping"] > start["damping"]
    assert torch.equal(after["generator"], start["generator"])
    assert after["step"] == start["step"]
    assert opt.step(x, y).accepted


@pytest.mark.parametrize("config", [JUDGED, OCNOptConfig(step=FixedStep())])
def test_learning_rate_scales_the_move_and_schedulers_work(config):
    moves = []
    for lr in (1.0, 0.5):
        model = network()
        start = weights(model)
        x, y = next(iter(batches(1)))
        OCNOpt(model, lr=lr, config=config).step(x, y)
        moves.append(weights(model) - start)
    torch.testing.assert_close(0.5 * moves[0], moves[1])
    model = network()
    opt = OCNOpt(model)
    schedule = torch.optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.1)
    x, y = next(iter(batches(1)))
    opt.step(x, y)
    schedule.step()
    assert opt.param_groups[0]["lr"] == pytest.approx(0.1)


def test_frozen_layers_stay():
    model = network()
    model[0].weight.requires_grad_(False)
    model[0].bias.requires_grad_(False)
    before = model[0].weight.clone()
    opt = OCNOpt(model)
    x, y = next(iter(batches(1)))
    start = model[2].weight.detach().clone()
    opt.step(x, y)
    assert torch.equal(model[0].weight, before)
    assert not torch.equal(model[2].weight, start)


def test_rollout_sweep_tends_to_the_linear_one_for_small_moves():
    gaps = []
    for damping in (1e2, 1e4):
        moves = []
        for sweep in Sweep:
            model = network()
            start = weights(model)
            config = OCNOptConfig(
                curvature=DampingMetric(),
                feedback=Feedback.EXACT,
                sweep=sweep,
                step=FixedStep(),
                damping=FixedDamping(damping=damping),
                gradient_decay=0.0,
            )
            x, y = next(iter(batches(1)))
            OCNOpt(model, config=config).step(x, y)
            moves.append(weights(model) - start)
        gaps.append(float((moves[0] - moves[1]).norm() / moves[0].norm()))
    assert 0 < gaps[1] < 0.02 * gaps[0]


def test_damping_follows_the_reduction_ratio():
    rule = LevenbergMarquardt(start=1.0, every=5, factor=0.9, low=0.25, high=0.75)
    assert rule.adjusted(1.0, 0.76) == pytest.approx(0.9**5)
    assert rule.adjusted(1.0, 0.5) == 1.0
    assert rule.adjusted(1.0, 0.24) == pytest.approx(0.9**-5)
    assert rule.adjusted(1.0, float("nan")) == pytest.approx(0.9**-5)
    assert rule.adjusted(rule.least, 2.0) == rule.least
    assert rule.adjusted(rule.most, 0.0) == rule.most
    assert [rule.measures(step) for step in range(6)] == [True, *[False] * 4, True]


def test_held_out_ratio_is_that_of_the_next_batch():
    model, older = network(), network()
    opt = OCNOpt(model, weight_decay=0.0, config=JUDGED)
    last = None
    for x, y in batches(6):
        now = nn.functional.cross_entropy(model(x), y).item()
        old = nn.functional.cross_entropy(older(x), y).item()
        older.load_state_dict(model.state_dict())
        info = opt.step(x, y)
        if last is None:
            assert info.ratio != info.ratio
        else:
            assert info.ratio == pytest.approx((now - old) / last.predicted, rel=1e-9)
            assert info.damping == opt.config.damping.adjusted(last.damping, info.ratio)
        last = info


def test_on_one_batch_both_judges_measure_the_same():
    ratios = []
    for judge in (Judge.SAME_BATCH, Judge.NEXT_BATCH):
        damping = LevenbergMarquardt(judge=judge, least=0.03, most=0.03)
        opt = OCNOpt(network(), weight_decay=0.0, config=replace(JUDGED, damping=damping))
        x, y = next(iter(batches(1)))
        ratios.append([opt.step(x, y).ratio for _ in range(6)])
    assert ratios[0][:-1] == pytest.approx(ratios[1][1:], rel=1e-6)


def test_judging_leaves_the_controls_bitwise_as_they_are():
    """With bounds that leave lambda no room, it is the path of a fixed lambda."""
    moved = []
    for damping in (
        LevenbergMarquardt(start=0.1, least=0.1, most=0.1),
        FixedDamping(damping=0.1),
    ):
        model = network(torch.float32)
        opt = OCNOpt(model, weight_decay=0.0, config=replace(JUDGED, damping=damping))
        for x, y in batches(8, torch.float32):
            opt.step(x, y)
        moved.append(weights(model))
    assert torch.equal(moved[0], moved[1])


class Several(nn.Module):
    """A network whose output is no tensor."""

    def __init__(self, kind):
        super().__init__()
        self.inner, self.kind = network(), kind

    def forward(self, x):
        return self.kind(self.inner(x))


@pytest.mark.parametrize(
    ("kind", "read", "got"),
    [
        (lambda y: (y, y), lambda out: out[0], "tuple"),
        (lambda y: {"logits": y}, lambda out: out["logits"], "dict"),
        (lambda y: y.sum(), lambda out: out.expand(32, 3), r"shape \(\)"),
    ],
)
def test_a_model_with_another_output_than_one_tensor_is_refused(kind, read, got):
    model = Several(kind)
    opt = OCNOpt(model)
    x, y = next(iter(batches(1)))
    with pytest.raises(InvalidInputError, match=f"model: expected an output .* got {got}"):
        opt.step(lambda: opt.loss(read(model(x)), y))


class Deciding(nn.Module):
    """A layer that is used only where its input is positive on the mean."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, 8).double()

    def forward(self, x):
        return x + self.inner(x) if x.mean() > -10 else x


@pytest.mark.parametrize("block", [Deciding, "1"])
def test_a_part_that_cannot_be_traced_is_a_block(block):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), Deciding(), nn.Linear(8, 3)).double()
    with pytest.raises(UnsupportedModuleError, match=r"at '1' .* blocks="):
        OCNOpt(model)
    opt = OCNOpt(model, blocks=[block])
    assert opt.game.uncovered == ("1.inner.weight", "1.inner.bias")
    start = model[1].inner.weight.detach().clone()
    infos = [opt.step(x, y) for x, y in batches(30)]
    assert all(info.accepted for info in infos)
    assert sum(info.loss for info in infos[-5:]) / 5 < 0.85 * infos[0].loss
    assert not torch.equal(model[1].inner.weight, start)


def test_a_step_in_inference_mode_is_refused_and_one_without_gradients_is_none_the_worse():
    model = network()
    opt = OCNOpt(model)
    x, y = next(iter(batches(1)))
    with torch.no_grad():
        assert opt.step(x, y).accepted
    with torch.inference_mode(), pytest.raises(InvalidInputError, match="inference_mode"):
        opt.step(x, y)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.MSELoss()])
def test_a_batch_of_one_is_a_batch_and_an_empty_one_is_refused(loss):
    model = network()
    opt = OCNOpt(model, loss)
    x, y = next(iter(batches(1)))
    y = y if isinstance(loss, nn.CrossEntropyLoss) else x[:, :3]
    infos = [opt.step(x[:1], y[:1]) for _ in range(10)]
    assert all(info.accepted for info in infos)
    assert infos[-1].loss < infos[0].loss
    with pytest.raises(InvalidInputError, match="x: expected at least one sample"):
        opt.step(x[:0], y[:0])


@pytest.mark.parametrize(
    ("make", "error", "named"),
    [
        (lambda m: OCNOpt(m, lr=-1.0), InvalidInputError, "lr.*-1"),
        (lambda m: OCNOpt(m, weight_decay=-0.1), InvalidInputError, "weight_decay"),
        (lambda m: OCNOpt(m, nn.L1Loss()), InvalidInputError, "loss.*L1Loss"),
        (lambda m: OCNOpt(m, nn.MSELoss(reduction="sum")), InvalidInputError, "reduction"),
        (lambda m: OCNOpt(m.forward), InvalidInputError, "model: expected a torch module"),
        (lambda _: OCNOpt(nn.Sequential(nn.Tanh())), UnsupportedModuleError, "no stage"),
        (lambda _: OCNOptConfig(feedback="on"), UnknownNameError, "feedback.*'on'"),
        (lambda _: Rhythm(refresh_every=0), InvalidInputError, "refresh_every"),
        (lambda _: OCNOptConfig(gradient_decay=1.0), InvalidInputError, "gradient_decay"),
        (lambda _: LevenbergMarquardt(start=0.0), InvalidInputError, "start"),
        (lambda _: FixedStep(momentum=1.5), InvalidInputError, "momentum"),
        (lambda _: TrustRegionStep(fraction=0.0), InvalidInputError, "fraction"),
        (lambda m: OCNOpt(m).step(), InvalidInputError, "x: expected a batch"),
        (lambda m: OCNOpt(m, groups=[{"lr": 1.0}]), InvalidInputError, "groups.*'params'"),
        (lambda _: SketchedColumns(0), InvalidInputError, "count"),
        (lambda _: KroneckerCurvature(decay=1.0), InvalidInputError, "decay"),
        (lambda m: OCNOpt(m).step(torch.zeros(1, 5).double()), InvalidInputError, "y:.*target"),
    ],
)
@pytest.mark.usefixtures("as_user")
def test_bad_input_is_named(make, error, named):
    with pytest.raises(error, match=named):
        make(network())


def test_the_size_of_a_control_is_its_norm_or_that_of_usual_first_weights():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 12))
    nn.init.constant_(model[0].weight, 2.0)
    nn.init.constant_(model[0].bias, 1.0)
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    opt = OCNOpt(model)
    sizes = control_sizes(trained_controls(opt.game.program, opt.game.control_stages))
    torch.testing.assert_close(sizes, torch.tensor([51.0**0.5, 2.0], dtype=torch.float64))
