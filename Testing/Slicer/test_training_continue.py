"""Continue in the panel of HetRegTraining: a run goes on with its own settings, not with the form's."""

import json
from pathlib import Path

import pytest
import slicer

from hetreg.config import TrainConfig
from HetRegUncertaintyLib.trainingparameters import Dataset, Device, LengthUnit, Method, NetworkSize
from runtime import wait

RUN = {"size": "tiny", "steps": 1000, "batch": 4, "method": "beta_nll", "beta": 0.25, "device": "cpu"}


def at(folder, step):
    """Give the run in a folder a checkpoint as the trainer writes it."""
    import torch

    from hetreg.config import NetworkConfig
    from hetreg.model import RegistrationModel
    from hetreg.training.checkpoint import save_checkpoint

    shape = {"encoder": (4, 8), "decoder": (8, 4), "tail": (4,)}
    model = RegistrationModel(NetworkConfig(**shape))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser = torch.optim.Adam(model.parameters())
    optimiser.step()
    save_checkpoint(Path(folder, "last.ckpt"), model, {"both": optimiser}, {"step": step, "best": 0.5})


@pytest.fixture
def stopped(tmp_path):
    """stopped(name, **settings): the folder of a run that can be continued."""

    def make(name="old", **values):
        folder = tmp_path / name
        folder.mkdir()
        TrainConfig(**(values or RUN)).save(folder / "config.json")
        (folder / "last.ckpt").write_text("12")
        return str(folder)

    return make


def sent():
    """The configuration with which the panel started the trainer last."""
    return TrainConfig.load(slicer.modules.HetRegTrainingWidget.section.run.configFile)


def run(training):
    training.ui.startButton.click()
    wait(lambda: not training.section.running)


def test_theFormTakesOverTheSettingsOfTheRun(training, fake, stopped):
    ui, p = training.ui, training.logic.getParameterNode()
    p.networkSize, p.gamma, p.crop = NetworkSize("small"), 1.5, 96
    ui.outputFolderEdit.currentPath = stopped()
    assert (ui.startButton.text, ui.startButton.enabled) == ("Continue", True)
    assert ui.networkSizeComboBox.currentText == NetworkSize("tiny").label()
    assert ui.methodComboBox.currentText == Method("beta_nll").label()
    assert (ui.lengthSpinBox.value, ui.lengthUnitComboBox.currentText) == (1000, LengthUnit.STEPS.label())
    assert (ui.batchSpinBox.value, ui.betaWidget.value, ui.cropSpinBox.value) == (4, 0.25, 0)
    run(training)
    assert sent() == TrainConfig(**RUN)
    assert training.section.run.curves.steps[0] == 13


def test_everySettingIsTakenOver(training, stopped, fake):
    """Each to another value than the form has by itself."""
    values = TrainConfig(
        dataset="acdc+phantom", root="/data/acdc", kind="echo2d_sax", network="pyramid", size="small",
        variance_residual=True, integrate="yes", method="ours", weight_mode="paper", gamma=0.75, beta=0.25,
        smoothness=0.0123, smoothness_on="velocity", blind_spots=0.1, bidirectional=True, epochs=7,
        steps_per_epoch=30, warmup=3, variance_warmup=5, batch=6, accumulate=3, clip=1.5, crop=96,
        learning_rate=0.00012345678, decay="poly", extra_noise=0.05, stretch=0.5, wide_augment=True,
        real_share=0.25, start="/a.pt", phantoms=50, validate_every=9, seed=11, device="cpu",
        split="/split.json", cache=True,
    )  # fmt: skip
    training.ui.outputFolderEdit.currentPath = stopped(**values.to_dict())
    assert training.ui.startButton.enabled, training.ui.startButton.toolTip
    run(training)
    assert sent() == values


def test_whatMayChangeIsChanged(training, fake, stopped):
    ui, p = training.ui, training.logic.getParameterNode()
    ui.outputFolderEdit.currentPath = stopped(**RUN, workers=2)
    ui.lengthSpinBox.value = 2000
    p.device = Device.AUTO
    ui.validateEverySpinBox.value = 50
    assert ui.startButton.enabled
    run(training)
    expected = RUN | {"steps": 2000, "device": "auto", "validate_every": 50, "workers": 2}
    assert sent() == TrainConfig(**expected)
    p.lengthUnit, p.length = LengthUnit.EPOCHS, 30
    run(training)
    assert sent() == TrainConfig(**expected | {"epochs": 30})
    assert sent().total_steps == 3000


