"""OCNOpt under DistributedDataParallel: two processes make the step of one with all samples."""

import distributed_steps
import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from ocngame.errors import UnsupportedModuleError
from ocngame.solvers.ocnopt import OCNOpt


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(distributed_steps.rank_of_two, (str(folder),), nprocs=2)
    return [torch.load(folder / f"rank{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("name", distributed_steps.CONFIGS)
def test_two_ranks_make_the_step_of_one_process(ranks, name):
    weights, losses, ratios = distributed_steps.run(name)
    for found, seen, judged in (rank[name] for rank in ranks):
        torch.testing.assert_close(found, weights, rtol=1e-9, atol=1e-11)
        assert seen == pytest.approx(losses, rel=1e-9)
        assert judged == pytest.approx(ratios, rel=1e-5, nan_ok=True)
    assert torch.equal(ranks[0][name][0], ranks[1][name][0])


def test_half_the_batch_alone_makes_another_step():
    whole, half = (distributed_steps.run("defaults", part=p)[0] for p in (slice(24), slice(12)))
    assert (whole - half).abs().max() > 1e-3


def test_backward_and_a_batch_that_one_rank_cannot_use(ranks):
    wanted = distributed_steps.accumulated(lambda model: model, slice(24))
    for rank in ranks:
        torch.testing.assert_close(rank["accumulated"], wanted, rtol=1e-9, atol=1e-11)
    assert torch.equal(ranks[0]["accumulated"], ranks[1]["accumulated"])


def test_all_ranks_hear_the_same_refusal(ranks):
    size, length, sweep = ranks[0]["refusals"]
    assert ranks[1]["refusals"] == [size, length, sweep]
    assert "outputs of one shape in all processes" in size
    assert size.endswith("got (8, 3) and (9, 3)")
    assert "states of one shape" in length
    assert sweep.startswith("sweep: expected 'linear' under DistributedDataParallel")


def test_the_estimate_counts_what_one_process_keeps(ranks):
    x, y = distributed_steps.batches()[0]
    own = OCNOpt(distributed_steps.network()).estimate(x, y).bytes_per_parameter
    assert [rank["estimate"] for rank in ranks] == [own, own]


def test_other_ways_to_distribute_are_refused_by_name():
    wrapped = nn.DataParallel(distributed_steps.network())
    with pytest.raises(UnsupportedModuleError, match="got one under DataParallel"):
        OCNOpt(wrapped)
