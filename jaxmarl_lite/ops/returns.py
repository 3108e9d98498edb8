"""Estimators of advantage and return, all from one backward recurrence."""

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def backward(x: Array, decay: Array) -> Array:
    """Return y with y_t = x_t + decay_t * y_{t+1} and y_T = 0, along axis 0; shapes [T, ...] -> [T, ...]."""
    chex.assert_equal_shape([x, decay])

    def body(y, inputs):
        x, decay = inputs
        y = x + decay * y
        return y, y

    return jax.lax.scan(body, jnp.zeros_like(x[0]), (x, decay), reverse=True)[1]


def gae(reward: Array, discount: Array, value: Array, successor_value: Array, done: Array, lam: Array | float) -> Array:
    """Return generalised advantages: A_t = d_t + discount_t * lam * (1 - done_t) * A_{t+1}.

    d_t = reward_t + discount_t * successor_value_t - value_t (Schulman et al. 2016, arXiv:1506.02438, eqs. 11 and 16).

    `discount` is gamma * (1 - terminated) and `successor_value` the value of the true successor, the one before any
    reset. So a truncated step (done, not terminated) bootstraps from where the episode really stood, and the sum of
    later errors stops there. All arrays [T, ...], of one shape; `done` is bool.
    """
    chex.assert_equal_shape([reward, discount, value, successor_value, done])
    error = reward + discount * successor_value - value
    return backward(error, discount * lam * (1.0 - done))
