"""Where the sequences of a batch begin: anywhere alike, or rather where errors were large."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.data.priority import Priorities
from jaxmarl_lite.data.replay import Replay

_LEAST_ERROR = 1e-6  # so that nothing is out of reach (Schaul et al. 2016, arXiv:1511.05952, section 3.3)


class Drawing(NamedTuple):
    """What is drawn: of the sequences of all environments a batch, to which each block of environments gives as many.

    So every device has an equal part of a batch, which does not depend on their number.
    """

    batch: int
    """sequences, B; a multiple of `num_envs`, or a divisor of it"""
    num_envs: int
    """environments, E"""
    length: int
    """steps of a sequence"""
    stride: int
    """sequences begin at multiples of so many steps"""
    capacity: int
    """steps of an environment that the ring holds"""

    @property
    def num_blocks(self) -> int:
        """Blocks of consecutive environments, n; a block is a single one if a batch is no less than all of them."""
        return min(self.batch, self.num_envs)

    @property
    def block(self) -> int:
        """Environments of a block."""
        return self.num_envs // self.num_blocks

    @property
    def begins(self) -> int:
        """Slots of an environment at which a sequence can begin."""
        return self.capacity // self.stride


class Ratings(NamedTuple):
    """Priorities of the sequences that begin at each slot; a block of environments draws by its own.

    A sequence that is not all there, or that would go on over the ring's head from the newest steps to the oldest, has
    priority 0.
    """

    priorities: Priorities
    """leaves [n, ...]; slots are numbered environment by environment"""
    greatest: Array
    """[n], the greatest priority so far"""

    @staticmethod
    def start(drawing: Drawing) -> "Ratings":
        """Return the ratings of an empty ring."""
        num_slots, blocks = drawing.block * drawing.begins, jnp.arange(drawing.num_blocks)
        return Ratings(jax.vmap(lambda _: Priorities.start(num_slots))(blocks), jnp.ones(drawing.num_blocks))

    def welcome(self, drawing: Drawing, replay: Replay, num_new: int) -> "Ratings":
        """Give sequences that end within the `num_new` newest steps the greatest priority so far (algorithm 1, line 6).

        Those that the new steps have overwritten, or that have yet to end, get none.
        """
        whole = math.ceil(drawing.length / drawing.stride)
        behind = jnp.arange(1, whole + num_new // drawing.stride)
        start = replay.filled - drawing.stride * behind
        # In a small ring two of them may be the same slot: then the one that is there counts, as the larger.
        is_there = (behind >= whole) & (start >= 0)
        env, start, is_there = (x.ravel() for x in jnp.broadcast_arrays(_column(drawing.block), start, is_there))
        priority = jnp.where(is_there, self.greatest[:, None], 0.0)
        slot = _slot(drawing, replay, env, start)
        return self._replace(priorities=jax.vmap(Priorities.update, (0, None, 0))(self.priorities, slot, priority))

    def rated(self, drawing: Drawing, replay: Replay, places: "Places", error: Array, alpha: Array) -> "Ratings":
        """Give sequences the priorities that follow from their errors [B], (|error| + a little)^alpha (eq. 1)."""
        blocks = len(self.greatest), -1
        priority = ((jnp.abs(error) + _LEAST_ERROR) ** alpha).reshape(blocks)
        slot = _slot(drawing, replay, places.env, places.start).reshape(blocks)
        changed = jax.vmap(Priorities.update)(self.priorities, slot, priority)
        return Ratings(changed, jnp.maximum(self.greatest, priority.max(-1)))


class Places(NamedTuple):
    """Where sequences of a batch begin, B of them."""

    env: Array
    """int32 [B], the number among a device's own environments"""
    start: Array
    """int32 [B], steps after the oldest"""
    weight: Array | None = None
    """[B], what each weighs in a loss; None: all alike"""


def draw(
    drawing: Drawing, replay: Replay, ratings: Ratings | None, key: Key, beta: Array | float, shard: Shard
) -> Places:
    """Return a device's part of a batch: by ratings, with weights that undo these as far as `beta` says, or uniform."""
    if ratings is None:
        return uniform_places(drawing, replay, key, shard)
    return rated_places(drawing, replay, ratings, key, beta, shard)


def uniform_places(drawing: Drawing, replay: Replay, key: Key, shard: Shard) -> Places:
    """Return a device's part of a batch in which every sequence is as likely as any other."""
    mine = shard.part(drawing.batch)
    numbers = shard.first(mine) + jnp.arange(mine)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
    which, when = jax.vmap(lambda key: jax.random.uniform(key, (2,)), out_axes=1)(keys)
    env = jnp.arange(mine) // (drawing.batch // drawing.num_blocks)
    env = drawing.block * env + _below(which, jnp.asarray(drawing.block))
    return Places(env, drawing.stride * _below(when, _num_whole(drawing, replay)))


def rated_places(
    drawing: Drawing, replay: Replay, ratings: Ratings, key: Key, beta: Array | float, shard: Shard
) -> Places:
    """Return a device's part of a batch in which sequences are as likely as their priority in their block is great.

    Weights are (M P)^-beta, where M is the number of sequences and P the probability, both of a block, divided by the
    greatest of the whole batch (Schaul et al. 2016, arXiv:1511.05952, section 3.4).
    """
    blocks, each = len(ratings.greatest), drawing.batch // drawing.num_blocks
    numbers = shard.first(blocks) + jnp.arange(blocks)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, numbers)
    slot, chance = jax.vmap(lambda own, key: own.sample(key, each))(ratings.priorities, keys)
    weight = (drawing.block * _num_whole(drawing, replay) * chance) ** -beta
    env = drawing.block * _column(blocks) + slot // drawing.begins
    start = (drawing.stride * (slot % drawing.begins) - replay.head + replay.filled) % drawing.capacity
    return Places(env.ravel(), start.ravel(), weight.ravel() / shard.max(weight.max()))


def _num_whole(drawing: Drawing, replay: Replay) -> Array:
    """Return how many sequences of an environment are there from the first to the last step."""
    return (replay.filled - drawing.length) // drawing.stride + 1


def _slot(drawing: Drawing, replay: Replay, env: Array, start: Array) -> Array:
    """Return the slots, among those of their blocks, of sequences that begin `start` steps after the oldest."""
    begin = (replay.head - replay.filled + start) % drawing.capacity
    return (env % drawing.block) * drawing.begins + begin // drawing.stride


def _column(length: int) -> Array:
    return jnp.arange(length)[:, None]


def _below(uniform: Array, bound: Array) -> Array:
    """Return whole numbers in [0, bound) from numbers in [0, 1), which `bound` times may round up to it."""
    return jnp.minimum((uniform * bound).astype(jnp.int32), bound - 1)
