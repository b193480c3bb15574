"""The other echo simulator: it repeats, shows the phantom's hearts, and its tissue moves by the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import accuracy
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from bench import methods, scatterers, summary
from bench.scatterers import Scanner, beams, draw_plane, scatterer_case, scatterer_sources
from hetreg.config import EvaluateConfig
from hetreg.datasets.phantom import make_pair
from hetreg.evaluate import evaluate
from hetreg.evaluation.case import Case

SCANNER = Scanner(0.6, 0.4, 0.015, -30.0, 1, 60.0, 0.0, 1.0, 0.0, -60.0, 0.0, 0.5, ())


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """Fewer scatterers on an image of few pixels: that takes a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scatterers, "PER_MM2", 4.0)
        patch.setattr(scatterer_case, "__defaults__", (128,))
        yield


@pytest.fixture(scope="module")
def case(_few: None) -> Case:
    """An apical heart."""
    return scatterer_case("echo2d", 4)


def test_the_heart_is_the_phantoms_and_the_images_are_not(case: Case) -> None:
    pair = make_pair("echo2d", 4, size=128, with_truth=False)
    seen = case.truth.body.array > 0
    np.testing.assert_array_equal(case.fixed_label.array[seen], pair.fixed_label.array[seen])
    assert not case.fixed_label.array[~seen].any()
    assert not case.fixed.array[~seen].any()
    np.testing.assert_array_equal(case.truth.disp_vox, pair.disp_vox)
    assert case.fixed.array.dtype == np.uint8
    inside = pair.fixed_label.array > 0
    assert abs(np.corrcoef(case.fixed.array[inside], pair.fixed.array[inside])[0, 1]) < 0.9
    again = scatterer_case("echo2d", 4)
    np.testing.assert_array_equal(again.moving.array, case.moving.array)
    assert (scatterer_case("echo2d", 8).fixed.array != case.fixed.array).any()


def test_blood_is_darker_than_muscle_in_both_frames(case: Case) -> None:
    for image, label in ((case.fixed, case.fixed_label), (case.moving, case.moving_label)):
        wall, cavity = (image.array[(label.array == n) & (image.array > 0)].mean() for n in (2, 3))
        assert wall > cavity + 15


def test_the_true_displacement_brings_the_frames_together(case: Case) -> None:
    fixed, moving = case.fixed.array[0].astype(float), case.moving.array[0].astype(float)
    where = np.indices(fixed.shape) + case.truth.disp_vox[1:, 0]
    moved = map_coordinates(moving, where, order=1)
    heart = case.fixed_label.array[0] > 0
    before, after = (np.mean((fixed - m)[heart] ** 2) for m in (moving, moved))
    assert after < 0.7 * before


def test_a_point_echoes_at_its_range_and_angle() -> None:
    pair = make_pair("echo2d", 4, size=64, with_truth=False)
    plane = draw_plane(np.random.default_rng(0), pair)
    place = np.array([[plane.probe[0] + 60.0], [plane.probe[1] + 15.0]])
    signal = np.abs(beams((place, np.ones(1)), plane, SCANNER, 0.6))
    row, column = np.unravel_index(signal.argmax(), signal.shape)
    r, theta = plane.polar(place)
    assert row * scatterers.STEP_MM == pytest.approx(r[0], abs=scatterers.STEP_MM)
    angle = column * scatterers.STEP_RAD - plane.half_angle - scatterers.MARGIN_RAD
    assert angle == pytest.approx(theta[0], abs=scatterers.STEP_RAD)


def test_they_are_scored_as_phantoms_are(tmp_path: Path) -> None:
    asked = accuracy.parser().parse_args(["--scatterers", "echo2d_sax:2", "--output", str(tmp_path)])
    ((name, config, label, sources),) = accuracy.groups(asked)
    assert (name, label, [s.patient[-5:] for s in sources]) == (
        "echo2d_sax, scatterers",
        2,
        ["60000", "60001"],
    )
    found = evaluate(config, register=methods.true_field, sources=sources, pictures=False)
    assert [row["error"] for row in found.rows] == ["", ""]
    assert max(row["epe_vox_myocardium"] for row in found.rows) == 0
    assert summary.calibration("true field", found) is None


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'mri2d': echo2d and echo2d_sax"):
        scatterer_sources("mri2d", 1)
    assert EvaluateConfig().first_seed != scatterers.FIRST_SEED
