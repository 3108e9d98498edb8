"""rware/warehouse is Warehouse of rware, step by step and exactly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmarl_lite.environments.rware.traffic import moves
from jaxmarl_lite.environments.rware.warehouse import Warehouse, WarehouseState

reference = pytest.importorskip("rware.warehouse")


EPISODES, LENGTH = 5, 120
WORLDS = [
    {"size": "tiny", "num_agents": 2, "num_requests": 20},
    {"size": "small", "num_agents": 3, "num_requests": 60, "reward": "two_stage"},
    {"shelf_rows": 2, "shelf_columns": 1, "column_height": 4, "num_agents": 9, "num_requests": 3, "sensor_range": 2},
    {"shelf_rows": 2, "shelf_columns": 3, "column_height": 2, "num_agents": 19, "num_requests": 6, "reward": "global"},
]


class InOrder(reference.nx.DiGraph):
    """A graph whose parts keep the order of its edges, where networkx may take that of a set of cells."""

    def subgraph(self, nodes):
        part = reference.nx.DiGraph()
        part.add_edges_from(edge for edge in self.edges if edge[0] in nodes)
        return part


def built(env):
    kinds = {name: reference.RewardType[name.upper()] for name in ("individual", "global", "two_stage")}
    return reference.Warehouse(
        shelf_columns=env.shelf_columns,
        column_height=env.column_height,
        shelf_rows=env.shelf_rows,
        n_agents=env.num_agents,
        msg_bits=0,
        sensor_range=env.sensor_range,
        request_queue_size=env.num_requests,
        max_inactivity_steps=None,
        max_steps=LENGTH,
        reward_type=kinds[env.reward],
    )


def state_of(ref):
    kind = {shelf.id: 1 + (shelf in ref.request_queue) for shelf in ref.shelfs}
    carried = {agent.carrying_shelf.id for agent in ref.agents if agent.carrying_shelf}
    shelves = np.zeros(ref.grid_size, np.int32)
    for shelf in ref.shelfs:
        if shelf.id not in carried:
            shelves[shelf.y, shelf.x] = kind[shelf.id]
    return WarehouseState(
        agent_pos=np.array([(a.y, a.x) for a in ref.agents], np.int32),
        agent_dir=np.array([a.dir.value for a in ref.agents], np.int32),
        load=np.array([kind[a.carrying_shelf.id] if a.carrying_shelf else 0 for a in ref.agents], np.int32),
        has_delivered=np.array([a.has_delivered for a in ref.agents]),
        shelves=shelves.ravel(),
        time=np.int32(ref._cur_steps),
    )


class Draws:
    """Stands for a reference's random numbers: draws new requests, and notes the numbers that draw them from ours."""

    def __init__(self, ref, seed):
        self.ref, self.rng, self.numbers = ref, np.random.default_rng(seed), [0.0, 0.0]

    def choice(self, candidates):
        chosen = candidates[self.rng.integers(len(candidates))]
        carriers = {a.carrying_shelf.id: a.id for a in self.ref.agents if a.carrying_shelf}
        ours = sorted(candidates, key=lambda s: (s.id in carriers, carriers.get(s.id, 0), s.y, s.x))
        # The goal at which a requested shelf is: if both, the first is replaced first.
        goal = next(k for k, (x, y) in enumerate(self.ref.goals) if self.requested_at(x, y))
        self.numbers[goal] = (ours.index(chosen) + 0.5) / len(ours)
        return chosen

    def requested_at(self, x, y):
        shelf_id = self.ref.grid[1, y, x]
        return shelf_id and self.ref.shelfs[shelf_id - 1] in self.ref.request_queue


def busy_actions(rng, ref):
    """Random actions, but for robots that load a requested shelf, carry it to a goal and then put it down."""
    actions = rng.choice(5, size=ref.n_agents, p=[0.05, 0.65, 0.1, 0.1, 0.1])
    for i, agent in enumerate(ref.agents):
        shelf_id = ref.grid[1, agent.y, agent.x]
        if agent.carrying_shelf is None and shelf_id and ref.shelfs[shelf_id - 1] in ref.request_queue:
            actions[i] = 4
        elif agent.carrying_shelf in ref.request_queue and rng.random() < 0.8:
            actions[i] = homeward(ref, agent)
        elif agent.has_delivered and not ref.highways[agent.y, agent.x]:
            actions[i] = 4
    return actions


def homeward(ref, agent):
    """The action of a loaded robot towards a goal: into an aisle, down it, then to the side."""
    goal = ref.goals[agent.id % 2][0]
    if agent.y == ref.grid_size[0] - 1:
        wanted = 3 if goal > agent.x else 2
        if goal == agent.x:
            return 0
    else:
        wanted = {0: 1, 1: 2, 2: 3}[agent.x % 3]
    return 1 if agent.dir.value == wanted else 3


