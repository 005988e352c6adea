import pytest
import torch
from counting_world import CountingWorld
from torch import Tensor

from ocngame.agents import Decider, RandomDecider, evaluate
from ocngame.envs import Moment
from ocngame.errors import InvalidInputError


class Always(Decider):
    def __init__(self, group: str, action: int, agents: int):
        self.name, self.groups = f"always {action}", (group,)
        self._action, self._agents = action, agents

    def act(
        self,
        moment: Moment,
        memory: object,
        generator: torch.Generator,
        *,
        deterministic: bool = False,
    ) -> tuple[dict[str, Tensor], object]:
        batch = len(moment.state)
        return {self.groups[0]: torch.full((batch, self._agents), self._action)}, memory


def test_returns_are_the_sums_of_the_rewards_and_every_copy_counts_equally():
    world = CountingWorld([2, 5])
    found = evaluate(world, [Always("runners", 2, 2), Always("walls", 1, 1)], episodes=4, seed=0)
    assert found.lengths.tolist() == [2, 5, 2, 5]
    assert found.by_team["runners"].tolist() == [4, 10, 4, 10]
    assert found.by_team["walls"].tolist() == [-2, -5, -2, -5]


def test_random_draws_only_allowed_actions_and_repeats_with_the_seed():
    world = CountingWorld([20])
    random = RandomDecider(world.groups)
    a, b, c = (evaluate(world, [random], episodes=3, seed=s) for s in (0, 0, 1))
    assert torch.equal(a.by_group["runners"], b.by_group["runners"])
    assert not torch.equal(a.by_group["runners"], c.by_group["runners"])
    means = a.by_group["runners"] / 20
    assert ((means >= 1) & (means <= 2)).all()


@pytest.mark.parametrize("groups", [[0], [0, 0, 1]])
def test_every_group_has_one_decider(groups: list[int]):
    world = CountingWorld([2])
    with pytest.raises(InvalidInputError, match="deciders"):
        evaluate(world, [RandomDecider([world.groups[i]]) for i in groups], episodes=1, seed=0)
