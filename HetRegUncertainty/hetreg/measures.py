"""The numbers of an evaluation by name: their columns, and what they are. Torch-free."""

from __future__ import annotations

from .registry import METRICS
from .tables import Column

OTHERS = {  # numbers of an evaluation that are no metrics: their label, and what they are
    "displacement_mean_mm": ("Mean displacement (mm)", "Mean length of the displacement, over the image."),
    "displacement_max_mm": (
        "Largest displacement (mm)",
        "Largest length of the displacement, over the image.",
    ),
    "displacement_sd_mm": (
        "Displacement SD (mm)",
        "Mean of the predicted standard deviation of the displacement in the myocardium.",
    ),
    "displacement_coverage68": (
        "Displacement, coverage 68 %",
        "Percentage of the true displacement errors that the 68 % interval holds, in the myocardium.",
    ),
    "displacement_coverage95": (
        "Displacement, coverage 95 %",
        "Percentage of the true displacement errors that the 95 % interval holds, in the myocardium.",
    ),
    "displacement_spearman": (
        "Displacement, Spearman of SD and error",
        "Rank correlation of the predicted SD of the displacement with its true error, in the myocardium.",
    ),
    "noise_sd_median": (
        "Median noise SD",
        "Median of the predicted noise SD in the mask, intensities in [0, 1].",
    ),
    "slices": ("Slices", "Slices that were measured."),
    "slices_left_out": ("Slices left out", "Slices with the structure in one of the images alone."),
    "slices_lost": ("Slices lost", "Slices whose structure was moved out of the image: no distance."),
    "seconds": ("Time (s)", "Time of the registration, without reading the files."),
    "peak_memory_mb": ("Memory (MB)", "Most memory of the process, or of the GPU, during the registration."),
}
_PHRASES = {"true_variance": "true variance", "truth": "simulated noise", "expected": "all such noise"}


def metric_column(name: str) -> Column:
    """The column of a number of an evaluation: `hd_mm_2_before` is METRICS' "hd_mm" and the rest in words."""
    stem, words = split_name(name)
    rest = "_".join(words)
    for key, phrase in _PHRASES.items():
        rest = rest.replace(key, phrase)
    parts = [f"label {part}" if part.isdigit() else part for part in rest.split("_") if part]
    if stem in METRICS:
        return Column(", ".join([METRICS[stem].label, *parts]), None, METRICS[stem].better)
    return Column(", ".join([OTHERS[stem][0], *parts]) if stem else " ".join(words))


def split_name(name: str) -> tuple[str, list[str]]:
    """The name in METRICS or OTHERS that it begins with, "" if none, and the words after that."""
    known = (stem for stem in (*METRICS, *OTHERS) if f"{name}_".startswith(f"{stem}_"))
    stem = max(known, key=len, default="")
    return stem, [word for word in name[len(stem) :].split("_") if word]
