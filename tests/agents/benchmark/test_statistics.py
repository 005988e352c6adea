"""Inter-quartile means and ratings against an oracle, by hand, and on synthetic results."""

import numpy as np
import pytest
from scipy.stats import trim_mean

from ocngame.agents.benchmark import elo_ratings, inter_quartile_mean, stratified_bootstrap
from ocngame.errors import InvalidInputError, NonFiniteError


@pytest.mark.parametrize("n", range(1, 14))
def test_the_mean_is_that_of_scipy(n):
    scores = np.random.default_rng(n).normal(size=(3, n))
    np.testing.assert_allclose(inter_quartile_mean(scores), trim_mean(scores, 0.25, axis=1))


def test_an_outlier_does_not_count():
    assert inter_quartile_mean(np.array([1e9, 1.0, 3.0, -50.0])) == 2.0


def test_the_bootstrap_of_two_scores_by_hand():
    # Draws of (0, 1) are 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4.
    whole = stratified_bootstrap([[0.0, 1.0]], seed=0)
    assert (whole.value, whole.low, whole.high) == (0.5, 0.0, 1.0)
    half = stratified_bootstrap([[0.0, 1.0]], seed=0, confidence=0.4)
    assert (half.low, half.high) == (0.5, 0.5)


def test_strata_are_kept():
    # Within a stratum all scores are alike: the draws cannot differ. Pooled they would.
    strata = [[1.0, 1.0], [5.0, 5.0]]
    kept = stratified_bootstrap(strata, seed=0)
    assert (kept.value, kept.low, kept.high) == (3.0, 3.0, 3.0)
    pooled = stratified_bootstrap([[1.0, 1.0, 5.0, 5.0]], seed=0)
    assert pooled.low < 3.0 < pooled.high


def test_intervals_cover_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    intervals = [
        stratified_bootstrap([rng.normal(size=40)], seed=i, draws=300, confidence=0.9)
        for i in range(200)
    ]
    covered = np.mean([i.low <= 0.0 <= i.high for i in intervals])
    assert 0.82 <= covered <= 0.96


def test_the_same_seed_gives_the_same_interval():
    scores = [list(np.random.default_rng(3).normal(size=9))]
    one, same, other = (stratified_bootstrap(scores, seed=s, draws=200) for s in (0, 0, 1))
    assert one == same
    assert one != other


def test_bad_scores():
    with pytest.raises(InvalidInputError, match="strata"):
        stratified_bootstrap([[1.0], []], seed=0)
    with pytest.raises(NonFiniteError, match="strata"):
        stratified_bootstrap([[1.0, np.nan]], seed=0)


def test_ratings_of_two_players_by_hand():
    ratings = elo_ratings(np.array([[0.0, 10.0], [1.0, 0.0]]))
    assert ratings[0] - ratings[1] == pytest.approx(400.0, abs=1e-4)
    assert ratings.sum() == pytest.approx(0.0, abs=1e-6)


def test_ratings_are_found_again_in_exact_and_in_drawn_results():
    true = np.array([-150.0, -20.0, 30.0, 140.0])
    chance = 1 / (1 + 10 ** ((true[None] - true[:, None]) / 400))
    np.testing.assert_allclose(elo_ratings(chance), true, atol=1e-4)
    rng = np.random.default_rng(0)
    upper = np.triu(rng.binomial(2000, chance), 1)
    drawn = upper + np.triu(2000 - upper, 1).T
    np.testing.assert_allclose(elo_ratings(drawn.astype(float)), true, atol=15)


def test_who_never_lost_has_a_rating_only_with_a_prior():
    wins = np.array([[0.0, 5.0, 5.0], [0.0, 0.0, 3.0], [0.0, 2.0, 0.0]])
    with pytest.raises(InvalidInputError, match="prior above 0"):
        elo_ratings(wins)
    ratings = elo_ratings(wins, prior=0.5)
    assert ratings[0] > ratings[1] > ratings[2]
    with pytest.raises(InvalidInputError, match="square"):
        elo_ratings(np.zeros((2, 3)))
