"""What the value family learns from, and towards what."""

import json
import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmarl_lite as jml
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.data.replay import Places
from jaxmarl_lite.learners.as_one import AsOne, actions_of
from jaxmarl_lite.learners.presets import make_learner, preset
from jaxmarl_lite.learners.q_nets import q_networks
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.units import Told, units_of
from jaxmarl_lite.learners.value_batch import batch_at, judge, targets
from jaxmarl_lite.ops.statistics import Moments, Sums
from jaxmarl_lite.training.loop import run_updates
from jaxmarl_lite.training.memory import is_surely_small, memory_plan

KEY, GAMMA, LENGTH = jax.random.key(0), 0.9, 8
TINY = {"num_envs": 8, "rollout_length": LENGTH, "hidden": (16,), "gamma": GAMMA, "normalise_values": False}
REPLAY = {"capacity": 16, "batch": 8, "warmup": LENGTH, "updates": 2, "target_period": 3}
pytestmark = pytest.mark.usefixtures("quick_compilation")


def tiny(name, **changes):
    given = {"minibatches": 2} if preset(name).experience == "fresh" else REPLAY
    return make_learner(name, **{**TINY, **given, **changes})


@pytest.fixture(scope="module")
def collected(probe):
    """Return a maker of (learner, env, state, batch of all 8 steps of all environments)."""

    def collect(name, terminates, **changes):
        learner = tiny(name, sequence=LENGTH, **changes)
        env = probe(reward=(1.0, 2.0), bonus=1.0, terminates=terminates, illegal=(2,), num_actions=3)
        state = learner.init(KEY, env)
        state = jax.jit(lambda state: learner.phases["collect"](state, env, jnp.zeros(()), WHOLE).state)(state)
        places = Places(jnp.arange(8), jnp.zeros(8, jnp.int32))
        memory = q_networks(learner.settings, env.spec).agent.carry(8)
        batch = batch_at(learner.settings, state.replay, places, memory, LENGTH, env.spec.horizon)
        return learner, env, state, batch

    return collect


@pytest.mark.parametrize("terminates", [False, True])
def test_a_step_behind_which_an_episode_was_cut_is_followed_by_its_true_successor(collected, terminates):
    _, _, _, batch = collected("iql", terminates)
    shown = np.argmax(batch.seen.obs[:, :, :, 0], axis=1)
    np.testing.assert_array_equal(shown, [[0, 1, 2, 3, 4, 0, 1, 2]] * 8)
    np.testing.assert_array_equal(batch.ended[0, :, 0], np.arange(LENGTH) == 4)
    ahead = np.argmax(batch.ahead.obs[:, :, :, 0], axis=1)
    successors = np.take_along_axis(np.concatenate([shown[:, 1:], ahead], axis=1), np.asarray(batch.place), axis=1)
    # The fifth step of an episode leads to a time that looks as the fifth does, and not to the first of the next one.
    np.testing.assert_array_equal(successors[0], [1, 2, 3, 4, 0 if terminates else 4, 1, 2, 3])
    assert bool(batch.is_known.all())


def naive_targets(learner, env, state, gamma, lam, double):
    """Targets [E, T, A] of networks without memory: each true successor looked at by itself, returns added up."""
    nets, replay = q_networks(learner.settings, env.spec), state.replay.steps
    views = jax.tree.map(lambda x: x[:LENGTH], replay.successor)
    shape = (LENGTH, 8, 2)

    def values(params):
        obs = jnp.moveaxis(views.obs, -2, 0)  # [O, T, E, A], environments and time may change places
        _, values = nets.agent.apply(params, (), obs, jnp.zeros(shape[:2], bool))
        return np.asarray(jnp.where(jnp.moveaxis(views.legal, -2, 0), values, -1e9))

    slow, online = values(state.target_params.agent), values(state.params.agent)
    best = (online if double else slow).argmax(0)
    chosen = np.take_along_axis(slow, best[None], axis=0)[0]
    reward, terminated = np.asarray(replay.reward[:LENGTH]), np.asarray(replay.terminated[:LENGTH])
    if learner.settings.is_joint:
        chosen = chosen.sum(-1, keepdims=True)
    ended, out = np.asarray(replay.ended[:LENGTH]), np.zeros(chosen.shape)
    for t in reversed(range(LENGTH)):
        later = chosen[t]
        if t < LENGTH - 1:
            later = np.where(ended[t][:, None], chosen[t], lam * out[t + 1] + (1.0 - lam) * chosen[t])
        out[t] = reward[t] + gamma * (1.0 - terminated[t]) * later
    return np.swapaxes(out, 0, 1)


