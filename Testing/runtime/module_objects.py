"""Stand-ins for the module objects of Slicer: slicer.modules.<name>, its panel, and the module manager."""

import importlib.util
import os
import sys

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .mrml_widgets import qSlicerWidget
from .standin import NotInStandIn, computed, signals, stored


class qSlicerLoadableModule(QtCore.QObject):
    """A core module: its real logic, and no panel."""

    _standin_ = True

    def __init__(self, moduleName, logic, parent=None):
        super().__init__(parent)
        self._moduleName, self._logic = moduleName, logic
        self.setObjectName(moduleName)
        self.title = moduleName

    title = stored("title", str, "")
    categories = stored("categories", "QStringList", [])
    dependencies = stored("dependencies", "QStringList", [])
    contributors = stored("contributors", "QStringList", [])
    helpText = stored("helpText", str, "")
    acknowledgementText = stored("acknowledgementText", str, "")
    associatedNodeTypes = stored("associatedNodeTypes", "QStringList", [])
    hidden = stored("hidden", bool, False)
    index = stored("index", int, -1)
    icon = stored("icon", "enum", None)
    path = stored("path", str, "")
    name = computed(str, lambda self: self._moduleName)

    def logic(self):
        return self._logic

    def mrmlScene(self):
        return slicer.mrmlScene

    def widgetRepresentation(self):
        raise NotInStandIn(f"the panel of the core module {self._moduleName} is not part of the stand-in")

    def createNewWidgetRepresentation(self):
        return self.widgetRepresentation()


class qSlicerScriptedLoadableModule(qSlicerLoadableModule):
    """A scripted module, loaded from its .py as Slicer does it."""

    _standin_ = True

    def __init__(self, path, parent=None):
        moduleName = os.path.splitext(os.path.basename(path))[0]
        super().__init__(moduleName, slicer.vtkSlicerScriptedLoadableModuleLogic(), parent)
        self.path = path
        self._panel = None
        folder = os.path.dirname(path)
        if folder not in sys.path:
            sys.path.insert(0, folder)
        self._python = self._import(moduleName, path)
        logic = self._logic
        logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        logic.SetMRMLScene(slicer.mrmlScene)
        self._instance = getattr(self._python, moduleName)(self)
        setattr(slicer.modules, moduleName + "Instance", self._instance)
        if hasattr(self._instance, "setup"):
            self._instance.setup()

    extensions = stored("extensions", "enum", None)

    @staticmethod
    def _import(moduleName, path):
        spec = importlib.util.spec_from_file_location(moduleName, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[moduleName] = module
        spec.loader.exec_module(module)
        return module

    def widgetRepresentation(self):
        if self._panel is None:
            self._panel = self.createNewWidgetRepresentation()
        return self._panel

    def createNewWidgetRepresentation(self):
        panel = qSlicerScriptedLoadableModuleWidget(self._moduleName, self)
        panel._build()
        panel.setMRMLScene(slicer.mrmlScene)
        return panel


class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The panel of a scripted module; self() is the Python widget object."""

    _standin_ = True

    def __init__(self, moduleName, module):
        super().__init__()
        self._moduleName, self._module, self._python, self._entered = moduleName, module, None, False
        self.setObjectName(moduleName + "ModuleWidget")
        QtWidgets.QVBoxLayout(self)

    moduleName = computed(str, lambda self: self._moduleName)
    isEntered = computed(bool, lambda self: self._entered)

    def _build(self):
        """Errors in setup() are raised here; Slicer prints them and shows an empty panel."""
        factory = getattr(sys.modules[self._moduleName], self._moduleName + "Widget")
        self._python = factory(self)
        setattr(slicer.modules, self._moduleName + "Widget", self._python)
        self._python.setup()

    def self(self):
        return self._python

    def module(self):
        return self._module

    def reload(self):
        self._build()

    def enter(self):
        self._entered = True
        if hasattr(self._python, "enter"):
            self._python.enter()

    def exit(self):
        self._entered = False
        if hasattr(self._python, "exit"):
            self._python.exit()

    def setEditedNode(self, node, role="", context=""):
        return bool(self._python.setEditedNode(node, role, context))

    def nodeEditable(self, node):
        return float(self._python.nodeEditable(node))


class qSlicerModuleManager(QtCore.QObject):
    """slicer.app.moduleManager(): which modules there are."""

    _standin_ = True
    _signals_ = signals("moduleLoaded(QString)", "moduleAboutToBeUnloaded(QString)")
    moduleLoaded = QtCore.Signal(str)
    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._modules = {}
        self._factory = qSlicerModuleFactoryManager(self)

    def _add(self, module):
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        self.moduleLoaded.emit(module.name)

    def module(self, name):
        return self._modules.get(name)

    def modulesNames(self):
        return list(self._modules)

    def factoryManager(self):
        return self._factory


class qSlicerModuleFactoryManager(QtCore.QObject):
    _standin_ = True

    def __init__(self, manager):
        super().__init__(manager)
        self._manager = manager

    def loadedModuleNames(self):
        return self._manager.modulesNames()

    def registeredModuleNames(self):
        return self._manager.modulesNames()

    def instantiatedModuleNames(self):
        return self._manager.modulesNames()

    def isLoaded(self, name):
        return self._manager.module(name) is not None

    def isRegistered(self, name):
        return self._manager.module(name) is not None

    def isInstantiated(self, name):
        return self._manager.module(name) is not None

    def loadedModule(self, name):
        return self._manager.module(name)

    def moduleInstance(self, name):
        return self._manager.module(name)


def icon(module):
    """The icon of a module, or an empty one."""
    return module.icon if isinstance(module.icon, QtGui.QIcon) else QtGui.QIcon()
