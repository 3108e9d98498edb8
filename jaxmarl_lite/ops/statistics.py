"""Statistics in which elements may weigh nothing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Axis = int | tuple[int, ...] | None


def masked_mean(x: Array, weight: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Return the mean of x [...] over `axis`, weighted by `weight` of the same shape; 0 where all weights are 0."""
    x = jnp.where(weight > 0, x, 0.0)  # what weighs nothing may be anything, even NaN
    weight = weight.astype(x.dtype)
    total = jnp.sum(weight, axis, keepdims=keepdims)
    return jnp.sum(x * weight, axis, keepdims=keepdims) / jnp.maximum(total, 1e-8)


def masked_standardise(x: Array, weight: Array, axis: Axis = None) -> Array:
    """Return x [...] shifted and scaled to mean 0 and deviation 1 over `axis`, counting elements by `weight`."""
    mean = masked_mean(x, weight, axis, keepdims=True)
    variance = masked_mean(jnp.square(x - mean), weight, axis, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-8)


class Moments(NamedTuple):
    """Exponentially weighted first and second moments, with the weight seen so far to remove the bias of the start."""

    mean: Array
    square: Array
    weight: Array

    @staticmethod
    def start(shape: tuple[int, ...]) -> "Moments":
        """Return the moments of nothing yet: `deviation` is 1 and `centre` 0."""
        return Moments(*(jnp.zeros(shape) for _ in Moments._fields))

    def update(self, x: Array, weight: Array, axis: tuple[int, ...], decay: float) -> "Moments":
        """Take in x, weighted by `weight` and averaged over `axis`: m <- decay m + (1 - decay) mean(x).

        Where all of x weighs nothing, nothing changes.
        """
        seen = jnp.any(weight > 0, axis)
        rate = jnp.where(seen, 1.0 - decay, 0.0)
        batch = (masked_mean(x, weight, axis), masked_mean(jnp.square(x), weight, axis), jnp.ones(()))
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