@pytest.mark.parametrize("terminates", [False, True])
@pytest.mark.parametrize(("name", "double", "lam"), [("iql", True, 0.0), ("vdn", False, 0.7), ("vdn", True, 1.0)])
def test_targets_are_those_of_each_true_successor_by_itself(collected, name, double, lam, terminates):
    learner, env, state, batch = collected(name, terminates, double=double, lam=lam)
    state = state._replace(target_params=jax.tree.map(lambda x: 0.5 - x, state.params))
    nets, settings = q_networks(learner.settings, env.spec), learner.settings
    online, slow = (judge(nets, params.agent, batch) for params in (state.params, state.target_params))
    units = units_of(settings, state.told, jnp.asarray(GAMMA))
    best = (online if double else slow).following.best
    got = targets(settings, nets, state.hyper, {}, units, batch, slow, best)
    np.testing.assert_allclose(got, naive_targets(learner, env, state, GAMMA, lam, double), rtol=1e-4, atol=1e-5)


def test_what_lies_ahead_is_seen_with_the_memory_of_the_steps_before(collected):
    learner, env, state, batch = collected("iql", False, memory=4)
    nets, params = q_networks(learner.settings, env.spec), state.params.agent
    following = judge(nets, params, batch).following.values
    seen, memory = batch.seen, batch.memory
    for t in range(5):  # the fifth step ends an episode
        step = seen._replace(
            obs=seen.obs[:, :, t : t + 1], legal=seen.legal[:, :, t : t + 1], restart=seen.restart[:, t : t + 1]
        )
        memory, _ = nets.step(params, memory, step)
    assert int(batch.follows[0, 0]) == 4
    ahead = batch.ahead._replace(obs=batch.ahead.obs[:, :, :1], restart=jnp.zeros((8, 1), bool))
    _, values = nets.step(params, memory, ahead._replace(legal=batch.ahead.legal[:, :, :1]))
    np.testing.assert_allclose(following[:, :, LENGTH - 1], values[:, :, 0], rtol=1e-5, atol=1e-6)


def test_burn_in_brings_memory_to_where_the_sequence_begins(collected):
    learner, env, state, whole = collected("iql", False, memory=4)
    nets, params = q_networks(learner.settings, env.spec), state.params.agent
    settings = tiny("iql", memory=4, burn_in=3, sequence=5).settings
    places = Places(jnp.arange(8), jnp.zeros(8, jnp.int32))
    batch = batch_at(settings, state.replay, places, whole.memory, 5, env.spec.horizon)
    values = judge(nets, params, batch).now.values
    np.testing.assert_allclose(values, judge(nets, params, whole).now.values[:, :, 3:], rtol=1e-4, atol=1e-6)
    slope = jax.grad(lambda params: judge(nets, params, batch._replace(seen=batch.seen)).now.values[:, :, 0].sum())
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slope(params)))


def test_the_units_of_values_are_those_of_a_constant_prediction():
    ends, reward = jnp.array([0.0, 0.0, 0.0, 1.0]), jnp.array([1.0, 3.0, 1.0, 3.0])
    told = Told(*(Moments.start(()).update(Sums.of(x, jnp.ones(4)), 0.9) for x in (reward, ends)))
    units = units_of(tiny("iql", normalise_values=True).settings, told, jnp.asarray(GAMMA))
    assert float(units.centre) == pytest.approx(2.0 / (1.0 - GAMMA * 0.75), rel=1e-5)
    variance = 1.0 + (GAMMA * float(units.centre)) ** 2 * 0.25 * 0.75
    assert float(units.deviation) == pytest.approx((variance / (1.0 - (GAMMA * 0.75) ** 2)) ** 0.5, rel=1e-5)
    standard = units_of(tiny("iql", rewards="standardised").settings, told, jnp.asarray(GAMMA))
    np.testing.assert_allclose(standard.reward(reward), [-1.0, 1.0, -1.0, 1.0], rtol=1e-5)
    assert (standard.centre, standard.deviation) == (0.0, 1.0)


