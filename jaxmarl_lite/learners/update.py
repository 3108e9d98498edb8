"""How actor and critic learn from a rollout: together, or one agent after another."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.learners.actor_critic import distribution_of, networks
from jaxmarl_lite.learners.estimate import Estimated, estimate
from jaxmarl_lite.learners.experience import OnPolicyState
from jaxmarl_lite.learners.gradient_steps import Learnt, Task, gradient_steps
from jaxmarl_lite.learners.minibatches import shuffled
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.trust_region import natural_step
from jaxmarl_lite.nn.net import owners


def update(
    settings: OnPolicySettings, estimated: Estimated, env: Env, progress: Array, shard: Shard
) -> tuple[OnPolicyState, dict[str, Tree]]:
    """Learn from a rollout, in each pass from advantages estimated anew; returns (state, metrics)."""
    state, metrics = _learn(settings, estimated, env, progress, shard)
    if estimated.rollout is None:
        return state, {**estimated.metrics, **metrics}
    rollout = estimated.rollout._replace(state=None)  # type: ignore[arg-type]

    def again(state, _):
        anew = estimate(settings, rollout._replace(state=state), env, progress, shard)
        return _learn(settings, anew, env, progress, shard)

    state, later = jax.lax.scan(again, state, length=settings.passes - 1)
    every = jax.tree.map(lambda first, later: (first + later.sum(0)) / settings.passes, metrics, later)
    return state, {**estimated.metrics, **every}


def _learn(
    settings: OnPolicySettings, estimated: Estimated, env: Env, progress: Array, shard: Shard
) -> tuple[OnPolicyState, dict[str, Array]]:
    state = estimated.state
    key, learning = jax.random.split(state.key)
    sets = owners(env.spec, settings.sharing)
    nets = networks(settings, env.spec)
    task = Task(settings, nets, sets, state.hyper, progress, shard, estimated.memory, estimated.batch)
    learn = _one_by_one if settings.sequential else _learn_together
    learnt, metrics = learn(task, Learnt(state.params, state.opt_state), learning)
    return state._replace(key=key, params=learnt.params, opt_state=learnt.opt_state), metrics


def _learn_together(task: Task, learnt: Learnt, key: Key) -> tuple[Learnt, dict[str, Array]]:
    if task.settings.objective != "trust_region":
        return gradient_steps(task, learnt, key)
    learnt, metrics = natural_step(task, learnt)
    learnt, of_critic = gradient_steps(task, learnt, key)
    return learnt, {**of_critic, **metrics}


def _one_by_one(task: Task, learnt: Learnt, key: Key) -> tuple[Learnt, dict[str, Array]]:
    """Let agents learn in random order, each by advantages times the ratios of those before.

    Kuba et al. 2022, arXiv:2109.11251, algorithms 3 and 4, eq. 11: M = prod over the agents before of new / old
    probability of what they chose.
    """
    num_agents = len(task.sets)
    ordering, key = jax.random.split(key)
    order = shuffled(ordering, num_agents, num_agents, WHOLE)[:, 0]

    def turn(carry, inputs):
        learnt, factor = carry
        agent, key = inputs
        mine = _of_agent(task, agent, factor)
        learnt, metrics = _learn_together(mine, learnt, key)
        return (learnt, factor * _ratio(mine, learnt)), metrics

    carry: Any = (learnt, jnp.ones_like(task.batch.advantage[..., :1]))
    (learnt, _), metrics = jax.lax.scan(turn, carry, (order, jax.random.split(key, num_agents)))
    return learnt, jax.tree.map(lambda x: x.mean(0), metrics)


def _ratio(task: Task, learnt: Learnt) -> Array:
    """Return new / old probability of what was chosen [E, T, A]; 1 where nobody acts."""
    nets, batch = task.nets, task.batch
    _, distribution = distribution_of(nets, learnt.params.actor, task.memory.actor, batch.seen, task.agents)
    log_prob, _ = nets.head.terms(distribution, jnp.moveaxis(batch.choice, 0, -3))
    return jnp.where(batch.seen.active, jnp.exp(log_prob - batch.log_prob), 1.0)


def _of_agent(task: Task, agent: Array, factor: Array) -> Task:
    """Return the part of a task that is one agent's."""
    agents = agent[None]

    def mine(tree: Tree, axis: int) -> Tree:
        return jax.tree.map(lambda x: jnp.take(x, agents, axis), tree)

    seen, batch = task.batch.seen, task.batch
    seen = seen._replace(**{name: mine(getattr(seen, name), -1) for name in ("obs", "legal", "active", "present")})
    numbers = {name: mine(getattr(batch, name), -1) for name in ("choice", "log_prob", "value", "advantage", "target")}
    batch = batch._replace(seen=seen, factor=factor, **numbers)
    return task._replace(memory=mine(task.memory, 1), batch=batch, agents=agents)
