"""What the particle environments share: state, actions, physics, episodes and pictures.

A scenario is who takes part (`roles`), what lies about (`marks`), what each role is shown (`views`) and what it is paid
(`rewards`); everything else is here.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array, Key, TimeStep, Tree
from jaxmarl_lite.core.settings import require_bool, require_choice, require_int, require_number
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.core.tree import along_last
from jaxmarl_lite.environments.mpe import picture, world


class Role(NamedTuple):
    """A number of agents of one kind."""

    name: str
    num: int
    sees: int
    """length of an agent's observation"""
    radius: float = 0.05
    accel: Array | float = 5.0
    """force of a full push, for mass 1"""
    max_speed: Array | float | None = None
    moves: bool = True
    speaks: bool = False
    is_scripted: bool = False
    """acts by a rule of the environment's, and is no agent of the spec"""
    colour: str = "tab:blue"


class Mark(NamedTuple):
    """A number of landmarks of one kind."""

    name: str
    num: int
    radius: float = 0.05
    span: float = 1.0
    """they are placed uniformly in [-span, span]^2"""
    is_solid: bool = False
    colour: str = "0.35"


class WorldState(NamedTuple):
    """Where everything is, and what was said."""

    agent_pos: Array
    """float32 [A, 2]"""
    agent_vel: Array
    """float32 [A, 2], per second"""
    landmark_pos: Array
    """float32 [L, 2]"""
    comm: Array
    """float32 [S, C], what each of the agents that can speak said last; they come first among the agents"""
    time: Array
    """int32 [], steps played"""
    goal: Tree = None
    """int32 [], or [A] if each agent has its own: the landmark that is to be reached or told; None if there is none"""
    key: Tree = None
    """int32 [], the key of a cipher; None if there is none"""


