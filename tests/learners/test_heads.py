"""Actors' outputs as distributions of actions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.learners.heads import head_of
from jaxmarl_lite.ops.policy import in_basis

KEY = jax.random.key(0)
E = 20_000
BOUNDS = ("cut", "tanh")


def spec(kind, sizes=(3, 2)):
    return Spec(("a", "b"), (1, 1), sizes, 1, 1, action_kind=kind, action_range=(-2.0, 6.0))


def drawn(kind, bounds="cut", scale=1.0):
    """Return (head, parameters, choices) of many teams that are all alike."""
    head = head_of(spec(kind), bounds)
    legal = jnp.array([[True, True, True], [True, True, False]]).T[:, None]
    outputs = scale * jax.random.normal(KEY, (head.outputs, 1, 2))
    params = head.params(jnp.broadcast_to(outputs, (head.outputs, E, 2)), jnp.broadcast_to(legal, (3, E, 2)))
    return head, params, head.draw(params, jax.vmap(head.noise)(jax.random.split(KEY, E)))


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_entropy_of_choices_is_their_mean_log_probability(kind, bounds):
    head, params, choice = drawn(kind)
    log_prob, entropy = head.terms(params, choice)
    assert log_prob.shape == entropy.shape == (E, 2)
    if kind == "discrete":
        np.testing.assert_allclose(-log_prob.mean(0), entropy[0], atol=0.02)
    else:  # what is cut off is more likely than the normal's density there
        assert (np.asarray(-log_prob.mean(0)) < np.asarray(entropy[0]) + 0.02).all()


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_the_divergence_is_the_mean_difference_of_log_probabilities(kind):
    head, params, choice = drawn(kind, "tanh")
    other = drawn(kind, "tanh", scale=0.6)[1]
    difference = head.terms(params, choice)[0] - head.terms(other, choice)[0]
    np.testing.assert_allclose(difference.mean(0), head.divergence(params, other)[0], rtol=0.1, atol=0.02)
    np.testing.assert_allclose(head.divergence(params, params), 0.0, atol=1e-5)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_actions_keep_to_their_range(bounds):
    head, _, choice = drawn("continuous", bounds, scale=3.0)
    action = head.action(choice)
    assert action.shape == (E, 2, 3)
    assert float(action.min()) >= -2.0
    assert float(action.max()) <= 6.0
    assert float(action[..., 0].min()) < 0.0 < 4.0 < float(action.max())


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_component_that_an_agent_lacks_weighs_nothing(bounds):
    head, params, choice = drawn("continuous", bounds)
    log_prob, entropy = head.terms(params, choice)
    other = head.terms(params.at[2, :, 1].add(7.0), choice.at[2, :, 1].set(-3.0))
    np.testing.assert_array_equal(log_prob[:, 1], other[0][:, 1])
    np.testing.assert_array_equal(entropy[:, 1], other[1][:, 1])
    grads = jax.grad(lambda params: head.terms(params, choice)[0].sum())(params)
    assert bool(jnp.isfinite(grads).all())
    np.testing.assert_array_equal(grads[jnp.array([2, 5]), :, 1], 0.0)
    assert float(jnp.abs(grads[:3, :, 0]).max()) > 0


def test_the_mode_is_the_likeliest_choice():
    for kind in ("discrete", "continuous"):
        head, params, choice = drawn(kind)
        at_mode = head.terms(params, head.mode(params))[0]
        assert bool((at_mode >= head.terms(params, choice)[0] - 1e-5).mean() > (0.99 if kind == "discrete" else 0.5))
        assert len(np.unique(np.asarray(head.mode(params)).reshape(-1, E, 2)[:, :, 0], axis=1)[0]) == 1


def test_the_basis_of_discrete_actions_tells_them_apart():
    head, _, choice = drawn("discrete")
    basis = np.asarray(head.basis(choice))
    assert basis.shape == (head.basis_size, E, 2)
    np.testing.assert_array_equal(basis[0], 1)
    np.testing.assert_array_equal(basis[1:].argmax(0), choice)
    np.testing.assert_array_equal(basis[1:].sum(0), 1)


@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_basis_of_continuous_actions_holds_each_of_them_its_square_and_cube_and_the_products_of_two(bounds):
    head, _, choice = drawn("continuous", bounds)
    x = np.asarray(jnp.tanh(choice) if bounds == "tanh" else jnp.clip(choice, -1.0, 1.0), np.float64)
    assert float(np.abs(x).max()) > 0.9
    rows = np.asarray(head.basis(choice), np.float64)[:, :, 0].T
    assert rows.shape == (E, head.basis_size) == (E, 1 + 3 * 3 + 3)
    functions = [x[0], x[1] ** 2, x[2] ** 3, x[0] * x[2], x[1] * x[2] + 3.0 - x[0] ** 3]
    for wanted in functions:
        _, residual, rank, _ = np.linalg.lstsq(rows, wanted[:, 0])
        assert rank == head.basis_size
        np.testing.assert_allclose(residual, 0.0, atol=1e-6)


@pytest.mark.parametrize(("kind", "bounds"), [("discrete", "cut"), ("continuous", "cut"), ("continuous", "tanh")])
def test_counterfactual_advantages_have_a_policy_weighted_mean_of_zero(kind, bounds):
    head, params, choice = drawn(kind, bounds)
    basis, mean = head.basis(choice), head.mean_basis(params)
    np.testing.assert_allclose(basis.mean(1), mean[:, 0], atol=0.03)
    weights = jnp.broadcast_to(jax.random.normal(KEY, (head.basis_size, 1, 2)), basis.shape)
    advantage = in_basis(basis, weights) - in_basis(mean, weights)
    assert float(jnp.abs(advantage.mean(0)).max()) < 0.1 < float(advantage.std(0).min())
    if kind == "discrete":  # weighted by the probabilities themselves, the sum is zero but for rounding
        every = head.basis(jnp.broadcast_to(jnp.arange(3)[:, None], (3, 2)))
        advantage = in_basis(every, weights[:, :3]) - in_basis(mean, weights)[0]
        np.testing.assert_allclose((mean[1:, 0] * advantage).sum(0), 0.0, atol=1e-5)
