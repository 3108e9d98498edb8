"""A replay in the programs of a learner: in place, on several devices, in checkpoints and in the memory plan."""

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
from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training.loop import run_updates
from jaxmarl_lite.training.memory import is_surely_small, memory_plan

KEY = jax.random.key(0)
TINY = {"num_envs": 8, "rollout_length": 8, "hidden": (16,), "gamma": 0.9}
REPLAY = {"capacity": 16, "batch": 8, "warmup": 8, "gradient_steps": 2, "target_period": 3}
RATED = {"priority": 0.6}


@pytest.fixture(scope="module")
def blocks(probe, full_compilation):
    """Programs of two updates, as they are lowered, and as one with a large ring is compiled."""
    env, texts = probe(reward=(1.0, 2.0)), {}
    recurrent = {**REPLAY, "memory": 4, "sequence": 4}
    kinds = {"qmix": recurrent, "rated": {**recurrent, **RATED, "capacity": 16 * 1024}}
    for kind, settings in {**kinds, "pqn": {"minibatches": 2}}.items():
        learner = make_learner("pqn" if kind == "pqn" else "qmix", **{**TINY, **settings})
        state = jax.eval_shape(replicate(learner, 1).init, KEY, env)
        block = jax.jit(partial(run_updates, learner, 2, WHOLE, done=0, total=4), donate_argnums=0)
        lowered = block.lower(state, env)
        texts[kind] = lowered.as_text(), lowered.compile(full_compilation) if kind == "rated" else None
    return texts


def test_learning_sorts_nothing_scatters_nothing_and_never_leaves_the_device(blocks):
    for kind, (lowered, _) in blocks.items():
        for word in ("stablehlo.sort", "chlo.top_k", "custom_call @xla_python", "infeed"):
            assert word not in lowered
        assert ("scatter" in lowered) is (kind == "rated")  # into the tree of priorities


def test_a_ring_and_its_priorities_are_written_in_place(blocks):
    _, program = blocks["rated"]
    used = program.memory_analysis()
    assert used.argument_size_in_bytes > 10_000_000
    assert used.temp_size_in_bytes < 0.1 * used.argument_size_in_bytes
    made = [line for line in program.as_text().splitlines() if "= f32[8,32768]" in line]
    assert any("scatter" in line for line in made)
    assert not [line for line in made if " copy(" in line]


def test_the_planner_counts_the_ring():
    env = jml.make("mpe/simple_spread")
    learner = make_learner("qmix", capacity=1000, **RATED)
    state = jax.eval_shape(lambda: learner.init(KEY, env))
    plan = memory_plan(learner, env)
    assert plan["replay"] == sum(x.size * x.dtype.itemsize for x in jax.tree.leaves((state.replay, state.ratings)))
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
env, figures = jml.make("grid/navigation", horizon=6), {}
for name, settings in json.loads(sys.argv[1]).items():
    learner = jml.make_learner(name, **{**settings, "hidden": (16,)})
    many = jml.replicate(learner, 1)
    state = jax.jit(many.init)(jax.random.key(3), env)
    for devices in (1, 2):
        place = Placement.over(devices)
        axes = many.env_axes(state)
        block = partial(run_updates, learner, 3, place.shard, done=0, total=3)
        _, metrics = jax.jit(place.spread(block, (axes, -1), (axes, -1)))(place.lay(state, axes), env)
        names = ("loss", "value", "grad_norm", "episode_return")
        figures[name, devices] = [jnp.ravel(metrics[name]).tolist() for name in names]
print(json.dumps([[figures[name, devices] for devices in (1, 2)] for name in json.loads(sys.argv[1])]))
"""


def test_several_devices_learn_the_same_but_for_rounding():
    rated = {**TINY, **REPLAY, **RATED, "batch": 4, "sequence": 2}
    off_policy = {**rated, "gradient_steps": 2, "actor_period": 2, "critics": 2}
    settings = {"qmix": rated, "pqn": {**TINY, "minibatches": 2}, "masac": off_policy}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(settings)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for one, two in json.loads(done.stdout.splitlines()[-1]):
        for figure, other in zip(one, two, strict=True):
            np.testing.assert_allclose(other, figure, rtol=1e-3)


def test_a_resumed_run_is_bit_for_bit_the_same(tmp_path):
    learner, env = make_learner("vdn", **TINY, **REPLAY, **RATED), jml.make("grid/navigation", horizon=5)
    plan = {"steps": 512, "blocks": 4, "eval_episodes": 8}
    whole = jml.train(learner, env, KEY, **plan, out=tmp_path / "whole")

    def stop(progress):
        if progress.block == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        jml.train(learner, env, KEY, **plan, out=tmp_path / "stopped", callbacks=[stop])
    resumed = jml.resume(tmp_path / "stopped")
    assert int(resumed.state.replay.filled[0]) == 16
    assert float(jnp.ptp(resumed.state.ratings.priorities.tree)) > 0.0
    bits = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x  # noqa: E731
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(bits(a), bits(b)), resumed.state, whole.state)
