"""What is known of an environment before it is run."""

from dataclasses import dataclass
from typing import Literal

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_choice, require_int


@dataclass(frozen=True)
class Spec:
    """The static, hashable description of an environment.

    Agents may differ: `obs_sizes` and `action_sizes` are per agent, and arrays are padded to the largest.

    Raises SettingError if the fields contradict one another.
    """

    agents: tuple[str, ...]
    """names of the agents, for people; their number is A"""
    obs_sizes: tuple[int, ...]
    """length of each agent's own observation, before padding"""
    action_sizes: tuple[int, ...]
    """number of actions (discrete) or of action components (continuous) of each agent, before padding"""
    state_size: int
    """length S of the global state"""
    horizon: int
    """steps after which an episode is truncated, if it did not terminate earlier"""
    action_kind: Literal["discrete", "continuous"] = "discrete"
    """discrete: action is int32 [A]; continuous: action is float32 [A, D]"""
    action_range: tuple[float, float] = (0.0, 1.0)
    """least and greatest value of a continuous action's components"""
    groups: tuple[tuple[int, ...], ...] = ()
    """indices of agents that are alike, group by group; left empty, agents of equal sizes are alike"""

    def __post_init__(self) -> None:
        if not len(self.agents) == len(self.obs_sizes) == len(self.action_sizes) > 0:
            raise SettingError(
                f"agents, obs_sizes and action_sizes must have one entry per agent, not "
                f"{len(self.agents)}, {len(self.obs_sizes)} and {len(self.action_sizes)}."
            )
        require_choice("action_kind", self.action_kind, ("discrete", "continuous"))
        require_int("horizon", self.horizon)
        require_int("state_size", self.state_size, low=0)
        for name, low in (("obs_sizes", 0), ("action_sizes", 1)):
            for size in getattr(self, name):
                require_int(name, size, low=low)
        if not self.groups:
            object.__setattr__(self, "groups", _alike(self.obs_sizes, self.action_sizes))
        if sorted(agent for group in self.groups for agent in group) != list(range(self.num_agents)):
            raise SettingError(f"groups={self.groups} must hold each of the {self.num_agents} agents once.")

    @property
    def num_agents(self) -> int:
        """A, the number of agents."""
        return len(self.agents)

    @property
    def num_actions(self) -> int:
        """N (discrete) or D (continuous), the largest action size."""
        return max(self.action_sizes)

    @property
    def obs_shape(self) -> tuple[int, ...]:
        """O, the shape of one agent's padded observation."""
        return (max(self.obs_sizes),)

    @property
    def is_discrete(self) -> bool:
        """Whether actions are chosen from a finite set."""
        return self.action_kind == "discrete"


def _alike(obs_sizes: tuple[int, ...], action_sizes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    groups: dict[tuple[int, int], list[int]] = {}
    for agent, sizes in enumerate(zip(obs_sizes, action_sizes, strict=True)):
        groups.setdefault(sizes, []).append(agent)
    return tuple(tuple(group) for group in groups.values())
