"""Tables of what can be chosen by name. Torch-free: menus and command-line flags are filled from here.

Adding a network or a dataset is one file, one line here and one test. A loss also needs a method that uses it
(a line in `methods.METHODS`), a metric an evaluation that computes it (`evaluation`). A program can add lines
of its own to the tables before it makes a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .methods import METHODS as METHODS
from .methods import Method as Method
from .methods import method_options as method_options


@dataclass(frozen=True)
class Entry:
    """target: "module:Name", the module in full or, with a dot before it, below `hetreg`; label: for menus;
    help: one sentence."""

    target: str
    label: str
    help: str


@dataclass(frozen=True)
class Metric:
    """A number of an evaluation; its name begins the column's. label: for tables; help: one sentence; better:
    "high", "low", or "" for neither; section: of the report."""

    label: str
    help: str
    better: str
    section: str


NETWORKS: dict[str, Entry] = {
    "voxelmorph": Entry(".networks.unet:UNet", "VoxelMorph", "Convolutional U-Net, fast and small."),
    "transmorph": Entry(
        ".networks.transmorph:TransMorph", "TransMorph", "Swin transformer, large and slow; needs MONAI."
    ),
    "pyramid": Entry(
        ".networks.pyramid:Pyramid", "Pyramid", "Coarse to fine: features warped and compared at each scale."
    ),
}

LOSSES: dict[str, Entry] = {
    "mse": Entry(".losses.mse:MSE", "MSE", "Mean squared difference of fixed and moved."),
    "snr_weighted": Entry(
        ".losses.snr_weighted:SNRWeightedMSE",
        "SNR-weighted MSE",
        "Squared difference weighted by the relative signal-to-noise ratio (paper, eq. 4).",
    ),
    "smoothness": Entry(".losses.smoothness:Smoothness", "Smoothness", "Mean squared gradient of the field."),
    "nll": Entry(".losses.nll:GaussianNLL", "NLL", "Gaussian negative log-likelihood (paper, eq. 3)."),
    "beta_nll": Entry(
        ".losses.nll:BetaNLL", "beta-NLL", "NLL times the detached variance^beta (paper, eq. 5)."
    ),
    "ncc": Entry(".losses.ncc:NCC", "NCC", "Minus the squared local cross-correlation."),
    "mutual_information": Entry(
        ".losses.mutual_information:MutualInformation", "Mutual information", "Minus the mutual information."
    ),
    "velocity_smoothness": Entry(
        ".losses.smoothness:VelocitySmoothness",
        "Velocity smoothness",
        "Mean squared gradient of the mean velocity.",
    ),
    "adareg": Entry(".losses.adareg:AdaReg", "AdaReg", "Smoothness that yields where the residual is large."),
    "adaframe_smoothness": Entry(
        ".losses.adaframe:AdaFrameSmoothness",
        "AdaFrame smoothness",
        "Smoothness that grows where the residual is large.",
    ),
    "displacement_prior": Entry(
        ".losses.displacement_prior:DisplacementPrior",
        "Displacement prior",
        "Prior of the displacement's variance, least at one voxel.",
    ),
    "displacement_error": Entry(
        ".losses.supervised:DisplacementError", "End-point error", "Distance to the known displacement."
    ),
    "label_overlap": Entry(
        ".losses.supervised:LabelOverlap", "Label overlap", "1 - Dice of the warped labels."
    ),
    "displacement_nll": Entry(
        ".losses.supervised:DisplacementNLL",
        "Displacement NLL",
        "Likelihood of the displacement's error under its predicted variance.",
    ),
    "voxelmorph_kl": Entry(
        ".losses.displacement_prior:VoxelMorphKL", "VoxelMorph-diff KL", "KL divergence to a smooth prior."
    ),
}

WEIGHTS: dict[str, Entry] = {
    "snr": Entry(".losses.weights:snr", "SNR", "Relative signal-to-noise ratio."),
    "constant": Entry(".losses.weights:constant", "Constant", "The mean of the SNR weight."),
    "oracle": Entry(".losses.weights:oracle", "Oracle", "SNR weight from the true noise variance."),
    "shuffled": Entry(".losses.weights:shuffled", "Shuffled", "SNR weight in random order."),
    "adaframe": Entry(".losses.weights:adaframe", "AdaFrame", "Small where the residual is large."),
}

DATASETS: dict[str, Entry] = {
    "phantom": Entry(
        ".datasets.simulated:PhantomDataset", "Phantom", "Simulated pairs with known truth, made on the fly."
    ),
    "acdc": Entry(".datasets.acdc:ACDCDataset", "ACDC", "Cine MRI in folders patientNNN with Info.cfg."),
    "camus": Entry(".datasets.camus:CAMUSDataset", "CAMUS", "Echocardiograms in folders patientNNNN."),
    "pairs": Entry(
        ".datasets.pairs:PairsDataset", "Folder of pairs", "<case>_ED / <case>_ES images, or a CSV manifest."
    ),
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
    "hd95_mm": _metric(_LABELS, "HD95 (mm)", "95th percentile of the distances of the surfaces"),
    "hd95_px": _metric(_LABELS, "HD95 (px)", "95th percentile of the distances of the surfaces"),
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

WEIGHT_MODES: dict[str, str] = {
    "robust": "Per image, standardised by median and interquartile range (default)",
    "precision": "By the inverse noise alone, without the signal",
    "paper": "As printed in the paper (eq. 4)",
    "released": "As in the paper's released code (min-max over the batch)",
}


def phantom_ndim(kind: str) -> int:
    """2 or 3: the dimension of a phantom kind."""
    return 3 if kind == "echo3d" else 2


def resolve(table: dict[str, Entry], name: str) -> Any:
    """The object behind a name of one of the tables.

    Raises ValueError if the name is not in the table.
    """
    if name not in table:
        raise ValueError(f"Unknown name '{name}': accepted are {', '.join(sorted(table))}.")
    module, attribute = table[name].target.split(":")
    return getattr(import_module(module, __package__), attribute)
