"""What the particle scenarios share, and what is each one's own and not in mpe2."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments.actions import random_action
from jaxmarl_lite.environments.mpe.scenario import WorldState
from jaxmarl_lite.environments.registry import envs, make

SCENARIOS = [name for name in envs() if name.startswith("mpe/")]
KEY = jax.random.key(0)


def at(agents, landmarks, vel=None, **drawn):
    """A state of silent agents."""
    agents, landmarks = (jnp.asarray(x, jnp.float32).reshape(-1, 2) for x in (agents, landmarks))
    vel = jnp.zeros_like(agents) if vel is None else jnp.asarray(vel, jnp.float32)
    drawn = {name: jnp.asarray(value, jnp.int32) for name, value in drawn.items()}
    return WorldState(agents, vel, landmarks, jnp.zeros((0, 0)), jnp.zeros((), jnp.int32), **drawn)


def rest(env, state):
    """Everybody does nothing for a step."""
    spec = env.spec
    action = jnp.zeros(spec.num_agents, jnp.int32) if spec.is_discrete else jnp.zeros((spec.num_agents, 2))
    return jax.jit(env.step)(KEY, state, action)


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_episode_has_25_steps_not_26(name):
    env = make(name)
    actions = random_action(KEY, env.spec, 30)
    play = jax.jit(lambda state: jax.lax.scan(lambda s, a: env.step(KEY, s, a), state, actions)[1])
    ts = play(env.reset(KEY)[0])
    np.testing.assert_array_equal(ts.truncated, np.arange(1, 31) >= 25)
    assert not ts.terminated.any()


@pytest.mark.parametrize("name", [f"mpe/{name}" for name in ("simple_push", "simple_world_comm", "predator_prey")])
def test_a_batch_of_other_worlds_gives_what_each_of_them_gives(name):
    env = make(name)
    damping = jnp.array([0.0, 0.25, 0.9])
    state, action = env.reset(KEY)[0], random_action(KEY, env.spec, 1)[0]
    state = state._replace(agent_vel=jnp.ones_like(state.agent_vel))

    def outcome(damping):
        after, ts = dataclasses.replace(env, damping=damping).step(KEY, state, action)
        return after.agent_vel, ts.obs, ts.reward

    alone = [jax.jit(outcome)(x) for x in damping]
    together = jax.jit(jax.vmap(outcome))(damping)
    jax.tree.map(lambda x, *y: np.testing.assert_allclose(x, np.stack(y), rtol=1e-5, atol=1e-6), together, *alone)
    assert not np.allclose(together[0][0], together[0][2])


@pytest.mark.parametrize("name", SCENARIOS)
def test_states_say_where_everything_is(name):
    env = make(name)
    state, _ = jax.jit(env.reset)(KEY)
    assert state.agent_pos.shape == state.agent_vel.shape == (env.num_bodies, 2)
    assert state.landmark_pos.shape == (env.num_landmarks_in_all, 2)
    assert state.comm.shape == (env.num_speakers, env.num_words)
    assert (
        np.abs(state.landmark_pos) <= np.repeat([m.span for m in env.marks], [m.num for m in env.marks])[:, None]
    ).all()


@pytest.mark.parametrize(
    ("name", "goals"),
    [("adversary", 2), ("push", 2), ("speaker_listener", 3), ("reference", 3), ("crypto", 2)],
)
def test_goals_and_keys_are_uniform_and_independent(name, goals):
    states, _ = jax.jit(jax.vmap(make(f"mpe/simple_{name}").reset))(jax.random.split(KEY, 2000))
    drawn = np.asarray(states.goal).reshape(2000, -1)
    drawn = drawn if states.key is None else np.column_stack([drawn, states.key])
    for column in drawn.T:
        np.testing.assert_allclose(np.bincount(column, minlength=goals) / 2000, 1 / goals, atol=0.05)
    if drawn.shape[1] == 2:
        np.testing.assert_allclose((drawn[:, 0] == drawn[:, 1]).mean(), 1 / goals, atol=0.05)


def test_messages_of_crypto_are_unit_vectors_not_colours_of_255():
    env = make("mpe/simple_crypto")
    state = env.reset(KEY)[0]._replace(goal=jnp.array(1), key=jnp.array(0))
    rewards = {(eve, bob): np.asarray(jax.jit(env.step)(KEY, state, jnp.array([eve, bob, 3]))[1].reward)
               for eve in (0, 1) for bob in (1, 2)}  # fmt: skip
    np.testing.assert_array_equal(rewards[0, 1], [-2, 2, 2])
    np.testing.assert_array_equal(rewards[1, 1], [0, 0, 0])
    np.testing.assert_array_equal(rewards[1, 2], [0, -2, -2])
    np.testing.assert_array_equal(rewards[0, 2], [-2, 0, 0])
    np.testing.assert_array_equal(env.observe(state).obs, [[0] * 8, [1, 0, 0, 0] + [0] * 4, [0, 1, 0, 0, 1, 0, 0, 0]])


def test_a_silent_guess_is_not_counted_in_crypto():
    env = make("mpe/simple_crypto", continuous=True)
    action = jnp.array([[0.0] * 4, [0.5, 0.0, 0.0, 0.0], [0.0] * 4])
    ts = jax.jit(env.step)(KEY, env.reset(KEY)[0]._replace(goal=jnp.array(0)), action)[1]
    np.testing.assert_allclose(ts.reward, [0.0, -0.25, -0.25])


def test_two_prey_of_tag_pay_for_their_own_catches_and_see_each_other():
    env = make("mpe/simple_tag", num_good=2, num_obstacles=0)
    hunters, prey = [[0.0, 0.0], [0.5, 0.5], [0.6, 0.5]], [[0.85, -0.5], [0.55, 0.5]]
    vel = np.arange(10.0).reshape(5, 2) / 100
    state = at([*hunters, *prey], [], vel)
    ts = env.observe(state)
    np.testing.assert_allclose(ts.obs[0, -4:], vel[3:].ravel(), atol=1e-6)
    np.testing.assert_allclose(ts.obs[3, 12:14], vel[4], atol=1e-6)
    np.testing.assert_allclose(ts.obs[4, 12:14], vel[3], atol=1e-6)
    np.testing.assert_array_equal(ts.obs[3:, 14:], 0.0)
    np.testing.assert_allclose(rest(env, state)[1].reward, [20, 20, 20, 0, -20])


@pytest.mark.parametrize(("x", "cost"), [(0.5, 0.0), (0.95, 0.5), (1.2, np.exp(0.4)), (9.0, 10.0)])
def test_prey_of_tag_pay_for_leaving_the_arena(x, cost):
    env = make("mpe/simple_tag", num_adversaries=1, num_obstacles=0)
    np.testing.assert_allclose(rest(env, at([[-0.5, 0.0], [0.0, -x]], []))[1].reward, [0.0, -cost], rtol=1e-4)


@pytest.mark.parametrize("name", ["mpe/simple_tag", "mpe/predator_prey"])
def test_with_heuristic_prey_only_hunters_are_agents(name):
    settings = {"num_good": 2, "num_adversaries": 4, "num_obstacles": 3}
    learnt, fixed = (make(name, prey=prey, **settings) for prey in ("learnt", "heuristic"))
    assert fixed.spec.agents == learnt.spec.agents[:4]
    assert fixed.spec.obs_sizes == learnt.spec.obs_sizes[:4]
    assert learnt.spec.groups == ((0, 1, 2, 3), (4, 5))
    assert fixed.spec.state_size == learnt.spec.state_size
    state = learnt.reset(KEY)[0]
    np.testing.assert_array_equal(fixed.observe(state).obs, learnt.observe(state).obs[:4])
    np.testing.assert_array_equal(rest(fixed, state)[1].reward, rest(learnt, state)[1].reward[:4])


def test_heuristic_prey_of_tag_flee_from_hunters_and_edges():
    env = make("mpe/simple_tag", num_adversaries=1, num_obstacles=0, prey="heuristic")
    for hunter, prey, want in [
        ([0.3, 0.0], [0.0, 0.0], [-1.0, 0.0]),
        ([0.5, 0.5], [0.99, 0.5], [-1.0, -0.1]),
        ([-0.2, -0.2], [0.0, 0.0], [0.5**0.5] * 2),
    ]:
        after, _ = rest(env, at([hunter, prey], []))
        np.testing.assert_allclose(np.linalg.norm(after.agent_vel[1]), 0.4, rtol=1e-5)
        assert after.agent_vel[1] @ np.array(want) > 0.35


def test_a_heuristic_adversary_goes_where_the_team_is_nearest_in_sum_whatever_the_goal():
    learnt, fixed = (make("mpe/simple_adversary", adversary=kind) for kind in ("learnt", "heuristic"))
    assert fixed.spec.agents == learnt.spec.agents[1:]
    assert fixed.spec.obs_sizes == learnt.spec.obs_sizes[1:]
    for goal, team, towards in [(0, [[-0.9, 0.0], [0.5, 0.0]], -1.0), (0, [[-0.5, 0.0], [0.9, 0.0]], 1.0)]:
        state = at([[0.0, 0.0], *team], [[-0.9, 0.0], [0.9, 0.0]], goal=goal)
        state = state._replace(agent_pos=state.agent_pos.at[1:, 1].set(0.2))
        np.testing.assert_array_equal(fixed.observe(state).obs, learnt.observe(state).obs[1:])
        after, ts = rest(fixed, state)
        np.testing.assert_allclose(after.agent_vel[0], [0.5 * towards, 0.0], atol=1e-6)
        np.testing.assert_allclose(ts.reward, rest(learnt, state)[1].reward[1:])


def test_prey_of_facmac_flee_from_the_nearest_predator_with_a_force_of_one():
    env = make("mpe/predator_prey", num_obstacles=0)
    state = at([[0.3, 0.4], [0.0, -0.9], [-0.9, 0.0], [0.0, 0.0]], [])
    after, _ = rest(env, state)
    np.testing.assert_allclose(after.agent_vel[3], [-0.06, -0.08], atol=1e-6)
    np.testing.assert_allclose(after.agent_pos[3], [-0.006, -0.008], atol=1e-6)  # velocities move first


def test_predators_of_facmac_push_as_they_say_and_see_no_further_than_their_radius():
    env = make("mpe/predator_prey", view_radius=1.0)
    agents, landmarks = [[0.0, 0.0], [0.8, 0.0], [-1.2, 0.0], [0.0, -0.9]], [[0.0, 0.5], [0.8, 0.8]]
    state = at(agents, landmarks, [[0.1, 0.2]] * 4)
    obs = env.observe(state).obs
    np.testing.assert_allclose(obs[0], [0.1, 0.2, 0, 0, 0, 0.5, 0, 0, 0.8, 0, 0, 0, 0, -0.9, 0.1, 0.2], atol=1e-6)
    np.testing.assert_allclose(obs[2], [0.1, 0.2, -1.2, 0] + [0] * 12, atol=1e-6)
    assert env.spec.action_range == (-1.0, 1.0)
    action = jnp.array([[1.0, -0.5], [0.0, 0.0], [0.0, 0.0]])
    after, _ = jax.jit(env.step)(KEY, at(agents, landmarks), action)
    np.testing.assert_allclose(after.agent_vel[0], [0.3, -0.15], atol=1e-5)


def test_movers_that_speak_say_and_do_both_parts_of_an_action():
    env = make("mpe/simple_reference", num_agents=3)
    state, _ = env.reset(KEY)
    after, ts = jax.jit(env.step)(KEY, state, jnp.array([2 + 5 * 7, 0 + 5 * 1, 3]))
    np.testing.assert_allclose(after.agent_vel, [[0.5, 0.0], [0.0, 0.0], [0.0, -0.5]])
    np.testing.assert_array_equal(after.comm, np.eye(10)[[7, 1, 0]])
    np.testing.assert_array_equal(ts.obs[1, -20:], np.eye(10)[[7, 0]].ravel())
    talk = make("mpe/simple_reference", continuous=True)
    action = jnp.linspace(0.0, 1.0, 30).reshape(2, 15)
    after, _ = jax.jit(talk.step)(KEY, talk.reset(KEY)[0], action)
    np.testing.assert_allclose(after.comm, action[:, 5:])
    np.testing.assert_allclose(after.agent_vel, np.full((2, 2), 0.5 / 29), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("simple_tag", {"num_good": 0}, "num_good=0 is not allowed: it must be an integer of at least 1."),
        ("simple_tag", {"prey": "wild"}, "prey='wild' is not allowed: it must be one of learnt, heuristic."),
        ("simple_adversary", {"adversary": 1}, "adversary=1 is not allowed: it must be one of learnt, heuristic."),
        ("simple_spread", {"dynamics": "v2"}, "dynamics='v2' is not allowed: it must be one of v3, openai."),
        ("simple_spread", {"self_collision": 1}, "self_collision=1 is not allowed: it must be True or False."),
        ("simple", {"damping": 1.5}, "damping=1.5 is not allowed: it must be a number from 0 to 1."),
        ("simple_crypto", {"num_landmarks": 5}, "num_landmarks=5 is not allowed: it must be an integer from 1 to 4."),
        ("simple_reference", {"num_agents": 1}, "num_agents=1 is not allowed: it must be an integer of at least 2."),
        ("predator_prey", {"view_radius": -1.0}, "view_radius=-1.0 is not allowed"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_a_sentence(name, settings, why):
    with pytest.raises(SettingError) as caught:
        make(f"mpe/{name}", **settings)
    assert str(caught.value).startswith(why)


@pytest.mark.parametrize("name", SCENARIOS)
def test_pictures_show_every_agent_and_landmark(name):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    env = make(name)
    state, ts = jax.device_get(jax.jit(env.step)(KEY, env.reset(KEY)[0], random_action(KEY, env.spec, 1)[0]))
    axes = figure.add_subplot()
    env.draw(axes, state, ts)
    shown = {tuple(np.round(disc.get_center(), 4)) for disc in axes.patches if hasattr(disc, "get_radius")}
    assert shown >= {tuple(np.round(pos, 4)) for pos in (*state.agent_pos, *state.landmark_pos)}
    assert ("speaker" in axes.get_xlabel()) is (name == "mpe/simple_speaker_listener")