def test_target_networks_follow_at_once_or_bit_by_bit(probe):
    env = probe(reward=(1.0, 2.0), bonus=1.0)
    for settings, moves in (({"target_period": 3}, False), ({"target_period": 2}, True)):
        learner = tiny("vdn", **settings)
        first = learner.init(KEY, env)
        state, _ = jax.jit(learner.step)(first, env, jnp.zeros(()))  # two gradient steps
        want = state.params if moves else first.params
        jax.tree.map(np.testing.assert_array_equal, state.target_params, want)
    learner = tiny("vdn", target_period=1, target_rate=0.25, updates=1)
    first = learner.init(KEY, env)
    state, _ = jax.jit(learner.step)(first, env, jnp.zeros(()))
    mixed = jax.tree.map(lambda a, b: 0.75 * a + 0.25 * b, first.params, state.params)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), state.target_params, mixed)


def test_nothing_is_learnt_before_there_is_enough_to_draw_from(probe):
    env, learner = probe(reward=(1.0, 2.0)), tiny("iql", warmup=16)
    first = learner.init(KEY, env)
    step = jax.jit(learner.step)
    state, metrics = step(first, env, jnp.zeros(()))
    jax.tree.map(np.testing.assert_array_equal, state.params, first.params)
    assert (int(state.steps), float(metrics["loss"])) == (0, 0.0)
    state, metrics = step(state, env, jnp.zeros(()))
    assert int(state.steps) == 2
    assert float(metrics["loss"]) > 0.0


def test_inactive_agents_change_nothing_that_is_learnt(probe):
    learner = tiny("vdn", sharing="independent", epsilon_start=0.0, epsilon_end=0.0)
    env = probe(reward=(1.0, 2.0), inactive=(1,))
    first = learner.init(KEY, env)
    state, _ = jax.jit(learner.step)(first, env, jnp.zeros(()))
    for before, after in zip(jax.tree.leaves(first.params.agent), jax.tree.leaves(state.params.agent), strict=True):
        np.testing.assert_array_equal(after[1], before[1])
    assert any(
        bool((a[0] != b[0]).any())
        for a, b in zip(jax.tree.leaves(first.params), jax.tree.leaves(state.params), strict=True)
    )


def test_random_play_is_of_legal_actions_alone(collected):
    _, _, state, _ = collected("iql", False, epsilon_start=1.0)
    assert set(np.unique(state.replay.steps.choice[:LENGTH]).tolist()) == {0, 1}


def test_a_team_as_one_plays_what_each_of_its_actions_says():
    env = jml.make("probe/unlike_agents")
    one = AsOne(env)
    assert one.spec.action_sizes == (8,)
    pairs = actions_of(env.spec, jnp.arange(8)[:, None])
    np.testing.assert_array_equal(pairs, [(a, b) for a in range(2) for b in range(4)])
    state, ts = one.reset(KEY)
    _, plain = env.reset(KEY)
    np.testing.assert_array_equal(ts.obs[0], plain.state)
    best = 4 * state.sign[0] + state.sign[1]
    assert one.step(KEY, state, best[None])[1].reward[0] == 2.0


def test_a_team_of_too_many_joint_actions_is_not_one():
    with pytest.raises(SettingError, match=r"5 x 5 x 5 x 5 x 5 x 5 = 15625 joint actions are more than the 4096"):
        make_learner("central_q").check(jml.make("mpe/simple_spread", num_agents=6).spec)


def test_continuous_actions_have_no_values_of_their_own():
    with pytest.raises(SettingError, match="iql gives a value to each discrete action"):
        make_learner("iql").check(jml.make("mpe/simple_spread", continuous=True).spec)


@pytest.fixture(scope="module")
def blocks(probe):
    """Programs of two updates of two seeds, as they are lowered and compiled, for small and large rings."""
    env, texts = probe(reward=(1.0, 2.0)), {}
    for name, capacity in (("qmix", 16), ("qmix", 16 * 1024), ("pqn", 16)):
        learner = tiny(name, **({} if name == "pqn" else {"capacity": capacity, "memory": 4, "sequence": 4}))
        state = jax.eval_shape(replicate(learner, 1).init, KEY, env)
        block = jax.jit(partial(run_updates, learner, 2, WHOLE, done=0, total=4), donate_argnums=0)
        lowered = block.lower(state, env)
        texts[name, capacity] = lowered.as_text(), lowered.compile()
    return texts


def test_learning_sorts_nothing_scatters_nothing_and_never_leaves_the_device(blocks):
    for lowered, _ in blocks.values():
        for word in ("stablehlo.sort", "chlo.top_k", "scatter", "custom_call @xla_python", "infeed"):
            assert word not in lowered


