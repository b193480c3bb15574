"""Image files as registration, training and evaluation read them: any ending, whole or refused."""

from __future__ import annotations

import gzip
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import SimpleITK as sitk

from builders import assert_sentence, sampled
from hetreg import cli
from hetreg.datasets.headers import read_header
from hetreg.image import Image, read_image, write_image
from hetreg.imagefile import no_warnings, opened

ENDINGS = ["nii", "nii.gz", "nrrd", "mha"]


def written(folder: Path, ending: str) -> tuple[Image, Path]:
    """An image that does not compress well, and its file."""
    image = Image(np.random.default_rng(0).random((6, 32, 32)), np.eye(4))
    return image, write_image(image, folder / f"heart.{ending}")


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_in_upper_case_is_read(tmp_path, ending):
    image, path = written(tmp_path, ending)
    path = path.rename(tmp_path / path.name.upper())
    np.testing.assert_array_equal(read_image(path).array, image.array)
    assert read_header(path).size == image.size_ijk


def test_a_grey_image_with_alpha_is_not_called_damaged(tmp_path):
    size, rows = struct.pack(">II", 8, 8), zlib.compress((b"\0" + b"\x80\xff" * 8) * 8)
    parts = ((b"IHDR", size + b"\x08\x04\0\0\0"), (b"IDAT", rows), (b"IEND", b""))
    chunks = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    (tmp_path / "heart.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(ValueError, match="grey with alpha") as caught:
        read_image(tmp_path / "heart.png")
    assert_sentence(caught.value, "heart.png", "one scalar")


@pytest.mark.parametrize("ending", [*ENDINGS, *(e.upper() for e in ENDINGS)])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.999])
def test_a_truncated_image_is_refused_and_not_filled_with_zeros(tmp_path, ending, share):
    _, path = written(tmp_path, ending.lower())
    content = path.read_bytes()
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="cut") as caught:
        read_image(cut)
    assert_sentence(caught.value, cut.name)


def test_a_cut_off_image_is_not_registered(tmp_path, capsys):
    _, path = written(tmp_path, "nii")
    cut = tmp_path / "cut.nii"
    cut.write_bytes(path.read_bytes()[:-2000])
    for fixed, moving in ((path, cut), (cut, path)):
        command = [
            "register",
            "--fixed",
            str(fixed),
            "--moving",
            str(moving),
            "--output",
            str(tmp_path / "o"),
        ]
        assert cli.main(command) == 2
        assert_sentence(capsys.readouterr().err, "cut.nii is cut off")
    assert not (tmp_path / "o").exists()


def test_what_was_cut_off_before_it_was_compressed_is_refused(tmp_path):
    _, path = written(tmp_path, "nii")
    cut = tmp_path / "cut.nii.gz"
    cut.write_bytes(gzip.compress(path.read_bytes()[:-2000]))
    with pytest.raises(ValueError, match="shorter than its header says"):
        read_image(cut)


