"""QTRAN's terms against loops over elements."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.ops.factorisation import least_gap, lower_gap, optimal_gap

N, E = 3, 40
RNG = np.random.default_rng(0)
TOTAL, JOINT = (RNG.normal(size=(N, E)).astype(np.float32) for _ in range(2))
OFFSET = RNG.normal(size=E).astype(np.float32)
LEGAL = np.array(RNG.random((N, E)) < 0.6)
LEGAL[0] |= ~LEGAL.any(0)


def test_optimal_gap_is_squared_on_both_sides_and_lower_gap_below_only():
    for e in range(E):
        gap = TOTAL[0, e] - JOINT[0, e] + OFFSET[e]
        np.testing.assert_allclose(optimal_gap(TOTAL[0], JOINT[0], OFFSET)[e], gap**2, rtol=1e-5)
        np.testing.assert_allclose(lower_gap(TOTAL[0], JOINT[0], OFFSET)[e], min(gap, 0.0) ** 2, rtol=1e-5)


def test_least_gap_is_that_of_the_legal_action_that_comes_nearest_from_above():
    got = least_gap(TOTAL, JOINT, OFFSET, LEGAL)
    for e in range(E):
        gaps = [TOTAL[n, e] - JOINT[n, e] + OFFSET[e] for n in range(N) if LEGAL[n, e]]
        np.testing.assert_allclose(got[e], min(gaps) ** 2, rtol=1e-5)


def test_least_gap_of_who_has_no_legal_action_is_finite():
    gradient = jax.grad(lambda total: least_gap(total, JOINT, OFFSET, jnp.zeros((N, E), bool)).sum())(TOTAL)
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("term", [optimal_gap, lower_gap, functools.partial(least_gap, legal=LEGAL)])
def test_the_joint_value_is_fitted_to_and_not_fitted(term):
    def loss(total, joint, offset):
        return term(total, joint, offset).sum()

    by_total, by_joint, by_offset = jax.grad(loss, argnums=(0, 1, 2))(TOTAL, JOINT, OFFSET)
    np.testing.assert_array_equal(by_joint, 0.0)
    assert bool(jnp.any(by_total != 0.0))
    assert bool(jnp.any(by_offset != 0.0))
