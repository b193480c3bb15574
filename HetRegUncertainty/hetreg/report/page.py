"""The frame of a report: one HTML page without scripts, all pictures inside, for screen and paper."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from ..tables import Table, group_spans, is_text, text_rows

_TYPES = {"svg": "image/svg+xml", "png": "image/png"}

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: #1d2329; background: #fff; margin: 0 auto; max-width: 1080px; padding: 28px 32px 64px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 19px; margin: 40px 0 10px; padding-top: 14px; border-top: 1px solid #d9dee3; }
p { margin: 6px 0 10px; max-width: 76ch; }
.lead { color: #4a545e; }
.warning { border-left: 4px solid #d55e00; background: #fdf3ec; padding: 8px 12px; }
.keys { display: grid; grid-template-columns: repeat(auto-fill, minmax(215px, 1fr)); gap: 10px;
  margin: 18px 0 6px; padding: 0; list-style: none; }
.keys li { border: 1px solid #d9dee3; border-radius: 6px; padding: 10px 14px; }
.keys b { display: block; font-size: 24px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.keys small { color: #4a545e; display: block; }
figure { margin: 16px 0 26px; }
figure img { width: 100%; height: auto; display: block; }
figure.half img { width: 50%; }
figcaption { font-weight: 600; margin-bottom: 6px; }
.note { color: #4a545e; font-size: 13px; margin: 4px 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 4px 10px; vertical-align: top; white-space: nowrap; }
th.text, td.text { text-align: left; white-space: normal; min-width: 9em; max-width: 46em; }
thead th { border-bottom: 1.5px solid #1d2329; vertical-align: bottom; white-space: normal; }
thead th.group { border-bottom: 1px solid #9aa5b0; text-align: center; }
tbody th { font-weight: inherit; }
tbody tr { border-bottom: 1px solid #e7ebee; }
code { font-size: 13px; background: #f2f4f6; padding: 1px 4px; border-radius: 3px; overflow-wrap: anywhere; }
@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  table { font-size: 7.5pt; }
  th, td { padding: 2px 4px; white-space: normal; }
  th.text, td.text { min-width: 7em; overflow-wrap: anywhere; }
  .scroll { overflow: visible; }
  figure, tr, .keys { break-inside: avoid; }
  figure.table { break-inside: auto; }
  h2 { break-after: avoid; }
}
"""


def page(name: str, parts: Sequence[str]) -> str:
    """The page with its name; the parts are HTML, below each other."""
    lines = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f"<title>{escape(name)}</title>",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head>\n<body>",
        *parts,
        "</body></html>\n",
    ]
    return "\n".join(lines)


def title(text: str) -> str:
    """The heading of the page."""
    return f"<h1>{escape(text)}</h1>"


def picture(content: bytes, kind: str, caption: str, alt: str, text: str = "", size: str = "wide") -> str:
    """A figure with its picture inside; kind: "svg" or "png". alt: what it tells, in words. text: a note
    below it. size: "wide", "half"."""
    data = base64.b64encode(content).decode("ascii")
    note = f'<p class="note">{escape(text)}</p>' if text else ""
    source = f'<img alt="{escape(alt, quote=True)}" src="data:{_TYPES[kind]};base64,{data}">'
    return f'<figure class="{size}"><figcaption>{escape(caption)}</figcaption>{source}{note}</figure>'


def keys(numbers: Sequence[tuple[str, str, str]]) -> str:
    """Boxes of (what it is, its value, a remark)."""
    items = (
        f"<li><small>{escape(n)}</small><b>{escape(v)}</b><small>{escape(r)}</small></li>"
        for n, v, r in numbers
    )
    return f'<ul class="keys">{"".join(items)}</ul>' if numbers else ""


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph. kind: "lead", "note", "warning" or none."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def heading(text: str) -> str:
    """The heading of a section."""
    return f"<h2>{escape(text)}</h2>"


def table_figure(table: Table) -> str:
    """A table in its figure, with caption and notes; the first cell of each row is its header."""
    kinds = [' class="text"' if is_text(table, i) else "" for i in range(len(table.columns))]
    spans = "".join(_group(*span) for span in group_spans(table))
    heads = "".join(
        f'<th{k} scope="col">{escape(c.heading)}</th>' for c, k in zip(table.columns, kinds, strict=True)
    )
    lines = ['<figure class="table">']
    lines += [f"<figcaption>{escape(table.caption)}</figcaption>"] if table.caption else []
    lines += ['<div class="scroll"><table><thead>', f"<tr>{spans}</tr>" if spans else ""]
    lines.append(f"<tr>{heads}</tr></thead><tbody>")
    for first, *row in text_rows(table, escape, "<b>{}</b>"):
        cells = "".join(f"<td{k}>{c}</td>" for c, k in zip(row, kinds[1:], strict=True))
        lines.append(f'<tr><th{kinds[0]} scope="row">{first}</th>{cells}</tr>')
    notes = [f'<p class="note">{escape(note)}</p>' for note in table.notes]
    return "\n".join([*lines, "</tbody></table></div>", *notes, "</figure>"]) + "\n"


def _group(name: str, columns: int) -> str:
    """The cell above that many columns."""
    if not name:
        return f'<td colspan="{columns}"></td>'
    return f'<th colspan="{columns}" class="group" scope="col">{escape(name)}</th>'