def test_allThatMayNotDifferIsSaidAtOnce(training, stopped):
    ui, p = training.ui, training.logic.getParameterNode()
    ui.outputFolderEdit.currentPath = stopped()
    p.networkSize, p.method = NetworkSize("paper"), Method("ours")
    ui.batchSpinBox.value = 8
    ui.augmentCheckBox.checked = False
    assert not ui.startButton.enabled
    text = ui.statusLabel.text
    assert text.startswith("The run in old was started with ")
    tiny, paper = NetworkSize("tiny").label(), NetworkSize("paper").label()
    assert f"Size '{tiny}', not '{paper}'; Method " in text
    assert "Pairs per batch 4, not 8" in text
    assert f"{ui.augmentCheckBox.text} yes, not no" in text
    assert "or click New" in text
    p.networkSize, p.method, p.batch, p.augment = NetworkSize("tiny"), Method("beta_nll"), 4, True
    assert ui.startButton.enabled
    p.dataset, p.folder, p.addPhantoms = Dataset("pairs"), "/data", True
    assert f"Data '{Dataset('phantom').label()}', not '{Dataset('pairs').label()}'" in ui.statusLabel.text
    ui.newFolderButton.click()
    assert ui.startButton.enabled


def test_aRunThatIsLongEnoughDoesNotGoOn(training, fake, stopped):
    ui, folder = training.ui, stopped()
    at(folder, 54)
    before = Path(folder, "config.json").read_bytes()
    ui.outputFolderEdit.currentPath = folder
    assert (ui.startButton.text, ui.startButton.enabled) == ("Continue", True)
    for length in (40, 54):
        ui.lengthSpinBox.value = length
        assert not ui.startButton.enabled
        assert ui.startButton.toolTip == "The run is already at step 54: raise Length to continue."
        assert ui.statusLabel.text == ui.startButton.toolTip
    training.onStart()
    assert not training.section.running
    assert Path(folder, "config.json").read_bytes() == before
    ui.lengthSpinBox.value = 55
    assert ui.startButton.enabled
    assert ui.statusLabel.text == ""


def test_afterItsEndARunSaysThatItIsFinished(training, fake, stopped):
    ui, folder = training.ui, stopped(**RUN | {"steps": 40})
    ui.outputFolderEdit.currentPath = folder
    ui.startButton.click()
    wait(lambda: training.section.run.curves.steps)
    at(folder, 40)  # the fake one writes none
    wait(lambda: not training.section.running)
    assert ui.statusLabel.text == "Finished."
    assert not ui.startButton.enabled
    assert "already at step 40" in ui.startButton.toolTip
    ui.lengthSpinBox.value = 30
    assert ui.statusLabel.text == "The run is already at step 40: raise Length to continue."


def test_whatIsSaidOfAStopEndsWithALengthThatIsReached(training, fake):
    ui, p = training.ui, training.logic.getParameterNode()
    p.lengthUnit, p.length = LengthUnit.STEPS, 4000
    fake("long")
    ui.startButton.click()
    wait(lambda: len(training.section.run.curves.steps) > 2)
    ui.stopButton.click()
    wait(lambda: not training.section.running)
    assert "Continue resumes" in ui.statusLabel.text
    at(p.outputFolder, 10)
    ui.lengthSpinBox.value = 9
    assert ui.statusLabel.text == "The run is already at step 10: raise Length to continue."


def test_newKeepsTheSettingsOfTheRun(training, stopped):
    ui = training.ui
    ui.outputFolderEdit.currentPath = stopped("run-2")
    ui.newFolderButton.click()
    assert ui.startButton.text == "Start"
    assert (ui.batchSpinBox.value, ui.lengthSpinBox.value) == (4, 1000)
    ui.batchSpinBox.value = 8
    assert ui.startButton.enabled


