"""Hyper-parameters of the value family; light to import, so that `--help` is quick."""

from dataclasses import dataclass, fields
from math import ceil, gcd
from typing import TYPE_CHECKING, Literal

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int, require_kind, require_number

if TYPE_CHECKING:
    from jaxmarl_lite.learners.learner import Learner

_MAY_BE_ZERO = ("memory", "burn_in", "mixer_hidden", "bins")
_SHARES = ("gamma", "lam", "target_rate", "epsilon_start", "epsilon_end", "epsilon_share")
_OF_PRIORITY = ("priority", "priority_weights")


@dataclass(frozen=True)
class ValueSettings:
    """Learning the values of actions, from a replay or from fresh rollouts; the defaults are independent Q-learning."""

    num_envs: int = 128
    """environments stepped together, E"""
    rollout_length: int = 5
    """steps taken in each environment before every update, T"""
    experience: Literal["replay", "fresh"] = "replay"
    """what is learnt from: sequences drawn from all that is remembered, or the last rollout alone"""
    capacity: int = 500
    """steps of each environment that the replay holds; rollout_length must divide it"""
    warmup: int = 25
    """steps taken in each environment before learning from a replay begins"""
    gradient_steps: int = 16
    """gradient steps after every rollout, with a replay"""
    batch: int = 128
    """sequences of a gradient step, with a replay; a multiple of num_envs, or a divisor of it"""
    sequence: int = 1
    """steps that are learnt from in each sequence of a replay"""
    burn_in: int = 0
    """steps before those, by which recurrent units come to know where they are (Kapturowski et al. 2019, R2D2)"""
    stride: int = 1
    """sequences begin at multiples of so many steps of their environment; must divide rollout_length"""
    priority: float = 0.0
    """draw a sequence with a probability that goes with its error to this power; 0: each as likely as any other (Schaul
    et al. 2016, arXiv:1511.05952, who have 0.6)"""
    priority_weights: float = 0.4
    """how far weights in the loss undo that at first, on the way to 1, wholly, at the end of the run"""
    storage: Literal["float32", "bfloat16", "float16", "uint8"] = "float32"
    """how the replay keeps observations and global states"""
    storage_range: tuple[float, float] = (0.0, 1.0)
    """least and greatest of their numbers, where they are kept as uint8"""
    epochs: int = 4
    """turns of gradient steps over a fresh rollout"""
    minibatches: int = 8
    """parts of the environments that each epoch is cut into, with fresh rollouts; must divide num_envs"""
    lr: float = 3e-3
    """learning rate of Adam"""
    anneal_lr: bool = True
    """let the learning rate fall linearly to 0 over the run"""
    gamma: float = 0.9
    """discount per step"""
    estimator: Literal["lambda", "n_step"] = "lambda"
    """how the targets of a sequence mix rewards and later values: over all lengths by lam, or after n_step steps"""
    lam: float = 0.0
    """decay of the estimator lambda; 0: a single step, then the value"""
    n_step: int = 3
    """steps of the estimator n_step"""
    double: bool = True
    """let the network that learns choose the action whose value the target network gives (van Hasselt et al. 2016,
    arXiv:1509.06461)"""
    target_period: int = 100
    """gradient steps between two moves of the target network, with a replay"""
    target_rate: float = 1.0
    """how far it then moves to the network that learns; 1: all the way"""
    epsilon_start: float = 1.0
    """how likely a random action is at first"""
    epsilon_end: float = 0.05
    """how likely a random action is in the end"""
    epsilon_share: float = 0.1
    """share of the run within which the one becomes the other"""
    epsilon_spread: float = 0.0
    """how unlike environments explore, by epsilon^(1 + spread i / (E - 1)); 0: all alike (Horgan et al. 2018: 7)"""
    mixer: Literal["none", "sum", "monotonic", "duplex", "transform", "alternatives"] = "none"
    """how the agents' values make up that of the team: not at all, or as of VDN, QMIX, QPLEX, QTRAN-base, QTRAN-alt"""
    mixer_embed: int = 32
    """width of the monotonic mixing network"""
    mixer_hidden: int = 64
    """units in the hidden layer of networks of the global state that mix; 0: no such layer"""
    terms_weight: float = 1.0
    """weight of the losses by which QTRAN fits the agents' values to the team's"""
    central: bool = False
    """let a single agent see the global state and choose the actions of all"""
    dueling: bool = False
    """make an action's value of one of the observation and an advantage (Wang et al. 2016, arXiv:1511.06581)"""
    huber: float | None = None
    """error beyond which the loss grows linearly only; None: nowhere"""
    max_grad_norm: float = 10.0
    """norm to which gradients are cut: of the whole team, or of each that learns apart"""
    normalise_values: bool = True
    """let networks work in units that follow from the running mean and deviation of rewards, and how often it ends"""
    rewards: Literal["plain", "scaled", "standardised"] = "plain"
    """learn from rewards as they are, divided by their running deviation, or less their running mean too, which makes
    it better to live or to die in worlds that terminate (Papoudakis et al. 2021, arXiv:2006.07869)"""
    sharing: Literal["shared", "group", "independent"] = "shared"
    """one set of parameters for all agents, told apart by a one-hot, one for each group of like agents, or for each"""
    bins: int = 0
    """keep a table in the place of the agents' network, in which each number seen is told apart by so many values from
    0 to 1, and learn by the mean error of what was visited, times lr; 0: no table"""
    hidden: tuple[int, ...] = (128, 128)
    """sizes of the hidden layers of the agents' network"""
    memory: int = 0
    """gated recurrent units behind them; 0: none"""
    activation: Literal["tanh", "relu"] = "relu"
    """activation of the hidden layers"""
    layer_norm: bool = False
    """normalise what the activations get (Ba et al. 2016, arXiv:1607.06450)"""
    start: Literal["orthogonal", "normal"] = "orthogonal"
    """how weights begin (Saxe et al. 2014, arXiv:1312.6120)"""

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        for field in fields(self):
            low = 0 if field.name in _MAY_BE_ZERO else 1
            require_kind(field.name, field.type, getattr(self, field.name), low=low)
        for name in ("lr", "max_grad_norm", "target_rate"):
            require_number(name, getattr(self, name), above=0.0)
        for name in (*_SHARES, *_OF_PRIORITY):
            require_number(name, getattr(self, name), low=0.0, high=1.0)
        for name in ("epsilon_spread", "terms_weight"):
            require_number(name, getattr(self, name), low=0.0)
        if self.huber is not None:
            require_number("huber", self.huber, above=0.0)
        for size in self.hidden:
            require_int("hidden", size)
        if self.central and self.is_joint:
            raise SettingError(f"mixer={self.mixer!r} is not allowed with central=True: there is nothing to mix.")
        if self.bins == 1:
            raise SettingError("bins=1 is not allowed: it must be 0, or at least 2 to tell anything apart.")
        if self.bins and (self.memory or self.is_joint):
            raise SettingError(f"bins={self.bins} is not allowed with memory or a mixer: a table has neither.")
        _require_range(self.storage_range)
        if self.experience == "replay":
            self._check_replay()
        else:
            self._check_fresh()

    def _check_fresh(self) -> None:
        _require_divisor("minibatches", self.minibatches, "num_envs", self.num_envs)
        if self.priority:
            raise SettingError(f"priority={self.priority} is not allowed with experience='fresh': nothing is drawn.")

    def _check_replay(self) -> None:
        _require_divisor("rollout_length", self.rollout_length, "capacity", self.capacity)
        _require_divisor("stride", self.stride, "rollout_length", self.rollout_length)
        if max(self.batch, self.num_envs) % min(self.batch, self.num_envs):
            raise SettingError(
                f"batch={self.batch} is neither a multiple of num_envs={self.num_envs} nor a divisor of it: each "
                "environment, or each block of them, gives as many sequences."
            )
        if self.warmup > self.capacity:
            raise SettingError(f"warmup={self.warmup} is not allowed: the replay holds capacity={self.capacity} steps.")
        if self.drawn > self.warmup:
            raise SettingError(
                f"warmup={self.warmup} is not allowed: a sequence is burn_in + sequence = {self.drawn} steps long, and "
                "as many must be there before learning begins."
            )
        if self.estimator == "n_step" and self.n_step > self.sequence:
            raise SettingError(f"n_step={self.n_step} is not allowed: a sequence has sequence={self.sequence} steps.")

    @property
    def drawn(self) -> int:
        """Steps of a sequence that is drawn from a replay."""
        return self.burn_in + self.sequence

    @property
    def is_joint(self) -> bool:
        """Whether the values that are learnt are the team's."""
        return self.mixer != "none"

    def num_values(self, num_agents: int) -> int:
        """Return how many values are learnt for each step, G."""
        return num_agents if self.mixer in ("none", "alternatives") else 1

    @property
    def sees_state(self) -> bool:
        """Whether the global state is looked at."""
        return self.mixer not in ("none", "sum")

    @property
    def steps_per_update(self) -> int:
        """Environment steps that one update takes."""
        return self.num_envs * self.rollout_length

    @property
    def equal_parts(self) -> int:
        """Parts that each give as many sequences to every gradient step."""
        return gcd(self.num_envs, self.batch) if self.experience == "replay" else self.num_envs // self.minibatches

    @property
    def idle_updates(self) -> int:
        """Updates at the start of a run that only fill the replay."""
        return ceil(self.warmup / self.rollout_length) - 1 if self.experience == "replay" else 0

    def build(self, name: str) -> "Learner":
        """Return the learner with these settings."""
        from jaxmarl_lite.learners.value import value_based

        return value_based(name, self)


def _require_range(bounds: tuple[float, float]) -> None:
    if len(bounds) != 2:
        raise SettingError(f"storage_range={bounds!r} is not allowed: it must be two numbers, least and greatest.")
    for number in bounds:
        require_number("storage_range", number)
    if not bounds[0] < bounds[1]:
        raise SettingError(f"storage_range={bounds!r} is not allowed: the first must be less than the second.")


def _require_divisor(name: str, value: int, of: str, whole: int) -> None:
    if whole % value:
        raise SettingError(f"{name}={value} is not allowed: it must divide {of}={whole}.")
