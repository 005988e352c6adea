"""One step of every peer that is installed, and of OCNOpt."""

import pytest
import torch
from torch import Tensor

from benchmarks.supervised.ours import changes_of, ocnopt_trainer
from benchmarks.supervised.peers import PEERS
from benchmarks.supervised.tasks import TASKS
from benchmarks.supervised.trainers import Trainer, state_bytes

TASK = TASKS["wine"]


def batch() -> tuple[Tensor, Tensor]:
    fit = TASK.split(0).fit
    return fit.x[:32], fit.y[:32]


def losses(trainer: Trainer, steps: int) -> list[float]:
    x, y = batch()
    return [trainer.step(x, y) for _ in range(steps)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PEERS)
def test_peer_lowers_the_loss_of_a_batch(name: str) -> None:
    peer = PEERS[name]
    if not peer.installed:
        pytest.skip(f"{peer.needs} is not installed")
    torch.manual_seed(0)
    trainer = peer.trainer(TASK, 0, peer.grid[len(peer.grid) // 2])
    found = losses(trainer, 14)  # more than the steps before the first preconditioner
    assert found[-1] < 0.95 * found[0]
    assert state_bytes(trainer.state()) >= 4 * sum(p.numel() for p in trainer.model.parameters())


def test_averaged_weights_are_seen_in_evaluation_only() -> None:
    peer = PEERS["schedule-free"]
    if not peer.installed:
        pytest.skip(f"{peer.needs} is not installed")
    trainer = peer.trainer(TASK, 0, 0.03)
    losses(trainer, 5)
    trained = next(trainer.model.parameters()).clone()
    with trainer.evaluating():
        assert not torch.equal(trained, next(trainer.model.parameters()))
    torch.testing.assert_close(trained, next(trainer.model.parameters()))


def test_muon_moves_matrices_through_views() -> None:
    trainer = PEERS["muon"].trainer(TASK, 0, 0.1)
    before = [p.clone() for p in trainer.model.parameters()]
    losses(trainer, 1)
    after = list(trainer.model.parameters())
    assert all(not torch.equal(b, a) for b, a in zip(before, after, strict=True))
    move = (after[0] - before[0]).detach() + 0.1 * 0.01 * before[0].detach()
    values = torch.linalg.svdvals(move) / (0.1 * 0.2 * max(move.shape) ** 0.5)
    assert float(values.min()) > 0.5  # orthogonalised, as Adam's move would not be
    assert float(values.max()) < 1.5


@pytest.mark.parametrize(
    "name",
    [
        "ocnopt",
        "ocnopt:lr=0.3,damping=30,schedule=constant",
        "ocnopt:feedback=exact,curvature=identity",
    ],
)
def test_ocnopt_lowers_the_loss_of_a_batch(name: str) -> None:
    found = losses(ocnopt_trainer(name, TASK, 0), 10)
    assert found[-1] < 0.95 * found[0]


def test_scaled_damping_is_that_of_the_default() -> None:
    default, scaled = (ocnopt_trainer(n, TASK, 0) for n in ("ocnopt", "ocnopt:damping=30"))
    starts = [t.optimizer.config.damping.initial for t in (default, scaled)]
    assert starts[1] == pytest.approx(30 * starts[0])


def test_unknown_change_is_named() -> None:
    with pytest.raises(SystemExit, match="colour"):
        changes_of("ocnopt:colour=red")


def test_state_bytes_counts_shared_storage_once() -> None:
    tensor = torch.zeros(10)
    loop: dict[str, object] = {"a": tensor, "b": [tensor.view(2, 5), torch.zeros(3)]}
    loop["self"] = loop
    assert state_bytes(loop) == 40 + 12
