import jax
import numpy as np
import pytest

from jaxmarl_lite.environments.contract import check_env
from jaxmarl_lite.environments.registry import envs, make

PAYOFF = np.random.default_rng(0).normal(size=(3, 2, 3, 2)).tolist()
NEEDED = {"matrix/game": {"payoff": PAYOFF}}

VARIANTS = [
    ("butterfly/pistonball", {"num_pistons": 3, "continuous": False, "image": True, "pixel": 20, "horizon": 5}),
    ("comm/signalling", {"num_meanings": 5, "num_words": 3, "rounds": 2, "noise": 0.5}),
    ("grid/coin_game", {"num_agents": 3, "size": 2, "horizon": 9}),
    ("grid/predator_prey", {"num_agents": 3, "num_prey": 2, "size": 3, "removal": False, "horizon": 20}),
    ("grid/team_navigation", {"num_agents": 1, "size": 2, "walls": None, "sight": 3}),
    ("lbf/foraging", {"rows": 4, "columns": 6, "num_agents": 4, "sight": 1, "food_rule": "paper", "penalty": 0.1}),
    (
        "rware/warehouse",
        {"size": "small", "num_agents": 1, "num_requests": 79, "reward": "two_stage", "sensor_range": 2, "horizon": 9},
    ),
    (
        "rware/warehouse",
        {
            "shelf_rows": 2,
            "shelf_columns": 1,
            "column_height": 3,
            "num_agents": 5,
            "difficulty": "hard",
            "reward": "global",
        },
    ),
    ("memory/team_cue", {"num_agents": 3, "num_cues": 2, "delay": 1}),
    ("mpe/simple_spread", {"continuous": True, "dynamics": "openai", "self_collision": True}),
    ("mpe/simple_tag", {"num_good": 2, "num_obstacles": 0, "prey": "heuristic", "continuous": True}),
    ("mpe/simple_world_comm", {"num_adversaries": 1, "num_forests": 0, "num_obstacles": 0, "continuous": True}),
    ("mpe/simple_reference", {"num_agents": 3, "num_words": 2, "continuous": True}),
    ("mpe/simple_speaker_listener", {"num_landmarks": 2, "num_words": 4, "continuous": True}),
    ("mpe/simple_push", {"num_good": 2, "num_adversaries": 2, "num_landmarks": 3}),
    ("mpe/predator_prey", {"prey": "learnt", "num_good": 2, "continuous": False}),
    ("matrix/climbing", {"observation": "last_action"}),
    ("matrix/game", {"payoff": PAYOFF, "observation": "last_action", "horizon": 1}),
    ("grid/navigation", {"num_agents": 1, "size": 2, "random_starts": True}),
    (
        "grid/navigation",
        {"walls": ("#....", *["....."] * 4), "random_starts": True, "random_goals": True, "stay": True, "horizon": 9},
    ),
]


def name_of(case):
    return (
        case if isinstance(case, str) else ",".join(f"{k}={v}" for k, v in case.items() if k not in ("payoff", "walls"))
    )


@pytest.mark.parametrize("name", envs())
def test_every_registered_environment_keeps_the_contract(name):
    check_env(make(name, **NEEDED.get(name, {})))


@pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=name_of)
def test_every_variant_keeps_the_contract(name, settings):
    check_env(make(name, **settings), num_envs=3, seed=1)


# The lengths that the tables in the docstrings add up to.
@pytest.mark.parametrize("num_agents", [1, 2, 5])
@pytest.mark.parametrize("landmarks", [1, 3])
def test_sizes_of_spread_are_those_of_its_table(num_agents, landmarks):
    spec = make("mpe/simple_spread", num_agents=num_agents, num_landmarks=landmarks).spec
    others = 2 * (num_agents - 1)
    assert spec.obs_sizes == (2 + 2 + 2 * landmarks + others + others,) * num_agents
    assert spec.state_size == 4 * num_agents + 2 * landmarks


def test_size_of_spread_is_18_for_three_agents():
    assert make("mpe/simple_spread").spec.obs_sizes == (18, 18, 18)


