"""Stand-ins for the 3D view, the plot view and the table view."""

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from .observing import Observing
from .plot_drawing import PlotDrawing
from .rendered_view import ManagedView, RenderedView
from .view_bar import ViewFrame, plainBar

MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
)


class qMRMLThreeDView(ManagedView):
    _standin_ = True

    def __init__(self, node, parent=None):
        super().__init__(parent)
        self._node = node
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        self._manage(factory, MANAGERS, node)
        self._style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._style.SetDisplayableManagers(self._group)
        self._style.SetInteractor(self._interactor)
        self._observing.observe(node, vtk.vtkCommand.ModifiedEvent, self._onNode)
        self._onNode()

    def _onNode(self):
        self._renderer.SetGradientBackground(True)
        self._renderer.SetBackground(self._node.GetBackgroundColor())
        self._renderer.SetBackground2(self._node.GetBackgroundColor2())
        self.scheduleRender()

    def mrmlViewNode(self):
        return self._node

    def cameraNode(self):
        logic = slicer.app.applicationLogic().GetViewLogic(self._node)
        return logic.GetCameraNode() if logic is not None else None

    def interactorObserver(self):
        return self._style

    def resetFocalPoint(self):
        """Centre on what is visible; keeps direction and distance."""
        bounds = self._renderer.ComputeVisiblePropBounds()
        if bounds[0] > bounds[1]:
            return
        camera = self._renderer.GetActiveCamera()
        centre = [(bounds[2 * i] + bounds[2 * i + 1]) / 2 for i in range(3)]
        shift = [c - f for c, f in zip(centre, camera.GetFocalPoint(), strict=True)]
        camera.SetPosition([p + s for p, s in zip(camera.GetPosition(), shift, strict=True)])
        camera.SetFocalPoint(centre)
        self._renderer.ResetCameraClippingRange()
        self.scheduleRender()

    def resetCamera(self, *_):
        self._renderer.ResetCamera()
        self.scheduleRender()

    def setFocalPoint(self, x, y, z):
        self._renderer.GetActiveCamera().SetFocalPoint(x, y, z)
        self.scheduleRender()


class qMRMLThreeDWidget(ViewFrame):
    _standin_ = True

    def __init__(self, node, parent=None):
        super().__init__(parent)
        self._node = node
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetName(node.GetLayoutName())
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(slicer.mrmlScene)
        slicer.app.applicationLogic().GetViewLogics().AddItem(self._logic)
        self._frame(plainBar(node, "1", self), qMRMLThreeDView(node, self))

    def mrmlViewNode(self):
        return self._node

    def mrmlAbstractViewNode(self):
        return self._node

    def threeDView(self):
        return self._view

    def threeDController(self):
        return self._bar

    def viewLogic(self):
        return self._logic

    def logic(self):
        return self._logic


class qMRMLPlotView(RenderedView):
    """Draws the plot chart node that the plot view node shows, with VTK's own chart."""

    _standin_ = True

    def __init__(self, node, parent=None):
        super().__init__(parent)
        self._node = node
        self._renderer.SetBackground(1, 1, 1)
        self._drawing = PlotDrawing(self._renderer)
        self._shown = Observing(self)
        self._observing.observe(node, vtk.vtkCommand.AnyEvent, self.scheduleRender)

    def _prepareRender(self):
        self._follow()
        self._drawing.draw(self._node.GetPlotChartNode())

    def _follow(self):
        """Observe the chart, its series and their tables, so that a change is drawn."""
        self._shown.stop()
        chart = self._node.GetPlotChartNode()
        items = [chart] if chart is not None else []
        for i in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
            series = chart.GetNthPlotSeriesNode(i)
            items += [
                n for n in (series, series.GetTableNode() if series is not None else None) if n is not None
            ]
        for item in items:
            self._shown.observe(item, vtk.vtkCommand.ModifiedEvent, self.scheduleRender)

    def chart(self):
        return self._drawing.chart


class qMRMLPlotWidget(ViewFrame):
    _standin_ = True

    def __init__(self, node, parent=None):
        super().__init__(parent)
        self._node = node
        self._frame(plainBar(node, "P", self), qMRMLPlotView(node, self))

    def mrmlPlotViewNode(self):
        return self._node

    def mrmlAbstractViewNode(self):
        return self._node

    def plotView(self):
        return self._view

    def plotController(self):
        return self._bar


class qMRMLTableView(QtWidgets.QTableView):
    """Shows a table node; the cells are text. Columns fit what they hold when the node is given."""

    _standin_ = True

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node = self._viewNode = self._scene = None
        self._views, self._shown = Observing(self), Observing(self)
        self.setModel(QtGui.QStandardItemModel(self))

    def _finish(self):
        self._views.stop()
        self._shown.stop()

    def setMRMLScene(self, scene):
        self._scene = scene

    def mrmlScene(self):
        return self._scene

    def setMRMLTableViewNode(self, node):
        self._viewNode = node
        self._views.stop()
        self._views.observe(node, vtk.vtkCommand.AnyEvent, lambda: self.setMRMLTableNode(node.GetTableNode()))
        self.setMRMLTableNode(node.GetTableNode())

    def mrmlTableViewNode(self):
        return self._viewNode

    def mrmlTableNode(self):
        return self._node

    def setMRMLTableNode(self, node):
        if node is not self._node:
            self._shown.stop()
            self._node = node
            if node is not None:
                self._shown.observe(node, vtk.vtkCommand.ModifiedEvent, self._fill)
            self._fill()
            self.horizontalHeader().setMinimumSectionSize(60)
            self.resizeColumnsToContents()

    def _fill(self):
        """The columns that are there stay as wide as they are."""
        table, model = self._node.GetTable() if self._node is not None else None, self.model()
        columns = table.GetNumberOfColumns() if table is not None else 0
        model.setColumnCount(columns)
        model.setRowCount(table.GetNumberOfRows() if table is not None else 0)
        for column in range(columns):
            model.setHorizontalHeaderItem(column, QtGui.QStandardItem(table.GetColumnName(column) or ""))
            for row in range(table.GetNumberOfRows()):
                model.setItem(row, column, QtGui.QStandardItem(table.GetValue(row, column).ToString()))

    def tableModel(self):
        return self.model()


class qMRMLTableWidget(ViewFrame):
    """The frame of the table view; Slicer has it too, the facts' file does not list it."""

    _standin_ = True

    def __init__(self, node, parent=None):
        super().__init__(parent)
        self._frame(plainBar(node, "T", self), qMRMLTableView(self))
        self._view.setMRMLScene(slicer.mrmlScene)
        self._view.setMRMLTableViewNode(node)
        self._view.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding
        )
        self._view.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)

    def tableView(self):
        return self._view

    def tableController(self):
        return self._bar
