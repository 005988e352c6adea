"""First observations are distributed as those of package `mpe2`: two-sample tests, seeds fixed.

Every number of every agent's first observation is compared by the Kolmogorov-Smirnov test, and so
is the mean of products of pairs of them (what single numbers cannot tell, such as which landmark is
the goal) by its difference in standard errors. The level is divided by the number of comparisons.
"""

from importlib import import_module

import numpy as np
import pytest
from scipy.stats import ks_2samp, norm

from ocngame.envs import batched_world

pytest.importorskip("mpe2")

SAMPLES = 400
LEVEL = 1e-3
NAMES = ("simple_spread", "simple_tag", "simple_adversary", "simple_push")


def ours(name: str, seed: int, **options) -> np.ndarray:
    """First observations of all agents side by side, [samples, O]."""
    return batched_world(name, batch_size=SAMPLES, seed=seed, **options).reset(seed).state.numpy()


def theirs(name: str, **options) -> np.ndarray:
    env = import_module(f"mpe2.{name}_v3").parallel_env(**options)
    rows = []
    for seed in range(SAMPLES):
        observations, _ = env.reset(seed=seed)
        rows.append(np.concatenate([observations[agent] for agent in env.possible_agents]))
    env.close()
    return np.stack(rows)


def least_p(first: np.ndarray, second: np.ndarray) -> float:
    """The smallest p-value of all comparisons, times their number."""
    assert first.shape == second.shape
    p = [
        float(ks_2samp(a, b, method="asymp").pvalue) for a, b in zip(first.T, second.T, strict=True)
    ]
    i, j = np.triu_indices(first.shape[1], 1)
    products = [part[:, i] * part[:, j] for part in (first, second)]
    gap = products[0].mean(0) - products[1].mean(0)
    error = np.sqrt(sum(part.var(0) for part in products) / SAMPLES)
    moving = error > 0
    assert np.allclose(gap[~moving], 0, atol=1e-6)
    p += list(2 * norm.sf(np.abs(gap[moving] / error[moving])))
    return min(p) * len(p)


@pytest.mark.parametrize("name", NAMES)
def test_first_observations_are_distributed_alike(name: str):
    assert least_p(ours(name, 0), theirs(name)) > LEVEL


def test_other_distributions_are_told_apart():
    reference = theirs("simple_push")
    smaller = ours("simple_push", 0) * 0.8
    assert least_p(smaller, reference) < LEVEL
    # The same numbers one by one, but which landmark is the goal is drawn anew.
    good = ours("simple_push", 0)
    mixed, order = good.copy(), np.random.default_rng(0).permutation(SAMPLES)
    goal = slice(8 + 2, 8 + 4)
    mixed[:, goal] = good[order][:, goal]
    assert least_p(mixed, reference) < LEVEL
