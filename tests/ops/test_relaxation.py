import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.ops.relaxation import gumbel_softmax, ornstein_uhlenbeck, straight_through

KEY = jax.random.key(0)
LOGITS = jnp.log(jnp.array([0.2, 0.5, 0.3]))


def draws(temperature, num=4000):
    gumbel = jax.random.gumbel(KEY, (3, num))
    return gumbel_softmax(LOGITS[:, None], gumbel, temperature)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_greatest_share_is_as_likely_as_its_probability(temperature):
    soft = draws(temperature)
    np.testing.assert_allclose(soft.sum(0), 1.0, rtol=1e-5)
    np.testing.assert_allclose(straight_through(soft).mean(1), jnp.exp(LOGITS), atol=0.03)


def test_the_colder_the_nearer_to_one_hot():
    greatest = [float(draws(temperature).max(0).mean()) for temperature in (2.0, 1.0, 0.5, 0.1)]
    assert greatest == sorted(greatest)
    assert greatest[-1] > 0.95


def test_straight_through_is_one_hot_with_the_gradient_of_the_soft_draw():
    weights, gumbel = jnp.array([1.0, 2.0, 4.0]), jax.random.gumbel(KEY, (3,))

    def soft(logits):
        return gumbel_softmax(logits, gumbel, 0.7)

    hard = straight_through(soft(LOGITS))
    np.testing.assert_array_equal(hard, np.arange(3) == np.argmax(LOGITS + gumbel))
    slope = jax.grad(lambda logits: weights @ straight_through(soft(logits)))(LOGITS)
    np.testing.assert_allclose(slope, jax.grad(lambda logits: weights @ soft(logits))(LOGITS), rtol=1e-6)
    assert float(jnp.abs(slope).max()) > 0.01


def test_actions_that_are_not_legal_are_never_drawn_and_have_no_gradient():
    logits = jnp.array([0.0, -1e9, 0.0])
    gumbel = jax.random.gumbel(KEY, (3, 100))
    soft = gumbel_softmax(logits[:, None], gumbel, 1.0)
    assert float(soft[1].max()) == 0.0
    slope = jax.grad(lambda logits: straight_through(gumbel_softmax(logits[:, None], gumbel, 1.0))[0].sum())(logits)
    assert np.isfinite(slope).all()
    assert float(slope[1]) == 0.0


def test_wandering_noise_keeps_its_deviation_and_forgets():
    normals = jax.random.normal(KEY, (400, 1000))
    _, noise = jax.lax.scan(lambda x, normal: (ornstein_uhlenbeck(x, normal, 0.3),) * 2, jnp.zeros(1000), normals)
    np.testing.assert_allclose(noise[100:].std(), 0.3 / np.sqrt(1 - 0.85**2), rtol=0.02)
    for lag in (1, 5):
        kept = np.corrcoef(noise[100:-lag].ravel(), noise[100 + lag :].ravel())[0, 1]
        np.testing.assert_allclose(kept, 0.85**lag, atol=0.02)
