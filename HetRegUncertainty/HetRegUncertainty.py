"""HetRegUncertainty: register two cardiac images, with maps of noise and of the displacement's error.

The door; the work is in the library next to it. Nothing here imports torch: the panel opens without it.
"""

import os
import time

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

from hetreg.progress import Cancelled
from HetRegUncertaintyLib import (
    deformation,
    install,
    layout,
    panelform,
    results,
    sampledata,
    sequences,
    words,
)
from HetRegUncertaintyLib.aside import Aside
from HetRegUncertaintyLib.cinerow import CineRow, everyFrame
from HetRegUncertaintyLib.dependencies import DependencyCard
from HetRegUncertaintyLib.inspector import Inspector
from HetRegUncertaintyLib.literal import toolTip
from HetRegUncertaintyLib.modelmenu import ModelMenu
from HetRegUncertaintyLib.parameterlink import OneWrapper, ParameterLink
from HetRegUncertaintyLib.parameters import (
    HetRegUncertaintyParameterNode,
    outputParameter,
    registerConfig,
)
from HetRegUncertaintyLib.registration import RegistrationLogic
from HetRegUncertaintyLib.reload import ReloadMixin
from HetRegUncertaintyLib.runsection import RunSection, missing, said
from HetRegUncertaintyLib.selftest import SelfTest