def play_reference(env):
    """Return states, observations [T + 1], actions, numbers drawn, rewards and ends [T] of all episodes."""
    ref, rng = built(env), np.random.default_rng(env.num_agents)
    rows = []
    for episode in range(EPISODES):
        obs, _ = ref.reset(seed=episode)
        draws = Draws(ref, episode)
        ref._np_random = draws
        states, seen, plan, drawn, outcomes = [state_of(ref)], [obs], [], [], []
        for _ in range(LENGTH):
            draws.numbers = [0.0, 0.0]
            plan.append(busy_actions(rng, ref))
            obs, reward, done, _, _ = ref.step(plan[-1])
            states.append(state_of(ref))
            seen.append(np.array(obs))
            drawn.append(draws.numbers)
            outcomes.append((reward, done))
        states = jax.tree.map(lambda *x: np.stack(x), *states)
        rows.append(
            (states, np.array(seen), np.array(plan), np.array(drawn), *map(np.array, zip(*outcomes, strict=True)))
        )
    return jax.tree.map(lambda *x: np.stack(x), *rows)


@pytest.mark.parametrize("world", WORLDS, ids=lambda w: "-".join(map(str, w.values())))
def test_random_episodes_are_those_of_rware(world, monkeypatch):
    env = Warehouse(horizon=LENGTH, **world)
    if env.num_agents > 3:
        monkeypatch.setattr(reference.nx, "DiGraph", InOrder)
    states, obs, plan, drawn, reward, done = play_reference(env)

    @jax.jit
    @jax.vmap
    def play(state, plan, numbers):
        def step(state, given):
            following, ts = env.play(state, *given)
            return following, (following, ts)

        return env.observe(state).obs, jax.lax.scan(step, state, (plan, numbers))[1]

    start = jax.tree.map(lambda x: jnp.asarray(x[:, 0]), states)
    first, (ours, ts) = jax.device_get(play(start, plan.astype(np.int32), drawn.astype(np.float32)))
    np.testing.assert_array_equal(first, obs[:, 0])
    for field in ("agent_pos", "agent_dir", "load", "shelves", "time"):
        np.testing.assert_array_equal(getattr(ours, field), getattr(states, field)[:, 1:], err_msg=field)
    if env.reward == "two_stage":
        np.testing.assert_array_equal(ours.has_delivered, states.has_delivered[:, 1:])
    np.testing.assert_array_equal(ts.obs, obs[:, 1:])
    np.testing.assert_array_equal(ts.reward, reward)
    np.testing.assert_array_equal(ts.truncated, done)
    assert not ts.terminated.any()
    assert reward.sum() >= 5, "too little is delivered to tell"
    put_down = states.has_delivered[:, :-1] & ~states.has_delivered[:, 1:]
    assert env.reward != "two_stage" or put_down.any(), "nothing delivered is put down"


def reference_moves(cells, targets):
    """The rule of the package, on networkx: whether each robot goes, and whether it does in a circle."""
    graph, robot = InOrder(zip(cells, targets, strict=True)), {cell: i for i, cell in enumerate(cells)}
    goes, circles = np.zeros(len(cells), bool), np.zeros(len(cells), bool)
    for part in map(graph.subgraph, list(reference.nx.weakly_connected_components(graph))):
        try:
            circle = [robot[edge[0]] for edge in reference.nx.find_cycle(part)]
            if len(circle) > 2:
                goes[circle] = circles[circle] = True
        except reference.nx.NetworkXNoCycle:
            path = [robot[cell] for cell in reference.nx.dag_longest_path(part) if cell in robot]
            goes[path] = True
    return goes, circles


@pytest.mark.parametrize("num_agents", [2, 4, 9, 14])
def test_traffic_on_a_crowded_square_is_that_of_the_graph(num_agents):
    rng, cases, side = np.random.default_rng(num_agents), 400, 4
    cells = rng.permuted(np.tile(np.arange(side**2), (cases, 1)), axis=1)[:, :num_agents]
    ways = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)])[rng.integers(0, 5, cells.shape)]
    ahead = np.clip(np.stack(np.divmod(cells, side), -1) + ways, 0, side - 1)
    targets = ahead[..., 0] * side + ahead[..., 1]
    ours = jax.jit(jax.vmap(moves))(jnp.asarray(cells), jnp.asarray(targets))
    wanted, circles = zip(*map(reference_moves, cells.tolist(), targets.tolist()), strict=True)
    np.testing.assert_array_equal(ours, np.array(wanted))
    assert num_agents < 9 or np.any(circles), "nobody drives in circles"
