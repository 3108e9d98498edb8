"""Networks of a team, beside an implementation in rows that a reader can check by eye."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.nn.gru import Recurrent
from jaxmarl_lite.nn.mlp import MLP, Dense, Hidden
from jaxmarl_lite.nn.net import for_team, owners

I, E, T, A = 4, 3, 5, 2  # noqa: E741, the letters of CONTRIBUTING.md
KEY = jax.random.key(0)

SHARINGS = {"shared": (0, 0), "independent": (0, 1)}
SIZES = {"deep": ((7, 6), 3), "linear": ((), 3), "one output": ((7,), 1), "one of everything": ((1,), 1)}
any_sharing = pytest.mark.parametrize("sharing", SHARINGS)
any_size = pytest.mark.parametrize(("hidden", "outputs"), SIZES.values(), ids=SIZES)


def make(sharing, hidden=(7, 6), outputs=3, activation="tanh"):
    """Return a Net and parameters of which none is zero."""
    net = for_team(MLP(Hidden(hidden, activation), outputs), I, SHARINGS[sharing])
    params, rng = net.init(KEY), np.random.default_rng(0)
    return net, jax.tree.map(lambda x: x + 0.3 * rng.normal(size=x.shape).astype(np.float32), params)


def inputs(seed=0, size=I):
    return np.random.default_rng(seed).normal(size=(size, E, T, A)).astype(np.float32)


def outputs_of(net, params, x):
    return net.apply(params, net.carry(E), x, jnp.zeros((E, T), bool))[1]


def in_rows(params, x, num_layers, activation, xp=jnp):
    """Dense layers on rows [..., I], as they are written in any textbook."""
    for number in range(num_layers):
        layers = params["params"]
        layer = layers["hidden"][f"Dense_{number}"] if number < num_layers - 1 else layers["output"]
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
    net = for_team(MLP(Hidden(()), 1), I, (0, 0))
    kernel = jnp.concatenate([jnp.zeros(I), 10.0 * jnp.arange(A)])[:, None]
    params = {"params": {"output": {"kernel": kernel, "bias": jnp.zeros(1)}}}
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
    shared, independent = (
        jax.tree.leaves(for_team(MLP(Hidden((7,)), 3), I, sets).init(KEY)) for sets in SHARINGS.values()
    )
    assert {leaf.shape for leaf in shared} == {(I + A, 7), (7,), (7, 3), (3,)}
    assert {leaf.shape for leaf in independent} == {(A, I, 7), (A, 7), (A, 7, 3), (A, 3)}
    assert all(bool(jnp.any(leaf[0] != leaf[1])) for leaf in independent if leaf.ndim == 3)


def begun(module):
    return module.init(KEY, module.carry(1, 1), jnp.zeros((8, 1, 1, 1)), jnp.zeros((1, 1), bool))["params"]


def test_weights_begin_orthogonal_and_as_large_as_asked_for():
    params = begun(MLP(Hidden((8, 8)), 3, 0.01))
    layers = [params["hidden"]["Dense_0"], params["hidden"]["Dense_1"], params["output"]]
    for layer, scale in zip(layers, (2**0.5, 2**0.5, 0.01), strict=True):
        kernel = np.asarray(layer["kernel"])
        np.testing.assert_allclose(kernel.T @ kernel, scale**2 * np.eye(kernel.shape[1]), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(layer["bias"], 0.0)


def test_weights_of_several_seeds_are_drawn_one_after_another_and_each_as_if_alone():
    def draw(key):
        return Dense(5, 1.0).init(key, jnp.zeros((8, 1)))

    keys = jax.random.split(KEY, 3)
    together = jax.vmap(draw)(keys)
    for number in range(3):
        mine = jax.tree.map(lambda leaf, number=number: leaf[number], together)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), mine, draw(keys[number]))
    text = jax.jit(jax.vmap(draw)).lower(keys).as_text()
    factored = [line for line in text.splitlines() if "custom_call @lapack_sgeqrf" in line]
    assert factored
    assert all("tensor<3x" not in line for line in factored)


def test_weights_may_begin_normal():
    kernel = np.asarray(Dense(400, 2.0, "normal").init(KEY, jnp.zeros((100, 1)))["params"]["kernel"])
    assert abs(kernel.std() / (2.0 / 100**0.5) - 1.0) < 0.02
    assert abs(kernel.mean()) < 0.005


def test_layer_norm_brings_each_column_to_mean_zero_and_deviation_one():
    hidden = Hidden((16,), "relu", layer_norm=True)
    x = 50.0 * jnp.asarray(inputs()).reshape(I, -1) + 7.0
    params = hidden.init(KEY, x)
    before = Dense(16, 1.0).apply({"params": params["params"]["Dense_0"]}, x)
    want = (before - before.mean(0)) / before.std(0)
    np.testing.assert_allclose(hidden.apply(params, x), jnp.maximum(want, 0.0), rtol=1e-3, atol=1e-4)


SETS = {"shared": (0, 0, 0), "groups": (0, 1, 0), "independent": (0, 1, 2)}
each_module = pytest.mark.parametrize(
    "module", [MLP(Hidden((7,)), 3), Recurrent(Hidden((7,)), 5, 3)], ids=["feed-forward", "recurrent"]
)


def team(module, sets, seed=0):
    net = for_team(module, I, sets)
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(I, E, T, 3)).astype(np.float32)
    params = jax.tree.map(lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32), net.init(KEY))
    return net, params, x, jnp.asarray(rng.random((E, T)) < 0.3)


@each_module
@pytest.mark.parametrize("sets", SETS.values(), ids=SETS)
def test_some_agents_of_a_team_are_applied_as_in_the_whole(module, sets):
    net, params, x, restart = team(module, sets)
    carry, y = net.apply(params, net.carry(E), x, restart)
    assert y.shape == (3, E, T, 3)
    for agent in range(3):
        mine = jax.tree.map(lambda leaf, agent=agent: leaf[:, agent : agent + 1], net.carry(E))
        own_carry, own = net.apply(params, mine, x[..., agent : agent + 1], restart, jnp.array([agent]))
        np.testing.assert_allclose(own[..., 0], y[..., agent], rtol=1e-4, atol=1e-5)
        jax.tree.map(
            lambda a, b, agent=agent: np.testing.assert_allclose(a[:, 0], b[:, agent], atol=1e-5), own_carry, carry
        )


@each_module
def test_agents_of_a_group_share_parameters_and_are_told_apart(module):
    net, params, x, restart = team(module, SETS["groups"])
    assert {leaf.shape[0] for leaf in jax.tree.leaves(params)} == {2}
    x[..., 2] = x[..., 0]
    _, y = net.apply(params, net.carry(E), x, restart)
    assert float(jnp.abs(y[..., 0] - y[..., 2]).max()) > 1e-3
    moved = jax.tree.map(lambda leaf: leaf.at[0].add(0.1), params)
    changed = jnp.abs(net.apply(moved, net.carry(E), x, restart)[1] - y).max((0, 1, 2))
    assert (changed > 1e-3).tolist() == [True, False, True]


def test_owners_are_one_for_all_one_for_each_group_or_one_each():
    spec = Spec(("a", "b", "c"), (4, 2, 4), (3, 3, 3), state_size=1, horizon=1)
    assert [owners(spec, sharing) for sharing in ("shared", "group", "independent")] == list(SETS.values())


def gru_by_hand(params, xs, restarts):
    """A recurrent network on one agent's inputs [T, I], as a loop over steps."""
    sigmoid = lambda x: 1.0 / (1.0 + np.exp(-x))  # noqa: E731
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    memory, outputs = np.zeros(5), []
    for x, restart in zip(xs, restarts, strict=True):
        memory = np.zeros(5) if restart else memory
        encoded = np.tanh(x @ params["hidden"]["Dense_0"]["kernel"] + params["hidden"]["Dense_0"]["bias"])
        reset, update, new = np.split(encoded @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 3)
        from_reset, from_update, from_new = np.split(memory @ params["memory"], 3)
        rate = sigmoid(update + from_update)
        memory = (1 - rate) * np.tanh(new + sigmoid(reset + from_reset) * from_new) + rate * memory
        seen = np.concatenate([encoded, memory])
        outputs.append(seen @ params["output"]["kernel"] + params["output"]["bias"])
    return memory, np.stack(outputs)


