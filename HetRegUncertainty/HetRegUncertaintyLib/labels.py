"""Segmentation and label map nodes <-> label images, and registration with them.

A label image holds one label per voxel, but segments may overlap (a filled epicardium contains the cavity).
So labels travel in layers: images in each of which no two segments overlap, and every segment is whole.
"""

from dataclasses import replace

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

from . import labelpairs, volumes

LABEL = np.int32  # what a colour table counts with
BINARY = labelpairs.BINARY
SURFACE = slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName()


def unusable(moving, fixed):
    """One sentence if these segmentation nodes, each maybe None, cannot be used together, otherwise ""."""
    if fixed is None:
        return ""
    if moving is None:
        text = _("The fixed segmentation '{name}' is given without a moving one: the Dice needs both.")
    elif moving == fixed:
        text = _("'{name}' is chosen as moving and as fixed segmentation: choose one drawn on each image.")
    else:
        return ""
    return text.format(name=fixed.GetName())


def layersFromNodes(movingNode, fixedNode, moving, fixed):
    """The segmentation arguments of `register_pair`, a dict per layer, the segments of the moving one, and
    [a sentence on those that are not compared].

    movingNode, fixedNode: segmentations or label maps, each maybe None, on the images moving and fixed.
    Raises ValueError with one sentence if the nodes cannot be used.
    """
    reason = unusable(movingNode, fixedNode)
    if reason:
        raise ValueError(reason)
    if movingNode is None:
        return [], {}, []
    arrays, segments = labelsFromNode(movingNode, moving)
    masks = {"moving_seg": {value: (arrays, value) for value in segments}}
    images, notes = {"moving_seg": moving.like(arrays[0], movingNode.GetName())}, []
    if fixedNode is not None:
        others, otherSegments = labelsFromNode(fixedNode, fixed)
        pairs, notes = labelpairs.matches(movingNode, segments, fixedNode, otherSegments)
        if pairs:
            masks["fixed_seg"] = {value: (others, other) for value, other in pairs.items()}
            images["fixed_seg"] = fixed.like(others[0], fixedNode.GetName())
    return _layers(segments, masks, images), segments, notes


def register(images, layers, config, progress):
    """`register_pair` with every layer of the segmentations; returns (result, [moved labels per layer])."""
    from hetreg import register_pair

    first = layers[0] if layers else {}
    result = register_pair(**images, **first, config=config, progress=progress)
    return _withLayers(result, images["fixed"], layers)


def registerFrames(frames, moving, layers, config, progress):
    """The same for each frame, by `register_sequence`; yields. layers: of the moving segmentation alone."""
    from hetreg import register_sequence

    first = layers[0] if layers else {}
    results = register_sequence(frames, moving, config=config, progress=progress, **first)
    for result, frame in zip(results, frames, strict=True):
        yield _withLayers(result, frame, layers)


def withNotes(result, notes):
    """The result, with these sentences among its notes."""
    return replace(result, summary=result.summary | {"notes": [*result.summary["notes"], *notes]})


def _withLayers(result, fixed, layers):
    """The result, with Dice and notes of all layers, and their moved labels; the first is in it already."""
    from hetreg.assemble import add_segmentation

    parts = [result]
    for layer in layers[1:]:
        parts.append(add_segmentation(parts[-1], fixed, layer["moving_seg"], layer.get("fixed_seg")))
    summary = {**parts[-1].summary, **_overlaps(parts, layers)}
    return replace(result, summary=summary), [part.moved_seg for part in parts[: len(layers)]]


