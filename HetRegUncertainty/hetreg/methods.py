"""The training methods by name (`registry.METHODS`). Torch-free."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """How a run trains: what its displacement loss is made of (Zhang et al., MICCAI 2024).

    data_loss, regulariser: names in LOSSES; prior: a further term, or "". joint: one loss steps both
    networks; otherwise a displacement step is followed by a variance step. weight: a name in WEIGHTS, or ""
    for none. sigma_z: the displacement network also gives the log-variance of z. extra: further terms, whose
    coefficients are the fields of TrainConfig of the same names; they learn from what is known of a pair (a
    phantom's displacement and noise, labels), and sigma_z is then that of the displacement. options: the
    fields of TrainConfig that this method uses, of those that not every method uses (`method_options`).
    """

    label: str
    help: str
    data_loss: str
    joint: bool = False
    weight: str = ""
    sigma_z: bool = False
    options: tuple[str, ...] = ()
    regulariser: str = "smoothness"
    prior: str = ""
    extra: tuple[str, ...] = ()

    @property
    def kind(self) -> tuple[bool, bool]:
        """What the networks give: a variance of the velocity, of the displacement."""
        return self.sigma_z, bool(self.extra)


_VARIANCE = ("beta", "collaborative_grad", "blind_spots")  # where it has a step of its own
_ANY = ("smoothness", *_VARIANCE)  # with any regulariser
_PLAIN = (*_ANY, "smoothness_on")
_WEIGHT = ("weight_mode", "gamma")
_WEIGHTED = (*_PLAIN, *_WEIGHT)

METHODS: dict[str, Method] = {
    "ours": Method(
        "Ours (SNR-weighted)",
        "Squared difference weighted by the relative signal-to-noise ratio; the variance by beta-NLL.",
        "snr_weighted",
        weight="snr",
        options=_WEIGHTED,
    ),
    "ours_sigma_z": Method(
        "Ours + displacement uncertainty",
        "The SNR-weighted method with a displacement network that also gives its own variance.",
        "snr_weighted",
        weight="snr",
        sigma_z=True,
        options=(*_ANY, *_WEIGHT, "alpha"),
        regulariser="velocity_smoothness",
        prior="displacement_prior",
    ),
    "mse": Method("MSE", "Mean squared difference, every voxel alike.", "mse", options=_PLAIN),
    "ncc": Method("NCC", "Local normalised cross-correlation in 9-wide windows.", "ncc", options=_PLAIN),
    "mi": Method(
        "Mutual information", "Mutual information with 32 Parzen bins.", "mutual_information", options=_PLAIN
    ),
    "nll": Method(
        "NLL",
        "Gaussian likelihood of the residual, both networks at once.",
        "nll",
        True,
        "",
        False,
        ("smoothness", "smoothness_on"),
    ),
    "beta_nll": Method(
        "beta-NLL",
        "NLL times the detached variance^beta, both networks at once.",
        "beta_nll",
        True,
        "",
        False,
        ("smoothness", "smoothness_on", "beta"),
    ),
    "adareg": Method(
        "AdaReg",
        "MSE with a smoothness that yields where the residual is large (Wong and Soatto 2019).",
        "mse",
        options=_ANY,
        regulariser="adareg",
    ),
    "adaframe": Method(
        "AdaFrame (our reading)",
        "Weight and smoothness follow the residual, our reading of Wong et al. 2021. Needs a long warm-up.",
        "snr_weighted",
        weight="adaframe",
        options=_ANY,
        regulariser="adaframe_smoothness",
    ),
    "sigma_z": Method(
        "Displacement uncertainty alone",
        "MSE with a displacement network that also gives its own variance.",
        "mse",
        sigma_z=True,
        options=(*_ANY, "alpha"),
        regulariser="velocity_smoothness",
        prior="displacement_prior",
    ),
    "voxelmorph_diff": Method(
        "VoxelMorph-diff",
        "Probabilistic diffeomorphic VoxelMorph (Dalca 2019): MSE and a KL divergence.",
        "mse",
        sigma_z=True,
        options=_VARIANCE,
        regulariser="voxelmorph_kl",
    ),
    "supervised": Method(
        "Ours + what is known",
        "The SNR-weighted method, and the true displacement, noise and labels of pairs that have them.",
        "snr_weighted",
        weight="snr",
        sigma_z=True,
        options=(*_WEIGHTED, "displacement_error", "label_overlap", "displacement_nll"),
        extra=("displacement_error", "label_overlap", "displacement_nll"),
    ),
    "constant_weight": Method(
        "Control: constant weight",
        "MSE times the mean of the SNR weight of each image.",
        "snr_weighted",
        weight="constant",
        options=_WEIGHTED,
    ),
    "oracle_weight": Method(
        "Control: oracle weight",
        "The SNR weight from the phantom's true noise variance.",
        "snr_weighted",
        weight="oracle",
        options=_WEIGHTED,
    ),
    "shuffled_weight": Method(
        "Control: shuffled weight",
        "The SNR weight with its voxels in random order.",
        "snr_weighted",
        weight="shuffled",
        options=_WEIGHTED,
    ),
}


def method_options() -> tuple[str, ...]:
    """The fields of TrainConfig that some methods use and others do not."""
    return tuple(dict.fromkeys(name for method in METHODS.values() for name in method.options))
