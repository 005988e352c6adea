"""The robust job: equal terms, pictures, resume, attacks and their checks."""

import json
import math

import pytest
import torch
from torch import nn

from ocngame.errors import CheckpointError, InvalidInputError
from ocngame.games import PerturbationBall
from ocngame.training.adversarial_config import (
    AdversarialConfig,
    RobustSettings,
    adversarial_config_from_dict,
)
from ocngame.training.robust import RobustJob, RobustReport
from ocngame.training.robust_rows import read_robust_rows
from ocngame.training.robustness import (
    Attack,
    accuracy,
    auto_attack,
    has_torchattacks,
    randomly_perturbed_accuracy,
    robust_accuracy,
    robustness_curve,
    transferred_accuracy,
)

SMALL = RobustSettings(width=16)


def _finish(job):
    return [row for rows in job.run() for row in rows]


def _linear():
    """A classifier whose robust accuracy is known: |x - 1/2| against the radius."""
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [1.0]]))
        model.bias.copy_(torch.tensor([0.5, 0.0]))
    x = torch.tensor([[0.1], [0.35], [0.45], [0.55], [0.65], [0.9]])
    return model, x, (x[:, 0] > 0.5).long()


def test_robust_accuracy_is_exact_on_a_linear_classifier():
    model, x, y = _linear()
    ball = PerturbationBall(radius=0.1, low=0.0, high=1.0)
    attack = Attack(steps=10, restarts=2)
    curve = robustness_curve(model, x, y, ball=ball, multiples=(0, 1.0, 2.0, 5.0), attack=attack)
    assert curve == pytest.approx([1.0, 4 / 6, 2 / 6, 0.0])
    assert accuracy(model, x, y) == 1.0
    assert randomly_perturbed_accuracy(model, x, y, ball=ball) == pytest.approx(4 / 6)
    moved = transferred_accuracy(model, model, x, y, ball=ball, attack=attack)
    assert moved == pytest.approx(4 / 6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_other_librarys_attacks_agree_where_the_answer_is_known(norm):
    pytest.importorskip("torchattacks")
    model, x, y = _linear()
    ball = PerturbationBall(radius=0.1, norm=norm, low=0.0, high=1.0)
    attack = Attack(steps=20, restarts=2, library="torchattacks")
    state = torch.random.get_rng_state()
    assert robust_accuracy(model, x, y, ball=ball, attack=attack) == pytest.approx(4 / 6)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert "torchattacks" in attack.name


def test_attacks_refuse_what_they_cannot_do():
    with pytest.raises(InvalidInputError, match="library"):
        Attack(library="foolbox")
    with pytest.raises(InvalidInputError, match="steps"):
        Attack(steps=0)
    if not has_torchattacks():
        model, x, y = _linear()
        with pytest.raises(InvalidInputError, match="torchattacks"):
            Attack(library="torchattacks")
        with pytest.raises(InvalidInputError, match="torchattacks"):
            auto_attack(model, x, y, ball=PerturbationBall(radius=0.1), classes=2)


def test_masking_shows_in_a_report():
    good = {
        "clean": 1.0,
        "robust": 0.8,
        "attack": "",
        "curve": {0.0: 1.0, 1.0: 0.8, 2.0: 0.3},
        "transferred": 0.85,
        "random": 0.9,
    }
    assert not RobustReport(**good).masked
    assert not RobustReport(**{**good, "transferred": math.nan}).masked
    assert RobustReport(**{**good, "transferred": 0.7}).masked
    assert RobustReport(**{**good, "random": 0.7}).masked
    assert RobustReport(**{**good, "curve": {0.0: 1.0, 1.0: 0.5, 2.0: 0.8}}).masked


def test_a_run_leaves_rows_and_pictures_and_goes_on_bitwise(tmp_path, monkeypatch):
    monkeypatch.setattr("ocngame.training.robust.has_torchattacks", lambda: False)
    config = AdversarialConfig(
        steps=6, evaluate_every=2, checkpoint_every=2, batch_size=64, robust=SMALL
    )
    whole = RobustJob.start(config, tmp_path / "whole")
    rows = _finish(whole)
    assert [(row.step, row.method) for row in rows] == [
        (s, m) for s in (2, 4, 6) for m in ("players", "pgd", "trades", "fgsm")
    ]
    part = RobustJob.start(config, tmp_path / "part")
    steps = part.run()
    for _ in range(3):
        next(steps)
    steps.close()
    again = RobustJob.resume(tmp_path / "part")
    assert again.step == 2
    _finish(again)
    for one, two in zip(whole.rivals, again.rivals, strict=True):
        for a, b in zip(one.judged().parameters(), two.judged().parameters(), strict=True):
            assert torch.equal(a, b), one.name
    found = [read_robust_rows(tmp_path / name / "metrics.jsonl") for name in ("whole", "part")]
    assert [(r.step, r.clean, r.robust) for r in found[0]] == [
        (r.step, r.clean, r.robust) for r in found[1]
    ]
    monkeypatch.setattr(
        whole,
        "_reports",
        {
            rival.name: RobustReport(
                clean=1.0, robust=0.5, attack="", curve={0.0: 1.0, 1.0: 0.5}, transferred=1.0,
                random=1.0,
            )
            for rival in whole.rivals
        },
    )  # fmt: skip
    assert whole.draw() == ["curves.png", "robustness.png"]
    for name in whole.draw():
        assert (tmp_path / "whole" / name).read_bytes().startswith(b"\x89PNG")
    settings = tmp_path / "part" / "config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"adam_lr": 0.5}))
    with pytest.raises(CheckpointError, match="differ"):
        RobustJob.resume(tmp_path / "part")


def test_every_sample_comes_once_in_an_epoch():
    job = RobustJob(AdversarialConfig(batch_size=100, robust=SMALL, methods=("players",)))
    seen = torch.cat([job.batch(step) for step in range(14)])
    assert len(seen.unique()) == 1400
    assert not torch.equal(job.batch(0), job.batch(14))


def test_examination_attacks_every_rival(monkeypatch):
    monkeypatch.setattr("ocngame.training.robust.has_torchattacks", lambda: False)
    config = AdversarialConfig(steps=60, robust=SMALL, methods=("players", "fgsm"))
    job = RobustJob(config)
    _finish(job)
    reports = job.examine()
    assert reports.keys() == {"players", "fgsm"}
    for report in reports.values():
        assert report.attack == "PGD-50 x 10 (ours)"
        assert report.robust <= report.curve[0.5] <= report.clean
        assert not report.masked


def test_settings_suit_the_problem_and_survive_json(as_user):
    robust = AdversarialConfig(robust=RobustSettings(norm="l2", radius=0.5))
    assert robust.is_robust
    assert (robust.steps, robust.methods[1]) == (800, "pgd")
    assert adversarial_config_from_dict(json.loads(json.dumps(robust.as_dict()))) == robust
    gan = AdversarialConfig(problem="gan8")
    assert (gan.steps, gan.evaluate_every, gan.methods[1]) == (2000, 50, "adam")
    assert AdversarialConfig(problem="dirac_gan").steps == 100
    with pytest.raises(InvalidInputError, match="'lola' is not for the problem 'robust-digits'"):
        AdversarialConfig(methods=("lola",))
    with pytest.raises(InvalidInputError, match="'trades' is not for the problem 'ipd'"):
        AdversarialConfig(problem="ipd", methods=("trades",))
    for wrong in ({"radius": -1.0}, {"norm": "l1"}, {"width": 0}, {"stages": 0}):
        with pytest.raises(InvalidInputError, match=f"robust.{next(iter(wrong))}"):
            RobustSettings(**wrong)


def test_autoattack_in_l2_needs_images():
    pytest.importorskip("torchattacks")
    model, x, y = _linear()
    with pytest.raises(InvalidInputError, match="at least 5 x 5 pixels for AutoAttack in l2, got"):
        auto_attack(model, x, y, ball=PerturbationBall(radius=0.1, norm="l2"), classes=2)
