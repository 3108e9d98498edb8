import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from jaxmarl_lite.ops.policy import (
    categorical,
    categorical_divergence,
    in_basis,
    mask_logits,
    of_choice,
    policy_gradient,
    ppo_clip,
    sample_index,
)
from jaxmarl_lite.ops.value import value_loss

LEGAL = [[True, True, True], [True, False, True], [False, True, False]]


@pytest.mark.parametrize("legal", LEGAL)
def test_actions_that_are_not_legal_have_no_probability_and_the_others_keep_their_ratios(legal):
    logits = jnp.array([1.0, -2.0, 0.5])
    probs = np.asarray(jax.nn.softmax(mask_logits(logits, jnp.array(legal))))
    want = np.where(legal, np.exp(logits), 0.0)
    np.testing.assert_array_equal(probs[~np.array(legal)], 0.0)
    np.testing.assert_allclose(probs, want / want.sum(), rtol=1e-6)


def reference_categorical(logits, action):
    """The log-probability of `action` and the entropy under logits [N, ...], in double precision."""
    log_probs = scipy.special.log_softmax(np.asarray(logits, np.float64), axis=0)
    log_prob = np.take_along_axis(log_probs, np.asarray(action)[None], axis=0)[0]
    return log_prob, scipy.stats.entropy(np.exp(log_probs), axis=0)


def differences(function, x, step=1e-5):
    """The gradient of a function of one array, by central differences in double precision."""
    x, grad = np.asarray(x, np.float64), np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        move = np.zeros(x.shape)
        move[at] = step
        grad[at] = (function(x + move) - function(x - move)) / (2 * step)
    return grad


def sample_choices(shape, num_actions=5, scale=3.0):
    rng = np.random.default_rng(len(shape))
    logits = scale * rng.normal(size=(num_actions, *shape)).astype(np.float32)
    return logits, rng.integers(0, num_actions, shape, dtype=np.int32)


