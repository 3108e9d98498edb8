"""Hyper-parameters of the on-policy family; light to import, so that `--help` is quick."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_kind, require_number, require_sizes

if TYPE_CHECKING:
    from jaxmarl_lite.learners.learner import Learner

View = Literal["local", "joint", "both"]


@dataclass(frozen=True)
class OnPolicySettings:
    """Actor-critic learning from fresh rollouts; the defaults are IPPO, the clipped objective of PPO."""

    num_envs: int = 128
    """environments stepped together, E"""
    rollout_length: int = 25
    """steps taken in each environment before every update, T"""
    passes: int = 1
    """times that advantages of a rollout are estimated anew, by the networks as they then are, and learnt from"""
    epochs: int = 4
    """turns of gradient steps over the whole rollout, in every pass"""
    minibatches: int = 8
    """parts of the environments that each epoch is cut into; must divide num_envs"""
    lr: float = 4e-3
    """learning rate of Adam"""
    anneal_lr: bool = True
    """let the learning rate fall linearly to 0 over the run"""
    gamma: float = 0.95
    """discount per step"""
    estimator: Literal["gae", "n_step", "vtrace", "critic"] = "gae"
    """what tells how well it went: returns of all lengths, of n_step steps, corrected for an older policy, or only
    what the critic says of the chosen action"""
    baseline: Literal["value", "counterfactual"] = "value"
    """what that is held against to give the advantage: the value of what is seen, or what the agent's other actions
    would have brought while the others' stay, by a critic that knows them (Foerster et al. 2018, arXiv:1705.08926)"""
    lam: float = 0.95
    """decay of the estimators that mix all lengths, lambda"""
    n_step: int = 5
    """steps of the estimator n_step"""
    objective: Literal["clip", "gradient", "trust_region"] = "clip"
    """what the policy climbs: PPO's clipped ratio, the plain policy gradient, or the natural gradient within max_kl"""
    sequential: bool = False
    """agents learn one after another in random order, each weighing in how the ones before have changed"""
    clip: float = 0.2
    """range of the probability ratio that the clipped objective rewards"""
    max_kl: float | None = None
    """divergence from the old policy at which an update stops; under trust_region, where a step ends; None: anywhere"""
    value_clip: float | None = 0.2
    """how far the value may move from the one that collected the data; None: anywhere"""
    huber: float | None = None
    """error beyond which the value loss grows linearly only; None: nowhere"""
    entropy: float = 0.01
    """weight of the entropy bonus"""
    anneal_entropy: bool = False
    """let that weight fall linearly to 0 over the run"""
    value_weight: float = 0.5
    """weight of the value loss"""
    max_grad_norm: float = 0.5
    """norm to which gradients are cut: of the whole team if parameters are shared, else of each set of them"""
    standardise_advantages: bool = True
    """bring the advantages of each minibatch to mean 0 and deviation 1: of the team, or of each that learns apart"""
    normalise_values: Literal["off", "running", "popart"] = "running"
    """let the critic work in units of the returns' running mean and deviation (Yu et al. 2022, arXiv:2103.01955);
    popart keeps its outputs where they were when these change (van Hasselt et al. 2016, arXiv:1602.07714)"""
    normalise_obs: bool = False
    """bring what networks see to mean 0 and deviation 1, by running statistics (Andrychowicz et al. 2021,
    arXiv:2006.05990)"""
    share_rewards: bool = False
    """let each agent learn from the mean of all agents' rewards instead of its own (in Papoudakis et al. 2021,
    arXiv:2006.07869, all tasks are such)"""
    scale_rewards: bool = False
    """divide rewards by their running deviation (Papoudakis et al. 2021, arXiv:2006.07869)"""
    critic: View = "local"
    """what the critic sees: the agent's own observation, the global state, or both (Yu et al. 2022, section 5.2)"""
    sharing: Literal["shared", "group", "independent"] = "shared"
    """one set of parameters for all agents, told apart by a one-hot, one for each group of like agents, or for each"""
    hidden: tuple[int, ...] = (64, 64)
    """sizes of the hidden layers, of actor and critic alike"""
    memory: int = 0
    """gated recurrent units behind them, in actor and critic alike; 0: none"""
    activation: Literal["tanh", "relu"] = "tanh"
    """activation of the hidden layers"""
    layer_norm: bool = False
    """normalise what the activations get (Ba et al. 2016, arXiv:1607.06450)"""
    start: Literal["orthogonal", "normal"] = "orthogonal"
    """how weights begin (Saxe et al. 2014, arXiv:1312.6120; Andrychowicz et al. 2021 compare them)"""
    bounds: Literal["cut", "tanh"] = "cut"
    """how continuous actions keep to their range: normal numbers are cut off there, or squashed by tanh"""

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        for field in fields(self):
            require_kind(field.name, field.type, getattr(self, field.name), low=0 if field.name == "memory" else 1)
        if self.num_envs % self.minibatches:
            raise SettingError(
                f"minibatches={self.minibatches} does not divide num_envs={self.num_envs}: "
                "each minibatch must hold the same number of environments."
            )
        for name in ("lr", "max_grad_norm", "clip"):
            require_number(name, getattr(self, name), above=0.0)
        for name in ("value_clip", "max_kl", "huber"):
            if getattr(self, name) is not None:
                require_number(name, getattr(self, name), above=0.0)
        for name in ("gamma", "lam"):
            require_number(name, getattr(self, name), low=0.0, high=1.0)
        for name in ("entropy", "value_weight"):
            require_number(name, getattr(self, name), low=0.0)
        require_sizes("hidden", self.hidden)
        if self.objective == "trust_region" and self.max_kl is None:
            raise SettingError("max_kl=None is not allowed: with objective='trust_region' it says where a step ends.")

        if self.sequential and self.baseline == "counterfactual":
            raise SettingError(
                "baseline='counterfactual' is not allowed with sequential=True: it compares the actions of all agents "
                "at once."
            )
        if self.estimator == "critic" and self.baseline != "counterfactual":
            raise SettingError(
                "estimator='critic' is not allowed with baseline='value': only a critic with "
                "baseline='counterfactual' tells actions apart."
            )

    @property
    def sees_state(self) -> bool:
        """Whether the critic sees the global state."""
        return self.critic != "local"

    @property
    def steps_per_update(self) -> int:
        """Environment steps that one update takes."""
        return self.num_envs * self.rollout_length

    @property
    def equal_parts(self) -> int:
        """Parts that each hold as many environments of every minibatch."""
        return self.num_envs // self.minibatches

    @property
    def idle_updates(self) -> int:
        """Updates at the start of a run that learn nothing: none."""
        return 0

    def build(self, name: str) -> "Learner":
        """Return the learner with these settings."""
        from jaxmarl_lite.learners.on_policy import on_policy

        return on_policy(name, self)
