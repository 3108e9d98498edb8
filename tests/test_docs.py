"""The documentation builds without a warning and shows all that there is, and the notebook runs."""

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import jaxmarl_lite as jml
from jaxmarl_lite.learners.presets import SUMMARIES

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
LINKS = re.compile(r'(?:href|src)="([^"]*)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return out


def test_site_needs_nothing_that_is_not_in_it(site):
    for page in sorted(site.rglob("*.html")):
        if page.name == "404.html":
            continue  # shown by a server in the place of any page, so its links begin at the root
        text = page.read_text()
        for target in map(html.unescape, LINKS.findall(text)):
            path = target.partition("#")[0]
            if path and not re.match(r"(https?|data|mailto):", path):
                assert (page.parent / path).exists(), f"{page.relative_to(site)} links to {target}"
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="(http[^"]*)"|<link[^>]* href="(http[^"]*)"', text)
        assert not loaded, f"{page.relative_to(site)} loads {loaded}"


def test_site_has_every_algorithm_and_environment(site):
    algorithms, environments = ((site / f"{name}.html").read_text() for name in ("algorithms", "environments"))
    for name in jml.algos():
        assert f'id="{name}"' in algorithms
        assert SUMMARIES[name].split(":")[0].split(" (")[0] in html.unescape(algorithms)
    families = {path.name for path in (ROOT / "jaxmarl_lite" / "environments").iterdir()}
    shipped = [name for name in jml.envs() if name.split("/")[0] in families]  # other tests register some of their own
    assert len(shipped) > 40
    for name in shipped:
        assert f"<code>{name}</code>" in environments


def test_reference_has_fields_tables_and_equations(site):
    core, mpe = (site / "reference" / f"jaxmarl_lite.{name}.html" for name in ("core", "environments.mpe"))
    assert "the clock ran out: the episode ends, and its value goes on" in core.read_text()
    assert "<td>each other agent's position less the own, by index</td>" in mpe.read_text()
    equation = html.unescape(re.sub("<[^>]*>", "", (site / "algorithms.html").read_text()))
    assert "Q(s, a) = sum_i Q_i(o_i, a_i)" in equation


def test_notebook_runs(tmp_path):
    """Every cell, in a kernel of its own; a cell that fails raises."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    shown = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert shown == list(range(1, len(shown) + 1)), "what is committed was not executed from top to bottom"
    assert NOTEBOOK.stat().st_size < 300_000
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert notebook.cells[-2].outputs[0].data["text/plain"] == "[20.0, 20.0]"
