# ruff: noqa: PT009, PT027  (unittest style: it runs in Slicer, without pytest)
"""The checks of HetRegUncertaintyTest. They run in real Slicer (Reload and Test, CTest) and in pytest.

Without torch the registration itself is left out with a log line; the rest is checked all the same.
"""

import logging

import numpy as np
import slicer

from . import colors, install, labels, results, sampledata, summary, volumes


class SelfTest:
    """Mixed into the module's test class; every method starts from an empty scene and leans on no other."""

    def test_geometryRoundTrip(self):
        """A volume node becomes an Image in LPS; its labels and its place survive the way back."""
        nodes = sampledata.load()
        image = volumes.imageFromNode(nodes["fixed"])
        ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.ijk_to_lps
        back = slicer.util.arrayFromVTKMatrix(volumes.ijkToRasMatrix(image))
        np.testing.assert_allclose(back, ras, atol=1e-9)
        arrays, segments = labels.labelsFromNode(nodes["fixed_segmentation"], image)
        self.assertEqual({array.shape for array in arrays}, {image.array.shape})
        self.assertIn(sampledata.NAMES[3], [segment.GetName() for _id, segment in segments.values()])

    def test_gridTransformMovesPoints(self):
        """A constant displacement in LPS moves a point by the same in RAS, x and y with the other sign."""
        image = volumes.imageFromNode(sampledata.load()["fixed"])
        field = np.tile([1.0, 2.0, 3.0], (*image.array.shape, 1))
        grid = volumes.gridTransform(field, image)
        center = volumes.RAS_TO_LPS @ image.ijk_to_lps @ [*(np.array(image.size_ijk) // 2), 1.0]
        np.testing.assert_allclose(
            np.array(grid.TransformPoint(*center[:3])) - center[:3], [-1, -2, 3], atol=1e-6
        )

    def test_panel(self):
        """The panel opens, and Register is enabled by two volumes and PyTorch."""
        if slicer.util.mainWindow() is None:
            logging.warning("There is no main window: the panel was not tested.")
            return
        slicer.util.selectModule("HetRegUncertainty")
        widget = slicer.modules.HetRegUncertaintyWidget
        self.assertFalse(widget.ui.registerButton.enabled)
        widget.ui.sampleButton.click()
        self.assertEqual(widget.ui.registerButton.enabled, not install.reasonMissing())

    def test_badInputIsOneSentence(self):
        """The same volume twice, and no volume, raise ValueError and leave the scene alone."""
        node = sampledata.load()["fixed"]
        logic = slicer.util.getModuleLogic("HetRegUncertainty")  # first: it may make the parameter node
        count = slicer.mrmlScene.GetNumberOfNodes()
        for moving in (node, None):
            with self.assertRaises(ValueError):
                logic.register(node, moving)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)

    def test_register(self):
        """A forward pass on the phantom: nodes, geometry, references and plausible numbers."""
        if install.reasonMissing():
            logging.warning("PyTorch is not installed: the registration itself was not tested.")
            return
        inputs = sampledata.load()
        logic = slicer.util.getModuleLogic("HetRegUncertainty")
        nodes = logic.register(
            inputs["fixed"],
            inputs["moving"],
            movingSegmentation=inputs["moving_segmentation"],
            fixedSegmentation=inputs["fixed_segmentation"],
        )
        self.assertEqual(set(nodes), set(results.OUTPUTS))
        self.assertEqual(results.outputsOf(nodes["transform"]), nodes)
        self.assertEqual(results.inputsOf(nodes["transform"]), (inputs["fixed"], inputs["moving"]))
        self._checkMaps(nodes, inputs["fixed"])
        self._checkNumbers(nodes["transform"])

    def _checkMaps(self, nodes, fixedNode):
        shape = slicer.util.arrayFromVolume(fixedNode).shape
        for role in (*(set(colors.styles()) & set(nodes)), "moved"):
            array = slicer.util.arrayFromVolume(nodes[role])
            self.assertEqual(array.shape, shape)
            self.assertTrue(np.isfinite(array).all(), role)
        variance, sd = (slicer.util.arrayFromVolume(nodes[r]) for r in ("noise_variance", "noise_sd"))
        np.testing.assert_allclose(sd**2, variance, rtol=1e-3)
        weight = slicer.util.arrayFromVolume(nodes["snr_weight"])
        self.assertTrue(weight.min() >= 0.0 and weight.max() <= 1.0)

    def _checkNumbers(self, transformNode):
        numbers, names = results.summaryOf(transformNode)
        self.assertGreater(numbers["ncc_after"], numbers["ncc_before"])
        self.assertLess(numbers["folded_percent"], 0.5)
        self.assertIn(sampledata.NAMES[3], names.values())
        self.assertGreater(len(summary.rows(numbers, names)), 5)
