"""A game of two steps: a safe table that values which add up can tell, and a better one that they cannot."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_number
from jaxmarl_lite.core.spec import Spec

_FIRST, _SAFE, _RISKY = range(3)


class TwoStepState(NamedTuple):
    """Which table lies before the agents, and what was played there."""

    table: Array
    """int32 [], 0 at first, 1 the safe one, 2 the risky one"""
    cell: Array
    """int32 [2], the joint action there; -1 before it is over"""


@struct.dataclass(eq=False)
class TwoStep:
    """Two agents of two actions: the first agent chooses a table, then both choose a cell of it.

    In the first step action 0 of agent 0 leads to the safe table, 2A, and action 1 to the risky one, 2B; agent 1's does
    nothing, and nothing is paid. The second step pays `safe` or `risky[action of agent 0, action of agent 1]` and
    terminates the episode. The reward is common: both agents receive all of it (Rashid et al. 2018, arXiv:1803.11485,
    section 5). The best return is 8 for each agent, a uniformly random policy's 4.75, and the safe table's 7, at which
    teams end that learn a sum of values.

    Observation of each agent, and the global state:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0 | it is the first step | - | 0, 1 |
    | 1 | the table is the safe one | - | 0, 1 |
    | 2 | the table is the risky one | - | 0, 1 |

    Raises SettingError on a payoff that is not finite, or a risky table that is not 2 by 2.
    """

    safe: float = 7.0
    """what any joint action at the safe table pays"""
    risky: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 1.0), (1.0, 8.0))
    """what the risky table pays: rows are agent 0's actions"""

    def __post_init__(self) -> None:
        require_number("safe", self.safe)
        if isinstance(self.risky, list | tuple | np.ndarray):
            object.__setattr__(self, "risky", _checked(self.risky))

    @property
    def spec(self) -> Spec:
        """The static description."""
        return Spec(("agent_0", "agent_1"), (3, 3), (2, 2), state_size=3, horizon=2)

    def reset(self, key: Key) -> tuple[TwoStepState, TimeStep]:
        """Begin a game; nothing is random."""
        del key
        state = TwoStepState(jnp.full((), _FIRST, jnp.int32), jnp.full(2, -1, jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: TwoStepState, action: Array) -> tuple[TwoStepState, TimeStep]:
        """Choose a table, or a cell of it."""
        del key
        action = action.astype(jnp.int32)
        is_first = state.table == _FIRST
        risky = jnp.asarray(self.risky, jnp.float32)[action[0], action[1]]
        paid = jnp.where(is_first, 0.0, jnp.where(state.table == _SAFE, self.safe, risky))
        table = jnp.where(is_first, jnp.where(action[0] == 0, _SAFE, _RISKY), state.table)
        state = TwoStepState(table.astype(jnp.int32), jnp.where(is_first, -1, action))
        return state, self.observe(state)._replace(
            reward=jnp.full(2, paid, jnp.float32), terminated=jnp.full(2, ~is_first)
        )

    def observe(self, state: TwoStepState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        view = (jnp.arange(3) == state.table).astype(jnp.float32)
        return TimeStep(
            obs=jnp.stack([view, view]),
            state=view,
            legal=jnp.ones((2, 2), bool),
            active=jnp.ones(2, bool),
            reward=jnp.zeros(2),
            terminated=jnp.zeros(2, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: TwoStepState, step: TimeStep) -> None:
        """Draw the safe table beside the risky one, with the cell that was played."""
        del step
        tables = np.concatenate([np.full((2, 2), self.safe), np.asarray(self.risky)], axis=1)
        table, (row, column) = int(state.table), np.asarray(state.cell)
        axes.imshow(tables, cmap="RdYlGn", aspect="auto")
        axes.axvline(1.5, color="black")
        for place in np.ndindex(*tables.shape):
            chosen = place == (row, column + 2 * (table == _RISKY))
            text, box = f"{tables[place]:g}", {"facecolor": "white", "edgecolor": "black"} if chosen else None
            axes.text(*place[::-1], text, ha="center", va="center", weight="bold" if chosen else None, bbox=box)
        axes.set_xticks(range(4), labels=["safe: 0", "safe: 1", "risky: 0", "risky: 1"])
        axes.set_yticks(range(2))
        title = ("first step", "at the safe table", "at the risky table")[table]
        axes.set(xlabel="table: action of agent 1", ylabel="action of agent 0", title=title)


def _checked(table: Any) -> np.ndarray:
    try:
        given = np.asarray(table, np.float32)
    except (TypeError, ValueError):
        given = np.full((0, 0), np.nan, np.float32)
    if given.shape != (2, 2) or not np.isfinite(given).all():
        raise SettingError(f"risky={table!r} is not allowed: it must be two rows of two finite numbers.")
    return given
