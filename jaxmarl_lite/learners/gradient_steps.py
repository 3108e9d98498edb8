"""Gradient steps on a rollout."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxmarl_lite.core.env import Array, Key, Tree
from jaxmarl_lite.core.shard import Shard
from jaxmarl_lite.learners.actor_critic import ActorCritic, Nets, compares_actions, critic_of, distribution_of
from jaxmarl_lite.learners.hyper import Hyper
from jaxmarl_lite.learners.minibatches import shuffled, sum_over_parts
from jaxmarl_lite.learners.on_policy_settings import OnPolicySettings
from jaxmarl_lite.learners.optimiser import adam, as_vector
from jaxmarl_lite.learners.sight import Seen
from jaxmarl_lite.ops.policy import in_basis, policy_gradient, ppo_clip
from jaxmarl_lite.ops.statistics import Sums
from jaxmarl_lite.ops.value import value_loss


class Batch(NamedTuple):
    """What is learnt from; leaves [E, T, A] but for `seen`."""

    seen: Seen
    choice: Array
    """[E, T, A], or [E, D, T, A] if continuous"""
    log_prob: Array
    value: Array
    advantage: Array
    target: Array
    factor: Array | None = None
    """by how much more likely agents that learnt before have become to choose what they chose"""


class Task(NamedTuple):
    """A rollout and by what it is learnt from."""

    settings: OnPolicySettings
    nets: Nets
    sets: tuple[int, ...]
    """for each agent the number of the set of parameters that it uses"""
    hyper: Hyper
    progress: Array
    shard: Shard
    memory: ActorCritic
    """of the networks when the rollout began"""
    batch: Batch
    agents: Array | None = None
    """int32 [A'], whose steps the batch is of; None: all agents'"""

    @property
    def learns_apart(self) -> bool:
        """Whether there is more than one set of parameters, in leaves with a leading axis of them."""
        return max(self.sets) > 0

    @property
    def entropy_weight(self) -> Array:
        """The weight of the entropy bonus at this point of the run."""
        return self.hyper["entropy"] * ((1.0 - self.progress) if self.settings.anneal_entropy else 1.0)

    def part(self, chosen: Array) -> tuple[ActorCritic, Batch]:
        """Return memories and batch of the environments `chosen`."""
        return jax.tree.map(lambda x: x[chosen], (self.memory, self.batch))


class Learnt(NamedTuple):
    """What learning changes."""

    params: ActorCritic
    opt_state: Tree


class Scale(NamedTuple):
    """What a minibatch is measured by; a leading axis has one for each minibatch."""

    weight: Array
    """[], the number of steps of active agents"""
    present: Array
    """[], of agents that are not gone"""
    centre: Array
    """[A], the mean of the advantages"""
    rate: Array
    """[A], one over their deviation"""


def gradient_steps(task: Task, learnt: Learnt, key: Key) -> tuple[Learnt, dict[str, Array]]:
    """Take `epochs` x `minibatches` steps of Adam; returns (learnt, metrics)."""
    settings, shard, hyper = task.settings, task.shard, task.hyper
    lr = hyper["lr"] * ((1.0 - task.progress) if settings.anneal_lr else 1.0)
    optimiser = adam(task.learns_apart, lr, hyper["max_grad_norm"])
    num_envs, length, num_agents = task.batch.advantage.shape
    keys = jax.random.split(key, settings.epochs)
    order = jnp.concatenate([shuffled(key, num_envs, settings.minibatches, shard) for key in keys])
    # One vector of parameters: one norm, one step of the optimiser and one message between devices.
    flat, restore = as_vector(learnt.params, task.learns_apart)

    def gradient(flat: Array, scale: Scale, chosen: Array) -> Tree:
        loss = functools.partial(_loss, task, scale, *task.part(chosen))
        return jax.grad(lambda flat: loss(restore(flat)), has_aux=True)(flat)

    def minibatch(carry, inputs):
        flat, opt_state, going = carry
        chosen, scale = inputs
        grads, metrics = sum_over_parts(functools.partial(gradient, flat, scale), chosen, length * num_agents)
        kl = metrics["approx_kl"] if going is not None else None
        grads, kl = shard.sum((grads, kl))
        updates, new_opt_state = optimiser.update(grads, opt_state, flat)
        stepped = _where_concerned(task, (flat + updates, new_opt_state), (flat, opt_state))
        if going is not None:
            going &= kl <= hyper["max_kl"]
            stepped = jax.tree.map(functools.partial(jnp.where, going), stepped, (flat, opt_state))
        return (*stepped, going), (metrics, jnp.linalg.norm(grads))

    stops = settings.max_kl is not None and settings.objective != "trust_region"
    carry: Any = (flat, learnt.opt_state, jnp.ones((), bool) if stops else None)
    (flat, opt_state, _), (metrics, norms) = jax.lax.scan(minibatch, carry, (order, scales(task, order)))
    metrics = shard.sum(jax.tree.map(jnp.mean, metrics))
    return Learnt(restore(flat), opt_state), {**metrics, "grad_norm": norms.mean()}


def scales(task: Task, order: Array) -> Scale:
    """Return the scale of each minibatch of `order`, int32 [M, n]."""
    batch, shard = task.batch, task.shard
    team = functools.partial(_pooled, task)
    whole = team(shard.sum(Sums.of(batch.advantage, batch.seen.active, axis=(0, 1))))
    per_env = Sums.of(batch.advantage - whole.mean, batch.seen.active, axis=1)
    present = batch.seen.present.sum((1, 2), dtype=jnp.float32)
    members, present = shard.sum(jax.tree.map(lambda x: x[order].sum(1), (per_env, present)))
    sums = team(members)
    centre, rate = whole.mean + sums.mean, jax.lax.rsqrt(sums.variance + 1e-8)
    if not task.settings.standardise_advantages:
        centre, rate = jnp.zeros_like(centre), jnp.ones_like(rate)
    return Scale(members.weight.sum(-1), present, centre, rate)


def weighted_advantage(batch: Batch, scale: Scale) -> Array:
    """Return the advantages [E, T, A] as objectives see them: 0 where nobody acts."""
    # What weighs nothing may be anything, even NaN, which must not reach the gradient either.
    advantage = jnp.where(batch.seen.active, (batch.advantage - scale.centre) * scale.rate, 0.0)
    return advantage if batch.factor is None else advantage * batch.factor


def shares_of(batch: Batch, scale: Scale, term: Array) -> Array:
    """Return the part that the steps of `term` [E, T, A] have in their minibatch's mean over active agents."""
    return _shares(term, batch.seen.active, scale.weight)


def _shares(term: Array, counts: Array, weight: Array) -> Array:
    return jnp.sum(jnp.where(counts, term, 0.0) * (counts / jnp.maximum(weight, 1e-8)))


def _pooled(task: Task, sums: Sums) -> Sums:
    """Return for each agent the sums [..., A] of all that share its parameters.

    Agents that learn apart have nothing in common, not even a scale of advantages.
    """
    if not task.learns_apart:
        return jax.tree.map(lambda x: jnp.broadcast_to(x.sum(-1, keepdims=True), x.shape), sums)
    sets = jnp.asarray(task.sets)[... if task.agents is None else task.agents]
    same = (sets[:, None] == sets).astype(jnp.float32)
    return jax.tree.map(lambda x: jnp.einsum("...b,ab->...a", x, same, precision="highest"), sums)


def _where_concerned(task: Task, new: Tree, old: Tree) -> Tree:
    """Return the new leaves [G, ...] of the sets that the task's agents use, and the old ones of all others."""
    if task.agents is None or not task.learns_apart:
        return new
    concerned = jnp.asarray(task.sets)[task.agents]
    is_concerned = (jnp.arange(max(task.sets) + 1)[:, None] == concerned).any(-1)

    def select(new: Array, old: Array) -> Array:
        return jnp.where(is_concerned.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(select, new, old)


def _loss(
    task: Task, scale: Scale, memory: ActorCritic, batch: Batch, params: ActorCritic
) -> tuple[Array, dict[str, Array]]:
    """Return the part that these environments have in a minibatch's mean loss, and in its metrics."""
    # Who waits for its turn has a value, by which those before it are judged, and nothing to choose.
    value_loss = _shares(_value_term(task, memory, batch, params), batch.seen.present, scale.present)
    terms = _policy_terms(task, scale, memory, batch, params)
    means = {name: shares_of(batch, scale, term) for name, term in terms.items()}
    loss = task.hyper["value_weight"] * value_loss
    if means:
        loss = loss + means["policy_loss"] - task.entropy_weight * means["entropy"]
    return loss, {"loss": loss, "value_loss": value_loss, **means}


def _value_term(task: Task, memory: ActorCritic, batch: Batch, params: ActorCritic) -> Array:
    compares = compares_actions(task.settings)
    basis = task.nets.head.basis(jnp.moveaxis(batch.choice, 0, -3)) if compares else None
    _, values = critic_of(task.nets, params.critic, memory.critic, batch.seen, basis, task.agents)
    value = values[0] if basis is None else in_basis(basis, values)
    target = jnp.where(batch.seen.present, batch.target, 0.0)
    return value_loss(value, batch.value, target, task.hyper["value_clip"], task.hyper["huber"])


def _policy_terms(task: Task, scale: Scale, memory: ActorCritic, batch: Batch, params: ActorCritic) -> dict[str, Array]:
    """Return the policy's loss and what is told of it; nothing under a trust region, where it has its own step."""
    if task.settings.objective == "trust_region":
        return {}
    _, distribution = distribution_of(task.nets, params.actor, memory.actor, batch.seen, task.agents)
    log_prob, entropy = task.nets.head.terms(distribution, jnp.moveaxis(batch.choice, 0, -3))
    advantage, moved = weighted_advantage(batch, scale), log_prob - batch.log_prob
    objective = policy_gradient
    if task.settings.objective == "clip":
        objective = functools.partial(ppo_clip, clip=task.hyper["clip"])
    return {
        "policy_loss": objective(log_prob, batch.log_prob, advantage),
        "entropy": entropy,
        # Schulman's low-variance estimate, (r - 1) - log r with r = new / old probability.
        "approx_kl": jnp.expm1(moved) - moved,
    }
