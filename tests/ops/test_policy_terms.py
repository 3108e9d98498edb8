import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxmarl_lite.ops.policy import mask_logits, ppo_clip, sample_index
from jaxmarl_lite.ops.value import clipped_value_loss


def masked_entropy(logits, legal):
    log_probs = jax.nn.log_softmax(mask_logits(logits, legal))
    return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


LEGAL = [[True, True, True], [True, False, True], [False, True, False]]


@pytest.mark.parametrize("legal", LEGAL)
def test_actions_that_are_not_legal_have_no_probability_and_the_others_keep_their_ratios(legal):
    logits = jnp.array([1.0, -2.0, 0.5])
    probs = np.asarray(jax.nn.softmax(mask_logits(logits, jnp.array(legal))))
    want = np.where(legal, np.exp(logits), 0.0)
    np.testing.assert_array_equal(probs[~np.array(legal)], 0.0)
    np.testing.assert_allclose(probs, want / want.sum(), rtol=1e-6)


@pytest.mark.parametrize("legal", LEGAL)
def test_entropy_of_masked_logits_has_finite_gradients_that_vanish_where_illegal(legal):
    logits, legal = jnp.array([1.0, -2.0, 0.5]), jnp.array(legal)
    entropy, grad = jax.value_and_grad(masked_entropy)(logits, legal)
    assert np.isfinite(entropy)
    assert np.isfinite(grad).all()
    np.testing.assert_array_equal(np.asarray(grad)[~np.asarray(legal)], 0.0)
    probs = np.asarray(jax.nn.softmax(mask_logits(logits, legal)))
    np.testing.assert_allclose(entropy, scipy.stats.entropy(probs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "probs",
    [[0.1, 0.2, 0.3, 0.4], [0.0, 0.7, 0.0, 0.3], [1.0, 3.0, 4.0, 0.0], [0.0, 0.0, 1e-3, 1e-3]],
    ids=["all", "gaps", "unnormalised", "small"],
)
def test_sampled_indices_follow_the_probabilities_and_never_one_of_zero(probs):
    draws = 40_000
    index = jax.jit(sample_index)(jax.random.key(3), jnp.tile(jnp.array(probs), (draws, 1)))
    assert index.dtype == jnp.int32
    counts = np.bincount(index, minlength=4)
    probs = np.array(probs) / np.sum(probs)
    assert counts[probs == 0.0].sum() == 0
    assert scipy.stats.chisquare(counts[probs > 0.0], draws * probs[probs > 0.0]).pvalue > 1e-3


def test_sampled_indices_are_legal_under_every_mask():
    masks = np.array(list(np.ndindex(2, 2, 2, 2, 2))[1:], bool)
    logits = 5.0 * jax.random.normal(jax.random.key(0), (100, len(masks), 5))
    index = sample_index(jax.random.key(1), jax.nn.softmax(mask_logits(logits, jnp.asarray(masks))))
    assert index.shape == (100, len(masks))
    assert masks[np.arange(len(masks)), np.asarray(index)].all()


@pytest.mark.parametrize("uniform", [0.0, np.nextafter(np.float32(1), np.float32(0))])
def test_sampled_index_has_probability_even_at_the_ends_of_the_uniform_number(uniform, monkeypatch):
    rng = np.random.default_rng(0)
    probs = rng.random((2000, 6), np.float32) * (rng.random((2000, 6)) < 0.5)
    probs = probs[probs.sum(1) > 0.0]
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape: jnp.full(shape, uniform, jnp.float32))
    index = np.asarray(sample_index(jax.random.key(0), jnp.asarray(probs)))
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
def test_clipped_value_loss_is_the_naive_loop(clip):
    rng = np.random.default_rng(0)
    value, old, target = (rng.normal(size=(5, 4)).astype(np.float32) for _ in range(3))
    want = np.zeros((5, 4))
    for at in np.ndindex(5, 4):
        near = old[at] + min(max(value[at] - old[at], -clip), clip)
        want[at] = max((value[at] - target[at]) ** 2, (near - target[at]) ** 2) / 2
    np.testing.assert_allclose(jax.jit(clipped_value_loss)(value, old, target, clip), want, rtol=1e-5, atol=1e-7)


def test_clipped_value_loss_stops_moving_beyond_the_clip_and_an_infinite_clip_is_the_squared_error():
    value, old, target = jnp.array(1.5), jnp.array(1.0), jnp.array(9.0)
    slope = jax.grad(clipped_value_loss)
    np.testing.assert_allclose(clipped_value_loss(value, old, target, 0.2), (1.2 - 9.0) ** 2 / 2, rtol=1e-6)
    np.testing.assert_allclose(slope(value, old, target, 0.2), 0.0)
    np.testing.assert_allclose(clipped_value_loss(value, old, target, jnp.inf), 7.5**2 / 2, rtol=1e-6)
    np.testing.assert_allclose(slope(value, old, target, jnp.inf), -7.5, rtol=1e-6)


@pytest.mark.parametrize("loss", [ppo_clip, clipped_value_loss])
def test_shapes_must_agree(loss):
    with pytest.raises(AssertionError):
        loss(jnp.ones(3), jnp.ones((3, 1)), jnp.ones(3), 0.2)
