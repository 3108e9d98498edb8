import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxmarl_lite as jml
from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.learners.presets import make_learner
from jaxmarl_lite.training import loop
from jaxmarl_lite.training.folder import CONFIG
from jaxmarl_lite.training.loop import _require_finite, _rows, resume, train

KEY = jax.random.key(0)


@pytest.fixture
def learner(learner_settings):
    return make_learner("ippo", **learner_settings)


@pytest.fixture
def env(probe):
    return probe(reward=(1.0, 2.0), bonus=1.0)


@pytest.fixture(scope="module")
def trained_and_seen(learner_settings, plan, probe):
    """A run of two seeds in which each agent gets 1 or 2 a step, and 1 more for action 1; and what callbacks saw."""
    env, seen = probe(reward=(1.0, 2.0), bonus=1.0), []
    return train(make_learner("ippo", **learner_settings), env, KEY, seeds=2, callbacks=(seen.append,), **plan), seen


@pytest.fixture(scope="module")
def trained(trained_and_seen):
    return trained_and_seen[0]


def noting(learner, note):
    """Return the learner with metrics changed by `note`: (metrics, progress) -> metrics."""
    *_, (name, last) = learner.phases.items()

    def phase(passed, env, progress, shard):
        state, metrics = last(passed, env, progress, shard)
        return state, note(metrics, progress)

    return learner._replace(phases={**learner.phases, name: phase})


def test_the_package_hands_out_the_function_every_time():
    assert callable(jml.train)
    assert callable(jml.train), "the subpackage jaxmarl_lite.training took the function's name"


def test_there_is_a_row_for_each_block_and_seed(trained):
    order = [(row["block"], row["seed"], row["env_steps"]) for row in trained.rows]
    assert order == [(block, seed, 40 * block) for block in (1, 2, 3, 4) for seed in (0, 1)]


def test_a_row_has_the_figures_of_its_episodes(trained):
    for row in trained.rows:
        assert row["length"] == 5
        assert row["return_sum"] == pytest.approx(sum(row["return_per_agent"]))
        low, high = row["return_per_agent"]
        assert 5 <= low <= 10 <= high <= 15
        assert np.sum(row["action_frequency"], axis=-1) == pytest.approx(1, abs=1e-5)


def test_where_no_episode_ended_it_is_said_and_not_invented():
    ended = {"episodes": np.array([2.0, 0.0]), "episode_return": np.array([[3.0, 4.0], [0.0, 0.0]])}
    metrics = {**ended, "episode_length": np.array([7.0, 0.0]), "loss": np.array([0.5, 0.25])}
    one, none = _rows(3, 120, metrics, {"return_sum_per_seed": [1.0, 2.0]})
    assert one == {
        "block": 3,
        "seed": 0,
        "env_steps": 120,
        "return_sum": 3.5,
        "return_per_agent": [1.5, 2.0],
        "length": 3.5,
        "eval_return_sum": 1.0,
        "loss": 0.5,
    }
    assert (none["seed"], none["eval_return_sum"], none["loss"]) == (1, 2.0, 0.25)
    assert none["return_sum"] is none["return_per_agent"] is none["length"] is None


def test_the_summary_is_of_the_last_state(trained):
    summary = trained.summary
    assert summary["env_steps"] == 160
    assert summary["seeds"] == 2
    last = [row["eval_return_sum"] for row in trained.rows[-2:]]
    assert summary["eval"]["return_sum_per_seed"] == last
    assert summary["eval"]["return_sum"] == pytest.approx(np.mean(last))
    frequency = [row["action_frequency"] for row in trained.rows if row["seed"] == 1]
    np.testing.assert_allclose(summary["policy_time_average"][1], np.mean(frequency, axis=0), rtol=1e-6)


def test_every_leaf_of_the_state_has_an_axis_of_seeds(trained):
    assert {leaf.shape[0] for leaf in jax.tree.leaves(trained.state)} == {2}


def test_seeds_differ_from_one_another(trained):
    first, second = (trained.rows[seed]["loss"] for seed in (0, 1))
    assert first != second


