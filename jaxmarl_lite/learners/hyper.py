"""Hyper-parameters that live in a learner's state."""

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
    leaves = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.type in (float, "float", float | None):
            leaves[field.name] = jnp.asarray(math.inf if value is None else value, jnp.float32)
    return leaves
