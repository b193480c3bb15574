"""A small scripted module, written to a folder by tests of the runtime itself."""

SOURCE = """
import enum
from typing import Annotated, Optional

import qt
import slicer
import vtk
from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin


class Speed(enum.Enum):
    SLOW = "slow"
    FAST = "fast"

    def label(self):
        return self.value.title()


class Dummy(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Dummy")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        self.parent.helpText = _("Halves a volume.")
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Dummy", sampleName="DummySample", uris="x", fileNames="x", nodeNames="DummySample",
        customDownloader=lambda source: slicer.util.addVolumeFromArray(vtkArray(), name=source.nodeNames[0]),
    )


def vtkArray():
    import numpy as np

    return np.arange(27.0).reshape(3, 3, 3)


@parameterNodeWrapper
class DummyParameterNode:
    inputVolume: vtkMRMLScalarVolumeNode
    outputVolume: Optional[vtkMRMLScalarVolumeNode]
    factor: Annotated[float, WithinRange(0, 10)] = 0.5
    steps: Annotated[int, WithinRange(0, 100)] = 7
    invert: bool = False
    method: Annotated[str, Choice(["a", "b"])] = "b"
    speed: Speed = Speed.FAST
    note: str = "hello"
    history: list[str]


class DummyWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._tag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/Dummy.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = DummyLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.applyButton.connect("clicked(bool)", self.onApply)
        self.initializeParameterNode()

    def cleanup(self):
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._tag)
            self._tag = None
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self):
        self.setParameterNode(DummyParameterNode(self.logic.getParameterNode()))
        if not self._parameterNode.inputVolume:
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if first:
                self._parameterNode.inputVolume = first

    def setParameterNode(self, node):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._tag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
        self._parameterNode = node
        if node:
            self._tag = node.connectGui(self.ui)
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._checkCanApply)
            self._checkCanApply()

    def _checkCanApply(self, caller=None, event=None):
        ready = bool(self._parameterNode and self._parameterNode.inputVolume)
        self.ui.applyButton.enabled = ready
        self.ui.applyButton.toolTip = _("Compute") if ready else _("Select an input volume")

    def onApply(self):
        with slicer.util.tryWithErrorDisplay(_("Failed."), waitCursor=True):
            self.logic.process(self._parameterNode)


class DummyLogic(ScriptedLoadableModuleLogic):
    def process(self, parameters):
        array = slicer.util.arrayFromVolume(parameters.inputVolume) * parameters.factor
        parameters.outputVolume = slicer.util.addVolumeFromArray(array, name="Halved")
        parameters.history.append("done")


class DummyTest(ScriptedLoadableModuleTest):
    def setUp(self):
        slicer.mrmlScene.Clear()

    def test_process(self):
        import SampleData

        node = SampleData.downloadSample("DummySample")
        self.assertEqual(slicer.util.arrayFromVolume(node).sum(), 351)
"""

_WIDGETS = """
   <widget class="ctkCollapsibleButton" name="inputs"><property name="text"><string>Inputs</string></property>
    <layout class="QFormLayout" name="form">
     <item row="0" column="0"><widget class="QLabel" name="l0"><property name="text"><string>Input volume:</string></property></widget></item>
     <item row="0" column="1"><widget class="qMRMLNodeComboBox" name="inputSelector">
      <property name="toolTip"><string>Pick the input.</string></property>
      <property name="nodeTypes"><stringlist notr="true"><string>vtkMRMLScalarVolumeNode</string></stringlist></property>
      <property name="addEnabled"><bool>false</bool></property>
      <property name="SlicerParameterName" stdset="0"><string>inputVolume</string></property></widget></item>
     <item row="1" column="0"><widget class="QLabel" name="l1"><property name="text"><string>Output volume:</string></property></widget></item>
     <item row="1" column="1"><widget class="qMRMLNodeComboBox" name="outputSelector">
      <property name="noneEnabled"><bool>true</bool></property>
      <property name="SlicerParameterName" stdset="0"><string>outputVolume</string></property></widget></item>
     <item row="2" column="0"><widget class="QLabel" name="l2"><property name="text"><string>Factor:</string></property></widget></item>
     <item row="2" column="1"><widget class="ctkSliderWidget" name="factor">
      <property name="SlicerParameterName" stdset="0"><string>factor</string></property></widget></item>
     <item row="3" column="0"><widget class="QLabel" name="l3"><property name="text"><string>Steps:</string></property></widget></item>
     <item row="3" column="1"><widget class="QSpinBox" name="steps">
      <property name="SlicerParameterName" stdset="0"><string>steps</string></property></widget></item>
     <item row="4" column="1"><widget class="QCheckBox" name="invert"><property name="text"><string>Invert</string></property>
      <property name="SlicerParameterName" stdset="0"><string>invert</string></property></widget></item>
     <item row="5" column="1"><widget class="QComboBox" name="method">
      <property name="SlicerParameterName" stdset="0"><string>method</string></property></widget></item>
     <item row="6" column="1"><widget class="QComboBox" name="speed">
      <property name="SlicerParameterName" stdset="0"><string>speed</string></property></widget></item>
     <item row="7" column="1"><widget class="QLineEdit" name="note">
      <property name="SlicerParameterName" stdset="0"><string>note</string></property></widget></item>
     <item row="8" column="1"><widget class="ctkRangeWidget" name="range"/></item>
     <item row="9" column="1"><widget class="ctkPathLineEdit" name="path">
      <property name="filters"><set>ctkPathLineEdit::Dirs</set></property></widget></item>
    </layout></widget>
   <widget class="ctkCollapsibleButton" name="advanced"><property name="text"><string>Advanced</string></property>
    <property name="collapsed"><bool>true</bool></property>
    <layout class="QVBoxLayout" name="v2"><item><widget class="QCheckBox" name="hiddenBox"/></item></layout></widget>
   <widget class="QPushButton" name="applyButton"><property name="enabled"><bool>false</bool></property>
    <property name="text"><string>Apply</string></property></widget>
"""


def ui():
    """The form: the widgets above in a column, connected to the scene as Designer writes it."""
    import re

    starts = [m.start() for m in re.finditer(r"^   <widget", _WIDGETS, re.M)] + [len(_WIDGETS)]
    items = "".join(f"<item>{_WIDGETS[a:b]}</item>" for a, b in zip(starts, starts[1:], strict=False))
    connections = "".join(
        f"<connection><sender>Dummy</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal><receiver>{name}</receiver>"
        "<slot>setMRMLScene(vtkMRMLScene*)</slot></connection>"
        for name in ("inputSelector", "outputSelector")
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ui version="4.0"><class>Dummy</class>'
        f'<widget class="qMRMLWidget" name="Dummy"><layout class="QVBoxLayout" name="column">{items}'
        '<item><spacer name="s"><property name="orientation"><enum>Qt::Vertical</enum></property>'
        '<property name="sizeHint" stdset="0"><size><width>20</width><height>40</height></size></property></spacer></item>'
        f"</layout></widget><connections>{connections}</connections></ui>"
    )


def write(folder):
    """-> the path of the module's .py"""
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "Resources" / "UI" / "Dummy.ui").write_text(ui(), encoding="utf-8")
    (folder / "Dummy.py").write_text(SOURCE, encoding="utf-8")
    return folder / "Dummy.py"