def labelsFromNode(node, reference):
    """Labels of a segmentation or label map node on the grid of `reference`, and what they stand for.

    Returns ([int32 array, ...], {label value: (segment ID, vtkSegment without voxels)}). Segments of one
    array do not overlap; each label is in one of them.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        arrays, segments = _segmentArrays(node, reference), _segmentsOf(node)
    else:
        arrays = [_resampledLabels(volumes.imageFromNode(node), reference)]
        segments = _labelSegments(node, arrays[0])
    if not any(array.any() for array in arrays):
        raise ValueError(
            _("'{name}' has no label inside '{image}'.").format(name=node.GetName(), image=reference.name)
        )
    return arrays, segments


def newSegment(value, name, color):
    """(segment ID, vtkSegment without voxels) of a label that is no segment yet; color: red, green, blue."""
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetColor(*color)
    return f"Segment_{value}", segment


def segmentationFromLabels(layers, segments):
    """vtkSegmentation with one binary label map per label of `segments`, from the `Image` of each layer.

    segments: as from `labelsFromNode`; the new ones have their IDs, names, colours and tags.
    """
    segmentation = slicer.vtkSegmentation()
    segmentation.SetSourceRepresentationName(BINARY)
    for value, (segmentID, source) in segments.items():
        mask = _mask([layer.array for layer in layers], value)
        segment = slicer.vtkSegment()
        segment.DeepCopyMetadata(source)
        segment.SetLabelValue(1)
        segment.AddRepresentation(BINARY, volumes.orientedImage(mask.astype(np.uint8), layers[0]))
        segmentation.AddSegment(segment, segmentID)
    return segmentation


def makeSurfaceLike(former, segmentation):
    """Give a segmentation surfaces, with the same smoothing, if the former one (or None) is shown in 3D."""
    if former is not None and former.ContainsRepresentation(SURFACE):
        segmentation.CopyConversionParameters(former)
        segmentation.CreateRepresentation(SURFACE)


def _overlaps(parts, layers):
    """The Dice of all layers, of the labels drawn on the fixed image: others have nothing to overlap."""
    drawn = {
        value for layer in layers if "fixed_seg" in layer for value in np.unique(layer["fixed_seg"].array)
    }
    found = {}
    for when in ("dice_before", "dice_after"):
        values = {int(v): dice for part in parts for v, dice in part.summary.get(when, {}).items()}
        if values:
            found[when] = {str(v): values[v] for v in sorted(values) if v in drawn}
    return found


def _mask(arrays, value):
    """Voxels with this label in any of the arrays."""
    return np.logical_or.reduce([array == value for array in arrays])


def _layers(values, masks, images):
    """As few layers as a greedy choice gives. masks: {argument: {value: (arrays, its value in them)}}."""
    layers = []
    for value in values:
        own = {key: _mask(*of[value]) for key, of in masks.items() if value in of}
        free = (layer for layer in layers if not any(layer[key][mask].any() for key, mask in own.items()))
        layer = next(free, None)
        if layer is None:
            layer = {key: np.zeros(image.array.shape, LABEL) for key, image in images.items()}
            layers.append(layer)
        for key, mask in own.items():
            layer[key][mask] = value
    return [
        {key: images[key].like(array, images[key].name) for key, array in layer.items()} for layer in layers
    ]


def _segmentsOf(node):
    """Copies: the user may change the segmentation while it is registered."""
    segmentation, found = node.GetSegmentation(), {}
    for i in range(segmentation.GetNumberOfSegments()):
        segment = slicer.vtkSegment()
        segment.DeepCopyMetadata(segmentation.GetNthSegment(i))
        found[i + 1] = segmentation.GetNthSegmentID(i), segment
    return found


def _segmentArrays(node, reference):
    """All segments as labels 1, 2, ... in the order of the segmentation, an array per layer that it has."""
    if node.GetSegmentation().GetNumberOfSegments() == 0:
        raise ValueError(_("The segmentation '{name}' is empty.").format(name=node.GetName()))
    grid = volumes.orientedImage(
        np.zeros(reference.array.shape, np.uint8), reference, np.linalg.inv(volumes.parentToWorld(node))
    )
    source = _withVoxels(node, grid)
    segmentation = source.GetSegmentation()
    layers = [
        segmentation.GetSegmentIDsForLayer(i, BINARY) for i in range(segmentation.GetNumberOfLayers(BINARY))
    ]
    return [_layerArray(source, ids, grid).reshape(reference.array.shape) for ids in layers]


def _withVoxels(node, grid):
    """The node, or, if it has no voxels (only surfaces), a copy outside the scene that has them."""
    if node.GetSegmentation().ContainsRepresentation(BINARY):
        return node
    segmentation, converter = slicer.vtkSegmentation(), slicer.vtkSegmentationConverter
    segmentation.DeepCopy(node.GetSegmentation())
    segmentation.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(grid)
    )
    if not segmentation.CreateRepresentation(BINARY, True):
        text = _(
            "'{name}' has no binary labelmap, and none could be made: make one in the module Segmentations."
        )
        raise ValueError(text.format(name=node.GetName()))
    copy = slicer.vtkMRMLSegmentationNode()
    copy.SetName(node.GetName())
    copy.SetAndObserveSegmentation(segmentation)
    return copy


def _layerArray(node, segmentIDs, grid):
    """Flat int32 array of some segments that do not overlap, on the grid."""
    ids, values = vtk.vtkStringArray(), vtk.vtkIntArray()
    for segmentID in segmentIDs:
        ids.InsertNextValue(segmentID)
        values.InsertNextValue(node.GetSegmentation().GetSegmentIndex(segmentID) + 1)
    merged = slicer.vtkOrientedImageData()
    extent = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    if not node.GenerateMergedLabelmapForAllSegments(merged, extent, grid, ids, values):
        raise ValueError(
            _("The segmentation '{name}' could not be read as labels.").format(name=node.GetName())
        )
    return numpy_support.vtk_to_numpy(merged.GetPointData().GetScalars()).astype(LABEL)


def _labelSegments(node, array):
    """The labels of a label map node, with the names and colours of its colour table where that has them."""
    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display else None
    segments = {}
    for value in np.unique(array[array != 0]).tolist():
        rgba = [0.8, 0.6, 0.2, 1.0]
        known = colors is not None and colors.GetColor(value, rgba)
        name = colors.GetColorName(value) if known else None
        segments[value] = newSegment(value, name or _("Label {value}").format(value=value), rgba[:3])
    return segments


def _resampledLabels(labels, reference):
    """The array of a label `Image` on another grid. Raises ValueError if it has other numbers."""
    from hetreg.resample import resample_like

    with np.errstate(invalid="ignore"):  # what does not fit is refused below
        whole = labels.array.astype(LABEL)
    if not np.array_equal(whole, labels.array):
        text = _("'{name}' is not a label map: whole numbers up to {limit} are accepted.")
        raise ValueError(text.format(name=labels.name, limit=np.iinfo(LABEL).max))
    return resample_like(labels.like(whole, labels.name), reference, labels=True)
