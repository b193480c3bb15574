"""MRML nodes <-> Image: places, parent transforms, labels, grid transforms; SimpleITK is the reference."""

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from hetreg.image import Image
from HetRegUncertaintyLib import sampledata, volumes

FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def obliqueImage(shape=(3, 8, 10), spacing=(1.3, 0.9, 6.0), seed=0):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    place = np.eye(4)
    place[:3, :3] = rotation * spacing
    place[:3, 3] = (12.0, -30.0, 45.0)
    array = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return Image(array, place, "oblique")


def addTransform(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


def test_imageKeepsVoxelsAndPlace():
    image = obliqueImage()
    back = volumes.imageFromNode(sampledata.addVolume(image, "v"))
    np.testing.assert_array_equal(back.array, image.array)
    np.testing.assert_allclose(back.ijk_to_lps, image.ijk_to_lps, atol=1e-9)
    assert back.array.base is None or back.array.flags.owndata


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_everyVoxelType(dtype):
    image = obliqueImage()
    node = sampledata.addVolume(Image((image.array * 20).astype(dtype), image.ijk_to_lps, "v"), "v")
    back = volumes.imageFromNode(node)
    assert back.array.dtype == dtype


def test_placeAgreesWithTheFileThatSimpleITKReads(tmp_path):
    image = obliqueImage()
    path = tmp_path / "v.nrrd"
    sitk.WriteImage(image.to_sitk(), str(path))
    node = slicer.util.loadVolume(str(path))
    np.testing.assert_allclose(volumes.imageFromNode(node).ijk_to_lps, image.ijk_to_lps, atol=1e-6)


def test_linearParentIsApplied():
    image = obliqueImage()
    node = sampledata.addVolume(image, "v")
    move = np.eye(4)
    move[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    move[:3, 3] = (5, 6, 7)
    node.SetAndObserveTransformNodeID(addTransform(move).GetID())
    expected = FLIP @ move @ FLIP @ image.ijk_to_lps
    np.testing.assert_allclose(volumes.imageFromNode(node).ijk_to_lps, expected, atol=1e-9)


def test_nonlinearParentIsRefused():
    """By the name of the non-linear one. A result must not be hardened: it deforms again."""
    image = obliqueImage()
    node, parent = sampledata.addVolume(image, "v"), addTransform(np.eye(4))
    warp, result = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", n) for n in ("warp", "result"))
    for bent in (warp, result):
        bent.SetAndObserveTransformFromParent(volumes.gridTransform(np.ones((*image.array.shape, 3)), image))
    node.SetAndObserveTransformNodeID(parent.GetID())
    parent.SetAndObserveTransformNodeID(warp.GetID())
    with pytest.raises(ValueError, match="under the non-linear transform 'warp': harden"):
        volumes.imageFromNode(node)
    result.SetAttribute(volumes.ROLE, "transform")
    warp.SetAndObserveTransformNodeID(result.GetID())
    with pytest.raises(
        ValueError, match="'result', which is the result of a registration: remove it from that"
    ):
        volumes.imageFromNode(node)


def test_shearIsRefused():
    node = sampledata.addVolume(obliqueImage(), "v")
    shear = np.eye(4)
    shear[0, 1] = 0.5
    node.SetAndObserveTransformNodeID(addTransform(shear).GetID())
    with pytest.raises(ValueError, match="perpendicular"):
        volumes.imageFromNode(node)


def test_colourImageIsRefused():
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    data = vtk.vtkImageData()
    data.SetDimensions(4, 4, 1)
    data.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 3)
    node.SetAndObserveImageData(data)
    with pytest.raises(ValueError, match="3 values per voxel"):
        volumes.imageFromNode(node)


def test_emptyAndMissingVolumesAreRefused():
    with pytest.raises(ValueError, match="no voxels"):
        volumes.imageFromNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
    with pytest.raises(ValueError, match="missing"):
        volumes.imageFromNode(None)


def smoothField(image):
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.array.shape), indexing="ij")
    return np.stack([2 * np.sin(2 * j), 1.5 * np.cos(3 * i), 0.5 * k], axis=-1)


@pytest.mark.parametrize("shape", [(3, 8, 10), (1, 12, 12)])
def test_gridTransformIsTheFieldBeforeAndAfterSaving(tmp_path, shape):
    image = obliqueImage(shape)
    field = smoothField(image)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "t")
    node.SetAndObserveTransformFromParent(volumes.gridTransform(field, image))
    slicer.util.saveNode(node, str(tmp_path / "t.h5"))
    loaded = slicer.util.loadTransform(str(tmp_path / "t.h5"))
    reference = sitk.ReadTransform(str(tmp_path / "t.h5"))
    for index in [(0, 0, 0), (4, 3, 0), (7, 6, shape[0] - 1)]:
        lps = (image.ijk_to_lps @ [*index, 1.0])[:3]
        expected = lps + field[index[::-1]]
        for transform in (node, loaded):
            moved = transform.GetTransformFromParent().TransformPoint(*(FLIP[:3, :3] @ lps))
            np.testing.assert_allclose(FLIP[:3, :3] @ moved, expected, atol=1e-6)
        np.testing.assert_allclose(reference.TransformPoint(lps.tolist()), expected, atol=1e-6)


def test_betweenVoxelsTheTransformIsTheSameAfterSaving(tmp_path):
    image = obliqueImage((4, 12, 12))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "t")
    node.SetAndObserveTransformFromParent(volumes.gridTransform(smoothField(image), image))
    slicer.util.saveNode(node, str(tmp_path / "t.h5"))
    loaded = slicer.util.loadTransform(str(tmp_path / "t.h5"))
    for index in np.random.default_rng(1).uniform([0, 0, 0], [11, 11, 3], (20, 3)):
        ras = (FLIP @ image.ijk_to_lps @ [*index, 1.0])[:3]
        before, after = (t.GetTransformFromParent().TransformPoint(*ras) for t in (node, loaded))
        np.testing.assert_allclose(before, after, atol=1e-9)


def test_aGridTransformTakesNoCopyOfTheFieldBesideItsOwn():
    image = obliqueImage((16, 32, 32))
    field = np.ones((*image.array.shape, 3))
    tracemalloc.start()  # does not see what VTK has
    try:
        volumes.gridTransform(field, image)
        assert tracemalloc.get_traced_memory()[1] < 0.5 * field.nbytes
    finally:
        tracemalloc.stop()
