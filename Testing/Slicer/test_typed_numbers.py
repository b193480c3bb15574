"""A number that is typed key by key is the number that the parameter becomes, in every box of both panels."""

import pytest
import qt
import slicer
from PySide6 import QtCore, QtTest, QtWidgets
from registering import register

WHOLE = ("16", "1000")
DECIMAL = ("0.03", "0.25", "1.5")


@pytest.fixture
def locale():
    """locale(name): the boxes take their numbers as people with it write them."""
    boxes = []

    def use(box, name):
        boxes.append((box, box.locale))
        box.setLocale(QtCore.QLocale(name))

    yield use
    for box, former in boxes:
        box.setLocale(former)


def numberBoxes(widget):
    """(box, its parameter) of a panel."""
    boxes = [w for w in vars(widget.ui).values() if isinstance(w, QtWidgets.QAbstractSpinBox)]
    return [
        (box, box.property("SlicerParameterName")) for box in boxes if box.property("SlicerParameterName")
    ]


def typeInto(box, text):
    """Over what is there, key by key, without leaving the box."""
    box.setFocus()
    box.selectAll()
    QtTest.QTest.keyClicks(box, text)


def fits(box, text):
    whole = isinstance(box, qt.QSpinBox)
    return box.minimum <= float(text) <= box.maximum and (
        whole or round(float(text), box.decimals) == float(text)
    )


@pytest.mark.parametrize("name", ["HetRegUncertainty", "HetRegTraining"])
def test_parameterIsTheTypedNumber(panel, training, name):
    widget, typed, wrong = slicer.util.getModuleWidget(name), 0, []
    slicer.util.selectModule(name)
    p = widget.logic.getParameterNode()
    if name == "HetRegUncertainty":
        p.refine = True
    for box, parameter in numberBoxes(widget):
        former = getattr(p, parameter)
        for text in WHOLE if isinstance(box, qt.QSpinBox) else DECIMAL:
            if fits(box, text):
                typeInto(box, text)
                typed += 1
                if getattr(p, parameter) != float(text) or box.value != float(text):
                    wrong.append((parameter, text, getattr(p, parameter), box.text))
        setattr(p, parameter, former)
    assert typed >= (2 if name == "HetRegUncertainty" else 35)
    assert wrong == []


def test_startTakesWhatWasJustTyped(training, monkeypatch):
    configs = []
    monkeypatch.setattr(training.logic, "writeConfig", lambda config, name: configs.append(config) or "")
    monkeypatch.setattr(training.section, "start", lambda *_arguments: None)
    monkeypatch.setattr(training.dataCheck, "start", lambda _file: None)
    typeInto(training.ui.smoothnessWidget, "0.03")
    training.ui.startButton.click()  # as on macOS, where a button takes no focus
    typeInto(training.ui.phantomsSpinBox, "77")
    training.ui.checkButton.click()
    assert (configs[0].smoothness, configs[1].phantoms) == (0.03, 77)


def test_registerTakesWhatWasJustTyped(panel, smallPair, monkeypatch):
    configs = []
    monkeypatch.setattr(
        panel.logic,
        "register",
        lambda *_images, config, **_options: configs.append(config) or {"transform": None},
    )
    monkeypatch.setattr(panel, "_showNewResult", lambda: None)
    monkeypatch.setattr("HetRegUncertaintyLib.results.secondsOf", lambda _node: 0.0)
    panel.logic.getParameterNode().refine = True
    typeInto(panel.ui.refineSpinBox, "12")
    panel._register(panel.logic.getParameterNode())
    assert configs[0].refine == 12


def test_sameValueFromElsewhereIsShown(training):
    p, box = training.logic.getParameterNode(), training.ui.smoothnessWidget
    typeInto(box, "0.03")
    p.smoothness = 0.25
    assert box.value == 0.25


@pytest.mark.parametrize("text", ["1,5", "1.5"])
def test_commaIsTheDecimalPointInSlidersToo(panel, text):
    slider = panel.ui.gammaSlider
    box = slider.findChild(QtWidgets.QDoubleSpinBox)
    typeInto(box, text)
    QtTest.QTest.keyClick(box, QtCore.Qt.Key.Key_Return)
    assert slider.value == panel.logic.getParameterNode().gamma == 1.5


@pytest.mark.parametrize("name", ["windowRangeWidget", "thresholdRangeWidget"])
def test_commaIsTheDecimalPointInRangesToo(panel, smallPair, name):
    """They belong to no parameter."""
    register(panel)
    sliders = getattr(panel.ui, name)
    low, _high = sliders.findChildren(QtWidgets.QDoubleSpinBox)
    typed = f"{0.5 * sliders.maximumValue:.2f}"
    typeInto(low, typed.replace(".", ","))
    QtTest.QTest.keyClick(low, QtCore.Qt.Key.Key_Return)
    assert sliders.minimumValue == float(typed) > 0.0


def test_shortcutIsNoDecimalPoint(training):
    box = training.ui.smoothnessWidget
    box.value = 0.03
    before = box.text
    box.selectAll()
    QtTest.QTest.keyClick(box, ",", QtCore.Qt.KeyboardModifier.ControlModifier)
    assert box.text == before


@pytest.mark.parametrize(
    ("name", "text"), [("C", "0,03"), ("C", "0.03"), ("de_DE", "0.03"), ("de_DE", "0,03")]
)
@pytest.mark.parametrize("widget", ["smoothnessWidget", "learningRateSpinBox"])
def test_commaAndPointAreTheDecimalPoint(training, locale, widget, name, text):
    box = getattr(training.ui, widget)
    locale(box, name)
    typeInto(box, text)
    assert box.value == 0.03
    assert box.cleanText.count("0") >= 2
