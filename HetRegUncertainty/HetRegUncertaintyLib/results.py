"""`RegisterResult` -> nodes of the scene. All is built first and added at once; a failure takes it all back.

Outputs carry their role (attribute HetReg.Role), the run record, references to fixed, moving, transform and
themselves (not to a copy); the transform references all of them, so that a loaded scene's runs are found.
"""

import json
import os
from contextlib import contextmanager

import slicer
from slicer.i18n import tr as _

from . import colors, handwork, labels, resultnames, sequences, summary, volumes

ROLE = volumes.ROLE
RECORD, SUMMARY, NAMES = "HetReg.RunRecord", "HetReg.Summary", "HetReg.LabelNames"
REFERENCE = "HetReg."  # + role, or "fixed", "moving", "transform", "original"
VOLUME, TRANSFORM = "vtkMRMLScalarVolumeNode", "vtkMRMLTransformNode"
OUTPUTS = {
    "moved": VOLUME,
    "transform": TRANSFORM,
    "inverse_transform": TRANSFORM,
    "noise_sd": VOLUME,
    "noise_variance": VOLUME,
    "snr_weight": VOLUME,
    "displacement_mm": VOLUME,
    "displacement_sd_mm": VOLUME,
    "log_jacobian": VOLUME,
    "residual": VOLUME,
    "moved_segmentation": "vtkMRMLSegmentationNode",
    "numbers": "vtkMRMLTableNode",
}


def checkOutputs(outputs, inputs):
    """Raise ValueError if a chosen output is an input or above one, or chosen twice, or of a wrong class."""
    taken = {node.GetID() for node in volumes.withParents(inputs)}
    for role, node in outputs.items():
        if node is None:
            continue
        fits = node.GetClassName() == VOLUME if OUTPUTS[role] == VOLUME else node.IsA(OUTPUTS[role])
        if not fits:  # a label map or a vector image is a scalar volume too, by its class
            raise ValueError(
                _("'{name}' cannot hold the output '{role}'.").format(name=node.GetName(), role=role)
            )
        if node.GetID() in taken:
            text = _("'{name}' is chosen twice, as input or as another output, or an input lies under it.")
            raise ValueError(text.format(name=node.GetName()))
        taken.add(node.GetID())


def updatable(outputs, fixedNode, movingNode):
    """The chosen outputs {role: node} without results of another pair: those stay whole, with their names.

    So do those of another run than that of the chosen transform, which may be a copy, a segmentation that was
    corrected by hand, and a run that a browser goes through: it would put its own frame in place of a result.
    """
    chosen = outputs.get("transform")

    def isOurs(node):
        if node is None:
            return True
        if any(map(sequences.browserOf, (node, _transformOf(node)))) or handwork.isIn(node):
            return False
        if not node.GetAttribute(ROLE):
            return True
        ofChosen = not outputsOf(chosen) or _transformOf(node) in (None, chosen)
        return ofChosen and inputsOf(node) == (fixedNode, movingNode)

    return {role: node for role, node in outputs.items() if isOurs(node)}


def addToScene(result, fixedNode, movingNode, outputs=None, moved=(), segments=None, numbers=None):
    """Add or update the nodes of a result; returns {role: node}.

    outputs: {role: node to update}. moved: the moved labels, an `Image` per layer (see labels.py), with
    the segments of the moving segmentation, {label value: (segment ID, vtkSegment)}. numbers: vtkTable in
    place of that of the result. Of what the result does not have there is no output.
    An output of the run that is updated goes if this one has no such output. If anything fails, no node is
    left behind and updated nodes have their former content.
    """
    outputs, segments = outputs or {}, segments or {}
    fill, nodes, styles = _payloads(result, moved, segments, numbers), {}, {}
    slicer.mrmlScene.SaveStateForUndo()
    with allOrNothing() as undo:
        kept = {r: n for r, n in outputs.items() if n is not None and slicer.mrmlScene.IsNodePresent(n)}
        names = resultnames.free(fill.keys() - kept.keys(), fixedNode.GetName(), movingNode.GetName())
        for role, content in fill.items():
            node = kept.get(role) or slicer.mrmlScene.AddNewNodeByClass(OUTPUTS[role], names[role])
            styles[role] = _styleFor(node, role) if role in colors.styles() else None
            _FILL[OUTPUTS[role]](node, content, undo)
            nodes[role] = node
        former = outputsOf(outputs.get("transform"))
        _display(nodes, styles, movingNode, undo)
        _connect(nodes, fixedNode, movingNode, result, segments, undo)
        for role, node in outputs.items():  # maps of the overwritten run that this one did not give
            if node is not None and former.get(role) is node and role not in nodes:
                volumes.remove(node)
    return nodes


