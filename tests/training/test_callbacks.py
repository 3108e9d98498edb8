"""Who looks on hears of the beginning, of each block and of the end, however a run ends."""

import pytest

from jaxmarl_lite.training.callbacks import Audience, Watcher


class Noting(Watcher):
    def __init__(self):
        self.heard = []

    def begin(self, run):
        self.heard.append(("begin", run))

    def __call__(self, at):
        self.heard.append(("block", at))

    def end(self, result):
        self.heard.append(("end", result))


def test_watchers_hear_all_and_plain_callbacks_the_blocks():
    noting, blocks = Noting(), []
    with Audience((blocks.append, noting)) as audience:
        audience.begin("run")
        audience.tell(1)
        assert audience.end("result") == "result"
    assert noting.heard == [("begin", "run"), ("block", 1), ("end", "result")]
    assert blocks == [1]


def stop(audience):
    with audience:
        audience.begin("run")
        raise KeyboardInterrupt


def test_the_end_of_a_run_that_was_stopped_is_heard_too():
    noting = Noting()
    with pytest.raises(KeyboardInterrupt):
        stop(Audience((noting,)))
    assert noting.heard == [("begin", "run"), ("end", None)]


def test_of_a_run_that_never_began_nothing_is_heard():
    noting = Noting()
    with Audience((noting,)):
        pass
    assert noting.heard == []
