"""The supervised job: equal starts, exact resumption, refusals, and folders that stay whole."""

import itertools
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ocngame.errors import CheckpointError, InvalidInputError, UnsupportedModuleError
from ocngame.training.config import OCNOptSettings, SGDSettings, SupervisedConfig
from ocngame.training.metrics import read_metrics
from ocngame.training.supervised import SupervisedJob

SMALL = SupervisedConfig(data="wine", width=8, depth=1, epochs=4, batch_size=32, checkpoint_every=5)

OWN = """
import torch
from torch import nn

def dropout(features, classes):
    return nn.Sequential(nn.Linear(features, 6), nn.Tanh(), nn.Dropout(0.5), nn.Linear(6, classes))

class Deciding(nn.Linear):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else super().forward(-x)

def deciding(features, classes):
    return nn.Sequential(nn.Linear(features, 4), Deciding(4, classes))

def narrow(features, classes):
    return nn.Sequential(nn.Linear(features, classes - 1))

def failing(features, classes):
    raise ValueError("no such luck")

def nothing(features, classes):
    return None
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's with networks, in the current folder."""
    (tmp_path / "own_networks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("own_networks", None)


def finish(job: SupervisedJob) -> SupervisedJob:
    for _ in job.run():
        pass
    return job


def weights(job: SupervisedJob) -> dict[str, torch.Tensor]:
    return {
        c.name: torch.cat([p.detach().flatten() for p in c.model.parameters()])
        for c in job.contenders
    }


def rows_without_time(path: Path) -> list[dict]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "cpu_seconds"} for line in lines]


def assert_same(one: SupervisedJob, two: SupervisedJob) -> None:
    assert one.step == two.step
    assert one.reached == two.reached
    for name, values in weights(one).items():
        assert torch.equal(values, weights(two)[name]), name


def test_everybody_starts_from_the_same_weights_and_sees_the_same_batches():
    job = SupervisedJob(SMALL)
    first, *others = weights(job).values()
    assert all(torch.equal(first, other) for other in others)
    x, _ = job.batch(0)
    assert x.shape == (32, 13)
    assert torch.equal(x, SupervisedJob(SMALL).batch(0)[0])
    epoch = torch.cat([job.batch(k)[0] for k in range(job.steps_per_epoch)])
    assert len(torch.unique(epoch, dim=0)) == len(epoch)
    assert not torch.equal(x, job.batch(job.steps_per_epoch)[0])


def test_torchs_global_generator_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    finish(SupervisedJob(SMALL))
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("feedback", ["off", "per_sample", "exact"])
def test_training_works_with_every_feedback(feedback):
    config = replace(SMALL, ocnopt=OCNOptSettings(feedback=feedback), optimizers=("ocnopt",))
    job = SupervisedJob(config)
    losses = [rows[0].train_loss for rows in job.run()]
    assert losses[-1] < 0.2 * losses[0]
    assert job.contenders[0].refused == 0


@pytest.mark.parametrize("stop", [0, 3, 5, 7, 12])
def test_a_resumed_run_is_bitwise_equal_to_one_never_stopped(tmp_path, stop):
    whole = finish(SupervisedJob.start(SMALL, tmp_path / "whole"))
    job = SupervisedJob.start(SMALL, tmp_path / "split")
    for _ in itertools.islice(job.run(), stop):
        pass
    resumed = SupervisedJob.resume(tmp_path / "split")
    assert resumed.step == 5 * (stop // 5)
    finish(resumed)
    assert_same(whole, resumed)
    files = [tmp_path / name / "metrics.jsonl" for name in ("whole", "split")]
    assert rows_without_time(files[0]) == rows_without_time(files[1])


@pytest.mark.usefixtures("own")
def test_random_layers_resume_bitwise_too(tmp_path):
    config = replace(SMALL, model="own_networks:dropout")
    whole = finish(SupervisedJob.start(config, tmp_path / "whole"))
    for _ in itertools.islice(SupervisedJob.start(config, tmp_path / "split").run(), 8):
        pass
    assert_same(whole, finish(SupervisedJob.resume(tmp_path / "split")))


def test_a_finished_run_resumes_to_nothing(tmp_path):
    job = finish(SupervisedJob.start(SMALL, tmp_path / "run"))
    again = SupervisedJob.resume(tmp_path / "run")
    assert again.finished
    assert list(again.run()) == []
    assert_same(job, again)


def test_a_folder_has_everything_from_the_start(tmp_path):
    job = SupervisedJob.start(SMALL, tmp_path / "run")
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert names == {"config.json", "metrics.jsonl", "checkpoint.pt", "game.png"}
    finish(job)
    job.draw_curves()
    for picture in ("game.png", "curves.png"):
        assert (tmp_path / "run" / picture).read_bytes().startswith(b"\x89PNG")
    rows = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert len(rows) == 3 * job.total_steps
    assert {row.optimizer for row in rows} == {"ocnopt", "adam", "sgd"}
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


def test_an_earlier_run_is_left_whole(tmp_path):
    finish(SupervisedJob.start(SMALL, tmp_path / "run"))
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
    with pytest.raises(InvalidInputError, match="out: expected a folder that does not exist yet"):
        SupervisedJob.start(replace(SMALL, seed=1), tmp_path / "run")
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]


