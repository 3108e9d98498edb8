"""Gradient steps of critics, of actors that climb their values, and of the weight of entropy."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxmarl_lite.core.env import Array, Env, Key, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.minibatches import sum_over_parts
from jaxmarl_lite.learners.off_policy_nets import Parts, actor_networks, as_vectors, learns_apart
from jaxmarl_lite.learners.off_policy_settings import OffPolicySettings
from jaxmarl_lite.learners.optimiser import adam
from jaxmarl_lite.learners.replaying import Learnt, Part, Task, learn_by, learn_from_replay
from jaxmarl_lite.learners.responses import Response
from jaxmarl_lite.learners.sequences import Batch, returns, unrolled, weight_of
from jaxmarl_lite.learners.steps import Collected, ReplayState
from jaxmarl_lite.ops.value import huber


class Draws(NamedTuple):
    """Noise for a batch, leaves [B, ...]."""

    now: Array
    """[B, ..., L, A], for what actors would do"""
    following: Array
    """[B, ..., L - 1 + P, A], for what they would do next"""


def update(
    settings: OffPolicySettings, collected: Collected, env: Env, progress: Array, shard: Shard
) -> tuple[ReplayState, dict[str, Tree]]:
    """Learn from the replay once it holds enough; returns (state, metrics)."""
    nets, apart = actor_networks(settings, env.spec), learns_apart(settings, env.spec)
    learn = functools.partial(learn_from_replay, functools.partial(_gradient_step, apart))
    vectors = functools.partial(as_vectors, apart=apart)
    return learn_by(learn, settings, nets, vectors, collected, env.spec, progress, shard)


def _gradient_step(
    apart: Parts, task: Task, learnt: Learnt, part: Part, chosen: Array, key: Key
) -> tuple[Learnt, dict[str, Array], Array]:
    """Take a step of Adam on the mean losses of the sequences `chosen` of all devices.

    Critics and actors both move from where they stood, so their gradients are one message between devices. Returns
    (learnt, metrics, the mean absolute error of each sequence of this device).
    """
    settings, places = task.settings, jnp.arange(len(chosen))
    shapes = jax.eval_shape(part, chosen)
    draws = _draws(task, shapes, task.shard.first(len(chosen)) + chosen, key)

    def gradient(place: Array, acts: bool) -> Tree:
        mine = jax.tree.map(lambda x: x[place], draws)
        losses = functools.partial(_losses, task, learnt, part(chosen[place]), mine, acts)
        grads, (sums, error) = jax.grad(lambda flat: losses(task.restore(flat)), has_aux=True)(learnt.flat)
        return grads, sums, jnp.where(place == places[:, None], error, 0.0).sum(-1)

    is_due = learnt.steps % settings.actor_period == 0

    def gradient_of_what_is_due(place: Array) -> Tree:
        if settings.actor_period == 1:
            return gradient(place, True)
        return jax.lax.cond(is_due, lambda: gradient(place, True), lambda: gradient(place, False))

    rows = settings.drawn * shapes.choice.shape[-1]
    grads, sums, error = sum_over_parts(gradient_of_what_is_due, places, rows)
    grads, sums = task.shard.sum((grads, sums))
    weight, acting = (jnp.maximum(sums[name], 1e-8) for name in ("weight", "acting"))
    grads = Parts(grads.actor / acting, grads.critic / weight, grads.temperature / acting)
    learnt = _moved(apart, task, learnt, grads, is_due)
    # Where actors move in one step of many only, so that the mean over steps is theirs.
    scale = settings.actor_period / acting
    metrics = {name: sums[name] / weight for name in ("loss", "value")}
    metrics |= {name: scale * sums[name] for name in ("actor_loss", "entropy")}
    norms = {"grad_norm": jnp.linalg.norm(grads.critic), "actor_grad_norm": jnp.linalg.norm(grads.actor)}
    return learnt, {**metrics, **norms, "temperature": _temperature(task, task.restore(learnt.flat)).mean()}, error


def _moved(apart: Parts, task: Task, learnt: Learnt, grads: Parts, acts: Array) -> Learnt:
    """Return what is learnt after a step of Adam on each part; actors and the temperature only if it is their turn."""
    hyper = task.hyper
    rates = Parts(hyper["actor_lr"], hyper["lr"], hyper["temperature_lr"])
    moves = Parts(acts, True, acts if task.settings.stochastic and task.settings.tune_temperature else False)

    def move(alone: bool, rate: Array, moves: Any, grad: Array, vector: Array, state: Tree) -> tuple[Array, Tree]:
        updates, new_state = adam(alone, rate * task.pace, hyper["max_grad_norm"]).update(grad, state)
        new: Any = optax.apply_updates(vector, updates)
        return jax.tree.map(functools.partial(jnp.where, moves), (new, new_state), (vector, state))

    made = [move(*of_part) for of_part in zip(apart, rates, moves, grads, learnt.flat, learnt.opt_state, strict=True)]
    flat, opt_state = (Parts(*parts) for parts in zip(*made, strict=True))
    return learnt._replace(flat=flat, opt_state=opt_state, steps=learnt.steps + 1)


def _losses(
    task: Task, learnt: Learnt, batch: Batch, draws: Draws, acts: bool, params: Parts
) -> tuple[Array, tuple[dict[str, Array], Array]]:
    """Return the sum of losses over a batch, sums of what is told of it, and each sequence's mean absolute error.

    A critic learns from what it says of the next actions; with `acts` actors climb the values of the critics, which
    stand still, and the temperature follows their entropy.
    """
    nets, units = task.nets, task.units
    told = nets.responder.told(_first(batch.choice, task.spec))
    target = units.normalise(_targets(task, learnt, batch, draws, jax.lax.stop_gradient(params)))
    said = nets.judge(params.critic, batch.seen, told)
    weight = weight_of(batch, said[0])
    errors = [values - target for values in said]
    loss = sum((huber(error, task.hyper["huber"]) for error in errors), jnp.zeros(weight.shape))
    if batch.weight is not None:
        loss = batch.weight[:, None, None] * loss
    total = jnp.where(weight > 0, loss, 0.0).sum()
    sums = {"loss": total, "value": jnp.where(weight > 0, units.restore(said[0]), 0.0).sum(), "weight": weight.sum()}
    mean_error = jnp.where(weight > 0, jnp.abs(errors[0]), 0.0).sum((1, 2)) / jnp.maximum(weight.sum((1, 2)), 1.0)
    of_actors, actor_sums = _actor_losses(task, batch, draws, told, params) if acts else (0.0, _NOTHING)
    return total + of_actors, jax.lax.stop_gradient(({**sums, **actor_sums}, mean_error))


_NOTHING = {name: np.zeros((), np.float32) for name in ("actor_loss", "entropy", "acting")}


def _actor_losses(task: Task, batch: Batch, draws: Draws, told: Array, params: Parts) -> tuple[Array, dict[str, Array]]:
    """Return the sum of the losses of actors and temperature, and sums of what is told of them."""
    nets, settings = task.nets, task.settings
    legal, active = jnp.swapaxes(batch.seen.legal, 0, 1), batch.seen.active
    outputs, _ = unrolled(nets.actor, params.actor, batch)
    response = nets.responder.respond(outputs, legal, jnp.swapaxes(draws.now, 0, 1), task.hyper)
    others = told if settings.others == "replay" else jax.lax.stop_gradient(response.told)
    said = nets.judge(jax.lax.stop_gradient(params.critic), batch.seen, response.own, others)
    climbed = functools.reduce(jnp.minimum, said) if settings.stochastic else said[0]
    alpha = jax.lax.stop_gradient(_temperature(task, params))
    # A team's value counts for each of its agents, so that their number does not change the weight of the rest.
    loss = -jnp.broadcast_to(climbed, active.shape) - alpha * response.entropy
    loss += task.hyper["logit_penalty"] * _mean_square(outputs, legal)
    gap = jax.lax.stop_gradient(response.entropy) - _target_entropy(task.spec, task.hyper)
    weight = active.astype(jnp.float32)

    def summed(x: Array) -> Array:
        return jnp.where(active, x, 0.0).sum()

    sums = {"actor_loss": summed(loss), "entropy": summed(response.entropy), "acting": weight.sum()}
    return summed(loss) + summed(params.temperature * gap), sums


def _targets(task: Task, learnt: Learnt, batch: Batch, draws: Draws, params: Parts) -> Array:
    """Return what the values of a batch should have been [B, L, G], in units of reward.

    Deterministic actors are followed by target actors (Lillicrap et al. 2016, arXiv:1509.02971, algorithm 1); from a
    distribution the actors themselves draw, and its entropy is worth its weight wherever it is had (Haarnoja et al.
    2018, arXiv:1801.01290, eqs. 2-3).
    """
    nets, slow = task.nets, task.restore(learnt.target)
    outputs, ahead = unrolled(nets.actor, (params if task.settings.stochastic else slow).actor, batch)
    outputs, following = jnp.concatenate([outputs[:, :, 1:], ahead], 2), batch.following
    legal = jnp.swapaxes(following.legal, 0, 1)
    response: Response = nets.responder.foresee(outputs, legal, jnp.swapaxes(draws.following, 0, 1), task.hyper)
    others = None if response.told is response.own else response.told  # told the same, a joint critic looks once
    said, units = nets.judge(slow.critic, following, response.own, others), learnt.target_units
    bonus = units.deviation * _bonus(task, params, response, following.active, said[0])
    value = units.restore(functools.reduce(jnp.minimum, said))
    return returns(task.settings, task.hyper, task.units, batch, value, bonus)


def _bonus(task: Task, params: Parts, response: Response, active: Array, values: Array) -> Array:
    """Return what entropy is worth for values [B, L, G]: of a team's, the mean over its agents."""
    worth = jnp.where(active, _temperature(task, params) * response.entropy, 0.0)
    return worth if values.shape == worth.shape else worth.mean(-1, keepdims=True)