def outputsOf(transformNode):
    """{role: node} of the run that made this transform; empty for any other transform.

    Of a copy it is that alone: the nodes that it lists say that they belong to the original.
    """
    if transformNode is None or transformNode.GetAttribute(ROLE) != "transform":
        return {}
    nodes = {
        role: transformNode.GetNodeReference(REFERENCE + role) for role in OUTPUTS if role != "transform"
    }
    own = {role: node for role, node in nodes.items() if node and _transformOf(node) is transformNode}
    return {"transform": transformNode, **own}


def isOutput(node):
    """True for outputs of any run, also if its transform is gone, and for copies of transforms, no others."""
    role = node.GetAttribute(ROLE)
    return role == "transform" or (bool(role) and node.GetNodeReference(REFERENCE + "original") is node)


def _transformOf(node):
    """The transform of the run that an output says to be of; None for a transform."""
    return node.GetNodeReference(REFERENCE + "transform")


def inputsOf(node):
    """(fixed node, moving node) of the run that made this node, each None if it is gone."""
    if node is None:
        return None, None
    return tuple(node.GetNodeReference(REFERENCE + name) for name in ("fixed", "moving"))


def summaryOf(transformNode):
    """Summary and label names of the run that made this transform; (None, {}) for any other transform."""
    attribute = transformNode.GetAttribute if transformNode else {}.get
    return summary.read(attribute(SUMMARY)) or None, summary.read(attribute(NAMES))


def secondsOf(transformNode):
    """How long the run of this transform took."""
    return summary.numberIn(summaryOf(transformNode)[0] or {}, "seconds", 0.0)


def _payloads(result, moved, segments, numbers):
    """{role: VTK object or (image data, matrix)}, made before the scene is touched."""
    fill = {"transform": volumes.gridTransform(result.disp_lps_mm, result.moved)}
    if result.inverse_disp_lps_mm is not None:
        fill["inverse_transform"] = volumes.gridTransform(result.inverse_disp_lps_mm, result.moved)
    for role in (role for role, className in OUTPUTS.items() if className == VOLUME):
        image = getattr(result, role)
        if image is not None:
            fill[role] = volumes.imageDataFromArray(image.array), volumes.ijkToRasMatrix(image)
    if moved:
        fill["moved_segmentation"] = labels.segmentationFromLabels(moved, segments)
    fill["numbers"] = numbers or summary.table(result.summary, _plainNames(segments))
    return fill


def _plainNames(segments):
    return {str(value): segment.GetName() for value, (_id, segment) in segments.items()}


def _fillVolume(node, content, undo):
    image, matrix = content
    former = slicer.vtkMRMLScalarVolumeNode()
    former.CopyOrientation(node)
    undo(node.SetAndObserveImageData, node.GetImageData())
    undo(node.CopyOrientation, former)
    volumes.leaveParent(node, undo)
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(image)


def _fillTransform(node, grid, undo):
    undo(node.SetAndObserveTransformFromParent, node.GetTransformFromParent())
    volumes.leaveParent(node, undo)
    node.SetAndObserveTransformFromParent(grid)


def _fillSegmentation(node, segmentation, undo):
    former = node.GetSegmentation()
    undo(node.SetAndObserveSegmentation, former)
    volumes.leaveParent(node, undo)
    handwork.keepLooks(node, segmentation, undo)
    node.SetAndObserveSegmentation(segmentation)
    labels.makeSurfaceLike(former, segmentation)
    handwork.remember(node, undo)


def _fillTable(node, content, undo):
    undo(node.SetAndObserveTable, node.GetTable())
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetAndObserveTable(content)


_FILL = {
    VOLUME: _fillVolume,
    TRANSFORM: _fillTransform,
    "vtkMRMLSegmentationNode": _fillSegmentation,
    "vtkMRMLTableNode": _fillTable,
}


