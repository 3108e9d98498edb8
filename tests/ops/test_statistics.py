import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.ops.statistics import Moments, Sums

AXES = [None, 0, 1, (0, 1), (0, 2)]


def sample(seed=0, shape=(6, 4, 3)):
    rng = np.random.default_rng(seed)
    x = rng.normal(2.0, 3.0, shape).astype(np.float32)
    return x, rng.random(shape) < 0.6


def add(*parts):
    """Add up Sums."""
    return jax.tree.map(lambda *x: sum(x), *parts)


@pytest.mark.parametrize("axis", AXES)
def test_sums_give_the_statistics_of_what_weighs(axis):
    x, weight = sample()
    sums = jax.jit(Sums.of, static_argnums=2)(x, weight, axis)
    kept = np.ma.masked_array(x, ~weight)
    np.testing.assert_array_equal(sums.weight, weight.sum(axis))
    np.testing.assert_allclose(sums.mean, np.ma.filled(kept.mean(axis), 0.0), rtol=1e-5)
    np.testing.assert_allclose(sums.mean_square, np.ma.filled((kept**2).mean(axis), 0.0), rtol=1e-5)
    np.testing.assert_allclose(sums.variance, np.ma.filled(kept.var(axis), 0.0), rtol=1e-3, atol=1e-4)


def test_sums_take_fractional_weights():
    sums = Sums.of(jnp.array([1.0, 5.0]), jnp.array([0.75, 0.25]))
    np.testing.assert_allclose((sums.weight, sums.mean, sums.mean_square, sums.variance), (1.0, 2.0, 7.0, 3.0))


def test_the_mean_of_nothing_is_zero_and_has_finite_gradients():
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    weight = jnp.array([[True, True], [False, False]])
    sums = Sums.of(x, weight, 1)
    np.testing.assert_allclose(sums.mean, [1.5, 0.0])
    np.testing.assert_allclose(sums.mean_square, [2.5, 0.0])
    np.testing.assert_allclose(sums.variance, [0.25, 0.0])
    grad = jax.grad(lambda x: Sums.of(x, weight, 1).mean.sum())(x)
    np.testing.assert_allclose(grad, [[0.5, 0.5], [0.0, 0.0]])


@pytest.mark.parametrize("anything", [np.nan, np.inf, -np.inf, 1e30])
def test_sums_do_not_depend_on_what_weighs_nothing(anything):
    x, weight = sample()
    clean, other = (np.where(weight, x, y).astype(np.float32) for y in (0.0, anything))
    jax.tree.map(np.testing.assert_array_equal, Sums.of(clean, weight, 0), Sums.of(other, weight, 0))
    grad = jax.grad(lambda x: Sums.of(x, weight).variance)(jnp.asarray(other))
    assert np.isfinite(grad).all()
    np.testing.assert_array_equal(np.asarray(grad)[~weight], 0.0)


@pytest.mark.parametrize("cuts", [(3,), (1, 2), (2, 2, 5)], ids=str)
@pytest.mark.parametrize("axis", AXES)
def test_sums_of_parts_add_up_to_those_of_the_whole(axis, cuts):
    x, weight = sample()
    reduced = {None: 0, 0: 0, 1: 1, (0, 1): 0, (0, 2): 2}[axis]  # cut along an axis that is summed over
    parts = zip(np.split(x, cuts, reduced), np.split(weight, cuts, reduced), strict=True)
    got, want = add(*(Sums.of(*part, axis) for part in parts)), Sums.of(x, weight, axis)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), got, want)
    np.testing.assert_allclose(got.variance, want.variance, rtol=1e-3, atol=1e-4)


def test_the_variance_is_never_negative():
    rng = np.random.default_rng(0)
    x = (1e4 * rng.normal(size=(1, 500)) + 1e-3 * rng.normal(size=(30, 500))).astype(np.float32)
    sums = Sums.of(x, np.ones(x.shape, bool), 0)
    assert (np.asarray(sums.mean_square - sums.mean**2) < 0.0).any(), "rounding did no harm: the test shows nothing"
    assert (np.asarray(sums.variance) >= 0.0).all()


def test_moments_of_nothing_change_nothing():
    start = Moments.start((3,))
    np.testing.assert_array_equal(start.deviation, np.ones(3))
    np.testing.assert_array_equal(start.centre, np.zeros(3))
    x = jnp.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(start.normalise(x), x)
    some = np.array([True, False, True])  # of the second agent nothing weighs
    before = start.update(Sums.of(x[None], np.ones((1, 3)), 0), 0.9)
    after = before.update(Sums.of(jnp.array([[5.0, jnp.nan, 6.0]]), some[None], 0), 0.9)
    for old, new in zip(before, after, strict=True):
        assert float(new[1]) == float(old[1])
        assert (np.asarray(new != old) == some).all()


def test_moments_of_one_batch_are_those_of_the_batch_whatever_the_decay():
    x, weight = sample()
    moments = Moments.start((3,)).update(Sums.of(x, weight, (0, 1)), 0.99)
    kept = np.ma.masked_array(x, ~weight)
    np.testing.assert_allclose(moments.centre, kept.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(moments.deviation, kept.std((0, 1)), rtol=1e-3)


def test_moments_are_the_naive_exponentially_weighted_average_of_batches():
    decay, batches = 0.8, [sample(seed) for seed in range(5)]
    moments, update = Moments.start((3,)), jax.jit(Moments.update, static_argnums=2)
    for x, weight in batches:
        moments = update(moments, Sums.of(x, weight, (0, 1)), decay)
    share = np.array([(1 - decay) * decay**age for age in reversed(range(5))])
    share /= share.sum()
    kept = [np.ma.masked_array(x, ~weight) for x, weight in batches]
    mean = sum(s * k.mean((0, 1)) for s, k in zip(share, kept, strict=True))
    square = sum(s * (k**2).mean((0, 1)) for s, k in zip(share, kept, strict=True))
    np.testing.assert_allclose(moments.centre, mean, rtol=1e-4)
    np.testing.assert_allclose(moments.deviation, np.sqrt(square - mean**2), rtol=1e-3)


def test_moments_restore_what_they_normalise():
    x, weight = sample()
    moments = Moments.start((3,)).update(Sums.of(x, weight, (0, 1)), 0.9)
    normal = moments.normalise(x)
    assert not np.allclose(normal, x)
    np.testing.assert_allclose(moments.restore(normal), x, rtol=1e-4, atol=1e-4)


def test_deviation_of_constants_stays_above_its_floor():
    ones = jnp.ones((5, 2))
    moments = Moments.start((2,)).update(Sums.of(7.0 * ones, ones, 0), 0.9)
    assert np.isfinite(moments.normalise(7.0 * ones)).all()
    assert (np.asarray(moments.deviation) >= 1e-3 * (1 - 1e-6)).all()
