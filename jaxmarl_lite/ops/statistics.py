"""Statistics in which elements may weigh nothing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Axis = int | tuple[int, ...] | None


class Sums(NamedTuple):
    """Weighted sums, from which means and deviations follow; those of parts add up to those of the whole."""

    weight: Array
    first: Array
    """of x"""
    second: Array
    """of x^2"""

    @staticmethod
    def of(x: Array, weight: Array, axis: Axis = None) -> "Sums":
        """Return the sums over `axis` of x [...], weighted by `weight` of the same shape."""
        x = jnp.where(weight > 0, x, 0.0)  # what weighs nothing may be anything, even NaN
        weight = weight.astype(x.dtype)
        return Sums(*(jnp.sum(term, axis) for term in (weight, weight * x, weight * jnp.square(x))))

    @property
    def mean(self) -> Array:
        """The mean; 0 where all weights are 0."""
        return self.first / jnp.maximum(self.weight, 1e-8)

    @property
    def mean_square(self) -> Array:
        """The mean of the squares; 0 where all weights are 0."""
        return self.second / jnp.maximum(self.weight, 1e-8)

    @property
    def variance(self) -> Array:
        """The variance; precise where the mean is not much larger than the deviation."""
        return jnp.maximum(self.mean_square - jnp.square(self.mean), 0.0)


class Moments(NamedTuple):
    """Exponentially weighted first and second moments, with the weight seen so far to remove the bias of the start."""

    mean: Array
    square: Array
    weight: Array

    @staticmethod
    def start(shape: tuple[int, ...]) -> "Moments":
        """Return the moments of nothing yet: `deviation` is 1 and `centre` 0."""
        return Moments(*(jnp.zeros(shape) for _ in Moments._fields))

    def update(self, sums: Sums, decay: float) -> "Moments":
        """Take in a batch by its sums: m <- decay m + (1 - decay) mean(x).

        Where all of it weighs nothing, nothing changes.
        """
        rate = jnp.where(sums.weight > 0, 1.0 - decay, 0.0)
        batch = (sums.mean, sums.mean_square, jnp.ones(()))
        return Moments(*(old + rate * (new - old) for old, new in zip(self, batch, strict=True)))

    @property
    def centre(self) -> Array:
        """The mean."""
        return self.mean / jnp.maximum(self.weight, 1e-8)

    @property
    def deviation(self) -> Array:
        """The standard deviation; 1 before anything was seen, and never below 0.001."""
        variance = self.square / jnp.maximum(self.weight, 1e-8) - jnp.square(self.centre)
        return jnp.where(self.weight > 0.0, jnp.sqrt(jnp.maximum(variance, 1e-6)), 1.0)

    def normalise(self, x: Array) -> Array:
        """Return (x - mean) / deviation; the statistics' shape is that of x's last axes."""
        return (x - self.centre) / self.deviation

    def restore(self, x: Array) -> Array:
        """Return the inverse of `normalise`."""
        return x * self.deviation + self.centre
