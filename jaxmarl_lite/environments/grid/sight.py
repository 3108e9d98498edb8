"""What agents on a grid see: square windows around them, kept as bits until they are shown.

A window of sight s has W = (2 s + 1)^2 cells, row by row, the agent in the middle; it is held as words of 32 bits, a
bit a cell. Setting a bit takes a few operations a pair, where comparing every cell with every thing takes W of them.
"""

import functools
import operator

import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Array

_BITS = 32

Words = list[Array]
"""uint32 [A, ...], as many as hold W bits"""


def window_size(sight: int) -> int:
    """Return W, the number of cells that an agent of this sight sees."""
    return (2 * sight + 1) ** 2


def things_seen(centre: Array, things: Array, present: Array, sight: int) -> Words:
    """Return where each of A agents sees any of B things; int32 [A, 2, ...], [B, 2, ...], bool [B, ...]."""
    width = 2 * sight + 1
    words: list[list[Array]] = [[] for _ in range(_num_words(sight))]
    for thing, is_there in zip(things, present, strict=True):
        row, column = thing[0] - centre[:, 0] + sight, thing[1] - centre[:, 1] + sight
        near = is_there & (row >= 0) & (row < width) & (column >= 0) & (column < width)
        cell = row * width + column
        for number, bits in enumerate(words):
            place = cell - _BITS * number
            is_here = near & (place >= 0) & (place < _BITS)
            bits.append(jnp.where(is_here, jnp.uint32(1) << place.astype(jnp.uint32), jnp.uint32(0)))
    return [functools.reduce(operator.or_, bits) for bits in words]


def walls_seen(centre: Array, walls: np.ndarray, sight: int) -> Words:
    """Return where each of A agents sees a wall or the outside; int32 [A, 2, ...], bool [rows, columns]."""
    rows, columns = walls.shape
    padded = np.pad(walls, sight, constant_values=True)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * sight + 1, 2 * sight + 1))
    bits = np.zeros((rows * columns, _num_words(sight) * _BITS), bool)
    bits[:, : window_size(sight)] = windows.reshape(rows * columns, -1)
    table = np.packbits(bits, axis=1, bitorder="little").view("<u4")
    cell = centre[:, 0] * columns + centre[:, 1]
    return [jnp.asarray(table[:, number])[cell] for number in range(table.shape[1])]


def shown(words: Words, sight: int) -> Array:
    """Return windows as numbers 0 and 1; float32 [A, W, ...]."""
    parts = []
    for number, word in enumerate(words):
        place = np.arange(min(_BITS, window_size(sight) - _BITS * number), dtype=np.uint32)
        place = place.reshape(1, -1, *(1,) * (word.ndim - 1))
        parts.append((word[:, None] >> place) & 1)
    return jnp.concatenate(parts, axis=1).astype(jnp.float32)


def _num_words(sight: int) -> int:
    return -(-window_size(sight) // _BITS)
