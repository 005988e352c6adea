"""Gradients and curvature by backward equations: exact against graphs, constant in memory."""

import copy
import weakref

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jacrev
from vector_fields import DenseField, ImageField, Solved, dense_model, image_model

import ocngame as og
from ocngame import GameGraph, NeuralODE
from ocngame.curvature import CrossEntropyHessian
from ocngame.errors import InvalidInputError, UnsupportedModuleError
from ocngame.games.continuous import Adaptive, Adjoint
from ocngame.games.rollout import record_rollout
from ocngame.linalg import IntegratedColumns
from ocngame.solvers.ocnopt import OCNOptConfig
from ocngame.solvers.ocnopt.rhythm import Rhythm

torchdiffeq = pytest.importorskip("torchdiffeq")

TIGHT = Adjoint(adaptive=Adaptive(rtol=1e-8, atol=1e-8), nodes=14)


def inputs(model):
    torch.manual_seed(5)
    shape = (3,) if next(model.parameters()).ndim == 2 else (2, 3, 3)
    return torch.randn(4, *shape, dtype=torch.float64)


def gradient(model, x):
    model.zero_grad()
    F.cross_entropy(model(x), torch.arange(len(x)) % 2).backward()
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def rolled_out(model, x):
    game = GameGraph.from_module(model)
    return record_rollout(
        game.program,
        game.control_stages,
        lambda: model(x),
        twins=game.twins,
        fields=game.fields,
        foreign=game.foreign,
    )


def columns(model, x):
    rollout = rolled_out(model, x)
    seeds = CrossEntropyHessian().exact(rollout.output.detach())
    return rollout, rollout.backpropagate(seeds)


def flat(found):
    return torch.cat([z.dense.flatten(0, 1).flatten(1) for z in found], 1)


def off(a, b):
    return float((a - b).norm() / b.norm())


def foreign(field, y):
    times = torch.tensor([0.0, 0.4, 1.0], dtype=y.dtype)
    return torchdiffeq.odeint_adjoint(field, y, times, rtol=1e-8, atol=1e-8)[-1]


def foreign_even(field, y):
    times = torch.tensor([0.0, 1.0], dtype=y.dtype)
    options = {"step_size": 0.05}
    solved = torchdiffeq.odeint_adjoint(field, y, times, method="rk4", options=options)
    return torchdiffeq.odeint_adjoint(field, solved[-1], times, method="rk4", options=options)[-1]


class OnPairs(nn.Module):
    """A field on a pair of states, the second of which is driven by the first."""

    def __init__(self):
        super().__init__()
        self.field = DenseField(2, 4)
        self.gain = nn.Linear(2, 2)

    def forward(self, t, state):
        x, y = state
        return self.field(t, x), torch.tanh(self.gain(y)) * x


class PairModel(nn.Module):
    def __init__(self, **options):
        super().__init__()
        torch.manual_seed(3)
        self.before, self.ode = nn.Linear(3, 2), NeuralODE(OnPairs(), **options)
        self.after = nn.Linear(4, 2)

    def forward(self, x):
        y = self.before(x)
        x, y = self.ode((y, torch.ones_like(y)))
        return self.after(torch.cat([x, y], 1))


def every(**options):
    torch.manual_seed(2)
    ode = NeuralODE(DenseField(3, 4), times=(0.0, 0.5, 1.5), every=True, **options)
    return nn.Sequential(ode, nn.Linear(3, 2), nn.Flatten(), nn.Linear(6, 2)).double()


MODELS = {
    "dense": lambda **o: dense_model(times=(0.0, 0.4, 1.0), **o),
    "backward in time": lambda **o: dense_model(times=(1.0, 0.2), **o),
    "images": lambda **o: image_model(**o),
    "all times": every,
    "pairs": lambda **o: PairModel(**o).double(),
}


@pytest.fixture(params=MODELS.values(), ids=list(MODELS))
def make(request):
    return request.param


