"""Fills slicer, slicer.modules and sys.modules with the stand-ins, under the names that modules import."""

import sys
import types

import slicer

from . import (
    application,
    core_io,
    layout_manager,
    main_window,
    module_objects,
    mrml_combo,
    mrml_widgets,
    other_views,
    packaging_module,
    parameter_gui,
    parameter_node,
    parameter_types,
    qt_modules,
    sample_data,
    scripted,
    slice_views,
    ui_loader,
)


class Modules:
    """slicer.modules: only what has been loaded is there."""


def fill(state):
    classes = qt_modules.standIns(
        application,
        core_io,
        layout_manager,
        main_window,
        module_objects,
        mrml_combo,
        mrml_widgets,
        other_views,
        slice_views,
    )
    for cls in classes:
        setattr(slicer, cls.__name__, cls)
    ui_loader.register([*classes, *(v for v in vars(sys.modules["ctk"]).values() if isinstance(v, type))])
    _fillModules(state)
    slicer.app._parts["coreIOManager"] = core_io.qSlicerCoreIOManager()
    _addPython()
    _shortenDelays()


def _fillModules(state):
    slicer.modules = Modules()
    manager = module_objects.qSlicerModuleManager()
    slicer.app._parts["moduleManager"] = manager
    for name, logic in state.logics.items():
        manager._add(module_objects.qSlicerLoadableModule(name, logic, manager))


def _addPython():
    """The Python packages of Slicer that the wheel lacks."""
    bases = {
        name: getattr(scripted, name) for name in dir(scripted) if name.startswith("ScriptedLoadableModule")
    }
    _submodule("ScriptedLoadableModule", bases, everything=True)
    wrapper = {
        name: getattr(parameter_node, name) for name in ("parameterNodeWrapper", "isParameterNodeWrapper")
    }
    wrapper["createGuiConnector"] = parameter_gui.makeConnector
    wrapper |= {name: getattr(parameter_types, name) for name in parameter_types.PUBLIC}
    _submodule("parameterNodeWrapper", wrapper, everything=True)
    _submodule("i18n", {"tr": _tr, "translate": _translate})
    packaging = "load_requirements pip_check pip_ensure pip_install pip_uninstall isPipInstallInProgress"
    _submodule("packaging", {name: getattr(packaging_module, name) for name in packaging.split()})
    sys.modules["SampleData"] = sample_data.makeModule()


def _shortenDelays():
    """In a test nobody looks at a message for a second; slicer.util.delayDisplay() logs it and goes on."""
    display = slicer.util.delayDisplay

    def delayDisplay(message, autoCloseMsec=1000, parent=None, **kwargs):
        display(message, min(autoCloseMsec, 0), parent, **kwargs)

    if slicer.app.testingEnabled():
        slicer.util.delayDisplay = delayDisplay


def _submodule(name, content, everything=False):
    module = types.ModuleType(f"slicer.{name}")
    vars(module).update(content)
    if everything:
        module.__all__ = list(content)
    sys.modules[module.__name__] = module
    setattr(slicer, name, module)


def _tr(text):
    return text


def _translate(_context, text):
    return text