def test_a_recurrent_net_is_a_loop_over_steps_whose_memory_is_cleared_where_an_episode_begins():
    net, params, x, restart = team(Recurrent(Hidden((7,)), 5, 3), SETS["independent"])
    carry, y = jax.jit(net.apply)(params, net.carry(E), x, restart)
    assert bool(restart[:, 1:].any())
    for agent in range(3):
        own = jax.tree.map(lambda leaf, agent=agent: leaf[agent], params)
        for e in range(E):
            memory, want = gru_by_hand(own, x[:, e, :, agent].T.astype(np.float64), np.asarray(restart[e]))
            np.testing.assert_allclose(y[:, e, :, agent].T, want, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(carry[e, agent], memory, rtol=1e-4, atol=1e-5)


def test_a_sequence_in_two_parts_is_the_sequence():
    net, params, x, restart = team(Recurrent(Hidden((7,)), 5, 3), SETS["shared"])
    carry, whole = net.apply(params, net.carry(E), x, restart)
    between, first = net.apply(params, net.carry(E), x[:, :, :2], restart[:, :2])
    last, second = net.apply(params, between, x[:, :, 2:], restart[:, 2:])
    np.testing.assert_allclose(jnp.concatenate([first, second], axis=2), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(last, carry, rtol=1e-5, atol=1e-6)
