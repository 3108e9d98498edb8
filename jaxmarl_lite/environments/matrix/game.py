"""Repeated normal-form games of any number of players and actions."""

import functools
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_choice, require_int
from jaxmarl_lite.core.spec import Spec

Observation = Literal["constant", "last_action"]


class MatrixState(NamedTuple):
    """A repeated game between two rounds."""

    last_action: Array
    """int32 [A], the joint action of the round before; -1 at the start"""
    time: Array
    """int32 [], rounds played"""


@struct.dataclass(eq=False)
class MatrixGame:
    """A normal-form game, repeated `horizon` times and then truncated.

    All players choose at once and each receives `payoff[player, action_0, ..., action_{A-1}]`. With
    `observation="last_action"` they see the joint action of the round before, which makes games with memory (iterated
    prisoner's dilemma) the same class. Nothing tells the round, so the value of a state is that of playing on.

    Observation of each agent, and the global state:

    | observation | index | meaning | unit | range |
    | --- | --- | --- | --- | --- |
    | "constant" | 0 | always one | - | 1 |
    | "last_action" | N_i numbers for each player i, in order | its last action, one-hot; zeros at first | - | 0, 1 |

    Raises SettingError on a payoff that is not one finite number per player and joint action.
    """

    payoff: Any
    """float32 [A, N_0, ..., N_{A-1}] (a leaf): what each player receives for each joint action"""
    horizon: int = struct.field(pytree_node=False, default=25)
    """rounds of an episode"""
    observation: Observation = struct.field(pytree_node=False, default="constant")
    """what the players see"""

    def __post_init__(self) -> None:
        require_int("horizon", self.horizon)
        require_choice("observation", self.observation, get_args(Observation))
        if isinstance(self.payoff, list | tuple | np.ndarray):
            object.__setattr__(self, "payoff", _checked_payoff(self.payoff))

    @property
    def spec(self) -> Spec:
        """The static description, read off the payoff's shape."""
        num_agents, *action_sizes = self.payoff.shape
        size = 1 if self.observation == "constant" else sum(action_sizes)
        return Spec(
            agents=tuple(f"player_{i}" for i in range(num_agents)),
            obs_sizes=(size,) * num_agents,
            action_sizes=tuple(action_sizes),
            state_size=size,
            horizon=self.horizon,
        )

    def reset(self, key: Key) -> tuple[MatrixState, TimeStep]:
        """Begin a game; nothing is random."""
        del key
        num_agents = self.spec.num_agents
        state = MatrixState(jnp.full(num_agents, -1, jnp.int32), jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: MatrixState, action: Array) -> tuple[MatrixState, TimeStep]:
        """Play one round."""
        del key
        state = MatrixState(action.astype(jnp.int32), state.time + 1)
        payoff = jnp.asarray(self.payoff, jnp.float32)
        reward = payoff[(slice(None), *action)]
        return state, self.observe(state)._replace(reward=reward, truncated=state.time >= self.horizon)

    def draw(self, axes: Any, state: MatrixState, step: TimeStep) -> None:
        """Draw the payoff table of the first two players with the cell that was played."""
        del step
        table = np.asarray(self.payoff)
        action = np.asarray(state.last_action)
        table = table[(slice(None), slice(None), slice(None), *np.maximum(action[2:], 0))]
        shared = table[:2].mean(0)
        shade = shared if np.ptp(shared) > 0.0 else table[0]  # of a zero-sum game the first player's
        axes.imshow(shade, cmap="RdYlGn", aspect="auto")
        for row, column in np.ndindex(*table.shape[1:]):
            chosen = (row, column) == tuple(action[:2])
            text = ", ".join(f"{value + 0.0:g}" for value in table[:, row, column])
            box = {"facecolor": "white", "edgecolor": "black"} if chosen else None
            axes.text(column, row, text, ha="center", va="center", weight="bold" if chosen else None, bbox=box)
        axes.set(xlabel="action of player 1", ylabel="action of player 0", title=f"round {int(state.time)}")
        axes.set_xticks(range(table.shape[2]))
        axes.set_yticks(range(table.shape[1]))

    def observe(self, state: MatrixState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        spec = self.spec
        if self.observation == "constant":
            view = jnp.ones(1)
        else:
            view = jnp.concatenate(
                [jax.nn.one_hot(state.last_action[i], size) for i, size in enumerate(spec.action_sizes)]
            )
        return TimeStep(
            obs=jnp.stack([view] * spec.num_agents),
            state=view,
            legal=jnp.asarray(_legal(spec.action_sizes)),
            active=jnp.ones(spec.num_agents, bool),
            reward=jnp.zeros(spec.num_agents),
            terminated=jnp.zeros(spec.num_agents, bool),
            truncated=jnp.zeros((), bool),
        )


@functools.cache
def _legal(action_sizes: tuple[int, ...]) -> np.ndarray:
    return np.arange(max(action_sizes)) < np.asarray(action_sizes)[:, None]


def _checked_payoff(payoff: Any) -> np.ndarray:
    allowed = "a finite number for each player and joint action, of shape [A, N_0, ..., N_(A-1)]"
    try:
        table = np.asarray(payoff, np.float32)
    except (TypeError, ValueError):
        raise SettingError(f"payoff={payoff!r} is not allowed: it must be {allowed}.") from None
    if table.ndim < 2 or table.ndim != table.shape[0] + 1 or 0 in table.shape:
        raise SettingError(f"payoff of shape {list(table.shape)} is not allowed: it must be {allowed}.")
    if not np.isfinite(table).all():
        raise SettingError(f"payoff={table.tolist()} is not allowed: it must be {allowed}.")
    return table
