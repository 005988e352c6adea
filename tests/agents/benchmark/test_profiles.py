"""Performance profiles by hand, their bands, and that opposing teams are never put together."""

import numpy as np
import pytest

from ocngame.agents.benchmark import Suite, performance_profile
from ocngame.agents.benchmark.profiles import profile_panels


def test_shares_by_hand():
    taus = np.array([0.0, 1.0, 1.5, 2.0, 9.0])
    scores = [[1.0, 2.0], [2.0, 3.0]]
    share, low, high = performance_profile(scores, taus, seed=0, draws=200, confidence=0.95)
    np.testing.assert_allclose(share, [1.0, 1.0, 0.75, 0.75, 0.0])
    np.testing.assert_allclose(low[[0, 4]], [1.0, 0.0])
    np.testing.assert_allclose(high[[0, 4]], [1.0, 0.0])
    # Only the first stratum varies about 1.5: shares of 1/2, 3/4 and 1.
    assert (low[2], high[2]) == (0.5, 1.0)
    less, *_ = performance_profile(scores, taus, seed=0, draws=200, confidence=0.95, at_most=True)
    np.testing.assert_allclose(less, [0.0, 0.25, 0.25, 0.75, 1.0])


def test_bands_are_those_of_binomial_draws():
    rng = np.random.default_rng(0)
    share, low, high = performance_profile(
        [rng.normal(size=400)], np.array([0.0]), seed=1, draws=2000, confidence=0.95
    )
    width = 1.96 * np.sqrt(share * (1 - share) / 400)
    np.testing.assert_allclose(high - share, width, rtol=0.15)
    np.testing.assert_allclose(share - low, width, rtol=0.15)


def test_what_is_put_together():
    suite = Suite(name="s", worlds=("simple_spread", "simple_push"), draws=100)
    cross = {
        "teams": ["adversary", "agent"],
        "field": {
            "adversary": {"a": [1.0, 2.0], "random": [0.0]},
            "agent": {"a": [-5.0, -6.0], "random": [-9.0]},
        },
    }
    panels = profile_panels(
        suite,
        {"a": [[0.5, 1.0]], "b": [[0.2, 0.4]]},
        {"simple_push": cross},
        {"kuhn": {"a": [0.1, 0.2], "random": [0.4]}},
    )
    titles = [panel["title"] for panel in panels]
    assert titles == [
        "worlds of one team",
        "simple_push: adversary against the field",
        "simple_push: agent against the field",
        "kuhn",
    ]
    assert [set(panel["profiles"]) for panel in panels] == [{"a", "b"}, {"a"}, {"a"}, {"a"}]
    adversary = panels[1]
    assert min(adversary["taus"]) > 0.5
    assert max(adversary["taus"]) == pytest.approx(2.05)
