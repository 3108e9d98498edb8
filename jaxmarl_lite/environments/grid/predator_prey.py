"""Predators hunt prey on a grid, and must catch them in twos."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_bool, require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import along_last
from jaxmarl_lite.environments.grid import sight, world

STAY, CATCH = 4, 5
NUM_ACTIONS = 6
GONE = -1  # the cell of who is not on the grid
# A number below 12 chooses evenly among 1, 2, 3 or 4 cells; 32 random bits hold four of them, even to 5e-6.
_CHOICES = 12
_PREY_PER_WORD = 4


class HuntState(NamedTuple):
    """Who is where; positions are (row, column), and those of who has left the grid mean nothing."""

    agent_pos: Array
    """int32 [A, 2], the predators'"""
    prey_pos: Array
    """int32 [Q, 2]"""
    hunting: Array
    """bool [A], the predator is on the grid"""
    free: Array
    """bool [Q], the prey is on the grid"""
    time: Array
    """int32 [], steps played"""


@struct.dataclass(eq=False)
class PredatorPrey:
    """A predators on a grid catch Q prey, each with a partner, and pay for trying it alone.

    Actions are 0 up, 1 down, 2 left, 3 right, 4 stay, 5 catch. Moves off the grid are not legal, and to catch is legal
    only beside (left, right, above or below) a prey; what is not legal moves nowhere and catches nothing. No two on the
    grid share a cell. A step goes like this:

    1. The predators move, one after another by their numbers; who would enter a cell where somebody is stays.
    2. The prey follow, one after another. A prey beside which `needed` or more predators catch is caught: it leaves the
       grid, and so do these predators if `removal`, for good, before the next prey's turn. If some catch, but too few,
       that is a failed attempt. Who is not caught moves to one of the cells above, below, left and right of it, uniform
       among those on the grid where nobody is, and stays if there is none.

    The reward is common: everybody gets `prize` for each prey that is caught, less `penalty` for each failed attempt,
    also predators that have left. The episode terminates when all prey are caught or no predator is left, and is
    truncated after `horizon` steps. Predators that have left can only stay; as they are still paid, they wait and have
    not terminated. It begins with all in different cells.

    This is the relative overgeneralisation task of Boehmer et al. 2020, arXiv:1910.00091, section 6.1 and its program
    (8 predators, 8 prey, 10x10, sight 2, 200 steps, penalties 0 to 2), in which 40 is the best return; there the order
    of turns is random. Son et al. 2019, arXiv:1905.05408, section 5.2, punish lone attempts alike.

    Returns of each agent by default, means of at least 2,000 episodes with standard errors below 0.5: uniformly random
    legal play -93.9 (5.0 without a penalty), and 35.8 for pairs that see the whole grid, walk to the prey that is
    nearest to both (three steps in ten at random), and catch when both are beside it.

    Observation of predator i, of sight s: two windows of (2 s + 1)^2 cells around it, row by row:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | (2 s + 1)^2 numbers | a predator is there; in the middle, itself | - | 0 or 1 |
    | (2 s + 1)^2 numbers | a prey is there | - | 0 or 1 |

    A predator that has left sees only zeros. The global state has three numbers for each predator, then for each prey:
    row and column, as shares of the grid's side less one, and 1; zeros if it has left: 3 (A + Q) numbers.

    Raises SettingError if the grid has no room for all.
    """

    num_agents: int = struct.field(pytree_node=False, default=8)
    """number of predators, A"""
    num_prey: int = struct.field(pytree_node=False, default=8)
    """number of prey, Q"""
    size: int = struct.field(pytree_node=False, default=10)
    """cells along each side"""
    sight: int = struct.field(pytree_node=False, default=2)
    """how many cells a predator sees in each direction"""
    needed: int = struct.field(pytree_node=False, default=2)
    """predators that it takes to catch a prey"""
    removal: bool = struct.field(pytree_node=False, default=True)
    """predators that have caught a prey leave the grid"""
    prize: float = 10.0
    """what a caught prey pays everybody (a leaf)"""
    penalty: float = 2.0
    """what a failed attempt costs everybody, at least 0 (a leaf)"""
    horizon: int = struct.field(pytree_node=False, default=200)
    """steps after which an episode is truncated"""

    def __post_init__(self) -> None:
        for name, low in (("num_agents", 1), ("num_prey", 1), ("size", 2), ("sight", 1), ("needed", 1), ("horizon", 1)):
            require_int(name, getattr(self, name), low=low)
        require_bool("removal", self.removal)
        require_number("prize", self.prize)
        require_number("penalty", self.penalty, low=0.0)
        if self.num_agents + self.num_prey > self.size**2:
            raise SettingError(
                f"num_prey={self.num_prey} is not allowed: the {self.size**2} cells of this {self.size}x{self.size} "
                f"grid must hold them and {self.num_agents} predators."
            )

    @property
    def spec(self) -> Spec:
        """The static description."""
        num = self.num_agents
        return Spec(
            agents=tuple(f"predator_{i}" for i in range(num)),
            obs_sizes=(2 * sight.window_size(self.sight),) * num,
            action_sizes=(NUM_ACTIONS,) * num,
            state_size=3 * (num + self.num_prey),
            horizon=self.horizon,
        )

    def reset(self, key: Key) -> tuple[HuntState, TimeStep]:
        """Put everybody on different cells."""
        num, prey = self.num_agents, self.num_prey
        cell = world.draw_distinct(key, self.size**2, num + prey)
        pos = jnp.stack([cell // self.size, cell % self.size], axis=1)
        time = jnp.zeros((), jnp.int32)
        state = HuntState(pos[:num], pos[num:], jnp.ones(num, bool), jnp.ones(prey, bool), time)
        return state, self.observe(state)

    def step(self, key: Key, state: HuntState, action: Array) -> tuple[HuntState, TimeStep]:
        """Let the predators have their turns, then the prey."""
        bits = jax.random.bits(key, (-(-self.num_prey // _PREY_PER_WORD),), jnp.uint32)
        agent_pos, prey_pos, hunting, free, failed = along_last(self._turns)(*state[:4], action, bits)
        caught = world.total_of(state.free & ~free)
        state = HuntState(agent_pos, prey_pos, hunting, free, state.time + 1)
        is_over = ~world.any_of(free) | ~world.any_of(hunting)
        return state, self.observe(state)._replace(
            reward=jnp.full(self.num_agents, self.prize * caught - self.penalty * failed, jnp.float32),
            terminated=jnp.full(self.num_agents, is_over),
            truncated=(state.time >= self.horizon) & ~is_over,
        )

    def observe(self, state: HuntState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        num = self.num_agents
        obs, legal, view = along_last(self._look)(*state[:4])
        return TimeStep(
            obs=obs,
            state=view,
            legal=legal,
            active=state.hunting,
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: HuntState, step: TimeStep) -> None:
        """Draw predators as discs, their windows as shades, and prey as triangles."""
        from matplotlib import patches

        world.draw_grid(axes, np.zeros((self.size, self.size), bool))
        width = 2 * self.sight + 1
        for i in np.flatnonzero(np.asarray(state.hunting)):
            row, column = np.asarray(state.agent_pos)[i]
            corner = (column - width / 2, row - width / 2)
            axes.add_patch(patches.Rectangle(corner, width, width, fc="C0", alpha=0.07, zorder=1))
            world.draw_disc(axes, (row, column), "C0", str(i))
        for row, column in np.asarray(state.prey_pos)[np.asarray(state.free)]:
            axes.add_patch(patches.RegularPolygon((column, row), 3, radius=0.36, fc="C3", ec="0.3", zorder=3))
        left = int(np.asarray(state.free).sum())
        axes.set_title(f"step {int(state.time)}   prey left {left}   reward {float(step.reward[0]):+g}")

    def _turns(
        self, agent_pos: Array, prey_pos: Array, hunting: Array, free: Array, action: Array, bits: Array
    ) -> tuple[Array, Array, Array, Array, Array]:
        """Return both kinds' positions [A, 2, ...] and [Q, 2, ...] and flags, and the failed attempts [...].

        Turns are iterations of loops, since XLA would work out every earlier turn again for each later one; so are
        the looks at what is in a cell, for each of the places where the answer is used.
        """
        move, catches = world.displacement(action), hunting & (action == CATCH)
        agent_cells, prey_cells = self._cells(agent_pos, hunting), self._cells(prey_pos, free)
        choices = self._choices(bits)

        def predator(i, world_now):
            pos, cells = world_now
            wanted, cell, is_open = self._look_at(pos[i] + move[i], jnp.concatenate([cells, prey_cells]))
            moves = hunting[i] & is_open
            return _put(pos, i, jnp.where(moves, wanted, pos[i])), _put(cells, i, jnp.where(moves, cell, cells[i]))

        agent_pos, agent_cells = jax.lax.fori_loop(0, self.num_agents, predator, (agent_pos, agent_cells))

        def prey(q, world_now):
            pos, cells, still, free, failed = world_now
            catching = catches & still & _is_beside(agent_pos, pos[q])
            hands = catching.astype(jnp.int32).sum(0)
            caught = free[q] & (hands >= self.needed)
            if self.removal:
                still &= ~(caught & catching)
            left = free[q] & ~caught
            others = jnp.concatenate([jnp.where(still, agent_cells, GONE), cells])
            place, cell = self._wander(pos[q], cells[q], others, choices[q])
            failed += left & (hands > 0)
            return _put(pos, q, place), _put(cells, q, jnp.where(left, cell, GONE)), still, _put(free, q, left), failed

        now = (prey_pos, prey_cells, hunting, free, jnp.zeros(free.shape[1:], jnp.int32))
        prey_pos, _, hunting, free, failed = jax.lax.fori_loop(0, self.num_prey, prey, now)
        return agent_pos, prey_pos, hunting, free, failed

    def _choices(self, bits: Array) -> Array:
        """Return a number below 12 for each prey from random bits; uint32 [ceil(Q / 4), ...] -> int32 [Q, ...]."""
        digits = [bits // np.uint32(_CHOICES**digit) % np.uint32(_CHOICES) for digit in range(_PREY_PER_WORD)]
        digits = jnp.stack(digits, axis=1).reshape(-1, *bits.shape[1:])
        return digits[: self.num_prey].astype(jnp.int32)

    def _wander(self, here: Array, cell: Array, others: Array, choice: Array) -> tuple[Array, Array]:
        """Return position [2, ...] and cell of a prey that moves beside `here`, by a number below 12."""
        moves = world.displacement(jnp.arange(world.NUM_MOVES)).reshape(world.NUM_MOVES, 2, *(1,) * (here.ndim - 1))
        wanted, beside, is_open = self._look_at(jnp.moveaxis(here + moves, 1, 0), others)
        rank = choice * world.total_of(is_open) // _CHOICES
        for move in range(world.NUM_MOVES):
            chosen = is_open[move] & (rank == 0)
            here, cell = jnp.where(chosen, wanted[:, move], here), jnp.where(chosen, beside[move], cell)
            rank -= is_open[move]
        return here, cell

    def _look_at(self, wanted: Array, others: Array) -> tuple[Array, Array, Array]:
        """Return positions [2, ...], their cells, and whether these are on the grid and none of the `others`."""
        row, column = wanted
        inside = (row >= 0) & (row < self.size) & (column >= 0) & (column < self.size)
        cell = row * self.size + column
        taken = jax.lax.fori_loop(0, len(others), lambda i, taken: taken | (cell == others[i]), ~inside)
        return wanted, cell, ~taken

    def _cells(self, pos: Array, present: Array) -> Array:
        return jnp.where(present, pos[:, 0] * self.size + pos[:, 1], GONE)

    def _look(self, agent_pos: Array, prey_pos: Array, hunting: Array, free: Array) -> tuple[Array, Array, Array]:
        """Return observations [A, O, ...], legal actions [A, N, ...] and the global state [S, ...]."""
        seen = sight.windows(agent_pos, [(agent_pos, hunting), (prey_pos, free)], self.sight)
        obs = sight.shown(jnp.where(hunting[:, None, None], seen, 0), self.sight)
        row, column = agent_pos[:, 0], agent_pos[:, 1]
        last = self.size - 1
        beside = world.any_of([_is_beside(agent_pos, prey) & there for prey, there in zip(prey_pos, free, strict=True)])
        able = jnp.stack([row > 0, row < last, column > 0, column < last, jnp.ones_like(hunting), beside], axis=1)
        legal = able & (hunting[:, None] | (jnp.arange(NUM_ACTIONS) == STAY).reshape(-1, *(1,) * (row.ndim - 1)))
        view = [
            jnp.where(there[:, None], jnp.concatenate([pos / last, jnp.ones_like(pos[:, :1])], axis=1), 0.0)
            for pos, there in ((agent_pos, hunting), (prey_pos, free))
        ]
        state = jnp.concatenate(view).reshape(-1, *row.shape[1:])
        return obs, legal, state.astype(jnp.float32)


def _is_beside(pos: Array, other: Array) -> Array:
    """Return whether positions [A, 2, ...] are left, right, above or below another [2, ...]."""
    return jnp.abs(pos[:, 0] - other[0]) + jnp.abs(pos[:, 1] - other[1]) == 1


def _put(rows: Array, place: Array, row: Array) -> Array:
    return jax.lax.dynamic_update_index_in_dim(rows, row, place, 0)
