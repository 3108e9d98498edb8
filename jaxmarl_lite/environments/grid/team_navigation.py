"""Team navigation with partial sight: the agents must cover all goals, whoever stands on which."""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import along_last
from jaxmarl_lite.environments.grid import sight, world
from jaxmarl_lite.environments.grid.pay import TeamPay

FOUR_ROOMS = ("...#...", ".......", "...#...", "#.###.#", "...#...", ".......", "...#...")


class CoverState(NamedTuple):
    """Where the agents and the goals are; positions are (row, column)."""

    agent_pos: Array
    """int32 [A, 2]"""
    goal_pos: Array
    """int32 [A, 2]"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class TeamNavigation(TeamPay):
    """A agents among walls look for A goals and cover them all, one shared reward, without bumping.

    It is grid/navigation with goals that belong to nobody. Actions are 0 up, 1 down, 2 left, 3 right, 4 stay, and
    moves, walls and bumps are those there, but that agents on goals move on as they like. The reward of everybody is
    `goal_reward` when there is an agent on every goal, which terminates the episode, else - `step_cost` -
    `distance_cost` (sum over goals of the Manhattan distance to the nearest agent, through walls) - `bump_cost`
    (number of bumps). It is truncated after `horizon` steps. Agents
    and goals begin in different free cells, all drawn anew in every episode; by default of four rooms with a door
    between neighbours.

    Returns of each agent by default, means of 20,000 episodes with standard errors below 0.2: uniformly random play
    -124.9, and 6.0, in 7.3 steps, for agents that know the map and all goals, and walk the shortest ways of the best
    assignment (one step in fifty at random, to get past one another).

    Observation of agent i, of sight s: its place, and three windows of (2 s + 1)^2 cells around it, row by row:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own row and column | grid side - 1 | [0, 1] |
    | (2 s + 1)^2 numbers | an agent is there; in the middle, itself | - | 0 or 1 |
    | (2 s + 1)^2 numbers | a goal is there | - | 0 or 1 |
    | (2 s + 1)^2 numbers | a wall is there, or nothing, as it is off the grid | - | 0 or 1 |

    Walls hide nothing. The global state is all agents' positions, then all goals, in the unit of positions: 4 A
    numbers.

    Raises SettingError on a map that is none, or has too few free cells.
    """

    num_agents: int = struct.field(pytree_node=False, default=3)
    """number of agents and of goals, A"""
    size: int = struct.field(pytree_node=False, default=7)
    """cells along each side"""
    walls: tuple[str, ...] | None = struct.field(pytree_node=False, default=FOUR_ROOMS)
    """a map, a string for each row, in which # is a wall; None: no walls"""
    sight: int = struct.field(pytree_node=False, default=2)
    """how many cells an agent sees in each direction"""
    horizon: int = struct.field(pytree_node=False, default=100)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in (("num_agents", 1), ("size", 2), ("sight", 1), ("horizon", 1)):
            require_int(name, getattr(self, name), low=low)
        if self.walls is not None:
            object.__setattr__(self, "walls", world.checked_walls(self.walls, self.size))
        free = len(world.free_cells(self._walls))
        if 2 * self.num_agents > free:
            raise SettingError(
                f"num_agents={self.num_agents} is not allowed: the {free} free cells of this "
                f"{self.size}x{self.size} grid must hold every agent and every goal."
            )

    @property
    def spec(self) -> Spec:
        """The static description."""
        num = self.num_agents
        return Spec(
            agents=tuple(f"agent_{i}" for i in range(num)),
            obs_sizes=(2 + 3 * sight.window_size(self.sight),) * num,
            action_sizes=(world.NUM_MOVES + 1,) * num,
            state_size=4 * num,
            horizon=self.horizon,
        )

    def reset(self, key: Key) -> tuple[CoverState, TimeStep]:
        """Put agents and goals on different free cells."""
        num = self.num_agents
        cells = world.free_cells(self._walls)
        chosen = jnp.asarray(cells, jnp.int32)[world.draw_distinct(key, len(cells), 2 * num)]
        state = CoverState(chosen[:num], chosen[num:], jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: CoverState, action: Array) -> tuple[CoverState, TimeStep]:
        """Move everybody at once."""
        del key
        pos, distance, bumps = along_last(self._move)(state.agent_pos, state.goal_pos, action)
        state = CoverState(pos, state.goal_pos, state.time + 1)
        return state, self.paid(self.observe(state), distance, bumps, state.time >= self.horizon)

    def observe(self, state: CoverState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num = self.num_agents
        obs, view = along_last(self._look)(state.agent_pos, state.goal_pos)
        return TimeStep(
            obs=obs,
            state=view,
            legal=jnp.ones((num, world.NUM_MOVES + 1), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: CoverState, step: TimeStep) -> None:
        """Draw walls as black cells, goals as squares, green if covered, and agents as discs in what they see."""
        from matplotlib import patches

        world.draw_grid(axes, self._walls)
        width = 2 * self.sight + 1
        pos = np.asarray(state.agent_pos)
        for row, column in np.asarray(state.goal_pos):
            covered = (pos == (row, column)).all(1).any()
            colour = "C2" if covered else "C3"
            axes.add_patch(patches.Rectangle((column - 0.4, row - 0.4), 0.8, 0.8, fill=False, lw=3, ec=colour))
        for i, (row, column) in enumerate(pos):
            corner = (column - width / 2, row - width / 2)
            axes.add_patch(patches.Rectangle(corner, width, width, fc=f"C{i % 10}", alpha=0.12, zorder=1))
            world.draw_disc(axes, (row, column), f"C{i % 10}", str(i))
        axes.set_title(f"step {int(state.time)}   reward {float(np.asarray(step.reward)[0]):+.2f}")

    def _move(self, before: Array, goals: Array, action: Array) -> tuple[Array, Array, Array]:
        """Return positions, the sum of the goals' distances to the nearest agent, and bumps; [A, 2, ...] -> [...]."""
        pos, bumps = world.move_together(before, world.displacement(action), self._walls)
        apart = [jnp.abs(goals[:, 0] - row) + jnp.abs(goals[:, 1] - column) for row, column in pos]
        return pos, world.total_of(functools.reduce(jnp.minimum, apart)), bumps

    def _look(self, agent_pos: Array, goal_pos: Array) -> tuple[Array, Array]:
        """Return observations [A, O, ...] and the global state [S, ...]."""
        there = jnp.ones(agent_pos[:, 0].shape, bool)
        seen = sight.windows(agent_pos, [(agent_pos, there), (goal_pos, there)], self.sight, self._walls)
        pos, goals = agent_pos / (self.size - 1), goal_pos / (self.size - 1)
        state = jnp.concatenate([pos, goals]).reshape(-1, *pos.shape[2:])
        return sight.shown(seen, self.sight, pos), state

    @property
    def _walls(self) -> np.ndarray:
        return world.wall_map(self.walls, self.size)
