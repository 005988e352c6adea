"""The built-in suites."""

from collections.abc import Mapping

from ocngame.agents.benchmark.suite import Suite

__all__ = ["SUITES"]

_FIVE = (0, 1, 2, 3, 4)

SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        Suite(
            name="smoke",
            worlds=("simple_spread", "simple_push"),
            frames=64_000,
            episodes=256,
        ),
        Suite(
            name="cooperative",
            worlds=("simple_spread",),
            algorithms=("ippo", "mappo"),
            players=("random", "greedy", "planner"),
            seeds=_FIVE,
        ),
        Suite(
            name="adversarial",
            worlds=("simple_tag", "simple_adversary", "simple_push"),
            algorithms=("ippo", "coupled"),
            players=("random", "greedy", "planner"),
            frames=100_000,
            episodes=256,
            crossplay_episodes=32,
            response_frames=25_000,
            coupled={"schedule": "linear", "coupled": {"curvature": "diagonal"}},
        ),
        Suite(
            name="turn-based",
            worlds=("tictactoe", "connect_four", "kuhn", "leduc"),
            algorithms=("selfplay", "ippo"),
            frames=100_000,
            response_frames=25_000,
            settings={"surrogate": {"discount": 1.0}},
            per_world={
                "leduc": {"frames": 200_000},
                "kuhn": {
                    "selfplay": {
                        "copies": 32,
                        "learner": {"width": 64, "minibatch": 128, "magnet_rate": 0.02},
                    },
                },
                "tictactoe": {"selfplay": {"learner": {"magnet_weight": 0.1}}},
                "connect_four": {"frames": 50_000},
            },
        ),
        Suite(
            name="games",
            worlds=(
                "matching_pennies",
                "rock_paper_scissors",
                "prisoners_dilemma",
                "pursuit_evasion",
            ),
            algorithms=("ippo", "coupled"),
            seeds=_FIVE,
            frames=32_000,
            response_frames=32_000,
            settings={"surrogate": {"discount": 1.0}, "network": {"width": 16}},
            coupled={"surrogate": {"discount": 1.0}, "network": {"width": 16}, "steps": 1},
            per_world={"prisoners_dilemma": {"coupled": {"steps": 16}}},
        ),
    )
}
"""By name."""
