"""How the outputs of an actor become actions, and what a critic is asked about in their place."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.ops import gaussian
from jaxmarl_lite.ops.policy import mask_logits, sample_index
from jaxmarl_lite.ops.q_learning import best_choice
from jaxmarl_lite.ops.relaxation import gumbel_softmax, ornstein_uhlenbeck, straight_through

_LOG_DEVIATIONS = (-5.0, 2.0)  # of normal numbers before they are squashed
_FIRST_LOG_DEVIATION = -1.0


class Response(NamedTuple):
    """What actors would do, as critics are asked about it; trailing axes [...] end in that of the agents."""

    own: Array
    """[F, ...], what is learnt by: gradients pass through it"""
    told: Array
    """[F, ...], what the critics of others are told of it"""
    entropy: Array
    """[...], of the distribution, or an estimate from what was drawn; 0 without one"""


class Responder(NamedTuple):
    """A way to act by Y numbers of each agent.

    A choice is what is played and remembered: an action's index, int32 [...], or D numbers in [-1, 1], [D, ...].
    Outputs are [Y, ...] and `legal`, bool [N or D, ...], says what there is.
    """

    outputs: int
    """Y"""
    told_size: int
    """F"""
    noise: Callable[..., Array]
    """(key, shape) -> what responses of this shape [...] take, [N or D, ...]"""
    wander: tuple[int, ...] | None
    """shape of the noise that a team carries along to explore; None: it carries none"""
    draw: Callable[[Key], Array]
    """key -> what a team takes to explore"""
    explore: Callable[..., tuple[Array, Array]]
    """(outputs [Y, E, A], legal, what E teams take, the noise that they carry, deviation, epsilon [E, 1]) -> (choice,
    the noise that they carry on)"""
    mode: Callable[[Array, Array], Array]
    """(outputs, legal) -> the choice without noise"""
    respond: Callable[[Array, Array, Array, Hyper], Response]
    """(outputs, legal, noise, hyper) -> what actors would do now"""
    foresee: Callable[[Array, Array, Array, Hyper], Response]
    """(outputs, legal, noise, hyper) -> what they would do next, as targets have it"""
    told: Callable[[Array], Array]
    """choice -> what critics are told of it [F, ...]"""
    action: Callable[[Array], Array]
    """choice of E environments -> what they are given, int32 [E, A] or float32 [E, A, D]"""


def responder_of(settings: OffPolicySettings, spec: Spec) -> Responder:
    """Return how a team of this spec acts."""
    return _discrete(settings, spec) if spec.is_discrete else _continuous(settings, spec)


def _discrete(settings: OffPolicySettings, spec: Spec) -> Responder:
    size = spec.num_actions

    def explore(outputs: Array, legal: Array, taken: Array, carried: Tree, deviation: Array, epsilon: Array) -> Any:
        del deviation
        drawn = (1.0 - epsilon) * jax.nn.softmax(mask_logits(outputs, legal), axis=0)
        return sample_index(taken, drawn + epsilon * legal / jnp.maximum(legal.sum(0), 1)), carried

    def respond(outputs: Array, legal: Array, noise: Array, hyper: Hyper) -> Response:
        logits = mask_logits(outputs, legal)
        log_probs = jax.nn.log_softmax(logits, axis=0)
        probs = jnp.exp(log_probs)
        entropy = -jnp.where(legal, probs * log_probs, 0.0).sum(0)
        soft = gumbel_softmax(logits, noise, hyper["softness"])
        drawn = soft if settings.discrete == "gumbel" else straight_through(soft)
        return Response(probs if settings.discrete == "score" else drawn, drawn, entropy)

    return Responder(
        outputs=size,
        told_size=size,
        noise=lambda key, shape: jax.random.gumbel(key, (size, *shape)),
        wander=None,
        draw=lambda key: jax.random.uniform(key, (spec.num_agents,)),
        explore=explore,
        mode=best_choice,
        respond=respond,
        foresee=respond,
        told=lambda choice: jax.nn.one_hot(choice, size, axis=0),
        action=lambda choice: choice,
    )


def _continuous(settings: OffPolicySettings, spec: Spec) -> Responder:
    (low, high), size = spec.action_range, spec.num_actions
    wanders = settings.noise == "ornstein_uhlenbeck" and not settings.stochastic

    def normal(outputs: Array) -> tuple[Array, Array]:
        mean, log_deviation = jnp.split(outputs, 2)
        return mean, jnp.exp(jnp.clip(log_deviation + _FIRST_LOG_DEVIATION, *_LOG_DEVIATIONS))

    def mode(outputs: Array, legal: Array) -> Array:
        return jnp.where(legal, jnp.tanh(outputs[:size]), 0.0)

    def drawn_from(outputs: Array, legal: Array, noise: Array) -> Response:
        mean, deviation = normal(outputs)
        drawn = mean + deviation * noise
        entropy = -jnp.where(legal, gaussian.squashed_log_prob(drawn, mean, deviation), 0.0).sum(0)
        own = jnp.where(legal, jnp.tanh(drawn), 0.0)
        return Response(own, own, entropy)

    def drawn(outputs: Array, legal: Array, noise: Array, hyper: Hyper) -> Response:
        return drawn_from(outputs, legal, noise)

    def certain(outputs: Array, legal: Array, noise: Array, hyper: Hyper) -> Response:
        own = mode(outputs, legal)
        return Response(own, own, jnp.zeros(own.shape[1:]))

    def smoothed(outputs: Array, legal: Array, noise: Array, hyper: Hyper) -> Response:
        limit = hyper["target_noise_clip"]
        off = jnp.clip(hyper["target_noise"] * noise, -limit, limit)
        own = jnp.where(legal, jnp.clip(mode(outputs, legal) + off, -1.0, 1.0), 0.0)
        return Response(own, own, jnp.zeros(own.shape[1:]))

    def explore(outputs: Array, legal: Array, taken: Array, carried: Tree, deviation: Array, epsilon: Array) -> Any:
        normals, which, anywhere = (jnp.moveaxis(taken[:, place], 0, -2) for place in range(3))
        if settings.stochastic:
            choice = drawn_from(outputs, legal, normals).own
        elif wanders:
            carried = ornstein_uhlenbeck(carried, jnp.moveaxis(normals, -2, 0), deviation)
            choice = jnp.clip(mode(outputs, legal) + jnp.moveaxis(carried, 0, -2), -1.0, 1.0)
        else:
            choice = jnp.clip(mode(outputs, legal) + deviation * normals, -1.0, 1.0)
        return jnp.where(legal, jnp.where(which[0] < epsilon, 2.0 * anywhere - 1.0, choice), 0.0), carried

    def take(key: Key) -> Array:
        for_normals, for_uniforms = jax.random.split(key)
        uniforms = jax.random.uniform(for_uniforms, (2, size, spec.num_agents))
        return jnp.concatenate([jax.random.normal(for_normals, (1, size, spec.num_agents)), uniforms])

    def action(choice: Array) -> Array:
        return low + (high - low) * 0.5 * (1.0 + jnp.moveaxis(choice, 0, -1))

    respond, foresee = (drawn, drawn) if settings.stochastic else (certain, smoothed)
    return Responder(
        outputs=2 * size if settings.stochastic else size,
        told_size=size,
        noise=lambda key, shape: jax.random.normal(key, (size, *shape)),
        wander=(size, spec.num_agents) if wanders else None,
        draw=take,
        explore=explore,
        mode=mode,
        respond=respond,
        foresee=foresee,
        told=lambda choice: choice,
        action=action,
    )
