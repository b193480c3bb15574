# ruff: noqa: PT009  (unittest style: it runs in Slicer, without pytest)
"""The checks of HetRegTrainingTest. They run in real Slicer (Reload and Test, CTest) and in pytest.

Without torch the training itself is left out with a log line; the rest is checked all the same.
"""

import logging
import os
import tempfile
import time

import slicer

from hetreg import registry

from . import evaluationnumbers, install, process, trainingparameters, trainingplot
from .parameters import outputParameter

PATIENCE_S = 300.0
SECTIONS = ("data", "model", "training", "advanced")


class SelfTest:
    """Mixed into the module's test class; every method starts from an empty scene and leans on no other."""

    _former = ()  # sections that were opened, and whether they were collapsed

    def tearDown(self):
        """Leave the sections as they were. Not by addCleanup: Reload and Test only calls this."""
        for button, collapsed in self._former:
            button.collapsed = collapsed
        self._former = ()

    def test_panel(self):
        """The panel opens, and Start is enabled by PyTorch: the phantom needs nothing else."""
        panel = self._panel()
        if panel is None:
            return
        self.assertEqual(panel.ui.startButton.enabled, not install.reasonMissing())
        self.assertTrue(panel.ui.phantomKindComboBox.visible)

    def test_rowsFollowTheMethod(self):
        """A coefficient has a row where the method uses it, and nowhere else."""
        panel = self._panel()
        if panel is None:
            return
        parameters = panel.logic.getParameterNode()
        for name, method in registry.METHODS.items():
            parameters.method = trainingparameters.Method(name)
            for option in registry.method_options():
                widget = getattr(panel.ui, outputParameter(option) + "Widget")
                self.assertEqual(widget.visible, option in method.options, f"{name}, {option}")

    def test_processAnswers(self):
        """The command line runs beside Slicer and is heard."""
        events, ends = [], []
        runner = process.HetRegProcess(
            events.append, lambda line: None, lambda code, problem: ends.append((code, problem))
        )
        runner.start(["models", "--json"])
        self._waitFor(lambda: ends)
        self.assertEqual(ends, [(0, "")])
        self.assertEqual([content["event"] for content in events], ["models"])

    def test_curvesBecomeOneChartEach(self):
        """Drawing twice makes no second set of nodes."""
        curves = trainingplot.Curves()
        for step in range(1, 4):
            curves.add({"event": "step", "step": step, "loss": 1.0 / step, "variance_loss": None})
            trainingplot.show(curves)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode"), 3)
        trainingplot.remove()
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode"), 0)

    def test_train(self):
        """A short training on a small phantom, started by the button, ends with a model, which is tested."""
        if install.reasonMissing():
            logging.warning("PyTorch is not installed: the training itself was not tested.")
            return
        panel = self._panel()
        if panel is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            small(panel.logic.getParameterNode(), os.path.join(folder, "run"))
            panel.ui.startButton.click()
            self._waitFor(lambda: not panel.section.running)
            self.assertFalse(panel.section.run.failed, panel.ui.statusLabel.text)
            self.assertTrue(panel.ui.useButton.enabled)
            curves = panel.section.run.curves
            self.assertLess(curves.validation_loss[-1], curves.validation_loss[0])
            panel.ui.evaluateButton.click()
            self._waitFor(lambda: not panel.evaluation.running)
            numbers = evaluationnumbers.read(os.path.join(folder, "run"))
            self.assertEqual(numbers.summary["counts"]["failed"], 0)

    def _panel(self):
        """The panel with open sections: in a closed one no row is ever visible. None without a window."""
        if slicer.util.mainWindow() is None:
            logging.warning("There is no main window: the panel was not tested.")
            return None
        slicer.util.selectModule("HetRegTraining")
        panel = slicer.modules.HetRegTrainingWidget
        buttons = [getattr(panel.ui, f"{name}CollapsibleButton") for name in SECTIONS]
        self._former = [(button, button.collapsed) for button in buttons]
        for button in buttons:
            button.collapsed = False
        return panel

    def _waitFor(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), end, "waited too long")
            slicer.app.processEvents()
            time.sleep(0.01)


def small(parameters, folder, batches=30):
    """Values for the smallest training that still learns something."""
    parameters.networkSize = trainingparameters.NetworkSize("tiny")
    parameters.phantoms, parameters.crop, parameters.batch, parameters.augment = 8, 64, 2, False
    parameters.length, parameters.lengthUnit = batches, trainingparameters.LengthUnit.STEPS
    parameters.learningRate, parameters.warmup, parameters.validateEvery = 0.01, 2, 10
    parameters.device = trainingparameters.Device.CPU
    parameters.outputFolder = folder
