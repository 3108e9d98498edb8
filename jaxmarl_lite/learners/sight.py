"""What networks see of a sequence of steps."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, TimeStep
from jaxmarl_lite.ops.statistics import Moments

_SIGHT_LIMIT = 10.0  # normalised observations are cut there, as in the PPO implementations that published curves are of


class Sees(Protocol):
    """Settings that say what is looked at."""

    @property
    def sees_state(self) -> bool:
        """Whether the global state is among it."""
        ...


class Sight(NamedTuple):
    """Running statistics of what is seen."""

    obs: Moments
    """[A, O]"""
    state: Moments
    """[S]"""


class Seen(NamedTuple):
    """What networks and losses read of a sequence of steps, environments first and features before time.

    So a minibatch of environments is a copy of long runs, and a network's columns lie as they are needed.
    """

    obs: Array
    """[E, O, T, A]"""
    state: Array | None
    """[E, S, T], the global state, if somebody sees it"""
    legal: Array
    """bool [E, N, T, A]"""
    active: Array
    """bool [E, T, A], to move: policies learn here"""
    present: Array
    """bool [E, T, A], not gone: values are learnt here, also of those that wait"""
    restart: Array
    """bool [E, T], an episode begins here"""


def see(settings: Sees, sight: Sight | None, ts: TimeStep, restart: Array) -> Seen:
    """Return what is read of a sequence of steps [T, E, ...]."""
    obs, state = ts.obs, ts.state
    if sight is not None:
        normalised = (sight.obs.normalise(obs), sight.state.normalise(state))
        obs, state = (jnp.clip(x, -_SIGHT_LIMIT, _SIGHT_LIMIT) for x in normalised)
    features_before_time = (1, 3, 0, 2)
    return Seen(
        obs.transpose(features_before_time),
        jnp.moveaxis(state, 0, -1) if settings.sees_state else None,
        ts.legal.transpose(features_before_time),
        jnp.swapaxes(ts.active, 0, 1),
        jnp.swapaxes(~ts.terminated, 0, 1),
        restart.T,
    )


def see_step(settings: Sees, sight: Sight | None, ts: TimeStep, restart: Array) -> Seen:
    """Return what is read of a single step [E, ...], as a sequence of length 1."""
    return see(settings, sight, *jax.tree.map(lambda x: x[None], (ts, restart)))
