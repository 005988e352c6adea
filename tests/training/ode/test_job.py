"""The continuous-time job: equal starts, exact resumption, counts, pictures, refusals."""

import itertools
import json
import math
from dataclasses import replace

import pytest
import torch

from ocngame.errors import CheckpointError, InvalidInputError, UnknownNameError
from ocngame.training.ode.config import ODEConfig, ode_config_from_dict
from ocngame.training.ode.job import ODEJob
from ocngame.training.ode.pictures import states_over_time
from ocngame.training.ode.problem import make_problem
from ocngame.training.ode.rows import read_ode_rows
from ocngame.training.ode.times_config import TimesSettings

SMALL = ODEConfig(steps=7, solver_steps=2, width=6, knots=5, batch_size=32, checkpoint_every=3)
EVERY_NETWORK = ["japanese_vowels", "oscillations", "digits", "moons"]


def finish(job):
    return [row for rows in job.run() for row in rows]


def weights(job):
    return {
        c.name: torch.cat([p.detach().flatten() for p in c.model.parameters()])
        for c in job.contenders
    }


def rows_without_time(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "cpu_seconds"} for line in lines]


def test_everybody_starts_from_the_same_weights_and_sees_the_same_batches():
    job = ODEJob(SMALL)
    first, *others = weights(job).values()
    assert len(others) == 2
    assert all(torch.equal(first, other) for other in others)
    assert all(torch.equal(first, w) for w in weights(ODEJob(SMALL)).values())
    x, y = job.batch(0)
    assert x.shape == (32, 5, 2, 13)
    assert y.shape == (32,)
    epoch = torch.cat([job.batch(k)[0] for k in range(8)])
    assert len(torch.unique(epoch, dim=0)) == 8 * 32
    assert not torch.equal(x, job.batch(8)[0])


@pytest.mark.parametrize("problem", EVERY_NETWORK)
def test_every_network_trains(problem):
    job = ODEJob(replace(SMALL, problem=problem, solver_steps=None, width=None, steps=8))
    start = job.problem.measure(job.problem.network).train_loss
    rows = finish(job)
    for name in ("ocnopt", "adam"):
        last = [row for row in rows if row.optimizer == name][-1]
        assert last.train_loss < start
        assert last.step == 8


