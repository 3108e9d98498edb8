"""A table in the place of a network."""

import jax.numpy as jnp
from flax import linen

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.errors import SettingError

MOST_ROWS = 2**20


class Table(linen.Module):
    """Numbers looked up by what is seen: [I, E, T, A] -> [outputs, E, T, A]; it remembers nothing and begins at 0.

    Each of the I numbers seen goes to the nearest of `bins` values evenly spaced from `low` to `high`, both included,
    and there is a row for each of the bins^I combinations, found by reading them as digits. So whatever takes no other
    values has a row of its own: 5 bins of [0, 1] tell apart the 5 rows and columns of a 5x5 grid and the zeros and ones
    of one-hots. A hash would take any observation, but let some of them share a row, and a value that is wrong where
    two collide is worse than being told that a network is needed.

    Raises SettingError if the rows would be more than MOST_ROWS.
    """

    outputs: int
    bins: int = 5
    low: float = 0.0
    high: float = 1.0

    def carry(self, num_envs: int, num_agents: int) -> tuple:
        """Return the memory at the start of an episode: none."""
        del num_envs, num_agents
        return ()

    @linen.compact
    def __call__(self, carry: tuple, x: Array, restart: Array, every: bool = False) -> tuple[tuple, Array]:
        """Return (carry, outputs) for inputs x."""
        del restart, every
        table = self.param("table", linen.initializers.zeros, (self._rows(len(x)), self.outputs))
        share = jnp.clip((x - self.low) / (self.high - self.low), 0.0, 1.0)
        digits = jnp.round(share * (self.bins - 1)).astype(jnp.int32)
        row = jnp.zeros(x.shape[1:], jnp.int32)
        for digit in digits:
            row = self.bins * row + digit
        return carry, jnp.moveaxis(table[row], -1, 0)

    def _rows(self, num_inputs: int) -> int:
        rows = self.bins**num_inputs
        if rows > MOST_ROWS:
            raise SettingError(
                f"bins={self.bins} is not allowed for observations of {num_inputs} numbers: the table would have "
                f"{rows:,} rows, and {MOST_ROWS:,} are allowed; use fewer bins, or a network."
            )
        return rows