def test_gradient_is_that_of_the_graph_as_the_step_goes_to_zero(make):
    gaps = []
    for steps in (8, 16):
        model = make(steps=steps)
        adjoint = make(steps=steps, mode="adjoint")
        adjoint.load_state_dict(model.state_dict())
        x = inputs(model)
        with torch.no_grad():
            torch.testing.assert_close(adjoint(x), model(x), rtol=1e-12, atol=1e-13)
        gaps.append(off(gradient(adjoint, x), gradient(model, x)))
    assert gaps[1] < 1e-5
    assert gaps[1] < gaps[0] / 8


def test_gradient_is_torchdiffeqs_to_the_tolerance():
    ours = dense_model(times=(0.0, 0.4, 1.0), mode=TIGHT)
    theirs = Solved(foreign, copy.deepcopy(ours[1].field)).double()
    theirs.before.load_state_dict(ours[0].state_dict())
    theirs.after.load_state_dict(ours[2].state_dict())
    x = inputs(ours)
    gradient(ours, x)
    gradient(theirs, x)
    for name, other in (("0", "before"), ("1.field", "field"), ("2", "after")):
        for one, two in zip(
            ours.get_submodule(name).parameters(),
            theirs.get_submodule(other).parameters(),
            strict=True,
        ):
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-6)


def test_gauss_newton_from_backward_equations_is_the_dense_one(make):
    """The oracle differentiates a fine discretisation by torch.func, output by output."""
    model, oracle = make(mode=TIGHT), make(steps=30)
    oracle.load_state_dict(model.state_dict())
    x = inputs(model)
    rollout, found = columns(model, x)
    z = flat(found) / len(x) ** 0.5
    jacobians = jacrev(lambda p: functional_call(oracle, p, (x,)))(dict(oracle.named_parameters()))
    names = {id(p): name for name, p in model.named_parameters()}
    rows = (
        torch.stack(
            [
                torch.cat(
                    [
                        c.join([jacobians[names[id(p)]][b, k] for p in c.parameters]).flatten()
                        for c in rollout.controls
                    ]
                )
                for b in range(len(x))
                for k in range(rollout.output.shape[1])
            ]
        )
        .detach()
        .unflatten(0, rollout.output.shape)
    )
    p = rollout.output.detach().softmax(-1)
    hessian = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    wanted = torch.einsum("bcn,bcd,bdm->nm", rows, hessian, rows) / len(x)
    assert off(z.mT @ z, wanted) < 2e-6


def test_the_modes_agree_as_the_step_goes_to_zero(make):
    gaps = []
    for steps in (4, 8, 16):
        model = make(steps=steps)
        adjoint = make(steps=steps, mode=Adjoint(nodes=24))
        adjoint.load_state_dict(model.state_dict())
        x = inputs(model)
        gaps.append(off(flat(columns(adjoint, x)[1]), flat(columns(model, x)[1])))
    assert gaps[2] < 1e-4
    assert gaps[1] < gaps[0] / 6
    assert gaps[2] < gaps[1] / 6


def test_densities_are_those_of_the_graph():
    model = dense_model(steps=32)
    adjoint = dense_model(mode=TIGHT)
    x = inputs(model)
    for one, other in zip(columns(adjoint, x)[1], columns(model, x)[1], strict=True):
        assert isinstance(one, IntegratedColumns) == isinstance(other, IntegratedColumns)
        if isinstance(one, IntegratedColumns) and isinstance(other, IntegratedColumns):
            for a, b in zip(one.densities((1, 1)), other.densities((1, 1)), strict=True):
                assert off(a, b) < 1e-5


@pytest.mark.parametrize("solve", [foreign, foreign_even])
def test_unmodified_odeint_adjoint_is_collected(solve):
    torch.manual_seed(1)
    model = Solved(solve, DenseField(2, 4)).double()
    x = inputs(model)
    before = gradient(model, x)
    rollout, found = columns(model, x)
    assert torch.equal(gradient(model, x), before)
    assert torchdiffeq.odeint_adjoint.__module__.startswith("torchdiffeq")
    if solve is foreign:
        blocks = [NeuralODE(model.field, times=(0.0, 0.4, 1.0), steps=30)]
    else:  # the second solve starts at t = 0 again
        blocks = [NeuralODE(model.field, steps=30)] * 2
    twin = nn.Sequential(model.before, *blocks, model.after)
    other, wanted = columns(twin, x)
    assert [c.module for c in rollout.controls] == [c.module for c in other.controls]
    assert off(flat(found), flat(wanted)) < 1e-3


