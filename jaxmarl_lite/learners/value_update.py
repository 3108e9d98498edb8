"""Gradient steps on sequences of a replay, or on a fresh rollout."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.data.places import Places
from jaxmarl_lite.learners.minibatches import map_parts, shuffled, sum_over_parts
from jaxmarl_lite.learners.optimiser import adam, as_vector
from jaxmarl_lite.learners.q_nets import ValueParams, learns_apart, q_networks
from jaxmarl_lite.learners.replaying import Learnt, Part, Task, learn_by, learn_from_replay
from jaxmarl_lite.learners.sequences import Batch, batch_at, weight_of
from jaxmarl_lite.learners.steps import Collected, ReplayState
from jaxmarl_lite.learners.value_judge import judge, targets
from jaxmarl_lite.learners.value_settings import ValueSettings
from jaxmarl_lite.ops.value import huber


def update(
    settings: ValueSettings, collected: Collected, env: Env, progress: Array, shard: Shard
) -> tuple[ReplayState, dict[str, Tree]]:
    """Learn from the replay once it holds enough, or from the rollout; returns (state, metrics)."""
    nets, apart = q_networks(settings, env.spec), learns_apart(settings, env.spec)
    learn = functools.partial(learn_from_replay, _gradient_step) if settings.remembers else _learn_from_rollout
    vectors = functools.partial(as_vector, learns_apart=apart)
    return learn_by(learn, settings, nets, vectors, collected, env.spec, progress, shard)


def _learn_from_rollout(task: Task, learnt: Learnt, collected: Collected, key: Key) -> tuple[Learnt, dict[str, Array]]:
    """Take `epochs` x `minibatches` steps towards targets that are found once (Gallici et al. 2024, algorithm 1)."""
    settings, replay = task.settings, collected.replay
    assert replay is not None
    num_envs = len(collected.state.actors.restart)
    places = Places(jnp.arange(num_envs), jnp.zeros(num_envs, jnp.int32))
    batch = batch_at(settings, replay, places, collected.memory, settings.rollout_length, task.spec.horizon)
    params = task.restore(learnt.flat)

    def target(part: Batch) -> Array:
        judged = judge(task.nets, params.agent, part)
        best = judged.following.best
        units = (task.units, learnt.target_units)
        return targets(settings, task.nets, task.hyper, params.mixer, *units, part, judged, best)

    rows = settings.rollout_length * batch.choice.shape[-1]
    batch = batch._replace(target=map_parts(target, batch, rows))
    keys = jax.random.split(key, settings.epochs)
    order = jnp.concatenate([shuffled(key, num_envs, settings.minibatches, task.shard) for key in keys])

    def part(chosen: Array) -> Batch:
        return jax.tree.map(lambda x: x[chosen], batch)

    def step(learnt: Learnt, chosen: Array) -> tuple[Learnt, dict[str, Array]]:
        return _gradient_step(task, learnt, part, chosen, key)[:2]

    learnt, metrics = jax.lax.scan(step, learnt, order)
    learnt = learnt._replace(target_units=task.units)
    return learnt, jax.tree.map(lambda x: x.mean(0), metrics)


def _gradient_step(
    task: Task, learnt: Learnt, part: Part, chosen: Array, key: Key
) -> tuple[Learnt, dict[str, Array], Array]:
    """Take a step of Adam on the mean loss of the sequences `chosen` of all devices.

    Returns (learnt, metrics, the mean absolute error of each sequence of this device).
    """
    del key
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
        apart = learns_apart(task.settings, task.spec)
        optimiser = adam(apart, task.hyper["lr"] * task.pace, task.hyper["max_grad_norm"])
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
        units = (task.units, learnt.target_units)
        target = targets(settings, nets, hyper, slow.mixer, *units, batch, by, best)
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
    return learnt.flat - task.hyper["lr"] * task.pace * grads / jnp.maximum(visits, 1.0)
