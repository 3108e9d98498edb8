"""Gradient steps on sequences of a replay, or on a fresh rollout."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.data.places import Places, Ratings, draw
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.minibatches import map_parts, shuffled, sum_over_parts
from jaxmarl_lite.learners.optimiser import adam, as_vector
from jaxmarl_lite.learners.q_nets import QNets, ValueParams, learns_apart, q_networks
from jaxmarl_lite.learners.sequences import Batch, batch_at, weight_of
from jaxmarl_lite.learners.steps import Collected, ReplayState, drawing
from jaxmarl_lite.learners.units import Units, units_of
from jaxmarl_lite.learners.value_judge import judge, targets
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.ops.value import huber


class Task(NamedTuple):
    """By what gradient steps are taken."""

    settings: ValueSettings
    nets: QNets
    horizon: int
    learns_apart: bool
    restore: Callable[[Array], ValueParams]
    """vector -> parameters"""
    hyper: Hyper
    units: Units
    lr: Array
    beta: Array
    """how far weights undo that some sequences are likelier to be drawn than others"""
    shard: Shard


class Learnt(NamedTuple):
    """What gradient steps change."""

    flat: Array
    """all parameters as one vector: one norm, one step of the optimiser and one message between devices"""
    target: Array | None
    """those of the target network"""
    opt_state: Tree
    steps: Array
    ratings: Ratings | None
    """of the sequences of a replay, if their errors make some likelier to be drawn"""


def update(
    settings: ValueSettings, collected: Collected, env: Env, progress: Array, shard: Shard
) -> tuple[ReplayState, dict[str, Tree]]:
    """Learn from the replay once it holds enough, or from the rollout; returns (state, metrics)."""
    state = collected.state
    apart = learns_apart(settings, env.spec)
    flat, restore = as_vector(state.params, apart)
    lr = state.hyper["lr"] * ((1.0 - progress) if settings.anneal_lr else 1.0)
    nets, units = q_networks(settings, env.spec), units_of(settings, state.told, state.hyper["gamma"])
    beta = 1.0 - (1.0 - state.hyper["priority_weights"]) * (1.0 - progress)
    task = Task(settings, nets, env.spec.horizon, apart, restore, state.hyper, units, lr, beta, shard)
    target = None if state.target_params is None else as_vector(state.target_params, apart)[0]
    learnt = Learnt(flat, target, state.opt_state, state.steps, state.ratings)
    key, learning = jax.random.split(state.key)
    learn = _learn_from_replay if settings.remembers else _learn_from_rollout
    learnt, metrics = learn(task, learnt, collected, learning)
    state = state._replace(
        key=key,
        params=restore(learnt.flat),
        target_params=None if learnt.target is None else restore(learnt.target),
        opt_state=learnt.opt_state,
        steps=learnt.steps,
        ratings=learnt.ratings,
    )
    return state, {**collected.metrics, **metrics}


def _learn_from_replay(task: Task, learnt: Learnt, collected: Collected, key: Key) -> tuple[Learnt, dict[str, Array]]:
    """Take `gradient_steps` steps, each on a batch of its own, if there is enough to draw from."""
    settings, state = task.settings, collected.state
    replay = state.replay
    assert replay is not None
    drawn, batch = drawing(settings), task.shard.part(settings.batch)

    def learn() -> tuple[Learnt, dict[str, Array]]:
        def step(learnt: Learnt, key: Key) -> tuple[Learnt, dict[str, Array]]:
            places = draw(drawn, replay, learnt.ratings, key, task.beta, task.shard)

            def part(chosen: Array) -> Batch:
                place: Places = jax.tree.map(lambda x: x[chosen], places)
                memory = task.nets.agent.carry(len(chosen))
                return batch_at(settings, replay, place, memory, settings.sequence, task.horizon)

            learnt, metrics, error = _gradient_step(task, learnt, part, jnp.arange(batch))
            if learnt.ratings is not None:
                rated = learnt.ratings.rated(drawn, replay, places, error, task.hyper["priority"])
                learnt = learnt._replace(ratings=rated)
            return _follow(task, learnt), metrics

        stepped, metrics = jax.lax.scan(step, learnt, jax.random.split(key, settings.gradient_steps))
        return stepped, jax.tree.map(lambda x: x.mean(0), metrics)

    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(learn)[1])
    return jax.lax.cond(replay.filled >= settings.warmup, learn, lambda: (learnt, nothing))


def _learn_from_rollout(task: Task, learnt: Learnt, collected: Collected, key: Key) -> tuple[Learnt, dict[str, Array]]:
    """Take `epochs` x `minibatches` steps towards targets that are found once (Gallici et al. 2024, algorithm 1)."""
    settings, replay = task.settings, collected.replay
    assert replay is not None
    num_envs = len(collected.state.actors.restart)
    places = Places(jnp.arange(num_envs), jnp.zeros(num_envs, jnp.int32))
    batch = batch_at(settings, replay, places, collected.memory, settings.rollout_length, task.horizon)
    params = task.restore(learnt.flat)

    def target(part: Batch) -> Array:
        judged = judge(task.nets, params.agent, part)
        best = judged.following.best
        return targets(settings, task.nets, task.hyper, params.mixer, task.units, part, judged, best)

    rows = settings.rollout_length * batch.choice.shape[-1]
    batch = batch._replace(target=map_parts(target, batch, rows))
    keys = jax.random.split(key, settings.epochs)
    order = jnp.concatenate([shuffled(key, num_envs, settings.minibatches, task.shard) for key in keys])

    def part(chosen: Array) -> Batch:
        return jax.tree.map(lambda x: x[chosen], batch)

    learnt, metrics = jax.lax.scan(lambda learnt, chosen: _gradient_step(task, learnt, part, chosen)[:2], learnt, order)
    return learnt, jax.tree.map(lambda x: x.mean(0), metrics)


def _gradient_step(
    task: Task, learnt: Learnt, part: Callable[[Array], Batch], chosen: Array
) -> tuple[Learnt, dict[str, Array], Array]:
    """Take a step of Adam on the mean loss of the sequences `chosen` of all devices.

    Returns (learnt, metrics, the mean absolute error of each sequence of this device).
    """
    steps = task.settings.drawn if task.settings.remembers else task.settings.rollout_length

    def gradient(place: Array) -> Tree:
        loss = functools.partial(_loss, task, learnt, part(chosen[place]))
        grads, (sums, error) = jax.grad(lambda flat: loss(task.restore(flat)), has_aux=True)(learnt.flat)
        return grads, sums, jnp.where(place == places[:, None], error, 0.0).sum(-1)

    places = jnp.arange(len(chosen))
    rows = steps * jax.eval_shape(part, chosen).choice.shape[-1]
    grads, sums, error = sum_over_parts(gradient, places, rows)
    grads, sums = task.shard.sum((grads, sums))
    weight = jnp.maximum(sums["weight"], 1e-8)
    grads = grads / weight
    if task.settings.bins:
        learnt = learnt._replace(flat=_moved_by_mean_error(task, learnt, part(chosen), grads * weight))
    else:
        optimiser = adam(task.learns_apart, task.lr, task.hyper["max_grad_norm"])
        updates, opt_state = optimiser.update(grads, learnt.opt_state)
        flat: Any = optax.apply_updates(learnt.flat, updates)
        learnt = learnt._replace(flat=flat, opt_state=opt_state)
    learnt = learnt._replace(steps=learnt.steps + 1)
    metrics = {name: sums[name] / weight for name in ("loss", "value")}
    return learnt, {**metrics, "grad_norm": jnp.linalg.norm(grads)}, error


def _loss(task: Task, learnt: Learnt, batch: Batch, params: ValueParams) -> tuple[Array, Any]:
    """Return the sum of losses over a batch, sums of what is told of it, and each sequence's mean absolute error."""
    nets, settings, hyper = task.nets, task.settings, task.hyper
    judged = judge(nets, params.agent, batch)
    values = nets.mixer.apply(params.mixer, judged.now, batch.choice)
    weight = weight_of(batch, values)
    target = batch.target
    if target is None:
        assert learnt.target is not None
        slow = task.restore(learnt.target)
        by = judge(nets, slow.agent, batch)
        best = (judged if settings.double else by).following.best
        target = targets(settings, nets, hyper, slow.mixer, task.units, batch, by, best)
    error = values - task.units.normalise(target)
    loss = huber(error, hyper["huber"])
    terms = nets.mixer.terms(params.mixer, judged.now, batch.choice)
    loss = sum((hyper["terms_weight"] * term for term in terms.values()), loss)
    if batch.weight is not None:
        loss = batch.weight[:, None, None] * loss
    total = jnp.where(weight > 0, loss, 0.0).sum()
    value = jnp.where(weight > 0, task.units.restore(values), 0.0).sum()
    mean_error = jnp.where(weight > 0, jnp.abs(error), 0.0).sum((1, 2)) / jnp.maximum(weight.sum((1, 2)), 1.0)
    return total, jax.lax.stop_gradient(({"loss": total, "value": value, "weight": weight.sum()}, mean_error))


