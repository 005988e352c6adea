"""Worlds of others, next to the environments themselves."""

import multiprocessing
from importlib import import_module

import numpy as np
import pytest
import small_envs
import torch
from torch import Tensor

from ocngame.agents.random import RandomDecider
from ocngame.envs import Moment, Transition, World, make
from ocngame.envs.adapters.runner import seed_of
from ocngame.errors import (
    ApiError,
    CheckpointError,
    InvalidInputError,
    NonFiniteError,
    UnknownNameError,
    WorkerError,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def drawn(world: World, moment: Moment, generator: torch.Generator) -> dict[str, Tensor]:
    actions, _ = RandomDecider(world.groups).act(moment, None, generator)
    return dict(actions)


def flat(result: Moment | Transition) -> list[Tensor]:
    moments = [result] if isinstance(result, Moment) else [result.last, result.next]
    tensors = [t for m in moments for p in (m.observations, m.acting, m.masks) for t in p.values()]
    tensors += [m.state for m in moments]
    if isinstance(result, Transition):
        parts = (result.rewards, result.terminated, result.truncated)
        tensors += [t for part in parts for t in part.values()] + [result.over]
    return tensors


def same(a: Moment | Transition, b: Moment | Transition) -> bool:
    return all(torch.equal(x, y) for x, y in zip(flat(a), flat(b), strict=True))


def test_simple_spread_is_mpe2() -> None:
    """Two episodes of a batch: every number, the kept end, and the start of the next episode."""
    pytest.importorskip("mpe2")
    world = make("mpe2.simple_spread_v3", batch_size=3, seed=5, dtype=torch.float64)
    envs = [import_module("mpe2.simple_spread_v3").parallel_env() for _ in range(3)]
    generator = torch.Generator().manual_seed(0)

    def stacked(values: dict) -> Tensor:
        return torch.stack([torch.as_tensor(values[a]) for a in world.groups[0].agents])

    starts = [env.reset(seed=seed_of(5, copy, 0))[0] for copy, env in enumerate(envs)]
    moment = world.reset()
    assert torch.equal(moment.observations["agent"], torch.stack([stacked(s) for s in starts]))
    for t in range(50):
        actions = torch.randint(5, (3, 3), generator=generator)
        step = world.step({"agent": actions})
        for copy, env in enumerate(envs):
            chosen = dict(zip(world.groups[0].agents, actions[copy].tolist(), strict=True))
            seen, rewards, terminated, truncated, _ = env.step(chosen)
            assert torch.equal(step.last.observations["agent"][copy], stacked(seen))
            assert step.rewards["agent"][copy].tolist() == [rewards[a] for a in chosen]
            assert torch.equal(step.terminated["agent"][copy], stacked(terminated))
            assert torch.equal(step.truncated["agent"][copy], stacked(truncated))
            if (t + 1) % 25 == 0:
                seen = env.reset(seed=seed_of(5, copy, (t + 1) // 25))[0]
            assert torch.equal(step.next.observations["agent"][copy], stacked(seen))
        assert step.over.all() == ((t + 1) % 25 == 0)
        assert step.next.acting["agent"].all()


@pytest.mark.parametrize("workers", [0, 1])
def test_continuous_actions_are_mpe2(workers: int) -> None:
    pytest.importorskip("mpe2")
    world = make(
        "mpe2.simple_tag_v3", seed=5, dtype=torch.float64, workers=workers, continuous_actions=True
    )
    env = import_module("mpe2.simple_tag_v3").parallel_env(continuous_actions=True)
    generator = torch.Generator().manual_seed(0)
    try:
        env.reset(seed=seed_of(5, 0, 0))
        moment = world.reset()
        for _ in range(10):
            actions = {k: v.float() for k, v in drawn(world, moment, generator).items()}
            step = world.step(actions)
            chosen = {
                agent: actions[group.name][0, slot].numpy()
                for group in world.groups
                for slot, agent in enumerate(group.agents)
            }
            seen, rewards, *_ = env.step(chosen)
            for group in world.groups:
                for slot, agent in enumerate(group.agents):
                    given = step.last.observations[group.name][0, slot]
                    assert torch.equal(given, torch.as_tensor(seen[agent]).double())
                    assert step.rewards[group.name][0, slot] == rewards[agent]
            moment = step.next
        worst = {g.name: torch.full((1, len(g.agents), 5), 1.5) for g in world.groups}
        with pytest.raises(InvalidInputError, match="adversary_0, copy 0: expected an allowed"):
            world.step(worst)
    finally:
        world.close()


def test_copies_do_not_depend_on_one_another() -> None:
    one, three = (make(small_envs.Walkers, batch_size=n, seed=4) for n in (1, 3))
    first, all_first = one.reset(), three.reset()
    assert torch.equal(first.state[0], all_first.state[0])
    assert not torch.equal(all_first.state[0], all_first.state[1])
    again = three.reset()
    assert not torch.equal(all_first.state, again.state)
    assert torch.equal(all_first.state, three.reset(4).state)


def test_an_agent_that_leaves() -> None:
    world = make(small_envs.Walkers, seed=0)
    world.reset()
    ones = {"a": torch.ones(1, 2, dtype=torch.long)}
    world.step(ones)
    step = world.step(ones)
    assert step.terminated["a"].tolist() == [[True, False]]
    assert step.next.acting["a"].tolist() == [[False, True]]
    assert not step.over
    ignored = torch.tensor([[-9, 1]])
    step = world.step({"a": ignored})
    assert step.rewards["a"].tolist() == [[0, 1]]
    assert not step.terminated["a"].any()
    step = world.step({"a": ignored})
    assert step.truncated["a"].tolist() == [[False, True]]
    assert step.over.all()
    assert not step.last.acting["a"].any()
    assert step.last.observations["a"][0, 1, 1] == 4
    assert step.next.acting["a"].all()
    assert step.next.observations["a"][0, 1, 1] == 0


def test_masks_hold_beside_ignored_entries() -> None:
    world = make(small_envs.Walkers, seed=0)
    moment = world.reset()
    assert moment.masks["a"].all()
    twos = {"a": torch.full((1, 2), 2)}
    world.step(twos)
    step = world.step(twos)
    assert step.next.masks["a"][0, 1].tolist() == [True, True, False]
    with pytest.raises(InvalidInputError, match="a1, copy 0: expected an allowed action"):
        world.step({"a": torch.tensor([[-9, 2]])})
    assert world.step({"a": torch.tensor([[-9, 1]])}).rewards["a"][0, 1] == 1


@pytest.mark.parametrize("masks", ["info", "observation"])
def test_masks_of_several_parts(masks: str) -> None:
    world = make(lambda: small_envs.Dials(masks=masks), batch_size=8, seed=0)
    generator = torch.Generator().manual_seed(0)
    moment = world.reset()
    for _ in range(9):
        barred, told = ~moment.masks["a"], moment.observations["a"]
        assert torch.equal(barred[..., :3], told[..., :3].roll(1, -1).bool())
        assert torch.equal(barred[..., 3:], told[..., 3:].roll(1, -1).bool())
        # The environment itself refuses what is barred.
        moment = world.step(drawn(world, moment, generator)).next
    part_wise = [p.float().argmax(-1) for p in ((~moment.masks["a"]).split((3, 2), -1))]
    told = [p.argmax(-1) for p in moment.observations["a"].split((3, 2), -1)]
    fine = {
        g.name: torch.stack(
            [p.argmax(-1) for p in moment.observations[g.name].split((3, 2), -1)], -1
        )
        for g in world.groups
    }
    for part in range(2):
        bad = torch.stack([part_wise[j] if j == part else told[j] for j in range(2)], -1)
        with pytest.raises(InvalidInputError, match=r"a_0, copy 0: expected an allowed action"):
            world.step(fine | {"a": bad})
    assert world.step(fine).rewards["a"].eq(1).all()


def test_masks_beside_a_box_are_refused() -> None:
    for masks in ("info", "observation"):
        with pytest.raises(InvalidInputError, match="masks for Discrete and MultiDiscrete"):
            make(lambda m=masks: small_envs.Slider(masks=m))


def test_a_mask_that_bars_all_of_one_part() -> None:
    world = make(lambda: Stuck(masks="info"))
    with pytest.raises(ApiError, match="a_0 is to act and its mask allows no action"):
        world.reset(0)


class Stuck(small_envs.Dials):
    def draw(self):
        seen, infos = super().draw()
        for info in infos.values():
            info["action_mask"] = (np.ones(3), np.zeros(2))
        return seen, infos


def test_a_horizon_truncates() -> None:
    world = make(small_envs.Walkers, seed=0, horizon=1)
    world.reset()
    step = world.step({"a": torch.zeros(1, 2, dtype=torch.long)})
    assert step.over.all()
    assert step.truncated["a"].all()
    assert step.last.observations["a"][0, :, 1].tolist() == [1, 1]
    assert not make(small_envs.Walkers, horizon=9).reset(0).state.isnan().any()


def test_turns() -> None:
    world = make(small_envs.Guess, seed=0)
    moment = world.reset()
    one = torch.ones(1, 1, dtype=torch.long)
    assert [g.team for g in world.groups] == ["p_0", "p_1"]
    assert moment.acting["p_0"].all()
    assert not moment.acting["p_1"].any()
    step = world.step({"p_0": one, "p_1": -one})
    assert step.next.observations["p_1"].tolist() == [[[0, 1, 0]]]
    assert step.next.acting["p_1"].all()
    assert not step.next.acting["p_0"].any()
    step = world.step({"p_0": -one, "p_1": one})
    assert (step.rewards["p_0"].item(), step.rewards["p_1"].item()) == (-1, 1)
    assert step.terminated["p_0"].all()
    assert step.terminated["p_1"].all()
    assert step.over.all()


@pytest.mark.parametrize("name", ["tictactoe_v3", "connect_four_v3"])
def test_board_games_are_pettingzoo(name: str) -> None:
    env = pytest.importorskip(f"pettingzoo.classic.{name}").env()
    world = make(f"classic/{name}", seed=2)
    moment, generator = world.reset(), torch.Generator().manual_seed(1)
    env.reset(seed=seed_of(2, 0, 0))
    for _ in range(42):
        agent = env.agent_selection
        seen = env.observe(agent)
        assert moment.acting[agent].all()
        assert torch.equal(moment.masks[agent][0, 0], torch.as_tensor(seen["action_mask"]).bool())
        board = torch.as_tensor(seen["observation"]).float().reshape(-1)
        assert torch.equal(moment.observations[agent][0, 0], board)
        actions = drawn(world, moment, generator)
        step = world.step(actions)
        env.step(int(actions[agent]))
        assert {a: step.rewards[a].item() for a in env.possible_agents} == env.rewards
        moment = step.next
        if step.over:
            assert all(env.terminations.values())
            return
    pytest.fail("the game did not end")


def test_workers_give_the_same_numbers() -> None:
    alone = make(small_walkers(), batch_size=3)
    spread = make(small_walkers(), batch_size=3, workers=2)
    try:
        generator = torch.Generator().manual_seed(0)
        moment = alone.reset(8)
        assert same(moment, spread.reset(8))
        for _ in range(9):
            actions = drawn(alone, moment, generator)
            step = alone.step(actions)
            assert same(step, spread.step(actions))
            moment = step.next
        state = spread.state_dict()
        assert same(alone.load_state_dict(state), spread.load_state_dict(state))
    finally:
        spread.close()


def small_walkers():
    """The tests' folder is not on the path of a worker, so the class travels by value."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(small_envs)
    return small_envs.Walkers


def test_a_worker_that_dies() -> None:
    small_walkers()
    before = set(multiprocessing.active_children())
    world = make(small_envs.Crashing, batch_size=2, workers=2, seed=0)
    world.reset()
    actions = {"a": torch.zeros(2, 2, dtype=torch.long)}
    world.step(actions)
    with pytest.raises(WorkerError, match=r"worker 0 \(copies 0 to 0\) has died.*exit code 7"):
        world.step(actions)
    assert set(multiprocessing.active_children()) <= before
    with pytest.raises(WorkerError, match="have been ended"):
        world.reset()


def test_an_error_in_a_worker_is_the_same_sentence() -> None:
    small_walkers()
    world = make(small_envs.WrongShape, batch_size=1, workers=1, seed=0)
    try:
        world.reset()
        with pytest.raises(ApiError, match=r"copy 0: the observation of 'a0' does not fit"):
            world.step({"a": torch.zeros(1, 2, dtype=torch.long)})
    finally:
        world.close()


def test_a_state_replays_bitwise() -> None:
    world, other = (make(small_envs.Walkers, batch_size=3, seed=s) for s in (1, 2))
    generator = torch.Generator().manual_seed(0)
    moment = world.reset()
    for _ in range(7):
        moment = world.step(drawn(world, moment, generator)).next
    assert same(other.load_state_dict(world.state_dict()), moment)
    for _ in range(10):
        actions = drawn(world, moment, generator)
        step = world.step(actions)
        assert same(step, other.step(actions))
        moment = step.next


def test_a_state_that_does_not_fit() -> None:
    world = make(small_envs.Walkers, seed=1)
    with pytest.raises(CheckpointError, match="after its reset"):
        world.load_state_dict(world.state_dict())
    world.reset()
    with pytest.raises(CheckpointError, match="expected one of Guess"):
        make(small_envs.Guess).load_state_dict(world.state_dict())


@pytest.mark.parametrize(
    ("teams", "message"),
    [
        ({"x": ["a0"]}, "expected every agent in a team, a1 in none"),
        ({"x": ["a0", "a1"], "y": ["a7"]}, "expected agents of the world, a0, a1, got 'a7'"),
        ({"x": ["a0", "a1"], "y": ["a1"]}, "got 'a1' in 'x' and 'y'"),
    ],
)
def test_team_maps(teams: dict, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        make(small_envs.Walkers, teams=teams)
    world = make(small_envs.Walkers, teams={"x": ["a1"], "y": ["a0"]})
    assert {g.team: g.agents for g in world.groups} == {"x": ("a1",), "y": ("a0",)}


def test_a_nan_is_found_and_only_a_new_start_helps() -> None:
    world = make(small_envs.NotANumber, seed=0)
    world.reset()
    zeros = {"a": torch.zeros(1, 2, dtype=torch.long)}
    world.step(zeros)
    world.step(zeros)
    with pytest.raises(NonFiniteError, match=r"copy 0: .* observation of a1 has nan"):
        world.step(zeros)
    with pytest.raises(InvalidInputError, match="expected reset"):
        world.step(zeros)
    world.reset()
    world.step(zeros)


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ({}, "expected group 'a'"),
        ({"a": torch.tensor([[0, 3]])}, "a1, copy 0: expected an allowed action of Discrete"),
        ({"a": torch.tensor([[0, -1]])}, "got -1"),
        ({"a": torch.tensor([[0.0, 1.0]])}, "expected integers"),
        ({"a": torch.tensor([0, 1])}, r"of shape \(1, 2\)"),
    ],
)
def test_invalid_actions(actions: dict, message: str) -> None:
    world = make(small_envs.Walkers, seed=0)
    world.reset()
    with pytest.raises(InvalidInputError, match=message):
        world.step(actions)
    world.step({"a": torch.tensor([[0, 1]])})


def test_environments_that_break_the_interface() -> None:
    zeros = {"a": torch.zeros(1, 2, dtype=torch.long)}
    with pytest.raises(ApiError, match="expected a ParallelEnv or an AECEnv, got object"):
        make(object)
    world = make(small_envs.NothingAllowed)
    world.reset(0)
    with pytest.raises(ApiError, match="its mask allows no action"):
        world.step(zeros)
    world = make(small_envs.Vanishing)
    world.reset(0)
    world.step(zeros)
    world.step(zeros)
    with pytest.raises(ApiError, match="'a1' has gone without"):
        world.step(zeros)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("classic/tictacto_v3", "classic/tictactoe_v3"),
        ("mpe2.simple_spred_v3", "mpe2.simple_spread_v3"),
        ("batched/simple_tagg", "batched/simple_tag"),
        ("mpe2.simple_spread_v3:parallel_envy", "parallel_env"),
    ],
)
def test_unknown_names(name: str, near: str) -> None:
    pytest.importorskip("mpe2")
    with pytest.raises(UnknownNameError, match=f"did you mean .*{near}"):
        make(name)


def test_a_module_that_is_not_there() -> None:
    for name in ("no_such_package:thing", "no_such_package.world_v0"):
        with pytest.raises(InvalidInputError, match="module no_such_package, which cannot"):
            make(name)


def test_arguments() -> None:
    with pytest.raises(InvalidInputError, match="workers: expected at most batch_size"):
        make(small_envs.Walkers, batch_size=1, workers=2)
    with pytest.raises(InvalidInputError, match="horizon"):
        make(small_envs.Walkers, horizon=0)
    with pytest.raises(InvalidInputError, match="dtype"):
        make(small_envs.Walkers, dtype=torch.float16)
