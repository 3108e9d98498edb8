"""Several devices, in a process of its own that has four virtual ones."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training.placement import choose_devices

SETTINGS = {"num_envs": 16, "rollout_length": 5, "minibatches": 4, "hidden": (16,)}

PROGRAM = """
import json, pathlib, shutil, sys
from functools import partial
import jax, jax.numpy as jnp, numpy as np
import jaxmarl_lite as jml
from jaxmarl_lite.training import checkpoint, loop
from jaxmarl_lite.training.folder import RunFolder
from jaxmarl_lite.training.placement import Placement

out, settings = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2])
settings["hidden"] = tuple(settings["hidden"])
learner, env = jml.make_learner("ippo", **settings), jml.make("mpe/simple_spread")
run = partial(jml.train, learner, env, jax.random.key(3), seeds=2, eval_episodes=8)
answer = {"there": jax.device_count()}

for devices in (1, 2, 4):
    # Four is what is chosen where nothing is said.
    result = run(steps=320, blocks=2, devices=devices if devices < 4 else None, out=out / f"on-{devices}")
    answer[f"rows on {devices}"] = result.rows
    answer[f"params on {devices}"] = [np.asarray(x).ravel().tolist() for x in jax.tree.leaves(result.state.params)]
    leaf = result.state.actors.restart
    answer[f"devices of environments on {devices}"] = len(leaf.sharding.device_set)
    answer[f"shard shape on {devices}"] = leaf.addressable_shards[0].data.shape
    answer[f"config on {devices}"] = RunFolder.open(out / f"on-{devices}").config()["plan"]["devices"]

for devices in (1, 2, 4):
    copy = shutil.copytree(out / "on-4", out / f"on-4-then-{devices}")
    result = jml.resume(copy, steps=640, devices=devices)
    answer[f"resumed on {devices}"] = result.rows

def text(devices):
    place = Placement.over(devices)
    many = jml.replicate(learner, 1)
    state = jax.jit(many.init)(jax.random.key(0), env)
    axes = many.env_axes(state)
    state = place.lay(state, axes)
    block = place.spread(partial(loop.run_updates, learner, 2, place.shard), (axes, -1, -1, -1), (axes, -1))
    lowered = jax.jit(block).lower(state, env, jnp.zeros((), jnp.int32), jnp.ones(()))
    return lowered.compile(json.loads(sys.argv[3])).as_text()

answer["text on 1"], answer["text on 4"] = text(1), text(4)
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def answer(tmp_path_factory, full_compilation):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    given = [str(tmp_path_factory.mktemp("placed")), *map(json.dumps, (SETTINGS, full_compilation))]
    words, environment = [sys.executable, "-c", PROGRAM, *given], {**os.environ, "XLA_FLAGS": flags}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def last(rows, name):
    return [row[name] for row in rows if row["block"] == rows[-1]["block"]]


def test_environments_are_laid_over_all_devices_or_as_many_as_are_asked_for(answer):
    assert answer["there"] == 4
    for devices in (1, 2, 4):
        assert answer[f"devices of environments on {devices}"] == devices
        assert answer[f"shard shape on {devices}"] == [2, 16 // devices]  # seeds, environments
        assert answer[f"config on {devices}"] == devices


@pytest.mark.parametrize("devices", [2, 4])
def test_learning_is_that_of_one_device(answer, devices):
    for one, several in zip(answer["params on 1"], answer[f"params on {devices}"], strict=True):
        np.testing.assert_allclose(several, one, atol=2e-4)
    for name in ("loss", "entropy", "value_loss", "grad_norm", "eval_return_sum"):
        one, several = (last(answer[f"rows on {n}"], name) for n in (1, devices))
        np.testing.assert_allclose(several, one, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("devices", [1, 2])
def test_a_checkpoint_of_four_devices_goes_on_with_fewer_as_with_four(answer, devices):
    assert [row["block"] for row in answer[f"resumed on {devices}"]] == [1, 1, 2, 2, 3, 3, 4, 4]
    for name in ("loss", "entropy", "value_loss", "grad_norm"):
        fewer, four = ([row[name] for row in answer[f"resumed on {n}"]] for n in (devices, 4))
        np.testing.assert_allclose(fewer, four, rtol=2e-3, atol=1e-5)


def collectives(text):
    """The operations that devices do together, in each of the program's computations that has any."""
    pattern = r"^ .* = .* ((?:all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)(?:-start)?)\("
    found = [re.findall(pattern, computation, re.MULTILINE) for computation in text.split("\n}\n")]
    return [operations for operations in found if operations]


def test_devices_speak_in_the_update_only_and_never_for_each_environment_step(answer):
    assert collectives(answer["text on 1"]) == []
    # One message in the loop over minibatches, the gradient; and in that over updates the returns, the scale of the
    # advantages and the metrics. The loop over environment steps would be a third computation.
    found = collectives(answer["text on 4"])
    assert sorted(map(len, found)) in ([1, 3], [1, 4]), found
    assert {name for operations in found for name in operations} == {"all-reduce"}


def test_devices_that_cannot_share_equally_are_refused_in_a_sentence():
    learner = make_learner("ippo", **SETTINGS)
    with pytest.raises(SettingError, match="devices=2 is not allowed: it must be an integer from 1 to 1"):
        choose_devices(learner, 8, 2)


def test_the_number_of_devices_divides_environments_and_episodes(monkeypatch):
    monkeypatch.setattr("jax.device_count", lambda: 8)
    learner = make_learner("ippo", **SETTINGS)
    assert choose_devices(learner, 8, None) == 4
    assert choose_devices(learner, 6, None) == 2
    assert choose_devices(learner, 7, None) == 1
    assert choose_devices(learner, 8, 2) == 2
    with pytest.raises(SettingError, match=r"devices=3 is not allowed here: it must divide 4"):
        choose_devices(learner, 8, 3)
