"""Panels and parameter nodes: what was chosen stays chosen, whatever connects, leaves and comes back."""

from enum import Enum

import pytest
import slicer

MODULES = ("HetRegUncertainty", "HetRegTraining")


@pytest.fixture(params=MODULES)
def widget(request, panel):
    """A panel of each module, selected."""
    if request.param == "HetRegTraining":
        request.getfixturevalue("training")
    return slicer.util.getModuleWidget(request.param)


def choices(parameters):
    """{parameter: choice} of the menus."""
    kinds = parameters.allParameters
    values = {name: getattr(parameters, name) for name in kinds}
    return {name: value for name, value in values.items() if isinstance(value, Enum)}


def chooseLast(parameters):
    """Choose in each menu its last entry; returns the choices."""
    for name, value in choices(parameters).items():
        setattr(parameters, name, list(type(value))[-1])
    return choices(parameters)


def leaveAndReturn(widget):
    name = widget.moduleName
    slicer.util.selectModule(next(other for other in MODULES if other != name))
    slicer.util.selectModule(name)


def test_menusKeepTheirChoices(widget, training):
    slicer.util.selectModule(widget.moduleName)
    p = widget.logic.getParameterNode()
    chosen = chooseLast(p)
    assert len(chosen) >= 5
    leaveAndReturn(widget)
    assert choices(p) == chosen
    menu = widget.ui.deviceComboBox
    assert menu.currentIndex == menu.count - 1
    menu.setCurrentIndex(1)
    assert list(type(p.device)).index(p.device) == 1


def test_firstOpeningLeavesTheDefaults(widget):
    """setup() and enter() follow each other."""
    kind = type(widget.logic.getParameterNode())
    defaults = {name: kind.allParameters[name].default for name in choices(widget.logic.getParameterNode())}
    slicer.mrmlScene.Clear(0)
    second = another(widget)
    second.enter()
    assert choices(second.logic.getParameterNode()) == defaults
    second.cleanup()


def another(widget):
    """A second panel of the same module."""
    second = type(widget)(slicer.qSlicerScriptedLoadableModuleWidget(widget.moduleName, None))
    second.setup()
    return second


def test_defaultsAfterClosingTheScene(widget):
    p = widget.logic.getParameterNode()
    defaults = choices(p)
    chooseLast(p)
    slicer.mrmlScene.Clear(0)
    assert choices(widget.logic.getParameterNode()) == defaults
    menu = widget.ui.deviceComboBox
    assert menu.currentIndex == list(type(defaults["device"])).index(defaults["device"])
    menu.setCurrentIndex(2)
    assert choices(widget.logic.getParameterNode())["device"] is list(type(defaults["device"]))[2]


def test_oneConnectionForEachNode(widget, training, monkeypatch):
    """In many releases each connection leaves an observer in the node, and each wrapper one per parameter."""
    slicer.util.selectModule(widget.moduleName)
    p, made = widget.logic.getParameterNode(), []
    monkeypatch.setattr(type(p), "connectParametersToGui", lambda *_: made.append(1))
    for _i in range(3):
        leaveAndReturn(widget)
    assert made == []
    assert widget.logic.getParameterNode() is p


def test_nothingIsTouchedWhenTheWindowsAreGone(widget):
    """Slicer cleans its modules up after the windows: the panels let go when Slicer is about to quit."""
    second = another(widget)
    assert slicer.app.disconnect("aboutToQuit()", second.cleanup)
    second.cleanup()
    kept, menu = second.ui.deviceComboBox.currentIndex, second.ui.deviceComboBox
    parts = (
        second,
        getattr(second, "section", None),
        getattr(second, "evaluation", None),
        second.dependencyCard,
    )
    for part in [part for part in parts if part]:
        part.ui = Gone()
    second.cleanup()
    chooseLast(second.logic.getParameterNode())
    assert menu.currentIndex == kept


class Gone:
    """Widgets that were destroyed."""

    def __getattr__(self, name):
        raise ValueError(f"{name} was destroyed")
