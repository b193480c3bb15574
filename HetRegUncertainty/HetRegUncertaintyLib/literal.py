"""Texts that come from elsewhere, shown as they are: Qt draws what looks like HTML, with its images."""

import re
from html import escape

_LONG = re.compile(r"\S{16}(?=\S)")


def toolTip(text):
    """The tooltip that shows a text as it is; tooltips know no plain format."""
    return f"<p>{escape(text)}</p>" if "<" in text or "&lt;" in text else text


def breakable(text):
    """For HTML, with places where a name without blanks may be broken: it would widen the panel."""
    return escape(_LONG.sub("\\g<0>\u200b", text))
