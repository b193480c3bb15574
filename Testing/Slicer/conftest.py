"""Every test in this folder runs in the stand-in of Testing/runtime, on an empty scene."""

import os
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import hetreg
import runtime

REPOSITORY = Path(__file__).resolve().parents[2]
FAKE_TRAINER = Path(__file__).with_name("fake_trainer.py")
hetreg.prepare_torch()
runtime.start()


@pytest.fixture(autouse=True)
def emptyScene():
    """Each test leaves an empty scene to the next; an exception in a slot or observer fails it."""
    yield
    errors = runtime.errors()
    runtime.reset()
    assert not errors, f"raised in a slot or observer: {errors}"


@pytest.fixture
def panel():
    """The panel of HetRegUncertainty, selected, on the empty scene."""
    import slicer

    if not hasattr(slicer.modules, "hetreguncertainty"):
        runtime.load_module(REPOSITORY / "HetRegUncertainty" / "HetRegUncertainty.py")
    slicer.util.selectModule("HetRegUncertainty")
    return slicer.modules.HetRegUncertaintyWidget


@pytest.fixture
def smallPair(panel):
    """(fixed, moving) volume nodes of a small simulated MRI pair, chosen in the panel."""
    from hetreg.datasets.phantom import make_pair
    from HetRegUncertaintyLib import sampledata

    pair = make_pair("mri2d", 3, size=64, slices=2, with_truth=False)
    fixed = sampledata.addVolume(pair.fixed, "ES")
    moving = sampledata.addVolume(pair.moving, "ED")
    parameters = panel.logic.getParameterNode()
    parameters.fixedVolume, parameters.movingVolume = fixed, moving
    return fixed, moving


@pytest.fixture
def movie(smallPair):
    """The volume that shows a cine of three frames: end-diastole, end-systole, between them; no other."""
    import slicer

    systole, diastole = smallPair
    first, last = (slicer.util.arrayFromVolume(node).copy() for node in (diastole, systole))
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    for value, array in zip(("0", "40", "80"), (first, last, (first + last) / 2), strict=True):
        slicer.util.updateVolumeFromArray(systole, array)
        sequence.SetDataNodeAtValue(systole, value)
    for node in smallPair:
        slicer.mrmlScene.RemoveNode(node)
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.AddSynchronizedSequenceNode(sequence)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    browser.SetSelectedItemNumber(0)
    return browser.GetProxyNode(sequence)


@pytest.fixture
def goTo():
    """goTo(volume, frame): show this frame of the sequence, as Slicer's toolbar does."""
    import slicer

    from HetRegUncertaintyLib import sequences

    def go(volume, frame):
        sequences.browserOf(volume).SetSelectedItemNumber(frame)
        slicer.app.processEvents()

    return go


def untrained(path, **options):
    """File of a small model that was not trained."""
    from hetreg.config import NetworkConfig
    from hetreg.model import RegistrationModel

    shape = {"encoder": (4, 8), "decoder": (8, 4), "tail": (4,)}
    RegistrationModel(NetworkConfig(**options, **shape)).save(path)
    return str(path)


@pytest.fixture
def uncertainModel(tmp_path):
    """A model that also gives the uncertainty of its displacement."""
    return untrained(tmp_path / "uncertain.pt", sigma_z=True)


@pytest.fixture
def ready(panel, movie, goTo, uncertainModel):
    """The panel with the cine as fixed volume, its first frame kept as moving volume, at the second frame."""
    p = panel.logic.getParameterNode()
    p.fixedVolume, p.model = movie, uncertainModel
    panel.ui.keepFrameButton.click()
    panel.ui.everyFrameCheckBox.checked = True
    goTo(movie, 1)
    return panel


@pytest.fixture
def plainModel(tmp_path):
    """A model that does not."""
    return untrained(tmp_path / "plain.pt")


@pytest.fixture
def training(panel, tmp_path):
    """The panel of HetRegTraining, selected, its run folder in tmp_path; afterwards nothing runs."""
    import qt
    import slicer

    from HetRegUncertaintyLib import modelmenu

    if not hasattr(slicer.modules, "hetregtraining"):
        runtime.load_module(REPOSITORY / "HetRegTraining" / "HetRegTraining.py")
    slicer.util.selectModule("HetRegTraining")
    widget = slicer.modules.HetRegTrainingWidget
    widget.ui.advancedCollapsibleButton.collapsed = False  # nothing in a closed section is visible
    widget.logic.getParameterNode().outputFolder = str(tmp_path / "run-1")
    yield widget
    inPlace = slicer.modules.HetRegTrainingWidget  # another one after a reload
    assert not inPlace.section._closed, "the test has closed the panel, which serves other tests too"
    widget.section.run.stopAndWait(0.0)
    inPlace.dataCheck._process.kill()
    runtime.wait(lambda: not (widget.section.run.running or inPlace.dataCheck.running))
    widget.section.wanted = False
    widget.section.run._forget()
    slicer.util.selectModule("HetRegUncertainty")
    qt.QSettings().remove(modelmenu.USER_MODELS_KEY)


@pytest.fixture
def trained(training):
    """The panel with a run that has ended in the output folder; afterwards no evaluation runs."""
    from hetreg.config import TrainConfig

    folder = Path(training._parameterNode.outputFolder)
    folder.mkdir()
    TrainConfig(epochs=20).save(folder / "config.json")
    (folder / "split.json").write_text('{"test": ["a"]}')
    (folder / "best.pt").write_bytes(b"weights")
    training._onParameters()
    yield training
    training.evaluation._process.kill()
    runtime.wait(lambda: not training.evaluation.running)
    training.evaluation.forgetScene()


@pytest.fixture
def program(tmp_path_factory, monkeypatch):
    """program(file): from now on this Python file is run instead of the command line."""
    from HetRegUncertaintyLib import process

    launcher = tmp_path_factory.mktemp("launcher") / ("python.bat" if os.name == "nt" else "python")

    def install(file):
        command = shlex.join([sys.executable, str(file)])  # a first line #!python allows no space in the path
        text = f'#!/bin/sh\nexec {command} "$@"\n'
        if os.name == "nt":
            text = f'@"{sys.executable}" "{file}" %*\n'
        launcher.write_text(text, encoding="utf-8")
        launcher.chmod(0o755)
        monkeypatch.setattr(process, "python", lambda: str(launcher))

    return install


@pytest.fixture
def fake(program, monkeypatch):
    """fake(mode): from now on the panel starts the fake trainer."""

    def install(mode=""):
        program(FAKE_TRAINER)
        monkeypatch.setenv("FAKE_TRAINER", mode)

    install()
    return install


@pytest.fixture
def raisesInSlot():
    """raisesInSlot(kind, text): a context in which a slot has to raise this, and nothing else."""

    @contextmanager
    def check(kind, text):
        yield
        errors = runtime.errors()
        assert [type(error) for error in errors] == [kind], errors
        assert text in str(errors[0])
        runtime.bring_up.state.errors.clear()

    return check


@pytest.fixture(scope="session")
def dummyPath(tmp_path_factory):
    """The small module that the tests of the stand-in use, loaded."""
    from runtime import dummy_module

    path = dummy_module.write(tmp_path_factory.mktemp("dummy"))
    runtime.load_module(path)
    return path


@pytest.fixture
def dummy(dummyPath):
    """The small module's panel, selected."""
    import slicer

    slicer.util.selectModule("Dummy")
    return slicer.util.getModuleWidget("Dummy")
