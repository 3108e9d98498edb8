"""What README.md shows is what runs."""

import re
from pathlib import Path

import pytest

import jaxmarl_lite.cli.main as command

README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["training", "own_environment"])
def test_python_examples_run(snippet, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {})
    if "jml.train" in snippet:
        best, replayed = capsys.readouterr().out.split("\n")[:2]
        assert best == "[8.649999618530273, 8.649999618530273]"
        assert float(replayed) == pytest.approx(17.3)


def test_first_screen_has_the_two_commands():
    first_screen = README.split("## ")[0]
    assert re.findall(r"^make (\w+)", first_screen, re.MULTILINE) == ["train", "test"]


def test_every_command_in_the_table_exists():
    shown = set(re.findall(r"^\| `jaxmarl-lite (\w+)", README, re.MULTILINE))
    assert shown == set(command.COMMANDS)