@pytest.mark.parametrize("level", [0, 6])
def test_one_wrong_bit_in_a_compressed_file_is_found(tmp_path, level):
    """ITK does not compare the checksum."""
    noise = np.random.default_rng(0).integers(0, 255, (4, 256, 256)).astype(np.uint8)
    path = write_image(Image(noise, np.eye(4)), tmp_path / "heart.nii")
    content = bytearray(gzip.compress(path.read_bytes(), level))
    content[len(content) // 2] ^= 4
    (tmp_path / "bad.nii.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.nii\.gz") as caught:
        read_image(tmp_path / "bad.nii.gz")
    assert_sentence(caught.value, "damaged")


PACKED = {"nrrd": "nrrd", "nhdr": "raw.gz", "mha": "mha", "mhd": "zraw"}  # header: voxels


def packed(folder: Path, ending: str) -> tuple[Path, Path, np.ndarray]:
    """A compressed image of smooth noise: its header, the file with its voxels, and them."""
    noise = np.random.default_rng(0).normal(size=(4, 128, 128)).cumsum(2).astype(np.int16)
    path = folder / f"heart.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), useCompression=True)
    return path, folder / f"heart.{PACKED[ending]}", noise


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("place", [0.3, 0.6, 0.9, 1.0])
def test_one_wrong_byte_among_compressed_voxels_is_found(tmp_path, ending, place):
    """ITK reads most of these without a word, a MetaImage with whatever was in the memory."""
    path, voxels, noise = packed(tmp_path, ending)
    np.testing.assert_array_equal(read_image(path).array, noise)
    content = bytearray(voxels.read_bytes())
    content[int((len(content) - 6) * place)] ^= 0x55
    voxels.write_bytes(content)
    with pytest.raises(ValueError, match=path.name) as caught:
        read_image(path)
    assert_sentence(caught.value, "damaged")
    assert opened(path).GetSize() == (128, 128, 4)  # a look at the header does not unpack


def test_voxels_that_were_compressed_in_parts_are_read(tmp_path):
    path, voxels, noise = packed(tmp_path, "nhdr")
    halves = noise.tobytes()[:50_000], noise.tobytes()[50_000:]
    voxels.write_bytes(b"".join(map(gzip.compress, halves)))
    np.testing.assert_array_equal(read_image(path).array, noise)


@pytest.mark.parametrize("packed_too", [True, False])
@pytest.mark.parametrize("ending", ["nhdr", "mhd"])
def test_the_voxel_file_may_have_any_letters_in_its_name(tmp_path, ending, packed_too):
    image = sampled((4, 3, 5)).to_sitk()
    sitk.WriteImage(image, str(tmp_path / f"Müller 日.{ending}"), useCompression=packed_too)
    assert read_image(tmp_path / f"Müller 日.{ending}").size_ijk == (4, 3, 5)


def test_compressed_voxels_behind_a_header_of_another_program_are_read(tmp_path):
    path, voxels, noise = packed(tmp_path, "mhd")
    voxels.write_bytes(b"other" + voxels.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"ElementDataFile", b"HeaderSize = 5\nElementDataFile"))
    np.testing.assert_array_equal(read_image(path).array, noise)


def test_what_is_read_at_once_may_end_between_the_two_bytes_that_begin_a_part(tmp_path, monkeypatch):
    path, voxels, noise = packed(tmp_path, "nhdr")
    first, content = gzip.compress(noise.tobytes()[:64]), noise.tobytes()[64:]
    voxels.write_bytes(first + gzip.compress(content))
    monkeypatch.setattr("hetreg.imagefile._PART", len(first) + 1)
    np.testing.assert_array_equal(read_image(path).array, noise)


def test_compressed_voxels_that_are_fewer_than_the_header_says_are_refused(tmp_path):
    path, _, _ = packed(tmp_path, "mha")
    path.write_bytes(path.read_bytes().replace(b"DimSize = 128 128 4", b"DimSize = 128 128 9"))
    with pytest.raises(ValueError, match="shorter than its header says") as caught:
        read_image(path)
    assert_sentence(caught.value, "heart.mha")


@pytest.mark.parametrize("ending", ["nrrd", "nhdr", "mha", "mhd"])
def test_plain_voxels_that_are_fewer_than_the_header_says_are_seen_by_a_look_at_it(tmp_path, ending):
    image = sampled((4, 3, 5)).to_sitk()
    sitk.WriteImage(image, str(tmp_path / f"heart.{ending}"), useCompression=False)
    voxels = tmp_path / ("heart.raw" if ending in ("nhdr", "mhd") else f"heart.{ending}")
    assert opened(tmp_path / f"heart.{ending}").GetSize() == (4, 3, 5)
    voxels.write_bytes(voxels.read_bytes()[:-8])
    with pytest.raises(ValueError, match="shorter than its header says") as caught:
        opened(tmp_path / f"heart.{ending}")
    assert_sentence(caught.value, f"heart.{ending}")