def _moved_by_mean_error(task: Task, learnt: Learnt, batch: Batch, grads: Array) -> Array:
    """Return tables in which what was visited has moved by lr times its mean error (Watkins and Dayan 1992, eq. 1).

    A value's slope is 1 for the number that it is, so the slope of the sum of values counts the visits.
    """

    def total(flat: Array) -> Array:
        values = judge(task.nets, task.restore(flat).agent, batch).now.chosen(batch.choice)
        return (values * weight_of(batch, values)).sum()

    visits = task.shard.sum(jax.grad(total)(learnt.flat))
    return learnt.flat - task.lr * grads / jnp.maximum(visits, 1.0)


def _follow(task: Task, learnt: Learnt) -> Learnt:
    """Let the target network move to the one that learns, every `target_period` gradient steps, by `target_rate`.

    A period and rate 1 make the hard updates of Mnih et al. 2015, doi:10.1038/nature14236, a rate and period 1 the soft
    ones of Lillicrap et al. 2016, arXiv:1509.02971.
    """
    assert learnt.target is not None
    is_due = learnt.steps % task.settings.target_period == 0
    moved = learnt.target + task.hyper["target_rate"] * (learnt.flat - learnt.target)
    return learnt._replace(target=jnp.where(is_due, moved, learnt.target))
