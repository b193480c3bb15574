"""Tables of what can be chosen by name. Torch-free: menus and command-line flags are filled from here.

Adding a network or a dataset is one file, one line here and one test. A loss also needs a method that uses it
(a line in `methods.METHODS`), a metric an evaluation that computes it (`evaluation`). A program can add lines
of its own to the tables before it makes a configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .methods import METHODS as METHODS
from .methods import Method as Method
from .methods import method_options as method_options


@dataclass(frozen=True)
class Entry:
    """What has a name for people. target: "module:Name", the module in full or, with a dot before it, below
    `hetreg`; label: for menus."""

    target: str
    label: str


@dataclass(frozen=True)
class Metric:
    """A number of an evaluation; its name begins the column's. label: for tables; help: one sentence; better:
    "high", "low", or "" for neither; section: of the report."""

    label: str
    help: str
    better: str
    section: str


NETWORKS: dict[str, Entry] = {
    "voxelmorph": Entry(".networks.unet:UNet", "VoxelMorph"),
    "transmorph": Entry(".networks.transmorph:TransMorph", "TransMorph"),
    "pyramid": Entry(".networks.pyramid:Pyramid", "Pyramid"),
}

LOSSES: dict[str, str] = {
    "mse": ".losses.mse:MSE",
    "snr_weighted": ".losses.snr_weighted:SNRWeightedMSE",
    "smoothness": ".losses.smoothness:Smoothness",
    "nll": ".losses.nll:GaussianNLL",
    "beta_nll": ".losses.nll:BetaNLL",
    "ncc": ".losses.ncc:NCC",
    "mutual_information": ".losses.mutual_information:MutualInformation",
    "velocity_smoothness": ".losses.smoothness:VelocitySmoothness",
    "adareg": ".losses.adareg:AdaReg",
    "adaframe_smoothness": ".losses.adaframe:AdaFrameSmoothness",
    "displacement_prior": ".losses.displacement_prior:DisplacementPrior",
    "displacement_error": ".losses.supervised:DisplacementError",
    "label_overlap": ".losses.supervised:LabelOverlap",
    "displacement_nll": ".losses.supervised:DisplacementNLL",
    "voxelmorph_kl": ".losses.displacement_prior:VoxelMorphKL",
}

WEIGHTS: dict[str, str] = {
    "snr": ".losses.weights:snr",
    "constant": ".losses.weights:constant",
    "oracle": ".losses.weights:oracle",
    "shuffled": ".losses.weights:shuffled",
    "adaframe": ".losses.weights:adaframe",
}

DATASETS: dict[str, Entry] = {
    "phantom": Entry(".datasets.simulated:PhantomDataset", "Phantom"),
    "acdc": Entry(".datasets.acdc:ACDCDataset", "ACDC"),
    "camus": Entry(".datasets.camus:CAMUSDataset", "CAMUS"),
    "pairs": Entry(".datasets.pairs:PairsDataset", "Folder of pairs"),
}

SIZES: dict[str, str] = {
    "paper": "As in the paper",
    "small": "About a quarter of the paper's parameters",
    "tiny": "For tests and quick trials",
}

_BETTER = {"low": "; lower is better.", "high": "; higher is better.", "": "."}


def _metric(section: str, label: str, text: str, better: str = "low") -> Metric:
    return Metric(label, text + _BETTER[better], better, section)


_LABELS, _MOTION, _NOISE = "Labels", "Deformation and images", "Noise variance"
METRICS: dict[str, Metric] = {
    "dice": _metric(_LABELS, "Dice", "Overlap of two masks, 0 to 1", "high"),
    "hd_mm": _metric(_LABELS, "HD (mm)", "Largest distance of the surfaces"),
    "hd_px": _metric(_LABELS, "HD (px)", "Largest distance of the surfaces"),
    "hd95_mm": _metric(
        _LABELS, "HD95 (mm)", "95th percentile of the surfaces' distances, of both ways the larger"
    ),
    "hd95_px": _metric(
        _LABELS, "HD95 (px)", "95th percentile of the surfaces' distances, of both ways the larger"
    ),
    "asd_mm": _metric(_LABELS, "ASD (mm)", "Mean distance of the surfaces, both ways"),
    "asd_px": _metric(_LABELS, "ASD (px)", "Mean distance of the surfaces, both ways"),
    "dice_published": _metric(_LABELS, "Dice, published", "Any warped weight above 0 counts", "high"),
    "hd_published_px": _metric(_LABELS, "HD, published (px)", "Any warped weight above 0 counts, per slice"),
    "asd_published_px": _metric(_LABELS, "ASD, published (px)", "From the true surface only, per slice"),
    "folding_percent": _metric(_MOTION, "Folding (%)", "Voxels with det J <= 0"),
    "sd_log_jacobian": _metric(_MOTION, "SD log J", "Spread of the change of volume"),
    "inverse_consistency_vox": _metric(
        _MOTION, "Inverse consistency (vox)", "Both ways one after the other, in the mask; 0: they agree"
    ),
    "inverse_consistency_mm": _metric(
        _MOTION, "Inverse consistency (mm)", "Both ways one after the other, in the mask; 0: they agree"
    ),
    "epe_vox": _metric(_MOTION, "End-point error (vox)", "Mean distance to the true displacement"),
    "epe_mm": _metric(_MOTION, "End-point error (mm)", "Mean distance to the true displacement"),
    "mse": _metric(_MOTION, "MSE", "Of fixed and moved; no measure of accuracy", ""),
    "ncc": _metric(_MOTION, "NCC", "Of fixed and moved; no measure of accuracy", ""),
    "ause_published": _metric(_NOISE, "AUSE, published", "Whole image, 50 bins, plain"),
    "ause_whole": _metric(_NOISE, "AUSE, whole image", "Exact, in parts of the MSE"),
    "ause_mask": _metric(_NOISE, "AUSE in mask", "Exact, plain"),
    "ause_mask_normalised": _metric(_NOISE, "AUSE in mask, normalised", "Exact, in parts of the MSE"),
    "nll": _metric(_NOISE, "NLL (nats)", "Gaussian likelihood of the residual"),
    "coverage68": _metric(_NOISE, "Coverage 68 %", "Residuals within 0.99 SD; 68 is right", ""),
    "coverage95": _metric(_NOISE, "Coverage 95 %", "Residuals within 1.96 SD; 95 is right", ""),
    "ence": _metric(_NOISE, "ENCE", "Relative error of the promised SD, mean over bins"),
    "divergence": _metric(_NOISE, "Divergence (nats)", "Kullback-Leibler, from the true variance"),
    "spearman": _metric(
        _NOISE,
        "Spearman",
        "Rank correlation of the found variance and another",
        "high",
    ),
}

PHANTOMS: dict[str, str] = {
    "mri2d": "Short-axis cine MRI, 2D",
    "echo2d": "Apical echocardiogram, 2D",
    "echo2d_sax": "Short-axis echocardiogram, 2D",
    "echo3d": "Echocardiogram, 3D",
    "echo2d_scatterers": "Apical echocardiogram of point scatterers, 2D",
    "echo2d_sax_scatterers": "Short-axis echocardiogram of point scatterers, 2D",
}
SCATTERERS = "_scatterers"  # the hearts of the kind before it by another simulator; its noise is not known

WEIGHT_MODES = ("robust", "precision", "paper", "released")


def phantom_ndim(kind: str) -> int:
    """2 or 3: the dimension of a phantom kind."""
    return 3 if kind == "echo3d" else 2


def resolve(table: Mapping[str, Entry | str], name: str) -> Any:
    """The object behind a name of one of the tables.

    Raises ValueError if the name is not in the table.
    """
    if name not in table:
        raise ValueError(f"Unknown name '{name}': accepted are {', '.join(sorted(table))}.")
    entry = table[name]
    module, attribute = (entry if isinstance(entry, str) else entry.target).split(":")
    return getattr(import_module(module, __package__), attribute)