def test_intervals_add_up():
    whole = dense_model(times=(0.0, 1.0), mode=TIGHT)
    field = whole[1].field
    stopped = nn.Sequential(whole[0], NeuralODE(field, times=(0.0, 0.3, 1.0), mode=TIGHT), whole[2])
    parted = nn.Sequential(
        whole[0],
        NeuralODE(field, times=(0.0, 0.5), mode=TIGHT),
        NeuralODE(field, times=(0.5, 1.0), mode=TIGHT),
        whole[2],
    )
    x = inputs(whole)
    first = columns(whole, x)[1]
    for model in (stopped, parted):
        for one, other in zip(columns(model, x)[1], first, strict=True):
            assert off(one.dense, other.dense) < 1e-5
            if isinstance(one, IntegratedColumns) and isinstance(other, IntegratedColumns):
                for a, b in zip(one.densities((1, 1)), other.densities((1, 1)), strict=True):
                    assert off(a, b) < 1e-5


def test_measured_steps_leave_the_gradient_bitwise_as_it_is(make):
    model = make(mode=Adjoint())
    x = inputs(model)
    before = gradient(model, x)
    rollout, _ = columns(model, x)
    model.zero_grad()
    F.cross_entropy(rollout.output, torch.arange(len(x)) % 2).backward()
    assert torch.equal(torch.cat([p.grad.flatten() for p in model.parameters()]), before)


def test_times_have_their_gradient():
    model = every(mode=TIGHT, learn_times=True)
    x = inputs(every())
    gradient(model, x)
    found = model[0].ends.grad.clone()

    def loss(ends):
        with torch.no_grad():
            model[0].ends.copy_(torch.tensor(ends, dtype=torch.float64))
            return float(F.cross_entropy(model(x), torch.arange(len(x)) % 2))

    h = 1e-3
    wanted = [
        (loss([0.5 + h, 1.5]) - loss([0.5 - h, 1.5])) / (2 * h),
        (loss([0.5, 1.5 + h]) - loss([0.5, 1.5 - h])) / (2 * h),
    ]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=found.dtype), rtol=1e-4, atol=3e-6)


class Alive:
    """Bytes of tensors that autograd keeps, and the most at any time."""

    def __init__(self):
        self.now = self.most = 0

    def pack(self, tensor):
        size = tensor.numel() * tensor.element_size()
        box = _Box(tensor.detach())
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(box, self._gone, size)
        return box

    def _gone(self, size):
        self.now -= size


class _Box:
    def __init__(self, tensor):
        self.tensor = tensor


def kept_bytes(model, x, *, measured):
    alive = Alive()
    with torch.autograd.graph.saved_tensors_hooks(alive.pack, lambda box: box.tensor):
        if measured:
            rollout, found = columns(model, x)
            output = rollout.output
            uses = [use for z in found if isinstance(z, IntegratedColumns) for use in z.uses]
            alive.most += sum(u.left.numel() + u.right.numel() for u in uses) * 8
        else:
            output = model(x)
        F.cross_entropy(output, torch.arange(len(x)) % 2).backward()
    return alive.most


@pytest.mark.parametrize("measured", [False, True])
def test_memory_does_not_depend_on_the_steps(measured):
    found = {
        mode: [
            kept_bytes(
                dense_model(steps=n, mode=mode, method="euler"),
                torch.ones(4, 3).double(),
                measured=measured,
            )
            for n in (8, 128)
        ]
        for mode in ("adjoint", "discretise")
    }
    few, many = found["adjoint"]
    assert few == many
    few, many = found["discretise"]
    assert many > 10 * few  # what the adjoint mode saves


