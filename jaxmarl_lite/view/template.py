"""Pages made of files that come with this package."""

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
