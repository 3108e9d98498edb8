"""Hyper-parameters of all that learns from a replay; light to import, so that `--help` is quick."""

from dataclasses import dataclass, fields
from math import ceil, gcd
from typing import ClassVar, Literal

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_kind, require_number, require_sizes

_SHARES = ("gamma", "lam", "target_rate", "epsilon_start", "epsilon_end", "epsilon_share")
_OF_PRIORITY = ("priority", "priority_weights")


@dataclass(frozen=True)
class ReplaySettings:
    """What is stepped, remembered, drawn and learnt from, whatever is learnt."""

    may_be_zero: ClassVar[tuple[str, ...]] = ("memory", "burn_in", "mixer_hidden")

    num_envs: int = 128
    """environments stepped together, E"""
    rollout_length: int = 5
    """steps taken in each environment before every update, T"""
    capacity: int = 500
    """steps of each environment that the replay holds; rollout_length must divide it"""
    warmup: int = 25
    """steps taken in each environment before learning from a replay begins"""
    gradient_steps: int = 16
    """gradient steps after every rollout"""
    batch: int = 128
    """sequences of a gradient step; a multiple of num_envs, or a divisor of it"""
    sequence: int = 1
    """steps that are learnt from in each sequence"""
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
    target_period: int = 100
    """gradient steps between two moves of the target network"""
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
    mixer: Literal["none", "sum", "monotonic"] = "none"
    """how the agents' values make up that of the team: not at all, as their sum or as of QMIX"""
    mixer_embed: int = 32
    """width of the monotonic mixing network"""
    mixer_hidden: int = 64
    """units in the hidden layer of networks of the global state that mix; 0: no such layer"""
    huber: float | None = None
    """error beyond which the loss grows linearly only; None: nowhere"""
    max_grad_norm: float = 10.0
    """norm to which gradients are cut: of the whole team, or of each that learns apart"""
    normalise_values: bool = True
    """let networks work in units that follow from the running mean and deviation of rewards, and how often it ends"""
    share_rewards: bool = False
    """let each agent learn from the mean of all agents' rewards instead of its own, as with a mixer it does anyway"""
    rewards: Literal["plain", "scaled", "standardised"] = "plain"
    """learn from rewards as they are, divided by their running deviation, or less their running mean too, which makes
    it better to live or to die in worlds that terminate (Papoudakis et al. 2021, arXiv:2006.07869)"""
    sharing: Literal["shared", "group", "independent"] = "shared"
    """one set of parameters for all agents, told apart by a one-hot, one for each group of like agents, or for each"""
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
            low = 0 if field.name in self.may_be_zero else 1
            require_kind(field.name, field.type, getattr(self, field.name), low=low)
        for name in ("lr", "max_grad_norm", "target_rate"):
            require_number(name, getattr(self, name), above=0.0)
        for name in (*_SHARES, *_OF_PRIORITY):
            require_number(name, getattr(self, name), low=0.0, high=1.0)
        require_number("epsilon_spread", self.epsilon_spread, low=0.0)
        if self.huber is not None:
            require_number("huber", self.huber, above=0.0)
        require_sizes("hidden", self.hidden)
        _require_range(self.storage_range)
        if self.remembers:
            self._check_replay()

    def _check_replay(self) -> None:
        require_divisor("rollout_length", self.rollout_length, "capacity", self.capacity)
        require_divisor("stride", self.stride, "rollout_length", self.rollout_length)
        if max(self.batch, self.num_envs) % min(self.batch, self.num_envs):
            raise SettingError(
                f"batch={self.batch} is neither a multiple of num_envs={self.num_envs} nor a divisor of it: each "
                "environment, or each block of them, gives as many sequences."
            )
        if self.batch > self.num_envs * self.capacity:
            raise SettingError(
                f"batch={self.batch} is not allowed: the replay holds num_envs x capacity = "
                f"{self.num_envs * self.capacity} steps."
            )
        if self.warmup > self.capacity:
            raise SettingError(f"warmup={self.warmup} is not allowed: the replay holds capacity={self.capacity} steps.")
        if self.drawn > self.warmup:
            raise SettingError(
                f"warmup={self.warmup} is not allowed: a sequence is burn_in + sequence = {self.drawn} steps long, and "
                "as many must be there before learning begins."
            )
        if self.memory and self.drawn == 1:
            raise SettingError(
                f"memory={self.memory} is not allowed with sequence=1 and burn_in=0: what to remember is learnt in "
                "sequences of several steps."
            )
        if self.estimator == "n_step" and self.n_step > self.sequence:
            raise SettingError(f"n_step={self.n_step} is not allowed: a sequence has sequence={self.sequence} steps.")

    @property
    def remembers(self) -> bool:
        """Whether there is a replay."""
        return True

    @property
    def drawn(self) -> int:
        """Steps of a sequence that is drawn from a replay."""
        return self.burn_in + self.sequence

    @property
    def is_joint(self) -> bool:
        """Whether the values that are learnt are the team's."""
        return self.mixer != "none"

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
        return gcd(self.num_envs, self.batch)

    @property
    def idle_updates(self) -> int:
        """Updates at the start of a run that only fill the replay."""
        return ceil(self.warmup / self.rollout_length) - 1


def require_divisor(name: str, value: int, of: str, whole: int) -> None:
    """Raise SettingError unless `value` divides `whole`."""
    if whole % value:
        raise SettingError(f"{name}={value} is not allowed: it must divide {of}={whole}.")


def _require_range(bounds: tuple[float, float]) -> None:
    if len(bounds) != 2:
        raise SettingError(f"storage_range={bounds!r} is not allowed: it must be two numbers, least and greatest.")
    for number in bounds:
        require_number("storage_range", number)
    if not bounds[0] < bounds[1]:
        raise SettingError(f"storage_range={bounds!r} is not allowed: the first must be less than the second.")
