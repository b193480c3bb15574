"""Stand-in for slicer.app.coreIOManager(): loads and saves with the real logics and storage nodes."""

import os

import slicer
from PySide6 import QtCore

from .standin import NotInStandIn, signals

_TYPES = [
    ("SceneFile", (".mrb", ".mrml")),
    ("SegmentationFile", (".seg.nrrd", ".seg.nhdr", ".seg.vtm")),
    ("SequenceFile", (".seq.nrrd", ".seq.nhdr", ".seq.mrb", ".mha.seq")),
    ("TransformFile", (".h5", ".tfm", ".mat", ".txt")),
    ("TableFile", (".csv", ".tsv", ".db")),
    ("MarkupsFile", (".mrk.json", ".fcsv")),
    ("ModelFile", (".vtp", ".vtk", ".stl", ".ply", ".obj")),
    ("ColorTableFile", (".ctbl", ".cxml")),
    (
        "VolumeFile",
        (
            ".nrrd",
            ".nhdr",
            ".nii",
            ".nii.gz",
            ".mha",
            ".mhd",
            ".png",
            ".jpg",
            ".tif",
            ".tiff",
            ".bmp",
            ".hdr",
        ),
    ),
]
_WRITERS = [
    ("vtkMRMLSegmentationNode", "SegmentationFile"),
    ("vtkMRMLSequenceNode", "SequenceFile"),
    ("vtkMRMLTransformNode", "TransformFile"),
    ("vtkMRMLVolumeNode", "VolumeFile"),
    ("vtkMRMLTableNode", "TableFile"),
    ("vtkMRMLMarkupsNode", "MarkupsFile"),
    ("vtkMRMLModelNode", "ModelFile"),
    ("vtkMRMLColorNode", "ColorTableFile"),
    ("vtkMRMLTextNode", "TextFile"),
]


class qSlicerCoreIOManager(QtCore.QObject):
    """File types by ending and class; properties as slicer.util passes them."""

    _standin_ = True
    _signals_ = signals("newFileLoaded(qSlicerIO::IOProperties)")
    newFileLoaded = QtCore.Signal(object)

    def fileType(self, filename):
        name = str(filename).lower()
        return next((kind for kind, endings in _TYPES if name.endswith(endings)), "NoFile")

    def fileWriterFileType(self, node, _format=""):
        return next((kind for cls, kind in _WRITERS if node.IsA(cls)), "NoFile")

    def loadNodes(self, fileType, properties, loaded=None, messages=None):
        reader = getattr(self, f"_load{fileType}", None)
        if reader is None:
            raise NotInStandIn(f"loading a {fileType} is not part of the stand-in")
        path = properties["fileName"]
        if not os.path.exists(path):
            return self._fail(messages, f"File not found: {path}")
        node = reader(path, properties)
        if not node:
            return self._fail(messages, f"Could not read {path}")
        if loaded is not None and hasattr(node, "IsA"):
            loaded.AddItem(node)
        self.newFileLoaded.emit(properties)
        return True

    def loadScene(self, path, clear=True, messages=None):
        return self.loadNodes("SceneFile", {"fileName": path, "clear": clear}, None, messages)

    def saveNodes(self, fileType, properties, messages=None, _scene=None):
        path = str(properties["fileName"])
        if fileType == "SceneFile":
            return self._saveScene(path) or self._fail(messages, f"Could not write {path}")
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        storage = node.GetStorageNode() or self._addStorage(node)
        if storage is None:
            return self._fail(messages, f"No storage for {node.GetName()}")
        if "useCompression" in properties:
            storage.SetUseCompression(int(bool(properties["useCompression"])))
        storage.SetFileName(path)
        return bool(storage.WriteData(node)) or self._fail(messages, f"Could not write {path}")

    @staticmethod
    def _addStorage(node):
        node.AddDefaultStorageNode()
        return node.GetStorageNode()

    def addDefaultStorageNodes(self):
        for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
            if node.GetSaveWithScene() and node.GetStorageNode() is None and not node.GetHideFromEditors():
                node.AddDefaultStorageNode()

    @staticmethod
    def _fail(messages, text):
        if messages is not None:
            messages.AddMessage(0x10000 + 3, text)
        return False

    def _saveScene(self, path):
        scene = slicer.mrmlScene
        if path.endswith(".mrml"):
            scene.SetURL(path)
            return bool(scene.Commit(path))
        self.addDefaultStorageNodes()
        if path.endswith(".mrb"):
            return bool(scene.WriteToMRB(path, None))
        os.makedirs(path, exist_ok=True)
        return bool(slicer.app.applicationLogic().SaveSceneToSlicerDataBundleDirectory(path, None))

    # --- readers
    def _loadSceneFile(self, path, properties):
        scene = slicer.mrmlScene
        clear = properties.get("clear", False)
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear, None))
        scene.SetURL(path)
        return bool(scene.Connect(None) if clear else scene.Import(None))

    @staticmethod
    def _nameOf(path, properties):
        name = properties.get("name")
        if name:
            return name
        base = os.path.basename(path)
        for ending in (".nii.gz", ".seg.nrrd", ".seq.nrrd", ".mrk.json"):
            if base.lower().endswith(ending):
                return base[: -len(ending)]
        return os.path.splitext(base)[0]

    def _loadVolumeFile(self, path, properties):
        logic = slicer.modules.volumes.logic()
        options = 0
        options |= 1 if properties.get("labelmap") else 0
        options |= 2 if properties.get("center") else 0
        options |= 4 if properties.get("singleFile") else 0
        options |= 8 if properties.get("autoWindowLevel", True) else 0
        options |= 16 if properties.get("discardOrientation") else 0
        node = logic.AddArchetypeVolume(path, self._nameOf(path, properties), options)
        if node is not None and properties.get("show", True) and not properties.get("labelmap"):
            selection = slicer.app.applicationLogic().GetSelectionNode()
            selection.SetReferenceActiveVolumeID(node.GetID())
            slicer.app.applicationLogic().PropagateVolumeSelection()
        return node

    def _loadTransformFile(self, path, _properties):
        return slicer.modules.transforms.logic().AddTransform(path, slicer.mrmlScene)

    def _loadSegmentationFile(self, path, properties):
        name = self._nameOf(path, properties)
        return slicer.modules.segmentations.logic().LoadSegmentationFromFile(path, True, name)

    def _loadTableFile(self, path, properties):
        return slicer.modules.tables.logic().AddTable(path, self._nameOf(path, properties))

    def _loadModelFile(self, path, _properties):
        return slicer.modules.models.logic().AddModel(path, slicer.vtkMRMLStorageNode.CoordinateSystemLPS)

    def _loadMarkupsFile(self, path, properties):
        nodeID = slicer.modules.markups.logic().LoadMarkups(path, self._nameOf(path, properties))
        return slicer.mrmlScene.GetNodeByID(nodeID) if nodeID else None

    def _loadSequenceFile(self, path, _properties):
        return slicer.modules.sequences.logic().AddSequence(path)
