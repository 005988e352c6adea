"""OCNOpt in a user's own loop: accumulation, clipping, groups, freezing, autocast, compilation."""

import copy
import io

import pytest
import torch
from torch import nn

from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt import Decay, FallbackRule, OCNOpt, OCNOptConfig, Rhythm

OFTEN = OCNOptConfig(rhythm=Rhythm(first=2, measure_every=2))


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 12), nn.ReLU(), nn.Linear(12, 3)
    )


def batches(count: int, size: int = 48):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        x = torch.randn(size, 6, generator=generator)
        yield x, (x[:, 0] > 0).long() + (x[:, 1] * x[:, 2] > 0).long()


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def test_backward_and_step_are_one_whole_step():
    one, two = network(), network()
    first, second = OCNOpt(one, config=OFTEN), OCNOpt(two, config=OFTEN)
    for x, y in batches(7):
        whole = first.step(x, y)
        second.zero_grad()
        loss = second.backward(lambda x=x, y=y: second.loss(two(x), y))
        parts = second.step()
        assert float(loss) == whole.loss == parts.loss
        assert whole.measured == parts.measured
    assert torch.equal(weights(one), weights(two))


def test_gradients_of_several_batches_add_up():
    """Halves of a batch give its gradient; curvature is that of the last half."""
    one, two = network(), network()
    first, second = OCNOpt(one), OCNOpt(two)
    x, y = next(iter(batches(1)))
    first.backward(lambda: first.loss(one(x), y))
    for part in (slice(0, 24), slice(24, 48)):
        second.backward(lambda part=part: second.loss(two(x[part]), y[part]) / 2)
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)
    assert second.step().loss == pytest.approx(first.step().loss, rel=1e-6)
    assert not torch.equal(weights(two), weights(network()))


def test_clipped_gradients_are_the_ones_that_are_used():
    moved = []
    for clip in (False, True):
        model = network()
        opt = OCNOpt(model)
        for x, y in batches(3):
            opt.zero_grad()
            opt.backward(lambda m=model, o=opt, x=x, y=y: o.loss(m(x), y))
            if clip:
                nn.utils.clip_grad_value_(model.parameters(), 0.0)
            opt.step()
        moved.append(float((weights(model) - weights(network())).abs().max()))
    assert moved[0] > 1e-3
    assert moved[1] == 0


def test_groups_have_their_own_rates_and_decays():
    model = network()
    start = copy.deepcopy(model)
    plainly = OCNOptConfig(decay=Decay.PLAIN, decay_growth=0.0)
    opt = OCNOpt(
        model,
        weight_decay=0.0,
        groups=[
            {"params": model[0].parameters(), "lr": 0.0},
            {"params": [model[2].bias], "weight_decay": 0.5, "name": "offset"},
        ],
        config=plainly,
    )
    assert [len(group["params"]) for group in opt.param_groups] == [2, 1, 3]
    x, y = next(iter(batches(1)))
    plain = OCNOpt(
        other := network(),
        weight_decay=0.0,
        groups=[{"params": other[0].parameters(), "lr": 0.0}],
        config=plainly,
    )
    opt.step(x, y)
    plain.step(x, y)
    assert torch.equal(model[0].weight, start[0].weight)
    assert not torch.equal(model[4].weight, start[4].weight)
    lost = other[2].bias - model[2].bias
    torch.testing.assert_close(lost, 0.5 * start[2].bias)


def test_one_layer_has_one_rate():
    model = network()
    opt = OCNOpt(model, groups=[{"params": [model[0].bias], "lr": 0.5}])
    x, y = next(iter(batches(1)))
    with pytest.raises(InvalidInputError, match=r"groups: .* parameters of '0'.*\[0.5, 1.0\]"):
        opt.step(x, y)


def test_layers_may_be_frozen_and_released_on_the_way():
    model = network()
    opt = OCNOpt(model, config=OFTEN)
    data = iter(batches(9))
    for _ in range(3):
        opt.step(*next(data))
    model[0].requires_grad_(False)
    kept = model[0].weight.clone()
    for _ in range(3):
        assert opt.step(*next(data)).accepted
    assert torch.equal(model[0].weight, kept)
    model[0].requires_grad_(True)
    for _ in range(3):
        assert opt.step(*next(data)).accepted
    assert not torch.equal(model[0].weight, kept)
    model.requires_grad_(False)
    with pytest.raises(InvalidInputError, match="all of them frozen"):
        opt.step(*next(iter(batches(1))))


def test_a_parameter_without_gradient_stays():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.bypassed = network(), nn.Linear(6, 3)

        def forward(self, x):
            return self.used(x) + 0.0 * self.bypassed(x)

    torch.manual_seed(0)
    model = Branches()
    kept = model.bypassed.weight.clone()
    opt = OCNOpt(model, config=OFTEN)
    for x, y in batches(6):
        assert opt.step(x, y).accepted
    assert torch.equal(model.bypassed.weight, kept)


