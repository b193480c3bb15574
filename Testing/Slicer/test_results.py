"""Result nodes: the transform applied by Slicer makes the moved image, on real data and after loading too."""

from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk

from hetreg.config import RegisterConfig
from hetreg.image import Image
from HetRegUncertaintyLib import resultnames, results, sampledata, summary, volumes

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture
def pig(panel):
    """(fixed, moving): three slices of the oblique pig cine, in floating point."""
    folder = DATA / "pig_cine"
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}")
    return tuple(threeSlices(folder / f"pig_gip17_{phase}.nii.gz") for phase in ("ES", "ED"))


def threeSlices(path, first=7):
    whole = volumes.imageFromNode(slicer.util.loadVolume(str(path)))
    place = whole.ijk_to_lps.copy()
    place[:3, 3] += first * place[:3, 2]
    return sampledata.addVolume(
        Image(whole.array[first : first + 3].astype(np.float32), place, path.name), path.name
    )


def appliedBySlicer(transform, moving, fixed):
    """Voxels of the moving volume under the transform, resampled to the fixed volume by Slicer."""
    moving.SetAndObserveTransformNodeID(transform.GetID())
    logic = slicer.modules.volumes.logic()
    resampled = logic.ResampleVolumeToReferenceVolume(moving, fixed)
    moving.SetAndObserveTransformNodeID(None)
    return slicer.util.arrayFromVolume(resampled).astype(np.float64)


def test_transformReproducesMovedOnObliqueData(panel, pig, tmp_path):
    fixed, moving = pig
    nodes = panel.logic.register(fixed, moving, config=RegisterConfig(device="cpu"))
    moved = slicer.util.arrayFromVolume(nodes["moved"]).copy()
    tolerance = 1e-4 * np.ptp(slicer.util.arrayFromVolume(moving))
    np.testing.assert_allclose(appliedBySlicer(nodes["transform"], moving, fixed), moved, atol=tolerance)
    slicer.util.saveNode(nodes["transform"], str(tmp_path / "t.h5"))
    loaded = slicer.util.loadTransform(str(tmp_path / "t.h5"))
    np.testing.assert_allclose(appliedBySlicer(loaded, moving, fixed), moved, atol=tolerance)


def test_inverseTakesPointsBack(panel, smallPair):
    nodes = panel.logic.register(*smallPair)
    forward, inverse = (nodes[role].GetTransformFromParent() for role in ("transform", "inverse_transform"))
    matrix = vtk.vtkMatrix4x4()
    smallPair[0].GetIJKToRASMatrix(matrix)
    for index in [(20, 30, 0), (32, 32, 1), (40, 25, 0)]:
        start = np.array(matrix.MultiplyPoint((*index, 1.0))[:3])
        there = inverse.TransformPoint(*start)
        np.testing.assert_allclose(forward.TransformPoint(*there), start, atol=0.3)


def test_logicWithoutPanelAddsTheNodes(panel, smallPair):
    reports = []
    from hetreg.progress import Progress

    nodes = panel.logic.register(*smallPair, progress=Progress(lambda *report: reports.append(report)))
    assert set(nodes) == set(results.OUTPUTS) - {"moved_segmentation"}
    assert reports[-1][0] == 1.0


def test_outputsMayNotBeInputs(panel, smallPair):
    with pytest.raises(ValueError, match="chosen twice"):
        panel.logic.register(*smallPair, outputs={"moved": smallPair[0]})
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "out")
    with pytest.raises(ValueError, match="chosen twice"):
        panel.logic.register(*smallPair, outputs={"moved": node, "residual": node})
    with pytest.raises(ValueError, match="cannot hold"):
        panel.logic.register(*smallPair, outputs={"transform": node})


@pytest.mark.parametrize("role", ["transform", "inverse_transform"])
@pytest.mark.parametrize("which", [0, 1])
def test_aTransformAboveAnInputIsNoOutput(panel, smallPair, which, role):
    """With the result in it, it would deform the image itself."""
    outer, inner = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", name) for name in "ab")
    inner.SetAndObserveTransformNodeID(outer.GetID())
    smallPair[which].SetAndObserveTransformNodeID(inner.GetID())
    for transform in (outer, inner):
        with pytest.raises(ValueError, match=f"'{transform.GetName()}' .*an input lies under it"):
            panel.logic.register(*smallPair, outputs={role: transform})
        assert transform.IsLinear()


def test_chosenOutputIsFilled(panel, smallPair):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    nodes = panel.logic.register(*smallPair, outputs={"noise_sd": node})
    assert nodes["noise_sd"] is node
    assert node.GetName() == "mine"
    assert slicer.util.arrayFromVolume(node).shape == slicer.util.arrayFromVolume(smallPair[0]).shape


def test_aFailureAtTheEndTakesAllBack(panel, smallPair, monkeypatch):
    nodes = panel.logic.register(*smallPair)
    parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "parent")
    for role in ("moved", "transform", "inverse_transform"):
        nodes[role].SetAndObserveTransformNodeID(parent.GetID())
    before = [written(node) for node in nodes.values()]
    connect = results._connect

    def failing(*arguments):
        connect(*arguments)
        raise RuntimeError("at the end")

    monkeypatch.setattr(results, "_connect", failing)
    with pytest.raises(RuntimeError, match="at the end"):
        panel.logic.register(smallPair[1], smallPair[0], outputs=nodes)
    assert [written(node) for node in nodes.values()] == before


