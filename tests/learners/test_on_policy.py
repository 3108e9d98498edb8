import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.learners import gradient_steps
from jaxmarl_lite.learners.actor_critic import networks
from jaxmarl_lite.learners.experience import value_of
from jaxmarl_lite.learners.gradient_steps import Task, scales
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.learners.sight import see

KEY = jax.random.key(0)

PLAIN = {"standardise_advantages": False, "normalise_values": "off", "value_clip": None, "anneal_lr": False}


@pytest.fixture
def a_learner(learner_settings):
    """Return a maker of tiny learners."""
    return lambda name="ippo", **changes: make_learner(name, **{**learner_settings, **changes})


def learn(learner, env, updates=1, key=KEY):
    """Return (state, metrics of the last update)."""

    @jax.jit
    def run(env):
        state = learner.init(key, env)
        return jax.lax.scan(lambda state, _: learner.step(state, env, jnp.zeros(())), state, length=updates)

    state, metrics = run(env)
    return state, jax.tree.map(lambda x: x[-1], metrics)


def first_params(learner, env):
    return jax.jit(lambda: learner.params(learner.init(KEY, env)))()


def values(learner, env, state):
    """Return what the critic expects at each time of an episode, in units of reward; [T, A]."""
    seen = [env.reset(KEY)]
    for _ in range(env.spec.horizon - 1):
        seen.append(env.step(KEY, seen[-1][0], jnp.zeros(env.spec.num_agents, int)))
    ts = jax.tree.map(lambda *x: jnp.stack(x)[:, None], *(ts for _, ts in seen))
    nets = networks(learner.settings, env.spec)
    seen = see(learner.settings, state.sight, ts, jnp.zeros(ts.truncated.shape, bool))
    return state.returns.restore(value_of(nets, state.params, nets.memory(1), seen)[0])


def assert_equal_trees(first, second):
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_mappo_is_ippo_where_both_critics_see_the_same(a_learner):
    env = make("matrix/chicken", horizon=5)  # here the observation and the global state are one number
    ippo, mappo = (learn(a_learner(name), env, updates=3)[0] for name in ("ippo", "mappo"))
    assert_equal_trees(ippo.params, mappo.params)


def test_the_critic_of_mappo_reads_the_global_state_and_the_actor_does_not(a_learner):
    env = make("mpe/simple_spread")
    learners = {"ippo": a_learner(), "mappo": a_learner("mappo"), "both": a_learner("mappo", critic="both")}
    shapes = {name: jax.eval_shape(learner.init, KEY, env).params for name, learner in learners.items()}

    def inputs(params):
        return params["params"]["hidden"]["Dense_0"]["kernel"].shape[0]

    assert inputs(shapes["ippo"].actor) == inputs(shapes["mappo"].actor) == 18 + 3
    assert inputs(shapes["ippo"].critic) == 18 + 3
    assert inputs(shapes["mappo"].critic) == env.spec.state_size + 3
    assert inputs(shapes["both"].critic) == 18 + env.spec.state_size + 3
    assert inputs(shapes["both"].actor) == 18 + 3


@pytest.mark.parametrize("settings", [PLAIN, {}], ids=["plain", "standardised"])
def test_a_huge_reward_of_one_agent_does_not_touch_another(a_learner, probe, settings):
    learner = a_learner(sharing="independent", **settings)
    calm, _ = learn(learner, probe(reward=(1.0, 1.0), bonus=1.0))
    wild, metrics = learn(learner, probe(reward=(1.0, 1e6), bonus=1.0))
    if settings is PLAIN:
        assert metrics["grad_norm"] > 1e3
    assert_equal_trees(*(jax.tree.map(lambda x: x[0], state.params) for state in (calm, wild)))


def test_independent_agents_have_parameters_of_their_own(a_learner, probe):
    env = probe(reward=(1.0, 1.0, 1.0))
    shared = jax.eval_shape(a_learner().init, KEY, env).params
    learner = a_learner(sharing="independent")
    apart = jax.jit(lambda: learner.init(KEY, env).params)()
    for mine, one in zip(jax.tree.leaves(apart), jax.tree.leaves(shared), strict=True):
        assert mine.shape[0] == 3
        assert mine.ndim == one.ndim + 1
    kernel = apart.actor["params"]["hidden"]["Dense_0"]["kernel"]
    assert float(jnp.abs(kernel[0] - kernel[1]).max()) > 0.01


