"""Sequences of volumes, as of a cine: the frames behind a volume that shows one of them after the other."""

from contextlib import contextmanager

import numpy as np
import slicer
from slicer.i18n import tr as _

from . import volumes

FRAME = "HetReg.Frame"  # attribute of a kept frame: which one it is


def browserOf(node):
    """The browser that shows one item of a sequence after the other in this node, None if none does."""
    module = getattr(slicer.modules, "sequences", None)  # Slicer may have been told to leave it out
    return None if node is None or module is None else module.logic().GetFirstBrowserNodeForProxyNode(node)


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


def framesOf(node):
    """The nodes of the sequence of which a node shows one; [] for any other node."""
    sequence = sequenceOf(node)
    count = sequence.GetNumberOfDataNodes() if sequence is not None else 0
    return [sequence.GetNthDataNode(i) for i in range(count)]


def indexValues(volume):
    """The index of each frame of the sequence of which a volume shows one, [] for any other volume."""
    return [sequenceOf(volume).GetNthIndexValue(i) for i in range(len(framesOf(volume)))]


def frameImages(volume):
    """The `Image` of every frame, in world coordinates, in the order of the sequence.

    Raises ValueError with one sentence that names the frame which is no scalar volume with voxels, or the
    transform above the volume that is played, too: its other places are not known here.
    """
    parent = volume.GetParentTransformNode()
    while parent is not None:
        if browserOf(parent) is not None:
            text = _(
                "'{name}' lies under '{transform}', which is in a sequence: harden that transform first."
            )
            raise ValueError(text.format(name=volume.GetName(), transform=parent.GetName()))
        parent = parent.GetParentTransformNode()
    return [_frameImage(volume, frame, number) for number, frame in enumerate(framesOf(volume), 1)]


def _frameImage(volume, frame, number):
    try:
        return volumes.imageFromNode(frame, placedLike=volume)
    except ValueError as error:
        text, name = _("Frame {number} of '{sequence}': {problem}"), sequenceOf(volume).GetName()
        raise ValueError(text.format(number=number, sequence=name, problem=error)) from error


def keepFrame(volume):
    """A volume of its own with the frame that is shown, which stays when the sequence goes on.

    It is the one that was kept of this frame before, if that still has the same voxels in the same place.
    """
    frame = f"{sequenceOf(volume).GetID()} {shownFrame(volume)}"
    same = (
        node for node in slicer.util.getNodesByClass(volume.GetClassName()) if _isKept(node, frame, volume)
    )
    return next(same, None) or _copy(volume, frame)


@contextmanager
def kept(*nodes):
    """The volumes, with a kept frame in place of each that shows one; of an error no new one stays behind.

    Raises ValueError if two are the same frame.
    """
    before = set(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
    volumes_ = [keepFrame(node) if sequenceOf(node) is not None else node for node in nodes]
    try:
        if len(set(volumes_)) < len(volumes_):
            raise ValueError(
                _("The frame that is shown is the moving one: go to another, such as end-systole.")
            )
        yield volumes_
    except BaseException:
        for node in set(volumes_) - before - set(nodes):
            volumes.remove(node)
        raise


def _isKept(node, frame, volume):
    return (
        node.GetAttribute(FRAME) == frame
        and node.GetImageData() is not None
        and node.GetParentTransformNode() is volume.GetParentTransformNode()
        and np.array_equal(volumes.ijkToRas(node), volumes.ijkToRas(volume))
        and np.array_equal(*map(slicer.util.arrayFromVolume, (node, volume)), equal_nan=True)
    )


def _copy(volume, frame):
    name = _("{name} frame {number}").format(name=volume.GetName(), number=shownFrame(volume) + 1)
    if slicer.mrmlScene.GetFirstNodeByName(name) is not None:
        name = slicer.mrmlScene.GenerateUniqueName(name)
    copy = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, volume, name)
    copy.RemoveAttribute(volumes.ROLE)  # of a result it is no output any more
    copy.SetAttribute(FRAME, frame)
    return copy
