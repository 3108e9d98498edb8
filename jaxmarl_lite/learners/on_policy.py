"""The on-policy family: rollouts, advantages, and a few epochs of gradient steps on each."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.shard import COPY, Shard
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import when_any
from jaxmarl_lite.data.rollout import Actors, EpisodeTotals, rollout, start
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.actor_critic import (
    ActorCritic,
    Seen,
    logits_of,
    networks,
    see,
    see_step,
    value_of,
)
from jaxmarl_lite.learners.clipped_update import Batch, clipped_update, first_opt_state
from jaxmarl_lite.learners.hyper import Hyper, hyper_leaves
from jaxmarl_lite.learners.learner import Learner, Policy
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.ops.policy import categorical, sample_index
from jaxmarl_lite.ops.returns import gae
from jaxmarl_lite.ops.statistics import Moments, Sums

RETURNS_DECAY = 0.9  # of the statistics of returns, per update


class OnPolicyState(NamedTuple):
    """Everything that learning carries on from."""

    key: Key
    params: ActorCritic
    opt_state: Tree
    actors: Actors
    returns: Moments
    """[A], of the critic's targets; the critic works in their units"""
    hyper: Hyper


class Collected(NamedTuple):
    """A rollout, and the state after it; leaves [T, E, ...] where not said otherwise."""

    state: OnPolicyState
    memory: ActorCritic
    """[E, ...], of the networks when it began"""
    totals: EpisodeTotals
    seen: Seen
    """[E, ..., T, A]"""
    action: Array
    log_prob: Array
    reward: Array
    terminated: Array
    ended: Array
    """bool [T, E], terminated or truncated"""
    outlook: Array
    """the critic's value of the true successor, where an episode ended"""


class Estimated(NamedTuple):
    """A rollout from which can be learnt."""

    state: OnPolicyState
    memory: ActorCritic
    """of the networks when it began"""
    batch: Batch
    metrics: dict[str, Array]


def on_policy(name: str, settings: OnPolicySettings) -> Learner:
    """Return the member of the on-policy family with these settings."""
    phases = {"collect": _collect, "estimate": _estimate, "update": _update}
    return Learner(
        name=name,
        settings=settings,
        check=functools.partial(_check, name),
        init=functools.partial(_init, settings),
        phases={phase: functools.partial(function, settings) for phase, function in phases.items()},
        policy=functools.partial(_policy, settings),
        params=lambda state: state.params.actor,
        env_axes=_env_axes,
    )


def _check(name: str, spec: Spec) -> None:
    if not spec.is_discrete:
        raise SettingError(f"{name} chooses among discrete actions, and this environment's actions are continuous.")


def _init(settings: OnPolicySettings, key: Key, env: Env) -> OnPolicyState:
    nets = networks(settings, env.spec)
    key, for_actor, for_critic, for_envs = jax.random.split(key, 4)
    hyper = hyper_leaves(settings)
    params = ActorCritic(nets.actor.init(for_actor), nets.critic.init(for_critic))
    memory = ActorCritic(nets.actor.carry(settings.num_envs), nets.critic.carry(settings.num_envs))
    return OnPolicyState(
        key,
        params,
        opt_state=first_opt_state(settings, params),
        actors=start(vectorize(env, settings.num_envs), for_envs, memory),
        returns=Moments.start((env.spec.num_agents,)),
        hyper=hyper,
    )


def _env_axes(state: OnPolicyState) -> Tree:
    nowhere = jax.tree.map(lambda leaf: COPY, state)
    return nowhere._replace(actors=jax.tree.map(lambda leaf: 0, state.actors))