def test_a_team_with_shared_parameters_is_clipped_together(a_learner, probe):
    learner = a_learner(**PLAIN)
    calm, _ = learn(learner, probe(reward=(1.0, 1.0), bonus=1.0))
    wild, _ = learn(learner, probe(reward=(1.0, 1e6), bonus=1.0))
    leaves = zip(jax.tree.leaves(calm.params), jax.tree.leaves(wild.params), strict=True)
    assert any(bool(jnp.any(a != b)) for a, b in leaves)


@pytest.mark.parametrize(("terminates", "critic"), [(False, "local"), (True, "joint")], ids=["truncates", "terminates"])
def test_values_go_on_beyond_a_time_limit_and_not_beyond_an_end(a_learner, probe, terminates, critic):
    reward, gamma, length = 2.0, 0.8, 5
    learner = a_learner(gamma=gamma, lr=1e-2, critic=critic, rollout_length=7, **PLAIN)
    env = probe(reward=(reward,), length=length, terminates=terminates)
    state, _ = learn(learner, env, updates=300)
    left = length - np.arange(length)
    expected = reward * (1 - gamma**left) / (1 - gamma) if terminates else np.full(length, reward / (1 - gamma))
    np.testing.assert_allclose(values(learner, env, state)[:, 0], expected, rtol=0.03)


def test_normalised_values_are_right_in_units_of_reward(a_learner, probe):
    learner = a_learner(gamma=0.8, lr=1e-2, anneal_lr=False)
    env = probe(reward=(2.0, 200.0), terminates=True)
    state, _ = learn(learner, env, updates=300)
    expected = (1 - 0.8 ** (5 - np.arange(5))) / 0.2
    np.testing.assert_allclose(values(learner, env, state), expected[:, None] * [2.0, 200.0], rtol=0.05)


@pytest.mark.parametrize("sharing", ["shared", "independent"])
def test_agents_that_are_gone_weigh_nothing(a_learner, probe, sharing):
    learner = a_learner(sharing=sharing)
    quiet, loud = (learn(learner, probe(reward=(1.0, r), bonus=1.0, absent=(1,)), updates=3) for r in (0.0, 1e6))
    assert_equal_trees(quiet[0].params, loud[0].params)
    for name in ("loss", "policy_loss", "value_loss", "entropy", "approx_kl", "grad_norm"):
        assert float(quiet[1][name]) == float(loud[1][name]), name


def test_the_parameters_of_an_agent_that_is_never_there_stay(a_learner, probe):
    learner, env = a_learner(sharing="independent"), probe(reward=(1.0, 1.0), bonus=1.0, absent=(1,))
    before, (after, _) = jax.jit(lambda: learner.init(KEY, env).params)(), learn(learner, env, updates=3)
    changes = [
        jnp.abs(a - b).max(tuple(range(1, a.ndim)))
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after.params), strict=True)
    ]
    assert max(float(change[0]) for change in changes) > 1e-4
    assert max(float(change[1]) for change in changes) == 0


@pytest.mark.parametrize("greedy", [True, False])
def test_no_illegal_action_is_ever_taken_however_much_it_is_wanted(a_learner, probe, greedy):
    learner, env = a_learner(), probe(reward=(1.0, 1.0), num_actions=4, illegal=(0, 2))
    params = first_params(learner, env)
    params[0]["params"]["output"]["bias"] = jnp.array([50.0, 0.0, 50.0, 0.0])
    policy = learner.policy(env.spec)
    _, ts = jax.vmap(env.reset)(jax.random.split(KEY, 500))
    keys = jax.random.split(KEY, 500)
    action, _ = policy.act(params, policy.carry(500), ts, jnp.ones(500, bool), keys, greedy)
    assert action.dtype == jnp.int32
    assert action.shape == (500, 2)
    assert set(np.unique(action)) <= {1, 3}
    assert greedy or set(np.unique(action)) == {1, 3}


def test_learning_takes_no_illegal_action(a_learner, probe):
    # Action 1 pays and is illegal: had it ever been taken, the reward would show it.
    env = probe(reward=(1.0,), bonus=1.0, num_actions=3, illegal=(1,))
    _, metrics = learn(a_learner(), env, updates=5)
    assert float(metrics["action_frequency"][0, 1]) == 0
    assert float(metrics["episode_return"][0] / metrics["episodes"]) == 5
    assert np.isfinite(float(metrics["loss"]))


