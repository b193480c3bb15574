"""The row of the panel for cines: it is there while a chosen volume shows one frame of a sequence."""

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from . import sequences


def everyFrame(parameters):
    """True if Register is to go through all frames of the fixed volume."""
    return parameters.everyFrame and sequences.sequenceOf(parameters.fixedVolume) is not None


class CineRow(VTKObservationMixin):
    """Keeps a frame as the moving volume, and says whether every frame is to be registered.

    onChange() is called soon after a sequence or its browser has gone, and with it maybe the row or panel.
    """

    def __init__(self, ui, onChange):
        super().__init__()
        self.ui, self._parameters, self._onChange = ui, None, onChange
        self.addObserver(slicer.mrmlScene, slicer.vtkMRMLScene.NodeRemovedEvent, self._onRemoved)
        ui.keepFrameButton.connect("clicked(bool)", self._onKeep)

    def show(self, parameters):
        """Bring the row in line with the parameters."""
        self._parameters = p = parameters
        isCine = sequences.sequenceOf(p.fixedVolume) is not None
        for widget in (self.ui.cineLabel, self.ui.keepFrameButton):
            widget.visible = self._source() is not None
        self.ui.everyFrameCheckBox.visible = isCine
        self.ui.fixedSegmentationSelector.enabled = not everyFrame(p)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onRemoved(self, _caller, _event, node):
        if node.GetClassName() in ("vtkMRMLSequenceNode", "vtkMRMLSequenceBrowserNode"):
            qt.QTimer.singleShot(0, self._onChange)  # Slicer crashes if the browser is asked meanwhile

    def _source(self):
        p = self._parameters
        shown = (volume for volume in (p.movingVolume, p.fixedVolume) if sequences.sequenceOf(volume))
        return next(shown, None)

    def _onKeep(self, _checked=False):
        with slicer.util.tryWithErrorDisplay(_("The frame could not be kept."), waitCursor=True):
            p, source = self._parameters, self._source()
            with slicer.util.NodeModify(p):
                p.fixedVolume = p.fixedVolume or source
                frame = sequences.keepFrame(source)
                if frame != p.movingVolume:
                    p.movingSegmentation = None  # it was drawn on another one
                p.movingVolume = frame
