"""slicer.parameterNodeWrapper of the stand-in: typed parameters over a real vtkMRMLScriptedModuleNode."""

import copy
import typing
import weakref

import slicer
import vtk

from . import parameter_gui
from .parameter_types import Default, Validator, codec, first, splitAnnotations
from .parameter_values import DictStore, ListStore, NodeStore, SimpleStore, UnionStore

_RESERVED = ("allParameters", "dataType", "parameterNode")


class _Parameter:
    """One typed parameter: its type, its default, its validators, and where it lies in the node."""

    def __init__(self, name, datatype, default):
        self.name, self.unalteredType = name, datatype
        base, notes = splitAnnotations(datatype)
        self.validators = [note for note in notes if isinstance(note, Validator)]
        self.store = makeStore(base)
        noted = first(notes, Default)
        self._default = default if default is not None else noted

    @property
    def default(self):
        return copy.deepcopy(self._default.value) if self._default is not None else self.store.default()

    def write(self, node, value):
        self.store.check(value)
        for validator in self.validators:
            if value is not None or type(validator).__name__ == "NotNone":
                validator.validate(value)
        self.store.write(node, self.name, value)

    def read(self, node):
        if not self.store.isIn(node, self.name):
            self.write(node, self.default)
        return self.store.read(node, self.name)


def makeStore(base):
    if isinstance(base, type) and issubclass(base, slicer.vtkMRMLNode):
        return NodeStore(base)
    origin = typing.get_origin(base)
    if origin is list:
        return ListStore(makeStore(splitAnnotations(typing.get_args(base)[0])[0]))
    if origin is dict:
        keyType, valueType = (splitAnnotations(arg)[0] for arg in typing.get_args(base))
        return DictStore(makeStore(keyType), makeStore(valueType))
    if origin is typing.Union:  # Slicer refuses X | None, it knows Optional[X] only
        return UnionStore([makeStore(splitAnnotations(arg)[0]) for arg in typing.get_args(base)])
    return SimpleStore(codec(base))


def _property(name):
    def setter(self, value):
        self.setValue(name, value)

    return property(lambda self: self.getValue(name), setter)


class _Wrapper:
    """What the decorator adds to the class. As in Slicer, values are kept until the node has changed."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis, self._nextTag, self._updatingGui, self._values = {}, 0, False, {}
        for parameter in self.allParameters.values():
            if not parameter.store.isIn(parameterNode, parameter.name):
                parameter.write(parameterNode, parameter.default)
        self._readAgain()
        alive = weakref.ref(self)
        tag = parameterNode.AddObserver(
            vtk.vtkCommand.ModifiedEvent, lambda *_: alive() is not None and alive()._readAgain()
        )
        weakref.finalize(self, parameterNode.RemoveObserver, tag).atexit = False

    def _readAgain(self):
        for name, parameter in self.allParameters.items():
            if parameter.store.isKept:
                self._values[name] = parameter.read(self.parameterNode)

    def _parameter(self, name):
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}")
        return self.allParameters[name]

    def default(self, name):
        return Default(self._parameter(name).default)

    def isCached(self, name):
        self._parameter(name)
        return name in self._values

    def getValue(self, name):
        parameter = self._parameter(name)
        return self._values[name] if name in self._values else parameter.read(self.parameterNode)

    def setValue(self, name, value):
        with slicer.util.NodeModify(self):
            self._parameter(name).write(self.parameterNode, value)
            if name in self._values:
                self._values[name] = self._parameter(name).read(self.parameterNode)

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying):
        return self.parameterNode.EndModify(wasModifying)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        return self.parameterNode.Modified()

    # --- widgets
    def connectGui(self, gui):
        """Bind every widget with a SlicerParameterName to its parameter.

        Gives no tag, as in the Slicer releases that forget to return it: then disconnectGui() does nothing.
        """
        self.connectParametersToGui(parameter_gui.parameterWidgets(gui))

    def connectParametersToGui(self, mapping):
        """{parameter: widget or connector}; the tag is for disconnectGui(). The observer stays, as there."""
        for name in mapping:
            self._parameter(name)
        connectors = {
            n: w
            if isinstance(w, parameter_gui.Connector)
            else parameter_gui.makeConnector(w, self._parameter(n).unalteredType)
            for n, w in mapping.items()
        }
        tag, self._nextTag = self._nextTag, self._nextTag + 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.listen(lambda name=name, connector=connector: self._fromGui(name, connector))
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._toGui())
        return tag

    def disconnectGui(self, tag):
        for connector in self._guis.pop(tag, {}).values():
            connector.listen(None)

    def _fromGui(self, name, connector):
        if not self._updatingGui:
            with slicer.util.NodeModify(self):
                self.setValue(name, connector.read())

    def _toGui(self):
        if self._updatingGui:
            return
        self._updatingGui = True
        try:
            with slicer.util.NodeModify(self):
                for connectors in list(self._guis.values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updatingGui = False


def _process(cls):
    parameters = {}
    for name, datatype in typing.get_type_hints(cls, include_extras=True).items():
        if name in _RESERVED or hasattr(_Wrapper, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
        default = Default(cls.__dict__[name]) if name in cls.__dict__ else None
        parameters[name] = _Parameter(name, datatype, default)
        setattr(cls, name, _property(name))
    cls.allParameters = parameters
    cls._is_parameter_node_wrapper = True
    cls.dataType = staticmethod(lambda name: parameters[name].unalteredType)
    for name, method in _Wrapper.__dict__.items():
        if callable(method) and (name == "__init__" or not name.startswith("__")):
            setattr(cls, name, method)
    return cls


def parameterNodeWrapper(classtype=None):
    """The decorator, with or without parentheses."""
    return _process if classtype is None else _process(classtype)


def isParameterNodeWrapper(item):
    return getattr(item, "_is_parameter_node_wrapper", False)
