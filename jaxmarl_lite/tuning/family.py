"""The learners and environments that a sweep tells apart by numbers alone, so that one program trains them all."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Env
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_known
from jaxmarl_lite.environments import registry
from jaxmarl_lite.environments.contract import check_shapes
from jaxmarl_lite.learners.hyper import leaf_names
from jaxmarl_lite.learners.learner import Learner
from jaxmarl_lite.tuning.copies import Copy
from jaxmarl_lite.tuning.space import Space, Values

ENV = "env."  # before the name of an environment's setting


@dataclass(frozen=True)
class Family:
    """A learner and an environment in the middle of a space, and all others in it."""

    learner: Learner
    env: Env

    def at(self, values: Values) -> tuple[Learner, Env]:
        """Return the learner and the environment at a point of the space; raises SettingError if it is not allowed."""
        settings = dataclasses.replace(self.learner.settings, **_of_learner(values))
        origin, changed = registry.origin(self.env), _of_env(values)
        env = registry.make(origin[0], **{**origin[1], **changed}) if origin and changed else self.env
        return settings.build(self.learner.name), env

    def copies(self, trial: int, values: Values, seeds: int) -> list[Copy]:
        """Return the copies that a trial consists of, one for each seed."""
        _, env = self.at(values)
        return [Copy(trial, seed, _of_learner(values), env) for seed in range(seeds)]


def family_of(learner: Learner, env: Env, space: Space) -> Family:
    """Return the family that `space` spans around a learner and an environment.

    Raises SettingError if a setting is unknown or no number that a program reads as it runs, or if an end of its range
    is not allowed.
    """
    origin, names = registry.origin(env), leaf_names(learner.settings)
    all_names = {field.name for field in dataclasses.fields(learner.settings)}
    for name in space:
        if not name.startswith(ENV):
            require_known(f"setting of {learner.name}", name, all_names)
            if name not in names:
                raise SettingError(
                    f"{name} cannot be searched: a program is compiled for it. Search {', '.join(names)}."
                )
        elif origin is None:
            raise SettingError(f"{name} cannot be searched: make the environment by name, with jml.make.")
    middle = {name: one.at(0.5) for name, one in space.items()}
    family = Family(*Family(learner, env).at(middle))
    family.learner.check(family.env.spec)
    check_shapes(family.env)
    for name, one in space.items():
        for value in one.values:
            _require_same_program(family, name, {**middle, name: value})
    return family


def _require_same_program(family: Family, name: str, values: Mapping[str, float]) -> None:
    """Raise SettingError if a point of the space is not allowed, or differs in more than numbers."""
    learner, env = family.at(dict(values))
    is_same = _shapes(env) == _shapes(family.env) and env.spec == family.env.spec
    if values[name] == 0.0 and not name.startswith(ENV):  # of some settings 0 is the absence of what they are for
        key = jax.eval_shape(lambda: jax.random.key(0))
        states = [jax.eval_shape(one.init, key, env) for one in (learner, family.learner)]
        is_same = is_same and _shapes(states[0]) == _shapes(states[1])
    if not is_same:
        raise SettingError(f"{name} cannot be searched at {values[name]:g}: a program of its own is compiled for that.")


def _shapes(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return structure, [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]


def _of_learner(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if not name.startswith(ENV)}


def _of_env(values: Mapping[str, float]) -> dict[str, float]:
    return {name.removeprefix(ENV): value for name, value in values.items() if name.startswith(ENV)}
