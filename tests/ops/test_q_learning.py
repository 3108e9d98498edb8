import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.ops.q_learning import best_choice, decayed, dueling, epsilon_greedy, epsilon_of_each

RNG = np.random.default_rng(0)
VALUES = jnp.asarray(RNG.normal(size=(4, 6)), jnp.float32)
LEGAL = jnp.asarray(RNG.random((4, 6)) < 0.6).at[2].set(True)


def test_the_best_choice_is_the_best_legal_one_and_the_first_of_equals():
    want = [max(np.flatnonzero(LEGAL[:, i]), key=lambda a: VALUES[a, i]) for i in range(6)]
    np.testing.assert_array_equal(best_choice(VALUES, LEGAL), want)
    assert best_choice(jnp.zeros((3, 1)), jnp.array([[False], [True], [True]]))[0] == 1


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_greedy_shares_epsilon_among_legal_choices(epsilon):
    probs = np.asarray(epsilon_greedy(VALUES, LEGAL, epsilon))
    want = epsilon * np.asarray(LEGAL) / np.asarray(LEGAL).sum(0)
    want[best_choice(VALUES, LEGAL), np.arange(6)] += 1.0 - epsilon
    np.testing.assert_allclose(probs, want, rtol=1e-6)
    np.testing.assert_allclose(probs.sum(0), 1.0, rtol=1e-6)


def test_epsilon_falls_in_a_line_within_its_share_of_the_run():
    at = [decayed(jnp.array(1.0), jnp.array(0.1), jnp.array(0.5), jnp.array(p)) for p in (0.0, 0.25, 0.5, 0.9)]
    np.testing.assert_allclose(at, [1.0, 0.55, 0.1, 0.1], rtol=1e-6)
    assert decayed(jnp.array(1.0), jnp.array(0.1), jnp.array(0.0), jnp.array(0.5)) == pytest.approx(0.1)


def test_environments_explore_as_those_of_ape_x():
    # Horgan et al. 2018, section 4: 0.4^(1 + 7 i / (N - 1)).
    got = epsilon_of_each(jnp.array(0.4), jnp.arange(4), 4, jnp.array(7.0))
    np.testing.assert_allclose(got, [0.4, 0.4 ** (10 / 3), 0.4 ** (17 / 3), 0.4**8], rtol=1e-5)
    np.testing.assert_array_equal(epsilon_of_each(jnp.array(0.4), jnp.arange(4), 4, jnp.array(0.0)), jnp.full(4, 0.4))
    assert epsilon_of_each(jnp.array(0.4), jnp.arange(1), 1, jnp.array(7.0))[0] == jnp.float32(0.4)


def test_dueling_streams_have_advantages_of_mean_zero_over_legal_choices():
    outputs = jnp.concatenate([VALUES, jnp.arange(6.0)[None]])
    values = dueling(outputs, LEGAL)
    np.testing.assert_allclose(jnp.where(LEGAL, values, 0.0).sum(0) / LEGAL.sum(0), jnp.arange(6.0), atol=1e-5)
    slope = jax.grad(lambda x: dueling(x, LEGAL)[0, 0])(outputs)
    assert slope[4, 0] == 1.0
