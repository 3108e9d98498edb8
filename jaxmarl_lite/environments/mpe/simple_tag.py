"""Tag: slow adversaries hunt faster prey round obstacles."""

from typing import Literal

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_choice
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.hunt import ADVERSARY_RADIUS, Hunt
from jaxmarl_lite.environments.mpe.scenario import Role, WorldState

GOOD_RADIUS = 0.05
CATCH = 10.0
EDGE_MARGIN = 0.05  # the heuristic prey sees an edge no nearer than this


@struct.dataclass(eq=False)
class SimpleTag(Hunt):
    """Adversaries hunt prey, who are faster, round obstacles that stop both.

    The semantics are those of simple_tag_v3 of mpe2. Every adversary gets 10 for every pair of an adversary and a prey
    that touch, whoever it is; a prey loses 10 for every adversary that touches it, and what `world.edge_cost` says near
    and beyond the edges. Agents begin uniform in [-1, 1]^2 and obstacles in [-0.9, 0.9]^2. Actions and episodes: see
    Scenario.

    With `prey="heuristic"` the adversaries alone are agents, and prey flee by a rule of ours: with all their force
    along the sum of d / |d|^2 over the ways d from all adversaries and from the nearest points of the four edges,
    which they see no nearer than 0.05.

    Returns of each adversary, means of 4,096 episodes: 4.7 if everybody plays uniformly random actions (the prey
    -16.1), 68.6 if adversaries chase the nearest prey along the axis of the larger distance and prey play randomly.
    With the heuristic prey 1.1 if adversaries play randomly and 21.4 if they chase.

    Observation of an adversary (16 numbers by default) and of a prey (14); A agents, G prey, O obstacles:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | up to the own speed |
    | 2-3 | own position | length | unbounded, begins in [-1, 1] |
    | 2 O numbers | each obstacle's position less the own | length | unbounded |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | unbounded |
    | 2 G, of a prey 2 (G - 1) | velocity of each prey other than oneself | length/s | up to their speed |

    The global state is all positions, velocities and obstacle positions: 4 A + 2 O numbers.

    Raises SettingError on a setting out of range.
    """

    prey: Literal["learnt", "heuristic"] = struct.field(pytree_node=False, default="learnt")
    """learnt: prey are agents; heuristic: they flee by a fixed rule and only adversaries are agents"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("prey", self.prey, ("learnt", "heuristic"))

    @property
    def roles(self) -> tuple[Role, ...]:
        """Adversaries, then prey."""
        good, others = self.num_good, self.num_adversaries + self.num_good - 1
        sees = 4 + 2 * self.num_obstacles + 2 * others
        hunters = Role(
            "adversary", self.num_adversaries, sees + 2 * good, ADVERSARY_RADIUS,
            self.adversary_accel, self.adversary_speed, colour="tab:red",
        )  # fmt: skip
        prey = Role(
            "agent", good, sees + 2 * (good - 1), GOOD_RADIUS,
            self.good_accel, self.good_speed, is_scripted=self.prey == "heuristic", colour="tab:green",
        )  # fmt: skip
        return hunters, prey

    def views(self, state: WorldState) -> list[Array]:
        """Show everything but adversaries' velocities."""
        pos, vel, num = state.agent_pos, state.agent_vel, self.num_adversaries
        relative = [world.relative(pos, state.landmark_pos), world.relative_to_others(pos)]
        seen, prey_vel = jnp.concatenate([vel, pos, *relative], axis=1), vel[num:]
        to_hunters = world.flat(world.to_each(prey_vel, num))
        hunters = jnp.concatenate([seen[:num], to_hunters], axis=1)
        if self.prey == "heuristic":
            return [hunters]
        return [hunters, jnp.concatenate([seen[num:], world.of_others(prey_vel)], axis=1)]

    def rewards(self, state: WorldState) -> Array:
        """Pay adversaries together for all catches; charge each prey for its own, and for leaving the arena."""
        hunters, prey = self.sides(state)
        caught = world.touching(prey, hunters, ADVERSARY_RADIUS + GOOD_RADIUS)
        team = world.to_each(CATCH * world.added(caught), self.num_adversaries)
        return world.joined([team, -CATCH * caught - world.edge_cost(prey)])

    def scripted_force(self, state: WorldState) -> Array:
        """Return the force of prey that flee from adversaries and edges."""
        hunters, prey = self.sides(state)
        away = [prey - hunter for hunter in hunters]
        near = [jnp.maximum(jnp.square(d[:, 0]) + jnp.square(d[:, 1]), EDGE_MARGIN**2)[:, None] for d in away]
        flight = world.added([d / square for d, square in zip(away, near, strict=True)])
        flight += 1.0 / jnp.maximum(1.0 + prey, EDGE_MARGIN) - 1.0 / jnp.maximum(1.0 - prey, EDGE_MARGIN)
        return self.good_accel * world.unit(flight)
