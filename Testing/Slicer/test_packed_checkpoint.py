"""A run folder of somebody else whose small checkpoint would unpack to all the memory."""

import zipfile

from HetRegUncertaintyLib.trainingfolder import stepOf


def test_aCompressedCheckpointIsNotUnpacked(tmp_path):
    numbers = b"\x80\x02}q\x00X\x04\x00\x00\x00stepq\x01K\x0cs."
    for packed, step in ((zipfile.ZIP_STORED, 12), (zipfile.ZIP_DEFLATED, 0)):
        (tmp_path / str(step)).mkdir()
        with zipfile.ZipFile(tmp_path / str(step) / "last.ckpt", "w", packed) as archive:
            archive.writestr("last/data.pkl", numbers)
        assert stepOf(str(tmp_path / str(step))) == step