def test_a_folder_that_another_process_makes_meanwhile_is_left_whole(tmp_path, monkeypatch):
    taken = tmp_path / "run" / "theirs"

    def draw(self, path):
        taken.parent.mkdir()
        taken.touch()

    monkeypatch.setattr("ocngame.games.GameGraph.draw", draw)
    monkeypatch.setattr("ocngame.training.run_folder.RunFolder.draw", lambda s, p, d: d(p))
    with pytest.raises(InvalidInputError, match="out: expected a folder that does not exist yet"):
        SupervisedJob.start(SMALL, tmp_path / "run")
    assert list(tmp_path.rglob("*")) == [taken.parent, taken]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match=r"out: .*file"):
        SupervisedJob.start(SMALL, tmp_path / "file" / "run")


def test_a_step_with_non_finite_numbers_is_refused_and_counted():
    wild = SGDSettings(lr=1e25, momentum=0.0)
    config = replace(SMALL, sgd=wild, schedule="constant", activation="relu")
    job = finish(SupervisedJob(config))
    refused = {c.name: c.refused for c in job.contenders}
    assert refused["ocnopt"] == refused["adam"] == 0
    assert 0 < refused["sgd"] < job.total_steps
    assert all(math.isfinite(float(w.sum())) for w in weights(job).values())


def test_config_checkpoint_and_data_must_belong_together(tmp_path):
    samples = np.random.default_rng(0).normal(size=(64, 3))
    file = tmp_path / "own.npz"
    np.savez(file, x=samples, y=np.arange(64) % 2)
    run = tmp_path / "run"
    finish(SupervisedJob.start(replace(SMALL, data=str(file)), run))
    np.savez(file, x=samples + 1e-3, y=np.arange(64) % 2 == 0)
    with pytest.raises(InvalidInputError, match="y: expected 64 class numbers"):
        SupervisedJob.resume(run)
    np.savez(file, x=samples, y=1 - np.arange(64) % 2)
    with pytest.raises(CheckpointError, match="have changed since the run started"):
        SupervisedJob.resume(run)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"epochs": 9}))
    with pytest.raises(CheckpointError, match=r"config.json and the checkpoint differ in epochs"):
        SupervisedJob.resume(run)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "is not a run folder"), ("{", "expected JSON"), ("3", "expected an object")],
)
def test_folders_that_are_no_runs(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=message):
        SupervisedJob.resume(tmp_path)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": "mpl"}, InvalidInputError, "model: unknown name 'mpl'; did you mean 'mlp'"),
        ({"model": "nowhere:f"}, InvalidInputError, "model: expected module:function"),
        ({"model": "own_networks:none"}, InvalidInputError, "model: expected module:function"),
        ({"model": "own_networks:failing"}, InvalidInputError, "no such luck"),
        ({"model": "own_networks:nothing"}, InvalidInputError, "to give a torch module"),
        ({"model": "own_networks:narrow"}, InvalidInputError, r"output of shape \(samples, 3\)"),
        (
            {"model": "own_networks:deciding"},
            UnsupportedModuleError,
            r"cannot be traced into stages at '1'.*blocks=\[",
        ),
        ({"batch_size": 10_000}, InvalidInputError, "batch_size: expected at most the 142"),
        ({"device": "abacus"}, InvalidInputError, "device: expected a torch device that is here"),
        ({"data": "wines"}, InvalidInputError, "data: unknown name 'wines'"),
    ],
)
def test_a_bad_start_is_named_and_leaves_no_folder(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        SupervisedJob.start(replace(SMALL, **change), tmp_path / "runs" / "run")
    assert not (tmp_path / "runs").exists()


def test_sgd_is_torchs(tmp_path):
    """A contender's path is that of the plain training loop."""
    config = replace(SMALL, optimizers=("sgd",), schedule="cosine")
    job = SupervisedJob(config)
    model = nn.Sequential(nn.Linear(13, 8), nn.Tanh(), nn.Linear(8, 3))
    model.load_state_dict(job.contenders[0].model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=config.sgd.lr, momentum=config.sgd.momentum)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, job.total_steps)
    for step in range(job.total_steps):
        x, y = job.batch(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        schedule.step()
    finish(job)
    expected = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.equal(weights(job)["sgd"], expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_trains_and_resumes(tmp_path):
    config = replace(SMALL, device="cuda", data="digits")
    job = SupervisedJob.start(config, tmp_path / "run")
    losses = [[row.train_loss for row in rows] for rows in itertools.islice(job.run(), 30)]
    assert all(last < 0.5 * first for first, last in zip(losses[0], losses[-1], strict=True))
    finish(job)
    resumed = SupervisedJob.resume(tmp_path / "run")
    assert all(p.is_cuda for c in resumed.contenders for p in c.model.parameters())
    assert_same(job, resumed)
