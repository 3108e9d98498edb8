"""The public names and what they take: change this on purpose, and say so in CHANGELOG.md."""

import importlib
import inspect
import subprocess
import sys

import pytest

import jaxmarl_lite as jml

NAMES = {
    "Env",
    "Learner",
    "Policy",
    "RunError",
    "SettingError",
    "Spec",
    "TimeStep",
    "VecEnv",
    "__version__",
    "algos",
    "check_env",
    "compare",
    "envs",
    "evaluate",
    "load",
    "make",
    "make_learner",
    "read_suite",
    "register",
    "replicate",
    "resume",
    "sweep",
    "track",
    "train",
    "vectorize",
}

PARAMETERS = {
    ("core.spec", "Spec"): "agents obs_sizes action_sizes state_size horizon action_kind action_range groups",
    ("core.env", "TimeStep"): "obs state legal active reward terminated truncated",
    ("environments.contract", "check_env"): "env * num_envs seed",
    ("environments.registry", "envs"): "",
    ("environments.registry", "make"): "name **settings",
    ("environments.registry", "register"): "name constructor",
    ("environments.vectorize", "vectorize"): "env num_envs * first",
}


def parameters(function):
    words, keyword_only = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            words.append("*")
            keyword_only = True
        words.append(("**" if parameter.kind is parameter.VAR_KEYWORD else "") + parameter.name)
    return " ".join(words)


def test_public_names_are_these():
    assert set(jml.__all__) == NAMES
    assert list(jml.__all__) == sorted(jml.__all__)
    assert set(dir(jml)) == NAMES


@pytest.mark.parametrize(("home", "name"), PARAMETERS, ids=lambda x: x)
def test_public_functions_take_these_parameters(home, name):
    function = getattr(importlib.import_module(f"jaxmarl_lite.{home}"), name)
    assert parameters(function) == PARAMETERS[home, name]


ASK_TWICE = """
import types
import jaxmarl_lite as jml
names = [name for name in jml.__all__ for _ in range(2)]
print([name for name in names if isinstance(getattr(jml, name), types.ModuleType)])
"""


@pytest.mark.parametrize(
    "before", ["", "import jaxmarl_lite.cli.main, jaxmarl_lite.training.load, jaxmarl_lite.environments.contract"]
)
def test_public_names_are_never_hidden_by_subpackages_of_the_same_name(before):
    done = subprocess.run([sys.executable, "-c", before + ASK_TWICE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = jml.nothing
