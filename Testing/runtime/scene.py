"""The application without Qt: scene, application logic and module logics, all of them the real classes."""

import slicer
import vtk

MODULE_LOGICS = {
    "Annotations": "vtkSlicerAnnotationModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Data": "vtkSlicerDataModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}


def makeScene(cacheFolder):
    """-> (scene, application logic, {module name: logic})."""
    scene = slicer.vtkMRMLScene()
    slicer.mrmlScene = scene
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    application.SetTemporaryPath(cacheFolder)
    _addDataIO(scene, application, cacheFolder)
    logics = {}
    for name, className in MODULE_LOGICS.items():
        logic = getattr(slicer, className)()
        application.SetModuleLogic(name, logic)
        logic.SetMRMLApplicationLogic(application)
        logics[name] = logic
    application.SetColorLogic(logics["Colors"])
    for logic in logics.values():
        logic.SetMRMLScene(scene)
    addDefaultNodes(scene)
    return scene, application, logics


def addDefaultNodes(scene):
    """What Slicer puts into every scene, and again into one that has been closed."""
    application = slicer.vtkMRMLSliceNode
    application.AddDefaultSliceOrientationPresets(scene)
    if scene.GetSingletonNode("default", "vtkMRMLCrosshairNode") is None:
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        crosshair.SetSingletonTag("default")
        scene.AddNode(crosshair)


def _addDataIO(scene, application, cacheFolder):
    """Reading an .mrb needs the remote IO logic and a cache."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.GetCacheManager().SetRemoteCacheDirectory(cacheFolder)
    data = slicer.vtkDataIOManagerLogic() if hasattr(slicer, "vtkDataIOManagerLogic") else None
    remote.SetMRMLScene(scene)
    if data is not None:
        data.SetMRMLApplicationLogic(application)
        data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    scene._runtimeKeep = (remote, data)
