import dataclasses
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import pytest

import jaxmarl_lite as jml
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.core.shard import WHOLE
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.learners.replicate import replicate
from jaxmarl_lite.training import memory
from jaxmarl_lite.training.loop import run_updates
from jaxmarl_lite.training.memory import available_memory, memory_plan, require_memory

GB = 10**9
SPREAD = "mpe/simple_spread"
MATRIX = jax.ShapeDtypeStruct((100, 100), jnp.float32)
ONE = 40_000  # bytes of a MATRIX


@pytest.fixture(scope="module")
def env():
    return jml.make(SPREAD)


@pytest.fixture(scope="module")
def learner():
    return make_learner("ippo", num_envs=64, rollout_length=8, minibatches=2, epochs=1, hidden=(16,))


@pytest.fixture(scope="module")
def plan(learner, env):
    return memory_plan(learner, env, eval_episodes=16)


def changed(learner, **settings):
    return dataclasses.replace(learner.settings, **settings).build(learner.name)


def most_alive(function, *args, mortal=False):
    program = jax.make_jaxpr(function)(*args).jaxpr
    return memory._most_alive(program, set(program.invars) if mortal else set())


def test_every_part_is_that_of_the_arrays_which_a_run_makes(learner, env, plan):
    state = jax.jit(learner.init)(jax.random.key(0), env)
    assert plan["parameters"] == sum(x.nbytes for x in jax.tree.leaves(state.params))
    assert plan["optimiser"] == sum(x.nbytes for x in jax.tree.leaves(state.opt_state))
    assert plan["environments"] == 3 * sum(x.nbytes for x in jax.tree.leaves(state.actors))
    assert plan["state"] == sum(x.nbytes for x in jax.tree.leaves((state.key, state.returns, state.hyper)))
    assert plan["replay"] == 0
    _, metrics = jax.eval_shape(lambda state: learner.step(state, env, jnp.zeros(())), state)
    assert plan["metrics"] == 4 * sum(x.size for x in jax.tree.leaves(metrics))


def test_a_rollout_and_the_work_on_it_grow_with_its_length_and_the_state_does_not(learner, env, plan):
    longer = memory_plan(changed(learner, rollout_length=16), env, eval_episodes=16)
    for part in ("rollout", "batch", "values"):
        assert longer[part] == pytest.approx(2 * plan[part], rel=0.1)
    for part in ("parameters", "optimiser", "environments", "state", "evaluation"):
        assert longer[part] == plan[part]


def test_the_parts_take_turns(plan):
    kept = sum(plan[part] for part in ("parameters", "optimiser", "environments", "replay", "state"))
    assert kept + plan["rollout"] < plan["total"] < sum(size for part, size in plan.items() if part != "total")


def test_evaluation_may_be_what_needs_most(learner, env):
    many = memory_plan(learner, env, eval_episodes=100_000)
    assert many["evaluation"] < many["total"] < 1.1 * many["evaluation"]


def test_seeds_have_a_state_each_and_take_turns_with_the_rest(learner, env, plan):
    four = memory_plan(learner, env, seeds=4, eval_episodes=16)
    assert four["parameters"] == 4 * plan["parameters"]
    assert four["rollout"] == plan["rollout"] * (1 if jax.default_backend() == "cpu" else 4)
    assert plan["total"] < four["total"] < 4 * plan["total"]


def test_replays_of_seeds_are_kept_once_and_one_of_them_is_copied(env, full_compilation):
    seeds = 3
    learner = make_learner("vdn", num_envs=64, rollout_length=5, capacity=10_000, hidden=(8,), gradient_steps=1)
    state = jax.eval_shape(replicate(learner, seeds).init, jax.random.key(0), env)
    run = partial(run_updates, learner, 2, WHOLE, done=0, total=2)
    used = jax.jit(run, donate_argnums=0).lower(state, env).compile(full_compilation).memory_analysis()
    outside = used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    planned = memory_plan(learner, env, seeds=seeds)["total"]
    assert 1 / 1.2 < planned / (used.temp_size_in_bytes + outside) < 1.2


def test_a_device_needs_what_a_run_of_its_environments_alone_would(learner, env):
    of_two = memory_plan(learner, env, seeds=2, eval_episodes=16, devices=2)
    assert of_two == memory_plan(changed(learner, num_envs=32), env, seeds=2, eval_episodes=8)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"seeds": 0}, "seeds=0"),
        ({"eval_episodes": -1}, "eval_episodes=-1"),
        ({"devices": 0}, "devices=0"),
        ({"devices": 3}, "devices=3 is not allowed: it must divide 32"),
        ({"devices": 4, "eval_episodes": 6}, "devices=4 is not allowed: it must divide 2,"),
    ],
)
def test_a_count_that_is_not_allowed_is_refused(learner, env, counts, message):
    with pytest.raises(SettingError, match=message):
        memory_plan(learner, env, **counts)