class HetRegUncertainty(ScriptedLoadableModule):
    """What Slicer's module list shows."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("HetReg Uncertainty")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Registration")]
        parent.dependencies = []
        parent.contributors = ["HetRegUncertainty contributors"]
        parent.helpText = _(
            "Deforms a moving cardiac image (usually end-diastole) onto a fixed one (usually end-systole) "
            "and predicts the noise of every voxel from the same two images.<ol><li>Choose both images, or "
            "load the example pair.</li><li>Click Register.</li><li>In Inspect, look at the overlay: noise "
            "SD and SNR weight say how well the images agree after the registration, Displacement SD (mm) is "
            "the estimated error of the displacement. Switch the grid on: it must not fold.</li></ol>For a "
            "cine, choose the volume that shows the sequence as the fixed one, keep the end-diastolic frame "
            "as the moving one, and tick Register every frame. The transform can be applied to models and "
            "markups of the moving image. Do not use it on a segmentation: choose that as moving "
            "segmentation and use Moved segmentation. If a segmentation of an oblique image is hardened or "
            "exported under a transform, Slicer cuts parts off. Not for diagnosis or treatment decisions."
        )
        parent.acknowledgementText = panelform.acknowledgement()
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """After startup: samples, the layout, and the rest of an installation that needed a restart."""
    layout.start()
    sampledata.register(os.path.join(os.path.dirname(__file__), "Resources", "Icons"))
    hasWindow = slicer.util.mainWindow() is not None  # a script may run Slicer without
    if install.resumeWanted() and hasWindow and not slicer.app.testingEnabled():
        slicer.util.selectModule("HetRegUncertainty")


class HetRegUncertaintyWidget(ReloadMixin, ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self.inspector = self.run = self.link = self._parameterNode = None
        self._unseen = False  # a run ended while another module was selected
        self._newScene = self._changed = False  # to be looked at when the batch of changes is over
        self._judged = None  # what the status line was last set for: a reason, and what it is about

    def setup(self):
        """Build the panel once."""
        super().setup()
        self.ui = panelform.build(self, "HetRegUncertainty")
        self.logic = HetRegUncertaintyLogic()
        self.inspector, self.run = Inspector(self.ui), RunSection(self.ui)
        self.modelMenu = ModelMenu(
            self.ui.modelComboBox, self.ui.weightFileLabel, self.ui.weightFileEdit, self._onModelChosen
        )
        self.ui.registerButton.connect("clicked(bool)", self.onRegister)
        self.ui.sampleButton.connect("clicked(bool)", self.onLoadSample)
        self.cineRow = CineRow(self.ui, self._onParameters)
        self.dependencyCard = DependencyCard(self.ui, self._checkCanApply)
        self.aside = Aside()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEnd)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEnd)
        self.addObserver(scene, scene.EndBatchProcessEvent, self.onSceneEndBatch, priority=layout.LAST)
        slicer.app.connect("aboutToQuit()", self.cleanup)  # the last moment when the widgets are there
        self.link = ParameterLink(self.ui, self._onParameters)
        self.initializeParameterNode()

    def cleanup(self):
        """The panel goes away: stop a run, let go of the scene. Does nothing the second time."""
        slicer.app.disconnect("aboutToQuit()", self.cleanup)
        self.run.cancel()
        self.inspector.end()
        self.cineRow.removeObservers()
        self.aside.close()
        self.link.close()
        self._parameterNode = None
        self.removeObservers()

    def enter(self):
        """The module was selected."""
        self.modelMenu.refresh()
        self.setParameterNode(self.logic.getParameterNode(), quiet=True)
        if self._unseen:
            self._showNewResult()
        else:
            self.inspector.followLayout()
        self.dependencyCard.resume()

    def exit(self):
        """Another module was selected. A run goes on."""
        if not self.run.running:
            self.setParameterNode(None)

    @property
    def running(self):
        """True while a registration runs."""
        return self.run is not None and self.run.running

    def onSceneStartClose(self, caller, event):
        """The scene goes away: stop a run, it has nothing to write to."""
        self.run.cancel()
        self.inspector.close(self.logic.getParameterNode())
        self._unseen, self._judged = False, None
        self.setParameterNode(None)

    def onSceneEnd(self, caller, event):
        """Another scene is there, but its views and volumes are whole only when the batch is over."""
        self._newScene = True

    def onSceneEndBatch(self, caller, event):
        """The scene is whole, and Slicer's layout logic has brought its layout: now views can be changed."""
        newScene, changed = self._newScene, self._changed
        self._newScene = self._changed = False
        self.inspector.restoreLayout()
        if newScene and self.parent.isEntered:
            self.initializeParameterNode()
        elif changed:
            self._onParameters()

    def initializeParameterNode(self):
        """Follow the scene's parameter node."""
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, parameterNode, quiet=False):
        """Follow a parameter node, or none. quiet: leave the views as they are."""
        self._parameterNode = parameterNode
        self.link.follow(parameterNode)
        self.inspector.setParameters(parameterNode, quiet)
        self._onParameters()

    def _onParameters(self, caller=None, event=None):
        if self._parameterNode is None:
            return
        if layout.isSceneChanging():  # the volumes of a scene being read have no voxels yet
            self._changed = True
            return
        self.modelMenu.model = self._parameterNode.model
        self.ui.refineSpinBox.enabled = self._parameterNode.refine
        self.cineRow.show(self._parameterNode)
        self._checkCanApply()
        if not self.run.running:
            self.inspector.update()

    def _onModelChosen(self, model):
        if self._parameterNode:
            self._parameterNode.model = model

    def _checkCanApply(self):
        """Enable Register, or say in its tooltip and in the status line what is missing."""
        reason = missing(self._parameterNode)
        self.ui.registerButton.enabled = not reason and not self.run.running
        self.ui.registerButton.toolTip = toolTip(reason or self._whatItDoes())
        judged = (reason, said(self._parameterNode) if self._parameterNode else None)
        if not self.run.running and judged != self._judged:  # the former sentence is about something else
            self.run.status, self._judged = reason, judged

    def _whatItDoes(self):
        if everyFrame(self._parameterNode):
            return _("Register the moving image to every frame of the sequence.")
        return _("Register the moving image to the fixed image.")

    def onLoadSample(self, _checked=False):
        """Make the example pair and choose it."""
        with slicer.util.tryWithErrorDisplay(_("The example pair could not be made."), waitCursor=True):
            nodes, p = sampledata.load(), self._parameterNode
            p.fixedVolume, p.movingVolume = nodes["fixed"], nodes["moving"]
            p.fixedSegmentation, p.movingSegmentation = (
                nodes["fixed_segmentation"],
                nodes["moving_segmentation"],
            )
            sampledata.show(nodes)

    def onRegister(self, _checked=False):
        """Run, and show the result."""
        if self.run.running:
            return
        self._checkCanApply()  # a file may have gone since
        if not self.ui.registerButton.enabled:
            return
        with slicer.util.tryWithErrorDisplay(_("The registration failed."), waitCursor=False):
            status = ""
            try:
                with self.run.busy():
                    status = self._register(self._parameterNode)
                self._unseen = True
                if self.parent.isEntered:
                    self._showNewResult()
            except Cancelled:  # maybe because the scene was closed
                status = missing(self._parameterNode) or _("Cancelled: nothing was added to the scene.")
            except Exception as error:
                status = words.inWords(self.ui, str(error))
                if status != str(error):
                    raise ValueError(status) from error
                raise
            finally:
                self._checkCanApply()
                self.run.status = status
                if self.parent.isEntered:
                    self._onParameters()  # what was deleted during the run is not shown any more
                else:
                    self.setParameterNode(None)

    def _showNewResult(self):
        self._unseen = False
        self.inspector.showNewResult()

    def _register(self, p):
        """Run with the values of the parameter node, which then has this run's outputs and no others; returns
        the line that says so."""
        options = {"movingSegmentation": p.movingSegmentation, "config": registerConfig(p)}
        options["execute"] = self.run.execute
        formerFixed, _moving = results.inputsOf(p.transform)  # a transform that is updated forgets it
        if everyFrame(p):
            began = time.monotonic()
            with sequences.kept(p.movingVolume) as (moving,):
                nodes = self.logic.registerSequence(p.fixedVolume, moving, **options)
            status = _("Every frame done in {seconds:.0f} s.").format(seconds=time.monotonic() - began)
        else:
            outputs = {role: getattr(p, outputParameter(role)) for role in results.OUTPUTS}
            options["fixedSegmentation"] = p.fixedSegmentation
            with sequences.kept(p.fixedVolume, p.movingVolume) as pair:  # a cine goes on, a result does not
                options["outputs"] = results.updatable(outputs, *pair)
                nodes = self.logic.register(*pair, **options)
            status = _("Done in {seconds:.1f} s.").format(seconds=results.secondsOf(nodes["transform"]))
        fixed, _moving = results.inputsOf(nodes["transform"])
        if fixed != formerFixed:
            p.gridSpacing = deformation.niceSpacing(fixed)
        for role in results.OUTPUTS:
            setattr(p, outputParameter(role), nodes.get(role))
        return status


class HetRegUncertaintyLogic(RegistrationLogic, OneWrapper, ScriptedLoadableModuleLogic):
    """Registration of MRML nodes, without a panel: `register`, `registerSequence`."""

    Parameters = HetRegUncertaintyParameterNode


class HetRegUncertaintyTest(ScriptedLoadableModuleTest, SelfTest):
    """The module's own test, for Reload and Test in Slicer. The checks are in the library's selftest.py."""

    def setUp(self):
        """Every test starts from an empty scene."""
        slicer.mrmlScene.Clear()
