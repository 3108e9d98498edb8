"""How a run is cut into updates and blocks, and what a run is from which all of it follows."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmarl_lite.core.env import Env, Key
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.core.settings import require_bool, require_int, require_number
from jaxmarl_lite.environments import registry
from jaxmarl_lite.learners.learner import Learner, Settings
from jaxmarl_lite.learners.presets import make_learner, preset


@dataclass(frozen=True)
class Plan:
    """The size of a run."""

    steps: float
    """environment steps for each seed; rounded up to whole blocks"""
    seeds: int = 1
    """seeds trained side by side as one program, K"""
    blocks: int = 20
    """parts of the run; after each one comes logging, evaluation and a checkpoint"""
    eval_episodes: int = 128
    """episodes of each evaluation, for each seed"""
    sample_eval: bool = False
    """draw actions in evaluation, instead of taking the likeliest"""
    keep: int = 3
    """checkpoints that are kept, the last ones"""
    devices: int | None = None
    """devices that share the environments; left out: all that there are and that can share them equally"""

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        require_number("steps", self.steps, low=1)
        for name in ("seeds", "blocks", "eval_episodes", "keep"):
            require_int(name, getattr(self, name))
        require_bool("sample_eval", self.sample_eval)
        if self.devices is not None:
            require_int("devices", self.devices)


@dataclass(frozen=True)
class Schedule:
    """A plan in units of updates."""

    updates_per_block: int
    blocks: int

    def __post_init__(self) -> None:
        """Raise SettingError on a value that is not allowed."""
        require_int("updates_per_block", self.updates_per_block)
        require_int("blocks", self.blocks)

    @property
    def updates(self) -> int:
        """Updates of the whole run."""
        return self.updates_per_block * self.blocks


def schedule(plan: Plan, steps_per_update: int) -> Schedule:
    """Cut a plan into blocks of equal numbers of updates, the fewest that reach its steps."""
    updates = math.ceil(plan.steps / steps_per_update)
    per_block = math.ceil(updates / plan.blocks)
    return Schedule(per_block, math.ceil(updates / per_block))


def lengthened(before: Schedule, steps: float, steps_per_update: int) -> Schedule:
    """Return the schedule that goes on to `steps` in blocks of the same size."""
    require_number("steps", steps, low=1)
    blocks = math.ceil(math.ceil(steps / steps_per_update) / before.updates_per_block)
    if blocks < before.blocks:
        done = before.updates * steps_per_update
        raise SettingError(f"steps={steps:g} is not allowed: the run has {done} steps, and can only be lengthened.")
    return Schedule(before.updates_per_block, blocks)


def to_config(learner: Learner, env: Env, key: Key, plan: Plan, cut: Schedule) -> dict[str, Any]:
    """Return everything that the run follows from, as JSON values; `from_config` is the inverse.

    Raises SettingError if the environment was not made by `make` from plain values.
    """
    origin = registry.origin(env)
    if origin is None:
        raise SettingError(
            "to be saved, a run's environment must come from jml.make: register its constructor with jml.register "
            "and make it by name."
        )
    name, settings = origin
    return {
        "algo": learner.name,
        "learner": dataclasses.asdict(learner.settings),
        "env": name,
        "env_settings": plain(settings),
        "key": {"impl": str(jax.random.key_impl(key)), "data": jax.random.key_data(key).tolist()},
        "plan": dataclasses.asdict(plan),
        "schedule": dataclasses.asdict(cut),
    }


def from_config(config: dict[str, Any]) -> tuple[Learner, Env, Key, Plan, Schedule]:
    """Return (learner, env, key, plan, schedule) of a config.

    Raises SettingError if a value is not allowed or the environment is not registered in this process, RunError if
    the config is not one.
    """
    try:
        learner = learner_of(config)
        env = registry.make(config["env"], **config["env_settings"])
        key = jax.random.wrap_key_data(jnp.asarray(config["key"]["data"], jnp.uint32), impl=config["key"]["impl"])
        return learner, env, key, Plan(**config["plan"]), Schedule(**config["schedule"])
    except SettingError:
        raise
    except Exception as error:  # whatever a spoilt file makes of it
        raise RunError(f"config.json is not that of a run ({type(error).__name__}: {error}).") from None


def read_settings(path: Path) -> tuple[str, Settings, str, dict[str, Any]]:
    """Return (algorithm, its settings, environment, its settings) of a config: that of a run or a sweep's best.

    Raises SettingError if the file is none.
    """
    try:
        config = json.loads(path.read_text())
        learner = learner_of(config)
        return learner.name, learner.settings, str(config["env"]), dict(config["env_settings"])
    except SettingError:
        raise
    except OSError as error:
        raise SettingError(f"config={str(path)!r} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise SettingError(
            f"config={str(path)!r} is no config: it must have algo, learner, env and env_settings, as a run's "
            "config.json or a sweep's best.json."
        ) from None


def learner_of(config: Mapping[str, Any]) -> Learner:
    """Return the learner of a config's `algo` and `learner`, which may leave out settings.

    Raises SettingError on an unknown name or setting or on a value that is not allowed.
    """
    name, settings = config["algo"], dict(config["learner"])
    tuples = {field for field, value in dataclasses.asdict(preset(name)).items() if isinstance(value, tuple)}
    for setting in tuples & settings.keys():
        if not isinstance(settings[setting], list | tuple):
            raise SettingError(f"{setting}={settings[setting]!r} is not allowed: it must be a list.")
        settings[setting] = tuple(settings[setting])
    return make_learner(name, **settings)


def plain(value: Any) -> Any:
    """Return a setting as JSON values; raises SettingError if it is of no plain type."""
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        return value.tolist()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise SettingError(f"to be saved, a run's environment settings must be plain values, and {value!r} is not one.")
