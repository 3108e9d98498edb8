"""Agents that learn one after another."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners import update
from jaxmarl_lite.learners.actor_critic import ActorCritic, distribution_of, networks
from jaxmarl_lite.learners.gradient_steps import Learnt, Task
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.nn.net import owners

KEY = jax.random.key(0)
AGENTS = 3


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

    def compute(params):
        _, distribution = distribution_of(task.nets, params.actor, task.memory.actor, task.batch.seen)
        return task.nets.head.terms(distribution, task.batch.choice)[0]

    return jax.jit(compute)(params)


class Turn(NamedTuple):
    """What an agent began its turn with; a leading axis has one for each agent."""

    factor: jax.Array
    params: ActorCritic


def turns(task, learnt, monkeypatch):
    """Return a program, key -> (turns, the number of each agent's, what was learnt at last).

    In the place of learning, the parameters of the agent whose turn it is are moved by a known amount.
    """

    def shifted(mine, learnt, key):
        agent = mine.agents[0]
        # Only means over turns come back: each agent writes into its own row, and what has moved tells the time.
        noted = jax.tree.map(
            lambda x: AGENTS * jnp.zeros((AGENTS, *x.shape)).at[agent].set(x), Turn(mine.batch.factor, learnt.params)
        )
        actor = jax.tree.map(lambda x: x.at[agent].multiply(1.5 + agent), learnt.params.actor)
        return learnt._replace(params=learnt.params._replace(actor=actor)), noted

    def program(key):
        last, noted = update._one_by_one(task, learnt, key)
        kernel = lambda params: params.actor["params"]["output"]["kernel"]  # noqa: E731
        is_moved = jnp.abs(kernel(noted.params) / kernel(learnt.params) - 1.0) > 0.1
        return noted, is_moved.all((2, 3)).sum(1), last

    monkeypatch.setattr(update, "_learn_together", shifted)
    return program


def test_each_agent_weighs_in_how_all_before_it_have_changed(learner_settings, monkeypatch):
    task, learnt = a_task(learner_settings, "independent")
    noted, number, last = jax.jit(turns(task, learnt, monkeypatch))(KEY)
    order = np.argsort(number)
    np.testing.assert_array_equal(np.asarray(number)[order], np.arange(AGENTS))
    before, want = log_probs(task, learnt.params), np.ones_like(task.batch.log_prob[..., 0])
    for place, agent in enumerate(order):
        np.testing.assert_allclose(noted.factor[agent][..., 0], want, rtol=1e-4)
        after = jax.tree.map(lambda x, next=order[(place + 1) % AGENTS]: x[next], noted.params)
        moved = log_probs(task, after if place + 1 < AGENTS else last.params) - before
        assert float(jnp.abs(moved[..., agent]).max()) > 1e-3
        want = want * np.exp(np.asarray(moved[..., agent]))


def test_the_order_is_drawn_anew(learner_settings, monkeypatch):
    task, learnt = a_task(learner_settings, "independent")
    program = turns(task, learnt, monkeypatch)
    orders = jax.jit(jax.vmap(lambda key: program(key)[1]))(jax.random.split(KEY, 12))
    assert len(set(map(tuple, np.asarray(orders).tolist()))) > 3


def test_an_agents_turn_leaves_the_parameters_of_others(learner_settings):
    task, learnt = a_task(learner_settings, "independent")
    mine = update._of_agent(task, jnp.array(1), jnp.ones_like(task.batch.advantage[..., :1]))
    moved, _ = jax.jit(lambda learnt: update._learn_together(mine, learnt, KEY))(learnt)
    for new, old in zip(jax.tree.leaves(moved.params), jax.tree.leaves(learnt.params), strict=True):
        np.testing.assert_array_equal(new[0], old[0])
        np.testing.assert_array_equal(new[2], old[2])
        assert bool((new[1] != old[1]).any())
