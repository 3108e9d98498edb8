"""The record behind which every algorithm stands."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.spec import Spec


class Policy(NamedTuple):
    """How a learner acts in E environments of one spec."""

    carry: Callable[[int], Tree]
    """num_envs -> the memory at the start of an episode"""
    act: Callable[..., tuple[Array, Tree]]
    """(params, carry, ts [E, ...], restart bool [E], key, greedy) -> (action, carry); `greedy` is static"""


class Settings(Protocol):
    """The hyper-parameters of a family: a frozen dataclass of plain values, validated on construction."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def steps_per_update(self) -> int:
        """Environment steps that one call of `Learner.step` takes."""
        ...

    def build(self, name: str) -> "Learner":
        """Return the learner with these settings."""
        ...


class Learner(NamedTuple):
    """An algorithm as pure functions; its state is one pytree of arrays, so saving it is resuming."""

    name: str
    settings: Any
    check: Callable[[Spec], None]
    """raises SettingError if the learner cannot learn in environments of this spec"""
    init: Callable[[Key, Env], Tree]
    """(key, env) -> state"""
    step: Callable[[Tree, Env, Array], tuple[Tree, dict[str, Tree]]]
    """(state, env, progress) -> (state, metrics): collect, then learn; `progress` in [0, 1) drives the schedules"""
    policy: Callable[[Spec], Policy]
    """spec -> how to act"""
    params: Callable[[Tree], Tree]
    """state -> what the policy needs"""
