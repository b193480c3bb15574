"""Tests of the stand-in itself: a small module comes up in it, is clicked, saved and drawn."""

import numpy as np
import pytest
import slicer

import runtime
from runtime import dummy_module


@pytest.fixture(scope="module")
def dummy(tmp_path_factory):
    """The dummy module's panel."""
    runtime.load_module(dummy_module.write(tmp_path_factory.mktemp("dummy")))
    slicer.util.selectModule("Dummy")
    return slicer.modules.dummy.widgetRepresentation().self()


def volume(name="Volume", value=None):
    array = np.zeros((20, 30, 40)) if value is None else np.full((20, 30, 40), float(value))
    return slicer.util.addVolumeFromArray(array, name=name)


def test_a_module_comes_up_and_computes(dummy):
    slicer.util.selectModule("Dummy")
    assert not dummy.ui.applyButton.enabled
    node = volume(value=4)
    assert dummy.ui.inputSelector.currentNode() is node
    assert dummy.ui.applyButton.enabled
    dummy.ui.factor.value = 0.25
    dummy.ui.applyButton.click()
    output = dummy.ui.outputSelector.currentNode()
    assert output.GetName() == "Halved"
    assert slicer.util.arrayFromVolume(output).max() == 1
    assert list(dummy._parameterNode.history) == ["done"]