def test_first_gradient_zero_moves_nothing_and_breaks_nothing():
    model = network()
    opt = OCNOpt(model)
    x, y = next(iter(batches(1)))
    info = opt.step(lambda: 0.0 * opt.loss(model(x), y))
    assert info.accepted
    assert torch.equal(weights(model), weights(network()))
    assert opt.step(x, y).accepted
    assert bool(torch.isfinite(weights(model)).all())


@pytest.mark.parametrize("steps", [3, 4])
def test_refused_steps_are_counted_and_leave_no_trace(steps):
    model, clean = network(), network()
    opt, reference = OCNOpt(model, config=OFTEN), OCNOpt(clean, config=OFTEN)
    data = list(batches(steps + 3))
    for number, (x, y) in enumerate(data):
        if number == steps:
            bad = opt.step(x * float("nan"), y)
            assert (bad.accepted, bad.refused) == (False, 1)
            huge = opt.step(lambda x=x, y=y: opt.loss(model(x), y) * float("inf"))
            assert (huge.accepted, huge.refused) == (False, 2)
        opt.step(x, y)
        reference.step(x, y)
    assert torch.equal(weights(model), weights(clean))


def test_autocast_in_bfloat16_learns_with_state_in_full_precision():
    model = network()
    opt = OCNOpt(model, config=OFTEN)
    losses = []
    for x, y in batches(40):

        def closure(x=x, y=y):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return nn.functional.cross_entropy(model(x).float(), y)

        losses.append(opt.step(closure).loss)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    for entry in opt.state_dict()["state"].values():
        for value in entry.values():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                assert value.dtype in {torch.float32, torch.float64}


@pytest.mark.parametrize("config", [OFTEN, OCNOptConfig.with_feedback("exact")])
def test_autocast_around_the_step_is_for_the_network_only(config):
    """Curvature and moves are computed in the precision of the parameters all the same."""
    within, around = network(), network()
    one, two = OCNOpt(within, config=config), OCNOpt(around, config=config)
    seen, found = [], []
    for x, y in batches(5):

        def closure(x=x, y=y):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return one.loss(within(x).float(), y)

        seen.append(str(one.step(closure)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for x, y in batches(5):
            found.append(str(two.step(lambda x=x, y=y: two.loss(around(x).float(), y))))
    assert found == seen
    assert torch.equal(weights(within), weights(around))


def test_autocast_with_float16_is_refused_whatever_the_output():
    model = nn.Sequential(network(), nn.LogSoftmax(-1))
    opt = OCNOpt(model)
    x, y = next(iter(batches(1)))
    with (
        torch.autocast("cpu", dtype=torch.float16),
        pytest.raises(InvalidInputError, match="float16; use autocast with bfloat16"),
    ):
        opt.step(x, y)


def test_frameworks_hand_the_closure_over_by_its_name():
    one, two, three = network(), network(), network()
    first, second, third = (OCNOpt(model, config=OFTEN) for model in (one, two, three))
    for x, y in batches(4):
        first.step(x, y)
        second.step(closure=lambda x=x, y=y: second.loss(two(x), y))
        third.zero_grad()
        third.backward(lambda x=x, y=y: third.loss(three(x), y))
        third.step(closure=lambda: None)
    assert torch.equal(weights(one), weights(two))
    assert torch.equal(weights(one), weights(three))
    x, y = next(iter(batches(1)))
    with pytest.raises(InvalidInputError, match="closure: expected none beside x"):
        first.step(x, y, closure=lambda: None)
    first.backward(lambda: first.loss(one(x), y))
    with pytest.raises(InvalidInputError, match="closure: expected one that returns None"):
        first.step(closure=lambda: first.loss(one(x), y))


def test_a_scaled_loss_is_refused():
    model = network()
    opt = OCNOpt(model)
    scaler = torch.amp.GradScaler("cpu")
    x, y = next(iter(batches(1)))
    opt.backward(lambda: scaler.scale(opt.loss(model(x), y)))
    start = weights(model)
    with pytest.raises(InvalidInputError, match="GradScaler: expected none"):
        scaler.step(opt)
    assert torch.equal(weights(model), start)
    idle = torch.amp.GradScaler("cpu", enabled=False)
    opt.zero_grad()
    opt.backward(lambda: idle.scale(opt.loss(model(x), y)))
    assert idle.step(opt).accepted


def test_parameters_that_are_not_the_models_are_refused():
    model, foreign = network(), nn.Parameter(torch.zeros(2))
    with pytest.raises(InvalidInputError, match="groups: expected parameters of the model"):
        OCNOpt(model, groups=[{"params": [foreign]}])
    opt = OCNOpt(model)
    with pytest.raises(InvalidInputError, match="groups: expected parameters of the model"):
        opt.add_param_group({"params": [foreign]})


def test_new_values_are_taken_and_new_parameters_refused():
    """Parameters changed behind its back: the values are the user's, the objects are not."""
    model = network()
    opt = OCNOpt(model, config=OFTEN)
    data = list(batches(24))
    for x, y in data[:4]:
        opt.step(x, y)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter))
    infos = [opt.step(x, y) for x, y in data[4:]]
    assert all(info.accepted for info in infos)
    assert infos[-1].loss < 0.6 * infos[0].loss
    model[0].weight = nn.Parameter(torch.randn(16, 6))
    with pytest.raises(InvalidInputError, match="model: expected the parameters that the opt"):
        _ = [opt.step(x, y) for x, y in data[:2]]


