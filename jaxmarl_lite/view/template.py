"""Pages made of files that come with this package."""

import html
import re
from collections.abc import Mapping
from importlib import resources


def part(folder: str, name: str) -> str:
    """Return the text of a file of a page."""
    return (resources.files("jaxmarl_lite.view") / folder / name).read_text(encoding="utf-8")


def filled(template: str, parts: Mapping[str, str]) -> str:
    """Return a template with each {{name}} replaced by its part.

    In one pass, so that nothing that was put in is taken for a place to put something.
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


def framed(title: str, folder: str, parts: Mapping[str, str]) -> str:
    """Return a whole page without a network: the body and the style that a folder has, in the frame of all pages."""
    body = filled(part(folder, f"{folder}.html"), {"title": html.escape(title), **parts})
    style = part("frame", "frame.css") + part(folder, f"{folder}.css")
    return filled(part("frame", "frame.html"), {"title": html.escape(title), "style": style, "body": body})
