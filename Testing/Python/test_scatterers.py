"""The other echo simulator: it repeats, shows the phantom's hearts, and its tissue moves by the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import accuracy
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from bench import methods, summary
from hetreg.config import GridConfig, TrainConfig
from hetreg.datasets import phantom_scatterers as scatterers
from hetreg.datasets.phantom import PhantomPair, make_pair, pixel_size_mm, save_pair
from hetreg.datasets.phantom_scatterers import Scanner, beams, draw_plane
from hetreg.datasets.simulated import PhantomDataset
from hetreg.evaluate import evaluate
from hetreg.reproduce.config import ReproduceConfig
from hetreg.reproduce.plan import left_out

SCANNER = Scanner(0.6, 0.4, 0.015, -30.0, 1, 60.0, 0.0, 1.0, 0.0, -60.0, 0.0, 0.5, ())


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """Fewer scatterers: that takes a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scatterers, "PER_MM2", 4.0)
        yield


@pytest.fixture(scope="module")
def pair(_few: None) -> PhantomPair:
    """An apical heart."""
    return make_pair("echo2d_scatterers", 4)


def test_the_heart_is_the_phantoms_and_the_images_are_not(pair: PhantomPair) -> None:
    heart = make_pair("echo2d", 4, with_truth=False)
    seen = pair.body.array > 0
    np.testing.assert_array_equal(pair.fixed_label.array[seen], heart.fixed_label.array[seen])
    assert not pair.fixed_label.array[~seen].any()
    assert not pair.fixed.array[~seen].any()
    np.testing.assert_array_equal(pair.disp_vox, heart.disp_vox)
    np.testing.assert_array_equal(pair.fixed.ijk_to_lps, heart.fixed.ijk_to_lps)
    assert pair.fixed.spacing_mm[0] == pytest.approx(pixel_size_mm("echo2d_scatterers", 4))
    inside = heart.fixed_label.array > 0
    assert abs(np.corrcoef(pair.fixed.array[inside], heart.fixed.array[inside])[0, 1]) < 0.9
    again = make_pair("echo2d_scatterers", 4)
    np.testing.assert_array_equal(again.moving.array, pair.moving.array)
    assert (make_pair("echo2d_scatterers", 8).fixed.array != pair.fixed.array).any()


def test_blood_is_darker_than_muscle_in_both_frames(pair: PhantomPair) -> None:
    for image, label in ((pair.fixed, pair.fixed_label), (pair.moving, pair.moving_label)):
        wall, cavity = (image.array[(label.array == n) & (image.array > 0)].mean() for n in (2, 3))
        assert wall > cavity + 15


def test_the_true_displacement_brings_the_frames_together(pair: PhantomPair) -> None:
    fixed, moving = pair.fixed.array[0].astype(float), pair.moving.array[0].astype(float)
    where = np.indices(fixed.shape) + pair.disp_vox[1:, 0]
    moved = map_coordinates(moving, where, order=1)
    heart = pair.fixed_label.array[0] > 0
    before, after = (np.mean((fixed - m)[heart] ** 2) for m in (moving, moved))
    assert after < 0.7 * before


def test_a_point_echoes_at_its_range_and_angle() -> None:
    plane = draw_plane(np.random.default_rng(0), make_pair("echo2d", 4, size=64, with_truth=False))
    place = np.array([[plane.probe[0] + 60.0], [plane.probe[1] + 15.0]])
    signal = np.abs(beams((place, np.ones(1)), plane, SCANNER, 0.6))
    row, column = np.unravel_index(signal.argmax(), signal.shape)
    r, theta = plane.polar(place)
    assert row * scatterers.STEP_MM == pytest.approx(r[0], abs=scatterers.STEP_MM)
    angle = column * scatterers.STEP_RAD - plane.half_angle - scatterers.MARGIN_RAD
    assert angle == pytest.approx(theta[0], abs=scatterers.STEP_RAD)


def test_they_are_scored_as_phantoms_are_but_for_the_noise(tmp_path: Path) -> None:
    asked = accuracy.parser().parse_args(["--phantoms", "echo2d_sax_scatterers:2", "--output", str(tmp_path)])
    ((name, config, label),) = accuracy.groups(asked)
    assert (name, label) == ("echo2d_sax_scatterers", 2)
    found = evaluate(config, register=methods.true_field, pictures=False)
    assert [row["error"] for row in found.rows] == ["", ""]
    assert max(row["epe_vox_myocardium"] for row in found.rows) == 0
    assert summary.calibration("true field", found) is None


def test_they_are_trained_on_beside_others_of_which_the_noise_is_known() -> None:
    kinds = "echo2d_sax_scatterers+echo2d"
    made = PhantomDataset(kinds, 2, size=64, truth=True).samples(GridConfig())
    assert [s.true_variance is None for s in made] == [True, False]
    assert [s.true_disp.shape for s in made] == [(2, 64, 64)] * 2


def test_they_are_saved_without_the_variance(pair: PhantomPair, tmp_path: Path) -> None:
    assert "true_displacement" in save_pair(pair, tmp_path)
    assert not list(tmp_path.glob("*variance*"))


def test_what_they_do_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="noise_seed is given for 'echo2d_scatterers'"):
        make_pair("echo2d_scatterers", 1, noise_seed=1)
    with pytest.raises(ValueError, match="Unknown phantom kind 'mri2d_scatterers'"):
        make_pair("mri2d_scatterers", 1)
    for kind in ("echo2d_scatterers", "echo2d+echo2d_sax_scatterers"):
        with pytest.raises(ValueError, match="without a kind of point scatterers"):
            TrainConfig(kind=kind, method="oracle_weight", augment=False)
        assert "oracle_weight" in left_out(ReproduceConfig(kind=kind))
