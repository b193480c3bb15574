"""The panel's parameter node and its choices: saved by name, shown by label, known to the core by `value`."""

import os
from enum import Enum
from typing import Annotated, Union

from slicer import (
    vtkMRMLLabelMapVolumeNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLTableNode,
    vtkMRMLTransformNode,
)
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from hetreg.config import RegisterConfig

LABELS = Union[vtkMRMLSegmentationNode, vtkMRMLLabelMapVolumeNode, None]  # noqa: UP007  (the wrapper knows no X | Y)


class Dimension(Enum):
    """How the network sees the images."""

    AUTO = "auto"
    SLICES = "2d"
    VOLUME = "3d"

    def label(self):
        """Text in the menu."""
        return {"auto": _("Automatic"), "2d": _("Slice by slice (2D)"), "3d": _("As a volume (3D)")}[
            self.value
        ]


class Device(Enum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self):
        """Text in the menu."""
        names = {
            "auto": _("Automatic"),
            "cpu": _("CPU"),
            "cuda": _("NVIDIA GPU (CUDA)"),
            "mps": _("Apple GPU (MPS)"),
        }
        return names[self.value]


class WeightMode(Enum):
    """Form of the signal-to-noise weight."""

    ROBUST = "robust"
    PRECISION = "precision"
    PAPER = "paper"
    RELEASED = "released"

    def label(self):
        """Text in the menu."""
        names = {
            "robust": _("Robust, per image"),
            "precision": _("Inverse noise, without the signal"),
            "paper": _("As in the paper"),
            "released": _("As released"),
        }
        return names[self.value]


class Overlay(Enum):
    """Map shown in colour; the value is the role of the output."""

    NONE = ""
    NOISE_SD = "noise_sd"
    NOISE_VARIANCE = "noise_variance"
    SNR_WEIGHT = "snr_weight"
    DISPLACEMENT = "displacement_mm"
    DISPLACEMENT_SD = "displacement_sd_mm"
    LOG_JACOBIAN = "log_jacobian"
    RESIDUAL = "residual"

    def label(self):
        """Text in the menu."""
        names = {
            "": _("None"),
            "noise_sd": _("Noise SD"),
            "noise_variance": _("Noise variance"),
            "snr_weight": _("SNR weight"),
            "displacement_mm": _("Displacement magnitude"),
            "displacement_sd_mm": _("Displacement SD"),
            "log_jacobian": _("Log-Jacobian"),
            "residual": _("Residual (fixed - moved)"),
        }
        return names[self.value]


class Deformation(Enum):
    """How the displacement is drawn."""

    NONE = "none"
    GRID = "grid"
    GLYPHS = "glyphs"
    CONTOURS = "contours"

    def label(self):
        """Text in the menu."""
        names = {"none": _("None"), "grid": _("Grid"), "glyphs": _("Arrows"), "contours": _("Contours")}
        return names[self.value]


@parameterNodeWrapper
class HetRegUncertaintyParameterNode:
    """Everything that the panel remembers; saved with the scene."""

    fixedVolume: vtkMRMLScalarVolumeNode
    movingVolume: vtkMRMLScalarVolumeNode
    movingSegmentation: LABELS
    fixedSegmentation: LABELS
    everyFrame: bool = False
    model: str = "auto"
    dimension: Dimension = Dimension.AUTO
    device: Device = Device.AUTO
    refine: bool = False
    refineIterations: Annotated[int, WithinRange(1, 1000)] = 30
    weightMode: WeightMode = WeightMode.ROBUST
    gamma: Annotated[float, WithinRange(0.0, 2.0)] = 0.5

    moved: vtkMRMLScalarVolumeNode
    transform: vtkMRMLTransformNode
    inverseTransform: vtkMRMLTransformNode
    noiseSd: vtkMRMLScalarVolumeNode
    noiseVariance: vtkMRMLScalarVolumeNode
    snrWeight: vtkMRMLScalarVolumeNode
    displacementMm: vtkMRMLScalarVolumeNode
    displacementSdMm: vtkMRMLScalarVolumeNode
    logJacobian: vtkMRMLScalarVolumeNode
    residual: vtkMRMLScalarVolumeNode
    movedSegmentation: vtkMRMLSegmentationNode
    numbers: vtkMRMLTableNode

    overlay: Overlay = Overlay.NOISE_SD
    overlayOpacity: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
    legend: bool = True
    fade: Annotated[float, WithinRange(0.0, 1.0)] = 1.0
    deformation: Deformation = Deformation.NONE
    deformationIn3D: bool = False
    gridSpacing: Annotated[float, WithinRange(0.5, 50.0)] = 8.0
    linkedLayout: bool = True
    formerLayout: int = -1


def outputParameter(role):
    """Name of the parameter that holds the output with this role: noise_sd -> noiseSd."""
    first, *rest = role.split("_")
    return first + "".join(word.capitalize() for word in rest)


def choices(parameters):
    """All that Register takes from a parameter node, to see whether it has changed since."""
    p = parameters
    inputs = (p.fixedVolume, p.movingVolume, p.movingSegmentation, p.fixedSegmentation)
    model = (p.everyFrame, p.model, p.dimension, p.device)
    options = (*model, p.refine, p.refineIterations, p.weightMode, p.gamma)
    return (*(node and node.GetID() for node in inputs), *options)


def registerConfig(parameters):
    """The core's configuration from a parameter node."""
    return RegisterConfig(
        model=os.path.expanduser(parameters.model),
        dimension=parameters.dimension.value,
        device=parameters.device.value,
        refine=parameters.refineIterations if parameters.refine else 0,
        weight_mode=parameters.weightMode.value,
        gamma=parameters.gamma,
    )
