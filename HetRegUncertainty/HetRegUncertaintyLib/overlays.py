"""What the views show: the fixed and moved image, one map in colour over it, its legend."""

import slicer

from . import colors, layout, results, sequences

LEGEND_SIZE, LEGEND_POSITION, LEGEND_LABELS = (0.13, 0.55), (0.97, 0.5), 5
LEGEND_FONT_SIZE = 12
ROUNDING = 0.005  # of a map's range: what the sliders, of three significant digits, round by
HIDDEN = "HetReg.Hidden"  # attribute of the display of what `showOnly` or `putAside` hid, to show it again
ASIDE = "aside"  # its value for `putAside`


def show(nodes, fixedNode, role="", opacity=0.5, fade=1.0):
    """Fill all slice views.

    nodes: {role: node} as from `results.addToScene`; role: the map, "" for none; fade: 0 fixed, 1 moved.
    In the linked layout each view has its own content. In any other layout all views show the fixed image
    under the map, or under the moved image where no map is chosen.
    """
    overlay, moved = nodes.get(role), nodes.get("moved")
    if overlay is not None:
        _displayOf(overlay)  # a view gives a map without a display a grey one
    if layout.isShown():
        fixedView, movedView, mapView = layout.sliceLogics()
        _compose(fixedView, fixedNode)
        _compose(movedView, fixedNode, moved, fade)
        _compose(mapView, fixedNode, overlay, opacity)
    else:
        for logic in layout.otherSliceLogics():
            if overlay is None:
                _compose(logic, fixedNode, moved, fade)
            else:
                _compose(logic, fixedNode, overlay, opacity)


def showLegend(nodes, role):
    """The legend of one map, "" for none.

    It is made anew each time, because views draw only the legends that are added after them, but looks as the
    user has left the former one. Those of other runs go too, and those of no volume at all: a restored scene
    view brings its own back without.
    """
    titles = {style.title for style in colors.styles().values()}
    look = LEGEND_LABELS, LEGEND_SIZE, LEGEND_POSITION
    for legend in slicer.util.getNodesByClass("vtkMRMLColorLegendDisplayNode"):
        owner = legend.GetDisplayableNode()
        if legend.GetTitleText() in titles if owner is None else results.isOutput(owner):
            look = legend.GetNumberOfLabels(), legend.GetSize(), legend.GetPosition()
            slicer.mrmlScene.RemoveNode(legend)
    if role not in nodes:
        return
    low, high = windowOf(nodes[role])
    if abs(low) < 1e-4 * (high - low):  # a saved window comes back rounded: no -1e-07
        setWindow(nodes[role], 0.0, high)
    legend = slicer.modules.colors.logic().AddDefaultColorLegendDisplayNode(nodes[role])
    legend.SetTitleText(colors.styles()[role].title)
    legend.SetLabelFormat("%.3g")
    legend.SetNumberOfLabels(look[0])
    legend.SetSize(*look[1])
    legend.SetPosition(*look[2])
    legend.GetTitleTextProperty().SetFontSize(LEGEND_FONT_SIZE)
    legend.GetLabelTextProperty().SetFontSize(LEGEND_FONT_SIZE)


def showOnly(nodes):
    """Hide contours and deformation of all runs but that of `nodes`; of this one, show what was hidden so."""
    own = list(nodes.values())
    for node in _drawnResults():
        if node in own and _hiddenBy(node):
            _unhide(node)
        elif node not in own and node.GetDisplayVisibility():
            _hide(node, "1")


def putAside(aside):
    """Hide contours and deformation of every run, as long as the views are for images of another place."""
    for node in _drawnResults():
        if aside and node.GetDisplayVisibility():
            _hide(node, ASIDE)
        elif not aside and _hiddenBy(node) == ASIDE:
            _unhide(node)


