#!/usr/bin/env python3
"""Pairs of a real four-chamber echocardiogram, for `accuracy.py --pairs`.

    pip install pydicom-data     # public DICOM files; it is data_store/data/color3d_jpeg_baseline.dcm
    python Testing/benchmarks/real_echo.py color3d_jpeg_baseline.dcm FOLDER [--size 128]

The sequence of one person has 120 frames at 30 per second (SonoSite, 480 x 640). Two end-diastoles and two
end-systoles, four pairs; 2 is the LV wall and 3 its cavity, traced by eye by the authors of HetReg, no
cardiologists, before a tool was run on them. The mitral plane closes both.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib.path import Path as Outline

TOP, BOTTOM, LEFT, RIGHT = 40, 410, 80, 590  # of the sector on the screen
PIXEL_MM = 0.52  # 19 cm of depth on the screen's scale
PAIRS = ((21, 33), (75, 87), (21, 87), (75, 33))  # end-diastole, end-systole
# (x, y) in pixels of the cropped frame, from the septal to the lateral end of the mitral plane
CAVITY = {
    21: "243,232 239,218 237,205 235,180 233,160 231,140 232,120 237,100 250,86 268,81 290,82 310,95 323,115 "
    "331,140 332,160 333,190 335,210 332,229",
    33: "250,208 247,195 248,180 250,160 250,140 249,120 251,105 258,95 272,91 290,90 305,97 312,112 318,135 "
    "323,155 326,180 326,207",
    75: "247,234 240,215 235,200 234,180 231,160 229,140 228,120 232,104 244,92 268,87 290,90 306,100 "
    "318,120 326,140 330,160 332,180 332,200 327,226",
    87: "232,208 230,195 231,180 236,165 240,150 240,135 236,120 240,108 252,100 268,97 284,100 296,112 "
    "302,130 305,150 306,170 306,190 305,208",
}
HEART = {
    21: "222,232 220,215 212,190 208,160 208,140 208,120 213,100 230,70 268,62 310,66 322,78 340,100 352,130 "
    "357,160 356,190 352,215 350,229",
    33: "228,208 224,190 220,165 220,140 222,120 228,95 245,72 275,66 310,72 335,90 350,115 358,140 360,165 "
    "358,190 354,207",
    75: "224,234 216,215 211,200 210,180 209,160 208,140 207,120 210,100 225,78 268,68 305,75 330,98 345,120 "
    "352,140 354,160 354,180 353,200 350,226",
    87: "212,208 210,190 208,170 208,150 210,130 214,110 226,90 245,78 268,74 295,80 318,95 330,115 336,140 "
    "338,165 338,190 336,208",
}


def inside(corners: str, shape: tuple[int, int]) -> np.ndarray:
    """Mask (rows, columns) of what an outline encloses."""
    outline = Outline([[float(n) for n in corner.split(",")] for corner in corners.split()])
    rows, columns = np.indices(shape)
    return outline.contains_points(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(shape)


def labels(frame: int, shape: tuple[int, int]) -> np.ndarray:
    """The traced frame: uint8, 2 wall, 3 cavity."""
    cavity = inside(CAVITY[frame], shape)
    return np.where(cavity, 3, np.where(inside(HEART[frame], shape), 2, 0)).astype(np.uint8)


def image(array: np.ndarray, size: int) -> sitk.Image:
    """One slice of PIXEL_MM, or resampled to size x size pixels; labels (uint8) keep their values."""
    flat = sitk.GetImageFromArray(array)
    flat.SetSpacing((PIXEL_MM, PIXEL_MM))
    if size:
        step = [n * PIXEL_MM / size for n in flat.GetSize()]
        if array.dtype != np.uint8:
            flat = sitk.SmoothingRecursiveGaussian(flat, [s / 2.5 for s in step])
        start = [0.5 * (s - PIXEL_MM) for s in step]
        how = sitk.sitkNearestNeighbor if array.dtype == np.uint8 else sitk.sitkLinear
        flat = sitk.Resample(flat, [size, size], sitk.Transform(), how, start, step)
    return sitk.JoinSeries(sitk.Cast(flat, sitk.sitkUInt8))


def main() -> int:
    """Write the pairs."""
    asking = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    asking.add_argument("file", type=Path)
    asking.add_argument("folder", type=Path)
    asking.add_argument("--size", type=int, default=0, help="pixels a side, as the paper has them: 128")
    asked = asking.parse_args()
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(asked.file)))
    if frames.shape != (120, 480, 640, 3):
        asking.error(f"{asked.file} is {frames.shape}: 120 colour frames of 480 x 640 are accepted.")
    grey = frames.mean(axis=-1, dtype=np.float32)[:, TOP:BOTTOM, LEFT:RIGHT]
    asked.folder.mkdir(parents=True, exist_ok=True)
    for pair in PAIRS:
        for phase, frame in zip(("ED", "ES"), pair, strict=True):
            name = asked.folder / f"frames-{pair[0]}-{pair[1]}_{phase}"
            sitk.WriteImage(image(grey[frame], asked.size), f"{name}.nii.gz")
            sitk.WriteImage(image(labels(frame, grey[frame].shape), asked.size), f"{name}_seg.nii.gz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
