"""Normal distributions, beside scipy's and beside what drawing many numbers gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxmarl_lite.ops import gaussian

MEANS, DEVIATIONS = [-3.0, -0.9, 0.0, 0.4, 5.0], [0.05, 0.5, 2.0]
any_normal = pytest.mark.parametrize(("mean", "deviation"), [(m, d) for m in MEANS for d in DEVIATIONS])


@any_normal
def test_a_cut_normal_is_a_density_inside_and_a_mass_at_each_bound(mean, deviation):
    normal = scipy.stats.norm(mean, deviation)
    inside = np.linspace(-0.99, 0.99, 7)
    np.testing.assert_allclose(
        gaussian.clipped_log_prob(jnp.asarray(inside), mean, deviation), normal.logpdf(inside), rtol=1e-3, atol=1e-4
    )
    for beyond in (1.0, 1.7, 40.0):
        low = gaussian.clipped_log_prob(jnp.array(-beyond), mean, deviation)
        high = gaussian.clipped_log_prob(jnp.array(beyond), mean, deviation)
        np.testing.assert_allclose(low, normal.logcdf(-1.0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(high, normal.logsf(1.0), rtol=1e-3, atol=1e-5)


@any_normal
def test_a_cut_normal_has_a_whole_probability_of_one(mean, deviation):
    x = np.linspace(-1.0, 1.0, 200_001)[1:-1]
    density = np.exp(np.asarray(gaussian.clipped_log_prob(jnp.asarray(x), mean, deviation), np.float64))
    ends = sum(float(jnp.exp(gaussian.clipped_log_prob(jnp.array(end), mean, deviation))) for end in (-1.0, 1.0))
    assert density.mean() * 2.0 + ends == pytest.approx(1.0, abs=2e-3)


@any_normal
def test_a_squashed_normal_has_the_density_of_its_tanh(mean, deviation):
    x = jnp.linspace(-2.0, 2.0, 9)
    want = scipy.stats.norm(mean, deviation).logpdf(np.asarray(x)) - np.log(
        1.0 - np.tanh(np.asarray(x, np.float64)) ** 2
    )
    np.testing.assert_allclose(gaussian.squashed_log_prob(x, mean, deviation), want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("log_prob", [gaussian.clipped_log_prob, gaussian.squashed_log_prob])
@pytest.mark.parametrize("x", [-30.0, -1.0, 1.0, 30.0])
def test_probabilities_and_gradients_are_finite_far_beyond_the_bounds(log_prob, x):
    value, grads = jax.value_and_grad(log_prob, argnums=(1, 2))(jnp.array(x), jnp.array(0.3), jnp.array(0.1))
    assert all(bool(jnp.isfinite(number)) for number in (value, *grads))


@any_normal
def test_entropy_and_divergence_are_means_over_draws(mean, deviation):
    draws = mean + deviation * np.random.default_rng(0).normal(size=400_000)
    old, new = scipy.stats.norm(mean, deviation), scipy.stats.norm(mean + 0.3, 0.7 * deviation)
    assert float(gaussian.entropy(jnp.array(deviation))) == pytest.approx(-old.logpdf(draws).mean(), abs=0.01)
    want = (old.logpdf(draws) - new.logpdf(draws)).mean()
    got = gaussian.divergence(*(jnp.array(x) for x in (mean, deviation, mean + 0.3, 0.7 * deviation)))
    assert float(got) == pytest.approx(want, rel=0.02, abs=0.01)
