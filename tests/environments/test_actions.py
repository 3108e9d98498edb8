import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments.actions import random_action, random_legal_action

DRAWS = 20_000


def spec(action_sizes, **changes):
    num = len(action_sizes)
    return Spec(tuple(map(str, range(num))), (1,) * num, action_sizes, 1, 1, **changes)


@pytest.mark.parametrize(
    "sizes", [(5, 5, 5), (2,) * 20, (1, 1), (7,), (3, 5, 2), (300, 300)], ids=lambda s: f"{len(s)}x{max(s)}"
)
def test_random_actions_are_uniform_over_each_agents_own_actions(sizes):
    actions = np.asarray(random_action(jax.random.key(0), spec(sizes), DRAWS))
    assert actions.shape == (DRAWS, len(sizes))
    assert actions.dtype == np.int32
    for agent, size in enumerate(sizes):
        counts = np.bincount(actions[:, agent], minlength=size)
        assert len(counts) == size
        assert scipy.stats.chisquare(counts).pvalue > 1e-4 or size == 1


@pytest.mark.parametrize("sizes", [(5,) * 4, (2,) * 4])
def test_random_actions_of_different_agents_are_independent(sizes):
    actions = np.asarray(random_action(jax.random.key(1), spec(sizes), DRAWS))
    for i in range(4):
        for j in range(i):
            table = np.histogram2d(actions[:, i], actions[:, j], bins=sizes[0])[0]
            assert scipy.stats.chi2_contingency(table).pvalue > 1e-4


@pytest.mark.parametrize("low_high", [(0.0, 1.0), (-2.0, 3.0)])
def test_random_continuous_actions_are_uniform_over_their_range(low_high):
    low, high = low_high
    continuous = spec((4, 4), action_kind="continuous", action_range=low_high)
    actions = np.asarray(random_action(jax.random.key(0), continuous, DRAWS))
    assert actions.shape == (DRAWS, 2, 4)
    assert actions.dtype == np.float32
    assert scipy.stats.kstest(actions.ravel(), scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-3


def test_random_actions_depend_on_the_key_alone():
    a, b, c = (random_action(jax.random.key(seed), spec((5, 5)), 50) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)


def test_random_legal_actions_are_uniform_over_what_is_legal():
    masks = np.array(list(np.ndindex(2, 2, 2, 2))[1:], bool)
    actions = np.asarray(random_legal_action(jax.random.key(0), spec((4,) * 15), jnp.tile(masks, (DRAWS, 1, 1))))
    assert actions.shape == (DRAWS, len(masks))
    for mask, column in zip(masks, actions.T, strict=True):
        counts = np.bincount(column, minlength=4)
        assert counts[~mask].sum() == 0
        assert mask.sum() == 1 or scipy.stats.chisquare(counts[mask]).pvalue > 1e-4


def test_random_legal_continuous_actions_are_uniform_over_their_range():
    continuous = spec((4, 4), action_kind="continuous", action_range=(-2.0, 3.0))
    actions = np.asarray(random_legal_action(jax.random.key(0), continuous, jnp.ones((DRAWS, 2, 4), bool)))
    assert actions.shape == (DRAWS, 2, 4)
    assert scipy.stats.kstest(actions.ravel(), scipy.stats.uniform(-2.0, 5.0).cdf).pvalue > 1e-3
