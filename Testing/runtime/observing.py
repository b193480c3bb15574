"""VTK observers that end with the widget that made them."""

from shiboken6 import Shiboken


class Observing:
    """observe(object, event, callback) of a widget, until stop() or the widget's end."""

    def __init__(self, widget):
        self._widget, self._tags = widget, []

    def observe(self, item, event, callback):
        def call(*_):
            if Shiboken.isValid(self._widget):
                callback()

        self._tags.append((item, item.AddObserver(event, call)))

    def stop(self):
        for item, tag in self._tags:
            item.RemoveObserver(tag)
        self._tags.clear()
