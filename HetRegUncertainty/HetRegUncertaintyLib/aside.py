"""Registrations step aside where the views show the preview of a training, which is of another heart."""

import slicer
from slicer.util import VTKObservationMixin

from . import layout, overlays, traininglayout


class Aside(VTKObservationMixin):
    """Contours and grids of all registrations are hidden while the training's layout is shown.

    Each panel has one: a scene that was saved meanwhile may be loaded where the other panel was never opened.
    """

    def __init__(self):
        super().__init__()
        self._layoutManager = slicer.app.layoutManager()  # None: Slicer runs without views
        if self._layoutManager is not None:
            self._layoutManager.connect("layoutChanged(int)", self.follow)
        scene = slicer.mrmlScene
        for event in (scene.EndImportEvent, scene.EndBatchProcessEvent):
            self.addObserver(scene, event, self.follow, priority=layout.LAST)
        self.follow()

    def follow(self, _layoutOrScene=None, _event=None):
        """Hide what has come, or show it all again, as the layout now is."""
        if not layout.isSceneChanging():
            overlays.putAside(layout.current() == traininglayout.LAYOUT_ID)

    def close(self):
        """The panel goes away."""
        self.removeObservers()
        if self._layoutManager is not None:
            self._layoutManager.disconnect("layoutChanged(int)", self.follow)
            self._layoutManager = None
