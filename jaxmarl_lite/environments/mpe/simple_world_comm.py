"""World of communication: tag with food, forests to hide in, and a leader who sees all and speaks."""

import functools

import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.hunt import ADVERSARY_RADIUS, Hunt
from jaxmarl_lite.environments.mpe.scenario import Mark, Role, WorldState

GOOD_RADIUS, FOOD_RADIUS, FOREST_RADIUS = 0.045, 0.03, 0.3
CATCH, EDGE, FOOD, HUNGER, CHASE = 5.0, 2.0, 2.0, 0.05, 0.1


@struct.dataclass(eq=False)
class SimpleWorldComm(Hunt):
    """Adversaries hunt prey that eat; who is in a forest is seen only from within it, or by the leader, who speaks.

    The semantics are those of simple_world_comm_v3 of mpe2. An adversary gets 5 for every pair of an adversary and a
    prey that touch, less 0.1 times its distance to the nearest prey. A prey gets -5 for every adversary and +2 for
    every food that it touches, less 0.05 times its distance to the nearest food and twice what `world.edge_cost` says.
    The first adversary is the leader. Agent j is seen by i if both are in one forest, or neither is in any, or i is
    the leader; otherwise its numbers are zeros. Agents begin uniform in [-1, 1]^2, all else in [-0.9, 0.9]^2. Actions
    and episodes: see Scenario.

    Returns, means of 4,096 episodes: with uniformly random actions 3.2 of each adversary and -25.3 of each prey; 61.9
    and -64.0 if adversaries chase the nearest prey along the axis of the larger distance; 4.6 and 18.7 if instead prey
    walk to the nearest food.

    Observation of an adversary (34 numbers by default); A agents, G prey, F forests, L landmarks of all kinds:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | up to the own speed |
    | 2-3 | own position | length | unbounded, begins in [-1, 1] |
    | 2 L numbers | obstacles', food's and forests' positions less the own | length | unbounded |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | unbounded; 0 unseen |
    | 2 G numbers | velocity of each prey | length/s | up to their speed; 0 unseen |
    | F numbers | it is in that forest | - | -1, 1 |
    | C numbers | what the leader said | - | [0, 1] |

    A prey (28 numbers by default) sees the same, but F before the 2 (G - 1) velocities of other prey, and no message.

    The global state is all positions, velocities, landmark positions and what the leader said: 4 A + 2 L + C numbers.

    Raises SettingError on a setting out of range.
    """

    num_good: int = struct.field(pytree_node=False, default=2)
    """number of prey, G"""
    num_adversaries: int = struct.field(pytree_node=False, default=4)
    """number of adversaries, with the leader"""
    num_obstacles: int = struct.field(pytree_node=False, default=1)
    """number of obstacles"""
    num_food: int = struct.field(pytree_node=False, default=2)
    """number of places with food"""
    num_forests: int = struct.field(pytree_node=False, default=2)
    """number of forests, F"""
    num_words: int = struct.field(pytree_node=False, default=4)
    """number of words, C"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("num_food", self.num_food)
        require_int("num_forests", self.num_forests, low=0)
        require_int("num_words", self.num_words)

    @property
    def roles(self) -> tuple[Role, ...]:
        """The leader, the other adversaries, then prey."""
        good, landmarks = self.num_good, self.num_landmarks_in_all
        sees = 4 + 2 * landmarks + 2 * (self.num_adversaries + good - 1) + self.num_forests
        hunter = Role(
            "adversary", self.num_adversaries - 1, sees + 2 * good + self.num_words, ADVERSARY_RADIUS,
            self.adversary_accel, self.adversary_speed, colour="tab:red",
        )  # fmt: skip
        leader = hunter._replace(name="leadadversary", num=1, speaks=True, colour="darkred")
        prey = Role(
            "agent", good, sees + 2 * (good - 1), GOOD_RADIUS, self.good_accel, self.good_speed, colour="tab:green"
        )
        return leader, hunter, prey

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Obstacles, food and forests."""
        return (
            *super().marks,
            Mark("food", self.num_food, FOOD_RADIUS, span=0.9, colour="tab:blue"),
            Mark("forest", self.num_forests, FOREST_RADIUS, span=0.9, colour="yellowgreen"),
        )

    def views(self, state: WorldState) -> list[Array]:
        """Show everything but what forests hide."""
        pos, vel, num = state.agent_pos, state.agent_vel, self.num_adversaries
        inside = self._in_forest(state)
        seen = self._is_seen(inside)[:, :, None]
        others = world.flat(world.without_self(jnp.where(seen, pos[None] - pos[:, None], 0.0)))
        prey_vel = jnp.where(seen[:, num:], vel[num:][None], 0.0)
        places = jnp.concatenate([vel, pos, world.relative(pos, state.landmark_pos), others], axis=1)
        forests = 2.0 * inside.astype(jnp.float32) - 1.0
        said = world.to_each(state.comm[0], num)
        hunters = jnp.concatenate([places[:num], world.flat(prey_vel[:num]), forests[:num], said], axis=1)
        of_prey = world.flat(world.without_self(prey_vel[num:]))
        return [hunters[:1], hunters[1:], jnp.concatenate([places[num:], forests[num:], of_prey], axis=1)]

    def rewards(self, state: WorldState) -> Array:
        """Pay for catches, chases and meals."""
        hunters, prey = self.sides(state)
        food = state.landmark_pos[self.num_obstacles : self.num_obstacles + self.num_food]
        caught = world.touching(prey, hunters, ADVERSARY_RADIUS + GOOD_RADIUS)
        hunting = CATCH * world.added(caught) - CHASE * world.nearest_distance(hunters, prey)
        eating = FOOD * world.touching(prey, food, GOOD_RADIUS + FOOD_RADIUS)
        eating -= HUNGER * world.nearest_distance(prey, food)
        return world.joined([hunting, eating - CATCH * caught - EDGE * world.edge_cost(prey)])

    def _in_forest(self, state: WorldState) -> Array:
        """Return whether each agent is in each forest; bool [A, F, ...]."""
        pos, forests = state.agent_pos, state.landmark_pos[self.num_obstacles + self.num_food :]
        delta = pos[:, None] - forests[None]
        reach = world.column(self.radii + np.float32(FOREST_RADIUS), delta.ndim - 1)
        return jnp.square(delta[:, :, 0]) + jnp.square(delta[:, :, 1]) < reach**2

    def _is_seen(self, inside: Array) -> Array:
        """Return whether agent i sees agent j, from who is in which forest; bool [A, F, ...] -> [A, A, ...]."""
        forests = [inside[:, i] for i in range(self.num_forests)]
        nobody = jnp.zeros((len(inside), *inside.shape[2:]), bool)
        hidden = functools.reduce(jnp.logical_or, forests, nobody)
        together = [forest[:, None] & forest[None] for forest in forests]
        seen = functools.reduce(jnp.logical_or, together, ~hidden[:, None] & ~hidden[None])
        return jnp.concatenate([jnp.ones_like(seen[:1]), seen[1:]])
