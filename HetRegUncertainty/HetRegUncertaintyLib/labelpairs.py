"""Which segments of two segmentations or label maps are compared, and where that may be wrong."""

from types import SimpleNamespace

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from . import volumes

LABEL_MAP = "vtkMRMLLabelMapVolumeNode"
BINARY = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()


def matches(movingNode, segments, fixedNode, otherSegments):
    """({moving value: fixed value} of the segments with equal names, [a sentence on those that have none]).

    Names that differ only in case are equal where no segmentation needs it to tell its own apart. Two label
    maps may name the same values from different colour tables: then the values decide. segments: as from
    `labels.labelsFromNode`. Raises ValueError if several segments of one have a name that both have.
    """
    own, other = _folded(_names(segments), _names(otherSegments))
    common = set(own) & set(other)
    for node, found, named in ((movingNode, own, segments), (fixedNode, other, otherSegments)):
        twice = next((i for i, name in enumerate(found) if name in common and found.count(name) > 1), None)
        if twice is not None:
            text = _(
                "'{name}' has several segments named '{segment}': the Dice needs a different name for each."
            )
            raise ValueError(text.format(name=node.GetName(), segment=_names(named)[twice]))
    pairs = {
        value: another
        for value, name in zip(segments, own, strict=True)
        for another, otherName in zip(otherSegments, other, strict=True)
        if name == otherName
    }
    if not pairs and movingNode.IsA(LABEL_MAP) and fixedNode.IsA(LABEL_MAP):
        pairs = {value: value for value in segments if value in otherSegments}
    return pairs, _withoutPartner(movingNode, segments, fixedNode, otherSegments, pairs)


def placeNotes(drawn):
    """A sentence on each segmentation or label map node (or None) that was not moved as its image, or has
    lost its place. drawn: {it: image}."""
    text = _(
        "'{name}' is not under the same transform as '{image}': if it does not lie where it was drawn, put "
        "both under the same one."
    )
    notes = []
    for node, volume in drawn.items():
        if node is None:
            continue
        if not np.allclose(volumes.parentToWorld(node), volumes.parentToWorld(volume), rtol=0, atol=1e-6):
            notes.append(text.format(name=node.GetName(), image=volume.GetName()))
        elif not (node.IsA(LABEL_MAP) and np.allclose(volumes.ijkToRas(node), volumes.ijkToRas(volume))):
            notes += _misplaced(node, volumes.imageFromNode(volume))
    return notes


def _misplaced(node, image):
    from hetreg import placement  # loads SimpleITK, a second

    if node.IsA(LABEL_MAP):
        names = f"'{node.GetName()}'", f"'{image.name}'"
        found = placement.misplaced(volumes.imageFromNode(node), image, *names)
        return [f"{found}."] if found else []
    text = _("'{name}' lies mostly outside of '{image}': check that it was drawn on that volume.")
    lost = [placement.outside(box, image) for box in _boxes(node)]
    return [text.format(name=node.GetName(), image=image.name)] if lost and all(lost) else []


def _boxes(node):
    """Around the segments of each layer of voxels of a segmentation, in the world, as images of one voxel;
    none where there are only surfaces."""
    segmentation, world, found = node.GetSegmentation(), volumes.parentToWorld(node), []
    for i in range(segmentation.GetNumberOfLayers(BINARY)):
        layer, extent, matrix = segmentation.GetLayerDataObject(i, BINARY), [0] * 6, vtk.vtkMatrix4x4()
        if slicer.vtkOrientedImageDataResample.CalculateEffectiveExtent(layer, extent):
            layer.GetImageToWorldMatrix(matrix)
            first, last = np.array(extent[::2]), np.array(extent[1::2])
            box = np.diag([*(last - first + 1.0), 1.0])
            box[:3, 3] = (first + last) / 2
            place = volumes.RAS_TO_LPS @ world @ slicer.util.arrayFromVTKMatrix(matrix) @ box
            found.append(SimpleNamespace(size_ijk=(1, 1, 1), ijk_to_lps=place))
    return found


def _names(segments):
    return [segment.GetName() for _id, segment in segments.values()]


def _folded(*lists):
    """Lists of names, without case if no two different names of a list become the same by that."""
    folded = [[name.casefold() for name in names] for names in lists]
    same = all(len(set(new)) == len(set(names)) for new, names in zip(folded, lists, strict=True))
    return folded if same else lists


def _withoutPartner(movingNode, segments, fixedNode, otherSegments, pairs):
    """Said where both have such: a label that is drawn on one image alone is nobody's mistake."""
    own = _names({value: each for value, each in segments.items() if value not in pairs})
    other = _names({value: each for value, each in otherSegments.items() if value not in pairs.values()})
    if not own or not other:
        return []
    text = _(
        "No Dice of {own} of '{moving}' and {other} of '{fixed}': only segments of the same name are "
        "compared."
    )
    names = {"moving": movingNode.GetName(), "fixed": fixedNode.GetName()}
    return [text.format(own=", ".join(own), other=", ".join(other), **names)]
