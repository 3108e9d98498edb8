"""Gradient steps on a rollout by the clipped objective of PPO."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.learners.actor_critic import ActorCritic, Seen, logits_of, value_of
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.minibatches import shuffled, sum_over_parts
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.ops.policy import categorical, ppo_clip
from jaxmarl_lite.ops.statistics import Sums
from jaxmarl_lite.ops.value import clipped_value_loss

ADAM_EPS = 1e-5  # as in the PPO implementations that the published curves come from


class Batch(NamedTuple):
    """What gradient steps read; leaves [E, T, A] but for `seen`."""

    seen: Seen
    action: Array
    log_prob: Array
    value: Array
    advantage: Array
    target: Array


class Scale(NamedTuple):
    """What a minibatch is measured by; a leading axis has one for each minibatch."""

    weight: Array
    """[], the number of steps of active agents"""
    centre: Array
    """[] or [A], the mean of the advantages"""
    rate: Array
    """[] or [A], one over their deviation"""


def first_opt_state(settings: OnPolicySettings, params: ActorCritic) -> Tree:
    """Return the optimiser's state before the first step."""
    return _optimiser(settings, 0.0, 0.0).init(_flat(settings, params)[0])


def clipped_update(
    settings: OnPolicySettings,
    nets: ActorCritic,
    params: ActorCritic,
    opt_state: Tree,
    hyper: Hyper,
    memory: ActorCritic,
    batch: Batch,
    progress: Array,
    key: Key,
    shard: Shard,
) -> tuple[ActorCritic, Tree, dict[str, Array]]:
    """Take `epochs` x `minibatches` gradient steps; returns (params, opt_state, metrics)."""
    lr = hyper["lr"] * ((1.0 - progress) if settings.anneal_lr else 1.0)
    optimiser = _optimiser(settings, lr, hyper["max_grad_norm"])
    num_envs, length, num_agents = batch.advantage.shape
    keys = jax.random.split(key, settings.epochs)
    order = jnp.concatenate([shuffled(key, num_envs, settings.minibatches, shard) for key in keys])
    # One vector of parameters: one norm, one step of the optimiser and one message between devices.
    flat, restore = _flat(settings, params)

    def gradient(flat: Array, scale: Scale, chosen: Array) -> Tree:
        part = jax.tree.map(lambda x: x[chosen], (memory, batch))
        loss = functools.partial(_loss, nets, hyper, scale, *part)
        return jax.grad(lambda flat: loss(restore(flat)), has_aux=True)(flat)

    def minibatch(learnt, inputs):
        flat, opt_state = learnt
        chosen, scale = inputs
        grads, metrics = sum_over_parts(functools.partial(gradient, flat, scale), chosen, length * num_agents)
        grads = shard.sum(grads)
        updates, opt_state = optimiser.update(grads, opt_state, flat)
        return (flat + updates, opt_state), (metrics, jnp.linalg.norm(grads))

    scales = _scales(settings, batch, order, shard)
    learnt: Any = (flat, opt_state)
    (flat, opt_state), (metrics, norms) = jax.lax.scan(minibatch, learnt, (order, scales))
    metrics = shard.sum(jax.tree.map(jnp.mean, metrics))
    return restore(flat), opt_state, {**metrics, "grad_norm": norms.mean()}


def _flat(settings: OnPolicySettings, params: ActorCritic) -> tuple[Array, Callable[[Array], ActorCritic]]:
    """Return all parameters as a vector [P], or [A, P] if each agent has its own, and the way back."""
    if settings.sharing == "shared":
        return ravel_pytree(params)
    _, restore = ravel_pytree(jax.tree.map(lambda x: x[0], params))
    return jax.vmap(lambda own: ravel_pytree(own)[0])(params), jax.vmap(restore)


def _optimiser(settings: OnPolicySettings, lr: Array | float, max_norm: Array | float) -> optax.GradientTransformation:
    optimiser = optax.chain(optax.clip_by_global_norm(max_norm), optax.adam(lr, eps=ADAM_EPS))
    if settings.sharing == "shared":
        return optimiser

    # One norm and one step for each agent, so that none throttles another.
    def update(updates: Tree, state: Tree, params: Tree | None = None) -> tuple[Tree, Tree]:
        return jax.vmap(optimiser.update)(updates, state, params)

    return optax.GradientTransformation(jax.vmap(optimiser.init), update)


def _scales(settings: OnPolicySettings, batch: Batch, order: Array, shard: Shard) -> Scale:
    """Return the scale of each minibatch of `order`."""
    # Agents with parameters of their own have nothing in common, not even a scale of advantages.
    team = (lambda sums: sums) if settings.sharing == "independent" else (lambda sums: jax.tree.map(_over_agents, sums))
    whole = team(shard.sum(Sums.of(batch.advantage, batch.seen.active, axis=(0, 1))))
    per_env = Sums.of(batch.advantage - whole.mean, batch.seen.active, axis=1)
    members = shard.sum(jax.tree.map(lambda x: x[order].sum(1), per_env))
    sums = team(members)
    centre, rate = whole.mean + sums.mean, jax.lax.rsqrt(sums.variance + 1e-8)
    if not settings.standardise_advantages:
        centre, rate = jnp.zeros_like(centre), jnp.ones_like(rate)
    return Scale(_over_agents(members.weight), centre, rate)


def _over_agents(x: Array) -> Array:
    return x.sum(-1)


def _loss(
    nets: ActorCritic,
    hyper: Hyper,
    scale: Scale,
    memory: ActorCritic,
    batch: Batch,
    params: ActorCritic,
) -> tuple[Array, dict[str, Array]]:
    """Return the part that these environments have in a minibatch's mean loss, and in its metrics."""
    _, logits = logits_of(nets.actor, params.actor, memory.actor, batch.seen)
    _, value = value_of(nets.critic, params.critic, memory.critic, batch.seen)
    log_prob, entropy = categorical(logits, batch.action)
    # What weighs nothing may be anything, even NaN, which must not reach the gradient either.
    active = batch.seen.active
    advantage = jnp.where(active, (batch.advantage - scale.centre) * scale.rate, 0.0)
    target = jnp.where(active, batch.target, 0.0)
    moved = log_prob - batch.log_prob
    terms = {
        "policy_loss": ppo_clip(log_prob, batch.log_prob, advantage, hyper["clip"]),
        "value_loss": clipped_value_loss(value, batch.value, target, hyper["value_clip"]),
        "entropy": entropy,
        # Schulman's low-variance estimate, (r - 1) - log r with r = new / old probability.
        "approx_kl": jnp.expm1(moved) - moved,
    }
    share = active / jnp.maximum(scale.weight, 1e-8)
    means = {name: jnp.sum(jnp.where(active, term, 0.0) * share) for name, term in terms.items()}
    loss = means["policy_loss"] + hyper["value_weight"] * means["value_loss"] - hyper["entropy"] * means["entropy"]
    return loss, {"loss": loss, **means}
