"""Suites as files: what becomes of what they say, and what is refused."""

import re
import shlex

import pytest

from jaxmarl_lite.cli import options
from jaxmarl_lite.comparing.commands import train_command
from jaxmarl_lite.comparing.suite import read_suite, shipped_suites
from jaxmarl_lite.core.errors import SettingError
from jaxmarl_lite.environments import registry

PLAN = "[plan]\nsteps = 1e3\n"
TASK = "[tasks.x]\nenv = 'mpe/simple'\n"
SOUND = f"{PLAN}[algos.ippo]\n{TASK}"


@pytest.fixture
def suite(tmp_path):
    """Return a function that reads a suite from a text."""

    def read(text):
        (tmp_path / "some.toml").write_text(text)
        return read_suite(tmp_path / "some.toml")

    return read


def test_the_later_of_plan_algorithm_task_and_tuned_wins(suite):
    read = suite(
        """
        [plan]
        steps = 1e3
        seeds = 2
        seed = 7
        blocks = 3
        [algos.ippo]
        [algos."with memory"]
        algo = "mappo"
        settings = { memory = 8, hidden = [32, 16], lr = 1e-2 }
        plan = { seeds = 3, blocks = 4 }
        [tasks.one]
        env = "mpe/simple"
        [tasks.five]
        env = "mpe/simple_spread"
        settings = { num_agents = 5 }
        plan = { blocks = 5, eval_episodes = 16 }
        bounds = [-80, -20.0]
        [[tuned]]
        algos = ["with *"]
        settings = { lr = 2e-2, entropy = 0.5 }
        [[tuned]]
        tasks = ["five"]
        algos = ["with memory"]
        settings = { lr = 3e-2 }
        plan = { eval_episodes = 32 }
        """
    )
    assert [cell.name for cell in read.cells] == [
        *("ippo in one", "ippo in five", "with memory in one", "with memory in five")
    ]
    assert (read.title, read.algos, read.tasks) == ("some", ("ippo", "with memory"), ("one", "five"))
    assert read.bounds == {"five": (-80.0, -20.0)}
    plain, _, _, last = read.cells
    assert (plain.plan.seeds, plain.plan.blocks, plain.plan.eval_episodes, plain.seed) == (2, 3, 128, 7)
    assert (last.plan.seeds, last.plan.blocks, last.plan.eval_episodes, last.seed) == (3, 5, 32, 7)
    settings = last.learner.settings
    assert (last.learner.name, settings.memory, settings.hidden) == ("mappo", 8, (32, 16))
    assert (settings.lr, settings.entropy, read.cells[2].learner.settings.lr) == (3e-2, 0.5, 2e-2)
    assert registry.origin(last.env) == ("mpe/simple_spread", {"num_agents": 5})
    assert last.folder.parts == ("runs", "five", "with-memory")
    assert [cell.name for cell in read.only(["ippo"], ["five"]).cells] == ["ippo in five"]
    assert {cell.plan.steps for cell in read.with_plan(steps=5.0).cells} == {5.0}


@pytest.mark.parametrize("name", shipped_suites())
def test_cells_that_are_shipped_have_commands_that_train_them(name):
    cells = read_suite(name).cells
    for cell in cells[:: 1 + len(cells) // 6]:
        assert_same(cell, train_command(cell, 1))


def test_a_command_has_every_kind_of_setting(suite):
    read = suite(
        """
        [plan]
        steps = 123457
        seed = 3
        [algos.odd]
        algo = "ippo"
        settings = { anneal_lr = false, sequential = true, hidden = [8], lr = 1.23456789e-5, critic = "joint" }
        plan = { sample_eval = true }
        [tasks.grid]
        env = "grid/navigation"
        settings = { goals = [[0, 4], [4, 0]], size = 5 }
        [tasks.game]
        env = "matrix/game"
        settings = { payoff = [[[1, 0], [0, 2]], [[1, 0], [0, 2]]] }
        """
    )
    for cell in read.cells:
        assert_same(cell, train_command(cell, 2))


def assert_same(cell, command):
    program, word, *words = shlex.split(command)
    assert (program, word) == ("jaxmarl-lite", "train")
    given = options.parse_learner(options.train_command, words, "train")
    assert given.learner == cell.learner.settings
    assert {**vars(given.plan), "devices": cell.plan.devices} == vars(cell.plan)
    assert given.start.seed == cell.seed
    name, settings = registry.origin(cell.env)
    made = registry.make(name, **options.chosen_settings(given.env))
    assert repr(made) == repr(registry.make(name, **settings))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "algos is missing: name one at least, such as [algos.ippo]."),
        ("[plan", "Expected ']'"),
        (f"{PLAN}[algos.ippo]\n[algos.ippo]\n{TASK}", "Cannot declare"),
        ("[plans]\n", "unknown key of the suite 'plans'; did you mean plan?"),
        (f"[plan]\nstepss = 1\n[algos.ippo]\n{TASK}", "unknown key of plan 'stepss'; did you mean steps?"),
        (f"[algos.ippo]\n{TASK}", "ippo in x: steps is missing"),
        (f"{PLAN}[algos.ipo]\n{TASK}", "ipo in x: unknown algorithm 'ipo'; did you mean ippo"),
        (f"{PLAN}[algos.ippo]\n[tasks.x]\nenv = 'mpe/simpl'\n", "[tasks.x]: unknown environment 'mpe/simpl'"),
        (f"{PLAN}[algos.ippo]\n[tasks.x]\n", "[tasks.x]: env is missing"),
        (f"{PLAN}[algos.ippo]\nsettings = {{ lrr = 1 }}\n{TASK}", "unknown setting of ippo 'lrr'; did you mean"),
        (f"{PLAN}[algos.ippo]\nsettings = {{ hidden = 64 }}\n{TASK}", "hidden=64 is not allowed: it must be a list"),
        (f"{PLAN}[algos.ippo]\nplan = {{ seed = -1 }}\n{TASK}", "seed=-1 is not allowed"),
        (f"{PLAN}sample_eval = 'yes'\n[algos.ippo]\n{TASK}", "sample_eval='yes' is not allowed"),
        (f"{PLAN}[algos.iql]\n[tasks.x]\nenv = 'mpe/predator_prey'\n", "iql in x: iql gives a value to each discrete"),
        (f"{PLAN}[algos.'a b']\n[algos.'A-b']\n{TASK}", "[algos.A-b]: the name is not allowed"),
        (f"{PLAN}[algos.'..']\n{TASK}", "[algos...]: the name is not allowed"),
        (f"{SOUND}bounds = [3, 1]\n", "bounds=[3, 1] is not allowed: the lower one comes first"),
        (f"{SOUND}[tuned]\n", "write [[tuned]] above each"),
        (f"{SOUND}[[tuned]]\nalgos = ['ipp']\n", "[[tuned]] number 1: unknown name in algos 'ipp'; did you mean ippo?"),
        (f"{SOUND}[[tuned]]\ntasks = ['y*']\n", "[[tuned]] number 1: unknown name in tasks 'y*'"),
        (f"{SOUND}[[tuned]]\nsettings = {{ capacity = 3 }}\n", "ippo in x: unknown setting of ippo 'capacity'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(suite, text, sentence):
    with pytest.raises(SettingError, match=rf"some\.toml: .*{re.escape(sentence)}"):
        suite(text)


def test_a_suite_that_is_not_there(tmp_path):
    with pytest.raises(SettingError, match="unknown suite 'firs'; did you mean first"):
        read_suite("firs")
    with pytest.raises(SettingError, match="cannot be read: No such file"):
        read_suite(tmp_path / "none.toml")
