"""The size of a sweep; light to import, so that `--help` is quick."""

from dataclasses import dataclass

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_choice, require_int, require_number
from jaxmarl_lite.tuning.space import SAMPLERS, Sampler


@dataclass(frozen=True)
class SweepPlan:
    """How many trials a sweep makes, how long each is, and which of them."""

    steps: float
    """environment steps for each seed of a trial that is not dropped; rounded up as by train"""
    trials: int = 32
    """settings to try; fewer, if a grid has fewer"""
    seeds: int = 1
    """seeds of each trial, the same for all; trials are ranked by the mean over them"""
    sampler: Sampler = "sobol"
    """which settings: spread evenly, each drawn on its own, all combinations of evenly spaced ones, or those that
    Optuna's tree-structured Parzen estimator thinks most of, learning from the trials before (extra `optuna`)"""
    halving: int | None = None
    """drop all but one in so many trials and train the rest for so many times as long, again and again (Jamieson and
    Talwalkar 2016, arXiv:1502.07943); left out: every trial is trained to its end"""
    rungs: int | None = None
    """how often trials are compared, with halving; left out: until fewer than `halving` are left"""
    optuna_batch: int = 8
    """trials that Optuna names before it hears of the last ones"""
    eval_episodes: int = 128
    """episodes of the evaluation at the end of each trial, for each seed"""
    sample_eval: bool = False
    """draw actions in evaluation, instead of taking the likeliest"""
    together: int | None = None
    """trials x seeds that each device trains at a time; left out: one on a processor's core, else all that fit"""
    devices: int | None = None
    """devices to train on, each its own trials; left out: all that there are"""

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        require_number("steps", self.steps, low=1)
        require_choice("sampler", self.sampler, SAMPLERS)
        for name in ("trials", "seeds", "optuna_batch", "eval_episodes"):
            require_int(name, getattr(self, name))
        for name, low in (("halving", 2), ("rungs", 1), ("together", 1), ("devices", 1)):
            if getattr(self, name) is not None:
                require_int(name, getattr(self, name), low=low)
        if self.sampler == "optuna" and self.halving is not None:
            raise SettingError("halving is not allowed with sampler='optuna', which learns from trials of one length.")
        if self.rungs is not None and self.halving is None:
            raise SettingError(f"rungs={self.rungs} is not allowed without halving.")
