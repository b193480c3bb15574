"""The benchmark of a whole cine: labels of the short axis on the grid of a long-axis cine."""

from __future__ import annotations

import cine
import numpy as np

from hetreg.image import Image


def test_labels_of_another_grid_are_laid_on_that_of_the_cine_and_count_within_their_slices(monkeypatch):
    place = np.diag([1.0, 1.0, 4.0, 1.0])
    turned = np.eye(4)
    turned[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, 4, 0]]  # cuts through the slices: i, j, k to x, z, y
    drawn = np.zeros((5, 8, 8), np.uint8)
    drawn[2:, :, :3] = 3
    files = {
        "labels": [Image(drawn, place, "labels")] * 2,
        "cine": [Image(np.ones((8, 5, 8), np.float32), turned, "frame")] * 2,
    }
    monkeypatch.setattr(cine, "read_frames", files.get)
    _, labels, counts = cine.read("cine", "labels", (1, 4))
    expected = np.zeros((8, 5, 8), np.uint8)
    expected[:, 2:4, :3] = 3
    np.testing.assert_array_equal(labels[1].array, expected)
    np.testing.assert_array_equal(np.unique(np.nonzero(counts)[1]), [1, 2, 3])
    files["cine"] = [Image(np.ones((5, 8, 8), np.float32), place, "frame")] * 2
    frames, labels, counts = cine.read("cine", "labels", (1, 4))
    assert frames[0].array.shape == labels[0].array.shape == counts.shape == (3, 8, 8)
    assert counts.all()
