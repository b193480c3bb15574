"""Stand-in for slicer.app.layoutManager(): widgets for the views that the real layout logic makes."""

import xml.etree.ElementTree as ET

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from .observing import Observing
from .other_views import qMRMLPlotWidget, qMRMLTableWidget, qMRMLThreeDWidget
from .slice_views import qMRMLSliceWidget
from .standin import NotInStandIn, computed, signals

_WIDGETS = {
    "vtkMRMLSliceNode": qMRMLSliceWidget,
    "vtkMRMLViewNode": qMRMLThreeDWidget,
    "vtkMRMLPlotViewNode": qMRMLPlotWidget,
    "vtkMRMLTableViewNode": qMRMLTableWidget,
}


class qSlicerLayoutManager(QtCore.QObject):
    """Shows in its viewport the layout of the scene's layout node."""

    _standin_ = True
    _signals_ = signals("layoutChanged(int)")
    layoutChanged = QtCore.Signal(int)

    def __init__(self, applicationLogic, scene):
        super().__init__()
        self._widgets, self._shown, self._paused = {}, None, 0
        self._viewport = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(self._viewport)
        column.setContentsMargins(0, 0, 0, 0)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(scene)
        self._node = self._logic.GetLayoutNode()
        self._observing = Observing(self)
        self._observing.observe(self._node, vtk.vtkCommand.ModifiedEvent, self._onLayoutNode)
        self._observing.observe(scene, slicer.vtkMRMLScene.EndBatchProcessEvent, self._onLayoutNode)
        self._linkLogics = [slicer.vtkMRMLSliceLinkLogic(), slicer.vtkMRMLViewLinkLogic()]
        for link in self._linkLogics:
            link.SetMRMLApplicationLogic(applicationLogic)
            link.SetMRMLScene(scene)

    # --- the layout
    def _onLayoutNode(self):
        """As in Slicer each batch ends with the word that the layout has changed, also if it has not."""
        wanted = (self._node.GetViewArrangement(), self._node.GetCurrentLayoutDescription())
        if wanted[1] and not slicer.mrmlScene.IsBatchProcessing():
            if wanted != self._shown:
                self._shown = wanted
                self._build(wanted[1])
            self.layoutChanged.emit(wanted[0])

    def _build(self, description):
        column = self._viewport.layout()
        for widget in self._widgets.values():
            widget.setParent(None)
            widget.hide()
        while column.count():
            item = column.takeAt(0)
            if item.widget() is not None:
                item.widget().deleteLater()
        views = self._make(ET.fromstring(description))
        column.setEnabled(False)  # the sizes come with later events, as in Slicer
        column.addWidget(views)
        views.show()
        QtCore.QTimer.singleShot(0, self._settle)

    def _settle(self):
        self._viewport.layout().setEnabled(True)
        self._viewport.layout().activate()

    def _make(self, element):
        if element.tag == "view":
            return self._viewOf(element)
        if element.tag != "layout":
            raise NotInStandIn(f"<{element.tag}> in a layout is not part of the stand-in")
        kind = element.get("type", "vertical")
        items = element.findall("item")
        if kind in ("horizontal", "vertical"):
            return self._makeSplitter(kind, items)
        if kind == "tab":
            tabs = QtWidgets.QTabWidget()
            for item in items:
                tabs.addTab(self._make(item[0]), item.get("name", ""))
            return tabs
        if kind == "grid":
            return self._makeGrid(items)
        raise NotInStandIn(f'layout type "{kind}" is not part of the stand-in')

    def _makeSplitter(self, kind, items):
        flags = QtCore.Qt.Orientation
        splitter = QtWidgets.QSplitter(flags.Horizontal if kind == "horizontal" else flags.Vertical)
        splitter.setHandleWidth(3)
        sizes = []
        for item in items:
            widget = self._make(item[0])
            splitter.addWidget(widget)
            widget.show()
            sizes.append(int(item.get("splitSize", 0)))
        splitter.setSizes([size if size > 0 else 500 for size in sizes])
        return splitter

    def _makeGrid(self, items):
        frame = QtWidgets.QWidget()
        grid = QtWidgets.QGridLayout(frame)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(3)
        for item in items:
            spans = (int(item.get("rowspan", 1)), int(item.get("colspan", 1)))
            widget = self._make(item[0])
            grid.addWidget(widget, int(item.get("row", 0)), int(item.get("column", 0)), *spans)
            widget.show()
        return frame

    def _viewOf(self, element):
        cls, tag = element.get("class"), element.get("singletontag")
        node = slicer.mrmlScene.GetSingletonNode(tag, cls)
        if node is None:
            raise NotInStandIn(f"the layout names a {cls} {tag}, which the layout logic did not make")
        if node not in self._widgets:
            if cls not in _WIDGETS:
                raise NotInStandIn(f"{cls} views are not part of the stand-in")
            self._widgets[node] = _WIDGETS[cls](node)
        widget = self._widgets[node]
        widget.show()
        return widget

    def setLayout(self, layout):
        """As in Slicer, nothing happens where the layout node names this layout already, shown or not."""
        if layout == self._node.GetViewArrangement():
            return
        if layout != slicer.vtkMRMLLayoutNode.SlicerLayoutNone and not self._node.IsLayoutDescription(layout):
            raise ValueError(f"no layout {layout}")
        self._node.SetViewArrangement(layout)

    layout = computed(int, lambda self: self._node.GetViewArrangement(), setLayout)
    threeDViewCount = computed(int, lambda self: len(self._of(qMRMLThreeDWidget)))
    plotViewCount = computed(int, lambda self: len(self._of(qMRMLPlotWidget)))
    tableViewCount = computed(int, lambda self: len(self._of(qMRMLTableWidget)))

    def _of(self, cls):
        return [w for w in self._widgets.values() if isinstance(w, cls)]

    # --- what scripts ask
    def viewport(self):
        return self._viewport

    def layoutLogic(self):
        return self._logic

    def mrmlScene(self):
        return slicer.mrmlScene

    def mrmlSliceLogics(self):
        return slicer.app.applicationLogic().GetSliceLogics()

    def mrmlViewLogics(self):
        return slicer.app.applicationLogic().GetViewLogics()

    def sliceViewNames(self):
        return [w.mrmlSliceNode().GetLayoutName() for w in self._of(qMRMLSliceWidget)]

    def sliceWidget(self, name):
        return next(
            (w for w in self._of(qMRMLSliceWidget) if w.mrmlSliceNode().GetLayoutName() == name), None
        )

    def threeDWidget(self, index):
        widgets = self._of(qMRMLThreeDWidget)
        if isinstance(index, str):
            return next((w for w in widgets if w.mrmlViewNode().GetLayoutName() == index), None)
        return widgets[index] if index < len(widgets) else None

    def plotWidget(self, index):
        widgets = self._of(qMRMLPlotWidget)
        return widgets[index] if index < len(widgets) else None

    def tableWidget(self, index):
        widgets = self._of(qMRMLTableWidget)
        return widgets[index] if index < len(widgets) else None

    def viewWidget(self, node):
        return self._widgets.get(node)

    def activeMRMLThreeDViewNode(self):
        widget = self.threeDWidget(0)
        return widget.mrmlViewNode() if widget is not None else None

    def activeMRMLPlotViewNode(self):
        widget = self.plotWidget(0)
        return widget.mrmlPlotViewNode() if widget is not None else None

    def resetSliceViews(self):
        for widget in self._of(qMRMLSliceWidget):
            widget.fitSliceToBackground()

    def resetThreeDViews(self):
        for widget in self._of(qMRMLThreeDWidget):
            widget.threeDView().resetFocalPoint()

    def _rendered(self):
        return [w.viewWidget() for w in self._widgets.values() if not isinstance(w, qMRMLTableWidget)]

    def pauseRender(self):
        for view in self._rendered():
            view.pauseRender()

    def resumeRender(self):
        for view in self._rendered():
            view.resumeRender()

    def setRenderPaused(self, paused):
        for view in self._rendered():
            view.setRenderPaused(paused)

    def _finish(self):
        """At the end of the process: the views first, then what they show."""
        for widget in self._widgets.values():
            for part in (widget.controllerWidget(), widget.viewWidget()):
                part._finish()
        self._observing.stop()
        self._widgets.clear()
