"""Hyper-parameters of the on-policy family; light to import, so that `--help` is quick."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_bool, require_choice, require_int, require_number

if TYPE_CHECKING:
    from jaxmarl_lite.learners.learner import Learner


@dataclass(frozen=True)
class OnPolicySettings:
    """Actor-critic learning from fresh rollouts by the clipped objective of PPO; the defaults are IPPO."""

    num_envs: int = 128
    """environments stepped together, E"""
    rollout_length: int = 25
    """steps taken in each environment before every update, T"""
    epochs: int = 4
    """passes over each rollout"""
    minibatches: int = 8
    """parts of the environments that each pass is cut into; must divide num_envs"""
    lr: float = 4e-3
    """learning rate of Adam"""
    anneal_lr: bool = True
    """let the learning rate fall linearly to 0 over the run"""
    gamma: float = 0.95
    """discount per step"""
    lam: float = 0.95
    """decay of the generalised advantage estimator, lambda"""
    clip: float = 0.2
    """range of the probability ratio that the objective rewards"""
    value_clip: float | None = 0.2
    """how far the value may move from the one that collected the data; None: anywhere"""
    entropy: float = 0.01
    """weight of the entropy bonus"""
    value_weight: float = 0.5
    """weight of the value loss"""
    max_grad_norm: float = 0.5
    """norm to which gradients are cut: of the whole team if parameters are shared, else of each agent"""
    standardise_advantages: bool = True
    """bring the advantages of each minibatch to mean 0 and deviation 1: of the team, or of each independent agent"""
    normalise_values: bool = True
    """let the critic work in units of the returns' running mean and deviation (Yu et al. 2022, arXiv:2103.01955)"""
    critic: Literal["local", "joint"] = "local"
    """what the critic sees: the agent's own observation, or the global state"""
    sharing: Literal["shared", "independent"] = "shared"
    """one set of parameters for all agents, told apart by a one-hot, or one set for each"""
    hidden: tuple[int, ...] = (64, 64)
    """sizes of the hidden layers, of actor and critic alike"""
    activation: Literal["tanh", "relu"] = "tanh"
    """activation of the hidden layers"""

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        for name in ("num_envs", "rollout_length", "epochs", "minibatches"):
            require_int(name, getattr(self, name))
        if self.num_envs % self.minibatches:
            raise SettingError(
                f"minibatches={self.minibatches} does not divide num_envs={self.num_envs}: "
                "each minibatch must hold the same number of environments."
            )
        require_number("lr", self.lr, above=0.0)
        require_number("max_grad_norm", self.max_grad_norm, above=0.0)
        require_number("clip", self.clip, above=0.0)
        if self.value_clip is not None:
            require_number("value_clip", self.value_clip, above=0.0)
        for name in ("gamma", "lam"):
            require_number(name, getattr(self, name), low=0.0, high=1.0)
        for name in ("entropy", "value_weight"):
            require_number(name, getattr(self, name), low=0.0)
        for name in ("anneal_lr", "standardise_advantages", "normalise_values"):
            require_bool(name, getattr(self, name))
        require_choice("critic", self.critic, ("local", "joint"))
        require_choice("sharing", self.sharing, ("shared", "independent"))
        require_choice("activation", self.activation, ("tanh", "relu"))
        for size in self.hidden:
            require_int("hidden", size)

    @property
    def steps_per_update(self) -> int:
        """Environment steps that one update takes."""
        return self.num_envs * self.rollout_length

    @property
    def equal_parts(self) -> int:
        """Parts that each hold as many environments of every minibatch."""
        return self.num_envs // self.minibatches

    def build(self, name: str) -> "Learner":
        """Return the learner with these settings."""
        from jaxmarl_lite.learners.on_policy import on_policy

        return on_policy(name, self)
