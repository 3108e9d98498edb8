"""The value family: agents' networks, a mixer of their values, and what these are learnt from."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.shard import COPY
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.data.places import Ratings
from jaxmarl_lite.data.replay import empty
from jaxmarl_lite.data.rollout import start
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.as_one import AsOne, actions_of, as_one, spec_as_one
from jaxmarl_lite.learners.hyper import hyper_leaves
from jaxmarl_lite.learners.learner import Learner, Policy
from jaxmarl_lite.learners.optimiser import first_opt_state
from jaxmarl_lite.learners.q_nets import learns_apart, q_networks
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.units import Told
from jaxmarl_lite.learners.value_experience import ValueState, collect, drawing, stored_shapes
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.learners.value_update import update
from jaxmarl_lite.ops.policy import sample_index
from jaxmarl_lite.ops.q_learning import best_choice, epsilon_greedy
from jaxmarl_lite.ops.statistics import Moments


def value_based(name: str, settings: ValueSettings) -> Learner:
    """Return the member of the value family with these settings."""
    phases = {"collect": collect, "update": update}
    return Learner(
        name=name,
        settings=settings,
        check=functools.partial(_check, name, settings),
        init=functools.partial(_init, settings),
        phases={phase: functools.partial(_run, settings, function) for phase, function in phases.items()},
        policy=functools.partial(_policy, settings),
        params=lambda state: (state.params.agent, state.hyper["epsilon_end"]),
        env_axes=_env_axes,
    )


def _env(settings: ValueSettings, env: Env) -> Env:
    return AsOne(env) if settings.central else env


def _spec(settings: ValueSettings, spec: Spec) -> Spec:
    return spec_as_one(spec) if settings.central else spec


def _run(
    settings: ValueSettings, phase: Callable[..., Tree], passed: Tree, env: Env, *given: Any, **named: Any
) -> Tree:
    return phase(settings, passed, _env(settings, env), *given, **named)


def _check(name: str, settings: ValueSettings, spec: Spec) -> None:
    if not spec.is_discrete:
        raise SettingError(f"{name} gives a value to each discrete action, and this environment's are continuous.")
    q_networks(settings, _spec(settings, spec))


def _init(settings: ValueSettings, key: Key, env: Env) -> ValueState:
    env = _env(settings, env)
    nets, spec = q_networks(settings, env.spec), env.spec
    key, for_params, for_envs = jax.random.split(key, 3)
    params = nets.init(for_params)
    actors = start(vectorize(env, settings.num_envs), for_envs, nets.agent.carry(settings.num_envs))
    remembers = settings.experience == "replay"
    nothing = Moments.start((1 if settings.is_joint else spec.num_agents,))
    return ValueState(
        key,
        params,
        target_params=params if remembers else None,
        opt_state=first_opt_state(params, learns_apart(settings, spec)),
        steps=jnp.zeros((), jnp.int32),
        actors=actors,
        replay=empty(stored_shapes(settings, actors.ts), settings.capacity) if remembers else None,
        ratings=Ratings.start(drawing(settings)) if settings.priority else None,
        told=Told(nothing, nothing),
        hyper=hyper_leaves(settings),
    )


def _env_axes(state: ValueState) -> Tree:
    nowhere = jax.tree.map(lambda leaf: COPY, state)
    first = jax.tree.map(lambda leaf: 0, (state.actors, state.ratings))
    axes = nowhere._replace(actors=first[0], ratings=first[1])
    if state.replay is None:
        return axes
    return axes._replace(replay=axes.replay._replace(steps=jax.tree.map(lambda leaf: 1, state.replay.steps)))


def _policy(settings: ValueSettings, spec: Spec) -> Policy:
    seen_as = _spec(settings, spec)
    nets = q_networks(settings, seen_as)

    def act(params: Tree, memory: Tree, ts: TimeStep, restart: Array, keys: Key, greedy: bool) -> tuple[Array, Any]:
        agent, epsilon = params
        seen = see_step(settings, None, as_one(spec, ts) if settings.central else ts, restart)
        memory, values = nets.step(agent, memory, seen)
        values, legal = values[:, :, 0], jnp.swapaxes(seen.legal, 0, 1)[:, :, 0]
        if greedy:
            choice = best_choice(values, legal)
        else:
            noise = jax.vmap(lambda key: jax.random.uniform(key, (seen_as.num_agents,)))(keys)
            choice = sample_index(noise, epsilon_greedy(values, legal, epsilon))
        return actions_of(spec, choice) if settings.central else choice, memory

    return Policy(nets.agent.carry, act)
