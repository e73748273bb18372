"""How ``make docs`` builds the site: from the pages beside this file, and from the docstrings."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from public_names import problems, public_names  # noqa: E402 - it is beside this file

from airflow_provider_segmind import __version__  # noqa: E402

REPOSITORY = "https://github.com/segmind/airflow-provider-segmind"

project = "airflow-provider-segmind"
author = "the authors of airflow-provider-segmind"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx_copybutton", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]

myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]
nitpicky = True
# Names of Airflow, Python and libraries have no pages here. Ours have to be found.
nitpick_ignore_regex = [("py:.*", r"(?!airflow_provider_segmind\.).*")]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"airflow-provider-segmind {__version__}"
html_theme_options = {
    "source_repository": f"{REPOSITORY}/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_exclude = ".linenos, .gp, .go"

log = logging.getLogger(__name__)

_LINK_TO_FILE = re.compile(r"\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)")


def link_to_repository(app: Sphinx, docname: str, source: list[str]) -> None:
    """Lead links out of this folder to the repository: the site has no such files."""
    page = app.env.doc2path(docname)

    def replaced(match: re.Match[str]) -> str:
        file = (Path(page).parent / match[1]).resolve()
        if file.is_relative_to(HERE):
            return match[0]
        if not file.exists():
            log.warning("there is no file %s", match[1], location=docname)
        kind = "tree" if file.is_dir() else "blob"
        return f"]({REPOSITORY}/{kind}/main/{file.relative_to(HERE.parent)}{match[2] or ''})"

    source[0] = _LINK_TO_FILE.sub(replaced, source[0])


def check_public_names(app: Sphinx, env: Any) -> None:
    """Warn, and so fail, if a public name is missing in the reference or is not documented."""
    described = env.get_domain("py").objects
    for module, name in public_names():
        if f"{module}.{name}" not in described:
            log.warning("docs/api.md does not have the public name %s.%s", module, name)
        for problem in problems(module, name):
            log.warning("%s", problem)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the two above."""
    app.connect("source-read", link_to_repository)
    app.connect("env-check-consistency", check_public_names)
    return {"parallel_read_safe": True}
