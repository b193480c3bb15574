"""Tables of what can be chosen by name. Torch-free: menus and command-line flags are filled from here.

Adding a loss, a network, a dataset or a metric is one file, one line here and one test.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Entry:
    """target: "module:Name" below `hetreg`; label: for menus; help: one sentence."""

    target: str
    label: str
    help: str


NETWORKS: dict[str, Entry] = {
    "voxelmorph": Entry("networks.unet:UNet", "VoxelMorph", "Convolutional U-Net, fast and small."),
}

LOSSES: dict[str, Entry] = {
    "mse": Entry("losses.mse:MSE", "MSE", "Mean squared difference of fixed and moved."),
    "snr_weighted": Entry(
        "losses.snr_weighted:SNRWeightedMSE",
        "SNR-weighted MSE",
        "Squared difference weighted by the relative signal-to-noise ratio (paper, eq. 4).",
    ),
    "smoothness": Entry("losses.smoothness:Smoothness", "Smoothness", "Mean squared gradient of the field."),
    "nll": Entry("losses.nll:GaussianNLL", "NLL", "Gaussian negative log-likelihood (paper, eq. 3)."),
    "beta_nll": Entry(
        "losses.nll:BetaNLL", "beta-NLL", "NLL times the detached variance^beta (paper, eq. 5)."
    ),
}

DATASETS: dict[str, Entry] = {
    "phantom": Entry(
        "datasets.simulated:PhantomDataset", "Phantom", "Simulated pairs with known truth, made on the fly."
    ),
    "pairs": Entry(
        "datasets.pairs:PairsDataset", "Folder of pairs", "<case>_ED / <case>_ES images in one folder."
    ),
}

METRICS: dict[str, Entry] = {
    "dice": Entry("metrics.overlap:dice", "Dice", "Overlap of two masks, 0 to 1."),
    "folding": Entry(
        "metrics.deformation:folding_percent", "Folding", "Percentage of voxels with det J <= 0."
    ),
    "similarity": Entry("metrics.deformation:similarity", "Similarity", "MSE and correlation of two images."),
}

PHANTOMS: dict[str, str] = {
    "mri2d": "Short-axis cine MRI, 2D",
    "echo2d": "Apical echocardiogram, 2D",
    "echo2d_sax": "Short-axis echocardiogram, 2D",
    "echo3d": "Echocardiogram, 3D",
}

WEIGHT_MODES: dict[str, str] = {
    "robust": "Per image, standardised by median and interquartile range (default)",
    "paper": "As printed in the paper (eq. 4)",
    "released": "As in the paper's released code (min-max over the batch)",
}


def resolve(table: dict[str, Entry], name: str) -> Any:
    """The object behind a name of one of the tables.

    Raises ValueError if the name is not in the table.
    """
    if name not in table:
        raise ValueError(f"Unknown name '{name}': accepted are {', '.join(sorted(table))}.")
    module, attribute = table[name].target.split(":")
    return getattr(import_module(f".{module}", __package__), attribute)
