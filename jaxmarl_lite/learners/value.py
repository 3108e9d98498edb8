"""The value family: agents' networks, a mixer of their values, and what these are learnt from."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.as_one import AsOne, actions_of, as_one, spec_as_one
from jaxmarl_lite.learners.learner import Learner, Policy
from jaxmarl_lite.learners.optimiser import first_opt_state
from jaxmarl_lite.learners.q_nets import learns_apart, q_networks
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.steps import ReplayState, begin, env_axes
from jaxmarl_lite.learners.value_collect import collect
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.learners.value_update import update
from jaxmarl_lite.ops.policy import sample_index
from jaxmarl_lite.ops.q_learning import best_choice, epsilon_greedy


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
        env_axes=env_axes,
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
    nets = q_networks(settings, _spec(settings, spec))
    if settings.bins:  # a table finds out that it would be too large when it is made
        jax.eval_shape(lambda: nets.init(jax.random.key(0)))


def _init(settings: ValueSettings, key: Key, env: Env) -> ReplayState:
    env = _env(settings, env)
    nets = q_networks(settings, env.spec)
    key, for_params, for_envs = jax.random.split(key, 3)
    params = nets.init(for_params)
    opt_state = first_opt_state(params, learns_apart(settings, env.spec))
    return begin(settings, env, key, for_envs, params, opt_state, nets.agent.carry(settings.num_envs))


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
