"""Texts that come from elsewhere, shown as they are: Qt draws what looks like HTML, with its images."""

from html import escape


def toolTip(text):
    """The tooltip that shows a text as it is; tooltips know no plain format."""
    return f"<p>{escape(text)}</p>" if "<" in text or "&lt;" in text else text
