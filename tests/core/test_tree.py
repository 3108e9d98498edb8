import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.tree import along_last, batch_first, batch_last, when_any


def double_where_negative(x):
    """The intended use: what few elements need, selected elementwise afterwards."""
    flags = x < 0
    return when_any(flags, lambda: jnp.where(flags, 2 * x, x), lambda: x)


def expected(x):
    return np.where(x < 0, 2 * x, x)


def values(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


WITH_SOME = [values(4), values(3, 4), values(2, 3, 4)]


@pytest.mark.parametrize("x", WITH_SOME + [np.abs(x) for x in WITH_SOME], ids=lambda x: f"{x.shape}{x.min() < 0}")
def test_when_any_gives_right_values_under_jit_and_nested_vmap(x):
    function = double_where_negative
    for _ in x.shape[1:]:
        function = jax.vmap(function)
    np.testing.assert_allclose(function(x), expected(x))
    np.testing.assert_allclose(jax.jit(function)(x), expected(x))


@pytest.mark.parametrize("row_with_flag", [0, 1, 2])
def test_when_any_is_right_if_only_one_of_the_batch_has_a_flag(row_with_flag):
    x = np.abs(values(3, 4))
    x[row_with_flag, 2] = -5.0
    np.testing.assert_allclose(jax.vmap(double_where_negative)(x), expected(x))


def test_when_any_gives_right_values_in_a_scan_under_vmap():
    def f(x):
        return jax.lax.scan(lambda carry, _: (double_where_negative(carry) + 1.0,) * 2, x, length=4)[1]

    x = values(3, 4) * 3.0
    want, carry = [], x
    for _ in range(4):
        carry = expected(carry) + 1.0
        want.append(carry)
    np.testing.assert_allclose(jax.jit(jax.vmap(f, out_axes=1))(x), np.stack(want), rtol=1e-6)


def test_when_any_takes_flags_that_are_not_batched():
    flags = jnp.array([False, True])
    f = jax.vmap(lambda x: when_any(flags, lambda: x + 1.0, lambda: x))
    np.testing.assert_allclose(f(jnp.arange(3.0)), jnp.arange(1.0, 4.0))


def test_when_any_has_the_gradient_of_the_branch_taken():
    grad = jax.vmap(jax.grad(lambda x: double_where_negative(x).sum()))
    x = values(3, 4)
    np.testing.assert_allclose(grad(x), np.where(x < 0, 2.0, 1.0))


def plain_cond(x):
    flags = x < 0
    return jax.lax.cond(flags.any(), lambda: jnp.where(flags, 2 * x, x), lambda: x)


def batched(function, times):
    for _ in range(times):
        function = jax.vmap(function)
    return function


@pytest.mark.parametrize("times", [0, 1, 2])
def test_when_any_stays_a_branch_under_vmap_in_the_jaxpr(times):
    x = values(*(2, 3)[:times], 4)
    assert " cond[" in str(jax.make_jaxpr(batched(double_where_negative, times))(x))
    # The control: this is what happens to a plain cond, and why when_any exists.
    assert (" cond[" in str(jax.make_jaxpr(batched(plain_cond, times))(x))) is (times == 0)


@pytest.mark.parametrize("times", [0, 1, 2])
def test_when_any_stays_a_branch_when_compiled(times):
    def heavy(x):
        flags = x[0] < 0
        return when_any(flags, lambda: jnp.where(flags, x @ x, x), lambda: x)

    x = values(*(2, 3)[:times], 8, 8)
    assert " conditional(" in jax.jit(batched(heavy, times)).lower(x).compile().as_text()


def test_batch_last_and_batch_first_are_inverses_on_every_leaf():
    tree = {"a": values(2, 3, 4), "b": (jnp.arange(2),)}
    last = batch_last(tree)
    assert last["a"].shape == (3, 4, 2)
    np.testing.assert_array_equal(last["a"][..., 1], tree["a"][1])
    jax.tree.map(np.testing.assert_array_equal, batch_first(last), tree)


@pytest.mark.parametrize("times", [0, 1, 2])
def test_along_last_takes_trees_and_sees_instances_as_the_last_axis(times):
    shapes = []

    def difference(pair, scale):
        shapes.append(pair["a"].shape)
        return scale * (pair["a"][:, None] - pair["b"][None])

    pair = {"a": values(*(2, 3)[:times], 4, 2), "b": values(*(2, 3)[:times], 5, 2)}
    function = batched(lambda pair: along_last(difference)(pair, 3.0), times)
    want = 3.0 * (pair["a"][..., :, None, :] - pair["b"][..., None, :, :])
    np.testing.assert_allclose(jax.jit(function)(pair), want, rtol=1e-6)
    assert times == 0 or (4, 2, (2, 3)[times - 1]) in shapes
    grad = jax.grad(lambda pair: function(pair).sum())(pair)
    np.testing.assert_allclose(grad["a"], np.full(pair["a"].shape, 15.0))
