"""Which players act at the same stage: where a shortcut's player sits beside a branch.

Branches that leave the state at the same fork and meet in the same join are parallel. The player of
one branch may sit beside any stage of the other that has a control of the same number of positions
or not: where it sits decides whose move it answers.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ocngame.games.player_rules import branches
from ocngame.games.stage import Stage, StageKind

if TYPE_CHECKING:
    from ocngame.games.graph import GameGraph

__all__ = ["Parallel", "parallel_players"]

_MATRICES = (StageKind.LINEAR, StageKind.CONVOLUTION)


@dataclass(frozen=True, kw_only=True)
class Parallel:
    """A player and the stages of a parallel branch that it can be aligned with.

    Attributes:
        stage: Name of the stage at which it acts: the first matrix control of the shorter branch.
        places: Names of the stages of the longer branch that have a matrix control and the same
            number of positions, in forward order; at least one.
    """

    stage: str
    places: tuple[str, ...]


def parallel_players(game: "GameGraph") -> list[Parallel]:
    """Find the players that act at the same stage as others.

    Args:
        game: A game, traced with an example input so that its shapes are known.

    Returns:
        One entry for every pair of parallel branches with controls; of more than two, the shortest
        and the next one make a pair, then the two that follow. A stage is in one entry at most.
    """
    found: list[Parallel] = []
    groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[list[Stage]]] = {}
    chains: dict[str, list[Stage]] = {}
    branch = branches(game.graph)
    for stage in game.stages:
        if stage.kind is not StageKind.CONSTANT:
            chains.setdefault(branch[stage.name], []).append(stage)
    for chain in chains.values():
        fork = tuple(sorted(set(game.graph.predecessors(chain[0].name))))
        join = tuple(sorted(set(game.graph.successors(chain[-1].name))))
        acting = [stage for stage in chain if stage.controls and stage.kind in _MATRICES]
        if acting and len(fork) == 1 and len(join) == 1:
            groups.setdefault((fork, join), []).append(acting)
    for parallel in groups.values():
        ordered = sorted(parallel, key=len)
        for shorter, longer in list(pairwise(ordered))[::2]:
            positions = _positions(shorter[0])
            places = [stage.name for stage in longer if _positions(stage) == positions]
            if places and positions is not None:
                found.append(Parallel(stage=shorter[0].name, places=tuple(places)))
    return found


def _positions(stage: Stage) -> tuple[int, ...] | None:
    """Give the positions at which a control is used on a sample: all but the outputs."""
    if stage.shape is None:
        return None
    return stage.shape[1:] if stage.kind is StageKind.CONVOLUTION else stage.shape[:-1]
