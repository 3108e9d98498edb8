"""The off-policy actor-critic family: actors, critics of their actions, and a replay that both learn from."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.data.rollout import Act
from jaxmarl_lite.learners.learner import Learner, Policy
from jaxmarl_lite.learners.off_policy_nets import ActorNets, Parts, actor_networks, as_vectors, learns_apart
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.off_policy_update import update
from jaxmarl_lite.learners.optimiser import adam
from jaxmarl_lite.learners.sight import Seen, see_step
from jaxmarl_lite.learners.steps import Collected, ReplayState, begin, env_axes, play


class Carried(NamedTuple):
    """What those that act carry along; leaves [E, ...]."""

    memory: Tree
    wander: Tree
    """[E, D, A], of the noise, if it wanders"""


def off_policy(name: str, settings: OffPolicySettings) -> Learner:
    """Return the member of the off-policy actor-critic family with these settings."""
    phases = {"collect": _collect, "update": update}
    return Learner(
        name=name,
        settings=settings,
        check=functools.partial(_check, settings),
        init=functools.partial(_init, settings),
        phases={phase: functools.partial(function, settings) for phase, function in phases.items()},
        policy=functools.partial(_policy, settings),
        params=lambda state: (state.params.actor, state.hyper["noise_end"], state.hyper["epsilon_end"]),
        env_axes=env_axes,
    )


def _check(settings: OffPolicySettings, spec: Spec) -> None:
    if spec.is_discrete and settings.noise == "ornstein_uhlenbeck":
        raise SettingError(
            "noise='ornstein_uhlenbeck' is not allowed here: it is for continuous actions, and this environment's are "
            "discrete."
        )
    if not spec.is_discrete and not all(map(math.isfinite, spec.action_range)):
        raise SettingError(
            f"action_range={spec.action_range} is not allowed: actors need finite bounds to keep their actions within."
        )
    if settings.critic in ("joint", "both") and not spec.state_size:
        raise SettingError(
            f"critic={settings.critic!r} is not allowed here: the environment has no global state to judge by."
        )
    actor_networks(settings, spec)


def _init(settings: OffPolicySettings, key: Key, env: Env) -> ReplayState:
    nets, apart = actor_networks(settings, env.spec), learns_apart(settings, env.spec)
    key, for_params, for_envs = jax.random.split(key, 3)
    params = nets.init(for_params, env.spec.num_agents)
    vectors, _ = as_vectors(params, apart)
    states = [adam(alone, 0.0, 0.0).init(vector) for alone, vector in zip(apart, vectors, strict=True)]
    return begin(settings, env, key, for_envs, params, Parts(*states), _start(nets, settings.num_envs))


def _start(nets: ActorNets, num_envs: int) -> Carried:
    shape = nets.responder.wander
    return Carried(nets.carry(num_envs), () if shape is None else jnp.zeros((num_envs, *shape)))


def _collect(settings: OffPolicySettings, state: ReplayState, env: Env, progress: Array, shard: Shard) -> Collected:
    """Play `rollout_length` steps in all environments, with noise, and at random with probability epsilon."""
    nets, hyper = actor_networks(settings, env.spec), state.hyper
    deviation = hyper["noise_start"] + (hyper["noise_end"] - hyper["noise_start"]) * progress

    def acting(epsilon: Array) -> Act:
        def act(carried: Carried, ts: TimeStep, restart: Array, taken: Array):
            seen = see_step(settings, None, ts, restart)
            wander = jax.tree.map(lambda x: jnp.where(restart[:, None, None], 0.0, x), carried.wander)
            memory, outputs, legal = _look(nets, state.params.actor, carried.memory, seen)
            choice, wander = nets.responder.explore(outputs, legal, taken, wander, deviation, epsilon[:, None])
            stored = choice if env.spec.is_discrete else jnp.moveaxis(choice, 0, -2)
            return nets.responder.action(choice), Carried(memory, wander), stored

        return act

    collected = play(settings, state, env, progress, shard, acting, nets.responder.draw)
    return collected._replace(memory=collected.memory.memory)


def _look(nets: ActorNets, params: Tree, memory: Tree, seen: Seen) -> tuple[Tree, Array, Array]:
    """Return the actors' memory after a step, their outputs [Y, E, A] and what is legal [N, E, A]."""
    memory, outputs = nets.actor.apply(params, memory, jnp.swapaxes(seen.obs, 0, 1), seen.restart)
    return memory, outputs[:, :, 0], jnp.swapaxes(seen.legal, 0, 1)[:, :, 0]


def _policy(settings: OffPolicySettings, spec: Spec) -> Policy:
    nets = actor_networks(settings, spec)

    def act(params: Tree, carried: Carried, ts: TimeStep, restart: Array, keys: Key, greedy: bool) -> tuple[Array, Any]:
        actor, deviation, epsilon = params
        memory, outputs, legal = _look(nets, actor, carried.memory, see_step(settings, None, ts, restart))
        if greedy:
            return nets.responder.action(nets.responder.mode(outputs, legal)), Carried(memory, carried.wander)
        taken = jax.vmap(nets.responder.draw)(keys)
        choice, wander = nets.responder.explore(outputs, legal, taken, carried.wander, deviation, epsilon)
        return nets.responder.action(choice), Carried(memory, wander)

    return Policy(functools.partial(_start, nets), act)
