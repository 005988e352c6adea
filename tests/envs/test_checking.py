"""A broken world per rule, each found; sound worlds pass."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import small_envs
import torch
from counting_world import CountingWorld

from ocngame.envs import Transition, check_world, make
from ocngame.errors import ApiError, InvalidInputError, NonFiniteError


class Bent(CountingWorld):
    """A sound world whose third step is bent by a function."""

    def __init__(self, bend: Callable[[Transition], Transition]):
        super().__init__([4, 2])
        self.bend, self.count = bend, 0

    def step(self, actions):
        self.count += 1
        step = super().step(actions)
        return self.bend(step) if self.count == 3 else step


def only(step: Transition, kind: str, change: Callable) -> Transition:
    values = dict(getattr(step, kind))
    values["runners"] = change(values["runners"])
    return replace(step, **{kind: values})


def moments(step: Transition, kind: str, change: Callable) -> Transition:
    values = dict(getattr(step.next, kind))
    values["runners"] = change(values["runners"])
    return replace(step, next=replace(step.next, **{kind: values}))


@pytest.mark.parametrize("env", [small_envs.Walkers, small_envs.Guess])
def test_sound_worlds_pass(env: type) -> None:
    steps = check_world(lambda: make(env, batch_size=2), episodes=3, seed=1)
    assert steps == {"Walkers": 12, "Guess": 6}[env.__name__]
    assert check_world(lambda: CountingWorld([4, 2]), episodes=2) == 8
    for masks in ("", "info", "observation"):
        assert check_world(lambda m=masks: make(lambda: small_envs.Dials(masks=m), batch_size=2))


def test_a_limit_ends_what_does_not_end() -> None:
    assert check_world(lambda: make(small_envs.Endless), limit=20) == 20


BENT = {
    "shape": (lambda s: only(s, "rewards", lambda r: r[:, :1]), "rewards of 'runners': expected"),
    "dtype": (lambda s: only(s, "rewards", lambda r: r.half()), "got torch.float16"),
    "flag dtype": (lambda s: only(s, "truncated", lambda r: r.int()), "got torch.int32"),
    "groups": (lambda s: replace(s, rewards={}), "expected groups"),
    "ended twice": (
        lambda s: only(only(s, "terminated", torch.ones_like), "truncated", torch.ones_like),
        "terminated and truncated",
    ),
    "over for nothing": (
        lambda s: replace(s, over=torch.ones_like(s.over)),
        "over in whose last step nobody has ended",
    ),
    "nobody acts": (
        lambda s: replace(
            s,
            next=replace(s.next, acting={k: torch.zeros_like(v) for k, v in s.next.acting.items()}),
        ),
        "expected somebody to act",
    ),
    "last is not next": (
        lambda s: moments(s, "observations", lambda o: o + 1),
        "expected that of next",
    ),
    "empty mask": (
        lambda s: replace(
            s, next=replace(s.next, masks={"runners": torch.zeros(2, 2, 3, dtype=torch.bool)})
        ),
        "allowed no action",
    ),
}


@pytest.mark.parametrize("rule", BENT)
def test_a_bent_world_is_found(rule: str) -> None:
    bend, message = BENT[rule]
    with pytest.raises(ApiError, match=message):
        check_world(lambda: Bent(bend), episodes=2)


@pytest.mark.usefixtures("as_user")
def test_what_is_no_tensor() -> None:
    with pytest.raises(ApiError, match="over: expected a tensor, got list"):
        check_world(lambda: Bent(lambda s: replace(s, over=[False, False])), episodes=2)


def test_numbers_that_are_not_finite() -> None:
    def spoil(step: Transition) -> Transition:
        return only(step, "rewards", lambda r: r * torch.nan)

    with pytest.raises(NonFiniteError, match="step 3, rewards of 'runners'"):
        check_world(lambda: Bent(spoil), episodes=2)


def test_a_generator_that_no_seed_reaches() -> None:
    """Found at the third step, where PettingZoo's test of the first step would pass it."""
    with pytest.raises(ApiError, match="step 3: expected the same numbers"):
        check_world(lambda: make(small_envs.Noisy, batch_size=1), episodes=2)


def test_arguments() -> None:
    with pytest.raises(InvalidInputError, match="episodes"):
        check_world(lambda: CountingWorld([1]), episodes=0)
