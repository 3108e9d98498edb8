"""A table beside dictionaries and tabular Q-learning by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_legal_action
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.nn.net import for_team
from jaxmarl_lite.nn.table import Table

KEY = jax.random.key(0)
OUTPUTS, E, T, A = 3, 4, 5, 2


def look(module, table, x):
    """What one table says of x [I, E, T, A]."""
    params = {"params": {"table": jnp.asarray(table, jnp.float32)}}
    return module.apply(params, (), jnp.asarray(x, jnp.float32), jnp.zeros(x.shape[1:3], bool))[1]


def rows_of(module, seen):
    """The row of each observation [R, I]."""
    rows = module.bins ** seen.shape[1]
    numbers = np.broadcast_to(np.arange(rows)[:, None], (rows, module.outputs))
    return np.asarray(look(module, numbers, seen.T[:, None, None, :]))[0, 0, 0].astype(int)


def test_every_combination_of_values_has_a_row_of_its_own():
    values = np.linspace(-1.0, 3.0, 4)
    seen = np.array(list(itertools.product(values, repeat=3)), np.float32)
    rows = rows_of(Table(OUTPUTS, bins=4, low=-1.0, high=3.0), seen)
    np.testing.assert_array_equal(rows, np.arange(4**3))


def test_other_values_go_to_the_nearest_and_what_is_outside_to_the_ends():
    module = Table(OUTPUTS, bins=3, low=0.0, high=1.0)
    seen = np.array([[0.2], [0.3], [0.7], [0.8], [-50.0], [1e30], [np.inf], [-np.inf]], np.float32)
    np.testing.assert_array_equal(rows_of(module, seen), [0, 1, 1, 2, 0, 2, 2, 0])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("grid/navigation", {"random_starts": True, "random_goals": True}),
        ("matrix/climbing", {"observation": "last_action"}),
        ("matrix/prisoners_dilemma", {}),
        ("matrix/two_step", {}),
        ("memory/cue", {}),
    ],
)
def test_whatever_is_seen_in_small_worlds_has_a_row_of_its_own(name, settings):
    venv = vectorize(make(name, **settings), 16)

    def step(world, key):
        state, ts = world
        acting, moving = jax.random.split(key)
        action = random_legal_action(acting, venv.spec, ts.legal)
        state, _, following = venv.step(moving, state, action)
        return (state, following), ts.obs

    obs = jax.lax.scan(step, venv.reset(KEY), jax.random.split(KEY, 60))[1]
    seen = np.unique(np.asarray(obs).reshape(-1, obs.shape[-1]), axis=0)
    assert len(set(rows_of(Table(1), seen))) == len(seen)


def test_gradients_of_a_row_that_is_met_again_add_up_as_in_q_learning():
    """A step of gradient descent on half the squared errors is Q(s, a) += lr * error, for every visit."""
    rng = np.random.default_rng(0)
    module, states = Table(OUTPUTS, bins=2), rng.integers(0, 2, (2, E, T, A))
    table = rng.normal(size=(4, OUTPUTS)).astype(np.float32)
    action, target = rng.integers(0, OUTPUTS, (E, T, A)), rng.normal(size=(E, T, A)).astype(np.float32)

    def loss(table):
        values = look(module, table, states)
        chosen = jnp.take_along_axis(values, action[None], axis=0)[0]
        return 0.5 * jnp.square(chosen - target).sum()

    want = table.astype(np.float64)
    for at in np.ndindex(E, T, A):
        row = 2 * states[(0, *at)] + states[(1, *at)]
        want[row, action[at]] += 0.1 * (target[at] - table[row, action[at]])
    assert E * T * A > 4 * OUTPUTS  # so some rows are met again
    np.testing.assert_allclose(table - 0.1 * jax.jit(jax.grad(loss))(table), want, rtol=1e-4, atol=1e-5)


def test_agents_of_a_team_have_tables_of_their_own_that_begin_at_zero():
    net = for_team(Table(OUTPUTS, bins=2), 2, range(A))
    params = net.init(KEY)
    assert jax.tree.map(jnp.shape, params) == {"params": {"table": (A, 4, OUTPUTS)}}
    assert not any(bool(leaf.any()) for leaf in jax.tree.leaves(params))
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (2, E, T, A)), jnp.float32)
    params = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.arange(12.0).reshape(4, 3)), params)
    carry, values = net.apply(params, net.carry(E), x, jnp.zeros((E, T), bool))
    assert carry == ()
    row = 2 * x[0, ..., 1] + x[1, ..., 1]
    np.testing.assert_array_equal(values[..., 0], 0.0)
    np.testing.assert_array_equal(values[..., 1], 3 * row + jnp.arange(3.0)[:, None, None])


def test_a_table_of_too_many_rows_is_refused_with_its_size():
    net = for_team(Table(OUTPUTS), 18, range(A))
    message = r"bins=5 is not allowed for observations of 18 numbers: the table would have 3,814,697,265,625 rows"
    with pytest.raises(SettingError, match=message):
        jax.eval_shape(net.init, KEY)