def written(node):
    """What a scene file keeps of a node: its references, its attributes and its data."""
    roles, names = [], vtk.vtkStringArray()
    node.GetNodeReferenceRoles(roles)
    references = {role: node.GetNodeReferenceID(role) for role in roles}
    node.GetAttributeNames(names)
    data = {"vtkMRMLTransformNode": "GetTransformFromParent", "vtkMRMLTableNode": "GetTable"}
    content = getattr(node, data.get(node.GetClassName(), "GetImageData"))()
    found = [names.GetValue(i) for i in range(names.GetNumberOfValues())]
    return {r: i for r, i in references.items() if i}, {n: node.GetAttribute(n) for n in found}, content


def test_rerunWithoutSegmentationForgetsTheOldOne(panel):
    panel.ui.sampleButton.click()
    p = panel.logic.getParameterNode()
    panel.ui.registerButton.click()
    assert "moved_segmentation" in results.outputsOf(p.transform)
    p.movingSegmentation = p.fixedSegmentation = None
    panel.ui.registerButton.click()
    assert "moved_segmentation" not in results.outputsOf(p.transform)


def test_numbersTableIsText(panel, smallPair):
    nodes = panel.logic.register(*smallPair)
    table = nodes["numbers"].GetTable()
    titles = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert titles == ["Measure", "Before", "After", "Unit"]
    assert table.GetNumberOfRows() == len(summary.rows(*results.summaryOf(nodes["transform"])))


def test_inputUnderALinearTransform(panel, smallPair):
    """A shift of both inputs by the same transform shifts the outputs, and nothing else."""
    first = panel.logic.register(*smallPair, config=RegisterConfig(device="cpu"))
    before = slicer.util.arrayFromVolume(first["moved"]).copy()
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "shift")
    matrix = np.eye(4)
    matrix[:3, 3] = (10.0, 20.0, -5.0)
    shift.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    origin = np.array(first["moved"].GetOrigin())
    for node in smallPair:
        node.SetAndObserveTransformNodeID(shift.GetID())
    second = panel.logic.register(*smallPair, config=RegisterConfig(device="cpu"))
    np.testing.assert_allclose(np.array(second["moved"].GetOrigin()) - origin, (10.0, 20.0, -5.0), atol=1e-6)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(second["moved"]), before, atol=1e-4)


def test_undoIsNotDisturbed(panel, smallPair):
    scene = slicer.mrmlScene
    scene.SetUndoOn()
    try:
        nodes = panel.logic.register(*smallPair)
        before = slicer.util.arrayFromVolume(nodes["moved"]).copy()
        kept = nodes["moved"].GetImageData()
        panel.logic.register(smallPair[1], smallPair[0], outputs=nodes)
        assert nodes["moved"].GetImageData() is not kept
        from vtk.util.numpy_support import vtk_to_numpy

        former = vtk_to_numpy(kept.GetPointData().GetScalars()).reshape(before.shape)
        np.testing.assert_array_equal(former, before)
    finally:
        scene.ClearUndoStack()
        scene.SetUndoOff()


def test_outputsOfOneRunEndAlike(panel, smallPair):
    """The pair, the pair exchanged, and the pair again: each run by its number, the inverse by its word."""
    pair = [node.GetName() for node in smallPair]
    runs = []
    for fixed, moving in (pair, pair[::-1], pair):
        names = resultnames.free(results.OUTPUTS, fixed, moving)
        for role, className in results.OUTPUTS.items():
            slicer.mrmlScene.AddNewNodeByClass(className, names[role])
        runs.append(names)
    assert runs[0]["transform"] == "ED to ES"
    assert runs[1]["transform"] == "ES to ED"
    assert runs[0]["inverse_transform"] == "ES to ED (inverse)"
    assert {name.rpartition("_")[2] for name in runs[2].values()} == {"1"}
    assert len({name for names in runs for name in names.values()}) == 3 * len(results.OUTPUTS)


@pytest.mark.parametrize(
    ("fixed", "moving", "expected"),
    [
        ("a name of thirty characters ES", "ED", "a name of thirty characters ES"),
        (
            "14_CINE_SSFP_retro_stack frame 12",
            "14_CINE_SSFP_retro_stack frame 2",
            "14_CINE_S...tro_stack frame 12",
        ),
        ("ES of 14_CINE_SSFP_retro_iPAT2_stack", "ED of 14_CINE", "ES of 14_..._retro_iPAT2_stack"),
        (
            "14: CINE_SSFP_retro_iPAT2_stack ES - Frame 11 (resampled, N4 corrected)",
            "14: CINE_SSFP_retro_iPAT2_stack ED - Frame 0 (resampled, N4 corrected)",
            "14: CINE_...ES - Frame 11...",
        ),
    ],
)
def test_aLongNameIsShortenedToItsBeginningAndToWhatTellsItApart(fixed, moving, expected):
    names = resultnames.free(results.OUTPUTS, fixed, moving)
    assert names["noise_sd"] == f"{expected} noise SD"
    assert len(set(names.values())) == len(results.OUTPUTS)


def test_namesOfThePairThatAreShortenedAlikeStayApart():
    names = []
    for number in (1, 2):
        names.append(
            resultnames.free(["noise_sd"], f"a{' long' * 10} {number}{' name' * 10}", "b")["noise_sd"]
        )
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", names[-1])
    assert names[1] == f"{names[0]}_1"


def test_oneOutputThatIsThereNumbersTheWholeRun(panel, smallPair):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "ES numbers")
    nodes = panel.logic.register(*smallPair)
    assert {node.GetName().rpartition("_")[2] for node in nodes.values()} == {"1"}
