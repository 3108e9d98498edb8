import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.ops.statistics import Moments, masked_mean, masked_standardise

AXES = [None, 0, 1, (0, 1), (0, 2)]


def sample(seed=0, shape=(6, 4, 3)):
    rng = np.random.default_rng(seed)
    x = rng.normal(2.0, 3.0, shape).astype(np.float32)
    return x, rng.random(shape) < 0.6


@pytest.mark.parametrize("axis", AXES)
def test_masked_mean_counts_only_what_weighs(axis):
    x, weight = sample()
    want = np.ma.masked_array(x, ~weight).mean(axis)
    np.testing.assert_allclose(jax.jit(masked_mean, static_argnums=2)(x, weight, axis), want, rtol=1e-5)


def test_masked_mean_takes_fractional_weights():
    np.testing.assert_allclose(masked_mean(jnp.array([1.0, 5.0]), jnp.array([0.75, 0.25])), 2.0)


def test_masked_mean_of_nothing_is_zero_and_has_finite_gradients():
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    weight = jnp.array([[True, True], [False, False]])
    np.testing.assert_allclose(masked_mean(x, weight, 1), [1.5, 0.0])
    grad = jax.grad(lambda x: masked_mean(x, weight, 1).sum())(x)
    np.testing.assert_allclose(grad, [[0.5, 0.5], [0.0, 0.0]])


@pytest.mark.parametrize("axis", AXES)
def test_masked_standardise_gives_mean_zero_and_deviation_one_to_what_weighs(axis):
    x, weight = sample()
    got = np.ma.masked_array(masked_standardise(x, weight, axis), ~weight)
    kept = np.ma.masked_array(x, ~weight)
    mean, deviation = kept.mean(axis, keepdims=True), kept.std(axis, keepdims=True)
    enough = np.broadcast_to(np.ma.filled(deviation, 0.0) > 0.1, x.shape) & weight
    assert enough.mean() > 0.4
    np.testing.assert_allclose(got[enough], ((kept - mean) / deviation)[enough], rtol=1e-3, atol=1e-4)


def test_masked_standardise_does_not_depend_on_what_weighs_nothing():
    x, weight = sample()
    other = np.where(weight, x, 1e6).astype(np.float32)
    a, b = masked_standardise(x, weight), masked_standardise(other, weight)
    np.testing.assert_allclose(np.asarray(a)[weight], np.asarray(b)[weight], rtol=1e-5)


@pytest.mark.parametrize("weight", [np.zeros(4, bool), np.array([True, False, False, False]), np.ones(4, bool)])
def test_masked_standardise_is_finite_where_nothing_varies(weight):
    got = masked_standardise(jnp.full(4, 3.0), weight)
    assert np.isfinite(got).all()
    np.testing.assert_allclose(np.asarray(got)[weight], 0.0)


def test_moments_of_nothing_change_nothing():
    start = Moments.start((3,))
    np.testing.assert_array_equal(start.deviation, np.ones(3))
    np.testing.assert_array_equal(start.centre, np.zeros(3))
    x = jnp.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(start.normalise(x), x)


def test_moments_of_one_batch_are_those_of_the_batch_whatever_the_decay():
    x, weight = sample()
    moments = Moments.start((3,)).update(jnp.asarray(x), jnp.asarray(weight), (0, 1), 0.99)
    kept = np.ma.masked_array(x, ~weight)
    np.testing.assert_allclose(moments.centre, kept.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(moments.deviation, kept.std((0, 1)), rtol=1e-3)


def test_moments_are_the_naive_exponentially_weighted_average_of_batches():
    decay, batches = 0.8, [sample(seed) for seed in range(5)]
    moments, update = Moments.start((3,)), jax.jit(Moments.update, static_argnums=(3, 4))
    for x, weight in batches:
        moments = update(moments, x, weight, (0, 1), decay)
    share = np.array([(1 - decay) * decay**age for age in reversed(range(5))])
    share /= share.sum()
    kept = [np.ma.masked_array(x, ~weight) for x, weight in batches]
    mean = sum(s * k.mean((0, 1)) for s, k in zip(share, kept, strict=True))
    square = sum(s * (k**2).mean((0, 1)) for s, k in zip(share, kept, strict=True))
    np.testing.assert_allclose(moments.centre, mean, rtol=1e-4)
    np.testing.assert_allclose(moments.deviation, np.sqrt(square - mean**2), rtol=1e-3)


def test_moments_restore_what_they_normalise():
    x, weight = sample()
    moments = Moments.start((3,)).update(jnp.asarray(x), jnp.asarray(weight), (0, 1), 0.9)
    normal = moments.normalise(x)
    assert not np.allclose(normal, x)
    np.testing.assert_allclose(moments.restore(normal), x, rtol=1e-4, atol=1e-4)


def test_deviation_of_constants_stays_above_its_floor():
    ones = jnp.ones((5, 2))
    moments = Moments.start((2,)).update(7.0 * ones, ones, (0,), 0.9)
    assert np.isfinite(moments.normalise(7.0 * ones)).all()
    assert (np.asarray(moments.deviation) >= 1e-3 * (1 - 1e-6)).all()
