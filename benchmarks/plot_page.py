"""A figure and its numbers as one HTML file that loads nothing."""

import html
import io
from collections.abc import Sequence
from typing import Any


def html_page(
    figure: Any, title: str, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str
) -> str:
    """The file's text: the drawing, the table under it, and what there is to say of both."""
    head = "".join(f"<th scope=col>{html.escape(name)}" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}" for cell in row) for row in rows)
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
svg {{ max-width: 100%; height: auto }}
table {{ border-collapse: collapse }}
th, td {{ padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ccc }}
</style>
<h1>{html.escape(title)}</h1>
{svg_of(figure, title)}
<table><thead><tr>{head}</thead><tbody>{body}</tbody></table>
<p>{html.escape(caption)}</p>
</html>
"""


def svg_of(figure: Any, title: str) -> str:
    """The drawing as an element of a page; ``title`` is what is read aloud instead of it."""
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    svg = drawn.getvalue()
    label = html.escape(title, quote=True)
    return svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
