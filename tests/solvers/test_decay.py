import pytest
import torch
from torch import nn

from ocngame.errors import InvalidInputError
from ocngame.solvers.ocnopt import Decay, OCNOpt, OCNOptConfig
from ocngame.solvers.ocnopt.decay import decay_and_move
from ocngame.solvers.ocnopt.groups import Rates, note_peaks


def moved(kind: Decay, decay: float) -> list[float]:
    u = torch.tensor([2.0, 2.0, -2.0, -2.0, 2.0])
    d = torch.tensor([1.0, -1.0, 1.0, -1.0, 0.0])
    decay_and_move([u], [d], [0.5], [decay], kind)
    return u.tolist()


def test_plain_decay_takes_from_every_entry_and_cautious_from_those_that_shrink():
    assert moved(Decay.PLAIN, 0.0) == [2.5, 1.5, -1.5, -2.5, 2.0]
    assert moved(Decay.PLAIN, 0.1) == pytest.approx([2.3, 1.3, -1.3, -2.3, 1.8])
    assert moved(Decay.CAUTIOUS, 0.0) == moved(Decay.PLAIN, 0.0)
    assert moved(Decay.CAUTIOUS, 0.1) == pytest.approx([2.5, 1.3, -1.3, -2.5, 2.0])


def test_parameters_have_their_own_rates_and_decays():
    u = [torch.ones(2), torch.ones(2)]
    decay_and_move(u, [-torch.ones(2)] * 2, [1.0, 0.5], [0.25, 0.0], Decay.CAUTIOUS)
    assert u[0].tolist() == [-0.25, -0.25]
    assert u[1].tolist() == [0.5, 0.5]


def test_plain_decay_holds_the_weights_of_a_trained_network_small():
    torch.manual_seed(0)
    x = torch.randn(64, 5)
    y = (x[:, 0] > 0).long()
    norms = []
    for decay in (0.0, 0.1):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
        opt = OCNOpt(
            model, weight_decay=decay, config=OCNOptConfig(decay=Decay.PLAIN, decay_growth=0.0)
        )
        for _ in range(60):
            opt.step(x, y)
        norms.append(float(sum(p.detach().square().sum() for p in model.parameters())))
    assert norms[1] < 0.8 * norms[0]


def test_an_unknown_kind_is_refused(as_user):
    with pytest.raises(InvalidInputError, match=r"decay: .*plain"):
        OCNOptConfig(decay="some")


def test_a_rate_above_one_does_not_raise_the_decay():
    parameter = nn.Parameter(torch.ones(1, 1))
    decays = [
        Rates([{"params": [parameter], "lr": lr, "weight_decay": 0.1}]).decay(parameter)
        for lr in (0.5, 1.0, 3.0)
    ]
    assert decays == pytest.approx([0.05, 0.1, 0.1])


def test_the_decay_grows_as_the_rate_falls_from_its_peak():
    parameter = nn.Parameter(torch.ones(1, 1))
    group = {"params": [parameter], "lr": 0.4, "weight_decay": 0.1}
    found = []
    for lr in (0.4, 0.8, 0.4, 0.2, 0.0):
        group["lr"] = lr
        found.append(Rates([group], growth=2.0).decay(parameter))
        note_peaks([group])
    assert found == pytest.approx([0.0, 0.0, 0.4 * 0.1 * 0.25, 0.2 * 0.1 * 0.5625, 0.0])
    assert group["peak_lr"] == 0.8


def test_a_schedule_lets_the_decay_set_in():
    torch.manual_seed(0)
    x = torch.randn(64, 5)
    y = (x[:, 0] > 0).long()
    norms = {}
    for decay in (0.0, 0.2):
        for falls in (False, True):
            torch.manual_seed(1)
            model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
            opt = OCNOpt(model, weight_decay=decay, config=OCNOptConfig(decay=Decay.PLAIN))
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 60)
            for _ in range(60):
                opt.step(x, y)
                if falls:
                    schedule.step()
            squares = sum(float(p.detach().square().sum()) for p in model.parameters())
            norms[decay, falls] = squares
    assert norms[0.2, False] == norms[0.0, False]
    assert norms[0.2, True] < 0.8 * norms[0.0, True]


def test_offsets_and_scales_decay_only_by_a_decay_of_their_own():
    torch.manual_seed(0)
    x, y = torch.randn(16, 5), torch.randint(2, (16,))

    def decays(groups) -> list[bool]:
        opt = OCNOpt(nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 2)))
        opt = OCNOpt(opt.model, groups=groups(opt.model))
        opt.step(x, y)
        rates = Rates(opt.param_groups)
        return [rates.decay(parameter) > 0 for parameter in opt.model.parameters()]

    assert decays(lambda model: []) == [True, False, False, False, True, False]
    scales = {"weight_decay": 0.1}
    own = decays(lambda model: [{"params": model[1].parameters(), **scales}])
    assert own == [True, False, True, True, True, False]
    same = decays(lambda model: [{"params": model[1].parameters(), "lr": 0.5}])
    assert same == [True, False, False, False, True, False]
