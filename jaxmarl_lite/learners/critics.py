"""Critics of a team's actions: what each agent's sees, and what it says of an action."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.nn.attention import Attention
from jaxmarl_lite.nn.mlp import MLP, Hidden
from jaxmarl_lite.nn.net import Net, for_team, owners
from jaxmarl_lite.ops.policy import in_basis, of_others, of_team

Judge = Callable[[Tree, Seen, Array, Array | None], Array]


class Critic(NamedTuple):
    """A network that gives the value of each agent's action, of its own reward."""

    init: Callable[[Key], Tree]
    """key -> params"""
    apply: Judge
    """(params, seen, own [F, E, T, A], told [F, E, T, A] or None) -> values [E, T, A] of each agent's `own` while all
    others do what they are `told` to; None: all do their own. What agents do that are gone is not seen."""


def critic_of(settings: OffPolicySettings, spec: Spec, told_size: int) -> Critic:
    """Return the critic of one value, or if actors learn by the score function, of all own actions' values.

    Those are weights of what is own, so that of an actor's probabilities the value is their mean.
    """
    if settings.critic == "attention":
        return _attentive(settings, spec, told_size)
    if settings.critic == "joint" and settings.sharing == "shared":
        return _of_team(settings, spec, told_size)
    return _of_agents(settings, spec, told_size)


def is_linear(settings: OffPolicySettings, spec: Spec) -> bool:
    """Return whether critics give the values of all own actions."""
    return spec.is_discrete and settings.discrete == "score"


def _of_agents(settings: OffPolicySettings, spec: Spec, told_size: int) -> Critic:
    """Return a network for each agent, or a shared one, of its view, its own action and those of others."""
    linear, sees_others = is_linear(settings, spec), settings.critic != "local"
    sizes = {"local": spec.obs_shape[0], "joint": spec.state_size, "both": spec.obs_shape[0] + spec.state_size}
    inputs = sizes[settings.critic] + (not linear) * told_size + sees_others * told_size * spec.num_agents
    net = _net(settings, spec, inputs, told_size if linear else 1)

    def apply(params: Tree, seen: Seen, own: Array, told: Array | None) -> Array:
        own, told = _by_present(seen, own, own if told is None else told)
        parts = [] if settings.critic == "joint" else [jnp.swapaxes(seen.obs, 0, 1)]
        if sees_others:
            assert seen.state is not None
            state = jnp.swapaxes(seen.state, 0, 1)[..., None]
            parts += [jnp.broadcast_to(state, (*state.shape[:-1], own.shape[-1])), of_others(told)]
        return _said(net, params, seen, own, parts, linear)

    return Critic(net.init, apply)


def _said(net: Net, params: Tree, seen: Seen, own: Array, parts: list[Array], linear: bool) -> Array:
    """Return the value of what is own by a network that sees `parts` and, unless it is linear in it, what is own."""
    x = jnp.concatenate(parts if linear else [*parts, own])
    _, values = net.apply(params, (), x, seen.restart)
    return in_basis(own, values) if linear else values[0]


def _of_team(settings: OffPolicySettings, spec: Spec, told_size: int) -> Critic:
    """Return one network of the global state and all actions, with outputs for each agent.

    What all see is then looked at once, where a network for each agent would look at it A times; and that the agents
    are not in each other's place is known to the weights, where a one-hot would have to say so.
    """
    linear, num_agents = is_linear(settings, spec), spec.num_agents
    outputs = told_size if linear else 1
    net = for_team(MLP(_hidden(settings), num_agents * outputs), spec.state_size + told_size * num_agents, (0,))
    is_own = np.eye(num_agents, dtype=bool).repeat(told_size, 0)[:, None, None]

    def apply(params: Tree, seen: Seen, own: Array, told: Array | None) -> Array:
        assert seen.state is not None
        state = jnp.swapaxes(seen.state, 0, 1)[..., None]
        if told is None and not linear:
            (own,) = _by_present(seen, own)
            _, values = net.apply(params, (), jnp.concatenate([state, of_team(own)[..., None]]), seen.restart)
            return jnp.moveaxis(values[..., 0], 0, -1)
        own, told = _by_present(seen, own, own if told is None else told)
        mine = 0.0 if linear else jnp.tile(own, (num_agents, 1, 1, 1))
        deeds = jnp.where(is_own, mine, of_team(told)[..., None])
        state = jnp.broadcast_to(state, (*state.shape[:-1], num_agents))
        _, values = net.apply(params, (), jnp.concatenate([state, deeds]), seen.restart)
        values = values.reshape(num_agents, outputs, *own.shape[1:])
        values = jnp.stack([values[agent, ..., agent] for agent in range(num_agents)], axis=-1)
        return in_basis(own, values) if linear else values[0]

    return Critic(net.init, apply)


def _attentive(settings: OffPolicySettings, spec: Spec, told_size: int) -> Critic:
    """Return a network of what an agent sees and of what it hears of the others by attention.

    Q_i = f_i(s_i, x_i), with s_i of the own observation (and action, if its values are not those of all) and x_i what
    is heard of the others' observations and actions (Iqbal and Sha 2019, arXiv:1810.02912, eqs. 5-6 and section 3.2).
    """
    linear, size, obs_size = is_linear(settings, spec), settings.hidden[-1], spec.obs_shape[0]
    own_net = _net(settings, spec, obs_size + (not linear) * told_size, size)
    pair_net = _net(settings, spec, obs_size + told_size, size)
    value_net = _net(settings, spec, 2 * size, told_size if linear else 1)
    attention = Attention(settings.attention_heads)

    def init(key: Key) -> dict[str, Tree]:
        for_own, for_pair, for_value, for_attention = jax.random.split(key, 4)
        x, present = jnp.zeros((size, 1, 1, spec.num_agents)), jnp.ones((1, 1, spec.num_agents), bool)
        return {
            "own": own_net.init(for_own),
            "pair": pair_net.init(for_pair),
            "value": value_net.init(for_value),
            "attention": attention.init(for_attention, x, x, present),
        }

    def apply(params: Tree, seen: Seen, own: Array, told: Array | None) -> Array:
        own, told = _by_present(seen, own, own if told is None else told)
        obs = jnp.swapaxes(seen.obs, 0, 1)
        _, asking = own_net.apply(params["own"], (), obs if linear else jnp.concatenate([obs, own]), seen.restart)
        _, telling = pair_net.apply(params["pair"], (), jnp.concatenate([obs, told]), seen.restart)
        asking, telling = jax.nn.relu(asking), jax.nn.relu(telling)
        heard: Any = attention.apply(params["attention"], asking, telling, seen.present)
        _, values = value_net.apply(params["value"], (), jnp.concatenate([asking, heard]), seen.restart)
        return in_basis(own, values) if linear else values[0]

    return Critic(init, apply)


def _net(settings: OffPolicySettings, spec: Spec, inputs: int, outputs: int) -> Net:
    return for_team(MLP(_hidden(settings), outputs), inputs, owners(spec, settings.sharing))


def _hidden(settings: OffPolicySettings) -> Hidden:
    return Hidden(settings.hidden, settings.activation, settings.layer_norm, settings.start)


def _by_present(seen: Seen, *deeds: Array) -> tuple[Array, ...]:
    """Return what is done [F, E, T, A], and nothing in the place of agents that are gone."""
    return tuple(jnp.where(seen.present, x, 0.0) for x in deeds)