def _temperature(task: Task, params: Parts) -> Array:
    """Return the weight of the entropy of each agent [A]; 0 if actors are no distributions."""
    weight = task.hyper["temperature"] * jnp.exp(params.temperature)
    return weight if task.settings.stochastic else jnp.zeros_like(weight)


def _target_entropy(spec: Spec, hyper: dict[str, Array]) -> Array:
    """Return what entropy is wanted of each agent [A]."""
    sizes = jnp.asarray(spec.action_sizes, jnp.float32)
    return hyper["entropy_discrete"] * jnp.log(sizes) if spec.is_discrete else hyper["entropy_continuous"] * sizes


def _mean_square(outputs: Array, legal: Array) -> Array:
    """Return the mean square of outputs [Y, ...] that stand for what is there; legal [N, ...], Y a multiple of N."""
    is_there = jnp.concatenate([legal] * (len(outputs) // len(legal)))
    return jnp.where(is_there, jnp.square(outputs), 0.0).sum(0) / jnp.maximum(is_there.sum(0), 1)


def _draws(task: Task, batch: Batch, numbers: Array, key: Key) -> Draws:
    """Return noise for the sequences of a batch of these shapes, which follows from their `numbers` among all."""
    (_, length, ahead), agents = (*batch.place.shape, batch.follows.shape[1]), task.spec.num_agents

    def of_one(number: Array) -> Draws:
        for_now, for_next = jax.random.split(jax.random.fold_in(key, number))
        noise = task.nets.responder.noise
        return Draws(noise(for_now, (length, agents)), noise(for_next, (length - 1 + ahead, agents)))

    return jax.vmap(of_one)(numbers)


def _first(choice: Array, spec: Spec) -> Array:
    """Return choices [B, L, ...] as they are made: int32 [B, L, A] or float32 [D, B, L, A]."""
    return choice if spec.is_discrete else jnp.moveaxis(choice, -2, 0)
