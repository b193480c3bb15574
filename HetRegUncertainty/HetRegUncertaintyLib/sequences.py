"""Sequences of volumes, as of a cine: the frames behind a volume that shows one of them after the other."""

import slicer
from slicer.i18n import tr as _

from . import volumes


def browserOf(node):
    """The browser that shows one item of a sequence after the other in this node, None if none does."""
    return None if node is None else slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(node)


def sequenceOf(volume):
    """The sequence, of two or more frames, of which a volume shows one; None for any other volume."""
    browser = browserOf(volume)
    sequence = browser.GetSequenceNode(volume) if browser is not None else None
    return sequence if sequence is not None and sequence.GetNumberOfDataNodes() > 1 else None


def shownFrame(volume):
    """Index, in its sequence, of the frame that a volume shows; 0 if it shows none of them."""
    browser = browserOf(volume)
    value = browser.GetMasterSequenceNode().GetNthIndexValue(max(browser.GetSelectedItemNumber(), 0))
    return max(browser.GetSequenceNode(volume).GetItemNumberFromIndexValue(value, False), 0)


def frameImages(volume):
    """The `Image` of every frame, in world coordinates, in the order of the sequence.

    Raises ValueError with one sentence that names the frame which is no scalar volume with voxels.
    """
    sequence, images = sequenceOf(volume), []
    for i in range(sequence.GetNumberOfDataNodes()):
        try:
            images.append(volumes.imageFromNode(sequence.GetNthDataNode(i), placedLike=volume))
        except ValueError as error:
            text = _("Frame {number} of '{sequence}': {problem}")
            raise ValueError(text.format(number=i + 1, sequence=sequence.GetName(), problem=error)) from error
    return images


def keepFrame(volume):
    """A volume of its own with the frame that is shown, which stays when the sequence goes on."""
    name = _("{name} frame {number}").format(name=volume.GetName(), number=shownFrame(volume) + 1)
    if slicer.mrmlScene.GetFirstNodeByName(name) is not None:
        name = slicer.mrmlScene.GenerateUniqueName(name)
    kept = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, volume, name)
    kept.RemoveAttribute(volumes.ROLE)  # of a result it is no output any more
    return kept
