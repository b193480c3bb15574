"""MRML nodes <-> hetreg `Image`. The only place where RAS, LPS and array order meet MRML.

Slicer works in RAS mm and stores (K, J, I) arrays; the core works in LPS mm on the same array order.
Everything leaves this file in world coordinates: linear parent transforms are applied here.
"""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

from hetreg.image import Image

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def imageFromNode(node):
    """The `Image` of a scalar volume node, its voxels copied, in world coordinates.

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
                "'{name}' has {count} values per voxel (a color or vector image): one is accepted. "
                "Convert it with the module Vector to Scalar Volume."
            ).format(name=name, count=components)
        )
    return Image(slicer.util.arrayFromVolume(node).copy(), RAS_TO_LPS @ _ijkToWorld(node), name)


def imagesFromNodes(fixedNode, movingNode, movingSegmentation=None, fixedSegmentation=None):
    """The image arguments of `register_pair` from nodes, and the names and colours of the moving labels.

    Raises ValueError with one sentence if the nodes cannot be registered.
    """
    images = {"fixed": imageFromNode(fixedNode), "moving": imageFromNode(movingNode)}
    if fixedNode is movingNode:
        raise ValueError(_("Fixed and moving are the same volume '{name}'.").format(name=fixedNode.GetName()))
    missing = missingSegmentation(movingSegmentation, fixedSegmentation)
    if missing:
        raise ValueError(missing)
    if movingSegmentation is None:
        return images, {}
    images["moving_seg"], names = labelsFromNode(movingSegmentation, images["moving"])
    if fixedSegmentation is not None:
        images["fixed_seg"] = matchingLabels(fixedSegmentation, images["fixed"], names)
    return images, names


def missingSegmentation(moving, fixed):
    """One sentence if the fixed segmentation is given alone, otherwise ""."""
    if fixed is None or moving is not None:
        return ""
    return _("The fixed segmentation '{name}' is given without a moving one: the Dice needs both.").format(
        name=fixed.GetName()
    )


def labelsFromNode(node, reference):
    """Labels of a segmentation or label map node on the grid of `reference`, with their names and colours.

    Returns (Image of int16, {label value: (name, (red, green, blue))}). Where segments overlap, one wins.
    """
    if node.IsA("vtkMRMLSegmentationNode"):
        labels, names = _mergedSegments(node, reference), _segmentNames(node)
    else:
        labels = _resampledLabels(imageFromNode(node), reference)
        names = _labelNames(node, labels)
    if not labels.array.any():
        raise ValueError(
            _("'{name}' has no label inside '{image}'.").format(name=node.GetName(), image=reference.name)
        )
    return labels, names


def matchingLabels(node, reference, names):
    """Label map of another segmentation with the values of `names`: segments are matched by their names.

    Raises ValueError if no name occurs in both.
    """
    labels, ownNames = labelsFromNode(node, reference)
    values = {name: value for value, (name, _color) in names.items()}
    array = np.zeros_like(labels.array)
    for value, (name, _color) in ownNames.items():
        array[labels.array == value] = values.get(name, 0)
    if not array.any():
        raise ValueError(
            _("'{name}' has the segments {given}: at least one of {expected} is needed to compare.").format(
                name=node.GetName(),
                given=", ".join(name for name, _color in ownNames.values()),
                expected=", ".join(values),
            )
        )
    return labels.like(array, labels.name)


def imageDataFromArray(array):
    """vtkImageData (origin 0, spacing 1) with a copy of a (K, J, I) array."""
    data = vtk.vtkImageData()
    data.SetDimensions(array.shape[2], array.shape[1], array.shape[0])
    values = np.ascontiguousarray(array).ravel()
    data.GetPointData().SetScalars(numpy_support.numpy_to_vtk(values, deep=True))
    return data


def ijkToRasMatrix(image):
    """vtkMatrix4x4 that places an `Image` in RAS."""
    return slicer.util.vtkMatrixFromArray(RAS_TO_LPS @ image.ijk_to_lps)


def gridTransform(displacementLps, image):
    """vtkOrientedGridTransform of a displacement (K, J, I, 3) in LPS mm on the grid of `image`.

    Cubic, because Slicer makes every grid transform that it reads from a file cubic: so it is the same before
    and after saving, and at the grid's own points it equals the linear one.
    """
    ras = np.ascontiguousarray(displacementLps * np.array([-1.0, -1.0, 1.0]), dtype=np.float64)
    place = RAS_TO_LPS @ image.ijk_to_lps
    data = vtk.vtkImageData()
    data.SetDimensions(*image.size_ijk)
    data.SetOrigin(*place[:3, 3])
    data.SetSpacing(*image.spacing_mm)
    data.GetPointData().SetScalars(numpy_support.numpy_to_vtk(ras.reshape(-1, 3), deep=True))
    direction = np.eye(4)
    direction[:3, :3] = place[:3, :3] / image.spacing_mm
    grid = slicer.vtkOrientedGridTransform()
    grid.SetGridDirectionMatrix(slicer.util.vtkMatrixFromArray(direction))
    grid.SetDisplacementGridData(data)
    grid.SetInterpolationModeToCubic()
    return grid


def segmentationFromLabels(labels, names):
    """vtkSegmentation with one binary label map per label of `names` that occurs in the `Image` labels."""
    segmentation = slicer.vtkSegmentation()
    representation = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    segmentation.SetSourceRepresentationName(representation)
    for value, (name, color) in names.items():
        oriented = _oriented((labels.array == value).astype(np.uint8), labels)
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.SetColor(*color)
        segment.AddRepresentation(representation, oriented)
        segmentation.AddSegment(segment)
    return segmentation


def _ijkToWorld(node):
    """(4, 4) IJK to world RAS of a volume. Raises ValueError if not linear with perpendicular axes."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    world = _parentToWorld(node) @ slicer.util.arrayFromVTKMatrix(matrix)
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


