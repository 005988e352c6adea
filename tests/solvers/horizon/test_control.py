"""Times beside the weights: policy, bounds, the first-order rule, refusals, resumption."""

import copy

import pytest
import torch
from torch import nn
from vector_fields import PlainField

import ocngame as og
from ocngame.errors import InvalidInputError
from ocngame.games.continuous import TimeBounds, TimeCost
from ocngame.solvers.horizon import ExactTimes, FirstOrderTimes, SecondOrderTimes, TimeControl

LOSS = nn.CrossEntropyLoss()
RULES = [
    SecondOrderTimes(start=0, every=1),
    SecondOrderTimes(start=0, every=1, curvature=ExactTimes()),
    FirstOrderTimes(start=0, lr=0.05),
]


def network(**block):
    torch.manual_seed(0)
    ode = og.NeuralODE(PlainField(3, 5), learn_times=True, **block)
    return nn.Sequential(nn.Linear(4, 3), ode, nn.Linear(3, 3)).double()


def batch(seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(16, 4, dtype=torch.float64, generator=generator)
    return x, x[:, :3].argmax(1)


def advance(model, opt, x, y):
    def move():
        opt.zero_grad()
        LOSS(model(x), y).backward()
        opt.step()

    return move


def test_times_answer_the_move_of_the_weights():
    model = network(times=(0.0, 0.5, 1.2), steps=2)
    rule = SecondOrderTimes(start=0, every=1, memory=0.0, radius=100.0)
    control = TimeControl(model, rule=rule, bounds=TimeBounds(low=1e-3, high=1e3, gap=1e-6))
    x, y = batch()
    policy = control.policy(x, y)
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    opt = torch.optim.SGD(model.parameters(), lr=0.05)
    _, made = control.step(advance(model, opt, x, y), x, y)
    du = {n: p.detach() - before[n] for n, p in model.named_parameters() if n != "1.ends"}
    answer = sum((gain.flatten(1) @ du[n].flatten() for n, gain in policy.feedback.items()))
    assert answer.abs().min() > 1e-6
    torch.testing.assert_close(torch.tensor(made.feedforward).double(), policy.feedforward)
    torch.testing.assert_close(torch.tensor(made.feedback).double(), answer)
    torch.testing.assert_close(policy.move(du), policy.feedforward + answer)
    if not made.active:
        torch.testing.assert_close(torch.tensor(made.move).double(), policy.move(du))
    wished = before["1.ends"] + torch.tensor(made.move, dtype=torch.float64)
    torch.testing.assert_close(model[1].ends.detach(), wished)


def test_the_policy_is_the_minimum_of_the_joint_model():
    """Of `Q_T dT + Q_Tu du dT + Q_TT dT^2 / 2`: no neighbour of its answer promises more."""
    model = network()
    control = TimeControl(model, rule=SecondOrderTimes())
    policy = control.policy(*batch())
    du = {n: 0.1 * torch.randn_like(p) for n, p in model.named_parameters() if n != "1.ends"}
    best = policy.move(du)
    least = policy.predicted(du, best)
    for shift in (-1e-2, 1e-2):
        assert policy.predicted(du, best + shift) > least


def test_a_negative_curvature_still_gives_a_step_against_the_slope():
    model = network()
    control = TimeControl(model, rule=SecondOrderTimes(curvature=ExactTimes()))
    for seed in range(40):
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed)
            for p in model[1].field.parameters():
                p.normal_(generator=generator)
        policy = control.policy(*batch())
        if float(policy.expansion.q_tt) < 0:
            assert float(policy.expansion.q_t * policy.feedforward) < 0
            return
    pytest.fail("no weights with a negative second derivative")


@pytest.mark.parametrize("rule", RULES)
def test_a_bound_is_reached_held_and_reported(rule):
    model = network(times=(0.0, 1.0), step=0.25)
    bounds = TimeBounds(low=0.5, high=2.0)
    control = TimeControl(model, rule=rule, bounds=bounds, cost=TimeCost(per_evaluation=1.0))
    opt = torch.optim.SGD(model.parameters(), lr=0.01)
    counts = []
    for k in range(20):
        x, y = batch(k)
        _, made = control.step(advance(model, opt, x, y), x, y)
        counts.append(made.evaluations)
        assert made.accepted
    assert float(model[1].times[-1].detach()) == pytest.approx(0.5, abs=1e-12)
    assert made.active == ("1: shortest time",)
    assert made.move == pytest.approx((0.0,), abs=1e-12)
    assert counts[-1] == 8
    assert sorted(counts, reverse=True) == counts


def test_neighbouring_times_keep_their_distance():
    model = network(times=(0.0, 0.5, 1.0), steps=1)
    bounds = TimeBounds(low=0.2, high=2.0, gap=0.1)
    rule = SecondOrderTimes(start=0, every=1)
    control = TimeControl(model, rule=rule, bounds=bounds, cost=TimeCost(per_time=10.0))
    opt = torch.optim.SGD(model.parameters(), lr=0.0)
    for k in range(20):
        x, y = batch(k)
        _, made = control.step(advance(model, opt, x, y), x, y)
    first, last = made.times
    assert last == pytest.approx(0.2)
    assert first == pytest.approx(0.1)
    assert set(made.active) >= {"1: gap before time 2", "1: gap before time 1"} or set(
        made.active
    ) >= {"1: shortest time"}


