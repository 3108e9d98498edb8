"""What agents on a grid see: square windows around them, kept as bits until they are shown.

A window of sight s has W = (2 s + 1)^2 cells, row by row, the agent in the middle; it is held as V words of up to 32
bits, a bit a cell. Setting a bit takes a few operations a pair, where comparing every cell with every thing takes W.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array

_MOST_BITS = 32


def window_size(sight: int) -> int:
    """Return W, the number of cells that an agent of this sight sees."""
    return (2 * sight + 1) ** 2


def windows(centre: Array, kinds: Sequence[tuple[Array, Array]], sight: int, walls: np.ndarray | None = None) -> Array:
    """Return what each of A agents at `centre`, int32 [A, 2, ...], sees of each kind of things; uint32 [A, P, V, ...].

    A kind is positions, int32 [B, 2, ...], and whether these things are there, bool [B, ...]. With `walls`, bool [rows,
    columns], one more kind, the last, is walls and what is off the grid.
    """
    width = 2 * sight + 1
    num_words, num_bits = _words_and_bits(sight)
    trailing = (1,) * (centre.ndim - 2)
    first_bit = (num_bits * np.arange(num_words, dtype=np.int32)).reshape(1, 1, -1, *trailing)
    none = jnp.zeros((centre.shape[0], len(kinds), num_words, *centre.shape[2:]), jnp.uint32)
    words = none if walls is None else jnp.concatenate([none, _walls(centre, walls, sight)], axis=1)
    is_kind = np.repeat(np.arange(len(kinds)), [len(pos) for pos, _ in kinds])[:, None] == np.arange(words.shape[1])
    is_kind = jnp.asarray(is_kind.reshape(-1, 1, words.shape[1], 1, *trailing))
    things, present = (jnp.concatenate(parts) for parts in zip(*kinds, strict=True))

    def add(number: Array, words: Array) -> Array:
        row, column = (things[number, axis] - centre[:, axis] + sight for axis in range(2))
        near = present[number] & (row >= 0) & (row < width) & (column >= 0) & (column < width)
        bit = (row * width + column)[:, None, None] - first_bit
        is_set = near[:, None, None] & (bit >= 0) & (bit < num_bits) & is_kind[number]
        return words | jnp.where(is_set, jnp.uint32(1) << bit.astype(jnp.uint32), jnp.uint32(0))

    # A loop, as XLA would otherwise work out a word again for each of the numbers that are read from it.
    return jax.lax.fori_loop(0, len(things), add, words)


def shown(words: Array, sight: int, *first: Array) -> Array:
    """Return windows, uint32 [A, P, V, ...], as numbers 0 and 1, kind by kind, behind those of `first`, [A, K, ...].

    The result is float32 [A, K + P W, ...].
    """
    num_bits, size = _words_and_bits(sight)[1], window_size(sight)

    def of_agent(seen: tuple[Array, ...]) -> Array:
        *first, words = seen
        kinds, num_words, *trailing = words.shape
        place = np.arange(num_bits, dtype=np.uint32).reshape(-1, *(1,) * len(trailing))
        cells = ((words[:, :, None] >> place) & 1).reshape(kinds, num_words * num_bits, *trailing)
        return jnp.concatenate([*first, cells[:, :size].reshape(kinds * size, *trailing).astype(jnp.float32)])

    # A loop, as XLA would otherwise find the numbers in the order in which they are read, one at a time.
    return jax.lax.map(of_agent, (*first, words))


def _walls(centre: Array, walls: np.ndarray, sight: int) -> Array:
    rows, columns = walls.shape
    num_words, num_bits = _words_and_bits(sight)
    around = np.lib.stride_tricks.sliding_window_view(
        np.pad(walls, sight, constant_values=True), (2 * sight + 1, 2 * sight + 1)
    )
    bits = np.zeros((rows * columns, num_words * num_bits), np.uint64)
    bits[:, : window_size(sight)] = around.reshape(rows * columns, -1)
    table = (bits.reshape(-1, num_words, num_bits) << np.arange(num_bits, dtype=np.uint64)).sum(-1)
    cell = centre[:, 0] * columns + centre[:, 1]
    return jnp.stack([jnp.asarray(table[:, word], jnp.uint32)[cell] for word in range(num_words)], axis=1)[:, None]


def _words_and_bits(sight: int) -> tuple[int, int]:
    """Return V, and how many bits of each word are used: as many in all, or hardly more than the window has cells."""
    size = window_size(sight)
    num_words = -(-size // _MOST_BITS)
    return num_words, -(-size // num_words)