def test_the_compiler_needs_about_as_much_as_was_planned(env, full_compilation):
    learner = make_learner("ippo", num_envs=4096, rollout_length=16, minibatches=4, epochs=1, hidden=(8,))
    plan = memory_plan(learner, env)
    state = jax.eval_shape(lambda key: learner.init(key, env), jax.random.key(0))
    lowered = jax.jit(learner.step, donate_argnums=0).lower(state, env, jnp.zeros(()))
    used = lowered.compile(full_compilation).memory_analysis()
    outside = used.argument_size_in_bytes + used.output_size_in_bytes - used.alias_size_in_bytes
    assert 1 / 1.5 < plan["total"] / (used.temp_size_in_bytes + outside) < 1.5


def test_a_chain_of_products_holds_two_matrices():
    assert most_alive(lambda x: x @ x @ x @ x @ x, MATRIX) == 2 * ONE


def test_what_only_changes_its_values_is_overwritten():
    assert most_alive(lambda x: jnp.exp(jnp.sin(x) * 2) + 1, MATRIX) == ONE
    assert most_alive(lambda x: jnp.exp(jnp.sin(x) * 2) + 1, MATRIX, mortal=True) == 0
    assert most_alive(jax.jit(lambda x: jnp.where(x > 1, jnp.sin(x), 0.0)), MATRIX, mortal=True) <= ONE


def test_what_nobody_reads_is_never_made():
    def wasteful(x):
        _, unused = jax.lax.scan(lambda c, _: (c + 1, x @ x), 0.0, None, length=50)
        return x.sum() + 0 * len(unused @ x)

    assert most_alive(wasteful, MATRIX) < ONE


def test_a_gradient_holds_what_the_way_back_needs():
    def loss(x):
        for _ in range(10):
            x = jnp.sin(x @ x)
        return x.sum()

    assert 10 * ONE < most_alive(jax.grad(loss), MATRIX) < 40 * ONE


def test_a_loop_holds_its_outputs_and_the_work_of_one_turn():
    def loop(x):
        return jax.lax.scan(lambda c, _: (c @ c @ c, c), x, None, length=7)[1]

    assert 9 * ONE <= most_alive(loop, MATRIX) <= 11 * ONE

    def until(x):
        return jax.lax.while_loop(lambda c: c.sum() < 9, lambda c: c + 1, x)

    assert most_alive(until, MATRIX, mortal=True) <= ONE


def test_only_one_branch_is_taken():
    def choose(x):
        return jax.lax.cond(x.sum() > 0, lambda: x @ x @ x, lambda: x @ x)

    assert most_alive(choose, MATRIX) == pytest.approx(2 * ONE, abs=100)


def test_what_fits_or_cannot_be_known_is_not_refused(learner, plan):
    require_memory(plan, plan["total"], learner)
    require_memory(plan, None, learner)


def test_what_does_not_fit_is_refused_with_the_number_of_environments_that_does(learner, env, plan):
    replan = partial(memory_plan, env=env, eval_episodes=16)
    available = replan(changed(learner, num_envs=16))["total"]
    with pytest.raises(SettingError) as caught:
        require_memory(plan, available, learner, replan)
    largest, size = max(((part, size) for part, size in plan.items() if part != "total"), key=lambda item: item[1])
    assert str(caught.value) == (
        f"this run needs about {plan['total'] / 1e6:.1f} MB on each device ({largest} {size / 1e6:.1f} MB), and "
        f"{available / 1e6:.1f} MB are there: lower num_envs (now 64) to at most 16, or rollout_length or seeds."
    )
    with pytest.raises(SettingError, match=r"lower num_envs \(now 64\), or rollout_length or seeds\.$"):
        require_memory(plan, 1000, learner, replan)


def test_the_setting_that_the_largest_part_follows_from_is_named(learner):
    for part, setting in (("evaluation", "eval_episodes"), ("parameters", "hidden"), ("rollout", "num_envs")):
        with pytest.raises(SettingError, match=rf"needs about 31.2 GB.*\({part} 28.1 GB\).*lower {setting}"):
            require_memory({"state": 5, part: 281 * GB // 10, "total": 312 * GB // 10}, 12 * GB, learner)


def test_the_machine_says_what_is_free():
    free = available_memory()
    assert free is None or 10**7 < free < 10**15


def test_a_device_that_reports_its_memory_is_believed(monkeypatch):
    class Device:
        platform = "gpu"

        def __init__(self, stats):
            self.memory_stats = lambda: stats

    def with_stats(stats):
        monkeypatch.setattr(jax, "local_devices", lambda: [Device(stats)])
        return available_memory()

    assert with_stats({"bytes_limit": 16 * GB, "bytes_in_use": 3 * GB}) == 13 * GB
    assert with_stats(None) is None


def test_a_container_may_allow_less_than_the_machine_has(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", (str(limit), str(tmp_path / "missing")))
    limit.write_text("4000000\n")
    assert available_memory() == 4_000_000 // jax.local_device_count()
    limit.write_text("max\n")
    assert available_memory() != 4_000_000 // jax.local_device_count()


# In a process between, because a process begins with the peak of the one that started it.
PEAK_OF_A_COMMAND = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
unit = 1 if sys.platform == "darwin" else 1024
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the operating system does not tell")
def test_65536_environments_are_stepped_in_less_than_2_gb(python):
    words = ["bench", "env", SPREAD, "--num-envs", 65536, "--steps", 10, "--repeats", 1]
    command = [sys.executable, "-c", PEAK_OF_A_COMMAND, *python, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2 * GB
