"""Agents that learn one after another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners import update
from jaxmarl_lite.learners.actor_critic import distribution_of, networks
from jaxmarl_lite.learners.gradient_steps import Learnt, Task
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.nn.net import owners

KEY = jax.random.key(0)
AGENTS = 3
pytestmark = pytest.mark.usefixtures("quick_compilation")


def a_task(settings, sharing):
    """Return (task, learnt): a rollout of a tiny team of three, and what it began from."""
    env = make("mpe/simple_spread", num_agents=AGENTS)
    learner = make_learner("happo", **{**settings, "sharing": sharing})
    passed = jax.jit(learner.init)(KEY, env)
    for name in ("collect", "estimate"):
        passed = jax.jit(lambda passed, name=name: learner.phases[name](passed, env, jnp.zeros(()), WHOLE))(passed)
    state, sets = passed.state, owners(env.spec, sharing)
    nets = networks(learner.settings, env.spec)
    task = Task(learner.settings, nets, sets, state.hyper, jnp.zeros(()), WHOLE, passed.memory, passed.batch)
    return task, Learnt(state.params, state.opt_state)


def log_probs(task, params):
    """Return the log-probabilities of what all agents chose [E, T, A]."""

    @jax.jit
    def compute(params):
        _, distribution = distribution_of(task.nets, params.actor, task.memory.actor, task.batch.seen)
        return task.nets.head.terms(distribution, task.batch.choice)[0]

    return compute(params)


def test_each_agent_weighs_in_how_all_before_it_have_changed(learner_settings, monkeypatch):
    task, learnt = a_task(learner_settings, "independent")
    turns = []

    def shifted(mine, learnt, key):
        """Stand for learning: move the parameters of the agent whose turn it is by a known amount."""
        (agent,) = np.asarray(mine.agents)
        turns.append((agent, mine.batch.factor, learnt))
        actor = jax.tree.map(lambda x: x.at[agent].multiply(1.5 + agent), learnt.params.actor)
        return learnt._replace(params=learnt.params._replace(actor=actor)), {"none": jnp.zeros(())}

    monkeypatch.setattr(update, "_learn_together", shifted)
    with jax.disable_jit():  # so that turns are taken, and noted, one by one
        last, _ = update._one_by_one(task, learnt, KEY)
    order = [int(agent) for agent, _, _ in turns]
    assert sorted(order) == list(range(AGENTS))
    want = np.ones_like(task.batch.log_prob[..., 0])
    for number, (agent, factor, _) in enumerate(turns):
        np.testing.assert_allclose(factor[..., 0], want, rtol=1e-4)
        after = turns[number + 1][2] if number + 1 < AGENTS else last
        moved = log_probs(task, after.params) - log_probs(task, learnt.params)
        assert float(jnp.abs(moved[..., agent]).max()) > 1e-3
        want = want * np.exp(np.asarray(moved[..., agent]))


def test_the_order_is_drawn_anew(learner_settings, monkeypatch):
    task, learnt = a_task(learner_settings, "independent")
    orders = set()

    def noted(mine, learnt, key):
        order.append(int(mine.agents[0]))
        return learnt, {}

    monkeypatch.setattr(update, "_learn_together", noted)
    with jax.disable_jit():
        for number in range(12):
            order = []
            update._one_by_one(task, learnt, jax.random.key(number))
            orders.add(tuple(order))
    assert len(orders) > 3


def test_an_agents_turn_leaves_the_parameters_of_others(learner_settings):
    task, learnt = a_task(learner_settings, "independent")
    mine = update._of_agent(task, jnp.array(1), jnp.ones_like(task.batch.advantage[..., :1]))
    moved, _ = jax.jit(lambda learnt: update._learn_together(mine, learnt, KEY))(learnt)
    for new, old in zip(jax.tree.leaves(moved.params), jax.tree.leaves(learnt.params), strict=True):
        np.testing.assert_array_equal(new[0], old[0])
        np.testing.assert_array_equal(new[2], old[2])
        assert bool((new[1] != old[1]).any())
