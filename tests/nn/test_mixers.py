"""Mixers, by what each promises: monotonicity, consistent best actions, and indifference to who is gone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments import registry as environments
from jaxmarl_lite.nn.mixers import Utilities, counted, mixer_of

E, T, N, S = 4, 3, 3, 5
KINDS = ("none", "sum", "monotonic", "duplex", "transform", "alternatives")
CONSISTENT = ("sum", "monotonic", "duplex")
any_kind = pytest.mark.parametrize("kind", KINDS)
any_size = pytest.mark.parametrize("num_agents", [2, 3])


def spec_of(num_agents, state_size=S):
    return Spec(("a",) * num_agents, (1,) * num_agents, (N,) * num_agents, state_size, horizon=1)


def make(kind, num_agents, seed=0, scale=1.0):
    """Return a mixer and random parameters."""
    mixer, rng = mixer_of(kind, spec_of(num_agents), embed=8, hidden=16), np.random.default_rng(seed)
    params = mixer.init(jax.random.key(seed))
    return mixer, jax.tree.map(lambda x: x + scale * rng.normal(size=x.shape).astype(np.float32), params)


def utilities_of(num_agents, seed=0):
    """Random utilities and a legal choice of each agent; each agent lacks some action, and some agents are gone."""
    rng = np.random.default_rng(seed)
    legal = rng.random((N, E, T, num_agents)) < 0.7
    best = rng.integers(0, N, (E, T, num_agents))
    legal |= best == np.arange(N)[:, None, None, None]
    present = rng.random((E, T, num_agents)) < 0.8
    values = rng.normal(size=legal.shape).astype(np.float32)
    state = rng.normal(size=(S, E, T)).astype(np.float32)
    return Utilities(*map(jnp.asarray, (values, legal, present, state))), jnp.asarray(best, jnp.int32)


def joint_actions(num_agents):
    return [jnp.asarray(action, jnp.int32) for action in itertools.product(range(N), repeat=num_agents)]


def everywhere(action):
    return jnp.broadcast_to(action, (E, T, len(action)))


@any_size
@any_kind
def test_values_are_the_teams_or_each_agents(kind, num_agents):
    mixer, params = make(kind, num_agents)
    utilities, choice = utilities_of(num_agents)
    values = jax.jit(mixer.apply)(params, utilities, choice)
    assert values.shape == (E, T, num_agents if kind in ("none", "alternatives") else 1)
    assert mixer.is_joint is (kind != "none")
    want = np.asarray(utilities.present)
    np.testing.assert_array_equal(
        counted(values, utilities.present), want if values.shape[-1] > 1 else want.any(-1, keepdims=True)
    )


def test_independent_values_are_the_agents_own_and_those_of_vdn_their_sum():
    utilities, choice = utilities_of(3)
    values, present = np.asarray(utilities.values), np.asarray(utilities.present)
    own = np.zeros((E, T, 3))
    for e, t, a in np.ndindex(E, T, 3):
        own[e, t, a] = values[choice[e, t, a], e, t, a] if present[e, t, a] else 0.0
    for kind, want in (("none", own), ("sum", own.sum(-1, keepdims=True))):
        mixer, params = make(kind, 3)
        np.testing.assert_allclose(mixer.apply(params, utilities, choice), want, rtol=1e-6)


def test_best_is_the_greatest_legal_action():
    utilities, _ = utilities_of(3)
    values = np.where(utilities.legal, utilities.values, -np.inf)
    np.testing.assert_array_equal(utilities.best, values.argmax(0))
    np.testing.assert_array_equal(utilities.greatest, np.where(utilities.present, values.max(0), 0.0))


def qmix_by_hand(params, values, state):
    """The mixing network for one step, in rows: values [A], state [S]."""
    state = np.where(np.abs(state) > 1.0, np.sign(state) * (1.0 + np.log(np.abs(state))), state)
    state = 2.5 * state / np.sqrt(2.5**2 + np.square(state).sum())
    layers = jax.tree.map(lambda x: np.asarray(x, np.float64), params["params"])

    def dense(layer, x):
        return x @ layer["kernel"] + layer["bias"]

    def hyper(number, hidden, last):
        return dense(layers[last], np.maximum(dense(layers[f"Hidden_{number}"]["Dense_0"], state), 0.0))

    of_sum = 1 / np.sqrt(8)
    first = np.abs(of_sum + hyper(0, "Hidden_0", "Dense_0")).reshape(len(values), -1)
    before = values @ first + dense(layers["Dense_1"], state)
    mixed = np.where(before > 0, before, np.expm1(before))
    return np.abs(of_sum + hyper(2, "Hidden_2", "Dense_3")) @ mixed + hyper(1, "Hidden_1", "Dense_2")[0]


@any_size
def test_qmix_is_its_mixing_network(num_agents):
    mixer, params = make("monotonic", num_agents, scale=0.3)
    utilities, choice = utilities_of(num_agents)
    got, chosen = jax.jit(mixer.apply)(params, utilities, choice), np.asarray(utilities.chosen(choice), np.float64)
    for e, t in np.ndindex(E, T):
        want = qmix_by_hand(params, chosen[e, t], np.asarray(utilities.state[:, e, t], np.float64))
        np.testing.assert_allclose(got[e, t, 0], want, rtol=1e-4, atol=1e-4)


WORLDS = [
    ("lbf/foraging", {"rows": 15, "num_agents": 4, "num_foods": 5}),
    ("mpe/simple_spread", {}),
    ("rware/warehouse", {}),
]


def first_utilities(name, settings):
    """Random utilities and a choice at the start of 64 episodes of a world."""
    env = environments.make(name, **settings)
    state = jax.vmap(lambda key: env.reset(key)[1].state)(jax.random.split(jax.random.key(0), 64)).T[..., None]
    shape = (env.spec.num_actions, 64, 1, env.spec.num_agents)
    values, choice = jax.random.normal(jax.random.key(1), shape), jnp.zeros(shape[1:], jnp.int32)
    return env.spec, Utilities(values, jnp.ones(shape, bool), jnp.ones(shape[1:], bool), state), choice


@pytest.mark.parametrize(("name", "settings"), WORLDS)
@pytest.mark.parametrize("kind", ["monotonic", "duplex", "transform"])
def test_a_joint_value_begins_about_as_large_as_the_agents_values(kind, name, settings):
    spec, utilities, choice = first_utilities(name, settings)
    mixer = mixer_of(kind, spec)
    joint = jnp.stack([mixer.apply(mixer.init(jax.random.key(seed)), utilities, choice) for seed in range(4)])
    # Of foraging's state as it is, 675 (monotonic) and 25,000 (duplex).
    assert jnp.sqrt(jnp.square(joint).mean()) < 5.0


@pytest.mark.parametrize(("name", "settings"), WORLDS)
def test_qmix_begins_near_the_sum_whatever_the_size_of_the_state(name, settings):
    spec, utilities, choice = first_utilities(name, settings)
    mixer = mixer_of("monotonic", spec)

    def joint(values, params):
        return mixer.apply(params, utilities._replace(values=values), choice).sum()

    for seed in range(4):
        slope = jax.grad(joint)(utilities.values, mixer.init(jax.random.key(seed)))[0]
        assert 0.7 < slope.mean() < 1.3, seed
        assert slope.std() < 0.3, seed


@pytest.mark.parametrize("seed", range(4))
def test_joint_value_of_qmix_falls_with_no_agents_value(seed):
    mixer, params = make("monotonic", 3, seed)
    utilities, choice = utilities_of(3, seed)

    def joint(values):
        return mixer.apply(params, utilities._replace(values=values), choice).sum()

    slope = np.asarray(jax.jit(jax.grad(joint))(utilities.values))
    assert (slope >= 0.0).all()
    assert (slope > 0.0).any()


@any_size
@pytest.mark.parametrize("kind", CONSISTENT)
def test_best_joint_action_is_made_of_each_agents_best(kind, num_agents):
    joint = jax.jit(mixer_of(kind, spec_of(num_agents), embed=8, hidden=16).apply)
    for seed in range(8):
        _, params = make(kind, num_agents, seed, scale=(0.1, 1.0)[seed % 2])
        utilities, _ = utilities_of(num_agents, seed)
        values, allowed = [], []
        for action in joint_actions(num_agents):
            choice = everywhere(action)
            taken = jnp.take_along_axis(utilities.legal, choice[None], axis=0)[0]
            values.append(joint(params, utilities, choice)[..., 0])
            allowed.append((taken | ~utilities.present).all(-1))
        most = np.where(np.stack(allowed), np.stack(values), -np.inf).max(0)
        of_best = np.asarray(joint(params, utilities, utilities.best)[..., 0])
        np.testing.assert_allclose(of_best, most, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["monotonic", "duplex"])
def test_worse_actions_are_worse(kind):
    mixer, params = make(kind, 2, scale=0.3)
    utilities, _ = utilities_of(2)
    utilities = utilities._replace(present=jnp.ones_like(utilities.present), legal=jnp.ones_like(utilities.legal))
    worse = jnp.argmin(utilities.values, axis=0).at[..., 1].set(utilities.best[..., 1])
    assert bool(
        (mixer.apply(params, utilities, worse) < mixer.apply(params, utilities, utilities.best)).all(),
    )


@any_kind
def test_agents_that_are_gone_weigh_nothing(kind):
    mixer, params = make(kind, 3)
    utilities, choice = utilities_of(3)
    rest = ~utilities.present
    assert bool(rest.any())
    other = utilities._replace(
        values=jnp.where(rest, 7.0, utilities.values), legal=jnp.where(rest, False, utilities.legal)
    )
    moved = jnp.where(rest, (choice + 1) % N, choice)

    def counting(utilities, choice):
        values = mixer.apply(params, utilities, choice)
        counts = counted(values, utilities.present)
        return [jnp.where(counts, x, 0.0) for x in (values, *mixer.terms(params, utilities, choice).values())]

    for here, there in zip(counting(utilities, choice), counting(other, moved), strict=True):
        np.testing.assert_array_equal(here, there)


def test_what_agents_that_are_gone_add_to_a_duplex_is_nothing():
    mixer, params = make("duplex", 2)
    utilities, choice = utilities_of(2)
    nobody = utilities._replace(present=jnp.zeros_like(utilities.present))
    np.testing.assert_array_equal(mixer.apply(params, nobody, choice), 0.0)


@any_kind
@pytest.mark.parametrize("equal", [True, False])
def test_values_and_gradients_are_finite(kind, equal):
    """Also where all actions are equally good, and where those of agents that are gone are nothing."""
    mixer, params = make(kind, 3, scale=0.0)
    utilities, choice = utilities_of(3)
    values = jnp.ones_like(utilities.values) if equal else jnp.where(utilities.present, utilities.values, jnp.nan)

    def loss(params, values):
        given = utilities._replace(values=values)
        mixed = mixer.apply(params, given, choice)
        terms = (jnp.square(mixed), *mixer.terms(params, given, choice).values())
        return sum(jnp.where(counted(mixed, given.present), term, 0.0).sum() for term in terms)

    grads = jax.jit(jax.grad(loss, argnums=(0, 1)))(params, values)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(grads))
    assert bool(jnp.any(grads[1] != 0.0)) is (kind != "transform" or bool(mixer.terms))


@pytest.mark.parametrize("kind", ["monotonic", "duplex", "transform", "alternatives"])
def test_a_mixer_of_the_state_needs_one(kind):
    with pytest.raises(SettingError, match=f"mixer='{kind}' is not allowed here: the environment has no global state"):
        mixer_of(kind, spec_of(2, state_size=0))


def test_hypernetworks_may_be_linear():
    shapes = jax.eval_shape(mixer_of("monotonic", spec_of(2), embed=8, hidden=0).init, jax.random.key(0))
    assert shapes["params"]["Dense_0"]["kernel"].shape == (S, 2 * 8)


# A game of one step with one state; each cell of its table is a joint action.
GAME = np.array([[8.0, -12.0, -12.0], [-12.0, 0.0, 0.0], [-12.0, 0.0, 0.0]], np.float32)


def fit_to_game(kind, first=(0.0, 0.0, 0.0), steps=800):
    """Fit a mixer and a table of utilities to the game's payoffs, all cells at once: (joint values, utilities)."""
    mixer = mixer_of(kind, spec_of(2, state_size=1), embed=8, hidden=16)
    choice = jnp.stack(joint_actions(2))[:, None]
    cells, payoff = len(choice), GAME.reshape(-1, 1, 1)
    optimiser = optax.adam(0.01)

    def look(values):
        spread = jnp.broadcast_to(values[:, None, None], (N, cells, 1, 2))
        return Utilities(spread, jnp.ones_like(spread, bool), jnp.ones((cells, 1, 2), bool), jnp.ones((1, cells, 1)))

    def loss(learnt):
        values, params = learnt
        utilities = look(values)
        terms = mixer.terms(params, utilities, choice)
        return sum(
            (term.mean() for term in terms.values()), jnp.square(mixer.apply(params, utilities, choice) - payoff).mean()
        )

    def step(carry, _):
        learnt, state = carry
        updates, state = optimiser.update(jax.grad(loss)(learnt), state)
        return (optax.apply_updates(learnt, updates), state), None

    table = jnp.asarray(first)[:, None] + 0.1 * jax.random.normal(jax.random.key(1), (N, 2))
    learnt = (table, mixer.init(jax.random.key(0)))
    (learnt, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, length=steps))((learnt, optimiser.init(learnt)))
    values, params = learnt
    joint = mixer.apply(params, look(values), choice)
    return np.asarray(joint.mean(-1)).reshape(N, N), np.asarray(values)


@pytest.mark.parametrize(
    ("kind", "first"),
    [("transform", (0.0, 0.0, 0.0)), ("alternatives", (0.0, 0.0, 0.0)), ("duplex", (2.0, 0.0, 0.0))],
)
def test_a_game_that_is_not_monotonic_can_be_told(kind, first):
    """By QTRAN from anywhere; by QPLEX, whose advantages may also vanish on the way, if the agents begin elsewhere."""
    joint, values = fit_to_game(kind, first)
    np.testing.assert_allclose(joint, GAME, atol=0.5)
    np.testing.assert_array_equal(values.argmax(0), [0, 0])


def test_a_sum_cannot_tell_it():
    """The least squares of an additive table: -6.22 in the corner, -3.56 where the agents go instead."""
    joint, values = fit_to_game("sum")
    np.testing.assert_allclose(joint[0, 0], -56 / 9, atol=0.3)
    np.testing.assert_allclose(joint[1:, 1:], -32 / 9, atol=0.3)
    assert (values.argmax(0) > 0).all()
