"""Estimators of advantage and return, all from one backward recurrence."""

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


def team_mean(reward: Array, gone: Array) -> Array:
    """Return the mean of rewards [..., A] over agents, [..., 1]; one that was `gone` before the step adds nothing."""
    return jnp.where(gone, 0.0, reward).mean(-1, keepdims=True)


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


def vtrace(
    reward: Array,
    discount: Array,
    value: Array,
    successor_value: Array,
    done: Array,
    log_ratio: Array,
    lam: Array | float,
) -> tuple[Array, Array]:
    """Return (v - value, advantage) for actions that another policy chose, as V-trace corrects them.

    v_t - value_t = rho_t d_t + discount_t lam min(1, r_t) (1 - done_t) (v_{t+1} - value_{t+1}), rho_t = min(1, r_t),
    r_t = exp(log_ratio_t) the probability of the action now over that when it was taken, and d_t as in `gae`; the
    advantage is rho_t (reward_t + discount_t v_{t+1} - value_t), with the successor's value in place of v_{t+1} where
    an episode was cut (Espeholt et al. 2018, arXiv:1802.01561, eqs. 1 and 3 and section 4.2). All arrays [T, ...], of
    one shape; discounts, successors and `done` as in `gae`.
    """
    chex.assert_equal_shape([reward, discount, value, successor_value, done, log_ratio])
    ratio = jnp.exp(jnp.minimum(log_ratio, 0.0))
    going = 1.0 - done
    error = reward + discount * successor_value - value
    correction = backward(ratio * error, discount * lam * ratio * going)
    following = jnp.concatenate([correction[1:], jnp.zeros_like(correction[:1])]) * going
    return correction, ratio * (error + discount * following)


def n_step(reward: Array, discount: Array, value: Array, successor_value: Array, done: Array, n: int) -> Array:
    """Return the advantages R_t - value_t for R the `n_step_returns`; arrays [T, ...] of one shape."""
    chex.assert_equal_shape([reward, value])
    return n_step_returns(reward, discount, successor_value, done, n) - value


def n_step_returns(reward: Array, discount: Array, successor_value: Array, done: Array, n: int) -> Array:
    """Return the returns of n steps, fewer where the episode or the arrays end, and then the value.

    n turns of the recurrence y_t = reward_t + discount_t y_{t+1} from y = successor_value (Sutton and Barto 2018,
    eq. 7.1). All arrays [T, ...], of one shape; discounts, successors and `done` as in `gae`.
    """
    chex.assert_equal_shape([reward, discount, successor_value, done])
    returns = reward + discount * successor_value
    for _ in range(n - 1):
        following = jnp.concatenate([returns[1:], successor_value[-1:]])
        returns = reward + discount * jnp.where(done, successor_value, following)
    return returns


def lambda_returns(reward: Array, discount: Array, successor_value: Array, done: Array, lam: Array | float) -> Array:
    """Return G_t = reward_t + discount_t ((1 - lam) successor_value_t + lam G_{t+1}), and one step at the ends.

    Where an episode or the arrays end, what follows is the successor's value alone. With values that are a maximum over
    actions these are the targets of Q(lambda) (Peng and Williams 1996, doi:10.1007/BF00114731, eq. 12; Gallici et al.
    2024, arXiv:2407.04811, algorithm 1). All arrays [T, ...], of one shape; discounts, successors and `done` as in
    `gae`.
    """
    chex.assert_equal_shape([reward, discount, successor_value, done])
    is_last = jnp.arange(len(done)).reshape(-1, *[1] * (done.ndim - 1)) == len(done) - 1
    mixed = jnp.where(done | is_last, 0.0, lam)
    return backward(reward + discount * (1.0 - mixed) * successor_value, discount * mixed)
