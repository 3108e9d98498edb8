"""Steps along the natural gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners import trust_region
from jaxmarl_lite.learners.actor_critic import networks
from jaxmarl_lite.learners.gradient_steps import Learnt, Task
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.nn.net import owners

KEY = jax.random.key(0)


@pytest.fixture(scope="module", params=["shared", "independent"])
def given(request, learner_settings):
    """Return (task, learnt): a rollout of a tiny team, and what it began from."""
    env = make("grid/navigation", horizon=10)
    learner = make_learner("trpo", **{**learner_settings, "sharing": request.param, "max_kl": 0.02, "entropy": 0.0})
    passed = jax.jit(learner.init)(KEY, env)
    for name in ("collect", "estimate"):
        passed = jax.jit(lambda passed, name=name: learner.phases[name](passed, env, jnp.zeros(()), WHOLE))(passed)
    settings, state = learner.settings, passed.state
    nets, sets = networks(settings, env.spec), owners(env.spec, settings.sharing)
    task = Task(settings, nets, sets, state.hyper, jnp.zeros(()), WHOLE, passed.memory, passed.batch)
    return task, Learnt(state.params, state.opt_state)


def test_conjugate_gradient_solves_a_symmetric_system():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(8, 8))
    matrix, target = jnp.asarray(root @ root.T + np.eye(8), jnp.float32), jnp.asarray(rng.normal(size=8), jnp.float32)
    got = trust_region.conjugate_gradient(lambda x: matrix @ x, target, 20)
    np.testing.assert_allclose(got, np.linalg.solve(matrix, target), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(trust_region.conjugate_gradient(lambda x: matrix @ x, jnp.zeros(8), 5), 0.0)


def test_a_step_gains_and_keeps_within_the_region(given):
    task, learnt = given
    moved, metrics = jax.jit(lambda learnt: trust_region.natural_step(task, learnt))(learnt)
    flat, restore = jax.flatten_util.ravel_pytree(learnt.params.actor)
    loss, divergence = trust_region._measures(task, flat, restore)
    everyone, new = jnp.arange(8), jax.flatten_util.ravel_pytree(moved.params.actor)[0]
    kl = float(divergence(new, everyone))
    assert 0.25 * 0.02 < kl <= 0.02  # a step of the quadratic model's length, at most halved once or twice
    assert float(metrics["approx_kl"]) == pytest.approx(kl, rel=1e-3)
    assert float(loss(new, everyone)) < float(loss(flat, everyone))
    assert float(metrics["policy_loss"]) == pytest.approx(float(loss(new, everyone)), rel=1e-3, abs=1e-6)
    jax.tree.map(np.testing.assert_array_equal, moved.params.critic, learnt.params.critic)


def test_the_fisher_products_are_those_of_the_scores(given):
    """F v = mean of s (s.v) over choices drawn from the policy, s the gradient of the log-probability."""
    task, learnt = given
    flat, restore = jax.flatten_util.ravel_pytree(learnt.params.actor)
    _, divergence = trust_region._measures(task, flat, restore)
    hessian = jax.jit(jax.hessian(lambda at: divergence(at, jnp.arange(8))))(flat)

    def distribution(at):
        memory, batch = task.part(jnp.arange(8))
        seen = batch.seen
        outputs = task.nets.actor.apply(restore(at), memory.actor, jnp.swapaxes(seen.obs, 0, 1), seen.restart)[1]
        return jax.nn.log_softmax(task.nets.head.params(outputs, jnp.swapaxes(seen.legal, 0, 1)), axis=0)

    scores = jax.jit(jax.jacobian(distribution))(flat).reshape(-1, flat.size)
    probs = np.exp(np.asarray(distribution(flat))).reshape(-1)
    steps = task.batch.advantage.size
    want = (np.asarray(scores).T * probs) @ np.asarray(scores) / steps
    np.testing.assert_allclose(hessian, want, rtol=1e-2, atol=1e-5)


def test_where_nothing_can_be_gained_the_actor_stays(given):
    task, learnt = given
    flat_advantage = task._replace(batch=task.batch._replace(advantage=jnp.zeros_like(task.batch.advantage)))
    moved, metrics = jax.jit(lambda learnt: trust_region.natural_step(flat_advantage, learnt))(learnt)
    jax.tree.map(np.testing.assert_array_equal, moved.params, learnt.params)
    assert float(metrics["approx_kl"]) == 0.0
