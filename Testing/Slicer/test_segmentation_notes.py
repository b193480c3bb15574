"""What is said of segmentations: labels that were lost, were not compared, or may lie in another place."""

import numpy as np
import pytest

from hetreg.config import RegisterConfig
from hetreg.datasets.phantom import make_pair
from hetreg.image import Image
from hetreg.progress import Progress
from HetRegUncertaintyLib import labels


@pytest.mark.parametrize("layer", [0, 1])
def test_aLabelThatIsLostIsToldOnceInWhateverLayerItLies(layer):
    pair = make_pair("mri2d", 3, size=64, with_truth=False)
    half = Image(pair.fixed.array[:, :, :40].copy(), pair.fixed.ijk_to_lps, "half")
    far = np.zeros(pair.moving.array.shape, np.int32)
    far[:, 20:40, 58:63] = 1
    arrays = [far, (pair.moving_label.array > 0) * 2]
    layers = [{"moving_seg": pair.moving.like(array.astype(np.int32), "drawn")} for array in arrays]
    images = {"fixed": half, "moving": pair.moving}
    if layer:
        layers.reverse()
    result, moved = labels.register(images, layers, RegisterConfig(device="cpu"), Progress())
    assert [image.array.any() for image in moved] == [layer == 1, layer == 0]
    said = [note for note in result.summary["notes"] if "drawn" in note]
    assert said == ["Nothing is left of label 1 of the moving segmentation 'drawn' in the fixed image."]
