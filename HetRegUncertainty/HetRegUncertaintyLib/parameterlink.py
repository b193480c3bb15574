"""Joins a panel and the scene's parameter node, with one wrapper and one connection for each node.

Slicer's `connectGui` is not used: in many releases it returns no tag, so that the connection cannot be
undone, and a second one makes each menu write its last and its first entry into the node. There, wrappers and
connections also leave observers in the node for good. So the widgets stay connected until the scene changes.
"""

import slicer
import vtk
from slicer.util import VTKObservationMixin

from . import numberboxes

PROPERTY = "SlicerParameterName"  # of a widget in the form: the parameter that it shows


class ParameterLink(VTKObservationMixin):
    """Follows one parameter node at a time; onModified(caller, event) is called when it changes."""

    def __init__(self, ui, onModified):
        super().__init__()
        self._widgets = {name: widget for widget in vars(ui).values() if (name := widget.property(PROPERTY))}
        self._decimalPoint = numberboxes.DecimalPoint()
        for widget in vars(ui).values():
            self._decimalPoint.watch(widget)
        self._onModified = onModified
        self._followed = self._connected = self._tag = None
        for event in (slicer.vtkMRMLScene.StartCloseEvent, slicer.vtkMRMLScene.StartImportEvent):
            self.addObserver(slicer.mrmlScene, event, self._disconnect)
        self._leaving = []  # nodes that were chosen, while they are removed
        for event, method in (("AboutToBeRemoved", self._onLeaving), ("Removed", self._onLeft)):
            self.addObserver(slicer.mrmlScene, getattr(slicer.vtkMRMLScene, f"Node{event}Event"), method)

    def follow(self, parameters):
        """Connect the widgets, unless they are, and call back from now on; None: call back no longer."""
        if self._followed is not None:
            self.removeObserver(self._followed, vtk.vtkCommand.ModifiedEvent, self._onModified)
        self._followed = parameters
        if parameters is None:
            return
        if parameters is not self._connected:
            self._disconnect()
            parameters.Modified()  # the wrapper reads again: nodes of a loaded scene resolve without an event
            self._connected = parameters
            self._tag = parameters.connectParametersToGui(self._connectors(parameters))
        self.addObserver(parameters, vtk.vtkCommand.ModifiedEvent, self._onModified)

    def _connectors(self, parameters):
        """{parameter: widget, or the connector of one with a number}."""
        return {
            name: numberboxes.connector(widget, parameters.dataType(name))
            if hasattr(widget, "value")
            else widget
            for name, widget in self._widgets.items()
        }

    def close(self):
        """The panel goes away: touch the widgets no more."""
        self.removeObservers()
        self._followed = None
        self._disconnect()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onLeaving(self, _caller, _event, node):
        """A node goes: nothing is chosen in its place. Its selector would take the next node of the list.

        Register would overwrite that, though it may be the user's own.
        """
        for name in self._widgets if self._connected is not None else ():
            if self._connected.getValue(name) is node:
                self._leaving.append(node)
                self._connected.setValue(name, None)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onLeft(self, caller, event, node):
        """Until now it was still to be found, as the image of a run for example."""
        if node in self._leaving:
            self._leaving = [other for other in self._leaving if other is not node]
            if self._followed is not None:
                self._onModified(caller, event)

    def _disconnect(self, _caller=None, _event=None):
        """Also where nodes come and go: the selectors cannot show them all yet, and would write that back."""
        if self._connected is not None:
            self._connected.disconnectGui(self._tag)
            self._connected = None


class OneWrapper:
    """Mixed into a module's logic: its parameter node comes wrapped, always with the same wrapper."""

    Parameters = None  # the class of the wrapper
    _wrapper = None

    def getParameterNode(self):
        """The scene's parameter node, wrapped."""
        node = super().getParameterNode()
        if self._wrapper is None or self._wrapper.parameterNode is not node:
            self._wrapper = self.Parameters(node)
        return self._wrapper
