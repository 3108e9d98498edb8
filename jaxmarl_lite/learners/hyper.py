"""Hyper-parameters that live in a learner's state, where a program reads them and nowhere else."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from jaxmarl_lite.core.env import Array

Hyper = dict[str, Array]


def hyper_leaves(settings: Any) -> Hyper:
    """Return the float fields of a settings dataclass as arrays; None, for no limit, becomes infinity.

    As leaves of the state they may differ along a leading axis: seeds and hyper-parameters run as one program.
    """
    values = {name: getattr(settings, name) for name in leaf_names(settings)}
    return {name: jnp.asarray(math.inf if x is None else x, jnp.float32) for name, x in values.items()}


def leaf_names(settings: Any) -> tuple[str, ...]:
    """Return the names of the float fields of a settings dataclass."""
    return tuple(field.name for field in dataclasses.fields(settings) if field.type in (float, "float", float | None))


def with_hyper(state: Any, hyper: Hyper) -> Any:
    """Return a learner's state with some of its hyper-parameters changed."""
    return state._replace(hyper={**state.hyper, **hyper})