def test_sizes_beyond_what_the_reader_can_count_are_a_sentence(tmp_path):
    """ITK takes the product for 0."""
    path = write_image(sampled((4, 3, 5)), tmp_path / "heart.mha")
    sitk.WriteImage(sitk.ReadImage(str(path)), str(path), useCompression=False)
    huge = path.read_bytes().replace(b"DimSize = 4 3 5", b"DimSize = 2147483648 2147483648 4")
    path.write_bytes(huge)
    with pytest.raises(ValueError, match="shorter than its header says") as caught:
        read_image(path)
    assert_sentence(caught.value, "heart.mha")


def test_a_file_that_is_compressed_by_name_alone_is_refused(tmp_path):
    _, path = written(tmp_path, "nii")
    with pytest.raises(ValueError, match="not compressed") as caught:
        read_image(path.rename(tmp_path / "plain.nii.gz"))
    assert_sentence(caught.value, "plain.nii.gz", ".nii is accepted")


@pytest.mark.parametrize("offset", [np.nan, np.inf, -np.inf])
def test_a_header_with_a_number_that_is_none_is_a_sentence(tmp_path, offset):
    _, path = written(tmp_path, "nii")
    content = bytearray(path.read_bytes())
    content[108:112] = np.float32(offset).tobytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"heart\.nii") as caught:
        read_image(path)
    assert_sentence(caught.value)


def test_a_compressed_file_of_another_kind_still_reads(tmp_path):
    image = sampled((4, 3, 5))
    plain = write_image(image, tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain))
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii.gz").array, image.array)


def test_the_sentence_says_what_is_wrong_with_the_file(tmp_path):
    cases = {"text.nrrd": (b"hello", "format is unknown"), "empty.nrrd": (b"", "empty")}
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=words):
            read_image(tmp_path / name)


def test_skewed_axes_are_named(tmp_path):
    path = write_image(sampled((4, 3, 5)), tmp_path / "skewed.nii")
    content = bytearray(path.read_bytes())
    content[252:256] = np.array([0, 1], "<i2").tobytes()  # no qform, an sform
    content[280:328] = np.array([[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "<f4").tobytes()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="right angles") as caught:
        read_image(path)
    assert_sentence(caught.value)


@pytest.mark.parametrize("name", ["LOCAL", "Local", "LIST", "LIST 2D"])
def test_the_voxels_of_an_mhd_may_follow_its_header_or_lie_in_a_file_per_slice(tmp_path, name):
    image = sampled((4, 3, 5))
    sitk.WriteImage(image.to_sitk(), str(tmp_path / "a.mhd"))
    header = (tmp_path / "a.mhd").read_text().replace("a.raw", name)
    voxels = (tmp_path / "a.raw").read_bytes()
    if name.startswith("LIST"):
        slices = np.split(np.frombuffer(voxels, np.uint8), len(image.array))
        names = [f"{n}.raw" for n in range(len(slices))]
        for file, part in zip(names, slices, strict=True):
            (tmp_path / file).write_bytes(part.tobytes())
        voxels = "\n".join(names).encode()
    (tmp_path / "b.mhd").write_bytes(header.encode() + voxels)
    np.testing.assert_array_equal(read_image(tmp_path / "b.mhd").array, image.array)


def test_the_voxels_of_a_compressed_pair_are_not_taken_for_a_header(tmp_path):
    image = Image(np.full((8, 8, 8), 348, np.int32), np.eye(4))
    sitk.WriteImage(image.to_sitk(), str(tmp_path / "a.img.gz"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.img.gz").array, image.array)


@pytest.mark.parametrize("shown", [True, False])
def test_itk_warns_again_after_two_threads_that_read_at_once(shown):
    first_in, second_in, first_out = Barrier(2, timeout=10), Barrier(2, timeout=10), Barrier(2, timeout=10)

    def first():
        with no_warnings():
            first_in.wait()
            second_in.wait()
        first_out.wait()

    def second():
        first_in.wait()
        with no_warnings():
            second_in.wait()
            first_out.wait()
            assert not sitk.ProcessObject.GetGlobalWarningDisplay()

    usual = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(shown)
    try:
        with ThreadPoolExecutor(2) as pool:
            for each in (pool.submit(first), pool.submit(second)):
                each.result()
        assert sitk.ProcessObject.GetGlobalWarningDisplay() is shown
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(usual)
