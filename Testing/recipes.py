"""How each shipped model is made: networks, grid, the stages of its training, and what its card says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetreg.config import GridConfig, NetworkConfig, TrainConfig
from hetreg.refine import ANCHOR, KERNEL_SIGMA_VOX, LEARNING_RATE


@dataclass(frozen=True)
class Recipe:
    """How one shipped model is made, and what its card says. stages: (name, configuration), in order. anchor,
    rate, kernels_vox: of the refinement, weight of the network's answer, size and smoothing of the steps.
    views: how many turned copies of a pair are averaged without refinement."""

    label: str
    description: str
    data: str
    network: NetworkConfig
    grid: GridConfig
    stages: tuple[tuple[str, TrainConfig], ...]
    note: str = ""
    anchor: float = ANCHOR
    rate: float = LEARNING_RATE
    kernels_vox: tuple[float, ...] = (KERNEL_SIGMA_VOX,)
    views: int = 1


FLAT = NetworkConfig(
    architecture="pyramid",
    encoder=(16, 24, 32, 48),
    decoder=(48, 40, 32, 32),
    tail=(32,),
    output_stride=2,
    integration_steps=6,
    sigma_z=True,
    spread="displacement",
    variance_encoder=(16, 24, 32, 48),
    variance_decoder=(48, 32, 24, 16),
    variance_tail=(16,),
    variance_residual=True,
)
DEEP = replace(
    FLAT,
    ndim=3,
    encoder=(12, 24, 32, 32),
    decoder=(32, 32, 24, 16),
    tail=(16,),
    variance_encoder=(8, 16, 24, 32),
    variance_decoder=(32, 24, 16, 8),
    variance_tail=(8,),
)
SQUARE = GridConfig(isotropic=True, changed_only=True)
# Displacement alone, from what the phantom knows; then the real pairs; then the variance alone.
MOTION = TrainConfig(
    method="supervised",
    variance_residual=True,
    learning_rate=1e-3,
    clip=1.0,
    beta=0.0,
    warmup=10**6,
    validate_every=250,
    cache=True,
)
NOISE = replace(MOTION, warmup=0, variance_warmup=10**6, steps=2000, phantoms=1000)
MRI = replace(MOTION, kind="mri2d", extra_noise=0.04)
ECHO = replace(MOTION, kind="echo2d+echo2d_sax", extra_noise=0.05)
BOTH = replace(ECHO, kind=f"{ECHO.kind}+echo2d_scatterers+echo2d_sax_scatterers", amp=True)
WIDER = {"amp": True, "wide_augment": True, "stretch": 0.5}
SHAPES = replace(BOTH, phantoms=2400, extra_noise=0.08, **WIDER)
SOLID = replace(MOTION, kind="echo3d", extra_noise=0.05, batch=1, crop=48, phantoms=120, validate_every=100)
LIGHT = replace(SOLID, amp=True, label_overlap=0.0)
SOLID_NOISE = replace(SOLID, warmup=0, variance_warmup=10**6)
FINE = {"crop": 64, "phantoms": 300, "seed": 2}
WIDE = FINE | {"seed": 3}
LONG = FINE | {"phantoms": 1000, "seed": 4}
LONGER = FINE | {"phantoms": 800, "seed": 5}
REAL = {"dataset": "phantom+pairs", "real_share": 0.5, "phantoms": 600}
SCANNERS = replace(MOTION, kind="mri2d", amp=True, wide_augment=True, **REAL | {"phantoms": 2400})

SCANNERS_NOISE = replace(SCANNERS, warmup=0, variance_warmup=10**6, real_share=0.1)
# The last stages: where the true variance is not known, the residual that is to be explained is not shown.
# Before, the network had learnt from these pairs to repeat what it saw.
AGAIN = {"seed": 7, "validate_every": 500, "blind_spots": 0.2}

SHORTENED = "the first 1500 steps of stage phantom ran with the learning rates of 4000 (echo: 5000) steps."

RECIPES = {
    "cine-mri-2d": Recipe(
        "Cine MRI, 2D (short axis)",
        "Short-axis cine MRI, slice by slice, in-plane pixels of about 0.9 to 2.2 mm.",
        "Sunnybrook Cardiac Data, ED and ES with LV contours (CC0), and simulated short-axis MRI",
        FLAT,
        replace(SQUARE, min_spacing_mm=0.9, max_spacing_mm=2.2, bright_limit=3.0, margin_vox=16),
        (
            ("phantom", replace(MRI, steps=3600, phantoms=2000)),
            ("real", replace(MRI, steps=600, learning_rate=5e-4, validate_every=100, **REAL)),
            (
                "noise",
                replace(NOISE, kind="mri2d", **REAL | {"real_share": 0.1, "phantoms": 1000}),
            ),
            ("scanners", replace(SCANNERS, steps=4800, learning_rate=7e-4, seed=5, extra_noise=0.08)),
            ("noise-scanners", replace(SCANNERS_NOISE, steps=1200, seed=6)),
            ("noise-again", replace(SCANNERS_NOISE, steps=8000, **AGAIN)),
        ),
        "Stage scanners began with the 16-bit weights of the model as it was shipped before; the limit of "
        "the brightest and the margin of its grid came before that stage. Grid: square pixels of 0.9 to 2.2 "
        "mm, 16 repeated pixels beyond the image, no intensity above three times the 90th percentile.",
        anchor=3.0,
    ),
    "echo-2d": Recipe(
        "Echocardiography, 2D",
        "2D echocardiograms, apical or short axis; images are resampled to 128 to 160 pixels.",
        "Simulated apical and short-axis echocardiograms, by two simulators; no real echo",
        FLAT,
        replace(SQUARE, min_size=128, max_size=160, spare_margins=True),
        (
            ("phantom", replace(ECHO, steps=3200, phantoms=1600)),
            ("motion-2", replace(ECHO, steps=1500, phantoms=800, learning_rate=5e-4, seed=2)),
            ("noise", replace(NOISE, kind=ECHO.kind)),
            ("wide", replace(ECHO, steps=2400, phantoms=2400, learning_rate=7e-4, seed=3)),
            ("noise-wide", replace(NOISE, kind=ECHO.kind, steps=1200, seed=3)),
            ("scatterers", replace(BOTH, steps=2400, phantoms=2400, learning_rate=7e-4, seed=5)),
            ("noise-scatterers", replace(NOISE, kind=ECHO.kind, steps=1200, seed=6, amp=True)),
            ("shapes", replace(SHAPES, steps=3600, learning_rate=7e-4, seed=5, validate_every=300)),
            ("noise-shapes", replace(NOISE, kind=ECHO.kind, steps=1200, seed=6, **WIDER)),
            ("noise-again", replace(NOISE, kind=ECHO.kind, steps=7000, **WIDER | AGAIN | {"phantoms": 2000})),
        ),
        f"{SHORTENED} Stages scatterers and shapes began with the 16-bit weights of the model before them.",
        anchor=4.0,
        views=8,
    ),
    "echo-3d": Recipe(
        "Echocardiography, 3D",
        "3D echocardiograms; volumes are resampled to 64 voxels. Simulated data only.",
        "Simulated 3D echocardiograms; no real echo",
        DEEP,
        replace(SQUARE, min_size=64, max_size=64, spare_margins=True, depth_axis=1, taper_vox=4),
        (
            ("phantom", replace(SOLID, steps=1500)),
            ("noise", replace(SOLID_NOISE, steps=600)),
            ("noise-64", replace(SOLID_NOISE, steps=600, crop=64)),
            ("motion-64", replace(SOLID, steps=2600, validate_every=200, **FINE)),
            ("noise-64-2", replace(SOLID_NOISE, steps=500, validate_every=250, **FINE)),
            ("wide", replace(SOLID, steps=1000, validate_every=200, learning_rate=7e-4, **WIDE)),
            ("noise-wide", replace(SOLID_NOISE, steps=300, validate_every=100, **WIDE)),
            ("long", replace(LIGHT, steps=5000, validate_every=1000, **LONG)),
            ("noise-long", replace(SOLID_NOISE, steps=400, validate_every=400, amp=True, **LONG)),
            (
                "longer",
                replace(LIGHT, steps=5000, validate_every=1000, learning_rate=7e-4, **LONGER),
            ),
            ("noise-longer", replace(SOLID_NOISE, steps=400, validate_every=400, amp=True, **LONGER)),
            ("noise-again", replace(SOLID_NOISE, steps=2000, amp=True, **LONGER | AGAIN | {"phantoms": 400})),
        ),
        "stage phantom ran without the residual for the variance network, which began anew in stage noise.",
        anchor=3.0,
        rate=0.2,
        kernels_vox=(4.0, 1.5),
        views=4,
    ),
    "paper-cine-mri-2d": Recipe(
        "Cine MRI, 2D: the paper's method",
        "VoxelMorph and the printed weight of the paper, trained briefly: for comparison with cine-mri-2d.",
        "Sunnybrook Cardiac Data, end-diastole and end-systole (CC0), and simulated short-axis MRI",
        NetworkConfig(),
        GridConfig(min_spacing_mm=0.9, max_spacing_mm=2.2),
        (("paper", TrainConfig(weight_mode="paper", learning_rate=2e-3, steps=1500, **REAL)),),
        "unlike in the paper, lambda is the coefficient of the mean of the squared gradients, 0.0025 of eq. "
        "4's sum; Adam's rate is 0.002 (paper: 0.0001), and the training is short (paper: 300 epochs).",
    ),
}
