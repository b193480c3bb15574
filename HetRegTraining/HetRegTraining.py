"""HetRegTraining: train a registration model on your own pairs, or on simulated ones, inside Slicer.

The door; the work is in the shared library, and the training itself in a process of its own. No torch here.
"""

import os

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

from HetRegUncertaintyLib import install, layout, modelmenu, panelform, traininglayout, trainingsection
from HetRegUncertaintyLib.dependencies import DependencyCard
from HetRegUncertaintyLib.evaluationsection import EvaluationSection
from HetRegUncertaintyLib.packages import PackageButton
from HetRegUncertaintyLib.parameterlink import OneWrapper, ParameterLink
from HetRegUncertaintyLib.reload import ReloadMixin
from HetRegUncertaintyLib.trainingdata import DataCheck
from HetRegUncertaintyLib.trainingfolder import nextFolder
from HetRegUncertaintyLib.trainingform import TrainingForm
from HetRegUncertaintyLib.trainingformer import FormerRun
from HetRegUncertaintyLib.trainingparameters import (
    HetRegTrainingParameterNode,
    neededPackages,
    trainConfig,
)
from HetRegUncertaintyLib.trainingready import StartCheck
from HetRegUncertaintyLib.trainingrun import reasonUntested
from HetRegUncertaintyLib.trainingsection import TrainingSection
from HetRegUncertaintyLib.trainingtest import SelfTest

REGISTER_MODULE = "HetRegUncertainty"


