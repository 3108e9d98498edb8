"""What the compiled programs of a learner are made of; how fast they are is shown in benchmarks/."""

import re
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct

from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.data.rollout import rollout, start
from jaxmarl_lite.environments.registry import make
from jaxmarl_lite.environments.vectorize import vectorize
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training.loop import run_updates

KEY = jax.random.key(0)
KINDS = {"ippo": {}, "mappo": {"critic": "joint"}, "independent": {"sharing": "independent"}}


@pytest.fixture(scope="module")
def a_learner(learner_settings):
    """Return a maker of tiny learners."""
    return lambda **changes: make_learner("ippo", **{**learner_settings, **changes})


def sorts(text):
    """Every sort in a program as it is lowered, or as it is compiled."""
    return re.findall(r"stablehlo\.sort\b|\bchlo\.top_k\b|\bsort\(|\"TopK\"", text)


def calls_out(text):
    """Every call of what is not of the compiler, such as Python on the host; an order of memory is no call."""
    custom = r"stablehlo\.custom_call (?!@LayoutConstraint)\S+|custom_call_target=\S+"
    pattern = custom + r"|\b(?:infeed|outfeed|send|recv)\(.*"
    return re.findall(pattern, text)


def assert_identical(tree, other):
    """The same bits, those of random keys too."""

    def bits(x):
        return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x

    jax.tree.map(lambda a, b: np.testing.assert_array_equal(bits(a), bits(b)), tree, other)


def assert_close(tree, other):
    """The same integers, flags and keys, and floats but for rounding."""

    def compare(a, b):
        if jnp.issubdtype(a.dtype, jnp.floating):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        else:
            assert_identical(a, b)

    jax.tree.map(compare, tree, other)


def ask_the_host(x):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


@pytest.mark.parametrize(
    ("function", "search"),
    [
        (jnp.sort, sorts),
        (partial(jax.random.permutation, KEY), sorts),
        (lambda x: jax.lax.top_k(x, 2), sorts),
        (ask_the_host, calls_out),
        (lambda x: jax.debug.print("{}", x) or x, calls_out),
    ],
    ids=["sort", "permutation", "top_k", "callback", "print"],
)
def test_the_searches_find_what_they_look_for(function, search):
    lowered = jax.jit(function).lower(jnp.ones(64))
    assert search(lowered.as_text())
    assert search(lowered.compile().as_text())


@struct.dataclass(eq=False)
class Counted:
    """An environment that notes whenever Python runs its step."""

    env: Any
    calls: list = struct.field(pytree_node=False)

    @property
    def spec(self):
        return self.env.spec

    def reset(self, key):
        return self.env.reset(key)

    def step(self, key, state, action):
        self.calls.append("step")
        return self.env.step(key, state, action)

    def observe(self, state):
        return self.env.observe(state)


def counted(learner, calls):
    """Return the learner, noting whenever Python runs one of its phases."""

    def note(name, phase):
        def call(*args):
            calls.append(name)
            return phase(*args)

        return call

    return learner._replace(phases={name: note(name, phase) for name, phase in learner.phases.items()})


class Blocks(NamedTuple):
    """Two updates of two seeds as one program, run three times with other values."""

    lowered: str
    compiled: str
    calls: list[str]
    programs: int
    states: list[Any]
    results: list[Any]


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def blocks(request, a_learner, probe):
    calls, states, results = [], [], []
    learner = counted(a_learner(**request.param), calls)
    envs = [Counted(probe(reward=(1.0, reward), bonus=bonus), calls) for reward, bonus in ((2.0, 0.0), (3.0, 1.0))]
    state = jax.jit(replicate(learner, 2).init)(KEY, envs[0])
    block = jax.jit(partial(run_updates, learner, 2, WHOLE), donate_argnums=0)
    lowered = block.lower(state, envs[0], jnp.asarray(0, jnp.int32), jnp.asarray(8.0))
    for number, total in enumerate((8.0, 8.0, 16.0)):
        states.append(state)
        state, metrics = block(state, envs[number % 2], jnp.asarray(2 * number, jnp.int32), jnp.asarray(total))
        results.append(metrics)
    return Blocks(lowered.as_text(), lowered.compile().as_text(), calls, block._cache_size(), [*states, state], results)


def test_learning_sorts_nothing_and_never_leaves_the_device(blocks):
    for text in (blocks.lowered, blocks.compiled):
        assert sorts(text) == []
        assert calls_out(text) == []


def test_learning_gathers_and_never_scatters(blocks):
    assert "stablehlo.gather" in blocks.lowered
    assert "scatter" not in blocks.lowered
    assert "scatter(" not in blocks.compiled


def test_a_block_is_traced_once_whatever_the_values(blocks):
    assert len({tuple(metrics["loss"].tolist()) for metrics in blocks.results}) == 3
    assert blocks.calls == ["collect", "step", "estimate", "update"]
    assert blocks.programs == 1