def test_sizes_of_particle_scenarios_are_those_of_their_tables():
    def sizes(name, **settings):
        spec = make(f"mpe/{name}", **settings).spec
        return [spec.obs_sizes[group[0]] for group in spec.groups], spec.state_size

    agents, good, marks = 7, 3, 4
    team = {"num_good": good, "num_adversaries": agents - good}
    places = 4 * agents + 2 * marks
    tag = 4 + 2 * marks + 2 * (agents - 1)
    for name in ("simple_tag", "predator_prey"):
        want = ([tag + 2 * good, tag + 2 * (good - 1)], places)
        assert sizes(name, prey="learnt", num_obstacles=marks, **team) == want
    seen = 2 * marks + 2 * (agents - 1)
    assert sizes("simple_adversary", num_landmarks=marks, **team) == ([seen, seen + 2], places + marks)
    push = 2 + 2 + (marks + 1) + 2 * marks + marks * (marks + 1) + 2 * (agents - 1)
    assert sizes("simple_push", num_landmarks=marks, **team) == ([seen + 2, push], places + marks)
    words, forests = 5, 2
    hunter = tag + 2 * good + forests + words
    world = {"num_obstacles": 1, "num_food": 1, "num_forests": forests, "num_words": words}
    want = ([hunter, hunter, tag + forests + 2 * (good - 1)], places + words)
    assert sizes("simple_world_comm", **world, **team) == want
    reference = 2 + 3 * marks + words * (agents - 1)
    want = ([reference], places + agents * words + agents * marks)
    assert sizes("simple_reference", num_agents=agents, num_landmarks=marks, num_words=words) == want
    want = ([marks, 2 + 2 * marks + words], 8 + 3 * marks + words)
    assert sizes("simple_speaker_listener", num_landmarks=marks, num_words=words) == want
    want = ([words, 2 * words, 2 * words], 3 * words + 2 * marks)
    assert sizes("simple_crypto", num_landmarks=marks, num_words=words) == want
    assert sizes("simple", num_agents=agents, num_landmarks=marks) == ([2 + 2 * marks], places)


@pytest.mark.parametrize("num_agents", [1, 2, 5])
def test_sizes_of_navigation_are_those_of_its_table(num_agents):
    spec = make("grid/navigation", num_agents=num_agents).spec
    assert spec.obs_sizes == (2 + 2 * (num_agents - 1) + 2,) * num_agents
    assert spec.state_size == 4 * num_agents


@pytest.mark.parametrize("num_pistons", [3, 20])
def test_sizes_of_pistonball_are_those_of_its_table(num_pistons):
    spec = make("butterfly/pistonball", num_pistons=num_pistons).spec
    assert spec.obs_sizes == (3 + 2 + 1 + 2 + 2 + 2 + 1,) * num_pistons
    assert spec.state_size == num_pistons + 7


@pytest.mark.parametrize(("observation", "size"), [("constant", 1), ("last_action", 2 + 3 + 2)])
def test_sizes_of_matrix_games_are_those_of_their_table(observation, size):
    spec = make("matrix/game", payoff=PAYOFF, observation=observation).spec
    assert (spec.obs_sizes, spec.state_size) == ((size,) * 3, size)


def test_sizes_of_foraging_and_of_the_warehouse_are_those_of_their_tables():
    foraging = make("lbf/foraging", num_agents=3, num_foods=5).spec
    assert (foraging.obs_sizes, foraging.state_size) == ((3 * 5 + 3 + 3 * 2,) * 3, 3 * (3 + 5) + 1)
    for size, homes in (("tiny", 32), ("small", 80), ("medium", 144), ("large", 224)):
        warehouse = make("rware/warehouse", size=size, num_agents=4).spec
        assert (warehouse.obs_sizes, warehouse.state_size) == ((71,) * 4, 9 * 4 + 2 * homes)
    assert make("rware/warehouse", sensor_range=2).spec.obs_sizes == (8 + 7 * 25,) * 2


@pytest.mark.parametrize("random", [False, True])
def test_observations_of_navigation_stay_in_their_range(random):
    env = make("grid/navigation", num_agents=3, random_starts=random, random_goals=random)
    state, ts = env.reset(jax.random.key(0))
    step = jax.jit(env.step)
    for t in range(20):
        assert (np.asarray(ts.obs) >= 0.0).all()
        assert (np.asarray(ts.obs) <= 1.0).all()
        state, ts = step(jax.random.key(t), state, jax.random.randint(jax.random.key(t), (3,), 0, 4))
