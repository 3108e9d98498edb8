"""The networks of a team that learns the values of actions."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.nn.gru import Recurrent
from jaxmarl_lite.nn.mixers import Mixer, Utilities, mixer_of
from jaxmarl_lite.nn.mlp import MLP, Hidden
from jaxmarl_lite.nn.net import Net, for_team, owners
from jaxmarl_lite.nn.table import Table
from jaxmarl_lite.ops.q_learning import dueling


class ValueParams(NamedTuple):
    """Parameters of the agents' network and of what mixes its values."""

    agent: Any
    mixer: Any


class QNets(NamedTuple):
    """The networks of a team."""

    agent: Net
    mixer: Mixer
    is_dueling: bool

    def init(self, key: Key) -> ValueParams:
        """Return parameters of both."""
        for_agent, for_mixer = jax.random.split(key)
        return ValueParams(self.agent.init(for_agent), self.mixer.init(for_mixer))

    def carry(self, num_envs: int) -> Tree:
        """Return the agents' memory at the start of episodes."""
        return self.agent.carry(num_envs)

    def step(self, params: Tree, memory: Tree, seen: Seen) -> tuple[Tree, Array]:
        """Return the agents' memory after what is seen, and the values of all actions [N, E, T, A]."""
        memory, outputs = self.agent.apply(params, memory, jnp.swapaxes(seen.obs, 0, 1), seen.restart)
        return memory, self.utilities(outputs, seen).values

    def utilities(self, outputs: Array, seen: Seen) -> Utilities:
        """Return what the outputs of the agents' network [Y, E, T, A] say of what is seen."""
        legal = jnp.swapaxes(seen.legal, 0, 1)
        state = jnp.zeros((0, *seen.restart.shape)) if seen.state is None else jnp.swapaxes(seen.state, 0, 1)
        return Utilities(dueling(outputs, legal) if self.is_dueling else outputs, legal, seen.present, state)


def q_networks(settings: ValueSettings, spec: Spec) -> QNets:
    """Return the networks: one of each agent's observation, and one that mixes their values."""
    hidden = Hidden(settings.hidden, settings.activation, settings.layer_norm, settings.start)
    outputs = spec.num_actions + settings.dueling
    module = Recurrent(hidden, settings.memory, outputs) if settings.memory else MLP(hidden, outputs)
    if settings.bins:
        module = Table(outputs, settings.bins)
    agent = for_team(module, spec.obs_shape[0], owners(spec, settings.sharing))
    mixer = mixer_of(settings.mixer, spec, settings.mixer_embed, settings.mixer_hidden)
    return QNets(agent, mixer, settings.dueling)


def learns_apart(settings: ValueSettings, spec: Spec) -> bool:
    """Return whether agents with parameters of their own have nothing in common, not even a loss."""
    return not settings.is_joint and max(owners(spec, settings.sharing)) > 0
