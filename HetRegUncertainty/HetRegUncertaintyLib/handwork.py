"""Whether a moved segmentation was corrected by hand since it was filled in: then it is not overwritten."""

import hashlib

import numpy as np
from vtk.util import numpy_support

from . import labels

FILLED = "HetReg.Filled"  # attribute: fingerprint of what was filled in


def remember(node, undo):
    """Note what a segmentation node holds now. undo(function, *arguments) records the step back."""
    undo(node.SetAttribute, FILLED, node.GetAttribute(FILLED))
    node.SetAttribute(FILLED, _fingerprint(node.GetSegmentation()))


def isIn(node):
    """True if the voxels of its segments, or which segments there are, have changed since `remember`."""
    filled = node.GetAttribute(FILLED)
    return filled is not None and filled != _fingerprint(node.GetSegmentation())


def _fingerprint(segmentation):
    """The same after saving and loading, for which segments may be moved into one array."""
    digest = hashlib.sha256()
    for i in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(i)
        digest.update(segmentation.GetNthSegmentID(i).encode())
        image = segment.GetRepresentation(labels.BINARY)
        if image is not None and image.GetNumberOfPoints():
            digest.update(_shape(image, segment.GetLabelValue()))
    return digest.hexdigest()


def _shape(image, value):
    """Bytes for the voxels with this value, cut to the box around them."""
    array = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    mask = array.reshape(image.GetDimensions()[::-1]) == value
    if not mask.any():
        return b""
    ends = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = np.ascontiguousarray(mask[tuple(slice(found[0], found[-1] + 1) for found in ends)])
    return repr(box.shape).encode() + np.packbits(box).tobytes()
