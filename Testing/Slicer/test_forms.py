"""Both forms: what a screen reader says, what a translator is offered, what grows with the font; colours."""

import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from HetRegUncertaintyLib import deformation, results, sampledata
from HetRegUncertaintyLib.parameters import outputParameter

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("HetRegUncertainty", "HetRegTraining")
NOT_WORDS = {"SlicerParameterName", "nodeTypes", "settingKey"}


def form(module):
    return ET.parse(ROOT / module / "Resources" / "UI" / f"{module}.ui").getroot()


@pytest.mark.parametrize("module", MODULES)
def test_onlyWordsAreTranslated(module):
    """A translated name of a parameter would keep the panel from opening."""
    offered = [
        "".join(entry.itertext()).strip()
        for entry in form(module).iter("property")
        if entry.get("name") in NOT_WORDS and entry[0].get("notr") != "true"
    ]
    assert offered == []


def test_everyOutputIsInTheRowOfItsName():
    labels, parameters = {}, {}
    for widget in form("HetRegUncertainty").iter("widget"):
        labels[widget.findtext("property[@name='buddy']/cstring")] = widget.findtext(
            "property[@name='text']/string"
        )
        parameters[widget.get("name")] = widget.findtext("property[@name='SlicerParameterName']/string")
    for role in results.OUTPUTS:
        name = role.removesuffix("_mm")
        selector = outputParameter(name) + "Selector"
        assert parameters[selector] == outputParameter(role)
        words = "moved image" if name == "moved" else name.replace("_", " ")
        assert labels[selector].lower().replace("-", " ") == f"{words}:"


@pytest.mark.parametrize("module", MODULES)
def test_noButtonHasAFixedWidth(module):
    for button in form(module).iter("widget"):
        names = {entry.get("name") for entry in button.findall("property")}
        assert button.get("class") != "QPushButton" or "maximumSize" not in names, button.get("name")


def test_longTextsOfMenusDoNotWidenThePanel(training):
    """It is cut off by the scroll bar otherwise."""
    for module in MODULES:
        ui = slicer.util.getModuleWidget(module).ui
        names = [e.get("name") for e in form(module).iter("widget") if e.get("class") == "QComboBox"]
        widths = {getattr(ui, name).minimumSizeHint().width() for name in names}
        assert len(widths) == 1, (names, widths)


@pytest.mark.parametrize("module", MODULES)
def test_everythingThatTakesKeysHasAName(training, module):
    """Also what lies in the selectors, sliders and fields of Slicer and CTK."""
    slicer.util.selectModule(module)
    nameless = []
    for widget in slicer.util.getModuleWidget(module).parent.findChildren(QtWidgets.QWidget):
        spoken = QtGui.QAccessible.queryAccessibleInterface(widget).text(QtGui.QAccessible.Text.Name)
        takesKeys = widget.focusPolicy & QtCore.Qt.FocusPolicy.TabFocus and widget.focusProxy() is None
        isMenu = isinstance(widget, QtWidgets.QListView)  # of a combo box: made when it opens
        if takesKeys and not isMenu and not re.search(r"\w{2}", spoken):
            nameless.append((type(widget).__name__, widget.objectName))
    assert nameless == []


def test_everyLabelSaysWhatItIsOf(training):
    """Only then clicks and screen readers find the row."""
    for module in MODULES:
        ui = slicer.util.getModuleWidget(module).ui
        labels = [e for e in form(module).iter("widget") if e.get("class") == "QLabel"]
        texts = {e.get("name"): e.findtext("property[@name='text']/string") or "" for e in labels}
        for name in (name for name, text in texts.items() if text.endswith(":")):
            assert getattr(ui, name).buddy() is not None, name


def test_helpOfTheMethodIsReadable(training):
    assert training.ui.methodHelpLabel.enabled


def test_tablesShowAsManyRowsWithAnyFont(training):
    table = training.ui.pairsTable
    assert table.minimumHeight == table.maximumHeight == 7 * table.verticalHeader().defaultSectionSize


def test_contoursOfTheExampleHaveNoColorOfTheDeformation():
    """They could not be told from its grid."""
    lines = [line for _share, line in deformation.SCALE]
    assert min(math.dist(segment, line) for segment in sampledata.COLORS.values() for line in lines) > 0.4
