"""What users of curvature optimizers complain of most, one test each.

Layers passed over in silence, uncovered kinds of layers, and the drift over versions have tests of
their own (`tests/games`, `test_reference_path.py`).
"""

import io
import traceback
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ocngame.curvature import (
    Curvature,
    DiagonalCurvature,
    EigenKroneckerCurvature,
    ExactColumns,
    FictitiousPlayers,
    FullCurvature,
    IdentityCurvature,
    KroneckerCurvature,
    RootMeanSquareCurvature,
    SquaredErrorHessian,
)
from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt import FixedDamping, OCNOpt, OCNOptConfig

RULES: list[Curvature] = [
    IdentityCurvature(),
    DiagonalCurvature(),
    RootMeanSquareCurvature(),
    KroneckerCurvature(),
    EigenKroneckerCurvature(),
    FullCurvature(),
    FictitiousPlayers(count=2),
]


def network(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 4)).to(dtype)


def data(dtype: torch.dtype = torch.float64, size: int = 48) -> tuple[Tensor, Tensor]:
    x = torch.randn(size, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x.to(dtype), (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def weights(model: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


def walked(opt: OCNOpt, steps: int, x: Any, y: Tensor | None = None) -> Tensor:
    infos = [opt.step(x, y) for _ in range(steps)]
    assert all(info.accepted for info in infos)
    return weights(opt.model)


@pytest.mark.parametrize("feedback", ["off", "per_sample", "exact"])
def test_damping_means_the_same_at_every_batch_size(feedback):
    """A batch that holds every sample three times makes the same steps."""
    x, y = data()
    moved = []
    for times in (1, 3):
        config = OCNOptConfig.with_feedback(feedback)
        config = OCNOptConfig(columns=ExactColumns()) if feedback == "off" else config
        opt = OCNOpt(network(), config=config)
        moved.append(walked(opt, 5, x.repeat(times, 1), y.repeat(times)))
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-7, atol=1e-9)


def test_damping_is_in_units_of_the_loss_of_a_sample():
    """A loss in other units makes the same steps at a damping in those units.

    A loss that is a sum over the batch, whose units its size would change, is refused by name.
    """
    with pytest.raises(InvalidInputError, match="reduction='mean'"):
        OCNOpt(network(), nn.CrossEntropyLoss(reduction="sum"))
    x, _ = data()
    target = x[:, :4].sin()
    moved = []
    for factor in (1.0, 100.0):
        model = network()

        def loss(model=model, factor=factor):
            return factor * 0.5 * (model(x) - target).square().sum(1).mean()

        opt = OCNOpt(
            model,
            config=OCNOptConfig(damping=FixedDamping(damping=3e-4 * factor)),
            hessian=SquaredErrorHessian(scale=factor),
        )
        moved.append(walked(opt, 5, loss))
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: type(r).__name__)
def test_a_first_gradient_of_zero_gives_no_nan(rule):
    model = network()
    x, _ = data()
    target = model(x).detach()
    opt = OCNOpt(model, nn.MSELoss(), config=OCNOptConfig(curvature=rule))
    start = weights(model)
    assert torch.equal(walked(opt, 1, x, target), start)
    later = walked(opt, 3, x, target + 1.0)
    assert bool(torch.isfinite(later).all())
    assert not torch.equal(later, start)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: type(r).__name__)
def test_parameters_in_bfloat16_are_factorised_in_float32(rule):
    model, (x, y) = network(torch.bfloat16), data(torch.bfloat16)
    opt = OCNOpt(model, config=OCNOptConfig(curvature=rule))
    first = opt.step(x, y).loss
    walked(opt, 15, x, y)
    assert opt.step(x, y).loss < first


def test_the_fallback_moves_parameters_in_bfloat16():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network(torch.bfloat16)
            self.shift = nn.Parameter(torch.zeros(4, dtype=torch.bfloat16))

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + self.shift

    model, (x, y) = Shifted(), data(torch.bfloat16)
    walked(OCNOpt(model), 1, x, y)
    torch.testing.assert_close(
        model.shift.detach().float().abs(), torch.full((4,), 1e-3), rtol=0.02, atol=0
    )


def test_a_state_is_loaded_with_parameters_that_have_no_gradient():
    class Partly(nn.Module):
        """Trained, frozen, never called, and without a stage."""

        def __init__(self):
            super().__init__()
            self.inner, self.idle = network(), nn.Linear(3, 3).double()
            self.shift = nn.Parameter(torch.zeros(4, dtype=torch.float64))
            self.inner[0].bias.requires_grad_(False)
            self.shift.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + self.shift

    x, y = data()
    whole, split = Partly(), Partly()
    first, second = OCNOpt(whole), OCNOpt(split)
    walked(first, 6, x, y)
    walked(second, 3, x, y)
    buffer = io.BytesIO()
    torch.save(second.state_dict(), buffer)
    buffer.seek(0)
    third = OCNOpt(split, seed=5)
    third.load_state_dict(torch.load(buffer, weights_only=True))
    walked(third, 3, x, y)
    for one, two in zip(whole.inner.parameters(), split.inner.parameters(), strict=True):
        assert torch.equal(one, two)


class _Waits(TorchDispatchMode):
    """Counts where the host asks a tensor for its value."""

    def __init__(self):
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "local_scalar_dense" in str(func):
            self.places.append(traceback.format_stack(limit=8)[0])
        return func(*args, **(kwargs or {}))


def test_a_step_waits_for_the_device_a_few_times_whatever_the_depth():
    counts = []
    for depth in (1, 6):
        torch.manual_seed(0)
        hidden = [layer for _ in range(depth) for layer in (nn.Linear(6, 6), nn.Tanh())]
        opt = OCNOpt(nn.Sequential(*hidden, nn.Linear(6, 4)).double())
        x, y = data()
        walked(opt, 25, x, y)
        with _Waits() as waits:
            walked(opt, 3, x, y)
        counts.append(len(waits.places))
    assert counts[0] == counts[1] <= 3 * 3


def test_counters_of_steps_do_not_recompile_a_model():
    torch.compiler.reset()
    model = network(torch.float32)
    graphs = []

    def backend(graph, _inputs):
        graphs.append(graph)
        return graph

    opt = OCNOpt(torch.compile(model, backend=backend))
    x, y = data(torch.float32)
    for _ in range(24):
        assert opt.step(x, y).accepted
    early = len(graphs)
    for _ in range(10):
        assert opt.step(x, y).accepted
    assert len(graphs) == early <= 2
    assert early > 0


def test_memory_of_wide_layers_stays_in_proportion():
    for words in (500, 8000):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Embedding(words, 16), nn.Flatten(), nn.Linear(32, 32), nn.Linear(32, words)
        )
        x = torch.randint(0, words, (128, 2), generator=torch.Generator().manual_seed(1))
        told = OCNOpt(model).estimate(x, x[:, 0])
        assert told.bytes_per_parameter < 32
        assert told.work_ratio < 10
