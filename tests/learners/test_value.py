"""What the value family learns from, and towards what."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmarl_lite as jml
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.data.places import Places
from jaxmarl_lite.learners.as_one import AsOne, actions_of
from jaxmarl_lite.learners.optimiser import as_vector
from jaxmarl_lite.learners.presets import make_learner, preset
from jaxmarl_lite.learners.q_nets import q_networks
from jaxmarl_lite.learners.replaying import Learnt, Task
from jaxmarl_lite.learners.sequences import batch_at
from jaxmarl_lite.learners.sight import see_step
from jaxmarl_lite.learners.units import Told, units_of
from jaxmarl_lite.learners.value_judge import judge, targets
from jaxmarl_lite.learners.value_update import _loss
from jaxmarl_lite.ops.statistics import Moments, Sums

KEY, GAMMA, LENGTH = jax.random.key(0), 0.9, 8
TINY = {"num_envs": 8, "rollout_length": LENGTH, "hidden": (16,), "gamma": GAMMA, "normalise_values": False}
REPLAY = {"capacity": 16, "batch": 8, "warmup": LENGTH, "gradient_steps": 2, "target_period": 3}
ALL = Places(np.arange(8), np.zeros(8, np.int32))  # type: ignore[arg-type]  # the places of all steps


def tiny(name, **changes):
    given = {"minibatches": 2} if preset(name).experience == "fresh" else REPLAY
    return make_learner(name, **{**TINY, **given, **changes})


@pytest.fixture(scope="module")
def collected(probe):
    """Return a maker of (learner, env, state, batch of all 8 steps of all environments)."""

    def collect(name, terminates, **changes):
        learner = tiny(name, sequence=LENGTH, **changes)
        env = probe(reward=(1.0, 2.0), bonus=1.0, terminates=terminates, illegal=(2,), num_actions=3)

        @jax.jit
        def run():
            first = learner.init(KEY, env)
            state = learner.phases["collect"](first, env, jnp.zeros(()), WHOLE).state
            memory = q_networks(learner.settings, env.spec).agent.carry(8)
            return state, batch_at(learner.settings, state.replay, ALL, memory, LENGTH, env.spec.horizon)

        return learner, env, *run()

    return functools.cache(collect)


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


def naive_targets(learner, env, state, gamma, lam, double, restore=lambda x: x):
    """Targets [E, T, A] of networks without memory: each true successor looked at by itself, returns added up."""
    nets, replay = q_networks(learner.settings, env.spec), state.replay.steps
    views = jax.tree.map(lambda x: x[:LENGTH], replay.successor)
    shape = (LENGTH, 8, 2)

    def values(params):
        obs = jnp.moveaxis(views.obs, -2, 0)  # [O, T, E, A], environments and time may change places
        _, values = jax.jit(nets.agent.apply)(params, (), obs, jnp.zeros(shape[:2], bool))
        return np.asarray(jnp.where(jnp.moveaxis(views.legal, -2, 0), values, -1e9))

    slow, online = values(state.target_params.agent), values(state.params.agent)
    best = (online if double else slow).argmax(0)
    chosen = np.take_along_axis(slow, best[None], axis=0)[0]
    reward, terminated = np.asarray(replay.reward[:LENGTH]), np.asarray(replay.terminated[:LENGTH])
    if learner.settings.is_joint:
        chosen = chosen.sum(-1, keepdims=True)
    chosen = restore(chosen)
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

    @jax.jit
    def compute():
        online, slow = (judge(nets, params.agent, batch) for params in (state.params, state.target_params))
        units = units_of(settings, state.told, jnp.asarray(GAMMA))
        of_slow = units._replace(centre=units.centre + 1.0, deviation=2.0 * units.deviation)
        best = (online if double else slow).following.best
        return targets(settings, nets, state.hyper, {}, units, of_slow, batch, slow, best)

    want = naive_targets(learner, env, state, GAMMA, lam, double, restore=lambda x: 2.0 * x + 1.0)
    np.testing.assert_allclose(compute(), want, rtol=1e-4, atol=1e-5)


def test_targets_do_not_look_through_a_step_whose_successor_is_not_known(collected):
    learner, env, state, batch = collected("vdn", False)
    nets, settings = q_networks(learner.settings, env.spec), learner.settings
    units = units_of(settings, state.told, jnp.asarray(GAMMA))

    @jax.jit
    def look(is_known, lam):
        known, hyper = batch._replace(is_known=is_known), {**state.hyper, "lam": lam}
        slow = judge(nets, state.params.agent, known)
        return targets(settings, nets, hyper, {}, units, units, known, slow, slow.following.best)

    all_known = jnp.ones_like(batch.is_known)
    far, near = look(all_known, 1.0), look(all_known, 0.0)
    got = look(all_known.at[:, 3].set(False), 1.0)
    np.testing.assert_allclose(got[:, 2], near[:, 2], rtol=1e-5)
    np.testing.assert_allclose(got[:, 4:], far[:, 4:], rtol=1e-5)
    assert not np.allclose(got[:, :3], far[:, :3], rtol=1e-3)


@pytest.mark.parametrize("sharing", ["shared", "independent"])
def test_what_lies_ahead_is_seen_with_the_memory_of_the_steps_before(collected, sharing):
    learner, env, state, batch = collected("iql", False, memory=4, sharing=sharing)
    nets, params = q_networks(learner.settings, env.spec), state.params.agent
    following = jax.jit(partial(judge, nets))(params, batch).following.values
    seen, memory, look = batch.seen, batch.memory, jax.jit(nets.step)
    for t in range(5):  # the fifth step ends an episode
        step = seen._replace(
            obs=seen.obs[:, :, t : t + 1], legal=seen.legal[:, :, t : t + 1], restart=seen.restart[:, t : t + 1]
        )
        memory, _ = look(params, memory, step)
    assert int(batch.follows[0, 0]) == 4
    ahead = batch.ahead._replace(obs=batch.ahead.obs[:, :, :1], restart=jnp.zeros((8, 1), bool))
    _, values = look(params, memory, ahead._replace(legal=batch.ahead.legal[:, :, :1]))
    np.testing.assert_allclose(following[:, :, LENGTH - 1], values[:, :, 0], rtol=1e-5, atol=1e-6)


def test_burn_in_brings_memory_to_where_the_sequence_begins(collected):
    learner, env, state, whole = collected("iql", False, memory=4, sharing="shared")
    nets, params = q_networks(learner.settings, env.spec), state.params.agent
    settings = tiny("iql", memory=4, burn_in=3, sequence=5).settings
    batch = jax.jit(lambda: batch_at(settings, state.replay, ALL, whole.memory, 5, env.spec.horizon))()
    look = jax.jit(lambda params, batch: judge(nets, params, batch).now.values)
    np.testing.assert_allclose(look(params, batch), look(params, whole)[:, :, 3:], rtol=1e-4, atol=1e-6)
    slope = jax.jit(jax.grad(lambda params: look(params, batch)[:, :, 0].sum()))(params)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slope))


def test_a_sequence_is_rated_by_the_mean_of_its_errors(collected):
    learner, env, before, batch = collected("vdn", False, priority=0.5, gradient_steps=1)
    _, state = stepped(learner, env)
    nets = q_networks(learner.settings, env.spec)
    values = jax.jit(partial(judge, nets))(state.target_params.agent, batch).now.chosen(batch.choice).sum(-1)
    error = np.asarray(values) - naive_targets(learner, env, before, GAMMA, 0.0, double=True)[..., 0]
    want = np.sqrt(np.abs(error).mean(1))
    tree = np.asarray(state.ratings.priorities.tree)  # of each environment, by slots
    np.testing.assert_allclose(tree[:, tree.shape[1] // 2], want, rtol=1e-3)
    np.testing.assert_allclose(state.ratings.greatest, np.maximum(want, 1.0), rtol=1e-3)


def test_weights_say_how_much_of_a_loss_is_a_sequences(collected):
    learner, env, state, batch = collected("vdn", False)
    flat, restore = as_vector(state.params, False)
    units, none = units_of(learner.settings, state.told, jnp.asarray(GAMMA)), jnp.zeros(())
    nets = q_networks(learner.settings, env.spec)
    task = Task(learner.settings, nets, env.spec, restore, state.hyper, units, none, none, WHOLE)
    learnt = Learnt(flat, flat, units, state.opt_state, state.steps, None)

    @jax.jit
    @jax.vmap
    def losses(weight):
        loss, (_, error) = _loss(task, learnt, batch._replace(weight=weight), state.params)
        return loss, error

    (*each, mixed), errors = losses(jnp.concatenate([jnp.eye(8), jnp.arange(8.0)[None]]))
    assert len({float(loss) for loss in each}) > 1
    np.testing.assert_allclose(mixed, np.dot(np.arange(8.0), each), rtol=1e-4)
    np.testing.assert_allclose(errors, errors[:1] * np.ones((9, 1)), rtol=1e-5)


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


def stepped(learner, env):
    """The state before and after a step."""

    @jax.jit
    def run():
        first = learner.init(KEY, env)
        return first, learner.step(first, env, jnp.zeros(()))[0]

    return run()


def test_target_networks_follow_at_once_or_bit_by_bit(probe):
    learner, env = tiny("vdn", target_period=4), probe(reward=(1.0, 2.0), bonus=1.0)
    first, state = stepped(learner, env)  # by two gradient steps
    jax.tree.map(np.testing.assert_array_equal, state.target_params, first.params)
    step = jax.jit(lambda state: learner.step(state, env, jnp.zeros(()))[0])
    for rate in (1.0, 0.25):
        moved = step(state._replace(hyper={**state.hyper, "target_rate": jnp.asarray(rate)}))
        mixed = jax.tree.map(lambda a, b, rate=rate: (1.0 - rate) * a + rate * b, first.params, moved.params)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), moved.target_params, mixed)
        assert int(moved.steps) == 4


def test_units_go_along_with_target_networks(probe):
    learner, env = tiny("iql", normalise_values=True, target_period=4), probe(reward=(1.0, 2.0), bonus=1.0)
    first, state = stepped(learner, env)  # by two gradient steps: targets stay
    after = jax.jit(lambda state: learner.step(state, env, jnp.zeros(()))[0])(state)  # by four: they move

    def units(state):
        return units_of(learner.settings, state.told, jnp.asarray(GAMMA))

    assert not np.allclose(units(after).centre, units(state).centre, rtol=1e-3)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), state.target_units, units(state))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), after.target_units, units(after))
    assert not np.allclose(first.target_units.centre, units(state).centre)  # until then, of nothing


def test_nothing_is_learnt_before_there_is_enough_to_draw_from(probe):
    env, learner = probe(reward=(1.0, 2.0)), tiny("iql", warmup=16)
    first = jax.jit(learner.init)(KEY, env)
    step = jax.jit(learner.step)
    state, metrics = step(first, env, jnp.zeros(()))
    jax.tree.map(np.testing.assert_array_equal, state.params, first.params)
    assert (int(state.steps), float(metrics["loss"])) == (0, 0.0)
    state, metrics = step(state, env, jnp.zeros(()))
    assert int(state.steps) == 2
    assert float(metrics["loss"]) > 0.0


def test_agents_that_are_gone_change_nothing_that_is_learnt(probe):
    learner = tiny("vdn", sharing="independent", epsilon_start=0.0, epsilon_end=0.0)
    env = probe(reward=(1.0, 2.0), absent=(1,))
    first, state = stepped(learner, env)
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


def test_sampled_play_explores_as_in_the_end(probe):
    env, learner = probe(reward=(1.0,)), tiny("iql", epsilon_end=1.0)
    policy, all_new = learner.policy(env.spec), jnp.ones(256, bool)

    @jax.jit
    def run():
        state, keys = learner.init(KEY, env), jax.random.split(KEY, 256)
        _, ts = jax.vmap(env.reset)(keys)
        seen = see_step(learner.settings, None, ts, all_new)
        values = q_networks(learner.settings, env.spec).step(state.params.agent, (), seen)[1]
        act = partial(policy.act, learner.params(state), (), ts, all_new, keys)
        return values[:, :, 0], act(greedy=True)[0], act(greedy=False)[0]

    values, greedy, sampled = run()
    np.testing.assert_array_equal(greedy, values.argmax(0))
    assert 90 < int(sampled.sum()) < 166
