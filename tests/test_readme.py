"""What README.md shows is what runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxmarl_lite.cli.main as command

README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_python_examples_run(tmp_path):
    """One after another in a process of their own and compiled as users do, unlike the programs of all other tests."""
    of_tests = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")
    env = {name: value for name, value in os.environ.items() if name not in of_tests}
    words = [sys.executable, "-c", "\n".join(SNIPPETS)]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(SNIPPETS) == 2
    best, replayed = done.stdout.split("\n")[:2]
    assert best == "[8.649999618530273, 8.649999618530273]"
    assert float(replayed) == pytest.approx(17.3)


def test_first_screen_has_the_two_commands():
    first_screen = README.split("## ")[0]
    assert re.findall(r"^make (\w+)", first_screen, re.MULTILINE) == ["train", "test"]


def test_every_command_in_the_table_exists():
    shown = set(re.findall(r"^\| `jaxmarl-lite (\w+)", README, re.MULTILINE))
    assert shown == set(command.COMMANDS)
