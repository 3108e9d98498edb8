"""A ring of steps in device memory, from which sequences are read again."""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree

Dtype = Literal["float32", "bfloat16", "float16", "uint8"]

_LEVELS = 255.0  # above the least, in a byte


class Replay(NamedTuple):
    """The last steps of E environments in the order of time, as a ring."""

    steps: Tree
    """leaves [capacity, E, ...]"""
    head: Array
    """int32 [], the slot of the step that comes next"""
    filled: Array
    """int32 [], slots that hold a step"""


class Storage(NamedTuple):
    """How floats are kept: in fewer bits if need be; a byte tells apart 256 values from the least to the greatest."""

    dtype: Dtype = "float32"
    least: float = 0.0
    greatest: float = 1.0

    def narrow(self, x: Array) -> Array:
        """Return floats [...] as they are stored."""
        if self.dtype != "uint8":
            return x.astype(self.dtype)
        share = (x - self.least) / (self.greatest - self.least)
        return jnp.round(_LEVELS * jnp.clip(share, 0.0, 1.0)).astype(jnp.uint8)

    def widen(self, x: Array) -> Array:
        """Return the floats [...] that are stored as x."""
        x = x.astype(jnp.float32)
        return x if self.dtype != "uint8" else self.least + x * ((self.greatest - self.least) / _LEVELS)


def empty(like: Tree, capacity: int) -> Replay:
    """Return a ring of `capacity` slots for steps such as these [T, E, ...], arrays or their shapes."""
    steps = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape[1:]), x.dtype), like)
    return Replay(steps, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def add(replay: Replay, steps: Tree) -> Replay:
    """Put T steps [T, E, ...] in the place of the oldest; T is the same every time, and divides the capacity.

    So a rollout never goes over the end, and is one copy of contiguous memory, in place.
    """
    length, capacity = (jax.tree.leaves(tree)[0].shape[0] for tree in (steps, replay.steps))
    assert capacity % length == 0, f"rollouts of {length} steps do not fill a ring of {capacity}"
    kept = jax.tree.map(
        lambda ring, new: jax.lax.dynamic_update_slice_in_dim(ring, new, replay.head, 0), replay.steps, steps
    )
    return Replay(kept, (replay.head + length) % capacity, jnp.minimum(replay.filled + length, capacity))


def slots(replay: Replay, start: Array, length: int) -> Array:
    """Return the slots of sequences that begin `start` [B] steps after the oldest, int32 [B, length]."""
    capacity = jax.tree.leaves(replay.steps)[0].shape[0]
    return (replay.head - replay.filled + start[:, None] + jnp.arange(length)) % capacity


def read(steps: Tree, slot: Array, env: Array) -> Tree:
    """Return the steps in slots [B, L] of environments [B]; leaves [capacity, E, ...] -> [B, L, ...]."""
    return jax.tree.map(lambda ring: ring[slot, env[:, None]], steps)


def cuts(is_cut: Array, most: int) -> tuple[Array, Array, Array]:
    """Return where the successors of steps are to be found, if those behind a cut, bool [B, L], are not the next steps.

    Of at most `most` such steps in each sequence before the last one, and always of the last one, successors stand
    behind the other steps. Returns (int32 [B, most + 1], the steps that these follow; int32 [B, L], the place of each
    step's successor in the row of steps 1 to L - 1 and these; bool [B, L], whether it is there).
    """
    num, length = is_cut.shape
    is_last = jnp.arange(length) == length - 1
    earlier = is_cut & ~is_last
    rank = jnp.cumsum(earlier, axis=1) - 1
    is_slot = earlier[:, None] & (rank[:, None] == jnp.arange(most)[:, None])
    last = jnp.full((num, 1), length - 1, jnp.int32)
    follows = jnp.concatenate([jnp.argmax(is_slot, axis=-1).astype(jnp.int32), last], axis=1)
    place = jnp.where(earlier, length - 1 + jnp.minimum(rank, most), jnp.arange(length))
    return follows, jnp.where(is_last, length - 1 + most, place), ~earlier | (rank < most)
