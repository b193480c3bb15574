"""Draws a plot chart node as Slicer's qMRMLPlotView does: series, titles, axes, legend."""

import vtk

_MARKERS = {
    "none": vtk.vtkPlotPoints.NONE,
    "cross": vtk.vtkPlotPoints.CROSS,
    "plus": vtk.vtkPlotPoints.PLUS,
    "square": vtk.vtkPlotPoints.SQUARE,
    "circle": vtk.vtkPlotPoints.CIRCLE,
    "diamond": vtk.vtkPlotPoints.DIAMOND,
}


class PlotDrawing:
    """A vtkChartXY in a renderer. As in Slicer it keeps plots and axes when a table is filled again."""

    def __init__(self, renderer):
        self._scene, self.chart, self._plots = vtk.vtkContextScene(), vtk.vtkChartXY(), {}
        actor = vtk.vtkContextActor()
        actor.SetScene(self._scene)
        self._scene.SetRenderer(renderer)
        self._scene.AddItem(self.chart)
        renderer.AddActor(actor)

    def draw(self, chartNode):
        self.chart.SetVisible(chartNode is not None)
        drawn = self._drawn(chartNode) if chartNode is not None else {}
        for key in [key for key in self._plots if key not in drawn]:
            plot = self._plots.pop(key)
            self.chart.SetPlotCorner(plot, 1)  # else VTK would not set up a plot that is added later
            self.chart.RemovePlotInstance(plot)
        for key, series in drawn.items():
            self._showSeries(key, series)
        self._scene.SetDirty(True)
        if chartNode is None:
            return
        self.chart.SetShowLegend(bool(chartNode.GetLegendVisibility()))
        self.chart.SetTitle((chartNode.GetTitle() or "") if chartNode.GetTitleVisibility() else "")
        self.chart.GetTitleProperties().SetFontSize(chartNode.GetTitleFontSize())
        self._axis(self.chart.GetAxis(vtk.vtkAxis.BOTTOM), chartNode, "X")
        self._axis(self.chart.GetAxis(vtk.vtkAxis.LEFT), chartNode, "Y")

    @staticmethod
    def _drawn(chartNode):
        """{key of a plot: series} of those that have something to show."""
        found = {}
        for i in range(chartNode.GetNumberOfPlotSeriesNodes()):
            series = chartNode.GetNthPlotSeriesNode(i)
            node = series.GetTableNode() if series is not None else None
            table = node.GetTable() if node is not None else None
            name = series.GetYColumnName() or "" if series is not None else ""
            if table is not None and table.GetNumberOfRows() and table.GetColumnByName(name) is not None:
                found[series.GetID(), series.GetPlotType()] = series
        return found

    @staticmethod
    def _axis(axis, node, letter):
        def get(name):
            return getattr(node, f"Get{letter}Axis{name}")()

        axis.SetTitle((get("Title") or "") if get("TitleVisibility") else "")
        axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
        axis.SetGridVisible(bool(node.GetGridVisibility()))
        axis.SetLogScale(bool(get("LogScale")))
        axis.SetBehavior(vtk.vtkAxis.AUTO)
        if not get("RangeAuto"):
            axis.SetBehavior(vtk.vtkAxis.FIXED)
            axis.SetRange(*get("Range"))

    def _showSeries(self, key, series):
        table, kind = series.GetTableNode().GetTable(), series.GetPlotType()
        isBar = kind in (series.PlotTypeBar, series.PlotTypeScatterBar)
        usesX = kind in (series.PlotTypeScatter, series.PlotTypeScatterBar)
        if key not in self._plots:
            self._plots[key] = self.chart.AddPlot(vtk.vtkChart.BAR if isBar else vtk.vtkChart.LINE)
        plot = self._plots[key]
        xName = series.GetXColumnName() or ""
        if usesX and table.GetColumnByName(xName) is not None:
            plot.SetInputData(table, xName, series.GetYColumnName())
        else:
            plot.SetInputData(table, 0, self._columnIndex(table, series.GetYColumnName()))
            plot.SetUseIndexForXSeries(True)
        self._style(plot, series, isBar)

    @staticmethod
    def _columnIndex(table, name):
        return next(i for i in range(table.GetNumberOfColumns()) if table.GetColumnName(i) == name)

    @staticmethod
    def _style(plot, series, isBar):
        red, green, blue = series.GetColor()
        plot.SetColorF(red, green, blue, series.GetOpacity())
        plot.SetLabel(series.GetName() or "")
        if isBar:
            return
        plot.SetWidth(series.GetLineWidth())
        style = series.GetLineStyleAsString(series.GetLineStyle())
        plot.GetPen().SetLineType(_LINES.get(style, vtk.vtkPen.SOLID_LINE))
        marker = series.GetMarkerStyleAsString(series.GetMarkerStyle())
        plot.SetMarkerStyle(_MARKERS.get(marker, vtk.vtkPlotPoints.NONE))
        plot.SetMarkerSize(series.GetMarkerSize())


_LINES = {
    "none": vtk.vtkPen.NO_PEN,
    "solid": vtk.vtkPen.SOLID_LINE,
    "dash": vtk.vtkPen.DASH_LINE,
    "dot": vtk.vtkPen.DOT_LINE,
    "dash-dot": vtk.vtkPen.DASH_DOT_LINE,
    "dash-dot-dot": vtk.vtkPen.DASH_DOT_DOT_LINE,
}