def test_the_radius_bounds_a_move():
    model = network()
    rule = SecondOrderTimes(start=0, every=1, radius=0.02)
    control = TimeControl(model, rule=rule, cost=TimeCost(per_time=100.0))
    opt = torch.optim.SGD(model.parameters(), lr=0.0)
    x, y = batch()
    _, made = control.step(advance(model, opt, x, y), x, y)
    assert made.move == pytest.approx((-0.02,))
    assert made.active == ()


def test_the_first_order_rule_is_torchs_adam():
    model = network(times=(0.0, 0.5, 1.2), steps=2)
    other = copy.deepcopy(model)
    control = TimeControl(model, rule=FirstOrderTimes(lr=0.03, start=0))
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    weights = [p for n, p in other.named_parameters() if n != "1.ends"]
    others = torch.optim.SGD(weights, lr=0.1), torch.optim.Adam([other[1].ends], lr=0.03)
    for k in range(6):
        x, y = batch(k)
        control.step(advance(model, opt, x, y), x, y)
        LOSS(other(x), y).backward()
        for one in others:
            one.step()
            one.zero_grad()
        torch.testing.assert_close(model[1].ends, other[1].ends)


@pytest.mark.parametrize("make", [lambda m: torch.optim.Adam(m.parameters(), lr=0.1), og.OCNOpt])
def test_the_optimizer_of_the_weights_leaves_the_times_alone(make):
    model = network()
    rule = SecondOrderTimes(start=1000)
    control = TimeControl(model, rule=rule)
    opt = make(model)
    x, y = batch()

    def move():
        if isinstance(opt, og.OCNOpt):
            return opt.step(x, y)
        return advance(model, opt, x, y)()

    start = {n: p.detach().clone() for n, p in model.named_parameters()}
    for _ in range(3):
        control.step(move, x, y)
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, start[n])}
    assert moved == set(start) - {"1.ends"}
    control.close()
    move()
    assert not torch.equal(model[1].ends, start["1.ends"])


@pytest.mark.parametrize("rule", RULES)
def test_numbers_that_are_not_finite_leave_the_times(rule):
    model = network()
    control = TimeControl(model, rule=rule)
    opt = torch.optim.SGD(model.parameters(), lr=0.0)
    x, y = batch()
    control.step(advance(model, opt, x, y), x, y)
    kept, state = model[1].ends.detach().clone(), control.state_dict()
    bad = x.clone()
    bad[0, 0] = float("nan")
    _, made = control.step(advance(model, opt, bad, y), bad, y)
    assert not made.accepted
    assert control.refused == 1
    assert torch.equal(model[1].ends, kept)
    after = control.state_dict()
    assert torch.equal(after["adam"]["mean"], state["adam"]["mean"])
    assert torch.equal(after["average"]["slope"], state["average"]["slope"])


@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_control_goes_on_bitwise(rule):
    whole = network()
    control = TimeControl(whole, rule=rule)
    opt = torch.optim.SGD(whole.parameters(), lr=0.1)
    halves = None
    for k in range(6):
        if k == 3:
            halves = copy.deepcopy((whole.state_dict(), control.state_dict()))
        control.step(advance(whole, opt, *batch(k)), *batch(k))
    assert halves is not None
    split = network()
    resumed = TimeControl(split, rule=rule)
    split.load_state_dict(halves[0])
    resumed.load_state_dict(halves[1])
    again = torch.optim.SGD(split.parameters(), lr=0.1)
    for k in range(3, 6):
        resumed.step(advance(split, again, *batch(k)), *batch(k))
    for one, other in zip(whole.parameters(), split.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("rule", [SecondOrderTimes(start=2, every=2), FirstOrderTimes(start=2)])
def test_times_wait_and_move_in_their_rhythm(rule):
    model = network()
    control = TimeControl(model, rule=rule)
    opt = torch.optim.SGD(model.parameters(), lr=0.1)
    moved = []
    for k in range(6):
        _, made = control.step(advance(model, opt, *batch(k)), *batch(k))
        moved.append(made.move[0] != 0)
    assert moved == [False, False, True, isinstance(rule, FirstOrderTimes), True, moved[3]]


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        (SecondOrderTimes, {"every": 0}, "every"),
        (SecondOrderTimes, {"start": -1}, "start"),
        (SecondOrderTimes, {"radius": 0.0}, "radius"),
        (SecondOrderTimes, {"memory": 1.0}, "memory"),
        (FirstOrderTimes, {"lr": -1.0}, "lr"),
        (FirstOrderTimes, {"beta_2": 1.0}, "beta_2"),
    ],
)
def test_senseless_settings_are_named(kind, options, named):
    with pytest.raises(InvalidInputError, match=rf"^{named}: expected"):
        kind(**options)


@pytest.mark.usefixtures("as_user")
def test_a_rule_of_another_kind_is_named():
    with pytest.raises(InvalidInputError, match=r"^rule: expected"):
        TimeControl(network(), rule="fast")
    with pytest.raises(InvalidInputError, match=r"^rule: expected"):
        TimeControl(network(), rule=FirstOrderTimes()).policy(*batch())
    with pytest.raises(InvalidInputError, match=r"^curvature: expected"):
        SecondOrderTimes(curvature="exact")
