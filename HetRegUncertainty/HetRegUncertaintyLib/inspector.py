"""The Inspect and Result sections: brings the views in line with the parameter node."""

import math

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from . import cine, deformation, layout, overlays, results, sequences, summary, traininglayout
from .parameters import Overlay

ITEM_FLAGS_ROLE = 255  # Qt.UserRole - 1, where a combo box keeps the flags of its items
ITEM_ON, ITEM_OFF = 33, 0  # Qt.ItemIsSelectable | Qt.ItemIsEnabled, Qt.NoItemFlags


class Inspector(VTKObservationMixin):
    """Shows the run whose transform is chosen in Outputs. `update` does only what changed."""

    def __init__(self, ui):
        super().__init__()
        self.ui = ui
        self._parameters, self._done, self._updating, self._quiet = None, {}, False, False
        self._followed, self._changed = (None, None), set()  # transform and map
        self._sliding = False  # a slider that is moved is not moved by what it does
        self._former = self._opened = None  # opened: the run whose sections were opened
        self._overlayTip = ui.overlayComboBox.toolTip
        self.ui.windowRangeWidget.connect("valuesChanged(double,double)", self._onWindow)
        self.ui.thresholdRangeWidget.connect("valuesChanged(double,double)", self._onThreshold)
        self._layoutManager = slicer.app.layoutManager()  # None: Slicer runs without views
        if self._layoutManager is not None:
            self._layoutManager.connect("layoutChanged(int)", self.followLayout)

    def end(self):
        """The panel goes away. Does nothing the second time."""
        self.removeObservers()
        self._changed.clear()
        if self._layoutManager is not None:
            self._layoutManager.disconnect("layoutChanged(int)", self.followLayout)
            self._layoutManager = None

    def setParameters(self, parameters, quiet=False):
        """Follow another parameter node, or none. quiet: take the views as they are."""
        self._parameters, self._quiet = parameters, quiet
        transform = parameters.transform if parameters else None
        if results.outputsOf(transform) and transform.GetID() != self._opened:  # of a loaded scene
            self._openSections()
        self.update()
        self._quiet = False

    def followLayout(self, _layoutID=None):
        """Where a result is shown, Linked views is ticked if its layout is there: the user may have chosen
        another in Slicer. The views stay as they are."""
        p, which = self._parameters, layout.current()
        nodes = results.outputsOf(p.transform) if p else {}
        isOurs = self._updating or layout.isSceneChanging() or which in traininglayout.OURS
        if not nodes or isOurs or which == layout.NONE:
            return
        linked = which == layout.LAYOUT_ID
        self._done["layout"] = (p.transform.GetID(), linked)
        self._updating = True
        try:
            p.linkedLayout = linked
        finally:
            self._updating = False
        fixed, _moving = results.inputsOf(p.transform)
        self._showEnabled(nodes if fixed else {})

    def close(self, parameters):
        """The scene with these parameters goes away: remember to give the user's layout back."""
        self._former = parameters.formerLayout
        self._done, self._opened = {}, None

    def restoreLayout(self):
        """After `close`: the layout before the linked one, unless another scene shows its images in that."""
        if self._former is not None and layout.isEmpty():
            layout.restore(self._former)
        self._former = None

    def showNewResult(self):
        """After a run: open the sections and show everything again."""
        self._done = {}
        self._openSections()
        self.update()

    def _openSections(self):
        """Open Result and Inspect, once for each run: the user may have closed them since."""
        self._opened = self._parameters.transform.GetID()
        self.ui.inspectCollapsibleButton.collapsed = False
        self.ui.resultsCollapsibleButton.collapsed = False

    def update(self):
        """Bring views, sliders and numbers in line with the parameters."""
        if self._updating:
            return
        self._updating = True
        try:
            self._update()
        finally:
            self._updating = False

    def _update(self):
        transform = self._parameters.transform if self._parameters else None
        nodes = results.outputsOf(transform)
        fixed, moving = results.inputsOf(transform)
        shownMap = nodes.get(self._parameters.overlay.value) if self._parameters else None
        self._follow(transform, shownMap)
        pair = (moving.GetName(), self._frameName(fixed)) if fixed and moving else ()
        stamp = (transform.GetID(), transform.GetMTime(), pair) if transform else ()
        self._once("numbers", stamp, self._showNumbers, transform, pair)
        if nodes and fixed is not None:
            self._showRun(transform, nodes, fixed)
        elif self._parameters:
            self._showNothing()
        self._showEnabled(nodes if fixed else {})

    def _follow(self, transform, shownMap):
        """What is shown is of the nodes as they are: of a cine the frame that is shown, after an Undo the
        former run, of the map the colours that were chosen elsewhere in Slicer."""
        if (transform, shownMap) == self._followed:
            return
        self.removeObservers()
        self._followed = transform, shownMap
        if transform is not None:
            self.addObserver(transform, vtk.vtkCommand.ModifiedEvent, self._onNode)
        if shownMap is not None:
            self.addObserver(shownMap, slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, self._onNode)

    def _frameName(self, fixed):
        """The fixed image's name, of a cine with the frame that is shown."""
        isCine = sequences.browserOf(self._followed[0]) is not None
        count = len(sequences.framesOf(fixed)) if isCine else 0
        if not count:
            return fixed.GetName()
        text = _("{name}, frame {number} of {count}")
        return text.format(name=fixed.GetName(), number=sequences.shownFrame(fixed) + 1, count=count)

    def _onNode(self, caller, _event=None):
        """Soon: an Undo, for one, goes on to change nodes that belong together."""
        if not self._sliding:
            self._changed.add(caller)
            qt.QTimer.singleShot(0, self._afterChanges)

    def _afterChanges(self):
        changed, self._changed = self._changed, set()
        if not changed or layout.isSceneChanging():
            return
        if self._followed[1] in changed:
            self._done.pop("sliders", None)
        self.update()

    def _showRun(self, transform, nodes, fixed):
        p = self._parameters
        run, ids = transform.GetID(), tuple(node.GetID() for node in nodes.values())
        self._view("layout", (run, p.linkedLayout), self._showLayout, fixed)
        self._view("others", (run, ids), overlays.showOnly, nodes)
        shown = (run, layout.current(), ids)
        look = (p.overlay.value, p.overlayOpacity, p.fade)
        self._view("overlay", (shown, look), overlays.show, nodes, fixed, *look)
        legend = p.overlay.value if p.legend else ""
        self._view("legend", (shown, legend), overlays.showLegend, nodes, legend)
        self._once("sliders", (shown, p.overlay), self._showRanges, nodes.get(p.overlay.value))
        grid = (p.deformation.value, p.gridSpacing, p.deformationIn3D)
        self._view("deformation", (shown, grid), self._showDeformation, transform, fixed)

    def _showNothing(self):
        """No run is chosen: nothing of the last one stays in the views, whose layout can still be left."""
        if "overlay" in self._done:
            overlays.clear()
        self._done = {name: state for name, state in self._done.items() if name in ("numbers", "layout")}
        self._view("layout", (None, self._parameters.linkedLayout), self._showLayout, None)

    def _once(self, name, state, function, *arguments):
        """Call the function unless it was called for this state before."""
        if self._done.get(name) != state:
            self._done[name] = state
            function(*arguments)

    def _view(self, name, state, function, *arguments):
        """The same for what touches the views; when quiet, only remember the state."""
        if self._quiet:
            self._done[name] = state
        else:
            self._once(name, state, function, *arguments)

    def _showLayout(self, fixed):
        p = self._parameters
        if not p.linkedLayout:
            wasLinked = layout.isShown()
            layout.restore(p.formerLayout)
            if fixed is not None:
                overlays.fitStandardViews(fixed, every=wasLinked)
        elif fixed is not None:
            if not layout.isShown():
                p.formerLayout = layout.current()
            layout.show(fixed)

    def _showDeformation(self, transform, fixed):
        p = self._parameters
        numbers, _names = results.summaryOf(transform)
        own = summary.numberIn(numbers or {}, "displacement_max_mm", 10.0)
        largest = max(summary.numberIn(numbers or {}, cine.LARGEST_MM, own), 0.1)
        region = layout.sliceNodeIn3D() or fixed  # the plane alone: a whole volume of lines cannot be read
        deformation.show(transform, region, p.deformation.value, p.gridSpacing, p.deformationIn3D, largest)

    def _showNumbers(self, transform, pair):
        numbers, names = results.summaryOf(transform)
        self.ui.numbersLabel.text = summary.html(numbers, names, pair) if numbers else _("No result yet.")

    def _showEnabled(self, nodes):
        p, available = self._parameters, bool(nodes)
        overlay = available and p.overlay.value in nodes
        for row, choice in enumerate(Overlay):  # maps that this run did not give cannot be chosen
            given = not available or choice is Overlay.NONE or choice.value in nodes
            self.ui.overlayComboBox.setItemData(row, ITEM_ON if given else ITEM_OFF, ITEM_FLAGS_ROLE)
        for widget in (
            self.ui.overlayComboBox,
            self.ui.deformationComboBox,
            self.ui.threeDCheckBox,
        ):
            widget.enabled = available
        lacking = available and not overlay and p.overlay is not Overlay.NONE
        why = _("This result does not have the map chosen: its model does not give it, or it was deleted.")
        self.ui.overlayComboBox.toolTip = why if lacking else self._overlayTip
        self.ui.linkedLayoutCheckBox.enabled = available or layout.isShown()  # a way out of the layout
        for widget in (
            self.ui.opacitySlider,
            self.ui.windowRangeWidget,
            self.ui.thresholdRangeWidget,
            self.ui.legendCheckBox,
        ):
            widget.enabled = overlay
        self.ui.fadeSlider.enabled = available and (layout.isShown() or not overlay)
        self.ui.spacingSlider.enabled = available and p.deformation.value in ("grid", "glyphs")

    def _showRanges(self, node):
        """Sliders of colour range and threshold for the map shown."""
        if node is None:
            return
        low, high = overlays.rangeOf(node)
        window = overlays.windowOf(node)
        _setRange(self.ui.windowRangeWidget, min(low, window[0]), max(high, window[1]), window)
        _setRange(self.ui.thresholdRangeWidget, low, high, overlays.thresholdOf(node))

    def _shownMap(self):
        p = self._parameters
        return results.outputsOf(p.transform).get(p.overlay.value) if p else None

    def _onWindow(self, low, high):
        self._slide(overlays.setWindow, low, high)

    def _onThreshold(self, low, high):
        self._slide(overlays.setThreshold, low, high)

    def _slide(self, change, low, high):
        node, self._sliding = self._shownMap(), True
        try:
            if node is not None:
                change(node, low, high)
        finally:
            self._sliding = False


def _setRange(widget, lowest, highest, values):
    """Limits, three significant digits and values of a range widget, without telling its listeners."""
    widget.blockSignals(True)
    size = highest - lowest
    widget.decimals = min(8, max(0, 2 - math.floor(math.log10(size))))
    widget.setRange(lowest, highest)
    widget.singleStep = size / 200.0  # after the range: a step beyond it is refused
    widget.setValues(*values)
    widget.blockSignals(False)
