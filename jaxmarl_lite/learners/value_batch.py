"""Sequences to learn the values of actions from, and what these should have been."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree
from jaxmarl_lite.data.places import Places
from jaxmarl_lite.data.replay import Replay, cuts, read, slots
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.q_nets import QNets
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.learners.units import Units
from jaxmarl_lite.learners.value_experience import Step, View, storage
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.nn.mixers import Utilities
from jaxmarl_lite.ops.returns import lambda_returns, n_step_returns


class Batch(NamedTuple):
    """B sequences of L steps, with P successors that are none of these."""

    memory: Tree
    """[B, A, ...], of the agents before the first step, or before `burn_in`"""
    burn_in: Seen | None
    """[B, ..., A], steps by which memory is brought up to date"""
    seen: Seen
    """[B, ..., L, A]"""
    ahead: Seen
    """[B, ..., P, A], successors of steps where an episode was cut, and of the last step"""
    follows: Array
    """int32 [B, P], the steps that these follow"""
    place: Array
    """int32 [B, L], where a step's successor is among steps 1 to L - 1 and those ahead, in one row"""
    is_known: Array
    """bool [B, L, 1], whether it is there"""
    choice: Array
    """int32 [B, L, A]"""
    reward: Array
    """[B, L, A or 1]"""
    terminated: Array
    """bool, the same shape"""
    ended: Array
    """bool [B, L, 1], terminated or truncated"""
    weight: Array | None = None
    """[B], what each sequence weighs; None: all alike"""
    target: Array | None = None
    """[B, L, G], what the values should be; None: to be found from this batch"""


class Judged(NamedTuple):
    """What a network makes of a batch."""

    now: Utilities
    """[..., L, A], of its steps"""
    following: Utilities
    """[..., L - 1 + P, A], of steps 1 to L - 1 and those ahead"""


def batch_at(settings: ValueSettings, replay: Replay, places: Places, memory: Tree, length: int, horizon: int) -> Batch:
    """Return the sequences at these places, `length` steps without burn-in, in episodes that are cut at `horizon`."""
    burn_in = settings.burn_in if settings.experience == "replay" else 0
    slot = slots(replay, places.start, burn_in + length)
    before, slot = slot[:, :burn_in], slot[:, burn_in:]
    kept: Step = replay.steps
    step: Step = read(kept._replace(successor=()), slot, places.env)
    is_cut = step.ended & ~step.terminated.all(-1)
    follows, place, is_known = cuts(is_cut, most=1 + (length - 2) // horizon if length > 1 else 0)
    ahead = read(kept.successor, jnp.take_along_axis(slot, follows, axis=1), places.env)
    view = read((kept.view, kept.restart), before, places.env) if burn_in else None
    return Batch(
        memory,
        None if view is None else _seen(settings, *view),
        _seen(settings, step.view, step.restart),
        _seen(settings, ahead, jnp.zeros(follows.shape, bool)),
        follows,
        place,
        is_known[..., None],
        step.choice,
        step.reward,
        step.terminated,
        step.ended[..., None],
        places.weight,
    )


def _seen(settings: ValueSettings, view: View, restart: Array) -> Seen:
    """Return what is seen of stored views [B, L, ...]."""
    widen = storage(settings).widen
    obs, legal = (jnp.swapaxes(x, 1, 2) for x in (view.obs, view.legal))
    state = None if view.state is None else jnp.swapaxes(widen(view.state), 1, 2)
    return Seen(widen(obs), state, legal, view.active, restart)


def judge(nets: QNets, params: Tree, batch: Batch) -> Judged:
    """Return the values of all actions by the agents' parameters."""
    memory = batch.memory
    if batch.burn_in is not None:
        memory, _ = nets.step(jax.lax.stop_gradient(params), memory, batch.burn_in)
    now, ahead = nets.unroll(params, memory, batch.seen, batch.ahead, batch.follows)
    later = jax.tree.map(lambda x, axis: jax.lax.slice_in_dim(x, 1, None, axis=axis), now, _TIME)
    return Judged(now, jax.tree.map(lambda x, y, axis: jnp.concatenate([x, y], axis), later, ahead, _TIME))


_TIME = Utilities(values=2, legal=2, active=1, state=2)  # type: ignore[arg-type]  # the axis of time in each


def targets(
    settings: ValueSettings,
    nets: QNets,
    hyper: Hyper,
    mixer: Tree,
    units: Units,
    batch: Batch,
    by: Judged,
    best: Array,
) -> Array:
    """Return what the values of a batch should have been [B, L, G], in units of reward.

    `by` and `mixer`'s parameters are of the network that gives the values of successors, in these units, and
    `best`, int32 [B, L - 1 + P, A], what is chosen there.
    """
    values = units.restore(nets.mixer.apply(mixer, by.following, best))
    values = jnp.take_along_axis(values, batch.place[..., None], axis=1)

    def time_first(x: Array) -> Array:
        return jnp.swapaxes(jnp.broadcast_to(x, values.shape), 0, 1)

    given = {
        "reward": time_first(units.reward(batch.reward)),
        "discount": hyper["gamma"] * (1.0 - time_first(batch.terminated)),
        "successor_value": time_first(values),
        "done": time_first(batch.ended),
    }
    if settings.estimator == "n_step":
        return jnp.swapaxes(n_step_returns(**given, n=settings.n_step), 0, 1)
    return jnp.swapaxes(lambda_returns(**given, lam=hyper["lam"]), 0, 1)
