"""In what units rewards are learnt from and values are learnt."""

from typing import NamedTuple

import jax.numpy as jnp

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.learners.replay_settings import ReplaySettings
from jaxmarl_lite.ops.statistics import Moments


class Told(NamedTuple):
    """Running statistics of what is learnt from, [A], or [1] if it is the team's."""

    reward: Moments
    terminated: Moments


class Units(NamedTuple):
    """What rewards are learnt as, and what networks give values in; [A], or [1] if they are the team's."""

    shift: Array
    """rewards are learnt less this,"""
    scale: Array
    """and divided by this"""
    centre: Array
    deviation: Array
    """of values, in units of rewards as they are learnt"""

    @staticmethod
    def start(shape: tuple[int, ...]) -> "Units":
        """Return those of what has not learnt anything: rewards and values as they are."""
        return Units(*(make(shape) for make in (jnp.zeros, jnp.ones) * 2))

    def reward(self, x: Array) -> Array:
        """Return rewards as they are learnt."""
        return (x - self.shift) / self.scale

    def normalise(self, x: Array) -> Array:
        """Return values as networks give them."""
        return (x - self.centre) / self.deviation

    def restore(self, x: Array) -> Array:
        """Return the inverse of `normalise`."""
        return x * self.deviation + self.centre


def units_of(settings: ReplaySettings, told: Told, gamma: Array) -> Units:
    """Return the units that follow from running statistics.

    The centre is the value v = mean(r) + gamma (1 - mean(terminated)) v that a single number would learn, and the
    deviation that of a discounted sum of its errors r + gamma (1 - terminated) v - v, as if these were independent.
    They follow from rewards alone: statistics of targets, which follow from values, would feed back on themselves
    through the target network, and swing.
    """
    mean, deviation = told.reward.centre, told.reward.deviation
    nothing, one = jnp.zeros_like(mean), jnp.ones_like(mean)
    known = {"plain": (nothing, one), "scaled": (nothing, deviation), "standardised": (mean, deviation)}
    shift, scale = known[settings.rewards]
    if not settings.normalise_values:
        return Units(shift, scale, nothing, one)
    ends = told.terminated.centre
    discount = jnp.minimum(gamma * (1.0 - ends), 0.999)
    centre = (mean - shift) / scale / (1.0 - discount)
    variance = jnp.square(deviation / scale) + jnp.square(gamma * centre) * ends * (1.0 - ends)
    return Units(shift, scale, centre, jnp.sqrt(variance / (1.0 - jnp.square(discount))))