def test_a_seed_learns_the_same_whatever_their_number(trained, learner, env, plan):
    alone = train(learner, env, KEY, seeds=1, **plan)
    for mine, among_two in zip(alone.rows, trained.rows[::2], strict=True):
        assert mine.keys() == among_two.keys()
        for name, value in mine.items():
            np.testing.assert_allclose(value, among_two[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_the_same_key_gives_the_same_run_written_the_old_way_or_the_new(trained, learner, env, plan):
    assert train(learner, env, jax.random.PRNGKey(0), seeds=2, **plan).rows == trained.rows


def test_each_phase_is_traced_once_and_its_progress_runs_from_0_towards_1(learner, env, plan):
    calls = []

    def counted(name, phase):
        def call(passed, env, progress, shard):
            calls.append(name)
            return phase(passed, env, progress, shard)

        return call

    phases = {name: counted(name, phase) for name, phase in learner.phases.items()}
    spied = noting(learner._replace(phases=phases), lambda metrics, progress: {**metrics, "progress": progress})
    rows = train(spied, env, KEY, **plan).rows
    assert calls == list(learner.phases)
    assert [row["progress"] for row in rows] == [0, 0.25, 0.5, 0.75]


def test_the_state_is_donated_to_a_block_and_to_nothing_else(learner, env, plan, monkeypatch):
    donated = []

    class Spy(loop.Stopwatch):
        def compiled(self, function, *args, donate=(), once=False):
            program = super().compiled(function, *args, donate=donate, once=once)
            donated.append((len(jax.tree.leaves(args[0])) if donate else 0, program.as_text().count("may-alias")))
            return program

    monkeypatch.setattr(loop, "Stopwatch", Spy)
    state = train(learner, env, KEY, seeds=2, **plan).state
    leaves = len(jax.tree.leaves(state))
    assert sorted(donated) == [(0, 0), (0, 0), (leaves, leaves)]  # the first state, the evaluation, a block
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(state))


def test_callbacks_see_every_block(trained_and_seen):
    result, seen = trained_and_seen
    assert [(at.block, at.blocks, at.env_steps) for at in seen] == [(block, 4, 40 * block) for block in (1, 2, 3, 4)]
    assert [row for at in seen for row in at.rows] == result.rows
    assert all(at.env_steps_per_second > 0 for at in seen)


def test_learning_that_diverges_stops_with_a_sentence_and_keeps_what_was_saved(learner, env, plan, tmp_path):
    def diverging_from(end):  # the same program for every end, so that all rounds alike
        return noting(
            learner, lambda metrics, progress: {**metrics, "loss": jnp.where(progress < end, metrics["loss"], jnp.nan)}
        )

    def stop(at):
        if at.block == 2:
            raise KeyboardInterrupt

    with pytest.raises(RunError, match=r"loss of seed 0 is no longer finite in block 3.*up to block 2 is kept in"):
        train(diverging_from(0.5), env, KEY, out=tmp_path / "diverged", seeds=2, **plan)
    with pytest.raises(KeyboardInterrupt):
        train(diverging_from(2.0), env, KEY, out=tmp_path / "stopped", seeds=2, callbacks=(stop,), **plan)
    seen = []
    rows = resume(tmp_path / "diverged", callbacks=(seen.append,)).rows
    assert rows == resume(tmp_path / "stopped").rows
    assert [at.block for at in seen] == [3, 4]


def test_the_seed_that_diverged_is_named():
    metrics = {"fine": np.ones(3), "grad_norm": np.array([[1, 2], [3, np.inf], [np.nan, 0]])}
    with pytest.raises(RunError, match="grad_norm of seed 1 is no longer finite in block 7"):
        _require_finite(metrics, 7, None)


@pytest.mark.parametrize("infinite_from", [3.0, 45.0], ids=["in training", "in evaluation only"])
def test_an_infinite_reward_stops_with_a_sentence(learner, probe, plan, tmp_path, infinite_from):
    env = probe(length=50, infinite_from=infinite_from)
    with pytest.raises(RunError, match=r"seed 0.*finite.*block 1"):
        train(learner, env, KEY, out=tmp_path / "run", **plan)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": math.nan}, "steps=nan"),
        ({"seeds": 0}, "seeds=0"),
        ({"blocks": -1}, "blocks=-1"),
        ({"eval_episodes": 2.5}, "eval_episodes=2.5"),
        ({"keep": 0}, "keep=0"),
    ],
)
def test_a_bad_plan_is_refused_before_anything_is_written(learner, env, plan, tmp_path, settings, message):
    with pytest.raises(SettingError, match=message):
        train(learner, env, KEY, out=tmp_path / "run", **{**plan, **settings})
    assert not list(tmp_path.iterdir())


def test_a_refusal_of_the_learner_comes_before_anything_is_written(learner, env, plan, tmp_path):
    def refuse(spec):
        raise SettingError(f"nothing can be learnt with {spec.num_agents} agents.")

    with pytest.raises(SettingError, match="nothing can be learnt with 2 agents"):
        train(learner._replace(check=refuse), env, KEY, out=tmp_path / "run", **plan)
    assert not list(tmp_path.iterdir())


def test_an_environment_that_breaks_its_contract_is_refused_before_anything_is_written(
    learner, env, plan, tmp_path, monkeypatch
):
    broken = jml.make("test/probe")
    monkeypatch.setattr(type(broken), "reset", lambda self, key: 3)
    with pytest.raises(SettingError, match=r"reset must return \(state, TimeStep\)"):
        train(learner, broken, KEY, out=tmp_path / "run", **plan)
    assert not list(tmp_path.iterdir())


def test_overwriting_replaces_the_run(learner, env, run_copy, plan):
    assert '"env": "grid/navigation"' in (run_copy / CONFIG).read_text()
    result = train(learner, env, KEY, out=run_copy, overwrite=True, **{**plan, "steps": 40})
    assert len(result.rows) == 1
    assert [path.name for path in (run_copy / "checkpoints").iterdir()] == ["000001"]
    assert '"env": "test/probe"' in (run_copy / CONFIG).read_text()