def test_a_model_that_changes_its_precision_takes_the_state_along():
    """The same as a state that is loaded into another precision."""
    moved, loaded = network(), network()
    first, second = OCNOpt(moved, config=OFTEN), OCNOpt(loaded, config=OFTEN)
    data = list(batches(8))
    for x, y in data[:4]:
        first.step(x, y)
        second.step(x, y)
    moved.double()
    other = copy.deepcopy(loaded).double()
    third = OCNOpt(other, config=OFTEN)
    third.load_state_dict(second.state_dict())
    for x, y in data[4:]:
        assert first.step(x.double(), y).accepted
        third.step(x.double(), y)
    assert torch.equal(weights(moved), weights(other))
    kinds = {
        value.dtype
        for entry in first.state_dict()["state"].values()
        for value in entry.values()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
    }
    assert kinds == {torch.float64}


def test_half_precision_is_refused_by_name():
    model = network()
    x, y = next(iter(batches(1)))

    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x).half()

    half = Half()
    opt = OCNOpt(half)
    with pytest.raises(InvalidInputError, match="float16; use autocast with bfloat16"):
        opt.step(lambda: nn.functional.cross_entropy(half(x).float(), y))


@pytest.mark.slow
def test_a_compiled_model_makes_the_same_steps():
    plain, base = network(), network()
    compiled = torch.compile(base, backend="aot_eager")
    one, two = OCNOpt(plain, config=OFTEN), OCNOpt(compiled, config=OFTEN)
    for x, y in batches(8):
        one.step(x, y)
        two.step(x, y)
    torch.testing.assert_close(weights(plain), weights(base), rtol=1e-4, atol=1e-5)


def test_state_dict_of_another_device_or_a_fresh_process_goes_on():
    whole, split = network(), network()
    opt = OCNOpt(whole, config=OFTEN)
    half = OCNOpt(split, config=OFTEN)
    data = list(batches(9))
    for x, y in data:
        opt.step(x, y)
    for x, y in data[:4]:
        half.step(x, y)
    buffer = io.BytesIO()
    torch.save(half.state_dict(), buffer)
    buffer.seek(0)
    resumed = OCNOpt(split, config=OFTEN, seed=7)
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    for x, y in data[4:]:
        resumed.step(x, y)
    assert torch.equal(weights(split), weights(whole))


def test_the_estimate_is_true_and_changes_nothing():
    model = network()
    opt = OCNOpt(model)
    x, y = next(iter(batches(1)))
    start, generator = weights(model), torch.get_rng_state()
    told = opt.estimate(x, y)
    assert torch.equal(weights(model), start)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(p.grad is None for p in model.parameters())
    opt.step(x, y)
    kept = sum(
        value.numel() * value.element_size()
        for key, entry in opt.state_dict()["state"].items()
        if key != "solver"
        for value in entry.values()
    )
    assert told.state_bytes == kept
    assert 1 < told.work_ratio < told.first_work_ratio < 20
    assert told.uncovered == ()
    reference = OCNOpt(network())
    reference.step(x, y)
    assert torch.equal(weights(model), weights(reference.model))


def test_state_takes_less_than_thirty_bytes_a_parameter():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    told = OCNOpt(model).estimate(torch.randn(8, 784), torch.arange(8))
    assert told.bytes_per_parameter < 30


def test_adam_moves_what_no_stage_covers():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.shift = network(), nn.Parameter(torch.zeros(3))

        def forward(self, x):
            return self.inner(x) + self.shift

    torch.manual_seed(0)
    model = Shifted()
    opt = OCNOpt(model, config=OCNOptConfig(fallback=FallbackRule(rate=0.01)))
    assert opt.game.uncovered == ("shift",)
    x, y = next(iter(batches(1)))
    opt.step(x, y)
    torch.testing.assert_close(
        model.shift.detach().abs(), torch.full((3,), 0.01), rtol=1e-3, atol=0
    )
