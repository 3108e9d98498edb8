"""What actor and critic see, and the networks that they look through."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, TimeStep, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.nn.mlp import MLP
from jaxmarl_lite.nn.net import Net, feed_forward
from jaxmarl_lite.ops.policy import mask_logits


class ActorCritic(NamedTuple):
    """Something for the actor and something for the critic: networks, parameters or memories."""

    actor: Any
    critic: Any


class Seen(NamedTuple):
    """What networks and losses read of a sequence of steps, environments first and features before time.

    So a minibatch of environments is a copy of long runs, and a network's columns lie as they are needed.
    """

    obs: Array
    """[E, O, T, A]"""
    state: Array | None
    """[E, S, T], the global state, if the critic sees it"""
    legal: Array
    """bool [E, N, T, A]"""
    active: Array
    """bool [E, T, A]"""
    restart: Array
    """bool [E, T], an episode begins here"""


def networks(settings: OnPolicySettings, spec: Spec) -> ActorCritic:
    """Return the Net of the actor, with outputs N, and that of the critic, with one."""

    def net(input_size: int, outputs: int, output_scale: float) -> Net:
        module = MLP(settings.hidden, outputs, settings.activation, output_scale)
        return feed_forward(module, input_size, spec.num_agents, settings.sharing)

    critic_size = spec.state_size if settings.critic == "joint" else spec.obs_shape[0]
    return ActorCritic(actor=net(spec.obs_shape[0], spec.num_actions, 0.01), critic=net(critic_size, 1, 1.0))


def see(settings: OnPolicySettings, ts: TimeStep, restart: Array) -> Seen:
    """Return what is read of a sequence of steps [T, E, ...]."""
    state = jnp.moveaxis(ts.state, 0, -1) if settings.critic == "joint" else None
    features_before_time = (1, 3, 0, 2)
    return Seen(
        ts.obs.transpose(features_before_time),
        state,
        ts.legal.transpose(features_before_time),
        jnp.swapaxes(ts.active, 0, 1),
        restart.T,
    )


def see_step(settings: OnPolicySettings, ts: TimeStep, restart: Array) -> Seen:
    """Return what is read of a single step [E, ...], as a sequence of length 1."""
    return see(settings, *jax.tree.map(lambda x: x[None], (ts, restart)))


def logits_of(net: Net, params: Tree, memory: Tree, seen: Seen) -> tuple[Tree, Array]:
    """Return the actor's memory and its masked logits [N, E, T, A]."""
    memory, logits = net.apply(params, memory, jnp.swapaxes(seen.obs, 0, 1), seen.restart)
    return memory, mask_logits(logits, jnp.swapaxes(seen.legal, 0, 1))


def value_of(net: Net, params: Tree, memory: Tree, seen: Seen) -> tuple[Tree, Array]:
    """Return the critic's memory and the values [E, T, A]."""
    view = jnp.swapaxes(seen.obs, 0, 1)
    if seen.state is not None:
        state = jnp.swapaxes(seen.state, 0, 1)[..., None]
        view = jnp.broadcast_to(state, (*state.shape[:-1], view.shape[-1]))
    memory, value = net.apply(params, memory, view, seen.restart)
    return memory, value[0]
