"""Self-play: targets against enumeration, what it learns, and that a run goes on bitwise."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from line_oracle import lost_games

from ocngame.agents import evaluate
from ocngame.agents.selfplay import (
    League,
    SelfPlayJob,
    load_selfplay_decider,
    make_turn_world,
    read_selfplay_rows,
    retrace,
)
from ocngame.agents.selfplay.networks import masked_log_softmax
from ocngame.errors import InvalidInputError, UnknownNameError
from ocngame.solvers.ocnopt import OCNOpt
from ocngame.training.selfplay_config import LeagueConfig, LearnerConfig, SelfPlayConfig

SMALL = LearnerConfig(width=32, policy_epochs=1, critic_epochs=1, minibatch=128)
TINY = SelfPlayConfig(
    world="kuhn", steps=512, copies=16, horizon=8, learner=SMALL, evaluate_every=2, episodes=4
)


def test_targets_without_a_trace_look_one_decision_ahead_and_with_one_to_the_end():
    generator = torch.Generator().manual_seed(0)
    q = torch.randn(4, 2, 3, generator=generator, dtype=torch.float64)
    policy = torch.rand(4, 2, 3, generator=generator, dtype=torch.float64)
    policy = policy / policy.sum(-1, keepdim=True)
    actions = torch.randint(0, 3, (3, 2), generator=generator)
    behaviour = policy[:-1].gather(-1, actions[..., None])[..., 0]
    rewards = torch.randn(3, 2, generator=generator, dtype=torch.float64)
    over = torch.tensor([[False, False], [False, True], [True, False]])
    v = (policy * q).sum(-1)
    near = retrace(q, policy, actions, behaviour, rewards, over, 0.0)
    torch.testing.assert_close(near, rewards + torch.where(over, 0.0, v[1:]))
    # Played by the present policy with full trace: y_t - Q_t telescopes into corrected returns.
    far = retrace(q, policy, actions, behaviour, rewards, over, 1.0)
    taken = q[:-1].gather(-1, actions[..., None])[..., 0]
    for b in range(2):
        for t in range(3):
            total, s = rewards[t, b], t
            while not over[s, b]:
                s += 1
                if s == 3:
                    total = total + v[3, b]
                    break
                total = total + v[s, b] - taken[s, b] + rewards[s, b]
            torch.testing.assert_close(far[t, b], total)


@pytest.mark.parametrize(("share", "optimizer"), [(0.0, "adam"), (0.5, "adam"), (0.0, "ocnopt")])
def test_a_resumed_run_is_bitwise_the_same(tmp_path: Path, share: float, optimizer):
    config = replace(
        TINY,
        learner=replace(SMALL, optimizer=optimizer),
        league=LeagueConfig(share=share, every=1, size=2),
        checkpoint_every=1,
    )
    whole = SelfPlayJob.start(config, tmp_path / "whole")
    list(whole.run())
    part = SelfPlayJob.start(config, tmp_path / "part")
    for _ in zip(range(2), part.run(), strict=False):
        pass
    resumed = SelfPlayJob.resume(tmp_path / "part")
    assert 0 < resumed.step < resumed.total_steps
    list(resumed.run())
    for a, b in zip(
        whole.learner.policy.parameters(), resumed.learner.policy.parameters(), strict=True
    ):
        assert torch.equal(a, b)
    rows = [read_selfplay_rows(tmp_path / name / "metrics.jsonl") for name in ("whole", "part")]
    assert [replace(r, cpu_seconds=0.0) for r in rows[0]] == [
        replace(r, cpu_seconds=0.0) for r in rows[1]
    ]
    assert whole.draw() == ["curves.png"]


def test_a_run_folder_gives_a_decider_of_both_seats(tmp_path: Path):
    job = SelfPlayJob.start(TINY, tmp_path / "run")
    list(job.run())
    loaded = load_selfplay_decider(tmp_path / "run")
    world = make_turn_world("kuhn", 64)
    returns = [evaluate(world, [d], episodes=64, seed=1) for d in (loaded, job.decider())]
    assert torch.equal(returns[0].by_group["player_0"], returns[1].by_group["player_0"])


def test_the_league_prefers_who_is_hard_to_beat_and_drops_who_is_easy():
    league = League(LeagueConfig(share=0.5, every=1, size=3, power=2.0), torch.nn.Linear(2, 2))
    for iteration in (1, 2):
        league.offer(torch.nn.Linear(2, 2), iteration)
    league.record(torch.tensor([0] * 200 + [1] * 200), torch.tensor([1.0] * 200 + [0.0] * 200))
    drawn = league.draw(4000, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=3).tolist()
    assert counts[1] > counts[2] > counts[0]
    league.offer(torch.nn.Linear(2, 2), 3)
    assert league.born == [1, 2, 3]
    assert league.member(0) is None


def test_the_learnt_policy_is_the_average_of_the_iterates_by_its_weights():
    job = SelfPlayJob(replace(TINY, learner=replace(SMALL, averaging=3.0)))
    trained = job.learner.trained
    iterates = [[p.detach().clone() for p in trained.parameters()] for _ in job.run()]
    # The share of iterate k is (1 + eta) / (k + eta), of what is left by those after it.
    shares, left = [], 1.0
    for k in range(len(iterates), 0, -1):
        shares.insert(0, left * 4.0 / (k + 3.0))
        left *= 1 - 4.0 / (k + 3.0)
    assert len(iterates) > 2
    assert left == 0.0
    for i, found in enumerate(job.learner.policy.parameters()):
        expected = sum(s * own[i] for s, own in zip(shares, iterates, strict=True))
        torch.testing.assert_close(found, expected)
    newest = SelfPlayJob(replace(TINY, learner=replace(SMALL, averaging=1e12)))
    list(newest.run())
    for a, b in zip(
        newest.learner.policy.parameters(), newest.learner.trained.parameters(), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_ocnopt_in_self_play_has_the_curvature_of_the_objective():
    job = SelfPlayJob(replace(TINY, learner=replace(SMALL, optimizer="ocnopt", proximal=0.5)))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, generator=generator, dtype=torch.float64)
    old = logits.log_softmax(-1)

    def objective(x: torch.Tensor) -> torch.Tensor:
        # Towards the policy that played and a reference equal to it.
        log = x.log_softmax(-1)
        return (log.exp() * (log - old)).sum() * (1 / 0.5 + job.config.learner.magnet_weight)

    expected = torch.autograd.functional.hessian(objective, logits)
    optimizer = job.learner._policy_opt
    assert isinstance(optimizer, OCNOpt)
    assert optimizer.hessian is not None
    columns = optimizer.hessian.exact(logits[None])[:, 0]
    torch.testing.assert_close(columns.mT @ columns, expected)


@pytest.mark.slow
def test_kuhn_poker_is_learnt_below_a_twentieth_of_a_chip():
    learner = LearnerConfig(width=64, minibatch=128, magnet_rate=0.02)
    config = SelfPlayConfig(
        world="kuhn", steps=100_000, copies=32, learner=learner, evaluate_every=1000, episodes=8
    )
    job = SelfPlayJob(config)
    (row,) = [row for rows in job.run() for row in rows]
    assert row.exploitability < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tic_tac_toe_is_never_lost_in_either_seat(seed):
    learner = LearnerConfig(magnet_weight=0.1)
    config = SelfPlayConfig(
        world="tictactoe",
        steps=400_000,
        learner=learner,
        evaluate_every=1000,
        episodes=8,
        seed=seed,
    )
    job = SelfPlayJob(config)
    list(job.run())

    def choose(seen: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return masked_log_softmax(job.learner.policy(seen), mask).argmax(-1)

    assert [lost_games(choose, seat)[0] for seat in (0, 1)] == [0, 0]


@pytest.mark.slow
def test_ocnopt_trains_the_policy():
    learner = replace(SMALL, optimizer="ocnopt", minibatch=256)
    config = replace(TINY, steps=20_000, copies=32, horizon=16, learner=learner)
    job = SelfPlayJob(config)
    before = job.measure().exploitability
    list(job.run())
    assert job.measure().exploitability < 0.7 * before


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnknownNameError, match="leduc"):
        make_turn_world("ledoc", 2)
    with pytest.raises(InvalidInputError, match="magnet_rate"):
        LearnerConfig(magnet_rate=2.0)
    with pytest.raises(InvalidInputError, match="share"):
        LeagueConfig(share=-0.1)
