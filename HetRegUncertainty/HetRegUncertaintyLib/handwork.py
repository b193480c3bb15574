"""Whether a moved segmentation was corrected by hand since it was filled in: then it is not overwritten."""

import hashlib

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from . import labels

FILLED = "HetReg.Filled"  # attribute: fingerprint of what was filled in
STEP_MM, OFFSET = 0.01, 1 / np.pi  # of places; OFFSET: a round place may come back inexact, but in its step


def remember(node, undo):
    """Note what a segmentation node holds now. undo(function, *arguments) records the step back."""
    undo(node.SetAttribute, FILLED, node.GetAttribute(FILLED))
    node.SetAttribute(FILLED, _fingerprint(node.GetSegmentation()))


def isIn(node):
    """True if its segments' voxels, place, names or IDs, or which there are, have changed since `remember`.

    A transform that it was put under counts when it is hardened.
    """
    filled = node.GetAttribute(FILLED)
    return filled is not None and filled != _fingerprint(node.GetSegmentation())


def _fingerprint(segmentation):
    """The same after saving and loading, for which segments may be moved into one array."""
    digest = hashlib.sha256()
    for i in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(i)
        digest.update(repr((segmentation.GetNthSegmentID(i), segment.GetName())).encode())
        image = segment.GetRepresentation(labels.BINARY)
        if image is not None and image.GetNumberOfPoints():
            digest.update(_shape(image, segment.GetLabelValue()))
    return digest.hexdigest()


def _shape(image, value):
    """Bytes for the voxels with this value, cut to the box around them, and for where that lies."""
    array = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    mask = array.reshape(image.GetDimensions()[::-1]) == value
    if not mask.any():
        return b""
    ends = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = np.ascontiguousarray(mask[tuple(slice(found[0], found[-1] + 1) for found in ends)])
    place = _place(image, [found[0] for found in ends], box.shape)
    return repr(box.shape).encode() + np.packbits(box).tobytes() + place


def _place(image, first, shape):
    """Bytes for the corner and the edges, in steps of STEP_MM, of a box of voxels; both (K, J, I)."""
    matrix, box = vtk.vtkMatrix4x4(), np.diag([*shape[::-1], 1.0])
    image.GetImageToWorldMatrix(matrix)
    box[:3, 3] = np.add(first[::-1], image.GetExtent()[::2])
    mm = slicer.util.arrayFromVTKMatrix(matrix) @ box
    return np.floor(mm / STEP_MM + OFFSET).astype(np.int64).tobytes()
