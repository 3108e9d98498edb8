"""Devices: one learner whose environments are shared among several."""

from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmarl_lite.core.env import Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.learners.learner import Learner, Phase

AXIS = "devices"


def mesh_of(num_devices: int) -> Mesh:
    """Return the first `num_devices` devices as a mesh of one axis."""
    return Mesh(np.asarray(jax.devices()[:num_devices]), (AXIS,))


def partition(axes: Tree) -> Tree:
    """Return how each leaf is laid over a mesh, from the number of its axis of environments; -1: a copy each."""
    return jax.tree.map(lambda axis: PartitionSpec(*[None] * axis, AXIS) if axis >= 0 else PartitionSpec(), axes)