def clear():
    """Take maps, moved images, legend and deformation of every run off the views; the rest stays."""
    showLegend({}, "")
    for node in _allResults(results.TRANSFORM):
        node.SetDisplayVisibility(False)
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        foreground = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")
        if foreground is not None and results.isOutput(foreground):
            _setLayers(composite, composite.GetBackgroundVolumeID())


def fitStandardViews(fixedNode, every):
    """Turn the slices of a standard layout to the planes of the fixed image and fit them.

    every: also the views that show this image already, maybe as the user has placed them.
    """
    for logic in layout.otherSliceLogics():
        if every or logic.GetSliceCompositeNode().GetBackgroundVolumeID() != fixedNode.GetID():
            _compose(logic, fixedNode)  # first: what lay there before would keep the slice where that is
            layout.fit(logic, fixedNode)


def windowOf(node):
    """(low, high) of the colours of a map."""
    display = _displayOf(node)
    return display.GetWindowLevelMin(), display.GetWindowLevelMax()


def setWindow(node, low, high):
    """Colours of a map run from low to high."""
    display = _displayOf(node)
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(low, high)


def thresholdOf(node):
    """(low, high) of the values that are shown, the whole range if nothing is hidden."""
    display = _displayOf(node)
    if display.GetApplyThreshold():
        return display.GetLowerThreshold(), display.GetUpperThreshold()
    return rangeOf(node)


def setThreshold(node, low, high):
    """Hide values outside low..high. An end of the range, to the digits of the panel, hides nothing there."""
    display = _displayOf(node)
    display.AutoThresholdOff()
    lowest, highest = rangeOf(node)
    near = ROUNDING * (highest - lowest)
    low, high = (lowest if low <= lowest + near else low), (highest if high >= highest - near else high)
    display.SetThreshold(low, high)
    display.SetApplyThreshold(low > lowest or high < highest)


def rangeOf(node):
    """(smallest, largest) value of a map, never empty; of one that plays, in all of its frames."""
    images = [frame.GetImageData() for frame in (node, *sequences.framesOf(node))]
    ranges = [image.GetScalarRange() for image in images if image]
    # nothing: a scene was loaded without the file of this map
    low, high = (min(r[0] for r in ranges), max(r[1] for r in ranges)) if ranges else (0.0, 1.0)
    return (low, high) if high > low else (low, low + 1e-6)


def _displayOf(node):
    """The display node of a map; where the user has removed it, a new one with the style of the map."""
    if node.GetScalarVolumeDisplayNode() is None:
        colors.applyStyle(node, node.GetAttribute(results.ROLE))
    return node.GetScalarVolumeDisplayNode()


def _hide(node, why):
    node.SetDisplayVisibility(False)
    node.GetDisplayNode().SetAttribute(HIDDEN, why)  # a node that plays gets its frame's attributes


def _unhide(node):
    node.SetDisplayVisibility(True)
    node.GetDisplayNode().RemoveAttribute(HIDDEN)


def _hiddenBy(node):
    """Why a node was hidden here, None if it was not."""
    display = node.GetDisplayNode()
    return display.GetAttribute(HIDDEN) if display is not None else None


def _drawnResults():
    """The outputs of all runs that are drawn over any view, whatever image that shows."""
    return _allResults("vtkMRMLSegmentationNode") + _allResults(results.TRANSFORM)


def _allResults(className):
    """The outputs of that class, of all runs."""
    return [node for node in slicer.util.getNodesByClass(className) if results.isOutput(node)]


def _compose(logic, background, foreground=None, opacity=0.0):
    """Layers of one view."""
    _setLayers(logic.GetSliceCompositeNode(), background.GetID(), foreground, opacity)


def _setLayers(composite, backgroundID, foreground=None, opacity=0.0):
    """Linking is off meanwhile: a linked view would copy its layers to the others."""
    linked = composite.GetLinkedControl()
    composite.SetLinkedControl(False)
    composite.SetBackgroundVolumeID(backgroundID)
    composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
    composite.SetForegroundOpacity(opacity if foreground else 0.0)
    composite.SetLinkedControl(linked)
