"""The networks of actor and critic."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.heads import Head, head_of
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings, View
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.nn.gru import Recurrent
from jaxmarl_lite.nn.mlp import MLP, Hidden
from jaxmarl_lite.nn.net import Net, for_team, owners
from jaxmarl_lite.ops.policy import of_others


class ActorCritic(NamedTuple):
    """Something for the actor and something for the critic: parameters or memories."""

    actor: Any
    critic: Any


class Nets(NamedTuple):
    """The networks of a team."""

    actor: Net
    critic: Net
    head: Head
    """what the actor's outputs mean"""
    view: View
    """what the critic sees"""

    def init(self, actor_key: Array, critic_key: Array) -> ActorCritic:
        """Return parameters of both."""
        return ActorCritic(self.actor.init(actor_key), self.critic.init(critic_key))

    def memory(self, num_envs: int) -> ActorCritic:
        """Return the memories of both at the start of episodes."""
        return ActorCritic(self.actor.carry(num_envs), self.critic.carry(num_envs))


def networks(settings: OnPolicySettings, spec: Spec) -> Nets:
    """Return the networks: an actor, and a critic of the state or, to compare actions, of all that might be chosen."""
    sets, head = owners(spec, settings.sharing), head_of(spec, settings.bounds)
    hidden = Hidden(settings.hidden, settings.activation, settings.layer_norm, settings.start)

    def net(input_size: int, outputs: int, output_scale: float) -> Net:
        if settings.memory:
            return for_team(Recurrent(hidden, settings.memory, outputs, output_scale), input_size, sets)
        return for_team(MLP(hidden, outputs, output_scale), input_size, sets)

    sizes = {"local": spec.obs_shape[0], "joint": spec.state_size, "both": spec.obs_shape[0] + spec.state_size}
    critic_size, values = sizes[settings.critic], 1
    if compares_actions(settings):
        critic_size, values = critic_size + spec.num_agents * head.basis_size, head.basis_size
    return Nets(net(spec.obs_shape[0], head.outputs, 0.01), net(critic_size, values, 1.0), head, settings.critic)


def compares_actions(settings: OnPolicySettings) -> bool:
    """Return whether the critic gives values to all that an agent might choose, knowing what the others did."""
    return settings.baseline == "counterfactual"


def distribution_of(
    nets: Nets, params: Tree, memory: Tree, seen: Seen, agents: Array | None = None
) -> tuple[Tree, Array]:
    """Return the actor's memory and the parameters of its distributions of actions [Y, E, T, A]."""
    memory, outputs = nets.actor.apply(params, memory, jnp.swapaxes(seen.obs, 0, 1), seen.restart, agents)
    return memory, nets.head.params(outputs, jnp.swapaxes(seen.legal, 0, 1))


def critic_of(
    nets: Nets, params: Tree, memory: Tree, seen: Seen, basis: Array | None = None, agents: Array | None = None
) -> tuple[Tree, Array]:
    """Return the critic's memory and its values [Y, E, T, A]; one that compares actions is told all agents' choices.

    It is told them by their `basis` [F, E, T, A], and its values are the weights of each agent's.
    """
    obs, parts = jnp.swapaxes(seen.obs, 0, 1), []
    if nets.view != "joint":
        parts.append(obs)
    if seen.state is not None:
        state = jnp.swapaxes(seen.state, 0, 1)[..., None]
        parts.append(jnp.broadcast_to(state, (*state.shape[:-1], obs.shape[-1])))
    if basis is not None:
        parts.append(of_others(basis))
    return nets.critic.apply(params, memory, jnp.concatenate(parts), seen.restart, agents)
