"""What README.md shows is what runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxmarl_lite.cli.main as command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
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


@pytest.mark.parametrize("name", ["README.md", "benchmarks/README.md"])
def test_links_and_pictures_exist(name):
    page = ROOT / name
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", page.read_text())
    assert targets
    for target in map("".join, targets):
        assert target.startswith("https:") or (page.parent / target).exists(), f"{name} points to {target}"


def test_every_command_in_the_guides_exists():
    guides = "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    assert set(re.findall(r"^jaxmarl-lite (\w+)", guides, re.MULTILINE)) <= set(command.COMMANDS)