@pytest.mark.parametrize("num_actions", [1, 2, 5])
@pytest.mark.parametrize("shape", [(), (7,), (4, 3, 2)])
def test_categorical_gives_the_log_probability_and_the_entropy_of_scipy(shape, num_actions):
    logits, action = sample_choices(shape, num_actions)
    got = jax.jit(categorical)(logits, action)
    for mine, want in zip(got, reference_categorical(logits, action), strict=True):
        assert mine.shape == shape
        np.testing.assert_allclose(mine, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offset", [-1e4, 1e4])
def test_categorical_does_not_overflow_and_ignores_what_is_added_to_all_logits(offset):
    logits, action = sample_choices((6,))
    logits = np.round(logits * 64) / 64  # so that the offset is added without rounding
    moved = jax.jit(categorical)(logits + np.float32(offset), action)
    for mine, want in zip(moved, reference_categorical(logits, action), strict=True):
        np.testing.assert_allclose(mine, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("part", [0, 1], ids=["log-probability", "entropy"])
def test_gradients_of_categorical_are_those_of_finite_differences(part):
    logits, action = sample_choices((3, 2))
    weight = np.random.default_rng(1).normal(size=(3, 2))
    grad = jax.grad(lambda logits: (categorical(logits, action)[part] * weight).sum())(jnp.asarray(logits))
    want = differences(lambda logits: (reference_categorical(logits, action)[part] * weight).sum(), logits)
    assert np.abs(want).max() > 0.1
    np.testing.assert_allclose(grad, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("part", [0, 1], ids=["log-probability", "entropy"])
@pytest.mark.parametrize("legal", LEGAL)
def test_categorical_of_masked_logits_is_that_of_the_legal_ones_and_has_finite_gradients(legal, part):
    logits, legal = jnp.array([1.0, -2.0, 0.5]), np.array(legal)
    action = int(np.flatnonzero(legal)[-1])

    def masked(logits):
        return categorical(mask_logits(logits, jnp.asarray(legal)), jnp.asarray(action))[part]

    def kept(few):
        return reference_categorical(few, legal[:action].sum())[part]

    value, grad = jax.value_and_grad(masked)(logits)
    few = np.asarray(logits)[legal]
    np.testing.assert_allclose(value, kept(few), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.asarray(grad)[~legal], 0.0)
    np.testing.assert_allclose(np.asarray(grad)[legal], differences(kept, few), rtol=1e-4, atol=1e-6)


def test_categorical_gives_an_illegal_action_no_probability_and_still_finite_gradients():
    legal = jnp.array([True, False, True])

    def probability(logits):
        return jnp.exp(categorical(mask_logits(logits, legal), jnp.asarray(1))[0])

    value, grad = jax.value_and_grad(probability)(jnp.array([1.0, 50.0, 0.5]))
    assert float(value) == 0.0
    np.testing.assert_array_equal(grad, 0.0)


@pytest.mark.parametrize(
    "probs",
    [[0.1, 0.2, 0.3, 0.4], [0.0, 0.7, 0.0, 0.3], [1.0, 3.0, 4.0, 0.0], [0.0, 0.0, 1e-3, 1e-3]],
    ids=["all", "gaps", "unnormalised", "small"],
)
def test_sampled_indices_follow_the_probabilities_and_never_one_of_zero(probs):
    draws = 40_000
    uniform = jax.random.uniform(jax.random.key(3), (draws,))
    index = jax.jit(sample_index)(uniform, jnp.tile(jnp.array(probs)[:, None], (1, draws)))
    assert index.dtype == jnp.int32
    counts = np.bincount(index, minlength=4)
    probs = np.array(probs) / np.sum(probs)
    assert counts[probs == 0.0].sum() == 0
    assert scipy.stats.chisquare(counts[probs > 0.0], draws * probs[probs > 0.0]).pvalue > 1e-3


def test_sampled_index_is_the_first_whose_cumulative_probability_exceeds_the_uniform_number():
    rng = np.random.default_rng(0)
    uniform, probs = rng.random((5, 4), np.float32), rng.random((6, 5, 4), np.float32)
    got = jax.jit(sample_index)(uniform, probs)
    for at in np.ndindex(5, 4):
        cumulative = np.cumsum(probs[:, *at], dtype=np.float32)
        assert int(got[at]) == int(np.argmax(cumulative > uniform[at] * cumulative[-1]))


def test_sampled_indices_are_legal_under_every_mask():
    masks = np.array(list(np.ndindex(2, 2, 2, 2, 2))[1:], bool)
    logits = 5.0 * jax.random.normal(jax.random.key(0), (5, 100, len(masks)))
    probs = jax.nn.softmax(mask_logits(logits, jnp.asarray(masks.T)[:, None]), axis=0)
    index = sample_index(jax.random.uniform(jax.random.key(1), (100, len(masks))), probs)
    assert index.shape == (100, len(masks))
    assert masks[np.arange(len(masks)), np.asarray(index)].all()


def test_the_only_choice_is_always_taken():
    index = sample_index(jnp.array([0.0, 0.5]), jnp.ones((1, 2)))
    assert index.dtype == jnp.int32
    np.testing.assert_array_equal(index, [0, 0])


@pytest.mark.parametrize("uniform", [0.0, np.nextafter(np.float32(1), np.float32(0))])
def test_sampled_index_has_probability_even_at_the_ends_of_the_uniform_number(uniform):
    rng = np.random.default_rng(0)
    probs = rng.random((2000, 6), np.float32) * (rng.random((2000, 6)) < 0.5)
    probs = probs[probs.sum(1) > 0.0]
    index = np.asarray(sample_index(jnp.full(len(probs), uniform, jnp.float32), jnp.asarray(probs.T)))
    assert (probs[np.arange(len(probs)), index] > 0.0).all()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.0, 2.0, -2.0, -2.0),
        (1.5, 2.0, -2.4, 0.0),  # gains beyond 1 + clip are cut
        (0.5, 2.0, -1.0, -1.0),  # losses are not
        (1.5, -2.0, 3.0, 3.0),
        (0.5, -2.0, 1.6, 0.0),
    ],
)
def test_ppo_clip_by_hand(ratio, advantage, loss, slope):
    old = jnp.array(-1.0)
    got = jax.value_and_grad(ppo_clip)(old + jnp.log(ratio), old, jnp.array(advantage), 0.2)
    np.testing.assert_allclose(got, (loss, slope), rtol=1e-5)


