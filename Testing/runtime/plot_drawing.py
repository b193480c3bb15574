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
    """A vtkChartXY in a renderer, made again for each draw()."""

    def __init__(self, renderer):
        self._scene = vtk.vtkContextScene()
        actor = vtk.vtkContextActor()
        actor.SetScene(self._scene)
        self._scene.SetRenderer(renderer)
        renderer.AddActor(actor)

    def draw(self, chartNode):
        self._scene.ClearItems()
        if chartNode is None:
            return
        chart = vtk.vtkChartXY()
        self._scene.AddItem(chart)
        for i in range(chartNode.GetNumberOfPlotSeriesNodes()):
            series = chartNode.GetNthPlotSeriesNode(i)
            if series is not None and series.GetTableNode() is not None:
                self._addSeries(chart, series)
        chart.SetShowLegend(bool(chartNode.GetLegendVisibility()))
        if chartNode.GetTitleVisibility():
            chart.SetTitle(chartNode.GetTitle() or "")
            chart.GetTitleProperties().SetFontSize(chartNode.GetTitleFontSize())
        self._axis(chart.GetAxis(vtk.vtkAxis.BOTTOM), chartNode, "X")
        self._axis(chart.GetAxis(vtk.vtkAxis.LEFT), chartNode, "Y")

    @staticmethod
    def _axis(axis, node, letter):
        def get(name):
            return getattr(node, f"Get{letter}Axis{name}")()

        axis.SetTitle((get("Title") or "") if get("TitleVisibility") else "")
        axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
        axis.SetGridVisible(bool(node.GetGridVisibility()))
        axis.SetLogScale(bool(get("LogScale")))
        if not get("RangeAuto"):
            axis.SetBehavior(vtk.vtkAxis.FIXED)
            axis.SetRange(*get("Range"))

    def _addSeries(self, chart, series):
        table = series.GetTableNode().GetTable()
        y = table.GetColumnByName(series.GetYColumnName() or "")
        if y is None or table.GetNumberOfRows() == 0:
            return
        kind = series.GetPlotType()
        isBar = kind in (series.PlotTypeBar, series.PlotTypeScatterBar)
        usesX = kind in (series.PlotTypeScatter, series.PlotTypeScatterBar)
        plot = chart.AddPlot(vtk.vtkChart.BAR if isBar else vtk.vtkChart.LINE)
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
