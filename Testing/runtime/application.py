"""Stand-in for slicer.app: the application object over the real application logic."""

import os
import shutil
import tempfile

import slicer
from PySide6 import QtCore, QtWidgets

from .standin import NotInStandIn, computed, signals


class qSlicerApplication(QtWidgets.QApplication):
    """slicer.app. Settings and temporary files lie in a folder that goes with the process."""

    _standin_ = True
    _signals_ = signals("startupCompleted()", "mrmlSceneChanged(vtkMRMLScene*)")
    startupCompleted = QtCore.Signal()
    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, applicationLogic, interactive):
        super().__init__(["Slicer"])
        self._folder = tempfile.mkdtemp(prefix="slicer-runtime-")
        self._logic, self._interactive, self._parts = applicationLogic, interactive, {}
        self.setApplicationName("Slicer")
        self.setOrganizationName("slicer.org")
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        QtCore.QSettings.setPath(
            QtCore.QSettings.Format.IniFormat, QtCore.QSettings.Scope.UserScope, self._sub("settings")
        )
        self.aboutToQuit.connect(self._cleanUp)

    def _cleanUp(self):
        shutil.rmtree(self._folder, ignore_errors=True)

    def _sub(self, name):
        path = os.path.join(self._folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def _part(self, name):
        if name not in self._parts:
            raise NotInStandIn(f"slicer.app.{name}() is not part of the stand-in")
        return self._parts[name]

    temporaryPath = computed(str, lambda self: self._sub("tmp"))
    cachePath = computed(str, lambda self: self._sub("cache"))
    slicerHome = computed(str, lambda self: self._sub("home"))
    extensionsInstallPath = computed(str, lambda self: self._sub("extensions"))
    slicerUserSettingsFilePath = computed(str, lambda self: QtCore.QSettings().fileName())
    majorVersion = computed(int, lambda _self: 5)
    minorVersion = computed(int, lambda _self: 13)
    releaseType = computed(str, lambda _self: "Experimental")
    mainApplicationName = computed(str, lambda _self: "Slicer")
    documentationBaseUrl = computed(str, lambda _self: "https://slicer.readthedocs.io/en/")
    documentationVersion = computed(str, lambda _self: "latest")
    os = computed(str, lambda _self: "linux")
    arch = computed(str, lambda _self: "amd64")

    def testingEnabled(self):
        return not self._interactive

    def applicationLogic(self):
        return self._logic

    def mrmlScene(self):
        return slicer.mrmlScene

    def moduleLogic(self, name):
        return self._logic.GetModuleLogic(name)

    def layoutManager(self):
        return self._parts.get("layoutManager")

    def moduleManager(self):
        return self._part("moduleManager")

    def coreIOManager(self):
        return self._part("coreIOManager")

    def ioManager(self):
        return self._part("coreIOManager")

    def settings(self):
        return QtCore.QSettings()

    def userSettings(self):
        return QtCore.QSettings()

    def revisionUserSettings(self):
        return QtCore.QSettings()

    def extensionsManagerModel(self):
        raise NotInStandIn("there is no extensions manager outside Slicer")

    def startupEnvironment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def environment(self):
        return QtCore.QProcessEnvironment.systemEnvironment()

    def moduleDocumentationUrl(self, name):
        return (
            f"{self.documentationBaseUrl}{self.documentationVersion}/user_guide/modules/{name.lower()}.html"
        )

    def restart(self):
        raise NotInStandIn("slicer.app.restart() would end the process")

    def pauseRender(self):
        self._part("layoutManager").pauseRender()

    def resumeRender(self):
        self._part("layoutManager").resumeRender()

    def setRenderPaused(self, paused):
        self._part("layoutManager").setRenderPaused(paused)

    def openNodeModule(self, node, *_):
        raise NotInStandIn(f"openNodeModule({node.GetID()}): the core modules have no panels here")
