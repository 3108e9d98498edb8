"""What worlds of a hunt share: how many take part, how strong and fast they are, and the obstacles between them."""

from flax import struct

from jaxmarl_lite.core.env import Array
from jaxmarl_lite.core.settings import require_int, require_number
from jaxmarl_lite.environments.mpe.scenario import Mark, Scenario, WorldState

ADVERSARY_RADIUS, OBSTACLE_RADIUS = 0.075, 0.2


@struct.dataclass(eq=False)
class Hunt(Scenario):
    """Adversaries, who come first among the agents, prey, who are faster, and obstacles that stop both.

    Raises SettingError on a setting out of range.
    """

    num_good: int = struct.field(pytree_node=False, default=1)
    """number of prey, G"""
    num_adversaries: int = struct.field(pytree_node=False, default=3)
    """number of adversaries"""
    num_obstacles: int = struct.field(pytree_node=False, default=2)
    """number of obstacles, O"""
    adversary_accel: float = 3.0
    """force of an adversary's full push (a leaf)"""
    adversary_speed: float = 1.0
    """greatest speed of an adversary, length/s (a leaf)"""
    good_accel: float = 4.0
    """force of a prey's full push (a leaf)"""
    good_speed: float = 1.3
    """greatest speed of a prey, length/s (a leaf)"""

    collides = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_int("num_good", self.num_good)
        require_int("num_adversaries", self.num_adversaries)
        require_int("num_obstacles", self.num_obstacles, low=0)
        for name in ("adversary_accel", "adversary_speed", "good_accel", "good_speed"):
            require_number(name, getattr(self, name), low=0.0)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """Obstacles."""
        return (Mark("obstacle", self.num_obstacles, OBSTACLE_RADIUS, span=0.9, is_solid=True),)

    def sides(self, state: WorldState) -> tuple[Array, Array]:
        """Return the positions of adversaries and those of prey, [num, 2, ...]."""
        return state.agent_pos[: self.num_adversaries], state.agent_pos[self.num_adversaries :]
