"""What the user has done to a moved segmentation since it was filled in: one that was corrected by hand is
not overwritten, and colours and terminology are kept."""

import hashlib
import json

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from . import labels, summary

FILLED = "HetReg.Filled"  # attribute: fingerprint of what was filled in
LOOKS = "HetReg.Looks"  # attribute: {a segment's colour or terminology: that of the moving segmentation}
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


def keepLooks(node, segmentation, undo):
    """Give what will be filled in the colours and terminology that the user has changed in the node since
    then; of a segment of another name, which may be another one, nothing."""
    came, own = summary.read(node.GetAttribute(LOOKS)), node.GetSegmentation()
    coming = {}
    for i in range(segmentation.GetNumberOfSegments()):
        segmentID, segment = segmentation.GetNthSegmentID(i), segmentation.GetNthSegment(i)
        user = own.GetSegment(segmentID)
        for what, look, keep in _LOOKS:
            key = f"{what} of {segmentID}"
            coming[key] = look(segment)
            if user is not None and user.GetName() == segment.GetName():
                found = look(user)
                if came.get(key, found) != found:
                    keep(segment, user)
    undo(node.SetAttribute, LOOKS, node.GetAttribute(LOOKS))
    node.SetAttribute(LOOKS, json.dumps(coming))


def _color(segment):
    """As exact as a file has it."""
    return [round(255 * part) for part in segment.GetColor()]


def _terminology(segment):
    found = vtk.mutable("")
    segment.GetTag(segment.GetTerminologyEntryTagName(), found)
    return str(found)


_LOOKS = (
    ("color", _color, lambda segment, user: segment.SetColor(user.GetColor())),
    (
        "terminology",
        _terminology,
        lambda segment, user: segment.SetTag(user.GetTerminologyEntryTagName(), _terminology(user)),
    ),
)


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