def _styleFor(node, role):
    """What a map needs once it has its new voxels, None for nothing: a window that the user has set stays."""
    isNew = node.GetAttribute(ROLE) != role or node.GetScalarVolumeDisplayNode() is None
    if isNew or node.GetImageData() is None:
        return colors.applyStyle
    return colors.applyWindow if colors.hasRobustWindow(node, role) else None


def _display(nodes, styles, movingNode, undo):
    for role in set(colors.styles()) & set(nodes):
        if display := nodes[role].GetScalarVolumeDisplayNode():
            window = display.GetWindowLevelMin(), display.GetWindowLevelMax()
            undo(display.SetWindowLevelMinMax, *window)
            undo(display.SetApplyThreshold, display.GetApplyThreshold())
            colors.showAllValues(nodes[role])
        if styles[role]:
            styles[role](nodes[role], role)
    colors.copyWindow(movingNode, nodes["moved"])
    segmentation = nodes.get("moved_segmentation")
    if segmentation is not None and segmentation.GetDisplayNode() is None:
        segmentation.CreateDefaultDisplayNodes()
        segmentation.GetDisplayNode().SetVisibility2DFill(False)


def _connect(nodes, fixedNode, movingNode, result, segments, undo):
    """Roles, references and the run record."""
    transform = nodes["transform"]
    config = result.record["config"]
    config = config | {"model": os.path.basename(config["model"])}  # a scene is shared: it names no folder
    record = json.dumps(result.record | {"config": config}, default=str)
    for role, node in nodes.items():
        _leaveFormerRun(node, transform, undo)
        for key, value in ((ROLE, role), (RECORD, record)):
            undo(node.SetAttribute, key, node.GetAttribute(key))
            node.SetAttribute(key, value)
        _refer(node, REFERENCE + "original", node, undo)  # a copy refers to it, too
        for name, other in (("fixed", fixedNode), ("moving", movingNode), ("transform", transform)):
            if other is not node:
                _refer(node, REFERENCE + name, other, undo)
    for role in (r for r in OUTPUTS if r != "transform"):
        former = transform.GetNodeReference(REFERENCE + role)
        if former not in (None, nodes.get(role)) and _transformOf(former) is transform:
            _refer(former, REFERENCE + "transform", None, undo)  # no output of this run any more, and no copy
        _refer(transform, REFERENCE + role, nodes.get(role), undo)
    if "moved_segmentation" in nodes:
        _drawnOn(nodes["moved_segmentation"], fixedNode, undo)
    there, back = (fixedNode, movingNode), (movingNode, fixedNode)
    for node, (to, start) in ((transform, there), (nodes.get("inverse_transform"), back)):
        if node is not None:
            _refer(node, node.GetFixedNodeReferenceRole(), to, undo)
            _refer(node, node.GetMovingNodeReferenceRole(), start, undo)
    for key, value in ((SUMMARY, result.summary), (NAMES, _plainNames(segments))):
        undo(transform.SetAttribute, key, transform.GetAttribute(key))
        transform.SetAttribute(key, json.dumps(value, default=str))


def _refer(node, role, other, undo):
    """Let a node refer to another, or to none."""
    undo(node.SetNodeReferenceID, role, node.GetNodeReferenceID(role))
    node.SetNodeReferenceID(role, other.GetID() if other is not None else None)


def _drawnOn(segmentationNode, fixedNode, undo):
    """The reference geometry, for exports, and the Segment Editor's volume are those of the fixed image."""
    role = segmentationNode.GetReferenceImageGeometryReferenceRole()
    undo(segmentationNode.SetNodeReferenceID, role, segmentationNode.GetNodeReferenceID(role))
    segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(fixedNode)


def _leaveFormerRun(node, transform, undo):
    """An output that another transform's run lists is no longer of that run."""
    former = _transformOf(node)
    for role, other in outputsOf(former).items():
        if other is node and former is not transform:
            _refer(former, REFERENCE + role, None, undo)


@contextmanager
def allOrNothing():
    """Batch the scene; on an exception call the recorded undo steps backwards and remove every new node."""
    scene, steps = slicer.mrmlScene, []
    before = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        yield lambda function, *arguments: steps.append((function, arguments))
    except BaseException:
        for function, arguments in reversed(steps):
            function(*arguments)
        for node in [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]:
            if node.GetID() not in before:
                scene.RemoveNode(node)
        raise
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)
