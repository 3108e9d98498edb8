"""Team navigation on a grid: every agent must stand on its own goal at the same time."""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_bool, require_int
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import along_last
from jaxmarl_lite.environments.grid import world
from jaxmarl_lite.environments.grid.pay import TeamPay


class NavigationState(NamedTuple):
    """Where the agents and their goals are; positions are (row, column)."""

    agent_pos: Array
    """int32 [A, 2]"""
    goal_pos: Array
    """int32 [A, 2]"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class Navigation(TeamPay):
    """A agents on a grid of cells walk to their goals, one shared reward, without bumping.

    Actions are 0 up, 1 down, 2 left, 3 right, and 4 stay if `stay`. An agent on its goal does not move. A move off the
    grid or into a wall leaves it in place and is a bump. Agents whose moves would end on one cell all go back, over
    and over until no two share a cell, which is one bump. The reward of everybody is `goal_reward` when all are on
    their goals, which terminates the episode, else - `step_cost` - `distance_cost` (sum of Manhattan distances to the
    goals) - `bump_cost` (number of bumps). It is truncated after `horizon` steps.

    By default the agents start evenly spaced round the border, anticlockwise from the top left corner, and each goal
    lies a quarter of the way further round: for two agents on 5x5, starts (0, 0) and (4, 4), goals (4, 0) and (0, 4).
    There the best return is 8.65 per agent, in 4 steps.

    Observation of agent i:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own row and column | grid side - 1 | [0, 1] |
    | 2 (A - 1) numbers | each other agent's row and column, by index | grid side - 1 | [0, 1] |
    | 2 numbers | own goal's row and column | grid side - 1 | [0, 1] |

    The global state is all agents' positions, then all goals, in the same unit: 4 A numbers. Walls are not observed.

    Raises SettingError on a world that cannot be: places off the grid, in a wall or shared, or too few free cells.
    """

    num_agents: int = struct.field(pytree_node=False, default=2)
    """number of agents, A"""
    size: int = struct.field(pytree_node=False, default=5)
    """cells along each side"""
    random_starts: bool = struct.field(pytree_node=False, default=False)
    """draw the starts anew in every episode"""
    random_goals: bool = struct.field(pytree_node=False, default=False)
    """draw the goals anew in every episode"""
    starts: tuple[tuple[int, int], ...] | None = struct.field(pytree_node=False, default=None)
    """(row, column) where each agent starts; None: round the border"""
    goals: tuple[tuple[int, int], ...] | None = struct.field(pytree_node=False, default=None)
    """(row, column) of each agent's goal; None: round the border"""
    walls: tuple[str, ...] | None = struct.field(pytree_node=False, default=None)
    """a map, a string for each row, in which # is a wall; None: no walls"""
    stay: bool = struct.field(pytree_node=False, default=False)
    """add action 4, which moves nowhere and costs nothing"""
    horizon: int = struct.field(pytree_node=False, default=100)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("num_agents", self.num_agents)
        require_int("size", self.size, low=2)
        require_int("horizon", self.horizon)
        for name in ("random_starts", "random_goals", "stay"):
            require_bool(name, getattr(self, name))
        if self.walls is not None:
            object.__setattr__(self, "walls", world.checked_walls(self.walls, self.size))
        self._place("starts", self.random_starts, quarter_turns=0)
        self._place("goals", self.random_goals, quarter_turns=1)
        if self.starts is not None and self.starts == self.goals:
            raise SettingError(f"starts={self.starts!r} is not allowed: every agent would begin on its goal.")
        free = len(world.free_cells(self._walls))
        needed = self.num_agents * (self.random_starts + self.random_goals)
        fixed = set(self.starts or ()) | set(self.goals or ())
        if needed > free - len(fixed):
            raise SettingError(
                f"num_agents={self.num_agents} is not allowed: the {free} free cells of this "
                f"{self.size}x{self.size} grid must hold every start and every goal."
            )

    @property
    def spec(self) -> Spec:
        """The static description."""
        num = self.num_agents
        return Spec(
            agents=tuple(f"agent_{i}" for i in range(num)),
            obs_sizes=(2 * num + 2,) * num,
            action_sizes=(4 + self.stay,) * num,
            state_size=4 * num,
            horizon=self.horizon,
        )

    def reset(self, key: Key) -> tuple[NavigationState, TimeStep]:
        """Begin an episode; all random starts and goals lie on different free cells."""
        num = self.num_agents
        cells = world.free_cells(self._walls, (*(self.starts or ()), *(self.goals or ())))
        drawn = num * (self.random_starts + self.random_goals)
        if drawn:
            chosen = jnp.asarray(cells, jnp.int32)[world.draw_distinct(key, len(cells), drawn)]
        starts = chosen[:num] if self.random_starts else jnp.asarray(self.starts, jnp.int32)
        goals = chosen[-num:] if self.random_goals else jnp.asarray(self.goals, jnp.int32)
        state = NavigationState(starts, goals, jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: NavigationState, action: Array) -> tuple[NavigationState, TimeStep]:
        """Move everybody at once."""
        del key
        pos, distance, bumps = along_last(self._move)(state.agent_pos, state.goal_pos, action)
        state = NavigationState(pos, state.goal_pos, state.time + 1)
        return state, self.paid(self.observe(state), distance, bumps, state.time >= self.horizon)

    def observe(self, state: NavigationState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num, unit = self.num_agents, self.size - 1
        pos, goal = state.agent_pos / unit, state.goal_pos / unit
        rows = [jnp.concatenate([pos[i], *(pos[j] for j in range(num) if j != i), goal[i]]) for i in range(num)]
        return TimeStep(
            obs=jnp.stack(rows),
            state=jnp.concatenate([pos.ravel(), goal.ravel()]),
            legal=jnp.ones((num, 4 + self.stay), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: NavigationState, step: TimeStep) -> None:
        """Draw walls as black cells, goals as squares and agents as discs of the same colour."""
        from matplotlib import patches

        world.draw_grid(axes, self._walls)
        for i in range(self.num_agents):
            row, column = np.asarray(state.goal_pos)[i]
            square = patches.Rectangle((column - 0.4, row - 0.4), 0.8, 0.8, fill=False, lw=3, ec=f"C{i}")
            axes.add_patch(square)
            world.draw_disc(axes, np.asarray(state.agent_pos)[i], f"C{i}", str(i))
        axes.set_title(f"step {int(state.time)}   reward {float(np.asarray(step.reward)[0]):+.2f}")

    def _move(self, before: Array, goal: Array, action: Array) -> tuple[Array, Array, Array]:
        """Return positions, the sum of distances to the goals, and the number of bumps; [A, 2, ...] -> also [...]."""
        arrived = (before[:, 0] == goal[:, 0]) & (before[:, 1] == goal[:, 1])
        move = jnp.where(arrived[:, None], 0, world.displacement(action))
        pos, bumps = world.move_together(before, move, self._walls)
        return pos, world.total_of(jnp.abs(pos - goal).reshape(-1, *pos.shape[2:])), bumps

    def _place(self, name: str, is_random: bool, quarter_turns: int) -> None:
        given = getattr(self, name)
        if is_random:
            if given is not None:
                raise SettingError(f"{name}={given!r} is not allowed together with random_{name}: give one of them.")
            return
        if given is None:
            given = _round_the_border(self.num_agents, self.size, quarter_turns, name)
        object.__setattr__(self, name, _checked_places(name, given, self.num_agents, world.free_cells(self._walls)))

    @property
    def _walls(self) -> np.ndarray:
        return world.wall_map(self.walls, self.size)


def _round_the_border(num: int, size: int, quarter_turns: int, name: str) -> tuple[tuple[int, int], ...]:
    side = size - 1
    if num > 4 * side:
        raise SettingError(
            f"num_agents={num} is not allowed round the border of a {size}x{size} grid: at most {4 * side}, "
            f"or give {name} or random_{name}."
        )
    ring = [(i, 0) for i in range(side)] + [(side, i) for i in range(side)]
    ring += [(side - i, side) for i in range(side)] + [(0, side - i) for i in range(side)]
    return tuple(ring[(len(ring) * i // num + quarter_turns * side) % len(ring)] for i in range(num))


def _checked_places(
    name: str, given: Sequence[Sequence[int]], num: int, free: list[tuple[int, int]]
) -> tuple[tuple[int, int], ...]:
    try:
        places = tuple((operator.index(row), operator.index(column)) for row, column in given)
    except (TypeError, ValueError):
        places = ()
    if len(places) != num or len(set(places)) != num or not set(places) <= set(free):
        raise SettingError(
            f"{name}={given!r} is not allowed: it must be {num} different (row, column) cells on the grid and "
            "not in a wall."
        )
    return places
