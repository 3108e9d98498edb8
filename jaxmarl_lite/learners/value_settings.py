"""Hyper-parameters of the value family; light to import, so that `--help` is quick."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_number
from jaxmarl_lite.learners.replay_settings import ReplaySettings, require_divisor

if TYPE_CHECKING:
    from jaxmarl_lite.learners.learner import Learner


@dataclass(frozen=True)
class ValueSettings(ReplaySettings):
    """Learning the values of actions, from a replay or from fresh rollouts; the defaults are independent Q-learning."""

    may_be_zero: ClassVar[tuple[str, ...]] = (*ReplaySettings.may_be_zero, "bins")

    mixer: Literal["none", "sum", "monotonic", "duplex", "transform", "alternatives"] = "none"  # type: ignore[assignment]
    """how the agents' values make up that of the team: not at all, or as of VDN, QMIX, QPLEX, QTRAN-base, QTRAN-alt"""
    experience: Literal["replay", "fresh"] = "replay"
    """what is learnt from: sequences drawn from all that is remembered, or the last rollout alone"""
    epochs: int = 4
    """turns of gradient steps over a fresh rollout"""
    minibatches: int = 8
    """parts of the environments that each epoch is cut into, with fresh rollouts; must divide num_envs"""
    double: bool = True
    """let the network that learns choose the action whose value the target network gives (van Hasselt et al. 2016,
    arXiv:1509.06461)"""
    terms_weight: float = 1.0
    """weight of the losses by which QTRAN fits the agents' values to the team's"""
    central: bool = False
    """let a single agent see the global state and choose the actions of all"""
    dueling: bool = False
    """make an action's value of one of the observation and an advantage (Wang et al. 2016, arXiv:1511.06581)"""
    bins: int = 0
    """keep a table in the place of the agents' network, in which each number seen is told apart by so many values from
    0 to 1, and learn by the mean error of what was visited, times lr; 0: no table"""

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        super().__post_init__()
        require_number("terms_weight", self.terms_weight, low=0.0)
        if self.central and self.is_joint:
            raise SettingError(f"mixer={self.mixer!r} is not allowed with central=True: there is nothing to mix.")
        if self.bins == 1:
            raise SettingError("bins=1 is not allowed: it must be 0, or at least 2 to tell anything apart.")
        if self.bins and (self.memory or self.is_joint):
            raise SettingError(f"bins={self.bins} is not allowed with memory or a mixer: a table has neither.")
        if not self.remembers:
            self._check_fresh()

    def _check_fresh(self) -> None:
        require_divisor("minibatches", self.minibatches, "num_envs", self.num_envs)
        if self.priority:
            raise SettingError(f"priority={self.priority} is not allowed with experience='fresh': nothing is drawn.")

    @property
    def remembers(self) -> bool:
        """Whether there is a replay."""
        return self.experience == "replay"

    @property
    def equal_parts(self) -> int:
        """Parts that each give as many sequences to every gradient step."""
        return super().equal_parts if self.remembers else self.num_envs // self.minibatches

    @property
    def idle_updates(self) -> int:
        """Updates at the start of a run that only fill the replay."""
        return super().idle_updates if self.remembers else 0

    def build(self, name: str) -> "Learner":
        """Return the learner with these settings."""
        from jaxmarl_lite.learners.value import value_based

        return value_based(name, self)
