"""Ready games, each with a start from which it is known to be solved."""

from collections.abc import Callable, Mapping

from ocngame.games.zoo.duopoly import duopoly, duopoly_policy
from ocngame.games.zoo.formation import formation
from ocngame.games.zoo.intersection import intersection
from ocngame.games.zoo.lane_merge import lane_merge
from ocngame.games.zoo.pendulum import pendulum
from ocngame.games.zoo.point_mass import point_mass, point_mass_value
from ocngame.games.zoo.pursuit_evasion import pursuit_evasion
from ocngame.games.zoo.ready import ReadyGame

__all__ = [
    "READY",
    "ReadyGame",
    "duopoly",
    "duopoly_policy",
    "formation",
    "intersection",
    "lane_merge",
    "pendulum",
    "point_mass",
    "point_mass_value",
    "pursuit_evasion",
]

READY: Mapping[str, Callable[..., ReadyGame]] = {
    "duopoly": duopoly,
    "formation": formation,
    "intersection": intersection,
    "lane_merge": lane_merge,
    "pendulum": pendulum,
    "point_mass": point_mass,
    "pursuit_evasion": pursuit_evasion,
}
"""The makers of all ready games, by name."""
