"""Multi-agent reinforcement learning in JAX: environments, learners and training as pure functions.

Importing this package starts no JAX backend, creates no array, and loads each part when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxmarl_lite.comparing.compare import compare
    from jaxmarl_lite.comparing.suite import read_suite
    from jaxmarl_lite.core.env import Env, TimeStep
    from jaxmarl_lite.core.errors import RunError, SettingError
    from jaxmarl_lite.core.spec import Spec
    from jaxmarl_lite.environments.contract import check_env
    from jaxmarl_lite.environments.registry import envs, make, register
    from jaxmarl_lite.environments.vectorize import VecEnv, vectorize
    from jaxmarl_lite.learners.learner import Learner, Policy
    from jaxmarl_lite.learners.presets import algos, make_learner
    from jaxmarl_lite.learners.replicate import replicate
    from jaxmarl_lite.tracking.tracker import track
    from jaxmarl_lite.training.evaluate import evaluate
    from jaxmarl_lite.training.load import load
    from jaxmarl_lite.training.loop import resume, train
    from jaxmarl_lite.tuning.sweep import sweep

__version__ = "0.1.0"

_HOMES = {
    "Env": "core.env",
    "Learner": "learners.learner",
    "Policy": "learners.learner",
    "RunError": "core.errors",
    "SettingError": "core.errors",
    "Spec": "core.spec",
    "TimeStep": "core.env",
    "VecEnv": "environments.vectorize",
    "algos": "learners.presets",
    "check_env": "environments.contract",
    "compare": "comparing.compare",
    "envs": "environments.registry",
    "evaluate": "training.evaluate",
    "load": "training.load",
    "make": "environments.registry",
    "make_learner": "learners.presets",
    "read_suite": "comparing.suite",
    "register": "environments.registry",
    "replicate": "learners.replicate",
    "resume": "training.loop",
    "sweep": "tuning.sweep",
    "track": "tracking.tracker",
    "train": "training.loop",
    "vectorize": "environments.vectorize",
}

__all__ = [
    "Env",
    "Learner",
    "Policy",
    "RunError",
    "SettingError",
    "Spec",
    "TimeStep",
    "VecEnv",
    "__version__",
    "algos",
    "check_env",
    "compare",
    "envs",
    "evaluate",
    "load",
    "make",
    "make_learner",
    "read_suite",
    "register",
    "replicate",
    "resume",
    "sweep",
    "track",
    "train",
    "vectorize",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
