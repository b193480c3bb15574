"""Registration of MRML nodes, without a panel: a pair, or one volume to every frame of a sequence."""

import slicer
from slicer.i18n import tr as _

from hetreg.config import RegisterConfig
from hetreg.progress import Progress

from . import cine, labelpairs, labels, results, sequences, volumes


class RegistrationLogic:
    """Mixed into the module's logic. What is computed may be run elsewhere than right here: `execute` is then
    called with it, a function of a `Progress`."""

    def register(
        self,
        fixedNode,
        movingNode,
        *,
        movingSegmentation=None,
        fixedSegmentation=None,
        config=None,
        outputs=None,
        progress=None,
        execute=None,
    ):
        """Register the moving to the fixed volume and add the result to the scene; returns {role: node}.

        The roles are the keys of `results.OUTPUTS`. outputs: {role: node} to update, not to make.
        Raises ValueError with one sentence on bad input, Cancelled when stopped; then the scene is as it was.
        """
        inputs = [fixedNode, movingNode, movingSegmentation, fixedSegmentation]
        images = volumes.imagesFromNodes(fixedNode, movingNode)
        layers, segments, notes = labels.layersFromNodes(movingSegmentation, fixedSegmentation, **images)
        results.checkOutputs(outputs or {}, inputs)
        notes += labelpairs.placeNotes({movingSegmentation: movingNode, fixedSegmentation: fixedNode})

        def compute(progress):
            return labels.register(images, layers, config or RegisterConfig(), progress)

        result, moved = _run(compute, inputs, progress, execute)
        result = labels.withNotes(result, notes)
        return results.addToScene(result, fixedNode, movingNode, outputs, moved, segments)

    def registerSequence(
        self,
        fixedNode,
        movingNode,
        *,
        movingSegmentation=None,
        config=None,
        progress=None,
        execute=None,
    ):
        """Register the moving volume to every frame of the sequence of which the fixed volume shows one.

        Adds a node and a sequence for each output but those of `cine.UNUSED`, which play along with the
        frames, with one table and a chart; returns {role: node}. Raises as `register`; then the scene is as
        it was.
        """
        inputs = [fixedNode, movingNode, movingSegmentation]
        if sequences.sequenceOf(fixedNode) is None:
            text = _("'{name}' shows no sequence: a volume that shows one of two frames or more is accepted.")
            raise ValueError(text.format(name=fixedNode.GetName() if fixedNode else ""))
        images = volumes.imagesFromNodes(fixedNode, movingNode)
        layers, segments, notes = labels.layersFromNodes(movingSegmentation, None, **images)
        notes += labelpairs.placeNotes({movingSegmentation: movingNode})
        frames, values = sequences.frameImages(fixedNode), sequences.indexValues(fixedNode)

        def compute(progress):
            return cine.register(frames, images["moving"], layers, config or RegisterConfig(), progress)

        found = _run(compute, inputs, progress, execute)
        found = [(labels.withNotes(result, notes), moved) for result, moved in found]
        return cine.addToScene(found, segments, fixedNode, movingNode, values)


def _run(compute, inputs, progress, execute):
    """What is computed, if the inputs are still there then."""
    found = execute(compute) if execute else compute(progress or Progress())
    if not all(node is None or slicer.mrmlScene.IsNodePresent(node) for node in inputs):
        raise ValueError(_("An input was removed from the scene during the run: nothing was added."))
    return found
