"""PettingZoo environments small enough to know every number of, and ways to break them."""

import os
from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from pettingzoo import AECEnv, ParallelEnv


class Walkers(ParallelEnv):
    """Walker i adds its action (0, 1 or 2) to its place and earns it; a0 leaves after 2 steps.

    Starts are drawn; the episode of a1 is truncated after `length` steps. Action 2 is not allowed
    at places of 3 or more.
    """

    metadata: ClassVar = {"name": "walkers_v0"}

    def __init__(self, length: int = 4):
        self.possible_agents = ["a0", "a1"]
        self.length = length
        self.random = np.random.default_rng()

    def observation_space(self, agent: str) -> Box:
        return Box(-1e3, 1e3, (2,), np.float64)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(3)

    def seen(self) -> dict[str, Any]:
        return {a: np.array([self.place[a], self.time]) for a in self.possible_agents}

    def infos(self) -> dict[str, Any]:
        return {
            a: {"action_mask": np.array([1, 1, self.place[a] < 3], dtype=np.int8)}
            for a in self.possible_agents
        }

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.agents, self.time = ["a0", "a1"], 0
        self.place = {a: float(self.random.random()) for a in self.agents}
        return self.seen(), self.infos()

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        self.time += 1
        if set(actions) != set(self.agents):
            raise KeyError(f"expected {self.agents}")
        for agent, action in actions.items():
            self.place[agent] += action
        here = list(self.agents)
        rewards = {a: float(actions[a]) for a in here}
        terminated = {a: a == "a0" and self.time == 2 for a in here}
        truncated = dict.fromkeys(here, self.time == self.length)
        self.agents = [a for a in here if not (terminated[a] or truncated[a])]
        seen, infos = self.seen(), self.infos()
        return ({a: seen[a] for a in here}, rewards, terminated, truncated, infos)


class Noisy(Walkers):
    """Draws from a generator that no seed reaches, but only after its second step."""

    def seen(self) -> dict[str, Any]:
        seen = super().seen()
        if self.time > 2:
            seen["a1"][0] += int.from_bytes(os.urandom(4), "little") / 2**32
        return seen


class NotANumber(Walkers):
    """Its third observation has a NaN."""

    def seen(self) -> dict[str, Any]:
        seen = super().seen()
        if self.time == 3:
            seen["a1"][1] = np.nan
        return seen


class WrongShape(Walkers):
    """Observations grow."""

    def seen(self) -> dict[str, Any]:
        return {a: np.zeros(2 + self.time) for a in self.possible_agents}


class NothingAllowed(Walkers):
    """After a step nobody may do anything."""

    def infos(self) -> dict[str, Any]:
        return {a: {"action_mask": np.full(3, self.time == 0)} for a in self.possible_agents}


class Vanishing(Walkers):
    """a1 goes without a word."""

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        answer = super().step(actions)
        if self.time == 3:
            answer[3]["a1"], self.agents = False, []
        return answer


class Outside(Walkers):
    """Observations beyond the space that it claims."""

    def observation_space(self, agent: str) -> Box:
        return Box(0, 2, (2,), np.float64)


class Crashing(Walkers):
    """Takes its process with it at the second step."""

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        if self.time == 1:
            os._exit(7)
        return super().step(actions)


class Dials(ParallelEnv):
    """Two dials of three and two places; an agent earns the share that stands where it was told.

    Starts and what is told are drawn anew in every step. With `masks` in the "info" or the
    "observation", each dial has a place that is not allowed and never asked for; it is an error to
    choose it.
    """

    metadata: ClassVar = {"name": "dials_v0"}
    sizes = (3, 2)

    def __init__(self, length: int = 4, masks: str = ""):
        self.possible_agents = ["a_0", "a_1", "b_0"]
        self.length, self.masks = length, masks
        self.random = np.random.default_rng()

    def observation_space(self, agent: str) -> Box | Dict:
        told = Box(0, 1, (sum(self.sizes),), np.float32)
        if self.masks != "observation":
            return told
        return Dict({"observation": told, "action_mask": Box(0, 1, (sum(self.sizes),), np.int8)})

    def action_space(self, agent: str) -> MultiDiscrete:
        return MultiDiscrete(self.sizes)

    def draw(self) -> tuple[Any, Any]:
        self.told = {a: self.random.integers(self.sizes) for a in self.possible_agents}
        # One place after the one asked for, round the dial.
        self.barred = {a: (told + 1) % self.sizes for a, told in self.told.items()}
        seen, infos = {}, {}
        for agent in self.possible_agents:
            eyes = [np.eye(n, dtype=np.float32) for n in self.sizes]
            row = np.concatenate([e[i] for e, i in zip(eyes, self.told[agent], strict=True)])
            parts = tuple(1 - e[i] for e, i in zip(eyes, self.barred[agent], strict=True))
            seen[agent], infos[agent] = row, {}
            if self.masks == "info":
                infos[agent] = {"action_mask": parts}
            elif self.masks == "observation":
                mask = np.concatenate(parts).astype(np.int8)
                seen[agent] = {"observation": row, "action_mask": mask}
        return seen, infos

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.agents, self.time = list(self.possible_agents), 0
        return self.draw()

    def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
        for agent, action in actions.items():
            if self.masks and (action == self.barred[agent]).any():
                raise ValueError(f"{agent}: {action} is not allowed")
        self.time += 1
        here = list(self.agents)
        rewards = {a: float((actions[a] == self.told[a]).mean()) for a in here}
        over = dict.fromkeys(here, self.time == self.length)
        if self.time == self.length:
            self.agents = []
        seen, infos = self.draw()
        return seen, rewards, dict.fromkeys(here, False), over, infos


class Slider(Dials):
    """Masks beside actions that have no parts to bar."""

    def action_space(self, agent: str) -> Box:
        return Box(-1, 1, (2,), np.float32)


class Endless(Walkers):
    """Never ends."""

    def __init__(self) -> None:
        super().__init__(length=10**9)


class Guess(AECEnv):
    """In turns, each player says 0 or 1; the second earns 1, and the first loses it, if equal."""

    metadata: ClassVar = {"name": "guess_v0"}

    def __init__(self) -> None:
        super().__init__()
        self.possible_agents = ["p_0", "p_1"]

    def observation_space(self, agent: str) -> Discrete:
        return Discrete(3)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(2)

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.agents, self.said = self.possible_agents[:], []
        for name in ("rewards", "_cumulative_rewards"):
            setattr(self, name, dict.fromkeys(self.agents, 0.0))
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {agent: {} for agent in self.agents}
        self.agent_selection = "p_0"

    def observe(self, agent: str) -> int:
        return len(self.said)

    def step(self, action: int | None) -> None:
        if self.terminations[self.agent_selection]:
            self._was_dead_step(action)  # type: ignore[arg-type]
            return
        self.said.append(action)
        if len(self.said) == 1:
            self.agent_selection = "p_1"
            return
        won = float(self.said[0] == self.said[1])
        self.rewards = {"p_0": -won, "p_1": won}
        self.terminations = dict.fromkeys(self.agents, True)
        self.agent_selection = "p_0"
