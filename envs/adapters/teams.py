"""Who plays with whom.

Without a map: agents whose names differ only in a number at the end are a team (`adversary_0`,
`adversary_1`); in a turn-based world every agent is a team of its own, as such worlds are games
between players who are numbered. Worlds of which neither is true are listed here.
"""

import re
from collections.abc import Mapping, Sequence

from ocngame.errors import InvalidInputError

__all__ = ["teams_of"]

_TOGETHER = "all"

_KNOWN: dict[str, Mapping[str, str] | str] = {
    "simple_world_comm": {"leadadversary": "adversary", "adversary": "adversary", "agent": "agent"},
    "simple_crypto": {"eve": "eve", "bob": "friends", "alice": "friends"},
    "simple_speaker_listener": _TOGETHER,
    "collect_treasure": _TOGETHER,
    "knights_archers_zombies": _TOGETHER,
    "hanabi": _TOGETHER,
}
"""By the environment's own name without its version: one team, or teams by the prefix of names."""


def teams_of(
    agents: Sequence[str],
    *,
    environment: str,
    turn_based: bool,
    teams: Mapping[str, Sequence[str]] | None,
) -> dict[str, str]:
    """Say which team every agent is in.

    Args:
        agents: All agents that may appear.
        environment: The environment's own name, as in its metadata.
        turn_based: Whether one agent moves at a time.
        teams: The user's map, from a team to its agents.

    Returns:
        A team per agent.

    Raises:
        InvalidInputError: if the map forgets an agent, has one twice or one that does not exist.
    """
    if teams is not None:
        return _from_map(agents, teams)
    prefixes = {agent: re.sub(r"_?\d+$", "", agent) or agent for agent in agents}
    known = _KNOWN.get(re.sub(r"_v\d+$", "", environment))
    if known == _TOGETHER:
        return dict.fromkeys(agents, "team")
    if isinstance(known, Mapping) and all(p in known for p in prefixes.values()):
        return {agent: known[prefix] for agent, prefix in prefixes.items()}
    if turn_based or environment.startswith("rps"):
        return {agent: agent for agent in agents}
    return prefixes


def _from_map(agents: Sequence[str], teams: Mapping[str, Sequence[str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for team, members in teams.items():
        if isinstance(members, str):
            raise InvalidInputError(
                f"teams: expected a list of agents for team {team!r}, got {members!r}"
            )
        for agent in members:
            if agent not in agents:
                raise InvalidInputError(
                    f"teams: expected agents of the world, {', '.join(agents)}, "
                    f"got {agent!r} in team {team!r}"
                )
            if agent in found:
                raise InvalidInputError(
                    f"teams: expected every agent in one team, got {agent!r} in {found[agent]!r} "
                    f"and {team!r}"
                )
            found[agent] = team
    missing = [agent for agent in agents if agent not in found]
    if missing:
        raise InvalidInputError(
            f"teams: expected every agent in a team, {', '.join(missing)} in none"
        )
    return {agent: found[agent] for agent in agents}
