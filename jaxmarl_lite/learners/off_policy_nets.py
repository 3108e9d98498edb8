"""The networks of a team of actors and their critics."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.critics import Critic, critic_of
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.optimiser import as_vector
from jaxmarl_lite.learners.responses import Responder, responder_of
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.nn.gru import Recurrent
from jaxmarl_lite.nn.mixers import Mixer, Utilities, mixer_of
from jaxmarl_lite.nn.mlp import MLP, Hidden
from jaxmarl_lite.nn.net import Net, for_team, owners

_OUTPUT_SCALE = 0.01  # of an actor's last layer: it begins near uniform, or in the middle of the range


class Parts(NamedTuple):
    """Something for the actors, for the critics and for the temperature: parameters, vectors or optimisers' states.

    The parameter of a temperature is the logarithm of how many times the first one it is.
    """

    actor: Any
    critic: Any
    temperature: Any


class Critics(NamedTuple):
    """Parameters of one or two critics and of what mixes the values of each."""

    values: tuple[Any, ...]
    mixers: tuple[Any, ...]


class ActorNets(NamedTuple):
    """The networks of a team."""

    actor: Net
    responder: Responder
    """what the actor's outputs mean"""
    critic: Critic
    mixer: Mixer
    critics: int

    def init(self, key: Key, num_agents: int) -> Parts:
        """Return parameters of all; each agent has a temperature."""
        for_actor, for_critics, for_mixers = jax.random.split(key, 3)
        values, mixers = (
            tuple(init(own) for own in jax.random.split(key, self.critics))
            for init, key in ((self.critic.init, for_critics), (self.mixer.init, for_mixers))
        )
        return Parts(self.actor.init(for_actor), Critics(values, mixers), jnp.zeros(num_agents))

    def carry(self, num_envs: int) -> Tree:
        """Return the actors' memory at the start of episodes."""
        return self.actor.carry(num_envs)

    def judge(self, params: Critics, seen: Seen, own: Array, told: Array | None = None) -> list[Array]:
        """Return what each critic says of actions [E, T, G], as `Critic.apply` has them, mixed if they are."""
        own_values = (self.critic.apply(values, seen, own, told) for values in params.values)
        return [self._mixed(mixer, seen, values) for mixer, values in zip(params.mixers, own_values, strict=True)]

    def _mixed(self, params: Tree, seen: Seen, values: Array) -> Array:
        if not self.mixer.is_joint:
            return values
        state = jnp.zeros((0, *seen.restart.shape)) if seen.state is None else jnp.swapaxes(seen.state, 0, 1)
        # What is done is in the values already: a single choice each.
        utilities = Utilities(values[None], jnp.ones((1, *values.shape), bool), seen.present, state)
        return self.mixer.apply(params, utilities, jnp.zeros(values.shape, jnp.int32))


def actor_networks(settings: OffPolicySettings, spec: Spec) -> ActorNets:
    """Return the networks; raises SettingError if there is no global state to mix or to judge by."""
    hidden = Hidden(settings.hidden, settings.activation, settings.layer_norm, settings.start)
    responder = responder_of(settings, spec)
    if settings.memory:
        module = Recurrent(hidden, settings.memory, responder.outputs, _OUTPUT_SCALE)
    else:
        module = MLP(hidden, responder.outputs, _OUTPUT_SCALE)
    actor = for_team(module, spec.obs_shape[0], owners(spec, settings.sharing))
    mixer = mixer_of(settings.mixer, spec, settings.mixer_embed, settings.mixer_hidden)
    return ActorNets(actor, responder, critic_of(settings, spec, responder.told_size), mixer, settings.critics)


def learns_apart(settings: OffPolicySettings, spec: Spec) -> Parts:
    """Return of which parts each agent's parameters have nothing in common with others', not even a loss."""
    alone = not settings.is_joint and max(owners(spec, settings.sharing)) > 0
    return Parts(alone, alone and settings.critic != "attention", False)


def as_vectors(params: Parts, apart: Parts) -> tuple[Parts, Any]:
    """Return each part as a vector, or as one for each set of parameters, and the way back."""
    made = [as_vector(part, alone) for part, alone in zip(params, apart, strict=True)]

    def restore(vectors: Parts) -> Parts:
        return Parts(*(back(vector) for (_, back), vector in zip(made, vectors, strict=True)))

    return Parts(*(vector for vector, _ in made)), restore