def test_aFolderThatIsOnlyTypedThroughChangesNothing(training, stopped):
    ui, folder = training.ui, stopped("run-3")
    ui.batchSpinBox.value = 5
    ui.outputFolderEdit.currentPath = folder
    assert ui.batchSpinBox.value == 4
    ui.outputFolderEdit.currentPath = folder + "0"
    assert (ui.batchSpinBox.value, ui.lengthSpinBox.value) == (5, 20)


def test_sceneClosedDuringATraining(training, fake):
    """Before the first checkpoint, when there is nothing yet to go on with, too."""
    ui, p = training.ui, training.logic.getParameterNode()
    p.networkSize, p.batch, p.length = NetworkSize("tiny"), 4, 7
    fake("long")
    ui.startButton.click()
    wait(lambda: training.section.run.curves.steps)
    slicer.mrmlScene.Clear(0)
    shown = (ui.networkSizeComboBox.currentText, ui.batchSpinBox.value, ui.lengthSpinBox.value)
    assert shown == (NetworkSize("tiny").label(), 4, 7)
    ui.stopButton.click()
    wait(lambda: not training.section.running)
    fake("")
    before = sent()
    run(training)
    assert sent() == before == TrainConfig(size="tiny", batch=4, epochs=7)
    assert ui.statusLabel.text == "Finished."


def test_lengthSurvivesAVisitToAnotherModule(training, stopped):
    training.ui.outputFolderEdit.currentPath = stopped()
    training.ui.lengthSpinBox.value = 1500
    slicer.util.selectModule("HetRegUncertainty")
    slicer.util.selectModule("HetRegTraining")
    assert training.ui.lengthSpinBox.value == 1500


def test_aSceneWithTheFolderOfARun(training, stopped, tmp_path):
    """Saved with the form of another run: the run itself counts."""
    p, folder = training.logic.getParameterNode(), stopped()
    p.outputFolder = folder
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    changed = RUN | {"steps": 3000}
    Path(folder, "config.json").write_text(json.dumps(changed))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    assert training.ui.outputFolderEdit.currentPath == folder
    assert training.ui.lengthSpinBox.value == 3000


def test_whatTheFormCannotShowStaysAsItWas(training, fake, stopped):
    ui = training.ui
    values = {"dataset": "acdc+camus+phantom", "root": "/data", "kind": "mri2d+echo2d", "phantoms": 1}
    ui.outputFolderEdit.currentPath = stopped(**values)
    assert ui.startButton.enabled
    for text in ("Data 'acdc+camus'", "Phantom 'mri2d+echo2d'", "Number of pairs 1"):
        assert text in ui.statusLabel.text
    assert ui.statusLabel.text.startswith("The run continues with")
    ui.lengthSpinBox.value = 2500
    run(training)
    assert sent() == TrainConfig(**values, steps=2500)


@pytest.mark.parametrize("content", ["{", '{"sizes": 1}', '{"size": "giant"}'])
def test_damagedSettingsAreSaid(training, stopped, content):
    folder = stopped()
    Path(folder, "config.json").write_text(content)
    training.ui.outputFolderEdit.currentPath = folder
    assert not training.ui.startButton.enabled
    assert "cannot be continued" in training.ui.statusLabel.text
    training.ui.newFolderButton.click()
    assert training.ui.startButton.enabled


@pytest.mark.slow
def test_realRunGoesOnInAnotherSession(training, tmp_path):
    """Stopped, then continued from a form that knows nothing of it: to the run's own end."""
    from hetreg.progress import Control
    from hetreg.training.loop import train

    small = TrainConfig(
        size="tiny", phantoms=8, crop=64, batch=2, augment=False, steps=6, warmup=2, device="cpu"
    )
    control = Control()
    control.obey("stop")
    train(small, tmp_path / "old", control=control)
    small.save(tmp_path / "old" / "config.json")
    training.ui.outputFolderEdit.currentPath = str(tmp_path / "old")
    run(training)
    assert training.ui.statusLabel.text == "Finished."
    assert training.section.run.last["step"] == 6
    assert not training.ui.startButton.enabled
    assert "already at step 6" in training.ui.startButton.toolTip
