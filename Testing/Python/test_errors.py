"""What is said of errors that are none of ours."""

from __future__ import annotations

import pytest
import torch

from builders import error_of
from hetreg.commands import models
from hetreg.errors import is_out_of_memory, sentence

NO_MEMORY = [
    MemoryError("Unable to allocate 9 TiB"),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4000 bytes."),
    RuntimeError(
        "Exception thrown in SimpleITK Image_Image:\nITK ERROR: Failed to allocate memory for image."
    ),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=range(len(NO_MEMORY)))
def test_too_little_memory_is_known_by_type_or_words(error):
    assert is_out_of_memory(error)
    assert sentence(error) == "There is too little memory."


def test_other_errors_are_no_lack_of_memory():
    for error in (
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        ValueError("The file 'out of memory.nii' is empty."),
        ImportError("cannot import name 'zoo'"),
    ):
        assert not is_out_of_memory(error)


def test_packages_that_the_memory_is_not_enough_for_are_a_sentence(capsys, monkeypatch):
    def load(_: object) -> None:
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr(models, "run", load)
    error_of(capsys, ["models"], "could not be loaded: too little memory, or a disk")


@pytest.mark.parametrize("number", [1114, 1455])
def test_a_library_that_windows_cannot_load_names_what_is_missing(number, capsys, monkeypatch):
    def load(_: object) -> None:
        raise OSError(f'[WinError {number}] 动态链接库。 Error loading "c10.dll" or one of its dependencies.')

    monkeypatch.setattr(models, "run", load)
    said = error_of(capsys, ["models"], "c10.dll")
    assert ("Visual C++ Redistributable" in said) == (number == 1114)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("The image is\nempty."), "The image is empty."),
        (OSError("The disk is full."), "The disk is full."),
        (KeyError("dice_2"), "KeyError: 'dice_2'"),
        (RuntimeError("a b\n c"), "RuntimeError: a b c"),
        (ValueError(), "ValueError."),
        (ModuleNotFoundError("No module", name="monai"), "The Python package 'monai' is missing."),
    ],
)
def test_an_error_is_one_line_and_named_where_it_is_none_of_ours(error, said):
    assert sentence(error) == said
