"""A folder belongs to one process at a time, and to nobody once that is dead."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Timer

import pytest

from jaxmarl_lite.training.claims import FOREVER, claim, is_claimed

HOLD = """
import sys, time
from pathlib import Path
from jaxmarl_lite.training.claims import claim
with claim(Path(sys.argv[1])) as is_mine:
    print(is_mine, flush=True)
    time.sleep(60)
"""


def test_a_claim_dies_with_its_process(tmp_path):
    path = tmp_path / "new" / "run"
    process = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    assert is_claimed(path)
    process.kill()
    process.communicate()
    with claim(path) as is_mine:
        assert is_mine


@pytest.mark.parametrize("seconds", [None, FOREVER])
def test_a_question_is_not_taken_for_work(tmp_path, claimed_elsewhere, seconds):
    patience = {} if seconds is None else {"seconds": seconds}
    with ExitStack() as question:
        question.enter_context(claimed_elsewhere(tmp_path / "run"))
        Timer(0.05, question.close).start()
        with claim(tmp_path / "run", **patience) as is_mine:
            assert is_mine


def test_who_has_a_claim_has_it_again_by_any_name_of_the_folder(tmp_path, monkeypatch, claimed_elsewhere):
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    with claim(tmp_path / "run") as outer, claim(Path(".")) as inner:
        assert outer
        assert inner
    with claimed_elsewhere(tmp_path / "run"):
        assert is_claimed(Path("."))


def test_a_folder_beside_which_nothing_may_be_written_is_claimed_from_within(tmp_path, monkeypatch, claimed_elsewhere):
    path = tmp_path / "run"
    path.mkdir()
    monkeypatch.setattr(os, "access", lambda at, mode: at != tmp_path)
    with claim(path) as is_mine:
        assert is_mine
        assert [file.name for file in tmp_path.rglob("*")] == ["run", ".claim"]
    with claimed_elsewhere(path):
        assert is_claimed(path)