class HetRegTraining(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("HetReg Training")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        parent.dependencies = [REGISTER_MODULE]
        parent.contributors = ["HetRegUncertainty contributors"]
        parent.helpText = _(
            "Trains a model for HetReg Uncertainty: one network that moves the image, one that predicts its "
            "noise.<ol><li>Choose the data. The phantom needs no files; for a folder click Check data and "
            "look at what was found.</li><li>Choose architecture, method and output folder, and click "
            "Start. Curves and a preview follow the training; it can be paused, stopped and continued, "
            "with the patients and settings with which it began.</li><li>Click Evaluate to measure the model "
            "on pairs that it has not seen, and Use in HetReg "
            "Uncertainty to register with it.</li></ol>The training runs in a process of its own: "
            "Slicer can be used meanwhile. Not for diagnosis or treatment decisions."
        )
        parent.acknowledgementText = panelform.acknowledgement()
        slicer.app.connect("startupCompleted()", traininglayout.register)


class HetRegTrainingWidget(ReloadMixin, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self.section = self.dataCheck = self.evaluation = self.link = self._parameterNode = None
        self._waiting = False  # for the end of a change of the scene
        self._source = None  # the data that the tables show
        self._asked = None  # the layout that the views were asked for last

    def setup(self):
        """Build the panel once."""
        super().setup()
        self.ui = panelform.build(self, "HetRegTraining")
        self.logic = HetRegTrainingLogic()
        self.section = TrainingSection(self.ui, self._onParameters)
        self.evaluation = EvaluationSection(self.ui, self._onEvaluation, self._onParameters, self.section.log)
        self.dataCheck = DataCheck(self.ui, self.section.log)
        self.ui.startButton.connect("clicked(bool)", self.onStart)
        self.ui.checkButton.connect("clicked(bool)", self.onCheck)
        self.ui.newFolderButton.connect("clicked(bool)", self.onNewFolder)
        self.ui.useButton.connect("clicked(bool)", self.onUse)
        self.form = TrainingForm(self.ui, lambda: self.section.running)
        self.former = FormerRun(self.ui)
        self.packageButton = PackageButton(self.ui.packageButton, self._onParameters, self.section.say)
        self.startCheck = StartCheck(self.ui, self.section, self.former, self.packageButton)
        self.dependencyCard = DependencyCard(self.ui, self._onParameters)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEnd)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEnd)
        afterOthers = layout.LAST - 1.0  # the other panel may give a layout back, which is then the user's
        self.addObserver(scene, scene.EndBatchProcessEvent, self.onSceneEndBatch, priority=afterOthers)
        slicer.app.connect("aboutToQuit()", self.cleanup)  # the last moment when the widgets are there
        self.link = ParameterLink(self.ui, self._onParameters)
        self.initializeParameterNode()

    def cleanup(self):
        """The panel goes away: stop with a checkpoint, let go of the scene. Does nothing the second time."""
        slicer.app.disconnect("aboutToQuit()", self.cleanup)
        self.dataCheck.close()
        self.evaluation.close()
        self.section.close()
        self.link.close()
        self.removeObservers()

    def enter(self):
        """The module was selected."""
        self.initializeParameterNode()

    def exit(self):
        """Another module was selected. A training goes on; the views go back to what they were."""
        self._restoreLayout()
        self.setParameterNode(None)

    @property
    def running(self):
        """True while a training or an evaluation runs."""
        return any(part is not None and part.running for part in (self.section, self.evaluation))

    def onSceneStartClose(self, caller, event):
        """The scene goes away. A training goes on: it has its own process and writes to its own folder."""
        self._restoreLayout()
        self.setParameterNode(None)
        self.section.forgetScene()
        self.evaluation.forgetScene()

    def onSceneEnd(self, caller, event):
        """Another scene is there, but its views and its layout are whole only when the batch is over."""
        self.former.forget()
        self._waiting = True

    def onSceneEndBatch(self, caller, event):
        """Now nodes and views are whole."""
        if self._waiting and not layout.isSceneChanging():
            self._waiting = False
            if self.parent.isEntered:
                self.initializeParameterNode()

    def initializeParameterNode(self):
        """Follow the scene's parameter node."""
        parameters = self.logic.getParameterNode()
        if self.section.running:
            parameters.outputFolder = self.section.run.folder
        elif self.evaluation.running and not parameters.outputFolder:  # the scene was closed
            parameters.outputFolder = self.evaluation.folder
        self.setParameterNode(parameters)

    def setParameterNode(self, parameterNode):
        """Follow a parameter node, or none."""
        self._parameterNode = parameterNode
        self.link.follow(parameterNode)
        self._onParameters()

    def _onParameters(self, caller=None, event=None):
        """Bring the panel in line with the parameters and with the run."""
        p = self._parameterNode
        if p is not None and layout.isSceneChanging():
            self._waiting = True
            return
        if p is not None:
            self.former.follow(p, self.section.run)
        self.form.show(p)
        if p is None:
            return
        self.packageButton.show(neededPackages(p))
        if self._source not in (None, self._dataSource(p)):
            self._source = None
            self.dataCheck.outdate()
        self._showResult(p)
        if self.parent.isEntered:
            self._followLayout(p)
            self.section.showInViews()
            self.evaluation.showInViews()
        self.startCheck.show(p, self.evaluation.running)

    def _showResult(self, p):
        """The section of the trained model."""
        model = trainingsection.modelOf(p.outputFolder)
        self.ui.useButton.enabled = bool(model)
        untested = reasonUntested(p.outputFolder) if model else ""
        text = model or _("No trained model in the output folder yet.")
        self.ui.modelFileLabel.text = f"{text}\n{untested}".rstrip()
        self.evaluation.show(p.outputFolder, self._notToEvaluate(model) or untested)

    def _notToEvaluate(self, model):
        """Why Evaluate cannot be clicked, "" if it can."""
        if not model:
            return _("There is no trained model in the output folder yet.")
        if self.section.running:
            return _("A training is running: stop it first, or wait for its end.")
        return install.reasonMissing()

    def _wantedLayout(self):
        """The layout that the views are to have, None for the user's own."""
        if self.evaluation.wanted:
            return traininglayout.EVALUATION_ID
        wanted = self._parameterNode.trainingLayout and self.section.wanted
        return traininglayout.LAYOUT_ID if wanted else None

    def _followLayout(self, p):
        """Ask for the wanted layout once: the user may have chosen another since, which stays."""
        wanted, former = self._wantedLayout(), self._asked
        self._asked = wanted
        if wanted is None or (
            wanted != former and (former is None or layout.current() in traininglayout.OURS)
        ):
            traininglayout.follow(wanted, p)

    def _restoreLayout(self):
        """Take a layout of this panel off the screen, for a while."""
        if self._parameterNode and layout.current() in traininglayout.OURS:
            traininglayout.restore(self._parameterNode.formerLayout)
            self._asked = None

    def _onEvaluation(self):
        """An evaluation has begun, or ended and is to be seen, or the view is to change."""
        if self.evaluation.wanted and not self.evaluation.running:
            self._asked = None
        self._onParameters()

    @staticmethod
    def _dataSource(p):
        """What the check of the data depends on."""
        return (p.dataset, p.folder, p.addPhantoms, p.phantomKind, p.phantoms, p.seed, p.splitFile)

    def onNewFolder(self, _checked=False):
        """Take the next free name for a new run."""
        self.former.keep()
        self._parameterNode.outputFolder = nextFolder(self._parameterNode.outputFolder)

    def onCheck(self, _checked=False):
        """List what the data folder holds."""
        reason = self.startCheck.reasonAgainstData(self._parameterNode)
        if reason:
            self.dataCheck.clear(reason)
            return
        with slicer.util.tryWithErrorDisplay(_("The data could not be checked."), waitCursor=False):
            self._source = self._dataSource(self._parameterNode)
            self.dataCheck.start(self.logic.writeConfig(trainConfig(self._parameterNode), "check"))

    def onStart(self, _checked=False):
        """Start a training, or go on with the one in the output folder."""
        p = self._parameterNode
        config = self.startCheck.look(p, self.evaluation.running)
        if self.section.running or config is None:
            return
        with slicer.util.tryWithErrorDisplay(_("The training could not be started."), waitCursor=False):
            self.evaluation.wanted, self._asked = False, None
            file = self.logic.writeConfig(config, "run")
            p.outputFolder = p.outputFolder or nextFolder("")
            self.section.start(file, os.path.abspath(p.outputFolder), config)

    def onUse(self, _checked=False):
        """Offer the trained model in the other module, choose it there, and go there."""
        with slicer.util.tryWithErrorDisplay(_("The model could not be handed over."), waitCursor=False):
            self.logic.useModel(trainingsection.modelOf(self._parameterNode.outputFolder))
            slicer.util.selectModule(REGISTER_MODULE)


class HetRegTrainingLogic(OneWrapper, ScriptedLoadableModuleLogic):
    """What the panel does with files and with the other module."""

    Parameters = HetRegTrainingParameterNode

    def writeConfig(self, config, name):
        """Write a configuration as JSON into Slicer's temporary folder; returns the path. Another Slicer may
        use the same folder."""
        path = os.path.join(slicer.app.temporaryPath, f"HetRegTraining-{name}-{os.getpid()}.json")
        config.save(path)
        return path

    def useModel(self, path):
        """Offer a weight file in the menu of HetReg Uncertainty, and choose it there.

        Raises ValueError if there is no such file.
        """
        if not path or not os.path.isfile(path):
            raise ValueError(_("There is no trained model yet."))
        modelmenu.addUserModel(path)
        slicer.util.getModuleLogic(REGISTER_MODULE).getParameterNode().model = os.path.abspath(path)


class HetRegTrainingTest(SelfTest, ScriptedLoadableModuleTest):
    """The module's own test, for Reload and Test in Slicer. The checks are in trainingtest.py."""

    def setUp(self):
        """Every test starts from an empty scene."""
        slicer.mrmlScene.Clear()
