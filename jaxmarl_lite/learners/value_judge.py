"""What a network makes of a batch of sequences, and what the values of actions should have been."""

from typing import NamedTuple

import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.q_nets import QNets
from jaxmarl_lite.learners.sequences import Batch, returns, unrolled
from jaxmarl_lite.learners.units import Units
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.nn.mixers import Utilities


class Judged(NamedTuple):
    """What a network makes of a batch."""

    now: Utilities
    """[..., L, A], of its steps"""
    following: Utilities
    """[..., L - 1 + P, A], of steps 1 to L - 1 and those ahead"""


def judge(nets: QNets, params: Tree, batch: Batch) -> Judged:
    """Return the values of all actions by the agents' parameters."""
    outputs, ahead = unrolled(nets.agent, params, batch)
    following = jnp.concatenate([outputs[:, :, 1:], ahead], 2)
    return Judged(nets.utilities(outputs, batch.seen), nets.utilities(following, batch.following))


def targets(
    settings: ValueSettings,
    nets: QNets,
    hyper: Hyper,
    mixer: Tree,
    units: Units,
    target_units: Units,
    batch: Batch,
    by: Judged,
    best: Array,
) -> Array:
    """Return what the values of a batch should have been [B, L, G], in units of reward.

    `by` and `mixer`'s parameters are of the network that gives the values of successors, in `target_units`, and `best`,
    int32 [B, L - 1 + P, A], is what is chosen there.
    """
    values = target_units.restore(nets.mixer.apply(mixer, by.following, best))
    return returns(settings, hyper, units, batch, values)
