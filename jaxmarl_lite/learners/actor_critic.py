"""The networks of actor and critic."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.heads import Head, head_of
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
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

    def init(self, actor_key: Array, critic_key: Array) -> ActorCritic:
        """Return parameters of both."""
        return ActorCritic(self.actor.init(actor_key), self.critic.init(critic_key))

    def memory(self, num_envs: int) -> ActorCritic:
        """Return the memories of both at the start of episodes."""
        return ActorCritic(self.actor.carry(num_envs), self.critic.carry(num_envs))


def networks(settings: OnPolicySettings, spec: Spec) -> Nets:
    """Return the networks: an actor, and a critic of the state or, to compare actions, of each action in it."""
    sets, head = owners(spec, settings.sharing), head_of(spec, settings.bounds)
    hidden = Hidden(settings.hidden, settings.activation, settings.layer_norm, settings.start)

    def net(input_size: int, outputs: int, output_scale: float) -> Net:
        if settings.memory:
            return for_team(Recurrent(hidden, settings.memory, outputs, output_scale), input_size, sets)
        return for_team(MLP(hidden, outputs, output_scale), input_size, sets)

    critic_size, values = spec.state_size if settings.critic == "joint" else spec.obs_shape[0], 1
    if compares_actions(settings):
        critic_size, values = critic_size + spec.num_agents * spec.num_actions, spec.num_actions
    return Nets(net(spec.obs_shape[0], head.outputs, 0.01), net(critic_size, values, 1.0), head)


def compares_actions(settings: OnPolicySettings) -> bool:
    """Return whether the critic gives a value to each action of an agent, knowing those of the others."""
    return settings.estimator == "counterfactual"


def distribution_of(
    nets: Nets, params: Tree, memory: Tree, seen: Seen, agents: Array | None = None
) -> tuple[Tree, Array]:
    """Return the actor's memory and the parameters of its distributions of actions [Y, E, T, A]."""
    memory, outputs = nets.actor.apply(params, memory, jnp.swapaxes(seen.obs, 0, 1), seen.restart, agents)
    return memory, nets.head.params(outputs, jnp.swapaxes(seen.legal, 0, 1))


def critic_of(
    nets: Nets, params: Tree, memory: Tree, seen: Seen, choice: Array | None = None, agents: Array | None = None
) -> tuple[Tree, Array]:
    """Return the critic's memory and its values [Y, E, T, A]; one that compares actions is told all agents' choices."""
    view = jnp.swapaxes(seen.obs, 0, 1)
    if seen.state is not None:
        state = jnp.swapaxes(seen.state, 0, 1)[..., None]
        view = jnp.broadcast_to(state, (*state.shape[:-1], view.shape[-1]))
    if choice is not None:
        view = jnp.concatenate([view, of_others(choice, num_actions=seen.legal.shape[1])])
    return nets.critic.apply(params, memory, view, seen.restart, agents)
