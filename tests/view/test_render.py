"""Episodes as files: which format a name asks for, and what an environment that cannot be drawn still gives."""

import json
import re

import jax
import numpy as np
import pytest
from PIL import Image

from jaxmarl_lite.core.errors import RunError, SettingError
from jaxmarl_lite.environments import registry
from jaxmarl_lite.view.episode import Frame, play_episode
from jaxmarl_lite.view.pictures import draw_frames
from jaxmarl_lite.view.render import check_drawable, write_episodes

pytestmark = pytest.mark.usefixtures("quick_compilation")


def stays(key, ts, carry):
    return np.zeros(len(ts.reward), np.int32), carry


@pytest.fixture(scope="module")
def chicken():
    """A game of four rounds, played twice."""
    env = registry.make("matrix/chicken", horizon=4)
    return env, [play_episode(env, stays, jax.random.key(number)) for number in range(2)]


def test_an_episode_is_what_was_seen_and_done_from_reset_to_end(chicken):
    _, (frames, _) = chicken
    assert [int(frame.state.time) for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.action is None for frame in frames] == [False] * 4 + [True]
    np.testing.assert_array_equal([frame.step.reward for frame in frames], [[0, 0]] * 5)
    assert bool(frames[-1].step.truncated)


@pytest.mark.parametrize(("columns", "shown"), [(2, 2), (3, 3), (20, 5)])
def test_a_strip_has_a_row_for_each_episode_and_as_many_columns_as_asked_for(chicken, tmp_path, columns, shown):
    write_episodes(*chicken, tmp_path / "x.png", about={}, columns=columns)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == (round(2.0 * shown * 120), round(2.2 * 2 * 120))
        cells = np.array_split(np.asarray(picture.convert("RGB"), int), shown, axis=1)
        assert all(len(np.unique(cell.reshape(-1, 3), axis=0)) > 10 for cell in cells)


def test_an_environment_without_a_picture_has_a_page_of_numbers(probe, tmp_path):
    env = probe(length=3)
    assert not hasattr(env, "draw")
    with pytest.raises(SettingError, match=r"Probe has no method draw.* only a page"):
        check_drawable(env, tmp_path / "x.gif")
    write_episodes(env, [play_episode(env, stays, jax.random.key(0))], tmp_path / "x.html", about={})
    told = json.loads(re.search(r'id="data">(.*?)</script>', (tmp_path / "x.html").read_text(), re.DOTALL)[1])
    assert (told["images"], told["episodes"][0]["reward"]) == ([], [[0], [1], [1], [1]])


def test_a_file_that_cannot_be_written_is_a_failure_that_names_it(chicken, tmp_path):
    for name in ("x.gif", "x.png", "x.html"):
        (tmp_path / name).mkdir()
        with pytest.raises(RunError, match=re.escape(name)):
            write_episodes(*chicken, tmp_path / name, about={})


AGENTS_DRAWN = ["mpe/simple_tag", "grid/navigation", "grid/team_navigation", "grid/predator_prey", "grid/coin_game"]
AGENTS_DRAWN += ["lbf/foraging", "rware/warehouse", "butterfly/pistonball", "memory/team_cue", "comm/switch_riddle"]


@pytest.mark.parametrize("name", AGENTS_DRAWN)
def test_drawings_say_which_patch_is_which_agent(name):
    env = registry.make(name)
    shapes = jax.eval_shape(env.reset, jax.random.key(0))
    ones = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)  # a moment of any kind, and nothing compiled
    (picture,) = draw_frames(env, [Frame(*ones, None)])
    assert len(picture.places) == len(picture.colours) == env.spec.num_agents
    for place, colour in zip(picture.places, picture.colours, strict=True):
        assert min(place[2:]) > 1
        assert re.fullmatch("#[0-9a-f]{6}", colour)
