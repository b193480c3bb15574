"""Tests of the stand-in's widgets and of its parameter node."""

import enum
from types import SimpleNamespace
from typing import Annotated, Optional, Union

import ctk
import pytest
import qt
import slicer
from slicer.parameterNodeWrapper import Choice, Default, FloatRange, WithinRange, parameterNodeWrapper

from runtime.standin import NotInStandIn


def volume(name="Volume"):
    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


# --- widgets
def test_node_combo_box_follows_the_scene():
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.noneEnabled = True
    changes = []
    box.connect("currentNodeChanged(vtkMRMLNode*)", changes.append)
    box.connect("currentNodeIDChanged(QString)", changes.append)
    box.setMRMLScene(slicer.mrmlScene)
    node = volume("A")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode")
    assert (box.nodeCount(), box.currentNode()) == (1, None)
    box.setCurrentNode(node)
    assert changes == [node, node.GetID()]
    node.SetName("B")
    assert box._box.currentText == "B"
    node.SetHideFromEditors(True)
    assert box.nodeCount() == 0
    node.SetHideFromEditors(False)
    box.setCurrentNodeID(node.GetID())
    slicer.mrmlScene.RemoveNode(node)
    assert box.currentNode() is None
    added = box.addNode()
    assert box.currentNode() is added
    assert added.IsA("vtkMRMLScalarVolumeNode")


def test_node_combo_box_without_none_takes_the_first_node():
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.setMRMLScene(slicer.mrmlScene)
    first, second = volume("A"), volume("B")
    assert box.currentNode() is first
    slicer.mrmlScene.RemoveNode(first)
    assert box.currentNode() is second
    box.setCurrentNode(None)
    assert box.currentNode() is None


def test_node_combo_box_takes_the_next_node_for_one_that_is_removed():
    """As Qt's combo box does, also where none may be chosen."""
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.noneEnabled = True
    box.setMRMLScene(slicer.mrmlScene)
    first, second, third = (volume(name) for name in "ABC")
    box.setCurrentNode(second)
    for removed, taken in ((second, third), (third, first), (first, None)):
        slicer.mrmlScene.RemoveNode(removed)
        assert box.currentNode() is taken


def test_label_maps_are_child_types():
    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    box.setMRMLScene(slicer.mrmlScene)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert box.nodeCount() == 1
    box.showChildNodeTypes = False
    assert box.nodeCount() == 0


def test_range_widget_keeps_its_order():
    widget, heard = ctk.ctkRangeWidget(), []
    widget.connect("valuesChanged(double,double)", lambda low, high: heard.append((low, high)))
    widget.minimum, widget.maximum = 0.0, 10.0
    widget.setValues(2, 5)
    assert heard[-1] == (2, 5)
    widget.minimumValue = 7
    assert (widget.minimumValue, widget.maximumValue) == (5, 5)
    widget.setValues(7, 9)  # the lower one first, and it is still bounded by the former upper one
    assert (widget.minimumValue, widget.maximumValue) == (5, 9)


def test_range_widget_refuses_a_step_beyond_its_range():
    widget = ctk.ctkRangeWidget()
    widget.setRange(0.0, 0.1)
    widget.singleStep = 0.05
    widget.singleStep = 0.5
    assert widget.singleStep == 0.05
    widget.setRange(0.0, 100.0)
    widget.singleStep = 0.5
    assert widget.singleStep == 0.5


def test_collapsed_section_hides_what_is_in_it(dummy):
    assert not dummy.ui.hiddenBox.visible
    dummy.ui.advanced.collapsed = False
    assert dummy.ui.hiddenBox.visible
    dummy.ui.advanced.collapsed = True
    assert not dummy.ui.hiddenBox.visible


# --- the parameter node
class Kind(enum.Enum):
    ONE = 1
    TWO = 2


def test_what_is_shown_in_a_closed_section_waits_for_its_opening():
    """As in CTK: at once, not when the events are worked off."""
    parent = qt.QWidget()
    section = ctk.ctkCollapsibleButton("Section", parent)
    rows = [qt.QLabel("row", section) for _ in range(3)]
    rows[1].setVisible(False)
    parent.show()
    section.collapsed = True
    assert [row.visible for row in rows] == [False] * 3
    rows[1].setVisible(True)
    rows[2].setVisible(True)
    rows[2].setVisible(False)
    assert [row.visible for row in rows] == [False] * 3
    section.collapsed = False
    assert [row.visible for row in rows] == [True, True, False]


