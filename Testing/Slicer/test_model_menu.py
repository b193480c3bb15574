"""The model menu and its field for a weight file follow the model of the scene, wherever that is set."""

import slicer


def shownIn(ui):
    """(entry of the menu, is the field there, is its label there, path in the field)."""
    field, label = ui.weightFileEdit, ui.weightFileLabel
    return ui.modelComboBox.currentText, field.visible, label.visible, field.currentPath


def test_theModelOfASceneIsShown(panel, smallPair, plainModel, uncertainModel, tmp_path):
    """A path, another one, one of a scene that is loaded, a name: and registering takes what is shown."""
    p, ui = panel.logic.getParameterNode(), panel.ui
    for path in (plainModel, uncertainModel):
        p.model = path
        assert shownIn(ui) == ("From a weight file...", True, True, path)
    scene = str(tmp_path / "scene.mrml")
    slicer.util.saveScene(scene)
    p.model = plainModel
    slicer.mrmlScene.Clear()
    assert shownIn(ui)[:3] == ("Automatic", False, False)
    slicer.util.loadScene(scene)
    p = panel.logic.getParameterNode()
    assert p.model == uncertainModel
    assert shownIn(ui) == ("From a weight file...", True, True, uncertainModel)
    ui.spacingSlider.value = 5.0
    assert p.model == uncertainModel
    ui.modelComboBox.setCurrentIndex(0)
    assert p.model == "auto"
    assert shownIn(ui) == ("Automatic", False, False, uncertainModel)
    ui.modelComboBox.setCurrentIndex(ui.modelComboBox.count - 1)
    assert p.model == uncertainModel
    assert shownIn(ui) == ("From a weight file...", True, True, uncertainModel)
