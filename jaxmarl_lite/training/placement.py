"""Laying a learner's environments over devices."""

import math
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmarl_lite.core.env import Tree
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.settings import require_int
from jaxmarl_lite.core.shard import WHOLE, Shard
from jaxmarl_lite.learners.learner import Learner

_AXIS = "devices"
_HOST_DEVICES_FLAG = "xla_force_host_platform_device_count"

Axes = Any
"""for each leaf of a tree, or for all of it: the number of its axis of environments, or COPY"""


class Placement(NamedTuple):
    """Devices that share the environments equally; everything else is the same on each of them."""

    mesh: Mesh

    @staticmethod
    def over(num_devices: int) -> "Placement":
        """Return the placement over the first `num_devices` devices."""
        return Placement(Mesh(np.asarray(jax.devices()[:num_devices]), (_AXIS,)))

    @property
    def shard(self) -> Shard:
        """What a program that `spread` returned is told of the part that it works on."""
        return WHOLE if self.mesh.size == 1 else Shard(_AXIS)

    def spread(self, function: Callable[..., Any], in_axes: tuple[Axes, ...], out_axes: Axes) -> Callable[..., Any]:
        """Return `function` as a program of whole arrays that every device runs on its own part of them."""
        if self.mesh.size == 1:
            return function
        specs = jax.tree.map(_spec, (in_axes, out_axes))
        return jax.shard_map(function, mesh=self.mesh, in_specs=specs[0], out_specs=specs[1], check_vma=False)

    def lay(self, tree: Tree, axes: Axes) -> Tree:
        """Move whole arrays to where `spread` expects them, if they are not there.

        What a program returned has to be laid again: XLA forgets where an empty array was, such as what is said in a
        world in which nobody speaks.
        """
        if self.mesh.size == 1:
            return tree
        return jax.device_put(tree, jax.tree.map(lambda axis: NamedSharding(self.mesh, _spec(axis)), axes))


def _spec(axis: int) -> PartitionSpec:
    return PartitionSpec(*[None] * axis, _AXIS) if axis >= 0 else PartitionSpec()


def offer_cores(wanted: int | None) -> None:
    """Make every core of the processor a device of its own, or `wanted` of them, if JAX has not started yet.

    XLA gains nothing from a second core in the small operations of environments and policies; two devices, each with
    half of the environments, are nearly twice as fast as one. Other accelerators than the processor stay as they are.
    """
    if _HOST_DEVICES_FLAG in os.environ.get("XLA_FLAGS", ""):
        return
    try:
        jax.config.update("jax_num_cpu_devices", wanted or _num_cores())
    except RuntimeError:  # JAX runs already, with the devices that it has
        return
    os.environ.setdefault("NPROC", str(wanted or _num_cores()))  # of XLA's threads: one for each device


def choose_devices(learner: Learner, eval_episodes: int, wanted: int | None) -> int:
    """Return on how many devices to train: `wanted`, or as many as there are that can share the work equally.

    Raises SettingError if `wanted` is more than there are, or cannot share environments and episodes equally.
    """
    return share_equally(math.gcd(learner.settings.equal_parts, eval_episodes), wanted)


def share_equally(parts: int, wanted: int | None) -> int:
    """Return `wanted`, or the greatest number of devices that there are that divides `parts`, of like work.

    Raises SettingError if `wanted` is more than there are, or does not divide `parts`.
    """
    there = jax.device_count()
    if wanted is None:
        return max(count for count in range(1, there + 1) if parts % count == 0)
    require_int("devices", wanted, high=there)
    if parts % wanted:
        raise SettingError(
            f"devices={wanted} is not allowed here: it must divide {parts}, the number of equal parts into which "
            "these settings cut the environments (for a learner: of each minibatch, and of the evaluation)."
        )
    return wanted


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
