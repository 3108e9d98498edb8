"""What the on-policy family carries on from and passes on between its phases, and the first of them: collecting."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import when_any
from jaxmarl_lite.data.rollout import Actors, EpisodeTotals, Transition, rollout
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.actor_critic import (
    ActorCritic,
    Nets,
    compares_actions,
    critic_of,
    distribution_of,
    networks,
)
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.sight import Seen, Sight, see, see_step
from jaxmarl_lite.nn.net import owners
from jaxmarl_lite.ops.policy import in_basis
from jaxmarl_lite.ops.returns import team_mean
from jaxmarl_lite.ops.statistics import Moments, Sums

SIGHT_DECAY = 0.99  # of the statistics of observations, per update


class OnPolicyState(NamedTuple):
    """Everything that learning carries on from."""

    key: Key
    params: ActorCritic
    opt_state: Tree
    actors: Actors
    returns: Moments
    """[A], of the critic's targets; the critic works in their units"""
    rewards: Moments | None
    """[A], if rewards are scaled"""
    sight: Sight | None
    """if observations are normalised"""
    hyper: Hyper


class Collected(NamedTuple):
    """A rollout, and the state after it; leaves [T, E, ...] where not said otherwise."""

    state: OnPolicyState
    memory: ActorCritic
    """[E, ...], of the networks when it began"""
    totals: EpisodeTotals
    seen: Seen
    """[E, ..., T, A]"""
    after: Seen
    """[E, ..., 1, A], the step that comes next"""
    basis_after: Array | None
    """[F, E, 1, A], of what is chosen there, if the critic compares actions"""
    choice: Array
    """[E, T, A], or [E, D, T, A] if continuous"""
    log_prob: Array
    reward: Array
    terminated: Array
    ended: Array
    """bool [T, E], terminated or truncated"""
    outlook: Array
    """the value of the true successor in units of reward, where an episode ended"""


def collect(settings: OnPolicySettings, state: OnPolicyState, env: Env, progress: Array, shard: Shard) -> Collected:
    """Play `rollout_length` steps in all environments."""
    del progress
    nets, params, sight = networks(settings, env.spec), state.params, state.sight
    compares = compares_actions(settings)
    num_envs = len(state.actors.restart)
    venv = vectorize(env, num_envs, first=shard.first(num_envs))
    key, collecting = jax.random.split(state.key)

    def act(memory, ts, restart, noise):
        seen = see_step(settings, sight, ts, restart)
        actor_memory, distribution = distribution_of(nets, params.actor, memory.actor, seen)
        distribution = distribution[:, :, 0]
        choice = nets.head.draw(distribution, noise[0])
        log_prob, _ = nets.head.terms(distribution, choice)
        memory = ActorCritic(actor_memory, memory.critic)
        if settings.memory:  # a critic that remembers must have seen the episode where it is asked how it would go on
            basis = _basis_of(nets, choice) if compares else None
            memory = memory._replace(critic=critic_of(nets, params.critic, memory.critic, seen, basis)[0])
        return nets.head.action(choice), memory, (choice, log_prob)

    def look(memory, successor, noise):
        # Only where an episode is cut is the successor not the next step of the rollout.
        seen = see_step(settings, sight, successor, jnp.zeros_like(successor.done))
        return when_any(
            successor.done,
            lambda: value_of(nets, params, memory, seen, _basis_there(nets, params, memory, seen, noise[1]))[:, 0],
            lambda: jnp.zeros_like(successor.reward),
        )

    def draw(key):
        # An action for now, and for a critic that compares actions one for where an episode was cut.
        now, then = jax.random.split(key) if compares else (key, None)
        return nets.head.noise(now), None if then is None else nets.head.noise(then)

    actors, steps, totals = rollout(venv, state.actors, collecting, settings.rollout_length, act, draw, look)
    choice, log_prob = steps.extras
    after = see_step(settings, sight, actors.ts, actors.restart)
    key, choosing = jax.random.split(key) if compares else (key, key)
    noise_after = jax.vmap(nets.head.noise)(venv.keys(choosing)) if compares else None
    return Collected(
        state._replace(key=key, actors=actors, sight=_look_again(settings, sight, env.spec, steps.ts, shard)),
        state.actors.carry,
        totals,
        see(settings, sight, steps.ts, steps.restart),
        after,
        _basis_there(nets, params, actors.carry, after, noise_after),
        jnp.moveaxis(choice, (0, -2), (-2, 0)),
        log_prob,
        _paid(settings, steps),
        steps.successor.terminated,
        steps.successor.done,
        state.returns.restore(steps.outlook),
    )


def _paid(settings: OnPolicySettings, steps: Transition) -> Array:
    """Return the rewards [T, E, A] that agents learn from."""
    reward = steps.successor.reward
    if not settings.share_rewards:
        return reward
    return jnp.broadcast_to(team_mean(reward, steps.ts.terminated), reward.shape)


def value_of(nets: Nets, params: ActorCritic, memory: ActorCritic, seen: Seen, basis: Array | None = None) -> Array:
    """Return the value of what is seen [E, T, A]: of a critic that compares actions, the policy's mean of theirs."""
    _, values = critic_of(nets, params.critic, memory.critic, seen, basis)
    if basis is None:
        return values[0]
    _, distribution = distribution_of(nets, params.actor, memory.actor, seen)
    return in_basis(nets.head.mean_basis(distribution), values)


def _basis_there(nets: Nets, params: ActorCritic, memory: ActorCritic, seen: Seen, noise: Array | None) -> Array | None:
    """Return the basis of what the team chooses in a single step [F, E, 1, A], or None without noise."""
    if noise is None:
        return None
    _, distribution = distribution_of(nets, params.actor, memory.actor, seen)
    return _basis_of(nets, nets.head.draw(distribution[:, :, 0], noise))


def _basis_of(nets: Nets, choice: Array) -> Array:
    """Return the basis of choices in a single step, as a sequence of length 1 [F, E, 1, A]."""
    return nets.head.basis(choice)[:, :, None]


def _look_again(
    settings: OnPolicySettings, sight: Sight | None, spec: Spec, ts: TimeStep, shard: Shard
) -> Sight | None:
    """Return the statistics of what is seen after steps [T, E, ...]; agents that share parameters share them."""
    if sight is None:
        return None
    present = jnp.broadcast_to(~ts.terminated[..., None], ts.obs.shape)
    obs = pooled(Sums.of(ts.obs, present, axis=(0, 1)), owners(spec, settings.sharing))
    state = Sums.of(ts.state, jnp.ones(ts.state.shape), axis=(0, 1))
    obs, state = shard.sum((obs, state))
    return Sight(sight.obs.update(obs, SIGHT_DECAY), sight.state.update(state, SIGHT_DECAY))


def pooled(sums: Sums, sets: tuple[int, ...]) -> Sums:
    """Return for each agent the sums [A, ...] of all that use the same set of parameters."""
    same = (jnp.asarray(sets)[:, None] == jnp.asarray(sets)).astype(jnp.float32)
    return jax.tree.map(lambda x: jnp.einsum("ab,b...->a...", same, x, precision="highest"), sums)