@pytest.mark.parametrize("stop", [0, 3, 5])
def test_a_resumed_run_is_bitwise_equal_to_one_never_stopped(tmp_path, stop):
    whole = ODEJob.start(SMALL, tmp_path / "whole")
    finish(whole)
    job = ODEJob.start(SMALL, tmp_path / "split")
    for _ in itertools.islice(job.run(), stop):
        pass
    resumed = ODEJob.resume(tmp_path / "split")
    assert resumed.step == 3 * (stop // 3)
    finish(resumed)
    for name, values in weights(whole).items():
        assert torch.equal(values, weights(resumed)[name]), name
    files = [tmp_path / name / "metrics.jsonl" for name in ("whole", "split")]
    assert rows_without_time(files[0]) == rows_without_time(files[1])
    assert whole.reached == resumed.reached


def test_evaluations_of_the_field_are_counted_without_measurements():
    config = replace(SMALL, optimizers=("adam", "sgd"), steps=3)
    counts = [row.evaluations for row in finish(ODEJob(config)) if row.optimizer == "adam"]
    assert counts == [8, 16, 24]  # two steps of the fourth-order rule each
    rare = finish(ODEJob(replace(config, evaluate_every=3)))
    assert [row.evaluations for row in rare] == [24, 24]


def test_the_adjoint_solver_trains_and_counts_both_directions():
    pytest.importorskip("torchdiffeq")
    config = replace(SMALL, solver="adjoint_dopri5", optimizers=("adam",), steps=3)
    rows = finish(ODEJob(config))
    fixed = ODEJob(replace(config, solver="rk4", solver_steps=16))
    start = fixed.problem.measure(fixed.problem.network).train_loss
    assert rows[0].batch_loss == pytest.approx(finish(fixed)[0].batch_loss, rel=1e-2)
    assert rows[-1].train_loss < start
    assert rows[-1].evaluations > 3 * 2 * 7


@pytest.mark.parametrize("solver", ["adjoint_rk4", "adjoint_dopri5"])
def test_ocnopt_takes_the_adjoint_equation_as_adam_does(solver):
    pytest.importorskip("torchdiffeq")
    config = replace(SMALL, solver=solver, optimizers=("ocnopt", "adam"), steps=3, solver_steps=4)
    rows = finish(ODEJob(config))
    assert all(row.accepted for row in rows)
    assert rows[0].batch_loss == pytest.approx(rows[1].batch_loss, rel=1e-5)
    assert rows[-2].train_loss < rows[0].train_loss
    assert rows[-2].evaluations > rows[-1].evaluations  # curvature solves back once more


def test_an_equation_that_blows_up_is_a_refused_step_for_everyone():
    config = replace(SMALL, solver="adjoint_rk4", optimizers=("ocnopt", "adam"), steps=2)
    job = ODEJob(config)
    for contender in job.contenders:
        with torch.no_grad():
            for parameter in contender.model.ode.parameters():
                parameter.fill_(math.nan)
    for row in finish(job):
        assert not row.accepted
        assert math.isnan(row.batch_loss)
        assert math.isnan(row.train_loss)


def test_states_over_time_end_where_the_network_reads_them():
    problem = make_problem(replace(SMALL, solver_steps=16))
    network, x = problem.network, problem.samples.x_test[:4]
    states = states_over_time(network, x)
    with torch.no_grad():
        assert torch.allclose(network.head(states[:, -1]), network(x), atol=1e-5)
        assert torch.equal(states[:, 0], network.begin(x))


@pytest.mark.parametrize("problem", ["japanese_vowels", "moons"])
def test_a_run_leaves_rows_and_pictures(tmp_path, problem):
    job = ODEJob.start(replace(SMALL, problem=problem, steps=2), tmp_path / "run")
    made = finish(job)
    assert read_ode_rows(job.folder.metrics)[-1].train_loss == made[-1].train_loss
    names = job.draw()
    assert names == ["curves.png", "density.png" if problem == "moons" else "phase_portrait.png"]
    for name in names:
        assert (tmp_path / "run" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("as_user")
def test_settings_survive_their_file_and_bad_ones_are_named(tmp_path):
    config = replace(SMALL, target_loss=0.5, solver="midpoint")
    assert ode_config_from_dict(json.loads(json.dumps(config.as_dict()))) == config
    with pytest.raises(UnknownNameError, match="problem: unknown name 'moon'; did you mean 'moons"):
        replace(SMALL, problem="moon")
    with pytest.raises(UnknownNameError, match="solver: unknown name 'rk5'"):
        replace(SMALL, solver="rk5")
    with pytest.raises(InvalidInputError, match="solver_steps: expected an integer of at least 1"):
        replace(SMALL, solver_steps=0)
    with pytest.raises(InvalidInputError, match=r"keep: expected a number in \(0.*, 1.*\], got 2"):
        replace(SMALL, keep=2.0)
    with pytest.raises(InvalidInputError, match="optimizers: expected at least one, each once"):
        replace(SMALL, optimizers=("adam", "adam"))
    with pytest.raises(InvalidInputError, match="config: expected the settings of a run"):
        ode_config_from_dict({"job": "ode"})
    ODEJob.start(SMALL, tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings | {"steps": 99}))
    with pytest.raises(CheckpointError, match=r"config.json and the checkpoint differ"):
        ODEJob.resume(tmp_path / "run")


TIMED = replace(
    SMALL,
    problem="digits",
    solver_steps=2,
    width=3,
    steps=13,
    checkpoint_every=6,
    evaluate_every=2,
    optimizers=("ocnopt", "adam"),
    times=TimesSettings(rule="second_order", cost=0.05),
)


@pytest.mark.parametrize(
    ("rule", "solver"),
    [("first_order", "rk4"), ("second_order", "rk4"), ("second_order", "adjoint_rk4")],
)
def test_a_trained_time_moves_is_drawn_and_resumes_bitwise(tmp_path, rule, solver):
    config = replace(TIMED, solver=solver, times=replace(TIMED.times, rule=rule))
    whole = ODEJob.start(config, tmp_path / "whole")
    rows = finish(whole)
    for name in config.optimizers:
        times = [row.details["time"] for row in rows if row.optimizer == name]
        assert times[0] == 1.0
        assert times[-1] < 1.0
        assert min(times) >= 0.5
    job = ODEJob.start(config, tmp_path / "split")
    for _ in itertools.islice(job.run(), 12):
        pass
    resumed = ODEJob.resume(tmp_path / "split")
    assert resumed.step == 12
    finish(resumed)
    for name, values in weights(whole).items():
        assert torch.equal(values, weights(resumed)[name]), name
    files = [tmp_path / name / "metrics.jsonl" for name in ("whole", "split")]
    assert rows_without_time(files[0]) == rows_without_time(files[1])
    assert "times.png" in whole.draw()
    assert (tmp_path / "whole" / "times.png").read_bytes().startswith(b"\x89PNG")


def test_states_over_time_end_where_a_trained_time_ends():
    network = make_problem(replace(TIMED, solver_steps=16)).network
    network.ode.ends.data.fill_(0.5)
    x = make_problem(TIMED).samples.x_test[:4]
    states = states_over_time(network, x)
    with torch.no_grad():
        assert torch.allclose(states[:, -1], network.ode(network.begin(x)), atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"problem": "moons"}, "times.rule: expected fixed for densities"),
        ({"solver": "adjoint_dopri5"}, "times.rule: expected fixed with solver"),
        ({"problem": "oscillations", "times": {"high": 2.0}}, "times.high: expected at most 1"),
        ({"times": {"low": 1.5}}, "times.low: expected"),
        ({"times": {"high": 0.75}}, "times.low: expected"),
        ({"times": {"cost": -1.0}}, "times.cost: expected"),
    ],
)
def test_a_trained_time_that_makes_no_sense_is_named(changes, named):
    settings = TIMED.as_dict()
    settings |= {**changes, "times": {**settings["times"], **changes.get("times", {})}}
    with pytest.raises(InvalidInputError, match=named):
        ode_config_from_dict(settings)


def test_settings_of_runs_without_a_trained_time_are_read():
    settings = SMALL.as_dict()
    del settings["times"]
    assert ode_config_from_dict(settings) == SMALL