def test_the_state_is_learnt_in_place(blocks):
    *given, last = map(jax.tree.leaves, blocks.states)
    aliases = re.search(r"input_output_alias=\{(.*?) \}", blocks.compiled).group(1)
    assert re.findall(r"\{(\d+)\}: \((\d+),", aliases) == [(str(n), str(n)) for n in range(len(last))]
    assert all(leaf.is_deleted() for leaves in given for leaf in leaves)
    assert not any(leaf.is_deleted() for leaf in last)


def by_hand(learner, state, env, progress):
    collected = learner.phases["collect"](state, env, progress, WHOLE)
    estimated = learner.phases["estimate"](collected, env, progress, WHOLE)
    return learner.phases["update"](estimated, env, progress, WHOLE)


@pytest.mark.parametrize("seeds", [None, 2], ids=["alone", "seeds"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_step_is_the_same_program_as_its_phases_in_order(a_learner, probe, kind, seeds):
    learner, env = a_learner(**kind), probe(reward=(1.0, 2.0))
    learner = replicate(learner, seeds) if seeds else learner
    arguments = jax.eval_shape(learner.init, KEY, env), env, jnp.asarray(0.25)
    assert list(learner.phases) == ["collect", "estimate", "update"]
    steps = (learner.step, partial(by_hand, learner))
    whole, phases = (re.sub(r"0x[0-9a-f]+", "", str(jax.make_jaxpr(step)(*arguments))) for step in steps)
    assert whole == phases


def test_a_step_is_bit_for_bit_its_phases_in_order(a_learner, probe):
    learner, env = replicate(a_learner(), 2), probe(reward=(1.0, 2.0), bonus=1.0)
    state, progress = jax.jit(learner.init)(KEY, env), jnp.asarray(0.25)
    both = jax.jit(lambda *args: (learner.step(*args), by_hand(learner, *args)))
    whole, phases = both(state, env, progress)
    assert_identical(phases, whole)
    passed = state
    for phase in learner.phases.values():  # each compiled for itself, as a profile of them does
        passed = jax.jit(partial(phase, shard=WHOLE))(passed, env, progress)
    assert_close(passed, whole)


ENV_SETTINGS = {"grid/navigation": {"random_starts": True, "random_goals": True, "horizon": 9}}


def play(venv, key, length=30):
    """Play by random actions; notes the bits of every key that an actor could draw from."""

    def act(carry, ts, restart, noise):
        action = jnp.where(restart[:, None], 0, (noise[:, :1] % 4).astype(jnp.int32) + jnp.zeros(ts.active.shape, int))
        return action, carry + 1, noise

    def run(venv, key):
        beginning, playing = jax.random.split(key)
        actors = start(venv, beginning, jnp.zeros(venv.num_envs, jnp.int32))
        return rollout(venv, actors, playing, length, act, jax.random.key_data, lambda carry, successor, noise: carry)

    return jax.jit(run)(venv, key)


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("name", ["mpe/simple_spread", "grid/navigation"])
def test_an_environment_is_played_the_same_whatever_their_number_and_wherever(name, first):
    env = make(name, **ENV_SETTINGS.get(name, {}))
    actors, steps, _ = play(vectorize(env, 8), KEY)
    few_actors, few_steps, _ = play(vectorize(env, 4, first=first), KEY)
    mine = slice(first, first + 4)
    assert_close(few_actors, jax.tree.map(lambda x: x[mine], actors))
    assert_close(few_steps, jax.tree.map(lambda x: x[:, mine], steps))
    np.testing.assert_array_equal(few_steps.action, steps.action[:, mine])
    assert np.asarray(steps.successor.done).sum() >= 8  # episodes ended and began anew
    assert len({tuple(bits) for bits in np.asarray(steps.extras).reshape(-1, 2)}) == 30 * 8


def test_a_learner_collects_the_same_in_an_environment_whatever_their_number(a_learner):
    env, progress = make("mpe/simple_spread"), jnp.zeros(())

    def collect(num_envs):
        learner = a_learner(num_envs=num_envs, rollout_length=30)
        return jax.jit(lambda: learner.phases["collect"](learner.init(KEY, env), env, progress, WHOLE))()

    few, many = collect(4), collect(8)
    assert_identical(few.state.params, many.state.params)
    assert_close(few.state.actors, jax.tree.map(lambda x: x[:4], many.state.actors))
    assert_close(few.seen, jax.tree.map(lambda x: x[:4], many.seen))
    np.testing.assert_array_equal(few.choice, many.choice[:4])
    assert len(np.unique(few.choice)) == 5
    for name in ("log_prob", "reward", "terminated", "ended", "outlook"):
        assert_close(getattr(few, name), getattr(many, name)[:, :4])
