"""Runs of the panel of HetRegUncertainty, for the tests of several of them."""

from HetRegUncertaintyLib import results, sampledata
from HetRegUncertaintyLib.parameters import outputParameter


def chooseSmallPair(panel, seed, fixedName, movingName):
    """Another patient's (fixed, moving), chosen in the panel without segmentations."""
    from hetreg.datasets.phantom import make_pair

    pair = make_pair("mri2d", seed, size=64, slices=2, with_truth=False)
    nodes = sampledata.addVolume(pair.fixed, fixedName), sampledata.addVolume(pair.moving, movingName)
    panel.ui.fixedSelector.setCurrentNode(nodes[0])
    panel.ui.movingSelector.setCurrentNode(nodes[1])
    for selector in (panel.ui.fixedSegmentationSelector, panel.ui.movingSegmentationSelector):
        selector.setCurrentNode(None)
    return nodes


def selected(panel):
    """{role: node} of the panel's outputs selectors."""
    p = panel.logic.getParameterNode()
    chosen = {role: getattr(p, outputParameter(role)) for role in results.OUTPUTS}
    return {role: node for role, node in chosen.items() if node is not None}


def register(panel):
    """Click Register; returns the outputs that are then selected."""
    panel.ui.registerButton.click()
    assert "Done" in panel.ui.statusLabel.text
    return selected(panel)
