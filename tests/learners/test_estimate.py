"""Advantages and targets of a rollout, and the units that critics work in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners import estimate
from jaxmarl_lite.learners.actor_critic import critic_of, networks
from jaxmarl_lite.learners.experience import pooled
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.nn.net import owners
from jaxmarl_lite.ops.statistics import Moments, Sums

KEY = jax.random.key(0)
NUM_ENVS = 6


def units(sums, sets, decay=0.5):
    return Moments.start((3,)).update(pooled(sums, sets), decay)


@pytest.mark.parametrize("memory", [0, 8], ids=["feed-forward", "recurrent"])
@pytest.mark.parametrize("sharing", ["shared", "independent"])
def test_popart_keeps_values_where_they_are_when_their_units_change(learner_settings, sharing, memory):
    env = make("mpe/simple_spread")
    learner = make_learner("mappo", **{**learner_settings, "sharing": sharing, "memory": memory})
    nets, sets = networks(learner.settings, env.spec), owners(env.spec, sharing)
    params = nets.init(KEY, KEY)
    _, ts = jax.vmap(env.reset)(jax.random.split(KEY, NUM_ENVS))
    seen = see_step(learner.settings, None, ts, jnp.ones(NUM_ENVS, bool))

    @jax.jit
    def values(critic, moments):
        return moments.restore(critic_of(nets, critic, nets.memory(NUM_ENVS).critic, seen)[1][0])

    rewards = jax.random.normal(KEY, (50, 3)) * jnp.array([1.0, 10.0, 0.1]) + jnp.array([5.0, -70.0, 0.0])
    old = units(Sums.of(rewards, jnp.ones_like(rewards), axis=0), sets)
    later = 100.0 * rewards + 30.0
    new = old.update(pooled(Sums.of(later, jnp.ones_like(later), axis=0), sets), 0.5)
    moved = estimate._kept_in_place(params.critic, old, new, sets)
    before, after = values(params.critic, old), values(moved, new)
    assert float(before.std()) > 1.0
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * float(jnp.abs(before).max()))
    assert float(jnp.abs(values(params.critic, new) - before).max()) > 10.0  # without it they would jump


@pytest.mark.parametrize(("normalise", "moves"), [("popart", True), ("running", False), ("off", False)])
def test_only_popart_moves_the_critics_last_layer_between_rollouts(learner_settings, normalise, moves):
    env = make("mpe/simple_spread")
    learner = make_learner("ippo", **{**learner_settings, "normalise_values": normalise})
    state = jax.jit(learner.init)(KEY, env)
    none = jnp.zeros(())
    collected = jax.jit(lambda state: learner.phases["collect"](state, env, none, WHOLE))(state)
    estimated = jax.jit(lambda passed: learner.phases["estimate"](passed, env, none, WHOLE))(collected)
    old, new = (s.params.critic["params"]["output"]["kernel"] for s in (state, estimated.state))
    assert bool((np.asarray(old) != np.asarray(new)).any()) == moves
    weight = 0.0 if normalise == "off" else 1.0 - estimate.RETURNS_DECAY
    np.testing.assert_allclose(estimated.state.returns.weight, weight, rtol=1e-4)


def test_a_recurrent_critic_remembers_the_episode_where_it_is_asked_how_it_would_go_on(learner_settings, probe):
    """At a time limit the true successor is judged with the memory of that episode, and of no other."""
    env = probe(length=5)
    settings = {**learner_settings, "rollout_length": 12, "memory": 8, "normalise_values": "off"}
    learner = make_learner("mappo", **settings)
    nets = networks(learner.settings, env.spec)
    state = jax.jit(learner.init)(KEY, env)
    collected = jax.jit(lambda state: learner.phases["collect"](state, env, jnp.zeros(()), WHOLE))(state)
    np.testing.assert_array_equal(np.flatnonzero(collected.ended[:, 0]), [4, 9])
    # In this world the successor of the last step looks as that step does.
    episode = jax.tree.map(lambda x: x[..., [0, 1, 2, 3, 4, 4]], collected.seen.state)
    view = jnp.swapaxes(episode, 0, 1)[..., None]
    restart = jnp.broadcast_to(jnp.arange(6) == 0, view.shape[1:3])
    _, values = jax.jit(nets.critic.apply)(state.params.critic, nets.memory(len(restart)).critic, view, restart)
    for cut in (4, 9):
        np.testing.assert_allclose(collected.outlook[cut], values[0, :, -1], rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(values[0, :, -1] - values[0, :, -2]).max()) > 1e-3  # it matters that it remembers
    assert not np.asarray(collected.outlook)[[0, 1, 2, 3, 5, 6, 7, 8, 10, 11]].any()
