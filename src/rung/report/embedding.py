"""Libraries and figures inside a page: packed, so that one file under five megabytes needs no network."""

import base64
import gzip
from functools import cache
from html import escape
from typing import Any


@cache
def packed(name: str, library: str) -> str:
    """Return a library as an element of a page, which the script of the page unpacks.

    A browser that knows streams of gzip (all since 2023) reads it; plotly takes 2 MB in place of 4.8.
    """
    content = base64.b64encode(gzip.compress(library.encode(), 9, mtime=0)).decode()
    return f'<script type="text/plain" id="library-{escape(name)}">{content}</script>'


def inert(json: str) -> str:
    """Return JSON that no browser takes for tags where it stands in a page."""
    return json.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def plot(figure: Any, number: int) -> str:
    """Return a plotly figure as a place on the page and what is to be drawn there."""
    height = figure.layout.height or 400
    return (
        f'<div class="plot" id="figure-{number}" style="height: {height}px"></div>'
        f'<script type="application/json">{inert(figure.to_json())}</script>'
    )
