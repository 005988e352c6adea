"""What `play` shows: returns per team of trained teams against each other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ocngame.agents import evaluate
from ocngame.agents.benchmark import Entrant, as_decider
from ocngame.agents.training.worlds import make_world
from ocngame.errors import InvalidInputError
from ocngame.training.run_folder import RunFolder

__all__ = ["play"]

_DRAWS = 2000


def play(players: Sequence[str], world: str, episodes: int, seed: int) -> None:
    """Let each player play a team and show the returns.

    Args:
        players: Run folders or `random`, one for each team.
        world: Name of the world; that of the first run if empty.
        episodes: Episodes.
        seed: Of the starts and draws.

    Raises:
        InvalidInputError: if there is no world, or not a player for each team.
    """
    runs = [None if p == "random" else Path(p) for p in players]
    known = [RunFolder(run).read_config() for run in runs if run is not None]
    for run, config in zip([r for r in runs if r is not None], known, strict=True):
        if config.get("job") != "marl":
            raise InvalidInputError(f"players: expected folders of train marl, got {run}")
    if not world and not known:
        raise InvalidInputError("world: expected a name, as random players have none, got none")
    place = make_world(world or known[0]["world"], min(128, episodes), "cpu")
    try:
        teams = list(dict.fromkeys(group.team for group in place.groups))
        if len(teams) != len(players):
            raise InvalidInputError(
                f"players: expected one for each team of {place.name} ({', '.join(teams)}), "
                f"got {len(players)}"
            )
        entrants = [Entrant(label=p, run=run) for p, run in zip(players, runs, strict=True)]
        deciders = [as_decider(e, place, t) for e, t in zip(entrants, teams, strict=True)]
        played = [
            evaluate(place, deciders, episodes=episodes, seed=seed, deterministic=d)
            for d in (False, True)
        ]
    finally:
        place.close()
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        caption=f"{place.name}: mean return per agent of {len(played[0].lengths)} episodes, 95% "
        "bootstrap interval over episodes",
    )
    for column in ("team", "player", "drawn actions", "most probable"):
        folds = column == "player"
        table.add_column(column, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    rng = np.random.default_rng(seed)
    for team, player in zip(teams, players, strict=True):
        texts = []
        for returns in played:
            own = returns.by_team[team].double().numpy()
            means = own[rng.integers(0, own.size, (_DRAWS, own.size))].mean(1)
            low, high = np.quantile(means, [0.025, 0.975])
            texts.append(f"{own.mean():.2f} [{low:.2f}, {high:.2f}]")
        table.add_row(team, Path(player).name, *texts)
    Console().print(table, markup=False)
