"""The multi-robot warehouse: robots bring requested shelves to the goals and take them back."""

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
from jaxmarl_lite.core.settings import require_choice, require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import along_last, when_any
from jaxmarl_lite.environments.grid.places import digit, pick
from jaxmarl_lite.environments.rware.layout import BLOCKS, Layout, Size, build
from jaxmarl_lite.environments.rware.sensors import sense
from jaxmarl_lite.environments.rware.shelves import NOTHING, NOWHERE, REQUESTED, SHELF, Change, changed, not_requested
from jaxmarl_lite.environments.rware.traffic import moves

Difficulty = Literal["easy", "normal", "hard"]
RewardKind = Literal["individual", "global", "two_stage"]

REQUESTS_PER_AGENT: dict[Difficulty, float] = {"easy": 2.0, "normal": 1.0, "hard": 0.5}
NONE, FORWARD, TURN_LEFT, TURN_RIGHT, TOGGLE = range(5)
UP, DOWN, LEFT, RIGHT = range(4)
# What each direction turns into.
TO_LEFT = (LEFT, RIGHT, DOWN, UP)
TO_RIGHT = (RIGHT, LEFT, UP, DOWN)


class WarehouseState(NamedTuple):
    """Where everything is; positions are (row, column), cells are numbered by rows."""

    agent_pos: Array
    """int32 [A, 2]"""
    agent_dir: Array
    """int32 [A]: 0 up, 1 down, 2 left, 3 right"""
    load: Array
    """int32 [A], what each robot carries: 0 nothing, 1 a shelf, 2 a requested shelf"""
    has_delivered: Array
    """bool [A], whether it has delivered and not put down a shelf since (reward two_stage)"""
    shelves: Array
    """int32 [H W], what stands in each cell, not on a robot: 0 nothing, 1 a shelf, 2 a requested shelf"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class Warehouse:
    """A robots fetch requested shelves in a warehouse (Papoudakis et al. 2021, arXiv:2006.07869).

    The semantics are those of Warehouse in the package rware 2.0.0 (its environments' suffix is v2), without messages.
    Actions are 0 none, 1 forward, 2 turn left, 3 turn right, 4 load or unload; all are always allowed. Robots drive
    below standing shelves, but not with a shelf. They load the shelf they stand under and put it down anywhere that
    shelves stood at first. Who goes where is told by `rware.traffic`.

    A shelf on one of the two goals that is requested is delivered: another one that is not requested, drawn at
    random, is requested instead, so their number stays the same. The reward is 1 for the robot that carries it
    (individual), 1 for everybody (global), or 0.5 for it and 0.5 more when it next puts a shelf down (two_stage).
    Episodes are truncated after `horizon` steps (done in the package) and never terminate. Robots begin in any
    different cells, facing anywhere; all shelves are at home. With a `slip`, which the package has not, an action
    sometimes does nothing.

    Observation of agent i; its K cells are those at most `sensor_range` rows and columns away, by rows:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own column and row | cell | [0, W) and [0, H) |
    | 2 | carries a shelf | - | 0 or 1 |
    | 3-6 | own direction: up, down, left, right | - | one-hot |
    | 7 | is where no shelf can be put down | - | 0 or 1 |
    | 7 numbers for each cell | a robot is there | - | 0 or 1 |
    | | its direction; up if there is none | - | one-hot of 4 |
    | | a shelf is there, standing or carried | - | 0 or 1 |
    | | it is requested | - | 0 or 1 |

    The global state is, for each robot, its column and row, direction (one-hot of 4), whether it carries a shelf,
    whether that is requested, and has_delivered; then for each home whether a shelf stands there, and then whether
    that is requested: 9 A + 2 K numbers for K homes (32 in tiny, 80 small, 144 medium, 224 large).

    A uniformly random policy gets a return, summed over robots, of 0.04 +- 0.01 in tiny with 2 robots and 0.14 +- 0.02
    with 4 (1,024 episodes each, 95 %). There is no greatest return: who delivers faster gets more.

    Raises SettingError on sizes that are not allowed, or numbers of requests or robots that there is no space for.
    """

    size: Size = struct.field(pytree_node=False, default="tiny")
    """rows and columns of blocks of shelves: tiny 1x3, small 2x3, medium 2x5, large 3x5"""
    num_agents: int = struct.field(pytree_node=False, default=2)
    """number of robots, A"""
    difficulty: Difficulty = struct.field(pytree_node=False, default="normal")
    """requested shelves for each robot: easy 2, normal 1, hard 1/2, rounded down"""
    reward: RewardKind = struct.field(pytree_node=False, default="individual")
    """who is rewarded for a delivery, and when"""
    sensor_range: int = struct.field(pytree_node=False, default=1)
    """cells that robots see in each direction"""
    shelf_rows: int | None = struct.field(pytree_node=False, default=None)
    """rows of blocks; None: by size"""
    shelf_columns: int | None = struct.field(pytree_node=False, default=None)
    """columns of blocks, an odd number; None: by size"""
    column_height: int = struct.field(pytree_node=False, default=8)
    """rows of shelves in a block"""
    num_requests: int | None = struct.field(pytree_node=False, default=None)
    """requested shelves; None: by difficulty"""
    slip: float = 0.0
    """probability that what a robot is told to do comes to nothing, in each step (a leaf)"""
    horizon: int = struct.field(pytree_node=False, default=500)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        require_choice("size", self.size, get_args(Size))
        require_choice("difficulty", self.difficulty, get_args(Difficulty))
        require_choice("reward", self.reward, get_args(RewardKind))
        for name in ("num_agents", "sensor_range", "column_height", "horizon"):
            require_int(name, getattr(self, name))
        by_default = (*BLOCKS[self.size], int(self.num_agents * REQUESTS_PER_AGENT[self.difficulty]))
        for name, value in zip(("shelf_rows", "shelf_columns", "num_requests"), by_default, strict=True):
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        require_int("shelf_rows", self.shelf_rows)
        require_int("shelf_columns", self.shelf_columns)
        if (self.shelf_columns or 0) % 2 == 0:
            raise SettingError(f"shelf_columns={self.shelf_columns} is not allowed: it must be an odd number.")
        shelves, cells = len(self.layout.homes), self.layout.is_home.size
        if shelves < 2:
            raise SettingError(f"a warehouse with {shelves} shelves is not allowed: there must be one to request next.")
        require_number("slip", self.slip, low=0.0, high=1.0)
        require_int("num_requests", self.num_requests, high=shelves - 1)
        require_int("num_agents", self.num_agents, high=cells)

    @property
    def spec(self) -> Spec:
        """The static description."""
        num = self.num_agents
        return Spec(
            agents=tuple(f"robot_{i}" for i in range(num)),
            obs_sizes=(8 + 7 * (2 * self.sensor_range + 1) ** 2,) * num,
            action_sizes=(5,) * num,
            state_size=9 * num + 2 * len(self.layout.homes),
            horizon=self.horizon,
        )

    @property
    def layout(self) -> Layout:
        """The map."""
        return build(self.shelf_rows or 0, self.shelf_columns or 0, self.column_height)

    def reset(self, key: Key) -> tuple[WarehouseState, TimeStep]:
        """Place robots and request shelves at random."""
        numbers = jax.random.uniform(key, (2 * self.num_agents + (self.num_requests or 0),))
        pos, facing, shelves = along_last(self._placed)(numbers)
        state = WarehouseState(
            agent_pos=pos,
            agent_dir=facing,
            load=jnp.zeros_like(facing),
            has_delivered=jnp.zeros_like(facing, bool),
            shelves=shelves,
            time=jnp.zeros((), jnp.int32),
        )
        return state, self.observe(state)

    def step(self, key: Key, state: WarehouseState, action: Array) -> tuple[WarehouseState, TimeStep]:
        """Move everybody at once, deliver, and draw new requests."""
        numbers = jax.random.uniform(key, (2 + self.num_agents,))
        return self.play(state, jnp.where(numbers[2:] < self.slip, NONE, action), numbers[:2])

    def play(self, state: WarehouseState, action: Array, numbers: Array) -> tuple[WarehouseState, TimeStep]:
        """Play a joint action as `step` does when nobody slips; the numbers, [2] in [0, 1), choose the new requests.

        There is one for what follows a delivery at each goal: times the number of shelves not requested and rounded
        down, it counts first those that stand, by rows, then those on robots, by index.
        """
        *fields, reward = along_last(self._played)(*state[:-1], action, numbers)
        state = WarehouseState(*fields, time=state.time + 1)
        return state, self.observe(state)._replace(reward=reward, truncated=state.time >= self.horizon)

    def observe(self, state: WarehouseState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num, layout = self.num_agents, self.layout
        see = functools.partial(sense, layout=layout, reach=self.sensor_range)
        facing = state.agent_dir[:, None] == jnp.arange(4)
        flags = jnp.stack([state.load > 0, state.load == REQUESTED, state.has_delivered], axis=1)
        robots = jnp.concatenate([state.agent_pos[:, ::-1], facing, flags], axis=1)
        at_home = state.shelves[layout.homes]
        return TimeStep(
            obs=along_last(see)(state.agent_pos, state.agent_dir, state.load, state.shelves),
            state=jnp.concatenate([robots.ravel(), at_home > 0, at_home == REQUESTED]).astype(jnp.float32),
            legal=jnp.ones((num, 5), bool),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: WarehouseState, step: TimeStep) -> None:
        """Draw robots as discs that face somewhere, shelves as squares (requested ones red), goals as dark cells."""
        from jaxmarl_lite.environments.rware.picture import draw

        draw(axes, state, self.layout)
        axes.set_title(f"step {int(state.time)}   reward {float(np.sum(step.reward)):+.2f}")

    def _placed(self, numbers: Array) -> tuple[Array, Array, Array]:
        """Return where robots are and face, and what stands in each cell, from 2 A + requests uniform numbers."""
        num, is_home = self.num_agents, self.layout.is_home
        batch = numbers.shape[1:]
        is_home = jnp.broadcast_to(is_home.reshape(*is_home.shape, *[1] * len(batch)), (*is_home.shape, *batch))
        pos, _ = _distinct(jnp.ones_like(is_home), numbers[:num])
        _, is_left = _distinct(is_home, numbers[2 * num :])
        shelves = jnp.where(is_home, jnp.where(is_left, SHELF, REQUESTED), NOTHING)
        return pos, digit(numbers[num : 2 * num], 4)[0], shelves.reshape(-1, *batch)

    def _played(
        self,
        pos: Array,
        facing: Array,
        load: Array,
        has_delivered: Array,
        shelves: Array,
        action: Array,
        numbers: Array,
    ) -> tuple[Array, ...]:
        """Return the fields of the next state but the time, and the rewards; all with any number of trailing axes."""
        pos, here = self._driven(pos, facing, load, shelves, action)
        facing = jnp.where(action == TURN_LEFT, _turned(facing, TO_LEFT), facing)
        facing = jnp.where(action == TURN_RIGHT, _turned(facing, TO_RIGHT), facing)
        load, put_down, changes = self._toggled(here, load, shelves, action == TOGGLE)
        reward = jnp.where(put_down & has_delivered, 0.5 if self.reward == "two_stage" else 0.0, 0.0)
        has_delivered &= ~put_down
        width = self.layout.is_home.shape[1]
        robot = len(shelves) + jnp.arange(len(load)).reshape(-1, *[1] * (load.ndim - 1))
        for goal, number in zip(self.layout.goals, numbers, strict=True):
            delivers = (pos[:, 0] * width + pos[:, 1] == goal) & (load == REQUESTED)
            reward += self._reward(delivers)
            has_delivered |= delivers
            chosen = self._requested(_any(delivers), shelves, changes, load, number)
            load = jnp.where(delivers, SHELF, jnp.where(robot == chosen, REQUESTED, load))
            changes.append((chosen, REQUESTED))
        return pos, facing, load, has_delivered, changed(shelves, changes, width), reward

    def _driven(self, pos: Array, facing: Array, load: Array, shelves: Array, action: Array) -> tuple[Array, Array]:
        """Return where robots are after driving, and the cells that they were in."""
        height, width = self.layout.is_home.shape
        down = (facing == DOWN).astype(jnp.int32) - (facing == UP)
        right = (facing == RIGHT).astype(jnp.int32) - (facing == LEFT)
        ahead = jnp.stack(
            [jnp.clip(pos[:, 0] + down, 0, height - 1), jnp.clip(pos[:, 1] + right, 0, width - 1)], axis=1
        )
        cell, target = (x[:, 0] * width + x[:, 1] for x in (pos, ahead))
        blocked = (load > 0) & (jnp.take_along_axis(shelves, target, axis=0) > 0)
        goes = moves(cell, jnp.where((action == FORWARD) & ~blocked, target, cell))
        return jnp.where(goes[:, None], ahead, pos), cell

    def _toggled(self, cell: Array, load: Array, shelves: Array, toggles: Array) -> tuple[Array, Array, list[Change]]:
        """Return loads, who has put down a shelf, and what changes among standing shelves."""
        is_home = jnp.asarray(self.layout.is_home.ravel())[cell]
        standing = jnp.take_along_axis(shelves, cell, axis=0)
        put_down = toggles & (load > 0) & is_home
        takes = toggles & (load == 0)
        changes = list(zip(jnp.where(put_down | takes, cell, NOWHERE), jnp.where(put_down, load, NOTHING), strict=True))
        return jnp.where(put_down, NOTHING, jnp.where(takes, standing, load)), put_down, changes

    def _requested(self, is_due: Array, shelves: Array, changes: list[Change], load: Array, number: Array) -> Array:
        """Return which shelf is requested instead of one that was delivered, as `not_requested` does, or nowhere."""
        homes = self.layout.homes
        rank, _ = digit(number, len(homes) - (self.num_requests or 0))
        nowhere = jnp.full_like(rank, NOWHERE)

        def search():
            return jnp.where(is_due, not_requested(rank, shelves, changes, load, homes), nowhere)

        # Deliveries are rare in small batches, and the search through all shelves is dear.
        return when_any(is_due, search, lambda: nowhere)

    def _reward(self, delivers: Array) -> Array:
        if self.reward == "global":
            return jnp.broadcast_to(_any(delivers).astype(jnp.float32), delivers.shape)
        return delivers * (0.5 if self.reward == "two_stage" else 1.0)


def _distinct(is_allowed: Array, numbers: Array) -> tuple[Array, Array]:
    """Return Q random different cells, (row, column) [Q, 2, ...], and which are left, bool [H, W, ...]."""
    height, width, *batch = is_allowed.shape
    rows, columns = jnp.indices((height, width)).reshape(2, height, width, *[1] * len(batch))

    def draw(is_left, number):
        row, column, _ = pick(is_left, number)
        return is_left & ((rows != row) | (columns != column)), jnp.stack([row, column])

    is_left, places = jax.lax.scan(draw, is_allowed, numbers)
    return places, is_left


# Reductions over few elements, written out: on a CPU a reduction over a tiny axis is a scalar loop.
def _turned(facing: Array, turns: tuple[int, ...]) -> Array:
    return functools.reduce(operator.add, (jnp.where(facing == before, after, 0) for before, after in enumerate(turns)))


def _any(flags: Iterable[Array]) -> Array:
    return functools.reduce(operator.or_, flags)
