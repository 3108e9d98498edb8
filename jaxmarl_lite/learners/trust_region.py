"""A step along the natural gradient, as far as the policy may diverge."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxmarl_lite.core.env import Array, Tree
from jaxmarl_lite.learners.actor_critic import distribution_of
from jaxmarl_lite.learners.gradient_steps import Learnt, Task, scales, shares_of, weighted_advantage
from jaxmarl_lite.learners.minibatches import sum_over_parts
from jaxmarl_lite.ops.policy import policy_gradient

CONJUGATE_STEPS = 10  # Schulman et al. 2015, appendix C
DAMPING = 0.1  # added to the Fisher matrix, as in the implementations that published curves come from
HALVINGS = 10


def natural_step(task: Task, learnt: Learnt) -> tuple[Learnt, dict[str, Array]]:
    """Move the actor by sqrt(2 max_kl / g.x) x for F x = g, halved until it gains and stays within max_kl.

    g is the gradient of the surrogate, F the Hessian of the mean divergence from the old policy, the Fisher matrix
    (Schulman et al. 2015, arXiv:1502.05477, eq. 14 and appendix C; Kuba et al. 2022, arXiv:2109.11251, eq. 12). Where
    no halving does, the actor stays. Returns (learnt, metrics).
    """
    flat, restore = ravel_pytree(learnt.params.actor)
    loss, divergence = _measures(task, flat, restore)
    grad = _summed(task, jax.grad(loss))(flat)

    def fisher(vector: Array) -> Array:
        along = _summed(
            task, lambda at, chosen: jax.jvp(lambda at: jax.grad(divergence)(at, chosen), (at,), (vector,))[1]
        )
        return along(flat) + DAMPING * vector

    step = conjugate_gradient(fisher, -grad, CONJUGATE_STEPS)
    curvature = jnp.maximum(step @ fisher(step), 1e-12)
    step = step * jnp.sqrt(2.0 * task.hyper["max_kl"] / curvature)
    measure = _summed(task, lambda at, chosen: (loss(at, chosen), divergence(at, chosen)))
    before, _ = measure(flat)

    def is_refused(trial):
        number, _, loss, kl = trial
        return (number < HALVINGS) & ~((loss < before) & (kl <= task.hyper["max_kl"]))

    def halve(trial):
        number, fraction, *_ = trial
        return number + 1, 0.5 * fraction, *measure(flat + 0.5 * fraction * step)

    first = (jnp.ones((), jnp.int32), jnp.ones(()), *measure(flat + step))
    trial = jax.lax.while_loop(is_refused, halve, first)
    taken, fraction, loss, kl = ~is_refused((jnp.zeros((), jnp.int32), *trial[1:])), *trial[1:]
    flat = jnp.where(taken, flat + fraction * step, flat)
    params = learnt.params._replace(actor=restore(flat))
    kept = {"policy_loss": jnp.where(taken, loss, before), "approx_kl": jnp.where(taken, kl, 0.0)}
    return learnt._replace(params=params), kept


def conjugate_gradient(product: Callable[[Array], Array], target: Array, steps: int) -> Array:
    """Return x with product(x) near target, for a symmetric positive definite matrix given by its products.

    Hestenes and Stiefel 1952, doi:10.6028/jres.049.044, eqs. 3:1; vectors [P].
    """

    def turn(_, carry):
        x, residual, direction, size = carry
        image = product(direction)
        rate = size / jnp.maximum(direction @ image, 1e-20)
        x, residual = x + rate * direction, residual - rate * image
        new_size = residual @ residual
        return x, residual, residual + new_size / jnp.maximum(size, 1e-20) * direction, new_size

    return jax.lax.fori_loop(0, steps, turn, (jnp.zeros_like(target), target, target, target @ target))[0]


def _measures(task: Task, flat: Array, restore: Callable[[Array], Tree]) -> tuple[Callable, Callable]:
    """Return (parameters, environments) -> their part in the mean loss, and in the mean divergence from `flat`."""
    scale = jax.tree.map(lambda x: x[0], scales(task, jnp.arange(len(task.batch.advantage))[None]))
    nets, head = task.nets, task.nets.head

    def distribution(at, memory, batch):
        return distribution_of(nets, restore(at), memory.actor, batch.seen, task.agents)[1]

    def loss(at: Array, chosen: Array) -> Array:
        memory, batch = task.part(chosen)
        terms = head.terms(distribution(at, memory, batch), jnp.moveaxis(batch.choice, 0, -3))
        gain = policy_gradient(terms[0], batch.log_prob, weighted_advantage(batch, scale))
        return shares_of(batch, scale, gain - task.entropy_weight * terms[1])

    def divergence(at: Array, chosen: Array) -> Array:
        memory, batch = task.part(chosen)
        old = jax.lax.stop_gradient(distribution(flat, memory, batch))
        return shares_of(batch, scale, head.divergence(old, distribution(at, memory, batch)))

    return loss, divergence


def _summed(task: Task, part: Callable[[Array, Array], Tree]) -> Callable[[Array], Tree]:
    """Return the sum of `part(parameters, environments)` over all environments of all devices."""
    num_envs, length, num_agents = task.batch.advantage.shape

    def whole(at: Array) -> Tree:
        return task.shard.sum(sum_over_parts(functools.partial(part, at), jnp.arange(num_envs), length * num_agents))

    return whole
