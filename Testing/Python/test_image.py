"""Images: place in space as SimpleITK has it, files, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from builders import FLIPPED, OBLIQUE, SWAPPED, assert_sentence, points_of, sampled
from hetreg.image import Image, as_float, from_sitk, read_image, vector_to_sitk, write_image

DIRECTIONS = {"axial": np.eye(3), "oblique": OBLIQUE, "flipped": FLIPPED, "swapped": SWAPPED}
TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


def test_an_array_without_voxels_has_a_copy_of_32_bits():
    assert as_float(np.zeros((0, 2, 2))).dtype == np.float32


@pytest.mark.parametrize("name", DIRECTIONS)
def test_every_voxel_lies_where_simpleitk_puts_it(name):
    image = sampled((4, 3, 5), (0.7, 1.3, 4.0), DIRECTIONS[name], centre=(10.0, -20.0, 30.0))
    theirs, points = image.to_sitk(), points_of(image)
    assert theirs.GetSize() == image.size_ijk == (4, 3, 5)
    for ijk in [(0, 0, 0), (3, 0, 0), (0, 2, 0), (0, 0, 4), (3, 2, 4)]:
        place = theirs.TransformIndexToPhysicalPoint(ijk)
        np.testing.assert_allclose(points[ijk[::-1]], place, atol=1e-9)
        assert theirs[ijk] == image.array[ijk[::-1]]


@pytest.mark.parametrize("name", DIRECTIONS)
def test_from_sitk_undoes_to_sitk(name):
    image = sampled((4, 3, 5), (0.7, 1.3, 4.0), DIRECTIONS[name], centre=(10.0, -20.0, 30.0))
    back = from_sitk(image.to_sitk())
    np.testing.assert_allclose(back.ijk_to_lps, image.ijk_to_lps, atol=1e-12)
    np.testing.assert_array_equal(back.array, image.array)
    np.testing.assert_allclose(back.spacing_mm, (0.7, 1.3, 4.0))
    np.testing.assert_allclose(back.direction, DIRECTIONS[name], atol=1e-12)
    assert not back.is_2d


def test_what_itk_reads_lies_where_itk_puts_it_whatever_the_length_of_its_axes(tmp_path):
    """A MetaImage may have any: long ones, or the cosines of 45 degrees with two decimals."""
    path = write_image(Image.from_array(np.zeros((2, 4, 5), np.uint8), (1, 1, 1)), tmp_path / "a.mha")
    text = path.read_bytes()
    assert text.count(b"TransformMatrix = 1 0 0 0 1 0 0 0 1") == 1
    for axes in ("2 0 0 0 2 0 0 0 1", "0.71 0.71 0 -0.71 0.71 0 0 0 1"):
        path.write_bytes(text.replace(b"1 0 0 0 1 0 0 0 1", axes.encode()))
        image, theirs = read_image(path), sitk.ReadImage(str(path))
        for ijk in [(0, 0, 0), (4, 3, 1)]:
            there = theirs.TransformIndexToPhysicalPoint(ijk)
            np.testing.assert_allclose(points_of(image)[ijk[::-1]], there, atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(image.direction, axis=0), 1)


def test_a_rounded_direction_of_an_array_leaves_its_spacing():
    image = Image.from_array(np.zeros((4, 5)), (2, 3), direction=[[0.71, -0.71], [0.71, 0.71]])
    np.testing.assert_allclose(image.spacing_mm[:2], (2, 3))
    np.testing.assert_allclose(image.direction[:2, 0], np.sqrt(0.5))


def test_a_2d_image_becomes_one_slice():
    flat = sitk.GetImageFromArray(np.arange(12, dtype=np.int16).reshape(3, 4))
    flat.SetSpacing((2.0, 8.0))
    flat.SetOrigin((5.0, 6.0))
    flat.SetDirection((0.0, -1.0, 1.0, 0.0))
    image = from_sitk(flat)
    np.testing.assert_array_equal(image.array, sitk.GetArrayFromImage(flat)[None])
    assert image.is_2d
    np.testing.assert_allclose(image.spacing_mm, (2.0, 8.0, 4.0))
    np.testing.assert_allclose(points_of(image)[0, 2, 3, :2], flat.TransformIndexToPhysicalPoint((3, 2)))


@pytest.mark.parametrize("name", DIRECTIONS)
def test_an_array_is_put_where_simpleitk_puts_it(name):
    array, direction = np.random.default_rng(0).random((5, 3, 4)), DIRECTIONS[name]
    theirs = sitk.GetImageFromArray(array)
    theirs.SetSpacing((0.7, 1.3, 4.0))
    theirs.SetOrigin((10.0, -20.0, 30.0))
    theirs.SetDirection(direction.ravel().tolist())
    ours = Image.from_array(
        array, (0.7, 1.3, 4.0), origin_lps=(10, -20, 30), direction=direction, name="heart"
    )
    assert (ours.name, ours.is_2d) == ("heart", False)
    for ijk in [(0, 0, 0), (3, 0, 0), (0, 2, 0), (3, 2, 4)]:
        np.testing.assert_allclose(points_of(ours)[ijk[::-1]], theirs.TransformIndexToPhysicalPoint(ijk))
    plain = Image.from_array(array, [1, 2, 3])
    np.testing.assert_array_equal(plain.ijk_to_lps, np.diag([1, 2, 3, 1]))


def test_an_array_of_two_axes_is_a_2d_image_also_from_a_list_or_a_tensor():
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    for given in (array, array.tolist(), torch.from_numpy(array)):
        image = Image.from_array(given, (2.0, 8.0), origin_lps=(5, 6), direction=[[0, -1], [1, 0]])
        assert image.is_2d
        np.testing.assert_array_equal(image.array, array[None])
        np.testing.assert_allclose(image.spacing_mm, (2.0, 8.0, 4.0))
        np.testing.assert_allclose(points_of(image)[0, 2, 3], (5 - 8 * 2, 6 + 2 * 3, 0))
    listed = Image(array[None].tolist(), np.eye(4).tolist())
    assert listed.array.shape == (1, 3, 4)
    np.testing.assert_array_equal(listed.spacing_mm, 1)


@pytest.mark.parametrize(
    ("array", "options", "words"),
    [
        (np.zeros((3, 4)), {"spacing_mm": (1, 1, 1)}, ("spacing_mm", "(2,)", "2 axes")),
        (np.zeros((2, 3, 4)), {"spacing_mm": 1.0}, ("spacing_mm", "(3,)")),
        (np.zeros((2, 3, 4)), {"spacing_mm": "thin"}, ("spacing_mm", "(3,)")),
        (np.zeros((2, 3, 4)), {"spacing_mm": (1, 0, 1)}, ("[1.0, 0.0, 1.0]", "above 0")),
        (np.zeros((2, 3, 4)), {"spacing_mm": (1, 1, 1), "origin_lps": (0, np.nan, 0)}, ("origin_lps",)),
        (np.zeros((2, 3, 4)), {"spacing_mm": (1, 1, 1), "direction": np.eye(2)}, ("direction", "(3, 3)")),
        (
            np.zeros((2, 3, 4)),
            {"spacing_mm": (1, 1, 1), "direction": np.diag([1, 2, 1])},
            ("[1.0, 2.0, 1.0]", "unit vectors"),
        ),
        (np.zeros((2, 3, 4, 5)), {"spacing_mm": (1, 1, 1)}, ("(2, 3, 4, 5)", "(K, J, I)")),
        ([[1, 2], [3]], {"spacing_mm": (1, 1)}, ("list", "no array of real numbers")),
        ({"a": 1}, {"spacing_mm": (1, 1)}, ("dict", "real numbers")),
        (np.ones((2, 3, 4), np.complex64), {"spacing_mm": (1, 1, 1)}, ("complex64", "real numbers")),
        ([["a", "b"], ["c", "d"]], {"spacing_mm": (1, 1)}, ("list", "<U1", "real numbers")),
        (torch.zeros((2, 2), requires_grad=True), {"spacing_mm": (1, 1)}, ("Tensor", "detached")),
        (np.zeros((2, 2)), {"spacing_mm": torch.ones(2, requires_grad=True)}, ("spacing_mm", "(2,)")),
    ],
)
def test_what_is_no_array_or_does_not_fit_it_is_one_sentence(array, options, words):
    with pytest.raises(ValueError, match="heart") as caught:
        Image.from_array(array, name="heart", **options)
    assert_sentence(caught.value, *words)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
def test_files_keep_voxels_type_and_place(tmp_path, dtype, ending):
    rng = np.random.default_rng(0)
    matrix = sampled((4, 3, 5), (0.7, 1.3, 4.0), OBLIQUE, centre=(10.0, -20.0, 30.0)).ijk_to_lps
    image = Image(rng.integers(0, 100, (5, 3, 4)).astype(dtype), matrix)
    back = read_image(write_image(image, tmp_path / f"heart.{ending}"))
    assert back.array.dtype == np.dtype(dtype)
    assert back.name == "heart"
    np.testing.assert_array_equal(back.array, image.array)
    np.testing.assert_allclose(back.ijk_to_lps, matrix, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("bool", "uint8"), ("float16", "float32"), ("longdouble", "float64"), (">i2", "int16")],
)
def test_types_that_itk_lacks_are_converted(dtype, expected):
    image = Image(np.array([[[0, 1], [1, 0]]]).astype(dtype), np.eye(4))
    array = sitk.GetArrayFromImage(image.to_sitk())
    assert array.dtype == np.dtype(expected)
    np.testing.assert_array_equal(array, [[[0, 1], [1, 0]]])


def test_vector_image_keeps_components_and_place():
    vectors = np.random.default_rng(0).random((5, 3, 4, 3))
    image = vector_to_sitk(vectors, sampled((4, 3, 5), (1.0, 2.0, 3.0), OBLIQUE).ijk_to_lps)
    assert image.GetSpacing() == pytest.approx((1.0, 2.0, 3.0))
    np.testing.assert_allclose(image[3, 1, 2], vectors[2, 1, 3])


def test_like_keeps_the_grid_and_refuses_another_shape():
    image = sampled((4, 3, 5), direction=OBLIQUE)
    other = image.like(np.ones((5, 3, 4)), "other")
    assert other.name == "other"
    np.testing.assert_array_equal(other.ijk_to_lps, image.ijk_to_lps)
    with pytest.raises(ValueError, match=r"\(3, 5, 4\).*\(5, 3, 4\)"):
        image.like(np.ones((3, 5, 4)), "other")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (sitk.Image([8, 8], sitk.sitkVectorUInt8, 3), ("3 channels", "scalar")),
        (sitk.Image([8, 8, 4], sitk.sitkVectorFloat32, 2), ("2 channels",)),
        (sitk.Image([8, 8, 4, 3], sitk.sitkInt16), ("4 dimensions", "(8, 8, 4, 3)", "hetreg sequence")),
    ],
    ids=["rgb", "vector", "4d"],
)
def test_colour_and_sequences_are_refused(image, words):
    with pytest.raises(ValueError, match="heart") as caught:
        from_sitk(image, "heart")
    assert_sentence(caught.value, *words)


def test_a_sequence_of_one_frame_is_a_volume():
    image = from_sitk(sitk.Image([8, 7, 4, 1], sitk.sitkInt16))
    assert image.array.shape == (4, 7, 8)


@pytest.mark.parametrize(
    ("array", "matrix", "words"),
    [
        (np.zeros((3, 4)), np.eye(4), ("2 axes", "(3, 4)")),
        (np.zeros((2, 3, 4, 3)), np.eye(4), ("4 axes",)),
        (np.zeros((2, 3, 4)), np.eye(3), ("is [[1. 0. 0.] [0. 1. 0.]", "4 x 4")),
        (np.zeros((2, 3, 4)), np.diag([1.0, np.nan, 1.0, 1.0]), ("finite",)),
        (np.zeros((2, 3, 4)), np.diag([1.0, 0.0, 1.0, 1.0]), ("voxel",)),
        (np.zeros((2, 3, 4)), np.ones((4, 4)), ("voxel",)),
    ],
    ids=["2 axes", "4 axes", "3 x 3", "nan", "zero spacing", "parallel axes"],
)
def test_an_image_without_shape_or_place_is_refused(array, matrix, words):
    with pytest.raises(ValueError, match="heart") as caught:
        Image(array, matrix, "heart")
    assert_sentence(caught.value, *words)


def test_files_that_are_no_images(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read_image(tmp_path / "missing.nrrd")
    assert_sentence(caught.value, "missing.nrrd")
    with pytest.raises(ValueError, match="folder") as caught:
        read_image(tmp_path)
    assert_sentence(caught.value)
    for name, content in {"text.nrrd": b"hello", "empty.nii.gz": b"", "cut.png": b"\x89PNG"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name) as caught:
            read_image(tmp_path / name)
        assert_sentence(caught.value)
        assert "ITK" not in str(caught.value)
        assert "ImageIO" not in str(caught.value)


@pytest.mark.parametrize("ending", ["mhd", "nhdr", "hdr", "IMG", "img.gz"])
def test_a_format_of_two_files_is_refused(tmp_path, ending):
    """One of them would name the other, which is written under another name first."""
    with pytest.raises(ValueError, match="two files") as caught:
        write_image(sampled((4, 3, 5)), tmp_path / f"a.{ending}")
    assert_sentence(caught.value, f"a.{ending}", ".nrrd")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(image, path, *arguments, **options):
        Path(path).write_bytes(b"half")
        raise RuntimeError("disk full")

    monkeypatch.setattr(sitk, "WriteImage", full)
    (tmp_path / "old.nrrd").write_bytes(b"former result")
    for name in ("new.nrrd", "old.nrrd"):
        with pytest.raises(OSError, match="disk full") as caught:
            write_image(sampled((4, 3, 5)), tmp_path / name)
        assert_sentence(caught.value, name)
    assert [p.name for p in tmp_path.iterdir()] == ["old.nrrd"]
    assert (tmp_path / "old.nrrd").read_bytes() == b"former result"


def test_an_image_keeps_its_place_when_the_matrix_that_it_was_made_with_changes():
    matrix = np.eye(4)
    image = Image(np.zeros((1, 2, 3)), matrix)
    other = image.like(image.array, "other")
    matrix[0, 3] = image.ijk_to_lps[1, 3] = 7.0
    assert (image.origin_lps[0], other.origin_lps[1]) == (0.0, 0.0)


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(image, path, *arguments, **options):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sitk, "WriteImage", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_image(sampled((4, 3, 5)), tmp_path / "new.nrrd")
    assert not list(tmp_path.iterdir())
