"""Hyper-parameters of the off-policy actor-critic family; light to import, so that `--help` is quick."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int, require_number, require_sizes
from jaxmarl_lite.learners.replay_settings import ReplaySettings, require_divisor

if TYPE_CHECKING:
    from jaxmarl_lite.learners.learner import Learner

Critic = Literal["local", "joint", "both", "attention"]
Discrete = Literal["straight_through", "gumbel", "score"]
Noise = Literal["gaussian", "ornstein_uhlenbeck"]

_FROM_ZERO = ("noise_start", "noise_end", "target_noise", "target_noise_clip", "temperature", "logit_penalty")


@dataclass(frozen=True)
class OffPolicySettings(ReplaySettings):
    """Actors that climb the values of critics, learnt from a replay; the defaults are independent DDPG."""

    actor_lr: float = 1e-3
    """learning rate of Adam for actors; lr is that of critics"""
    target_period: int = 1
    """gradient steps between two moves of the target networks"""
    target_rate: float = 0.01
    """how far they then move to the networks that learn; 1: all the way"""
    critic: Critic = "local"
    """what critics see beside the own action: the own observation, the global state and what all others do, both, or
    as much of each other agent's observation and action as they ask for (Iqbal and Sha 2019, arXiv:1810.02912)"""
    attention_heads: int = 4
    """questions that a critic asks of the others, with attention; must divide the last hidden layer"""
    critics: int = 1
    """critics of each agent, 1 or 2; of two the lesser is believed (Fujimoto et al. 2018, arXiv:1802.09477, eq. 10)"""
    others: Literal["replay", "policy"] = "replay"
    """what an actor takes the others to do as it climbs: what they did (Lowe et al. 2017, arXiv:1706.02275, eq. 6), or
    what their actors now would do; with a mixer it is the latter, and all climb together"""
    actor_period: int = 1
    """gradient steps of critics to one of actors; must divide gradient_steps"""
    stochastic: bool = False
    """let actors be distributions whose entropy is rewarded (Haarnoja et al. 2018, arXiv:1801.01290)"""
    temperature: float = 0.05
    """weight of that entropy, in deviations of the values; where it is tuned, the first one"""
    tune_temperature: bool = True
    """let the weight follow from a target for the entropy (Haarnoja et al. 2018, arXiv:1812.05905, section 5)"""
    temperature_lr: float = 1e-3
    """learning rate of Adam for its logarithm"""
    entropy_discrete: float = 0.3
    """target where actions are discrete, as a share of the greatest, the logarithm of their number (Christodoulou 2019,
    arXiv:1910.07207, has 0.98)"""
    entropy_continuous: float = -1.0
    """target where actions are continuous, for each component"""
    discrete: Discrete = "straight_through"
    """how a gradient reaches the actors through discrete actions: through a Gumbel-softmax draw, made one-hot or as it
    is (Jang et al. 2017, arXiv:1611.01144), or by the score function, E[log pi Q], summed over all own actions, for
    which critics give the values of each of them"""
    softness: float = 1.0
    """temperature of the Gumbel-softmax; lower: nearer to one-hot"""
    logit_penalty: float = 1e-3
    """weight of the mean square of the actors' outputs in their loss, which keeps them from saturating"""
    noise: Noise = "gaussian"
    """what is added to continuous actions to explore: fresh numbers, or such as wander (Lillicrap et al. 2016,
    arXiv:1509.02971)"""
    noise_start: float = 0.3
    """its deviation at first, in halves of an action's range"""
    noise_end: float = 0.1
    """its deviation at the end of the run"""
    target_noise: float = 0.0
    """deviation of the noise on the actions of target actors (Fujimoto et al. 2018, section 5.3)"""
    target_noise_clip: float = 0.5
    """where that noise is cut"""

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        super().__post_init__()
        for name in ("actor_lr", "temperature_lr", "softness"):
            require_number(name, getattr(self, name), above=0.0)
        for name in _FROM_ZERO:
            require_number(name, getattr(self, name), low=0.0)
        require_number("entropy_discrete", self.entropy_discrete, low=0.0, high=1.0)
        require_number("entropy_continuous", self.entropy_continuous)
        require_int("critics", self.critics, high=2)
        require_divisor("actor_period", self.actor_period, "gradient_steps", self.gradient_steps)
        if self.is_joint and self.critic != "local":
            raise SettingError(
                f"mixer={self.mixer!r} is not allowed with critic={self.critic!r}: only the values of critics that see "
                "no others, critic='local', are mixed."
            )
        if self.critic == "attention":
            require_sizes("hidden", self.hidden, at_least=1)
            require_divisor("attention_heads", self.attention_heads, "the last of hidden", self.hidden[-1])
        if self.tune_temperature and self.stochastic and not self.temperature:
            raise SettingError("temperature=0 is not allowed with tune_temperature=True: it could never change.")

    @property
    def sees_state(self) -> bool:
        """Whether the global state is looked at."""
        return self.critic in ("joint", "both") or super().sees_state

    def build(self, name: str) -> "Learner":
        """Return the learner with these settings."""
        from jaxmarl_lite.learners.off_policy import off_policy

        return off_policy(name, self)
