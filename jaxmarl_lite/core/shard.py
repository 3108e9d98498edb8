"""Sharing the environments of one learner among devices."""

from typing import NamedTuple

import jax
from jax.flatten_util import ravel_pytree

from jaxmarl_lite.core.env import Array, Tree

COPY = -1  # stands for the axis of environments in what has none: it is the same on every device


class Shard(NamedTuple):
    """The part of the environments that a device works on; by default all of them, on one device.

    Inside a `shard_map` over a mesh axis, every device runs the same program on its own environments, which are
    consecutive. What depends on all of them goes through `sum` or `max`.
    """

    axis: str | None = None
    """the mesh axis over which the environments are laid"""

    def first(self, num_local: int) -> Array | int:
        """Return the number of this device's first environment, if each device has `num_local`."""
        return 0 if self.axis is None else jax.lax.axis_index(self.axis) * num_local

    def part(self, num: int) -> int:
        """Return how many of `num` environments are this device's."""
        return num if self.axis is None else num // jax.lax.axis_size(self.axis)

    def sum(self, tree: Tree) -> Tree:
        """Add up float arrays over all devices, as one message."""
        if self.axis is None:
            return tree
        flat, restore = ravel_pytree(tree)
        return restore(jax.lax.psum(flat, self.axis))

    def max(self, x: Array) -> Array:
        """Return the greatest of an array over all devices, number by number."""
        return x if self.axis is None else jax.lax.pmax(x, self.axis)


WHOLE = Shard()
