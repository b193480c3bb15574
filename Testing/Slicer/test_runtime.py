"""Tests of the stand-in itself: a small module comes up in it, is clicked, saved, reloaded and drawn."""

import sys

import pytest
import qt
import SampleData
import slicer
import vtk

import runtime
from runtime.standin import NotInStandIn


def volume(name="Volume", value=0.0):
    import numpy as np

    return slicer.util.addVolumeFromArray(np.full((20, 30, 40), float(value)), name=name)


# --- a module in the stand-in
def test_module_comes_up_and_computes(dummy):
    assert not dummy.ui.applyButton.enabled
    assert dummy.ui.applyButton.toolTip == "Select an input volume"
    node = volume(value=4)
    assert dummy.ui.inputSelector.currentNode() is node
    assert dummy.ui.applyButton.enabled
    dummy.ui.factor.value = 0.25
    dummy.ui.applyButton.click()
    output = dummy.ui.outputSelector.currentNode()
    assert output.GetName() == "Halved"
    assert slicer.util.arrayFromVolume(output).max() == 1
    assert list(dummy._parameterNode.history) == ["done"]


def test_module_survives_closing_the_scene(dummy):
    volume()
    dummy.ui.steps.value = 42
    slicer.mrmlScene.Clear()
    assert dummy.ui.inputSelector.currentNode() is None
    assert dummy.ui.steps.value == 7
    node = volume()
    assert dummy.ui.inputSelector.currentNode() is node


def test_module_tests_run_as_in_slicer(dummy):
    slicer.selfTests["Dummy"]()


def test_module_is_reloaded(dummy):
    dummy.onReload()
    again = slicer.util.getModuleWidget("Dummy")
    assert again is not dummy
    node = volume()
    assert again.ui.inputSelector.currentNode() is node


def test_sample_data_is_registered_at_startup(dummy):
    """Slicer asks a custom downloader on a click in the panel of Sample Data, and at no other time."""
    assert SampleData.downloadSamples("DummySample") == SampleData.downloadSamples("Nothing") == []
    runtime.click_sample("DummySample")
    assert slicer.util.getNode("DummySample")


def test_session_returns_from_mrb(dummy, tmp_path):
    node = volume("Kept", 3)
    dummy.ui.speed.currentText = "Slow"
    dummy.ui.method.currentText = "a"
    dummy.ui.note.text = "ä note"
    dummy._parameterNode.history = ["one", "two"]
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    assert node.GetName() == "Kept"
    slicer.mrmlScene.Clear()
    assert dummy.ui.note.text == "hello"
    slicer.util.loadScene(str(tmp_path / "scene.mrb"), {"clear": True})
    assert dummy.ui.inputSelector.currentNode().GetName() == "Kept"
    assert (dummy.ui.speed.currentText, dummy.ui.method.currentText) == ("Slow", "a")
    assert dummy.ui.note.text == "ä note"
    assert list(dummy._parameterNode.history) == ["one", "two"]


def test_errors_in_slots_are_collected(dummy):
    button = qt.QPushButton()
    button.connect("clicked()", lambda: 1 / 0)
    button.click()
    assert [type(e) for e in runtime.errors()] == [ZeroDivisionError]
    runtime.bring_up.state.errors.clear()


def test_ctrl_c_in_a_slot_is_raised_again(dummy):
    def interrupted():
        raise KeyboardInterrupt

    button = qt.QPushButton()
    button.connect("clicked()", interrupted)
    button.click()
    with pytest.raises(KeyboardInterrupt):
        runtime.errors()
    runtime.bring_up.state.errors.clear()


# --- PythonQt's ways
def test_properties_are_attributes():
    button = qt.QPushButton("text")
    assert button.text == "text"
    button.text = "other"
    button.setText(button.text + "s")
    assert button.text == "others"
    with pytest.raises(TypeError):
        button.text()
    with pytest.raises(AttributeError):
        button.texts = "no such property"
    with pytest.raises(AttributeError):
        _ = button.texts
    button.name = "aName"
    assert (button.objectName, button.className()) == ("aName", "QPushButton")
    timer = qt.QTimer()
    timer.singleShot = True
    assert timer.singleShot
    assert callable(qt.QTimer.singleShot)


def test_signals_are_connected_by_signature():
    box, heard = qt.QSpinBox(), []
    assert box.connect("valueChanged(int)", heard.append)
    box.connect("valueChanged(int)", lambda: heard.append("without argument"))
    box.value = 3
    assert box.disconnect("valueChanged(int)", heard.append)
    box.value = 4
    assert heard == [3, "without argument", "without argument"]
    with pytest.raises(ValueError, match="no signal"):
        box.connect("valueChanged(double)", heard.append)


