"""How the outputs of an actor become actions."""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.ops import gaussian
from jaxmarl_lite.ops.policy import categorical, categorical_divergence, mask_logits, sample_index

Bounds = Literal["cut", "tanh"]

# A normal number of deviation 1/2 around the middle reaches either bound of the range, 1 away, once in twenty draws.
_FIRST_LOG_DEVIATION = math.log(0.5)
_LOG_DEVIATIONS = (-5.0, 1.0)  # beyond, densities lose all precision
_DEGREE = 3  # of the polynomials of one component that values of continuous actions are made of


class Head(NamedTuple):
    """A family of distributions over actions, one for each agent, given by Y numbers each.

    A choice is what is drawn and learnt from: an action's index [...] or, if actions are continuous, D numbers before
    they are brought into the range [D, ...]. Trailing axes [...] end in that of the agents.
    """

    outputs: int
    """Y"""
    noise: Callable[[Key], Array]
    """key -> what one draw of a whole team takes"""
    params: Callable[[Array, Array], Array]
    """(outputs [Y, ...], legal bool [N, ...]) -> the distributions' parameters [Y, ...]"""
    draw: Callable[[Array, Array], Array]
    """(params [Y, E, A], noise [E, ...]) -> choice"""
    mode: Callable[[Array], Array]
    """params -> the likeliest choice"""
    terms: Callable[[Array, Array], tuple[Array, Array]]
    """(params, choice) -> (log-probability, entropy) [...]"""
    divergence: Callable[[Array, Array], Array]
    """(params, new params) -> Kullback-Leibler divergence [...] of the new from the old"""
    action: Callable[[Array], Array]
    """choice of E environments -> what they are given, int32 [E, A] or float32 [E, A, D]"""
    basis_size: int
    """F"""
    basis: Callable[[Array], Array]
    """choice -> functions of it [F, ...] in which a critic's values of actions are linear"""
    mean_basis: Callable[[Array], Array]
    """params -> their means over what the policy might have chosen [F, ...]"""


def head_of(spec: Spec, bounds: Bounds) -> Head:
    """Return the head for a spec's actions: categorical, or normal and kept to their range by `bounds`."""
    return _categorical(spec) if spec.is_discrete else _normal(spec, bounds)


def _categorical(spec: Spec) -> Head:
    return Head(
        outputs=spec.num_actions,
        noise=functools.partial(jax.random.uniform, shape=(spec.num_agents,)),
        params=mask_logits,
        draw=lambda logits, noise: sample_index(noise, jax.nn.softmax(logits, axis=0)),
        mode=lambda logits: jnp.argmax(logits, axis=0).astype(jnp.int32),
        terms=categorical,
        divergence=categorical_divergence,
        action=lambda choice: choice,
        basis_size=1 + spec.num_actions,
        basis=lambda choice: _with_one(jax.nn.one_hot(choice, spec.num_actions, axis=0)),
        mean_basis=lambda logits: _with_one(jax.nn.softmax(logits, axis=0)),
    )


def _normal(spec: Spec, bounds: Bounds) -> Head:
    """Return the head of D normal numbers, of which -1 and 1 stand for the least and greatest value of a component.

    Its parameters are D means and D deviations; a component that an agent lacks has deviation 0, and weighs nothing.
    """
    low, high = spec.action_range
    size, squash, log_prob = spec.num_actions, *_BOUNDS[bounds]

    def params(outputs: Array, legal: Array) -> Array:
        mean, log_deviation = jnp.split(outputs, 2)
        deviation = jnp.exp(jnp.clip(log_deviation + _FIRST_LOG_DEVIATION, *_LOG_DEVIATIONS))
        return jnp.concatenate([jnp.where(legal, mean, 0.0), jnp.where(legal, deviation, 0.0)])

    def of_components(function: Callable[..., Array], *distributions: Array, **given: Array) -> Array:
        parts = [part for params in distributions for part in jnp.split(params, 2)]
        is_there = parts[1] > 0.0
        parts[1::2] = [jnp.where(is_there, deviation, 1.0) for deviation in parts[1::2]]
        return jnp.where(is_there, function(*given.values(), *parts), 0.0).sum(0)

    def draw(params: Array, noise: Array) -> Array:
        mean, deviation = jnp.split(params, 2)
        return mean + deviation * jnp.moveaxis(noise, -1, 0)

    def terms(params: Array, choice: Array) -> tuple[Array, Array]:
        entropy = of_components(lambda mean, deviation: gaussian.entropy(deviation), params)
        return of_components(log_prob, params, x=choice), entropy

    def mean_basis(params: Array) -> Array:
        mean, deviation = jnp.split(params, 2)
        return _basis(gaussian.mean_of(lambda x: _legendre(squash(x)), mean, deviation))

    def action(choice: Array) -> Array:
        return low + (high - low) * 0.5 * (1.0 + jnp.moveaxis(squash(choice), 0, -1))

    return Head(
        outputs=2 * size,
        noise=functools.partial(jax.random.normal, shape=(spec.num_agents, size)),
        params=params,
        draw=draw,
        mode=lambda params: jnp.split(params, 2)[0],
        terms=terms,
        divergence=functools.partial(of_components, gaussian.divergence),
        action=action,
        basis_size=1 + _DEGREE * size + math.comb(size, 2),
        basis=lambda choice: _basis(_legendre(squash(choice))),
        mean_basis=mean_basis,
    )


def _with_one(basis: Array) -> Array:
    """Return a basis that begins with one: what is the same for all actions is learnt from each of them.

    The weight of one is the value of the state in the dueling network of Wang et al. 2016, arXiv:1511.06581, eq. 7.
    """
    return jnp.concatenate([jnp.ones_like(basis[:1]), basis])


def _legendre(x: Array) -> Array:
    """Return the Legendre polynomials of degrees 1 to _DEGREE of x in [-1, 1]; [D, ...] -> [_DEGREE, D, ...].

    (n + 1) P_{n+1} = (2 n + 1) x P_n - n P_{n-1} (Abramowitz and Stegun 1964, eq. 22.7.10).
    """
    terms = [jnp.ones_like(x), x]
    for n in range(1, _DEGREE):
        terms.append(((2 * n + 1) * x * terms[n] - n * terms[n - 1]) / (n + 1))
    return jnp.stack(terms[1:])


def _basis(polynomials: Array) -> Array:
    """Return one, the polynomials [P, D, ...] of each component and the products of two components [F, ...].

    Components are drawn independently, so of means of polynomials this makes the means of the basis.
    """
    linear = polynomials[0]
    products = [first * second for first, second in itertools.combinations(linear, 2)]
    return _with_one(jnp.stack([*polynomials.reshape(-1, *linear.shape[1:]), *products]))


_BOUNDS = {
    "cut": (functools.partial(jnp.clip, min=-1.0, max=1.0), gaussian.clipped_log_prob),
    "tanh": (jnp.tanh, gaussian.squashed_log_prob),
}
