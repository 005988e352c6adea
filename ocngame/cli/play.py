"""What `play` shows: returns per team of trained teams against each other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from ocngame.agents import evaluate_both
from ocngame.agents.benchmark import as_decider, entrant_of
from ocngame.agents.benchmark.videos import can_be_drawn, draw_video
from ocngame.agents.training.worlds import make_world
from ocngame.errors import InvalidInputError
from ocngame.training.run_folder import RunFolder

__all__ = ["play"]

_DRAWS = 2000


def play(
    players: Sequence[str], world: str, episodes: int, seed: int, gif: Path | None = None
) -> None:
    """Let each player play a team and show the returns.

    Args:
        players: Run folders, random, greedy or planner, one for each team.
        world: Name of the world; that of the first run if empty.
        episodes: Episodes.
        seed: Of the starts and draws.
        gif: File for drawn episodes; None for none.

    Raises:
        InvalidInputError: if there is no world, or not a player for each team.
    """
    entrants = [entrant_of(player) for player in players]
    known = [RunFolder(e.run).read_config() for e in entrants if e.run is not None]
    if not world and not known:
        raise InvalidInputError(
            "world: expected a name, as players without training have none, got none"
        )
    name = world or known[0]["world"]
    if gif is not None and not can_be_drawn(name):
        raise InvalidInputError(f"gif: expected a world that can be drawn, got {name!r}")
    place = make_world(name, min(128, episodes), "cpu")
    try:
        teams = list(dict.fromkeys(group.team for group in place.groups))
        if len(teams) != len(players):
            raise InvalidInputError(
                f"players: expected one for each team of {place.name} ({', '.join(teams)}), "
                f"got {len(players)}"
            )
        deciders = [as_decider(e, place, t) for e, t in zip(entrants, teams, strict=True)]
        played = evaluate_both(place, deciders, episodes=episodes, seed=seed)
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
    console = Console()
    console.print(table, markup=False)
    if gif is not None:
        by_team = dict(zip(teams, entrants, strict=True))
        draw_video(name, lambda at, team: as_decider(by_team[team], at, team), gif, seed=seed)
        console.print(f"{gif}: two episodes", highlight=False, soft_wrap=True)