def test_derived_python_classes_may_have_attributes():
    class Mine(qt.QWidget):
        pass

    mine = Mine()
    mine.anything = 3
    assert mine.anything == 3


def test_dialogs_need_an_answer():
    with pytest.raises(runtime.dialogs.UnansweredDialog):
        qt.QFileDialog.getOpenFileName(None, "Open")
    runtime.answer("file", "/some/path")
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/some/path"
    dialog = qt.QDialog()
    runtime.answer("dialog", lambda shown: shown.windowTitle)
    dialog.windowTitle = "Title"
    assert dialog.exec_() == "Title"


def test_what_is_not_imitated_raises():
    with pytest.raises(NotInStandIn):
        slicer.app.extensionsManagerModel()
    with pytest.raises(NotInStandIn):
        slicer.packaging.pip_install("anything")
    with pytest.raises(AttributeError):
        _ = slicer.modules.dicom
    with pytest.raises(AttributeError):
        _ = slicer.app.nothing


def test_settings_are_not_the_users():
    qt.QSettings().setValue("Test/Key", "value")
    assert slicer.app.userSettings().value("Test/Key") == "value"
    assert qt.QSettings().fileName().startswith(str(slicer.app._folder))


# --- processes and files
def test_process_reports_through_signals():
    process, heard = qt.QProcess(), []
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: heard.append((code, status)))
    process.connect("readyReadStandardOutput()", lambda: heard.append(process.readAllStandardOutput().data()))
    process.start(sys.executable, ["-c", "print('hello')"])
    assert process.waitForFinished(20000)
    runtime.process_events()
    assert heard[0].strip() == b"hello"
    assert heard[-1] == (0, qt.QProcess.NormalExit)


def test_console_process_runs_beside_the_event_loop():
    lines, codes = [], []
    slicer.util.launchConsoleProcess(
        [sys.executable, "-c", "print('hello')"],
        blocking=False,
        logCallback=lines.append,
        completedCallback=codes.append,
    )
    for _ in range(100):
        runtime.process_events(0.05)
        if codes:
            break
    assert (lines, codes) == (["hello"], [0])


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_volumes_are_written_and_read(tmp_path, ending):
    node = volume("Kept", 3)
    node.SetSpacing(1, 2, 3)
    node.SetIJKToRASDirections(0, 1, 0, 1, 0, 0, 0, 0, -1)
    path = tmp_path / f"Kept{ending}"
    assert slicer.util.saveNode(node, str(path))
    again = slicer.util.loadVolume(str(path))
    assert again.GetName().startswith("Kept")
    matrices = [vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()]
    for n, m in zip((node, again), matrices, strict=True):
        n.GetIJKToRASMatrix(m)
    difference = slicer.util.arrayFromVTKMatrix(matrices[0]) - slicer.util.arrayFromVTKMatrix(matrices[1])
    assert abs(difference).max() < 1e-6
    assert slicer.util.arrayFromVolume(again).max() == 3


def test_missing_files_are_errors(tmp_path):
    with pytest.raises(RuntimeError, match="not found"):
        slicer.util.loadVolume(str(tmp_path / "nothing.nrrd"))


def test_numpy_numbers_are_refused_as_in_pythonqt():
    import numpy as np

    box = qt.QSpinBox()
    with pytest.raises(TypeError, match="PythonQt"):
        box.value = np.int64(3)


def test_slicer_util_works_on_the_stand_in():
    with slicer.util.WaitCursor(), slicer.util.MessageDialog("working"):
        pass
    slicer.util.delayDisplay("a message")
    slicer.util.infoDisplay("logged")
    bar = slicer.util.createProgressDialog(labelText="text", maximum=10)
    bar.value = 5
    bar.close()
    assert slicer.util.tempDirectory().startswith(slicer.app.temporaryPath)
    assert slicer.util.showStatusMessage("message")
    assert "Volumes" in slicer.util.moduleNames()
    assert slicer.util.selectedModule() is not None
    with slicer.util.RenderBlocker():
        slicer.util.forceRenderAllViews()
    slicer.util.resetSliceViews()
    slicer.util.resetThreeDViews()
    slicer.util.setDataProbeVisible(True)
    slicer.util.setModuleHelpSectionVisible(True)
    with pytest.raises(ZeroDivisionError), slicer.util.tryWithErrorDisplay("Failed", waitCursor=True):
        raise ZeroDivisionError
    assert qt.QApplication.overrideCursor() is None
