"""Networks of a team, beside an implementation in rows that a reader can check by eye."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.nn.mlp import MLP, Dense
from jaxmarl_lite.nn.net import feed_forward

I, E, T, A = 4, 3, 5, 2  # noqa: E741, the letters of CONTRIBUTING.md
KEY = jax.random.key(0)

SHARINGS = ("shared", "independent")
SIZES = {"deep": ((7, 6), 3), "linear": ((), 3), "one output": ((7,), 1), "one of everything": ((1,), 1)}
any_sharing = pytest.mark.parametrize("sharing", SHARINGS)
any_size = pytest.mark.parametrize(("hidden", "outputs"), SIZES.values(), ids=SIZES)


def make(sharing, hidden=(7, 6), outputs=3, activation="tanh"):
    """Return a Net and parameters of which none is zero."""
    net = feed_forward(MLP(hidden, outputs, activation, 1.0), I, A, sharing)
    params, rng = net.init(KEY), np.random.default_rng(0)
    return net, jax.tree.map(lambda x: x + 0.3 * rng.normal(size=x.shape).astype(np.float32), params)


def inputs(seed=0, size=I):
    return np.random.default_rng(seed).normal(size=(size, E, T, A)).astype(np.float32)


def outputs_of(net, params, x):
    return net.apply(params, net.carry(E), x, jnp.zeros((E, T), bool))[1]


def in_rows(params, x, num_layers, activation, xp=jnp):
    """Dense layers on rows [..., I], as they are written in any textbook."""
    for number in range(num_layers):
        layer = params["params"][f"Dense_{number}"]
        x = x @ layer["kernel"] + layer["bias"]
        if number < num_layers - 1:
            x = xp.tanh(x) if activation == "tanh" else xp.maximum(x, 0.0)
    return x


def one_agent(params, x, agent, sharing, num_layers, activation="tanh", xp=jnp):
    """What agent `agent` makes of x [I, E, T, A]: [Y, E, T]."""
    rows = xp.moveaxis(x[..., agent], 0, -1)
    if sharing == "shared":
        identity = xp.broadcast_to(xp.eye(A)[agent], (*rows.shape[:-1], A))
        rows = xp.concatenate([rows, identity], axis=-1)
    else:
        params = jax.tree.map(lambda leaf: leaf[agent], params)
    return xp.moveaxis(in_rows(params, rows, num_layers, activation, xp), -1, 0)


@any_sharing
@any_size
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_net_is_a_loop_over_agents(sharing, hidden, outputs, activation):
    net, params = make(sharing, hidden, outputs, activation)
    x = inputs()
    got = jax.jit(lambda params, x: outputs_of(net, params, x))(params, x)
    assert got.shape == (outputs, E, T, A)
    exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    for agent in range(A):
        want = one_agent(exact, x.astype(np.float64), agent, sharing, len(hidden) + 1, activation, np)
        np.testing.assert_allclose(got[..., agent], want, rtol=1e-4, atol=1e-5)


@any_sharing
@any_size
def test_gradients_are_those_of_the_plain_implementation(sharing, hidden, outputs):
    net, params = make(sharing, hidden, outputs)
    x, weight = inputs(), inputs(seed=1, size=outputs)

    def ours(params, x):
        return (outputs_of(net, params, x) * weight).sum()

    def plain(params, x):
        each = [one_agent(params, x, agent, sharing, len(hidden) + 1) for agent in range(A)]
        return (jnp.stack(each, axis=-1) * weight).sum()

    got, want = (jax.jit(jax.grad(loss, argnums=(0, 1)))(params, jnp.asarray(x)) for loss in (ours, plain))
    assert jax.tree.structure(got) == jax.tree.structure(want)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got, want)
    assert all(float(jnp.abs(leaf).max()) > 1e-3 for leaf in jax.tree.leaves(want))


@any_sharing
def test_gradients_are_right_also_when_mapped_over_seeds(sharing):
    net, params = make(sharing, (7,), 1)
    both = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.5 * leaf]), params)
    x, gradient = inputs(), jax.grad(lambda params, x: (outputs_of(net, params, x) ** 2).sum())
    together = jax.jit(jax.vmap(gradient, in_axes=(0, None)))(both, x)
    for seed in range(2):
        alone = gradient(jax.tree.map(lambda leaf, seed=seed: leaf[seed], both), x)
        mine = jax.tree.map(lambda leaf, seed=seed: leaf[seed], together)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), mine, alone)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("columns", [1, 4])
def test_a_dense_layer_is_an_affine_map_of_columns(outputs, columns):
    layer, x = Dense(outputs, 1.0), inputs()[:, 0, :columns, 0]
    params = {"params": {"kernel": inputs(1)[:, 0, :outputs, 0], "bias": inputs(2)[0, 0, :outputs, 1]}}
    want = params["params"]["kernel"].T @ x + params["params"]["bias"][:, None]
    np.testing.assert_allclose(layer.apply(params, x), want, rtol=1e-5, atol=1e-6)
    grad = jax.grad(lambda params: layer.apply(params, x).sum())(params)["params"]
    np.testing.assert_allclose(grad["bias"], np.full(outputs, columns), rtol=1e-6)
    np.testing.assert_allclose(grad["kernel"], np.tile(x.sum(1)[:, None], (1, outputs)), rtol=1e-5, atol=1e-6)


def test_the_index_of_an_agent_is_appended_to_its_own_columns():
    """The one-hot's weights say which agent they belong to: agent a gets 10 a more, whatever its place and time."""
    net = feed_forward(MLP((), 1, "tanh", 1.0), I, A, "shared")
    kernel = jnp.concatenate([jnp.zeros(I), 10.0 * jnp.arange(A)])[:, None]
    params = {"params": {"Dense_0": {"kernel": kernel, "bias": jnp.zeros(1)}}}
    assert jax.tree.map(jnp.shape, net.init(KEY)) == jax.tree.map(jnp.shape, params)
    np.testing.assert_array_equal(outputs_of(net, params, inputs()), np.broadcast_to([0.0, 10.0], (1, E, T, A)))


@any_sharing
def test_agents_environments_and_times_do_not_touch_one_another(sharing):
    net, params = make(sharing)
    x, other = inputs(), inputs()
    other[:, 1, 2, 1] += 1.0
    changed = np.asarray(outputs_of(net, params, x) != outputs_of(net, params, other))
    assert changed[:, 1, 2, 1].all()
    assert changed.sum() == changed.shape[0]


def test_parameters_are_shared_or_have_an_axis_of_agents():
    shared, independent = (jax.tree.leaves(feed_forward(MLP((7,), 3), I, A, s).init(KEY)) for s in SHARINGS)
    assert {leaf.shape for leaf in shared} == {(I + A, 7), (7,), (7, 3), (3,)}
    assert {leaf.shape for leaf in independent} == {(A, I, 7), (A, 7), (A, 7, 3), (A, 3)}
    assert all(bool(jnp.any(leaf[0] != leaf[1])) for leaf in independent if leaf.ndim == 3)


def test_weights_begin_orthogonal_and_as_large_as_asked_for():
    params = MLP((8, 8), 3, "tanh", 0.01).init(KEY, jnp.zeros((8, 1)))["params"]
    for name, scale in (("Dense_0", 2**0.5), ("Dense_1", 2**0.5), ("Dense_2", 0.01)):
        kernel = np.asarray(params[name]["kernel"])
        np.testing.assert_allclose(kernel.T @ kernel, scale**2 * np.eye(kernel.shape[1]), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(params[name]["bias"], 0.0)