def test_parameters_are_checked_and_kept():
    @parameterNodeWrapper
    class Parameters:
        node: slicer.vtkMRMLScalarVolumeNode
        other: Optional[slicer.vtkMRMLScalarVolumeNode]  # noqa: UP045 (Slicer refuses X | None)
        number: Annotated[float, WithinRange(0, 1)] = 0.5
        count: Annotated[int, Choice([1, 2, 4])] = 2
        kind: Kind
        names: dict[str, int]
        range: Annotated[FloatRange, Default(FloatRange(1, 2))]
        maybe: Optional[int]  # noqa: UP045

    raw = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    parameters = Parameters(raw)
    assert (parameters.number, parameters.count, parameters.kind, parameters.node) == (0.5, 2, Kind.ONE, None)
    parameters.names["a"] = 3
    parameters.kind, parameters.range, parameters.maybe = Kind.TWO, FloatRange(3, 4), 5
    again = Parameters(raw)
    assert (dict(again.names), again.kind, again.range, again.maybe) == (
        {"a": 3},
        Kind.TWO,
        FloatRange(3, 4),
        5,
    )
    for name, wrong in (("number", 2.0), ("count", 3), ("kind", "ONE"), ("number", "x"), ("node", raw)):
        with pytest.raises((TypeError, ValueError)):
            setattr(parameters, name, wrong)
    raw.SetParameter("kind", "ONE")
    assert parameters.kind is Kind.ONE


def test_parameter_types_that_slicer_refuses_are_refused():
    class Parameters:
        value: int | None

    with pytest.raises(NotInStandIn):
        parameterNodeWrapper(Parameters)


def test_disconnected_widgets_leave_the_parameters_alone(dummy):
    parameters = dummy._parameterNode
    parameters.disconnectGui(dummy._tag)
    dummy.ui.steps.value = 55
    assert parameters.steps == 7
    dummy._tag = parameters.connectParametersToGui({"steps": dummy.ui.steps})
    assert dummy.ui.steps.value == 7
    parameters.steps = 9
    assert dummy.ui.steps.value == 9


def test_a_second_connection_resets_menus_as_in_slicer():
    @parameterNodeWrapper
    class Parameters:
        kind: Kind = Kind.TWO

    menu = qt.QComboBox()
    menu.setProperty("SlicerParameterName", "kind")
    parameters = Parameters(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    assert parameters.connectGui(SimpleNamespace(menu=menu)) is None
    assert parameters.kind is Kind.TWO
    parameters.connectGui(SimpleNamespace(menu=menu))
    assert parameters.kind is Kind.ONE


def test_values_are_kept_until_the_node_has_changed():
    @parameterNodeWrapper
    class Parameters:
        kind: Kind = Kind.TWO
        node: slicer.vtkMRMLScalarVolumeNode

    raw, node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"), volume()
    parameters = Parameters(raw)
    with slicer.util.NodeModify(raw):
        raw.SetParameter("kind", "ONE")
        raw.SetNodeReferenceID("node", node.GetID())
        assert (parameters.kind, parameters.node) == (Kind.TWO, None)
    assert (parameters.kind, parameters.node) == (Kind.ONE, node)


def test_a_union_is_stored_under_the_index_of_its_type_as_in_slicer():
    @parameterNodeWrapper
    class Parameters:
        labels: Union[slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLLabelMapVolumeNode, None]  # noqa: UP007
        maybe: Optional[int]  # noqa: UP045

    def stored():
        return {name: raw.GetParameter(name) for name in raw.GetParameterNames()}

    raw, node = (
        slicer.mrmlScene.AddNewNodeByClass(name)
        for name in ("vtkMRMLScriptedModuleNode", "vtkMRMLLabelMapVolumeNode")
    )
    parameters = Parameters(raw)
    assert stored() == {"labels_2": "True", "maybe_1": "True"}
    parameters.labels, parameters.maybe = node, 0
    assert stored() == {"labels_1": "", "maybe_0": "0"}
    assert raw.GetNodeReferenceID("labels_1") == node.GetID()
    assert (parameters.labels, Parameters(raw).maybe) == (node, 0)
    for name, wrong in (("labels", volume()), ("labels", raw), ("maybe", "x"), ("maybe", 0.5)):
        with pytest.raises(TypeError):
            setattr(parameters, name, wrong)
    assert stored() == {"labels_1": "", "maybe_0": "0"}
    parameters.labels = parameters.maybe = None
    assert stored() == {"labels_2": "True", "maybe_1": "True"}
    assert raw.GetNodeReferenceID("labels_1") is None