@struct.dataclass(eq=False)
class Scenario:
    """A particle environment; actions, physics and episodes are those of mpe2.

    Discrete actions of an agent that moves are 0 none, 1 left, 2 right, 3 down, 4 up; of one that also speaks,
    move + 5 word; of one that only speaks, the word. Continuous ones are five numbers in [0, 1], of which
    (a_2 - a_1, a_4 - a_3) pushes, and the C numbers of the message behind them, or these alone. What is said is heard
    with the next observation. Every episode is truncated after `horizon` steps and none terminates.
    """

    continuous: bool = struct.field(pytree_node=False, default=False)
    """continuous instead of discrete actions"""
    dynamics: Literal["v3", "openai"] = struct.field(pytree_node=False, default="v3")
    """v3: positions move before velocities do, so an action shows one step later; openai: after them, as in the
    original package and in PettingZoo before 1.23"""
    horizon: int = struct.field(pytree_node=False, default=25)
    """steps after which an episode is truncated"""
    damping: float = world.DAMPING
    """share of its velocity that a body loses in a step (a leaf)"""
    contact_force: float = world.CONTACT_FORCE
    """force for each unit of length that bodies overlap (a leaf)"""

    # Plain attributes, not fields: what is alike for all worlds of a scenario.
    collides = False  # agents push one another apart
    num_words = 0  # C, the length of a message
    num_drawn = 0  # how many landmarks are drawn as goals or keys
    num_pushes = world.MOVES  # numbers of a continuous action that push
    action_range = (0.0, 1.0)

    def __post_init__(self) -> None:
        require_bool("continuous", self.continuous)
        require_choice("dynamics", self.dynamics, ("v3", "openai"))
        require_int("horizon", self.horizon)
        require_number("damping", self.damping, low=0.0, high=1.0)
        require_number("contact_force", self.contact_force, low=0.0)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who takes part, in the order of agents."""
        raise NotImplementedError

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What lies about, in the order of landmarks."""
        raise NotImplementedError

    def views(self, state: WorldState) -> list[Array]:
        """Return what each role sees, [num, sees, ...]; states have trailing axes here."""
        raise NotImplementedError

    def rewards(self, state: WorldState) -> Array:
        """Return what a state pays each agent, [A, ...]; states have trailing axes here."""
        raise NotImplementedError

    def aims(self, drawn: Array) -> dict[str, Array]:
        """Return the fields `goal` and `key` of a new state, from landmarks that were drawn, int32 [num_drawn]."""
        del drawn
        return {}

    def scripted_force(self, state: WorldState) -> Array:
        """Return the forces of agents that act by a rule, [num, 2, ...]; states have trailing axes here."""
        raise NotImplementedError

    @property
    def spec(self) -> Spec:
        """The static description."""
        acting = self.acting
        return Spec(
            agents=tuple(f"{role.name}_{i}" for role in acting for i in range(role.num)),
            obs_sizes=tuple(role.sees for role in acting for _ in range(role.num)),
            action_sizes=tuple(self._num_actions(role) for role in acting for _ in range(role.num)),
            state_size=self._state_size(),
            horizon=self.horizon,
            action_kind="continuous" if self.continuous else "discrete",
            action_range=self.action_range,
            groups=_consecutive([role.num for role in acting if role.num]),
        )

    def reset(self, key: Key) -> tuple[WorldState, TimeStep]:
        """Place everybody and everything at random, at rest and silent."""
        num, landmarks = self.num_bodies, self.num_landmarks_in_all
        drawn = jax.random.uniform(key, (2 * (num + landmarks) + self.num_drawn,), minval=-1.0, maxval=1.0)
        places, chances = drawn[: 2 * (num + landmarks)].reshape(-1, 2), (drawn[2 * (num + landmarks) :] + 1.0) / 2.0
        spans = np.repeat([mark.span for mark in self.marks], [mark.num for mark in self.marks])
        state = WorldState(
            agent_pos=places[:num],
            agent_vel=jnp.zeros((num, 2)),
            landmark_pos=places[num:] * spans.astype(np.float32)[:, None],
            comm=jnp.zeros((self.num_speakers, self.num_words)),
            time=jnp.zeros((), jnp.int32),
            **self.aims(jnp.minimum((chances * landmarks).astype(jnp.int32), landmarks - 1)),
        )
        return state, self.observe(state)

    def step(self, key: Key, state: WorldState, action: Array) -> tuple[WorldState, TimeStep]:
        """Move the world by 0.1 s."""
        del key
        pos, vel, comm = along_last(type(self)._move)(self, state, action)
        state = state._replace(agent_pos=pos, agent_vel=vel, comm=comm, time=state.time + 1)
        reward = along_last(type(self)._paid)(self, state)
        return state, self.observe(state)._replace(reward=reward, truncated=state.time >= self.horizon)

    def observe(self, state: WorldState) -> TimeStep:
        """Show a state as it is when an episode begins there."""
        spec = self.spec
        num = spec.num_agents
        obs, whole = along_last(type(self)._show)(self, state)
        return TimeStep(
            obs=obs,
            state=whole,
            legal=jnp.asarray(np.arange(spec.num_actions) < np.asarray(spec.action_sizes)[:, None]),
            active=jnp.ones(num, bool),
            reward=jnp.zeros(num),
            terminated=jnp.zeros(num, bool),
            truncated=jnp.zeros((), bool),
        )

    def draw(self, axes: Any, state: WorldState, step: TimeStep) -> None:
        """Draw agents and landmarks as discs, goals as rings, and what was said."""
        picture.draw(axes, self, state, step)

    def push(self, action: Array) -> Array:
        """Return the pushes, at most 1 in each direction, of agents that move; [num, 2, ...]."""
        return world.continuous_push(action) if self.continuous else world.discrete_push(action)

    @property
    def acting(self) -> list[Role]:
        """Roles that do not act by a rule."""
        return [role for role in self.roles if not role.is_scripted]

    @property
    def num_bodies(self) -> int:
        """A, the agents with those that act by a rule."""
        return sum(role.num for role in self.roles)

    @property
    def num_speakers(self) -> int:
        """S, how many agents can speak."""
        return sum(role.num for role in self.roles if role.speaks)

    @property
    def num_landmarks_in_all(self) -> int:
        """L, landmarks of all kinds."""
        return sum(mark.num for mark in self.marks)

    @property
    def radii(self) -> np.ndarray:
        """Radii of all agents, float32 [A]."""
        return np.repeat([role.radius for role in self.roles], [role.num for role in self.roles]).astype(np.float32)

    def _num_actions(self, role: Role) -> int:
        words = self.num_words if role.speaks else 0
        moves = 0 if not role.moves else self.num_pushes if self.continuous else world.MOVES
        return moves + words if self.continuous else max(moves, 1) * max(words, 1)

    def _state_size(self) -> int:
        moves = any(role.moves for role in self.roles)
        places = 4 * self.num_bodies + 2 * self.num_landmarks_in_all if moves else 0
        return places + self.num_speakers * self.num_words + self.num_drawn * self.num_landmarks_in_all

    def _move(self, state: WorldState, action: Array) -> tuple[Array, Array, Array]:
        """Return positions, velocities and what is said after a step."""
        comm = self._said(action) if self.num_words else state.comm
        pos, vel = state.agent_pos, state.agent_vel
        if not any(role.moves for role in self.roles):
            return pos, vel, comm
        force = self._force(state, action)
        if self.collides:
            force = force + self.contact_force * self._contacts(state)
        faster = self._limited((1.0 - self.damping) * vel + world.TIME_STEP * force)
        return pos + world.TIME_STEP * (vel if self.dynamics == "v3" else faster), faster, comm

    def _limited(self, vel: Array) -> Array:
        if all(role.max_speed is None for role in self.roles):
            return vel
        return world.joined([
            rows if role.max_speed is None else world.limited(rows, role.max_speed)
            for role, rows in _by_role(self.roles, vel)
        ])  # fmt: skip

    def _force(self, state: WorldState, action: Array) -> Array:
        chosen = {role.name: rows for role, rows in _by_role(self.acting, action)}
        forces = []
        for role in self.roles:
            if role.is_scripted:
                forces.append(self.scripted_force(state))
            elif not role.moves:
                forces.append(jnp.zeros_like(state.agent_pos[: role.num]))
            else:
                rows = chosen[role.name]
                move = rows % world.MOVES if role.speaks and not self.continuous else rows
                forces.append(role.accel * self.push(move))
        return world.joined(forces)

    def _paid(self, state: WorldState) -> Array:
        """Return the rewards of those that do not act by a rule."""
        return world.joined([rows for role, rows in _by_role(self.roles, self.rewards(state)) if not role.is_scripted])

    def _said(self, action: Array) -> Array:
        words = []
        for role, rows in _by_role(self.acting, action):
            if role.speaks and self.continuous:
                start = self.num_pushes if role.moves else 0
                words.append(rows[:, start : start + self.num_words])
            elif role.speaks:
                words.append(world.one_hot(rows // world.MOVES if role.moves else rows, self.num_words))
        return world.joined(words)

    def _contacts(self, state: WorldState) -> Array:
        pushes, start = world.contacts(state.agent_pos, self.radii), 0
        for mark in self.marks:
            if mark.is_solid and mark.num:
                solid = state.landmark_pos[start : start + mark.num]
                pushes += world.contacts_with(solid, state.agent_pos, self.radii + np.float32(mark.radius))
            start += mark.num
        return pushes

    def _show(self, state: WorldState) -> tuple[Array, Array]:
        """Return the observations, padded with zeros, and the global state."""
        views = self.views(state)
        width = max(role.sees for role in self.acting)
        wide = [jnp.pad(view, [(0, 0), (0, width - view.shape[1])] + [(0, 0)] * (view.ndim - 2)) for view in views]
        parts = [state.agent_pos, state.agent_vel, state.landmark_pos] if any(role.moves for role in self.roles) else []
        parts += [state.comm] if self.num_words else []
        for drawn in (state.goal, state.key):
            if drawn is not None:
                several = drawn.reshape(-1, *state.time.shape)
                parts.append(world.one_hot(several, self.num_landmarks_in_all))
        return world.joined(wide), world.joined([x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in parts])


def _by_role(roles: Sequence[Role], rows: Array) -> list[tuple[Role, Array]]:
    """Return each role with its rows of [A, ...]."""
    ends = np.cumsum([role.num for role in roles])
    return [(role, rows[end - role.num : end]) for role, end in zip(roles, ends, strict=True)]


def _consecutive(nums: list[int]) -> tuple[tuple[int, ...], ...]:
    ends = np.cumsum(nums)
    return tuple(tuple(range(end - num, end)) for num, end in zip(nums, ends.tolist(), strict=True))
