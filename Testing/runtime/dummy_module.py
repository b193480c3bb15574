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
        category="Dummy", sampleName="DummySample", uris="", fileNames="x", nodeNames="DummySample",
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
            named = {w.property("SlicerParameterName"): w for w in vars(self.ui).values()}
            self._tag = node.connectParametersToGui({name: w for name, w in named.items() if name})
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
        node = slicer.util.addVolumeFromArray(vtkArray())
        self.assertEqual(slicer.util.arrayFromVolume(node).sum(), 351)
"""

_ROWS = [  # label, class, name, SlicerParameterName, further properties
    (
        "Input volume:",
        "qMRMLNodeComboBox",
        "inputSelector",
        "inputVolume",
        {"addEnabled": "<bool>false</bool>"},
    ),
    (
        "Output volume:",
        "qMRMLNodeComboBox",
        "outputSelector",
        "outputVolume",
        {"noneEnabled": "<bool>true</bool>"},
    ),
    ("Factor:", "ctkSliderWidget", "factor", "factor", {"singleStep": "<double>0.01</double>"}),
    ("Steps:", "QSpinBox", "steps", "steps", {}),
    ("", "QCheckBox", "invert", "invert", {"text": "<string>Invert</string>"}),
    ("Method:", "QComboBox", "method", "method", {}),
    ("Speed:", "QComboBox", "speed", "speed", {"toolTip": "<string>How fast</string>"}),
    ("Note:", "QLineEdit", "note", "note", {}),
    ("Range:", "ctkRangeWidget", "range", "", {"maximum": "<double>10.0</double>"}),
    ("Path:", "ctkPathLineEdit", "path", "", {"filters": "<set>ctkPathLineEdit::Dirs</set>"}),
]


def _widget(cls, name, properties, content="", parameter=""):
    entries = "".join(f'<property name="{key}">{value}</property>' for key, value in properties.items())
    if parameter:
        entries += f'<property name="SlicerParameterName" stdset="0"><string>{parameter}</string></property>'
    return f'<widget class="{cls}" name="{name}">{entries}{content}</widget>'


def _form():
    items = ""
    for row, (label, cls, name, parameter, properties) in enumerate(_ROWS):
        text = _widget("QLabel", f"label{row}", {"text": f"<string>{label}</string>"})
        field = _widget(cls, name, properties, parameter=parameter)
        items += f'<item row="{row}" column="0">{text}</item><item row="{row}" column="1">{field}</item>'
    return f'<layout class="QFormLayout" name="form">{items}</layout>'


def ui():
    """The form: two sections and a button, connected to the scene as Designer writes it."""
    box = _widget("QCheckBox", "hiddenBox", {})
    inside = f'<layout class="QVBoxLayout" name="inner"><item>{box}</item></layout>'
    closed = {"text": "<string>Advanced</string>", "collapsed": "<bool>true</bool>"}
    parts = [
        _widget("ctkCollapsibleButton", "inputs", {"text": "<string>Inputs</string>"}, _form()),
        _widget("ctkCollapsibleButton", "advanced", closed, inside),
        _widget("QPushButton", "applyButton", {"text": "<string>Apply</string>"}),
        '<spacer name="s"><property name="orientation"><enum>Qt::Vertical</enum></property></spacer>',
    ]
    items = "".join(f"<item>{part}</item>" for part in parts)
    connections = "".join(
        f"<connection><sender>Dummy</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>"
        f"<receiver>{name}</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot></connection>"
        for name in ("inputSelector", "outputSelector")
    )
    root = _widget("qMRMLWidget", "Dummy", {}, f'<layout class="QVBoxLayout" name="column">{items}</layout>')
    return f'<ui version="4.0"><class>Dummy</class>{root}<connections>{connections}</connections></ui>'


def write(folder):
    """-> the path of the module's .py"""
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "Resources" / "UI" / "Dummy.ui").write_text(ui(), encoding="utf-8")
    (folder / "Dummy.py").write_text(SOURCE, encoding="utf-8")
    return folder / "Dummy.py"