@pytest.mark.parametrize(
    "mode", ["adjoint", Adjoint(adaptive=Adaptive(rtol=1e-5, atol=1e-5))], ids=["even", "adaptive"]
)
def test_ocnopt_trains_as_with_the_graph(mode):
    torch.manual_seed(0)
    x = torch.randn(32, 3, dtype=torch.float64)
    y = (x[:, 0] * x[:, 1] > 0).long()
    losses = []
    for how in ("discretise", mode):
        model = dense_model(steps=8, mode=how)
        config = OCNOptConfig(rhythm=Rhythm(first=2, measure_every=4))
        opt = og.OCNOpt(model, config=config)
        losses.append([opt.step(x, y).loss for _ in range(5)])
    assert losses[1][-1] < 0.9 * losses[1][0]
    assert losses[1][:2] == pytest.approx(losses[0][:2], rel=1e-3)


def test_a_field_that_couples_samples_is_refused():
    class Normed(ImageField):
        def __init__(self):
            super().__init__(2)
            self.norm = nn.BatchNorm2d(4)

    model = nn.Sequential(
        NeuralODE(Normed(), mode="adjoint"), nn.Flatten(), nn.Linear(18, 3)
    ).double()
    with pytest.raises(UnsupportedModuleError, match="BatchNorm2d inside a field"):
        columns(model, torch.randn(4, 2, 3, 3).double())


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"mode": "backwards"}, "mode: expected 'discretise', 'adjoint' or an Adjoint"),
        ({"mode": 3}, "mode: expected"),
    ],
)
def test_a_wrong_mode_is_refused(options, match, as_user):
    with pytest.raises(InvalidInputError, match=match):
        NeuralODE(DenseField(2, 4), **options)


def test_a_function_is_no_field_of_the_adjoint_mode():
    with pytest.raises(InvalidInputError, match="field: expected a module"):
        NeuralODE(lambda t, x: -x, mode="adjoint")


@pytest.mark.parametrize(
    "settings",
    [
        lambda: Adaptive(rtol=0.0),
        lambda: Adaptive(rtol=2.0),
        lambda: Adaptive(rtol=1e-20),
        lambda: Adaptive(rtol=float("nan")),
        lambda: Adaptive(atol=-1.0),
        lambda: Adaptive(atol=float("inf")),
        lambda: Adaptive(method="dopri"),
        lambda: Adaptive(most_steps=0),
        lambda: Adjoint(nodes=0),
        lambda: Adjoint(kept=0),
        lambda: Adjoint(drift=0.0),
        lambda: Adjoint(adaptive="dopri5"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, as_user):
    with pytest.raises(InvalidInputError):
        settings()


def test_networks_that_call_no_solver_of_torchdiffeq_are_known():
    def by_name(field, y):
        parameters = tuple(field.parameters())
        times = torch.tensor([0.0, 1.0], dtype=y.dtype)
        options = {"adjoint_params": parameters, "rtol": 1e-8, "atol": 1e-8}
        return torchdiffeq.odeint_adjoint(lambda t, x: field(t, x), y, times, **options)[-1]

    for calm in (nn.Sequential(nn.Linear(3, 2)), dense_model(), dense_model(mode=TIGHT)):
        assert not GameGraph.from_module(calm).foreign
    assert GameGraph.from_module(dense_model(), blocks=("2",)).foreign
    model = Solved(by_name, DenseField(2, 4)).double()
    assert GameGraph.from_module(model).foreign
    rollout, _ = columns(model, inputs(model))
    assert len(rollout.solved) == 1


def test_an_event_is_refused():
    def solve(field, y):
        times = torch.tensor([0.0, 1.0], dtype=y.dtype)
        return torchdiffeq.odeint_adjoint(
            field, y, times, event_fn=lambda t, x: t - 0.5, rtol=1e-5, atol=1e-5
        )[1][-1]

    model = Solved(solve, DenseField(2, 4)).double()
    x = inputs(model)
    with pytest.raises(InvalidInputError, match="event_fn"):
        columns(model, x)