def test_a_ring_is_written_in_place(blocks):
    small, large = (blocks["qmix", 16 * scale][1].memory_analysis() for scale in (1, 1024))
    grown = large.argument_size_in_bytes - small.argument_size_in_bytes
    assert grown > 10_000_000
    assert large.temp_size_in_bytes - small.temp_size_in_bytes < 0.1 * grown


def test_the_planner_counts_the_ring():
    env = jml.make("mpe/simple_spread")
    learner = make_learner("qmix", capacity=1000)
    state = jax.eval_shape(lambda: learner.init(KEY, env))
    plan = memory_plan(learner, env)
    assert plan["replay"] == sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state.replay))
    assert plan["total"] > plan["replay"] > 30_000_000
    huge = make_learner("qmix", capacity=1_000_000)
    assert is_surely_small(learner, env, 1, 10**11)
    assert not is_surely_small(huge, env, 1, 10**11)


def test_narrow_storage_takes_less_room():
    env = jml.make("mpe/simple_spread")
    full, half, byte = (
        memory_plan(make_learner("qmix", storage=dtype, storage_range=(-3.0, 3.0)), env)["replay"]
        for dtype in ("float32", "bfloat16", "uint8")
    )
    assert byte < half < full
    assert (full - half) == pytest.approx(2 * (half - byte))


PROGRAM = """
import json, sys
from functools import partial
import jax, jax.numpy as jnp
import jaxmarl_lite as jml
from jaxmarl_lite.training.loop import run_updates
from jaxmarl_lite.training.placement import Placement
jax.config.update("jax_disable_most_optimizations", True)
env, figures = jml.make("grid/navigation", horizon=6), {}
for name, settings in json.loads(sys.argv[1]).items():
    learner = jml.make_learner(name, **{**settings, "hidden": (16,)})
    many = jml.replicate(learner, 1)
    for devices in (1, 2):
        place = Placement.over(devices)
        state = jax.jit(many.init)(jax.random.key(3), env)
        axes = many.env_axes(state)
        block = partial(run_updates, learner, 3, place.shard, done=0, total=3)
        state, metrics = jax.jit(place.spread(block, (axes, -1), (axes, -1)))(place.lay(state, axes), env)
        names = ("loss", "value", "grad_norm", "episode_return")
        figures[name, devices] = [jnp.ravel(metrics[name]).tolist() for name in names]
print(json.dumps([[figures[name, devices] for devices in (1, 2)] for name in json.loads(sys.argv[1])]))
"""


def test_several_devices_learn_the_same_but_for_rounding():
    settings = {"qmix": {**TINY, **REPLAY, "batch": 4}, "pqn": {**TINY, "minibatches": 2}}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(settings)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for one, two in json.loads(done.stdout.splitlines()[-1]):
        for figure, other in zip(one, two, strict=True):
            np.testing.assert_allclose(other, figure, rtol=1e-3)


def test_a_resumed_run_is_bit_for_bit_the_same(tmp_path):
    learner, env = tiny("qmix"), jml.make("grid/navigation", horizon=5)
    plan = {"steps": 512, "blocks": 4, "eval_episodes": 8}
    whole = jml.train(learner, env, KEY, **plan, out=tmp_path / "whole")

    def stop(progress):
        if progress.block == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jml.train(learner, env, KEY, **plan, out=tmp_path / "stopped", callbacks=[stop])
    resumed = jml.resume(tmp_path / "stopped")
    assert int(resumed.state.replay.filled[0]) == 16
    bits = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(bits(a), bits(b)), resumed.state, whole.state)


def test_sampled_play_explores_as_in_the_end(probe):
    env, learner = probe(reward=(1.0,)), tiny("iql", epsilon_end=1.0)
    state, policy = learner.init(KEY, env), learner.policy(env.spec)
    _, ts = jax.vmap(env.reset)(jax.random.split(KEY, 256))
    values = q_networks(learner.settings, env.spec).step(
        state.params.agent, (), see_step(learner.settings, None, ts, jnp.ones(256, bool))
    )[1]
    act = partial(policy.act, learner.params(state), (), ts, jnp.ones(256, bool), jax.random.split(KEY, 256))
    assert (act(greedy=True)[0] == values[:, :, 0].argmax(0)).all()
    assert 90 < int(act(greedy=False)[0].sum()) < 166
