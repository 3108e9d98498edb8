"""Continuous predator-prey: predators with short sight hunt prey that flee by a rule."""

from typing import Literal

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_number
from jaxmarl_lite.environments.mpe import world
from jaxmarl_lite.environments.mpe.scenario import WorldState
from jaxmarl_lite.environments.mpe.simple_tag import SimpleTag


@struct.dataclass(eq=False)
class PredatorPrey(SimpleTag):
    """Tag as Peng et al. 2021 (FACMAC, arXiv:2003.06709) play it: short sight, slow prey, forces as actions.

    It is simple_tag but for the following, which are as in that paper's own environment. Nothing that is further away
    than `view_radius` is seen. Actions are continuous: two numbers in [-1, 1] that push along x and y (discrete ones,
    which the paper has not, are those of tag). Velocities move before positions (`dynamics="openai"`). Prey flee by a
    rule, with a force of at most 1, so that they reach a speed of 0.4: in the paper towards the best of 100 points
    drawn uniformly in the unit disc around them, the furthest from the nearest predator, if it is not a predator's;
    here straight away from the nearest predator, where the best of many points lies. With `prey="learnt"` they are
    agents with tag's force. The paper has 3 predators, 1 prey and 2 obstacles; or 6, 2 and 4; or 9, 3 and 6.

    The return of the paper is that of any one predator. With 3, 6 or 9 predators it is 0.3, 2.0 or 6.3 for uniformly
    random actions, and 122, 289 or 466 for predators that push straight towards the nearest prey (means of 4,096
    episodes). With prey that choose among 100 points as in the paper these two are 0.3 and 127 for 3 predators.

    Observation of a predator (16 numbers by default) and of a prey (14); A agents, G prey, O obstacles:

    | index | meaning | unit | range |
    | --- | --- | --- | --- |
    | 0-1 | own velocity | length/s | up to the own speed |
    | 2-3 | own position | length | unbounded, begins in [-1, 1] |
    | 2 O numbers | each obstacle's position less the own | length | within the radius; 0 unseen |
    | 2 (A - 1) numbers | each other agent's position less the own, by index | length | within the radius; 0 unseen |
    | 2 G, of a prey 2 (G - 1) | velocity of each prey other than oneself | length/s | up to their speed; 0 unseen |

    The global state is all positions, velocities and obstacle positions: 4 A + 2 O numbers.

    Raises SettingError on a setting out of range.
    """

    continuous: bool = struct.field(pytree_node=False, default=True)
    """continuous instead of discrete actions"""
    dynamics: Literal["v3", "openai"] = struct.field(pytree_node=False, default="openai")
    """openai: velocities move before positions do; v3: after them"""
    prey: Literal["learnt", "heuristic"] = struct.field(pytree_node=False, default="heuristic")
    """heuristic: prey flee by a fixed rule and only predators are agents; learnt: prey are agents"""
    view_radius: float = 1.5
    """how far everybody sees, length (a leaf)"""
    flight_force: float = 1.0
    """force of prey that flee by the rule (a leaf)"""

    num_pushes = 2
    action_range = (-1.0, 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("view_radius", self.view_radius, low=0.0)
        require_number("flight_force", self.flight_force, low=0.0)

    def push(self, action: Array) -> Array:
        """Return the pushes of agents: the action itself if it is continuous."""
        return action if self.continuous else world.discrete_push(action)

    def views(self, state: WorldState) -> list[Array]:
        """Show what is near, but no predator's velocity."""
        pos, vel, num = state.agent_pos, state.agent_vel, self.num_adversaries
        others, obstacles = pos[None] - pos[:, None], state.landmark_pos[None] - pos[:, None]
        is_near = self._is_near(others)
        seen_vel = jnp.where(is_near[:, num:], vel[num:][None], 0.0)
        near = [
            world.flat(jnp.where(self._is_near(obstacles), obstacles, 0.0)),
            world.flat(world.without_self(jnp.where(is_near, others, 0.0))),
        ]
        seen = jnp.concatenate([vel, pos, *near], axis=1)
        hunters = jnp.concatenate([seen[:num], world.flat(seen_vel[:num])], axis=1)
        if self.prey == "heuristic":
            return [hunters]
        return [hunters, jnp.concatenate([seen[num:], world.flat(world.without_self(seen_vel[num:]))], axis=1)]

    def scripted_force(self, state: WorldState) -> Array:
        """Return the force of prey that flee from the nearest predator."""
        hunters, prey = self.sides(state)
        away = prey - hunters[0]
        for hunter in hunters[1:]:
            other = prey - hunter
            is_nearer = _square(other) < _square(away)
            away = jnp.where(is_nearer[:, None], other, away)
        return self.flight_force * world.unit(away)

    def _is_near(self, table: Array) -> Array:
        """Return which of [A, L, 2, ...] are within sight; bool [A, L, 1, ...]."""
        return (jnp.square(table[:, :, 0]) + jnp.square(table[:, :, 1]) <= jnp.square(self.view_radius))[:, :, None]


def _square(delta: Array) -> Array:
    return jnp.square(delta[:, 0]) + jnp.square(delta[:, 1])
