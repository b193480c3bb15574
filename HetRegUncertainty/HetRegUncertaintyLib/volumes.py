"""MRML nodes <-> hetreg `Image`. The only place where RAS, LPS and array order meet MRML.

Slicer works in RAS mm and stores (K, J, I) arrays; the core works in LPS mm on the same array order.
Everything leaves this file in world coordinates: linear parent transforms are applied here. Segmentations
and label maps are in labels.py, on top of this.
"""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
ROLE = "HetReg.Role"  # attribute of the nodes of a result


def imageFromNode(node, placedLike=None):
    """The `Image` of a scalar volume node, its voxels copied, in world coordinates.

    placedLike: the node whose parent transform counts, of a node that is not in the scene.

    Raises ValueError with one sentence if it is no scalar volume with voxels and a linear place in space.
    """
    if node is None:
        raise ValueError(_("A volume is missing: choose a fixed and a moving volume."))
    name = node.GetName()
    if not node.IsA("vtkMRMLScalarVolumeNode"):
        raise ValueError(
            _("'{name}' is not a scalar volume but a {kind}.").format(name=name, kind=node.GetClassName())
        )
    data = node.GetImageData()
    if data is None or data.GetNumberOfPoints() == 0 or data.GetPointData().GetScalars() is None:
        raise ValueError(_("'{name}' has no voxels.").format(name=name))
    components = data.GetNumberOfScalarComponents()
    if components != 1:
        raise ValueError(
            _(
                "'{name}' has {count} values per voxel (a color or vector image): one is accepted, so "
                "convert it with the module Vector to Scalar Volume."
            ).format(name=name, count=components)
        )
    from hetreg.image import Image  # loads SimpleITK, a second

    return Image(
        slicer.util.arrayFromVolume(node).copy(), RAS_TO_LPS @ _ijkToWorld(node, placedLike or node), name
    )


def imagesFromNodes(fixedNode, movingNode):
    """The two images of `register_pair`. Raises ValueError with one sentence if they cannot be registered."""
    images = {"fixed": imageFromNode(fixedNode), "moving": imageFromNode(movingNode)}
    if fixedNode is movingNode:
        raise ValueError(_("Fixed and moving are the same volume '{name}'.").format(name=fixedNode.GetName()))
    return images


def imageDataFromArray(array):
    """vtkImageData (origin 0, spacing 1) with a copy of a (K, J, I) array."""
    data = vtk.vtkImageData()
    data.SetDimensions(array.shape[2], array.shape[1], array.shape[0])
    values = np.ascontiguousarray(array).ravel()
    data.GetPointData().SetScalars(numpy_support.numpy_to_vtk(values, deep=True))
    return data


def ijkToRas(node):
    """(4, 4) of a volume node, without its parent transform."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijkToRasMatrix(image):
    """vtkMatrix4x4 that places an `Image` in RAS."""
    return slicer.util.vtkMatrixFromArray(RAS_TO_LPS @ image.ijk_to_lps)


def gridTransform(displacementLps, image):
    """vtkOrientedGridTransform of a displacement (K, J, I, 3) in LPS mm on the grid of `image`.

    Cubic, because Slicer makes every grid transform that it reads from a file cubic: so it is the same before
    and after saving, and at the grid's own points it equals the linear one.
    """
    place = RAS_TO_LPS @ image.ijk_to_lps
    data = vtk.vtkImageData()
    data.SetDimensions(*image.size_ijk)
    data.SetOrigin(*place[:3, 3])
    data.SetSpacing(*image.spacing_mm)
    data.AllocateScalars(vtk.VTK_DOUBLE, 3)
    ras = numpy_support.vtk_to_numpy(data.GetPointData().GetScalars())
    np.multiply(displacementLps.reshape(-1, 3), [-1.0, -1.0, 1.0], out=ras)
    direction = np.eye(4)
    direction[:3, :3] = place[:3, :3] / image.spacing_mm
    grid = slicer.vtkOrientedGridTransform()
    grid.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(direction))
    grid.SetDisplacementGridData(data)
    grid.SetInterpolationModeToCubic()
    return grid


def orientedImage(array, image, toLocal=None):
    """vtkOrientedImageData of an array on the grid of `image`; toLocal: (4, 4) from world to its frame."""
    place = (np.eye(4) if toLocal is None else toLocal) @ RAS_TO_LPS @ image.ijk_to_lps
    oriented = slicer.vtkOrientedImageData()
    oriented.ShallowCopy(imageDataFromArray(array))
    oriented.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(place))
    return oriented


def parentToWorld(node):
    """(4, 4) of the parent transform, identity if there is none. Raises ValueError if it is not linear."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise ValueError(_notLinear(node.GetName(), parent))
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def withParents(nodes):
    """The nodes, each maybe None, and all transforms that they lie under."""
    for node in nodes:
        while node is not None:
            yield node
            node = node.GetParentTransformNode()


def leaveParent(node, undo):
    """Put a node directly into the world. undo(function, *arguments) records the step back."""
    undo(node.SetAndObserveTransformNodeID, node.GetTransformNodeID())
    node.SetAndObserveTransformNodeID(None)


def remove(node):
    """Remove a node from the scene, with its display."""
    for i in reversed(range(node.GetNumberOfDisplayNodes())):
        slicer.mrmlScene.RemoveNode(node.GetNthDisplayNode(i))
    slicer.mrmlScene.RemoveNode(node)


def _notLinear(name, transform):
    """One sentence on the transform that is to blame; hardening a result would deform twice."""
    bent = []
    while transform is not None:
        if not transform.IsLinear():
            bent.append(transform)
        transform = transform.GetParentTransformNode()
    result = next((each for each in bent if each.GetAttribute(ROLE)), None)
    if result is not None:
        text = _(
            "'{name}' lies under '{transform}', which is the result of a registration: remove it from that "
            "transform in the module Transforms."
        )
    else:
        text = _("'{name}' lies under the non-linear transform '{transform}': harden that transform first.")
    return text.format(name=name, transform=(result or bent[0]).GetName())


def _ijkToWorld(node, placed):
    """(4, 4) IJK to world RAS of a volume under the parent of `placed`.

    Raises ValueError if not linear with perpendicular axes.
    """
    world = parentToWorld(placed) @ ijkToRas(node)
    spacing = np.linalg.norm(world[:3, :3], axis=0)
    if not np.isfinite(world).all() or not spacing.all():
        raise ValueError(
            _("'{name}' has no valid place in space: check its spacing.").format(name=node.GetName())
        )
    direction = world[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
        raise ValueError(
            _(
                "The axes of '{name}' are not perpendicular: harden its transform and resample it first."
            ).format(name=node.GetName())
        )
    return world
