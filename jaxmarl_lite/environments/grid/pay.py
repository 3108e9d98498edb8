"""What a team is paid that has goals on a grid."""

import jax.numpy as jnp
from flax import struct

from jaxmarl_lite.core.env import Array, TimeStep
from jaxmarl_lite.core.settings import require_number


@struct.dataclass(eq=False)
class TeamPay:
    """The reward that all agents of a team share: one for reaching every goal, and what each step before costs."""

    goal_reward: float = 10.0
    """what everybody gets when all goals are reached (a leaf)"""
    step_cost: float = 0.05
    """what a step before that costs everybody (a leaf)"""
    distance_cost: float = 0.1
    """what each cell of distance that is left then costs everybody (a leaf)"""
    bump_cost: float = 0.5
    """what each bump then costs everybody (a leaf)"""

    def __post_init__(self) -> None:
        for name in ("goal_reward", "step_cost", "distance_cost", "bump_cost"):
            require_number(name, getattr(self, name))

    def paid(self, ts: TimeStep, distance: Array, bumps: Array, is_late: Array) -> TimeStep:
        """Return a step with its end and its reward: that of the goals where no distance is left, else costs."""
        solved = distance == 0
        costs = self.step_cost + self.distance_cost * distance + self.bump_cost * bumps
        return ts._replace(
            reward=jnp.full_like(ts.reward, jnp.where(solved, self.goal_reward, -costs)),
            terminated=jnp.full_like(ts.terminated, solved),
            truncated=is_late & ~solved,
        )
