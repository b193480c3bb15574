"""start(): brings the stand-in up once per process, and what tests do with it afterwards."""

import atexit
import contextlib
import gc
import os
import sys
import time
import types

state = types.SimpleNamespace(started=False, show=False, errors=[])


def start(show=False, width=1600, height=1000):
    """Bring Slicer's stand-in up; show=True opens a real window. The second call only returns."""
    if state.started:
        return
    if not show:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        if sys.platform.startswith("linux"):
            os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = "vtkEGLRenderWindow"
    from . import pythonqt, refcounts

    refcounts.protect()
    pythonqt.patch()
    import slicer
    import vtk
    from PySide6 import QtCore

    QtCore.qInstallMessageHandler(_quiet)
    _findPlugins()

    from . import application, dialogs, namespaces, scene
    from .qt_modules import install

    install()
    dialogs.setInteractive(show)
    state.started, state.show = True, show
    _collectErrors()
    warnings = vtk.vtkObject.GetGlobalWarningDisplay()
    vtk.vtkObject.SetGlobalWarningDisplay(
        0
    )  # the wheel lacks the colour and terminology files that the logics look for
    state.scene, logic, state.logics = scene.makeScene("")
    vtk.vtkObject.SetGlobalWarningDisplay(warnings)
    slicer.app = application.qSlicerApplication(logic, show)
    logic.SetTemporaryPath(slicer.app.temporaryPath)
    state.application = slicer.app
    namespaces.fill(state)
    _openWindow(width, height)
    atexit.register(_shutDown)


def _findPlugins():
    """Below a folder with a comma in its name Qt itself does not find them."""
    import PySide6
    from PySide6 import QtCore

    QtCore.QCoreApplication.addLibraryPath(os.path.join(os.path.dirname(PySide6.__file__), "Qt", "plugins"))


def _shutDown():
    """Take down in order what would crash when the interpreter's end takes it down in any order."""
    import slicer
    from shiboken6 import Shiboken

    for name in slicer.app.moduleManager().modulesNames():
        slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(name)
    slicer.app._parts.pop("layoutManager")._finish()
    slicer.mrmlScene.Clear(1)
    Shiboken.delete(state.window)
    state.window = None
    gc.collect()
    slicer.app._cleanUp()
    Shiboken.delete(state.application)
    gc.collect()


def _quiet(_kind, _context, text):
    if "propagateSizeHints" not in text:
        print(text, file=sys.stderr)


def _collectErrors():
    """Errors in slots and observers are printed, as in Slicer; tests find them in runtime.errors()."""
    printed = sys.excepthook

    def hook(kind, value, traceback):
        state.errors.append(value)
        printed(kind, value, traceback)

    sys.excepthook = hook


def _openWindow(width, height):
    import slicer

    from .layout_manager import qSlicerLayoutManager
    from .main_window import applyLooks, qSlicerMainWindow

    applyLooks(slicer.app)
    manager = qSlicerLayoutManager(slicer.app.applicationLogic(), slicer.mrmlScene)
    slicer.app._parts["layoutManager"] = manager
    state.window = qSlicerMainWindow(manager)
    state.window.resize(width, height)
    state.window.show()
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app.processEvents()


def load_module(path):
    """Load a scripted module from its .py as Slicer does; -> slicer.modules.<name>."""
    return load_modules([path])[0]


def load_modules(paths):
    """Load several modules, then say that the start-up has been completed."""
    import slicer

    from . import signals
    from .module_objects import qSlicerScriptedLoadableModule

    modules = []
    for path in paths:
        module = qSlicerScriptedLoadableModule(os.path.abspath(path))
        slicer.app.moduleManager()._add(module)
        state.window.moduleSelector()._add(module)
        modules.append(module)
    slicer.app.startupCompleted.emit()
    signals.disconnectAll(slicer.app, "startupCompleted()")
    return modules


def wait(condition, seconds=60.0):
    """Let Qt work until something is so; AssertionError after too long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain")
        process_events(0.02)


def reset():
    """Between tests: close the scene, forget answers and errors, restore the four-up layout.

    Parameter nodes go too: closing alone keeps them, with every observer that wrappers have left in them.
    """
    import slicer
    from PySide6 import QtCore

    from . import dialogs, scene

    for node in slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode"):
        slicer.mrmlScene.RemoveNode(node)
        node.RemoveAllObservers()
    slicer.mrmlScene.Clear(0)
    scene.addDefaultNodes(slicer.mrmlScene)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.app.processEvents()
    deleted = QtCore.QEvent.Type.DeferredDelete  # processEvents() leaves these to the running loop
    QtCore.QCoreApplication.sendPostedEvents(None, deleted)
    dialogs.forget()
    state.errors.clear()


def errors():
    """The exceptions raised in slots and observers since the last reset(). Raises Ctrl-C again."""
    for error in state.errors:
        if isinstance(error, KeyboardInterrupt):
            raise error
    return list(state.errors)


@contextlib.contextmanager
def without_window():
    """Inside it Slicer has no views and no main window, as with --no-main-window."""
    import slicer

    manager, name = slicer.app._parts.pop("layoutManager"), state.window.objectName
    state.window.setObjectName("")  # by which slicer.util finds it
    try:
        yield
    finally:
        slicer.app._parts["layoutManager"] = manager
        state.window.setObjectName(name)


def screenshot(path=None):
    """The whole main window as a picture, saved when a path is given; -> array (rows, columns, RGB)."""
    import numpy as np
    from PySide6 import QtGui

    process_events()
    image = state.window.grab().toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)
    if path is not None and not image.save(str(path)):
        raise OSError(f"could not write {path}")
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def grab(name):
    """The pixels (rows, columns, RGB) of a slice view by name, of "3D" or of "plot"."""
    import slicer

    manager = slicer.app.layoutManager()
    process_events()
    widget = {"3D": lambda: manager.threeDWidget(0), "plot": lambda: manager.plotWidget(0)}.get(
        name, lambda: manager.sliceWidget(name)
    )()
    if widget is None:
        raise ValueError(f"there is no view {name}")
    widget.viewWidget().forceRender()
    return widget.viewWidget()._pixels()


def process_events(seconds=0.0):
    """Let Qt work; with seconds, for so long."""
    import slicer

    slicer.app.processEvents()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.005)


def run():
    """With start(show=True): hand over to the person in front."""
    import slicer

    return slicer.app.exec()
