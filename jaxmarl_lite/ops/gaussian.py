"""Normal distributions of continuous actions, per component: arrays in, arrays of the same shape out."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
from jax.scipy.stats import norm

Array = jax.Array

_HALF_LOG_2_PI_E = 0.5 * math.log(2 * math.pi * math.e)


def clipped_log_prob(x: Array, mean: Array, deviation: Array) -> Array:
    """Return the log-probability of a normal x [...] that acts as if cut to [-1, 1].

    Inside it is the density; beyond a bound it is the probability of everything beyond, for all of that is one and the
    same action (Fujita and Maeda 2018, arXiv:1802.07564, eq. 7).
    """
    at_low, at_high = norm.logcdf((-1.0 - mean) / deviation), norm.logcdf((mean - 1.0) / deviation)
    inside = norm.logpdf(x, mean, deviation)
    return jnp.where(x <= -1.0, at_low, jnp.where(x >= 1.0, at_high, inside))


def squashed_log_prob(x: Array, mean: Array, deviation: Array) -> Array:
    """Return the log-density of tanh(x) for a normal x [...] (Haarnoja et al. 2018, arXiv:1801.01290, eq. 21).

    The derivative of tanh is written as 4 / (e^x + e^-x)^2, so that it is finite where tanh(x) rounds to a bound.
    """
    return norm.logpdf(x, mean, deviation) - 2.0 * (math.log(2.0) - x - jax.nn.softplus(-2.0 * x))


def entropy(deviation: Array) -> Array:
    """Return the entropy of normal numbers of these deviations [...], before any cut or squashing."""
    return jnp.log(deviation) + _HALF_LOG_2_PI_E


def mean_of(function: Callable[[Array], Array], mean: Array, deviation: Array, points: int = 16) -> Array:
    """Return the mean of function(x) [F, ...] over normal x [...]: that of points of equal probability.

    For functions that bend at a bound: Legendre polynomials up to the third of x cut to [-1, 1], or of tanh(x), are
    within 0.04 with 16 points, where Gauss and Hermite's rule is off by 0.3.
    """
    places = scipy.stats.norm.ppf((np.arange(points) + 0.5) / points)
    total = function(mean + places[0] * deviation)
    for place in places[1:]:
        total = total + function(mean + place * deviation)
    return total / points


def divergence(mean: Array, deviation: Array, new_mean: Array, new_deviation: Array) -> Array:
    """Return the Kullback-Leibler divergence KL(N(mean, deviation^2) || N(new_mean, new_deviation^2)), [...]."""
    ratio = deviation / new_deviation
    moved = (mean - new_mean) / new_deviation
    return 0.5 * (jnp.square(ratio) + jnp.square(moved) - 1.0) - jnp.log(ratio)
