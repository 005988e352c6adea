"""Who plays: a trained run, or a player that needs no training."""

from dataclasses import dataclass
from pathlib import Path

from ocngame._checks import one_of
from ocngame.agents.benchmark.contenders import PLAYER_LABELS, PLAYERS
from ocngame.agents.decider import Decider
from ocngame.agents.greedy import GreedyDecider
from ocngame.agents.planner import NashPlanner, scenario_of
from ocngame.agents.random import RandomDecider
from ocngame.agents.selfplay import load_selfplay_decider
from ocngame.agents.training import load_team
from ocngame.envs import World
from ocngame.errors import InvalidInputError
from ocngame.training.run_folder import RunFolder

__all__ = ["Entrant", "as_decider", "entrant_of"]


@dataclass(frozen=True, kw_only=True)
class Entrant:
    """Who plays.

    Attributes:
        label: Contender that it is a run of.
        run: Its run folder, None for a player that needs none.
        player: Which player that is: random, greedy or planner.
    """

    label: str
    run: Path | None
    player: str = "random"


def entrant_of(name: str) -> Entrant:
    """Read an entrant as users write it.

    Args:
        name: A run folder, or random, greedy or planner.

    Returns:
        The entrant.
    """
    if name in PLAYERS:
        return Entrant(label=PLAYER_LABELS[name], run=None, player=name)
    return Entrant(label=Path(name).name, run=Path(name))


def as_decider(entrant: Entrant, world: World, team: str) -> Decider:
    """Let an entrant play a team.

    Args:
        entrant: The entrant.
        world: The world.
        team: The team.

    Returns:
        Who plays it.

    Raises:
        InvalidInputError: if the folder is of another job.
    """
    groups = [group for group in world.groups if group.team == team]
    names = [group.name for group in groups]
    if entrant.run is None:
        one_of("player", entrant.player, PLAYERS)
        if entrant.player == "random":
            return RandomDecider(groups)
        kind = GreedyDecider if entrant.player == "greedy" else NashPlanner
        return kind(scenario_of(world), names)
    job = RunFolder(entrant.run).read_config().get("job")
    if job == "marl":
        return load_team(entrant.run, world, team)
    if job == "selfplay":
        return load_selfplay_decider(entrant.run).seated(groups)
    raise InvalidInputError(
        f"players: expected a folder of train marl, train selfplay or a benchmark's run, got "
        f"{entrant.run}"
    )
