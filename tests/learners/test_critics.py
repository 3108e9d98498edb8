"""What critics are asked about, and what they may and may not know."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.critics import critic_of
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.sight import Seen

A, N, E, T = 3, 4, 2, 2
SPEC = Spec(("a", "b", "c"), (5,) * A, (N,) * A, 6, 10)
KINDS = {
    "local": {},
    "joint": {"critic": "joint"},
    "joint, own": {"critic": "joint", "sharing": "independent"},
    "both": {"critic": "both"},
    "attention": {"critic": "attention"},
    "joint, of all own": {"critic": "joint", "discrete": "score"},
    "attention, of all own": {"critic": "attention", "discrete": "score"},
}


def seen(present=(True, True, True)):
    obs, state = (jax.random.normal(jax.random.key(n), shape) for n, shape in ((1, (E, 5, T, A)), (2, (E, 6, T))))
    legal, present = jnp.ones((E, N, T, A), bool), jnp.broadcast_to(jnp.array(present), (E, T, A))
    return Seen(obs, state, legal, present, present, jnp.zeros((E, T), bool))


def deeds(seed):
    return jax.nn.one_hot(jax.random.randint(jax.random.key(seed), (E, T, A), 0, N), N, axis=0)


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def critic(request):
    """Return (settings, params, function of seen, own and told)."""
    settings = OffPolicySettings(hidden=(8,), **request.param)
    critic = critic_of(settings, SPEC, N)
    return settings, jax.jit(critic.init)(jax.random.key(0)), jax.jit(critic.apply)


def test_all_doing_their_own_is_each_being_told_what_the_others_do(critic):
    _, params, apply = critic
    own = deeds(3)
    np.testing.assert_allclose(apply(params, seen(), own, None), apply(params, seen(), own, own), rtol=1e-5, atol=1e-6)


def test_a_value_follows_from_ones_own_action_and_what_others_are_told_to_do(critic):
    settings, params, apply = critic
    own, told = deeds(3), deeds(4)
    values = np.asarray(apply(params, seen(), own, told))
    for agent in range(A):
        others = told.at[..., agent].set(deeds(5)[..., agent])  # what is said of oneself is not listened to
        np.testing.assert_allclose(np.asarray(apply(params, seen(), own, others))[..., agent], values[..., agent])
        changed = np.asarray(apply(params, seen(), jnp.roll(own, 1, 0).at[..., agent].set(own[..., agent]), told))
        np.testing.assert_allclose(changed[..., agent], values[..., agent], rtol=1e-5, atol=1e-6)
        assert np.abs(np.delete(changed - values, agent, -1)).min() > 1e-6
    hears = np.abs(np.asarray(apply(params, seen(), own, jnp.roll(told, 1, 0))) - values).max() > 1e-6
    assert hears == (settings.critic != "local")


def test_what_those_do_that_are_gone_is_not_seen_and_those_that_wait_are_heard(critic):
    _, params, apply = critic
    own, view = deeds(3), seen((True, True, False))
    values = apply(params, view, own, None)[..., :2]
    other = own.at[..., 2].set(deeds(4)[..., 2])
    np.testing.assert_allclose(apply(params, view, other, None)[..., :2], values, rtol=1e-5, atol=1e-6)
    waiting = seen()._replace(active=view.active)
    np.testing.assert_array_equal(apply(params, waiting, own, None), apply(params, seen(), own, None))


def test_the_value_of_probabilities_is_the_mean_and_its_slope_the_score_function_with_the_counterfactual_baseline():
    critic = critic_of(OffPolicySettings(hidden=(8,), critic="attention", discrete="score"), SPEC, N)
    params, told, view = critic.init(jax.random.key(0)), deeds(4), seen()
    logits = jax.random.normal(jax.random.key(5), (N, E, T, A))
    probs = jax.nn.softmax(logits, axis=0)
    each = jnp.stack([critic.apply(params, view, jnp.zeros_like(probs).at[n].set(1.0), told) for n in range(N)])
    mean = critic.apply(params, view, probs, told)
    np.testing.assert_allclose(mean, (probs * each).sum(0), rtol=1e-4, atol=1e-6)
    advantage = each - mean
    np.testing.assert_allclose((probs * advantage).sum(0), 0.0, atol=1e-6)

    def climbed(logits):
        return critic.apply(params, view, jax.nn.softmax(logits, axis=0), told).sum()

    def score(logits):  # E[log pi (Q - b)], Iqbal and Sha 2019, eq. 7, over all actions
        return (probs * jax.nn.log_softmax(logits, axis=0) * advantage).sum()

    np.testing.assert_allclose(jax.grad(climbed)(logits), jax.grad(score)(logits), rtol=1e-3, atol=1e-6)