def _parentToWorld(node):
    """(4, 4) of the parent transform, identity if there is none. Raises ValueError if it is not linear."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise ValueError(
            _(
                "'{name}' lies under the non-linear transform '{transform}': harden that transform first."
            ).format(name=node.GetName(), transform=parent.GetName())
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _oriented(array, image, toLocal=None):
    """vtkOrientedImageData of an array on the grid of `image`; toLocal: (4, 4) from world to its frame."""
    place = (np.eye(4) if toLocal is None else toLocal) @ RAS_TO_LPS @ image.ijk_to_lps
    oriented = slicer.vtkOrientedImageData()
    oriented.ShallowCopy(imageDataFromArray(array))
    oriented.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(place))
    return oriented


def _segmentNames(node):
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(i) for i in range(segmentation.GetNumberOfSegments())]
    return {i + 1: (segment.GetName(), tuple(segment.GetColor())) for i, segment in enumerate(segments)}


def _mergedSegments(node, reference):
    """All segments as labels 1, 2, ... in the order of the segmentation."""
    count = node.GetSegmentation().GetNumberOfSegments()
    if count == 0:
        raise ValueError(_("The segmentation '{name}' is empty.").format(name=node.GetName()))
    ids, values = vtk.vtkStringArray(), vtk.vtkIntArray()
    for i in range(count):
        ids.InsertNextValue(node.GetSegmentation().GetNthSegmentID(i))
        values.InsertNextValue(i + 1)
    grid = _oriented(
        np.zeros(reference.array.shape, np.int16), reference, np.linalg.inv(_parentToWorld(node))
    )
    merged = slicer.vtkOrientedImageData()
    extent = slicer.vtkSegmentation.EXTENT_REFERENCE_GEOMETRY
    if not node.GenerateMergedLabelmapForAllSegments(merged, extent, grid, ids, values):
        raise ValueError(
            _("The segmentation '{name}' could not be read as labels.").format(name=node.GetName())
        )
    array = numpy_support.vtk_to_numpy(merged.GetPointData().GetScalars()).reshape(reference.array.shape)
    return Image(array.astype(np.int16), reference.ijk_to_lps, node.GetName())


def _labelNames(node, labels):
    """Names and colours of a label map node's labels, from its colour table where that has them."""
    display = node.GetDisplayNode()
    colors = display.GetColorNode() if display else None
    names = {}
    for value in np.unique(labels.array[labels.array != 0]).tolist():
        rgba = [0.8, 0.6, 0.2, 1.0]
        known = colors is not None and colors.GetColor(value, rgba)
        name = colors.GetColorName(value) if known else None
        names[value] = (name or _("Label {value}").format(value=value), tuple(rgba[:3]))
    return names


def _resampledLabels(labels, reference):
    """A label `Image` on another grid, nearest neighbour."""
    import SimpleITK as sitk

    source = Image(labels.array.astype(np.int16), labels.ijk_to_lps, labels.name)
    moved = sitk.Resample(source.to_sitk(), reference.to_sitk(), sitk.Transform(), sitk.sitkNearestNeighbor)
    return Image(sitk.GetArrayFromImage(moved), reference.ijk_to_lps, labels.name)
