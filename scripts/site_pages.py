"""Pages of the documentation site that are made from the package and from files beside it, so that none goes stale.

MkDocs calls the functions whose names begin with `on_` (`hooks` in mkdocs.yml): one adds pages that are made as a
whole, one fills what other pages leave open by a line such as `<!-- algorithms: ValueSettings -->`, and one makes
links of the papers that a page names.
"""

import ast
import dataclasses
import inspect
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

import jaxmarl_lite
from jaxmarl_lite.environments.registry import constructor_of, envs, make
from jaxmarl_lite.learners import presets

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "jaxmarl_lite"
# Files beside the package that are pages too. A link between two of them stays one; a link elsewhere becomes text.
INCLUDED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "measured/speed.md",
    "benchmarks/learning.md": "measured/returns.md",
    "benchmarks/epymarl.md": "measured/epymarl.md",
}
PAYOFF = [[[1.0, 0.0], [2.0, 3.0]]] * 2  # of the one game that has none of its own


def on_files(files: Any, config: Any) -> Any:
    """Add the reference, the notebook, and what is included."""
    made = {page: relinked(source, page) for source, page in INCLUDED.items() if page != "index.md"}
    made |= {"quickstart.md": notebook_page(DOCS / "quickstart.ipynb"), "reference/index.md": reference_index()}
    made |= {f"reference/{name}.md": text for name, text in reference_pages()}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    for picture in sorted((ROOT / "benchmarks").rglob("*.png")):
        files.append(File.generated(config, picture.relative_to(ROOT).as_posix(), abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Fill what a page leaves open."""
    makers = {"algorithms": algorithms, "environments": environments, "readme": readme_section}
    target = page.file.src_uri

    def made(match: re.Match[str]) -> str:
        return makers[match[1]](match[2], target)

    return re.sub(r"^<!-- (\w+): (.+) -->$", made, markdown, flags=re.MULTILINE)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Link papers to where they can be read."""
    html = re.sub(r"\barXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', html)
    return re.sub(r"\bdoi:(10\.\d+/[\w./-]*\w)", r'<a href="https://doi.org/\1">doi:\1</a>', html)


def algorithms(family: str, page: str) -> str:
    """Return a section for every algorithm whose settings are of the class `family`."""
    members = {name: settings for name, settings in presets.PRESETS.items() if type(settings).__name__ == family}
    told = docstrings(Path(presets.__file__))
    first, base = next(iter(members.items()))
    parts = []
    for name, settings in members.items():
        changed = [
            f"`{field.name}={getattr(settings, field.name)!r}`"
            for field in dataclasses.fields(settings)
            if getattr(settings, field.name) != getattr(base, field.name)
        ]
        differs = f"Differs from `{first}` in {', '.join(changed)}." if changed else "The defaults of the family."
        parts.append(f"### {name}\n\n{presets.SUMMARIES[name]}\n\n{told[name.upper()]}\n\n{differs}\n")
    return "\n".join(parts)


def environments(family: str, page: str) -> str:
    """Return a card for every environment of a family: its picture, and what can be said in a line."""
    names = [name for name in envs() if name.startswith(f"{family}/")]
    cards = "\n".join(_card(name) for name in names)
    return f'<div class="grid cards environments" markdown>\n\n{cards}\n</div>\n'


def _card(name: str) -> str:
    constructor = constructor_of(name)
    spec = make(name, **({"payoff": PAYOFF} if name == "matrix/game" else {})).spec
    is_class = inspect.isclass(constructor)
    home = f"{constructor.__module__}.{constructor.__qualname__}" if is_class else constructor.__module__
    picture = f"pictures/environments/{name.replace('/', '-')}.png"
    lines = [
        f"**[`{name}`][{home}]**",
        *([f"![{name}]({picture})"] if (DOCS / picture).exists() else []),
        (constructor.__doc__ or "").strip().split("\n\n")[0].replace("\n", " "),
        f"*{spec.num_agents} agent{'s' * (spec.num_agents > 1)}, {spec.action_kind} actions, {spec.horizon} steps*",
    ]
    return "-   " + "\n\n    ".join(re.sub(r"\s+", " ", line) for line in lines) + "\n"


def readme_section(title: str, page: str) -> str:
    """Return what README.md says under a heading."""
    return relinked("README.md", page).split(f"\n## {title}\n")[1].split("\n## ")[0].strip()


def relinked(source: str, page: str) -> str:
    """Return a file as the text of a page, with links from that page to pages and pictures, or none."""
    folder = PurePosixPath(source).parent

    def link(match: re.Match[str]) -> str:
        is_picture, text, (target, _, anchor) = match[1], match[2], match[3].partition("#")
        if target.startswith(("http:", "https:")) or not target:
            return match[0]
        path = os.path.normpath(folder / target).replace(os.sep, "/")
        here = INCLUDED.get(path, path.removeprefix("docs/") if path.endswith((".png", ".gif", ".md")) else None)
        if here is None:
            return text
        relative = os.path.relpath(here, PurePosixPath(page).parent).replace(os.sep, "/")
        return f"{is_picture}[{text}]({relative}{'#' * bool(anchor)}{anchor})"

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", link, (ROOT / source).read_text())


def reference_index() -> str:
    """Return the page of the names that `import jaxmarl_lite` gives."""
    rows = []
    for name in jaxmarl_lite.__all__:
        thing = getattr(jaxmarl_lite, name)
        if name != "__version__":
            first = inspect.cleandoc(thing.__doc__).split("\n\n")[0].replace("\n", " ")
            rows.append(f"| [`{name}`][{thing.__module__}.{name}] | {first} |")
    head = f"# API reference\n\n{jaxmarl_lite.__doc__}\n\n| `jaxmarl_lite.` | |\n| --- | --- |\n"
    return head + "\n".join(rows) + "\n"


def reference_pages() -> Iterator[tuple[str, str]]:
    """Yield name and text of a page for every package, which shows all its modules."""
    for init in sorted(PACKAGE.rglob("__init__.py")):
        name = ".".join(init.parent.relative_to(ROOT).parts)
        modules = [path.stem for path in sorted(init.parent.glob("*.py")) if not path.stem.startswith("__")]
        if modules:
            told = ast.get_docstring(ast.parse(init.read_text()))
            yield name, f"# {name}\n\n{told}\n\n" + "\n\n".join(f"::: {name}.{module}" for module in modules)


def docstrings(module: Path) -> dict[str, str]:
    """Return what stands under the names that a module assigns."""
    told = {}
    for assigned, text in itertools.pairwise(ast.parse(module.read_text()).body):
        match assigned, text:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(words))):
                told[name] = inspect.cleandoc(words)
    return told


def notebook_page(path: Path) -> str:
    """Return a notebook that was executed as the text of a page."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts += [f"```python\n{source}\n```", *map(_shown, cell["outputs"])]
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return _fenced(output["text"])
    data = output["data"]
    for kind in ("image/gif", "image/png"):
        if kind in data:
            return f"![](data:{kind};base64,{''.join(data[kind].split())})"
    return _fenced(data["text/plain"])


def _fenced(text: list[str] | str) -> str:
    return f"```{{ .text .output }}\n{''.join(text).rstrip()}\n```"
