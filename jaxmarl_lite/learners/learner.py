"""The record behind which every algorithm stands."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.core.spec import Spec


class Policy(NamedTuple):
    """How a learner acts in E environments of one spec."""

    carry: Callable[[int], Tree]
    """num_envs -> the memory at the start of an episode"""
    act: Callable[..., tuple[Array, Tree]]
    """(params, carry, ts [E, ...], restart bool [E], keys [E], greedy) -> (action, carry); `greedy` is static"""


class Settings(Protocol):
    """The hyper-parameters of a family: a frozen dataclass of plain values, validated on construction."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def num_envs(self) -> int:
        """Environments stepped together, E."""
        ...

    @property
    def steps_per_update(self) -> int:
        """Environment steps that one call of `Learner.step` takes."""
        ...

    @property
    def equal_parts(self) -> int:
        """Into how many like parts the environments can be cut; a number of devices must divide it."""
        ...

    @property
    def idle_updates(self) -> int:
        """Calls of `Learner.step` at the start of a run that learn nothing yet."""
        ...

    def build(self, name: str) -> "Learner":
        """Return the learner with these settings."""
        ...


Phase = Callable[[Tree, Env, Array, Shard], Tree]
"""(what the phase before returned, env, progress, shard) -> what the next one takes"""


class Learner(NamedTuple):
    """An algorithm as pure functions; its state is one pytree of arrays, so saving it is resuming."""

    name: str
    settings: Any
    check: Callable[[Spec], None]
    """raises SettingError if the learner cannot learn in environments of this spec"""
    init: Callable[[Key, Env], Tree]
    """(key, env) -> state"""
    phases: dict[str, Phase]
    """the parts of a step, in order: the first takes a state, the last returns (state, metrics)"""
    policy: Callable[[Spec], Policy]
    """spec -> how to act"""
    params: Callable[[Tree], Tree]
    """state -> what the policy needs"""
    env_axes: Callable[[Tree], Tree]
    """state -> for each leaf, which of its axes is that of the environments, or COPY"""

    def step(self, state: Tree, env: Env, progress: Array, shard: Shard = WHOLE) -> tuple[Tree, dict[str, Tree]]:
        """Collect, then learn: returns (state, metrics). `progress` in [0, 1) drives the schedules."""
        passed: Any = state
        for phase in self.phases.values():
            passed = phase(passed, env, progress, shard)
        return passed