def _collect(settings: OnPolicySettings, state: OnPolicyState, env: Env, progress: Array, shard: Shard) -> Collected:
    del progress
    nets, params = networks(settings, env.spec), state.params
    num_envs = len(state.actors.restart)
    venv = vectorize(env, num_envs, first=shard.first(num_envs))
    key, collecting = jax.random.split(state.key)

    def act(memory, ts, restart, noise):
        actor_memory, logits = logits_of(nets.actor, params.actor, memory.actor, see_step(settings, ts, restart))
        logits = logits[:, :, 0]
        action = sample_index(noise, jax.nn.softmax(logits, axis=0))
        return action, memory._replace(actor=actor_memory), categorical(logits, action)[0]

    def look(memory, successor):
        # Only where an episode is cut is the successor not the next step of the rollout.
        seen = see_step(settings, successor, jnp.zeros_like(successor.done))
        return when_any(
            successor.done,
            lambda: value_of(nets.critic, params.critic, memory.critic, seen)[1][:, 0],
            lambda: jnp.zeros_like(successor.reward),
        )

    draw = functools.partial(jax.random.uniform, shape=(env.spec.num_agents,))
    actors, steps, totals = rollout(venv, state.actors, collecting, settings.rollout_length, act, draw, look)
    return Collected(
        state._replace(key=key, actors=actors),
        state.actors.carry,
        totals,
        see(settings, steps.ts, steps.restart),
        steps.action,
        steps.extras,
        steps.successor.reward,
        steps.successor.terminated,
        steps.successor.done,
        steps.outlook,
    )


def _estimate(settings: OnPolicySettings, rollout: Collected, env: Env, progress: Array, shard: Shard) -> Estimated:
    del progress
    state, critic, params = rollout.state, networks(settings, env.spec).critic, rollout.state.params.critic
    # All values at once, and not as the rollout goes: large products are many times as fast as small ones.
    memory, value = value_of(critic, params, rollout.memory.critic, rollout.seen)
    after = see_step(settings, state.actors.ts, state.actors.restart)
    following = jnp.concatenate([value[:, 1:], value_of(critic, params, memory, after)[1]], axis=1)
    value, following = (state.returns.restore(jnp.swapaxes(x, 0, 1)) for x in (value, following))
    ended = rollout.ended[..., None]
    advantage = gae(
        rollout.reward,
        discount=state.hyper["gamma"] * (1.0 - rollout.terminated),
        value=value,
        successor_value=jnp.where(ended, state.returns.restore(rollout.outlook), following),
        done=jnp.broadcast_to(ended, value.shape),
        lam=state.hyper["lam"],
    )
    target, returns = advantage + value, state.returns
    played = jax.nn.one_hot(rollout.action, env.spec.num_actions).sum((0, 1))
    sums = Sums.of(target, jnp.swapaxes(rollout.seen.active, 0, 1), axis=(0, 1))
    sums, totals, played = shard.sum((sums, rollout.totals, played))
    if settings.normalise_values:
        returns = returns.update(sums, decay=RETURNS_DECAY)
    kept = (rollout.action, rollout.log_prob, returns.normalise(value), advantage, returns.normalise(target))
    actors = state.actors._replace(carry=state.actors.carry._replace(critic=memory))
    return Estimated(
        state._replace(actors=actors, returns=returns),
        rollout.memory,
        Batch(rollout.seen, *(jnp.swapaxes(x, 0, 1) for x in kept)),
        {**totals._asdict(), "action_frequency": played / settings.steps_per_update},
    )


def _update(
    settings: OnPolicySettings, estimated: Estimated, env: Env, progress: Array, shard: Shard
) -> tuple[OnPolicyState, dict[str, Tree]]:
    state, memory, batch, metrics = estimated
    nets = networks(settings, env.spec)
    key, learning = jax.random.split(state.key)
    params, opt_state, losses = clipped_update(
        settings, nets, state.params, state.opt_state, state.hyper, memory, batch, progress, learning, shard
    )
    return state._replace(key=key, params=params, opt_state=opt_state), {**metrics, **losses}


def _policy(settings: OnPolicySettings, spec: Spec) -> Policy:
    net = networks(settings, spec).actor

    def act(params: Tree, memory: Tree, ts: TimeStep, restart: Array, keys: Key, greedy: bool) -> tuple[Array, Any]:
        memory, logits = logits_of(net, params, memory, see_step(settings, ts, restart))
        if greedy:
            return jnp.argmax(logits[:, :, 0], axis=0).astype(jnp.int32), memory
        noise = jax.vmap(functools.partial(jax.random.uniform, shape=(spec.num_agents,)))(keys)
        return sample_index(noise, jax.nn.softmax(logits[:, :, 0], axis=0)), memory

    return Policy(net.carry, act)
