"""Level-based foraging: agents gather food that several of them may have to load together."""

import functools
import operator
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_bool, require_choice, require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import along_last
from jaxmarl_lite.environments.grid.places import digit, distinct, in_order, inserted, pick
from jaxmarl_lite.environments.lbf.sight import LARGEST, seen

FoodRule = Literal["v3", "paper"]

NORTH, SOUTH, WEST, EAST, LOAD = range(1, 6)
FOOD_SPACING = 2  # no two foods are so near to one another (Manhattan distance), nor nearer


class ForagingState(NamedTuple):
    """Where everything is; positions are (row, column)."""

    agent_pos: Array
    """int32 [A, 2]"""
    agent_level: Array
    """int32 [A]"""
    food_pos: Array
    """int32 [F, 2], in the order of rows and, within a row, of columns"""
    food_level: Array
    """int32 [F], 0 of food that is gone"""
    food_total: Array
    """int32 [], sum of the levels with which the episode began"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class Foraging:
    """A agents of different levels load F pieces of food on a grid (Papoudakis et al. 2021, arXiv:2006.07869).

    The semantics are those of ForagingEnv in the package lbforaging 2.0.0 (its environments' suffix is v3). Actions
    are 0 none, 1 north (row - 1), 2 south, 3 west, 4 east, 5 load; one that cannot be done is none. All are allowed.
    An agent goes to a cell without food, unless another one wants to go to or to stay in it; then neither moves. An
    agent whose move fails is not looked at again, so that another can come to stand in its cell.

    Those who load next to a piece of food get it if the sum of their levels is at least its level; it vanishes, and
    each gets `own level x food level / (sum of the loaders' levels x food_total)`, so an episode in which all is
    loaded sums to 1 over agents. Otherwise each of them loses `penalty`. The episode terminates when no food is left
    (the package calls both ends done) and is truncated after `horizon` steps.

    Agents begin on any different cells, with levels from 1 to `max_level`. Food lies off the border, on no agent, and
    further than two steps (Manhattan) from other food; a piece that has no place is left out. With M the sum of the
    three lowest agents' levels, its level is M if `cooperative`, else uniform from 1 to M (rule v3), or from 1 to
    M - 1, or 1 if M is 1 (rule paper, that of lbforaging 1.1.1).

    Observation of agent i; a window reaches `sight` cells from the agent, and places are counted from its first row
    and column on the grid. As in the package, others are seen up to 2 `sight` rows and columns from there, which is
    further than food near the north and west borders:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 3 F numbers | row, column, level of each food in sight, by rows and columns | cell, cell, level | [-1, size) |
    | 3 numbers | own row, column and level | cell, cell, level | [0, size) |
    | 3 (A - 1) numbers | row, column, level of each other agent in sight, by index | cell, cell, level | [-1, size) |

    Rows of the list that are left over are (-1, -1, 0). The global state is row, column and level of all agents, then
    of all foods ((-1, -1, 0) where gone), then food_total: 3 (A + F) + 1 numbers.

    A uniformly random policy gets a return, summed over agents, of 0.207 +- 0.009 with the defaults, 0.004 +- 0.001 if
    cooperative, and 0.042 +- 0.002 on 15x15 with 3 agents and 5 foods (4,096 episodes each, 95 %). The greatest return
    is 1, by definition, if all food is loaded in time.

    Raises SettingError on sizes that are not allowed or more agents than the grid can hold.
    """

    rows: int = struct.field(pytree_node=False, default=8)
    """cells from north to south"""
    columns: int | None = struct.field(pytree_node=False, default=None)
    """cells from west to east; None: as many as rows"""
    num_agents: int = struct.field(pytree_node=False, default=2)
    """number of agents, A"""
    num_foods: int = struct.field(pytree_node=False, default=2)
    """number of pieces of food, F"""
    sight: int | None = struct.field(pytree_node=False, default=None)
    """cells that agents see in each direction; None: the whole grid"""
    cooperative: bool = struct.field(pytree_node=False, default=False)
    """give all food the greatest level (force_coop of the package)"""
    max_level: int = struct.field(pytree_node=False, default=2)
    """greatest level of an agent"""
    food_rule: FoodRule = struct.field(pytree_node=False, default="v3")
    """the greatest level of food: v3 includes the sum of the three lowest agents' levels, paper does not"""
    penalty: float = 0.0
    """what a failed attempt to load costs each who took part (a leaf)"""
    horizon: int = struct.field(pytree_node=False, default=50)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        require_int("rows", self.rows, low=3, high=LARGEST)
        if self.columns is None:
            object.__setattr__(self, "columns", self.rows)
        require_int("columns", self.columns, low=3, high=LARGEST)
        if self.sight is None:
            object.__setattr__(self, "sight", max(self._grid))
        require_int("sight", self.sight)
        require_int("num_agents", self.num_agents)
        require_int("num_foods", self.num_foods)
        require_int("max_level", self.max_level, high=LARGEST // 3)
        require_int("horizon", self.horizon)
        require_bool("cooperative", self.cooperative)
        require_choice("food_rule", self.food_rule, get_args(FoodRule))
        require_number("penalty", self.penalty, low=0.0)
        rows, columns = self._grid
        if self.num_agents >= rows * columns:
            raise SettingError(
                f"num_agents={self.num_agents} is not allowed: a grid of {rows}x{columns} must hold them and food."
            )

    @property
    def spec(self) -> Spec:
        """The static description."""
        num, size = self.num_agents, 3 * (self.num_agents + self.num_foods)
        return Spec(
            agents=tuple(f"agent_{i}" for i in range(num)),
            obs_sizes=(size,) * num,
            action_sizes=(6,) * num,
            state_size=size + 1,
            horizon=self.horizon,
        )

    def reset(self, key: Key) -> tuple[ForagingState, TimeStep]:
        """Place agents and food at random."""
        numbers = jax.random.uniform(key, (self.num_agents + self.num_foods,))
        state = ForagingState(*along_last(self._placed)(numbers), time=jnp.zeros((), jnp.int32))
        return state, self.observe(state)

    def step(self, key: Key, state: ForagingState, action: Array) -> tuple[ForagingState, TimeStep]:
        """Move everybody at once, then load."""
        del key
        pos = along_last(self._moved)(state.agent_pos, state.food_pos, state.food_level, action)
        shares, failures, food = along_last(self._loaded)(
            pos, state.agent_level, state.food_pos, state.food_level, state.food_total, action
        )
        state = state._replace(agent_pos=pos, food_level=food, time=state.time + 1)
        done = ~_any(food > 0)
        return state, self.observe(state)._replace(
            reward=shares - self.penalty * failures,
            terminated=jnp.full(self.num_agents, done),
            truncated=(state.time >= self.horizon) & ~done,
        )

    def observe(self, state: ForagingState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num, see = self.num_agents, functools.partial(seen, sight=self.sight or 0)
        agents = jnp.concatenate([state.agent_pos, state.agent_level[:, None]], axis=1)
        foods = jnp.concatenate([state.food_pos, state.food_level[:, None]], axis=1)
        foods = jnp.where((state.food_level > 0)[:, None], foods, jnp.asarray([-1, -1, 0]))
        everything = jnp.concatenate([agents.ravel(), foods.ravel(), state.food_total[None]])
        return TimeStep(
            obs=along_last(see)(state.agent_pos, state.agent_level, state.food_pos, state.food_level),
            state=everything.astype(jnp.float32),
            legal=jnp.ones((num, 6), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: ForagingState, step: TimeStep) -> None:
        """Draw agents as discs and food as dark squares, each with its level."""
        from matplotlib import patches

        rows, columns = self._grid
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), aspect="equal")
        axes.set_xticks(np.arange(columns + 1) - 0.5, labels=[])
        axes.set_yticks(np.arange(rows + 1) - 0.5, labels=[])
        axes.tick_params(length=0)
        axes.grid(color="0.88")
        text = {"ha": "center", "va": "center", "color": "white", "weight": "bold"}
        for (row, column), level in zip(np.asarray(state.food_pos), np.asarray(state.food_level), strict=True):
            if level > 0:
                box = patches.FancyBboxPatch(
                    (column - 0.25, row - 0.25), 0.5, 0.5, boxstyle="round,pad=0.1", color="0.35"
                )
                axes.add_patch(box)
                axes.annotate(str(level), (column, row), **text)
        for i, (row, column) in enumerate(np.asarray(state.agent_pos)):
            axes.add_patch(patches.Circle((column, row), 0.38, fc=f"C{i}", ec="0.2", gid=f"agent {i}"))
            axes.annotate(str(int(state.agent_level[i])), (column, row), **text)
        axes.set_title(f"step {int(state.time)}   reward {float(np.sum(step.reward)):+.2f}")

    @property
    def _grid(self) -> tuple[int, int]:
        return self.rows, self.columns or self.rows

    def _placed(self, numbers: Array) -> tuple[Array, ...]:
        """Return agents' and foods' places and levels, and the sum of the latter, from A + F uniform numbers."""
        rows, columns = self._grid
        ranks, rests = zip(
            *(digit(x, rows * columns - i) for i, x in enumerate(numbers[: self.num_agents])), strict=True
        )
        agents = [(cell // columns, cell % columns) for cell in distinct(list(ranks))]
        levels = [1 + digit(rest, self.max_level)[0] for rest in rests]
        high = self._greatest(levels)
        row = jnp.arange(rows).reshape(rows, *[1] * numbers.ndim)
        column = jnp.arange(columns).reshape(columns, *[1] * (numbers.ndim - 1))
        free = (row > 0) & (row < rows - 1) & (column > 0) & (column < columns - 1)
        free = functools.reduce(operator.and_, ((row != y) | (column != x) for y, x in agents), free)

        def place(free, number):
            # One number says both: first the level, then the place.
            level, number = digit(number, high)
            y, x, found = pick(free, number)
            free &= jnp.abs(row - y) + jnp.abs(column - x) > FOOD_SPACING
            return free, (y * columns + x, jnp.where(found, high if self.cooperative else level + 1, 0))

        # A loop, or XLA would work out the free cells again for each number that depends on them.
        _, (cells, food_levels) = jax.lax.scan(place, free, numbers[self.num_agents :])
        foods = in_order(list(cells), list(food_levels))
        food_pos = jnp.stack([jnp.stack([cell // columns, cell % columns]) for cell, _ in foods])
        agent_pos = jnp.stack([jnp.stack(pos) for pos in agents])
        return agent_pos, jnp.stack(levels), food_pos, jnp.stack([level for _, level in foods]), _sum(food_levels)

    def _greatest(self, levels: list[Array]) -> Array:
        """Return the greatest level that food may have."""
        lowest: list[Array] = []
        for level in levels:
            lowest = inserted(lowest, level)[:3]
        total = _sum(lowest)
        return total if self.cooperative or self.food_rule == "v3" else jnp.maximum(total - 1, 1)

    def _moved(self, pos: Array, food_pos: Array, food_level: Array, action: Array) -> Array:
        """Return where everybody is after moving; [A, 2, ...], [F, 2, ...], [F, ...], [A, ...] -> [A, 2, ...]."""
        north, south, west, east = ((action == move).astype(jnp.int32) for move in (NORTH, SOUTH, WEST, EAST))
        wanted = pos + jnp.stack([south - north, east - west], axis=1)
        row, column = wanted[:, 0], wanted[:, 1]
        free = (row >= 0) & (row < self._grid[0]) & (column >= 0) & (column < self._grid[1])
        for (y, x), level in zip(food_pos, food_level, strict=True):
            free &= (row != y) | (column != x) | (level == 0)
        wanted = jnp.where(free[:, None], wanted, pos)
        row, column = wanted[:, 0], wanted[:, 1]
        claims = _sum((row == y) & (column == x) for y, x in wanted)
        return jnp.where((claims == 1)[:, None], wanted, pos)

    def _loaded(
        self, pos: Array, level: Array, food_pos: Array, food_level: Array, total: Array, action: Array
    ) -> tuple[Array, Array, Array]:
        """Return agents' shares of the food, whether they failed to load some (both [A, ...]), and levels of food left.

        Food keeps its distance, so nobody stands next to two pieces.
        """
        shares, failures, left = jnp.zeros(level.shape), jnp.zeros(level.shape), []
        for (y, x), food in zip(food_pos, food_level, strict=True):
            beside = jnp.abs(pos[:, 0] - y) + jnp.abs(pos[:, 1] - x) == 1
            loads = beside & (action == LOAD) & (food > 0)
            strength = _sum(jnp.where(loads, level, 0))
            enough = strength >= food
            share = level * food / jnp.maximum(strength * total, 1)
            shares += jnp.where(loads & enough, share, 0.0)
            failures += loads & ~enough
            left.append(jnp.where(enough, 0, food))
        return shares, failures, jnp.stack(left)


# Reductions over few elements, written out: on a CPU a reduction over a tiny axis is a scalar loop.
def _sum(values: Iterable[Array]) -> Array:
    return functools.reduce(operator.add, (value.astype(jnp.int32) for value in values))


def _any(flags: Iterable[Array]) -> Array:
    return functools.reduce(operator.or_, flags)
