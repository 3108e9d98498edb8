"""What off-policy actors and critics learn from, and who moves when."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.data.places import Places
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners.hyper import hyper_leaves
from jaxmarl_lite.learners.off_policy_nets import actor_networks, as_vectors, learns_apart
from jaxmarl_lite.learners.off_policy_update import _draws, _gradient_step, _targets
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.learners.replaying import Learnt, Task
from jaxmarl_lite.learners.sequences import batch_at
from jaxmarl_lite.learners.units import units_of

KEY, GAMMA, LENGTH = jax.random.key(0), 0.9, 8
TINY = {
    "num_envs": 8,
    "rollout_length": LENGTH,
    "capacity": 16,
    "warmup": LENGTH,
    "batch": 8,
    "sequence": LENGTH,
    "hidden": (16,),
    "gamma": GAMMA,
    "normalise_values": False,
    "gradient_steps": 2,
}


def given(learner, env):
    """Return (task, learnt, batch of all steps of all environments) after a first rollout; targets move apart."""
    settings, nets, apart = learner.settings, actor_networks(learner.settings, env.spec), None
    apart = learns_apart(settings, env.spec)
    state = learner.phases["collect"](learner.init(KEY, env), env, jnp.zeros(()), WHOLE).state
    places = Places(jnp.arange(8), jnp.zeros(8, jnp.int32))
    batch = batch_at(settings, state.replay, places, nets.carry(8), LENGTH, env.spec.horizon)
    flat, restore = as_vectors(state.params, apart)
    target = jax.tree.map(lambda x: 0.1 - x, flat)
    units, one = units_of(settings, state.told, jnp.asarray(GAMMA)), jnp.ones(())
    task = Task(settings, nets, env.spec, restore, state.hyper, units, one, one, WHOLE)
    of_target = units._replace(centre=units.centre + 1.0, deviation=2.0 * units.deviation)
    return task, Learnt(flat, target, of_target, state.opt_state, state.steps, None), batch


@pytest.mark.parametrize("terminates", [False, True])
def test_targets_are_the_lesser_value_and_the_worth_of_entropy_of_each_true_successor(probe, terminates):
    learner = make_learner("isac", **TINY, discrete="score", lam=0.7, temperature=0.5)
    env = probe(reward=(1.0, 2.0), bonus=1.0, terminates=terminates, illegal=(2,), num_actions=3)

    @jax.jit
    def compute():
        task, learnt, batch = given(learner, env)
        params, slow = task.restore(learnt.flat), task.restore(learnt.target)
        targets = _targets(task, learnt, batch, _draws(task, batch, jnp.arange(8), KEY), params)
        state = learner.phases["collect"](learner.init(KEY, env), env, jnp.zeros(()), WHOLE).state
        step = jax.tree.map(lambda x: jnp.swapaxes(x[:LENGTH], 0, 1), state.replay.steps)
        obs = jnp.moveaxis(step.successor.obs, 2, 0)
        _, logits = task.nets.actor.apply(params.actor, (), obs, step.restart)
        probs = jax.nn.softmax(logits[:2], axis=0)
        seen = batch.seen._replace(obs=jnp.swapaxes(obs, 0, 1))
        own = jnp.concatenate([probs, jnp.zeros_like(probs[:1])])
        values = jnp.minimum(*task.nets.judge(slow.critic, seen, own))
        return targets, 2.0 * values + 1.0, -2.0 * 0.5 * (probs * jnp.log(probs)).sum(0), step  # in units of reward

    targets, values, worth, step = jax.tree.map(np.asarray, compute())
    expected = np.zeros(values.shape)
    for t in reversed(range(LENGTH)):
        later = values[:, t]
        if t < LENGTH - 1:
            mixed = 0.7 * expected[:, t + 1] + 0.3 * values[:, t]
            later = np.where(step.ended[:, t, None], values[:, t], mixed)
        expected[:, t] = step.reward[:, t] + GAMMA * (1.0 - step.terminated[:, t]) * (later + worth[:, t])
    np.testing.assert_allclose(targets, expected, rtol=1e-4, atol=1e-5)


def moves(name, num_steps, **settings):
    """Return how far each part moved in each of so many gradient steps, [n] of Parts."""
    learner, env = make_learner(name, **{**TINY, **settings}), make("probe/dying_agent")

    @jax.jit
    def run():
        task, learnt, batch = given(learner, env)
        apart = learns_apart(learner.settings, env.spec)

        def step(learnt, key):
            part = lambda chosen: jax.tree.map(lambda x: x[chosen], batch)  # noqa: E731
            after, metrics, _ = _gradient_step(apart, task, learnt, part, jnp.arange(8), key)
            return after, (jax.tree.map(lambda new, old: jnp.abs(new - old).max(), after.flat, learnt.flat), metrics)

        return jax.lax.scan(step, learnt, jax.random.split(KEY, num_steps))[1]

    return run()


def test_actors_move_once_in_so_many_steps_of_critics():
    moved, metrics = moves("matd3", 4, actor_period=2)
    np.testing.assert_array_equal(np.asarray(moved.actor) > 0, [True, False, True, False])
    assert (np.asarray(moved.critic) > 0).all()
    assert not np.asarray(moved.temperature).any()
    np.testing.assert_array_equal(np.asarray(metrics["entropy"]) > 0, [True, False, True, False])


@pytest.mark.parametrize(("target", "grows"), [(0.0, False), (1.0, True)])
def test_the_weight_of_entropy_grows_while_there_is_too_little_of_it(target, grows):
    _, metrics = moves("masac", 4, entropy_discrete=target, temperature_lr=0.1)
    falls = np.diff(np.asarray(metrics["temperature"])) < 0
    # At first actors are as good as uniform: nothing is above the greatest entropy, and all is above none.
    assert falls.all() != grows
    assert (np.asarray(metrics["entropy"]) <= np.log(2) + 1e-6).all()


def test_a_weight_of_entropy_that_is_not_tuned_stays():
    moved, metrics = moves("maac", 2)
    assert not np.asarray(moved.temperature).any()
    np.testing.assert_allclose(metrics["temperature"], 0.01, rtol=1e-5)
    assert (np.asarray(moved.actor) > 0).all()


@pytest.mark.parametrize(("name", "others"), [("maddpg", "replay"), ("maddpg", "policy"), ("facmac", "replay")])
def test_an_agent_that_is_dead_moves_no_parameters(name, others):
    learner, env = make_learner(name, **TINY, sharing="independent", others=others), make("probe/dying_agent")

    @jax.jit
    def slope():
        task, learnt, batch = given(learner, env)
        dead = jnp.broadcast_to(jnp.arange(2) == 0, batch.seen.active.shape)
        dead_ahead = jnp.broadcast_to(jnp.arange(2) == 0, batch.ahead.active.shape)
        batch = batch._replace(
            seen=batch.seen._replace(active=dead, present=dead),
            ahead=batch.ahead._replace(active=dead_ahead, present=dead_ahead),
        )
        part = lambda chosen: jax.tree.map(lambda x: x[chosen], batch)  # noqa: E731
        apart = learns_apart(learner.settings, env.spec)
        after, _, _ = _gradient_step(apart, task, learnt, part, jnp.arange(8), KEY)
        new, old = task.restore(after.flat).actor, task.restore(learnt.flat).actor
        return jax.tree.map(lambda a, b: jnp.abs(a - b).reshape(2, -1).max(-1), new, old)

    moved = np.stack(jax.tree.leaves(slope()))
    assert (moved[:, 0] > 0).all()
    assert not moved[:, 1].any()


def test_actions_are_explored_within_their_bounds_and_components_that_are_not_there_stay_at_rest():
    env = make("probe/chosen_reward", continuous=True)
    for settings in ({"noise_start": 2.0}, {"noise": "ornstein_uhlenbeck"}, {"stochastic": True}):
        learner = make_learner("iddpg", **{**TINY, **settings, "epsilon_start": 0.2})
        collect = partial(learner.phases["collect"], env=env, progress=jnp.zeros(()), shard=WHOLE)
        choice = np.asarray(jax.jit(lambda c=collect, le=learner: c(le.init(KEY, env)).state.replay.steps.choice)())
        played = choice[:LENGTH]
        assert np.abs(played).max() <= 1.0
        assert played.std() > 0.05
    responder = actor_networks(learner.settings, env.spec).responder
    outputs, legal = jnp.ones((2, 1, 1, 1)), jnp.zeros((1, 1, 1, 1), bool)
    response = responder.respond(outputs, legal, jnp.ones((1, 1, 1, 1)), hyper_leaves(learner.settings))
    assert not np.asarray(response.own).any()
    assert not np.asarray(response.entropy).any()
