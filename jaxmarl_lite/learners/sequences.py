"""Sequences of remembered steps, what networks make of them, and what their values should have been."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Tree
from jaxmarl_lite.data.places import Places
from jaxmarl_lite.data.replay import Replay, cuts, read, slots
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.replay_settings import ReplaySettings
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.learners.steps import Step, View, storage
from jaxmarl_lite.learners.units import Units
from jaxmarl_lite.nn.mixers import counted
from jaxmarl_lite.nn.net import Net
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
    """int32 [B, L, A], or [B, L, D, A] if actions are continuous"""
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

    @property
    def following(self) -> Seen:
        """[B, ..., L - 1 + P, A], steps 1 to L - 1 and those ahead."""
        later = (x[:, :, 1:] for x in (self.seen.obs, self.seen.legal))
        obs, legal = (jnp.concatenate(pair, 2) for pair in zip(later, (self.ahead.obs, self.ahead.legal), strict=True))
        state = None
        if self.seen.state is not None:
            assert self.ahead.state is not None
            state = jnp.concatenate([self.seen.state[:, :, 1:], self.ahead.state], 2)
        flags = ((x.active, x.present, x.restart) for x in (self.seen, self.ahead))
        active, present, restart = (jnp.concatenate([now[:, 1:], then], 1) for now, then in zip(*flags, strict=True))
        return Seen(obs, state, legal, active, present, restart)


def batch_at(
    settings: ReplaySettings, replay: Replay, places: Places, memory: Tree, length: int, horizon: int
) -> Batch:
    """Return the sequences at these places, `length` steps without burn-in, in episodes that are cut at `horizon`."""
    burn_in = settings.burn_in if settings.remembers else 0
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


def unrolled(net: Net, params: Tree, batch: Batch) -> tuple[Array, Array]:
    """Return what a network of observations makes of a batch's steps [Y, B, L, A] and of what is ahead [Y, B, P, A].

    Its memory is brought up to date by the steps before. What is ahead is seen, and not remembered.
    """
    memory, seen, ahead = batch.memory, batch.seen, batch.ahead
    if batch.burn_in is not None:
        before = jnp.swapaxes(batch.burn_in.obs, 0, 1)
        memory, _ = net.apply(jax.lax.stop_gradient(params), memory, before, batch.burn_in.restart)
    memories, outputs = net.unroll(params, memory, jnp.swapaxes(seen.obs, 0, 1), seen.restart)
    index = batch.follows[..., None, None]
    then = jax.tree.map(lambda x: _rows(jnp.take_along_axis(x, index, axis=1)), jax.lax.stop_gradient(memories))
    obs = jnp.swapaxes(ahead.obs, 0, 1)
    rows = obs.reshape(len(obs), -1, 1, obs.shape[-1])
    _, of_ahead = net.apply(params, then, rows, jnp.zeros(rows.shape[1:3], bool))
    return outputs, of_ahead.reshape(-1, *obs.shape[1:])


def returns(
    settings: ReplaySettings,
    hyper: Hyper,
    units: Units,
    batch: Batch,
    following: Array,
    bonus: Array | float = 0.0,
) -> Array:
    """Return what the values of a batch should have been [B, L, G], in units of reward.

    `following` [B, L - 1 + P, G] is what steps 1 to L - 1 and those ahead are worth, in the same units, and `bonus`
    what it is worth besides to get there. A step whose successor is not known is not looked through.
    """
    there, extra = (
        jnp.take_along_axis(jnp.broadcast_to(x, following.shape), batch.place[..., None], axis=1)
        for x in (following, bonus)
    )

    def time_first(x: Array) -> Array:
        return jnp.swapaxes(jnp.broadcast_to(x, there.shape), 0, 1)

    discount = hyper["gamma"] * (1.0 - time_first(batch.terminated))
    into_unknown = jnp.concatenate([~batch.is_known[:, 1:], jnp.zeros_like(batch.is_known[:, :1])], 1)
    given = {
        "reward": time_first(units.reward(batch.reward)) + discount * time_first(extra),
        "discount": discount,
        "successor_value": time_first(there),
        "done": time_first(batch.ended | into_unknown),
    }
    if settings.estimator == "n_step":
        return jnp.swapaxes(n_step_returns(**given, n=settings.n_step), 0, 1)
    return jnp.swapaxes(lambda_returns(**given, lam=hyper["lam"]), 0, 1)


def weight_of(batch: Batch, values: Array) -> Array:
    """Return 1 where a value [B, L, G] is learnt, and 0 elsewhere."""
    return jnp.broadcast_to(counted(values, batch.seen.present) & batch.is_known, values.shape).astype(jnp.float32)


def _seen(settings: ReplaySettings, view: View, restart: Array) -> Seen:
    """Return what is seen of stored views [B, L, ...]."""
    widen = storage(settings).widen
    obs, legal = (jnp.swapaxes(x, 1, 2) for x in (view.obs, view.legal))
    state = None if view.state is None else jnp.swapaxes(widen(view.state), 1, 2)
    return Seen(widen(obs), state, legal, view.active, view.present, restart)


def _rows(x: Array) -> Array:
    """Return [E, P, ...] -> [E P, ...]."""
    return x.reshape(-1, *x.shape[2:])
