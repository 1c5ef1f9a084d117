"""HTML building blocks of a report: tables, images and formatted numbers, all text escaped."""

import base64
import html
from collections.abc import Iterable, Sequence

CSS = """
:root { color-scheme: light; }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 62rem; background: #fff; color: #1f2933;
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1.2rem 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; padding-top: .8rem; border-top: 1px solid #e4e7eb; }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem; }
.figure { font-size: 3.2rem; font-weight: 650; line-height: 1.1; color: #2b6cb0; margin: 1rem 0 0; }
.note, figcaption { color: #52606d; font-size: .92rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem 1.4rem .35rem 0; text-align: right; border-bottom: 1px solid #e4e7eb; white-space: nowrap; }
th { font-weight: 600; color: #52606d; font-size: .88rem; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; padding-left: .4rem; position: sticky; left: 0; background: #fff; }
th:last-child, td:last-child { padding-right: .4rem; }
tr.delivered td, tr.delivered td:first-child { font-weight: 650; background: #ebf4ff; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
.grid img { width: 100%; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .3rem 1.2rem; margin: 1rem 0 0; }
dt { color: #52606d; }
dd { margin: 0; overflow-wrap: anywhere; }
code { font: .9rem/1.5 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
summary { cursor: pointer; margin: 1rem 0 .4rem; }
"""


def escaped(value: object) -> str:
    """A value as escaped HTML text."""
    return html.escape(str(value))


def integer(value: float) -> str:
    """A count with a thousands separator: 97,416."""
    return f"{value:,.0f}"


def decimal(value: float) -> str:
    """A measurement with three or four significant digits: 0.125, 12.5, 1,250."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 1000 else f"{value:.4g}" if size >= 1 else f"{value:.3g}"


def percent(share: float) -> str:
    """A share from 0 to 1 in percent with two decimals: 98.14 %."""
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """A duration as text: 4.2 s, 3 min 05 s, 1 h 02 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], delivered: int | None = None) -> str:
    """A table that scrolls horizontally on a small screen; empty columns are omitted.

    Args:
        head: column names.
        rows: cells as plain text.
        delivered: index of the row to highlight.
    """
    listed = [list(row) for row in rows]
    used = [column for column in range(len(head)) if any(row[column] for row in listed)]
    lines = ["<tr>" + "".join(f'<th scope="col">{escaped(head[column])}</th>' for column in used) + "</tr>"]
    for index, row in enumerate(listed):
        mark = ' class="delivered"' if index == delivered else ""
        lines.append(f"<tr{mark}>" + "".join(f"<td>{escaped(row[column])}</td>" for column in used) + "</tr>")
    return '<div class="wide" tabindex="0"><table>\n' + "\n".join(lines) + "\n</table></div>\n"


def definitions(entries: Iterable[tuple[str, str]]) -> str:
    """A definition list of names and values; entries without a value are omitted."""
    pairs = [f"<dt>{escaped(name.replace('_', ' '))}</dt><dd>{escaped(value)}</dd>" for name, value in entries if value]
    return "<dl>\n" + "\n".join(pairs) + "\n</dl>\n" if pairs else ""


def image(content: bytes, alternative: str, caption: str = "", width_rem: float = 0) -> str:
    """An embedded SVG or PNG image with alternative text; `width_rem` is its fixed width, 0 to fit the page."""
    kind = "png" if content.startswith(b"\x89PNG") else "svg+xml"
    source = base64.b64encode(content).decode("ascii")
    size = f' style="width:{width_rem:g}rem;max-width:none"' if width_rem else ""
    below = f"<figcaption>{escaped(caption)}</figcaption>" if caption else ""
    picture = f'<img src="data:image/{kind};base64,{source}" alt="{escaped(alternative)}"{size}>'
    scrolled = ' class="wide" tabindex="0"' if width_rem else ""
    return f"<figure{scrolled}>{picture}{below}</figure>\n"


def page(title: str, body: str) -> str:
    """The complete HTML document, without scripts or external resources."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