@pytest.mark.parametrize("clip", [0.1, 0.3])
def test_ppo_clip_is_the_naive_loop(clip):
    rng = np.random.default_rng(0)
    new, old, advantage = (rng.normal(size=(5, 4)).astype(np.float32) for _ in range(3))
    want = np.zeros((5, 4))
    for at in np.ndindex(5, 4):
        ratio = np.exp(new[at] - old[at])
        want[at] = -min(ratio * advantage[at], min(max(ratio, 1 - clip), 1 + clip) * advantage[at])
    np.testing.assert_allclose(jax.jit(ppo_clip)(new, old, advantage, clip), want, rtol=1e-5)


@pytest.mark.parametrize("clip", [0.2, np.inf])
def test_value_loss_is_the_naive_loop(clip):
    rng = np.random.default_rng(0)
    value, old, target = (rng.normal(size=(5, 4)).astype(np.float32) for _ in range(3))
    want = np.zeros((5, 4))
    for at in np.ndindex(5, 4):
        near = old[at] + min(max(value[at] - old[at], -clip), clip)
        want[at] = max((value[at] - target[at]) ** 2, (near - target[at]) ** 2) / 2
    np.testing.assert_allclose(jax.jit(value_loss)(value, old, target, clip), want, rtol=1e-5, atol=1e-7)


def test_value_loss_stops_moving_beyond_the_clip_and_an_infinite_clip_is_the_squared_error():
    value, old, target = jnp.array(1.5), jnp.array(1.0), jnp.array(9.0)
    slope = jax.grad(value_loss)
    np.testing.assert_allclose(value_loss(value, old, target, 0.2), (1.2 - 9.0) ** 2 / 2, rtol=1e-6)
    np.testing.assert_allclose(slope(value, old, target, 0.2), 0.0)
    np.testing.assert_allclose(value_loss(value, old, target, jnp.inf), 7.5**2 / 2, rtol=1e-6)
    np.testing.assert_allclose(slope(value, old, target, jnp.inf), -7.5, rtol=1e-6)


def test_huber_grows_linearly_beyond_its_limit():
    value, target = jnp.array([1.0, 3.0, -4.0]), jnp.zeros(3)
    want = [0.5, 2.0 * (3.0 - 1.0), 2.0 * (4.0 - 1.0)]
    np.testing.assert_allclose(value_loss(value, value, target, jnp.inf, 2.0), want, rtol=1e-6)
    slope = jax.grad(lambda value: value_loss(value, value, target, jnp.inf, 2.0).sum())
    np.testing.assert_allclose(slope(value), [1.0, 2.0, -2.0], rtol=1e-6)


def test_the_gradient_of_the_policy_gradient_is_that_of_the_log_probability():
    rng = np.random.default_rng(0)
    log_prob, advantage = (jnp.asarray(rng.normal(size=(5, 4)), jnp.float32) for _ in range(2))
    slope = jax.grad(lambda x: policy_gradient(x, log_prob, advantage).sum())(log_prob)
    np.testing.assert_allclose(slope, -advantage, rtol=1e-6)


def test_a_function_of_the_action_is_the_weighted_sum_of_its_basis():
    rng = np.random.default_rng(0)
    basis, weights = (rng.normal(size=(4, 6, 2)).astype(np.float32) for _ in range(2))
    for at in np.ndindex(6, 2):
        want = sum(basis[n, *at] * weights[n, *at] for n in range(4))
        np.testing.assert_allclose(in_basis(basis, weights)[at], want, rtol=1e-4, atol=1e-5)


def test_categorical_divergence_is_the_naive_sum():
    rng = np.random.default_rng(0)
    old, new = (rng.normal(size=(4, 5)).astype(np.float32) for _ in range(2))
    p, q = (np.exp(x) / np.exp(x).sum(0) for x in (old.astype(float), new.astype(float)))
    np.testing.assert_allclose(categorical_divergence(old, new), (p * np.log(p / q)).sum(0), rtol=1e-4)
    np.testing.assert_allclose(categorical_divergence(old, old), 0.0, atol=1e-6)


def test_the_value_of_the_chosen_one():
    values = jnp.arange(24.0).reshape(4, 3, 2)
    choice = jnp.array([[0, 3], [1, 1], [2, 0]])
    np.testing.assert_array_equal(of_choice(values, choice), jnp.take_along_axis(values, choice[None], 0)[0])


@pytest.mark.parametrize("loss", [ppo_clip, value_loss])
def test_shapes_must_agree(loss):
    with pytest.raises(AssertionError):
        loss(jnp.ones(3), jnp.ones((3, 1)), jnp.ones(3), 0.2)