@pytest.mark.parametrize("greedy", [True, False])
def test_acting_is_indifferent_to_the_order_of_environments(a_learner, greedy):
    learner, env = a_learner(), make("grid/navigation", random_starts=True, random_goals=True)
    params, policy = first_params(learner, env), learner.policy(env.spec)
    params = jax.tree.map(lambda x: 10 * x, params)
    _, ts = jax.vmap(env.reset)(jax.random.split(KEY, 32))
    keys, order = jax.random.split(KEY, 32), jax.random.permutation(KEY, 32)

    def act(ts, keys):
        return policy.act(params, policy.carry(32), ts, jnp.ones(32, bool), keys, greedy)[0]

    action = act(ts, keys)
    assert len(np.unique(action)) > 1
    np.testing.assert_array_equal(act(jax.tree.map(lambda x: x[order], ts), keys[order]), action[order])
    # The keys matter where an action is drawn, and nowhere else.
    assert bool(jnp.any(act(ts, keys[order]) != action)) == (not greedy)


def test_the_loss_is_indifferent_to_the_order_of_environments(a_learner):
    learner, env = a_learner(), make("grid/navigation", horizon=4)
    settings, nets = learner.settings, networks(learner.settings, env.spec)

    @jax.jit
    def losses(order):
        passed = learner.init(KEY, env)
        for name in ("collect", "estimate"):
            passed = learner.phases[name](passed, env, jnp.zeros(()), WHOLE)

        def loss(params, order):
            memory, batch = jax.tree.map(lambda x: x[order], (passed.memory, passed.batch))
            task = Task(settings, nets, (0, 0), passed.state.hyper, jnp.zeros(()), WHOLE, memory, batch)
            scale = jax.tree.map(lambda x: x[0], scales(task, jnp.arange(len(order))[None]))
            return gradient_steps._loss(task, scale, memory, batch, params)[0]

        gradient = jax.value_and_grad(loss)
        return gradient(passed.state.params, jnp.arange(8)), gradient(passed.state.params, order)

    straight, permuted = losses(jnp.array([3, 1, 0, 2, 7, 6, 5, 4]))
    assert float(permuted[0]) == pytest.approx(float(straight[0]), rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), permuted[1], straight[1])


def test_hyper_parameters_are_leaves_that_may_differ_along_an_axis(a_learner, probe):
    env, learner, rates = probe(bonus=1.0), a_learner(), (1e-3, 1e-2)
    state = jax.jit(learner.init)(KEY, env)

    def with_rate(rate):
        return state._replace(hyper={**state.hyper, "lr": jnp.float32(rate)})

    both = jax.tree.map(lambda *x: jnp.stack(x), *map(with_rate, rates))
    together, _ = jax.jit(jax.vmap(learner.step, in_axes=(0, None, None)))(both, env, 0.25)
    step = jax.jit(learner.step)
    for i, rate in enumerate(rates):
        alone, _ = step(with_rate(rate), env, 0.25)
        for one, many in zip(jax.tree.leaves(alone.params), jax.tree.leaves(together.params), strict=True):
            np.testing.assert_allclose(many[i], one, rtol=1e-4, atol=1e-6)
    kernel = together.params.actor["params"]["hidden"]["Dense_0"]["kernel"]
    assert float(jnp.abs(kernel[0] - kernel[1]).max()) > 1e-4


def test_every_float_of_the_settings_is_a_leaf(a_learner, probe):
    learner = a_learner(value_clip=None)
    hyper = jax.jit(learner.init)(KEY, probe()).hyper
    floats = {f.name for f in dataclasses.fields(learner.settings) if "float" in str(f.type)}
    assert hyper.keys() == floats
    assert float(hyper["value_clip"]) == np.inf


def test_the_learning_rate_falls_with_progress(a_learner, probe):
    env = probe(bonus=1.0)

    def moved(learner, progress):
        state = init(KEY, env)
        after, _ = jax.jit(learner.step)(state, env, progress)
        return max(
            float(jnp.abs(a - b).max())
            for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(after.params), strict=True)
        )

    falling = a_learner()
    init = jax.jit(falling.init)
    assert 0 < moved(falling, 0.9) < 0.3 * moved(falling, 0.0)
    assert moved(falling, 1.0) == 0


def test_the_same_key_gives_the_same_state_and_another_key_another(a_learner, probe):
    env, learner = probe(bonus=1.0), a_learner()
    init, step = jax.jit(learner.init), jax.jit(learner.step)
    first, again, other = (step(init(key, env), env, 0.0)[0].params for key in (KEY, KEY, jax.random.key(1)))
    assert_equal_trees(first, again)
    assert any(bool(jnp.any(a != b)) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True))


def test_a_step_keeps_the_shapes_of_the_state(a_learner, probe):
    learner, env = a_learner(), probe(reward=(1.0, 2.0))
    before = jax.eval_shape(learner.init, KEY, env)
    after, _ = jax.eval_shape(learner.step, before, env, jnp.zeros(()))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), before) == jax.tree.map(lambda x: (x.shape, x.dtype), after)
