"""The on-policy family: rollouts, advantages, and what is learnt from each."""

import functools
from typing import Any

import jax

from jaxmarl_lite.core.env import Array, Env, Key, TimeStep, Tree
from jaxmarl_lite.core.shard import COPY
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.data.rollout import start
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.actor_critic import distribution_of, networks
from jaxmarl_lite.learners.estimate import estimate
from jaxmarl_lite.learners.experience import OnPolicyState, collect
from jaxmarl_lite.learners.hyper import hyper_leaves
from jaxmarl_lite.learners.learner import Learner, Policy
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.optimiser import first_opt_state
from jaxmarl_lite.learners.sight import Sight, see_step
from jaxmarl_lite.learners.update import update
from jaxmarl_lite.nn.net import owners
from jaxmarl_lite.ops.statistics import Moments


def on_policy(name: str, settings: OnPolicySettings) -> Learner:
    """Return the member of the on-policy family with these settings."""
    phases = {"collect": collect, "estimate": estimate, "update": update}
    return Learner(
        name=name,
        settings=settings,
        check=lambda spec: None,
        init=functools.partial(_init, settings),
        phases={phase: functools.partial(function, settings) for phase, function in phases.items()},
        policy=functools.partial(_policy, settings),
        params=lambda state: (state.params.actor, state.sight),
        env_axes=_env_axes,
    )


def _init(settings: OnPolicySettings, key: Key, env: Env) -> OnPolicyState:
    nets, spec = networks(settings, env.spec), env.spec
    key, for_actor, for_critic, for_envs = jax.random.split(key, 4)
    params = nets.init(for_actor, for_critic)
    obs = Moments.start((spec.num_agents, *spec.obs_shape))
    return OnPolicyState(
        key,
        params,
        opt_state=first_opt_state(params, learns_apart=max(owners(spec, settings.sharing)) > 0),
        actors=start(vectorize(env, settings.num_envs), for_envs, nets.memory(settings.num_envs)),
        returns=Moments.start((spec.num_agents,)),
        rewards=Moments.start((spec.num_agents,)) if settings.scale_rewards else None,
        sight=Sight(obs, Moments.start((spec.state_size,))) if settings.normalise_obs else None,
        hyper=hyper_leaves(settings),
    )


def _env_axes(state: OnPolicyState) -> Tree:
    nowhere = jax.tree.map(lambda leaf: COPY, state)
    return nowhere._replace(actors=jax.tree.map(lambda leaf: 0, state.actors))


def _policy(settings: OnPolicySettings, spec: Spec) -> Policy:
    nets = networks(settings, spec)

    def act(params: Tree, memory: Tree, ts: TimeStep, restart: Array, keys: Key, greedy: bool) -> tuple[Array, Any]:
        actor, sight = params
        memory, distribution = distribution_of(nets, actor, memory, see_step(settings, sight, ts, restart))
        distribution = distribution[:, :, 0]
        if greedy:
            return nets.head.action(nets.head.mode(distribution)), memory
        choice = nets.head.draw(distribution, jax.vmap(nets.head.noise)(keys))
        return nets.head.action(choice), memory

    return Policy(nets.actor.carry, act)
