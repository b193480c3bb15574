"""Simulated pairs, made on the spot: for the Sample Data module, the panel's example and the tests."""

import os

import slicer
from slicer.i18n import tr as _

from . import labels, volumes

SEED = 1
NAMES = {1: _("RV cavity"), 2: _("LV myocardium"), 3: _("LV cavity"), 4: _("Left atrium")}
# No colours of the deformation's grid, which is drawn over them.
COLORS = {1: (0.35, 0.6, 0.95), 2: (0.2, 0.85, 0.75), 3: (0.9, 0.5, 0.95), 4: (0.9, 0.9, 0.9)}
SAMPLES = {"Cardiac MRI phantom (ED, ES)": ("mri2d", 6), "Echo phantom (ED, ES)": ("echo2d", 1)}
THUMBNAILS = ("HetRegPhantomMRI.png", "HetRegPhantomEcho.png")
MRI, ECHO = SAMPLES


def register(iconFolder):
    """Add the samples to Slicer's Sample Data module: for a click there, a script calls `load`.

    There is nothing to download, so that `SampleData.downloadSample`, which asks no custom downloader, fails.
    """
    import SampleData

    logic = SampleData.SampleDataLogic
    if hasattr(logic, "registerCustomSampleDataCategory"):  # since Slicer 5.12
        logic.registerCustomSampleDataCategory("HetReg", title=_("Cardiac registration"))
    for name, thumbnail in zip(SAMPLES, THUMBNAILS, strict=True):
        logic.registerCustomSampleDataSource(
            category="HetReg",
            sampleName=name,
            uris="",
            fileNames=name,
            nodeNames=name,
            customDownloader=download,
            thumbnailFileName=os.path.join(iconFolder, thumbnail),
        )


def download(source):
    """Called by the Sample Data module after a click on one of its sources."""
    show(load(source.sampleName))


def show(nodes):
    """The fixed volume in every slice view, if there are views."""
    if slicer.app.layoutManager() is not None:
        slicer.util.setSliceViewerLayers(background=nodes["fixed"], fit=True, rotateToVolumePlane=True)


def load(name=MRI, seed=SEED):
    """Make a pair and add it to the scene.

    Returns {"fixed", "moving": volumes, "fixed_segmentation", "moving_segmentation": segmentations}.
    """
    from hetreg.datasets.phantom import make_pair

    kind, slices = SAMPLES[name]
    pair = make_pair(kind, seed, slices=slices, with_truth=False)
    nodes = {
        "fixed": addVolume(pair.fixed, _("Phantom ES")),
        "moving": addVolume(pair.moving, _("Phantom ED")),
    }
    nodes["fixed_segmentation"] = addLabels(pair.fixed_label, _("Phantom ES labels"), nodes["fixed"])
    nodes["moving_segmentation"] = addLabels(pair.moving_label, _("Phantom ED labels"), nodes["moving"])
    return nodes


def addVolume(image, name):
    """New volume node with the voxels and the place of an `Image`."""
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLScalarVolumeNode", slicer.mrmlScene.GenerateUniqueName(name)
    )
    node.SetIJKToRASMatrix(volumes.ijkToRasMatrix(image))
    node.SetAndObserveImageData(volumes.imageDataFromArray(image.array))
    node.CreateDefaultDisplayNodes()
    return node


def addLabels(image, name, volume):
    """New segmentation node of a phantom's label `Image`, drawn on this volume node, hidden."""
    present = sorted(set(image.array.ravel().tolist()) - {0})
    segments = {value: labels.newSegment(value, NAMES[value], COLORS[value]) for value in present}
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(name)
    )
    node.SetAndObserveSegmentation(labels.segmentationFromLabels([image], segments))
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(False)
    return node
