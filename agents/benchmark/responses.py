"""Trained best responses: how much a team of a run could win by learning against the others.

The run's other teams are fixed and play as they draw; the team learns by IPPO with Adam for a given
number of frames, from the policy that it has where that is of the same kind, else from nothing. The
gain of deviation is what the response's most probable actions get over what the team itself gets
(drawn), on the same starts, and 0 where that is less: the team's own policy is a response as well.
It is an estimate from below of the gain of a best response.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ocngame.agents.benchmark.entrants import Entrant, as_decider
from ocngame.agents.benchmark.store import Store, content_key
from ocngame.agents.benchmark.tasks import Place, Task, Tell, safe
from ocngame.agents.evaluation import evaluate
from ocngame.agents.fixed import AgainstFixed
from ocngame.agents.training import MarlJob
from ocngame.agents.training.worlds import WorldMaker
from ocngame.envs import World
from ocngame.training.checkpoint import read_checkpoint
from ocngame.training.marl_config import MarlConfig, marl_config_from_dict

__all__ = ["ResponseTask"]


@dataclass(frozen=True, kw_only=True)
class ResponseTask(Task):
    """A trained best response to a run, for one team.

    Attributes:
        cell: The training's name.
        run: Its settings, as plain data.
        label: Contender that it is of.
        team: The team that learns.
        place: Where it is measured.
        config: Settings of the learning where the run's own do not say.
        frames: Of the learning.
        episodes: Of the measurement.
        evaluation_seed: Of its starts and draws.
    """

    cell: str
    run: Mapping[str, Any]
    label: str
    team: str
    place: Place
    config: MarlConfig
    frames: int
    episodes: int
    evaluation_seed: int

    @property
    def stem(self) -> str:
        """See `Task.stem`."""
        settings = {
            "cell": self.cell,
            "team": self.team,
            "place": asdict(self.place),
            "config": self.config.as_dict(),
            "frames": self.frames,
            "episodes": self.episodes,
            "seed": self.evaluation_seed,
        }
        return f"{safe(self.place.world)}-response-{content_key(settings)}"

    @property
    def title(self) -> str:
        """See `Task.title`."""
        seed = self.run["seed"]
        return f"{self.place.world} response of {self.team} to {self.label} seed {seed}"

    def produce(self, store: Store, make: WorldMaker, tell: Tell) -> dict[str, Any]:
        """Learn and measure; see `Task.produce`."""
        entrant = Entrant(label=self.label, run=store.runs / self.cell)
        torch.set_num_threads(self.place.threads)

        def against(name: str, copies: int, device: str) -> World:
            world = make(name, copies, device)
            teams = dict.fromkeys(group.team for group in world.groups)
            others = [as_decider(entrant, world, team) for team in teams if team != self.team]
            return AgainstFixed(world, others)

        job = MarlJob(self._settings(), against)
        try:
            warm = self._begin_from_own(job, store)
            for _ in job.run():
                tell(job.frames, job.total_steps * job.config.frames_per_update)
            world = against(self.place.name, self.place.copies, self.place.device)
            try:
                own, learnt = (
                    evaluate(
                        world,
                        deciders,
                        episodes=self.episodes,
                        seed=self.evaluation_seed,
                        deterministic=deterministic,
                    ).means[self.team]
                    for deciders, deterministic in (
                        ([as_decider(entrant, world, self.team)], False),
                        (job.deciders(), True),
                    )
                )
            finally:
                world.close()
        finally:
            job.close()
        return {
            "kind": "response",
            "cell": self.cell,
            "world": self.place.world,
            "label": self.label,
            "team": self.team,
            "frames": job.frames,
            "from_own_policy": warm,
            "own": own,
            "response": learnt,
            "gain": max(0.0, learnt - own),
        }

    def _settings(self) -> MarlConfig:
        config = self.config
        if self.run["job"] == "marl":
            own = marl_config_from_dict(dict(self.run))
            # Coupled players have no settings of their own for a surrogate and critics.
            coupled = own.optimizer == "coupled"
            config = replace(config, network=own.network) if coupled else own
        config = replace(
            config,
            world=self.place.world,
            algorithm="ippo",
            optimizer="adam",
            frames=self.frames,
            seed=int(self.run["seed"]),
            evaluation="",
            evaluation_copies=1,
            episodes=1,
        )
        return replace(config, evaluate_every=config.updates)

    def _begin_from_own(self, job: MarlJob, store: Store) -> bool:
        if self.run["job"] == "selfplay":
            return False
        kept = read_checkpoint(store.runs / self.cell)["learners"]
        for name, learner in job.learners.items():
            learner.policy.load_state_dict(kept[name]["policy"])
        return True
