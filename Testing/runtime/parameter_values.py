"""How parameters lie in a vtkMRMLScriptedModuleNode: text parameters, node references, numbered elements."""

import slicer


class SimpleStore:
    isKept = True  # the wrapper reads it again only when the node says that it changed

    def __init__(self, codec):
        self.codec = codec

    def default(self):
        return self.codec.default()

    def check(self, value):
        self.codec.check(value)

    def isIn(self, node, name):
        return bool(node.HasParameter(name))

    def write(self, node, name, value):
        self.check(value)
        node.SetParameter(name, self.codec.toText(value))

    def read(self, node, name):
        return self.codec.fromText(node.GetParameter(name))

    def remove(self, node, name):
        node.UnsetParameter(name)


class UnionStore:
    """One of several types, under name_<index of the type>; a node reference under a role of that name.

    As in Slicer, so that each reads what the other has saved.
    """

    def __init__(self, members):
        self.members = members
        self.isKept = all(member.isKept for member in members)

    def default(self):
        isOptional = len(self.members) == 2 and _isNone(self.members[1])
        return None if isOptional else self.members[0].default()

    def check(self, value):
        self._indexFor(value)

    def _indexFor(self, value):
        for index, member in enumerate(self.members):
            if value is None and not _isNone(member):  # a node's store would take it too
                continue
            try:
                member.check(value)
            except TypeError:
                continue
            return index
        raise TypeError(f"Unable to write value {value!r} of type {type(value)}")

    def _named(self, name):
        return [(member, f"{name}_{index}") for index, member in enumerate(self.members)]

    def isIn(self, node, name):
        return any(member.isIn(node, own) for member, own in self._named(name))

    def write(self, node, name, value):
        index = self._indexFor(value)
        with slicer.util.NodeModify(node):
            self.remove(node, name)
            self.members[index].write(node, f"{name}_{index}", value)

    def read(self, node, name):
        return next(m.read(node, own) for m, own in self._named(name) if m.isIn(node, own))

    def remove(self, node, name):
        for member, own in self._named(name):
            member.remove(node, own)


def _isNone(store):
    return isinstance(store, SimpleStore) and store.codec.kinds == (type(None),)


class NodeStore:
    """A node reference, beside an empty parameter that says it has been set."""

    isKept = True  # in Slicer too: a reference that resolves without an event is not seen

    def __init__(self, kind):
        self.kind = kind

    def default(self):
        return None

    def check(self, value):
        if value is not None and not isinstance(value, self.kind):
            raise TypeError(f"Value must be of type {self.kind}, is {type(value)}")

    def isIn(self, node, name):
        return bool(node.HasParameter(name))

    def write(self, node, name, value):
        self.check(value)
        with slicer.util.NodeModify(node):
            node.SetParameter(name, "")
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)

    def read(self, node, name):
        return node.GetNodeReference(name)

    def remove(self, node, name):
        node.UnsetParameter(name)
        node.RemoveNodeReferenceIDs(name)


class ListStore:
    """name_len and name_0, name_1, ..."""

    isKept = False

    def __init__(self, element):
        self.element = element

    def default(self):
        return []

    def check(self, value):
        for item in value:
            self.element.check(item)

    def isIn(self, node, name):
        return bool(node.HasParameter(name + "_len"))

    def _length(self, node, name):
        return int(node.GetParameter(name + "_len")) if self.isIn(node, name) else 0

    def write(self, node, name, values):
        self.check(values)
        with slicer.util.NodeModify(node):
            for index in range(len(values), self._length(node, name)):
                self.element.remove(node, f"{name}_{index}")
            for index, value in enumerate(values):
                self.element.write(node, f"{name}_{index}", value)
            node.SetParameter(name + "_len", str(len(values)))

    def _read(self, node, name):
        return [self.element.read(node, f"{name}_{index}") for index in range(self._length(node, name))]

    def read(self, node, name):
        return ObservedList(self._read(node, name), lambda values: self.write(node, name, list(values)))

    def remove(self, node, name):
        for index in range(self._length(node, name)):
            self.element.remove(node, f"{name}_{index}")
        node.UnsetParameter(name + "_len")


class DictStore:
    """Two lists, of the keys and of the values."""

    isKept = False

    def __init__(self, key, value):
        self.keys, self.values = ListStore(key), ListStore(value)

    def default(self):
        return {}

    def check(self, value):
        self.keys.check(value.keys())
        self.values.check(value.values())

    def isIn(self, node, name):
        return self.keys.isIn(node, name + "_keys")

    def write(self, node, name, value):
        self.check(value)
        with slicer.util.NodeModify(node):
            self.keys.write(node, name + "_keys", list(value.keys()))
            self.values.write(node, name + "_values", list(value.values()))

    def read(self, node, name):
        pairs = zip(
            self.keys._read(node, name + "_keys"), self.values._read(node, name + "_values"), strict=True
        )
        return ObservedDict(dict(pairs), lambda value: self.write(node, name, dict(value)))

    def remove(self, node, name):
        self.keys.remove(node, name + "_keys")
        self.values.remove(node, name + "_values")


def _saving(name, base):
    def method(self, *args, **kwargs):
        result = getattr(base, name)(self, *args, **kwargs)
        self._save(self)
        return result

    return method


class ObservedList(list):
    """A list that is written back to the node when it changes."""

    def __init__(self, values, save):
        super().__init__(values)
        self._save = save

    def __add__(self, other):
        raise NotImplementedError("Adding an ObservedList is not supported. However, += is supported.")


class ObservedDict(dict):
    """A dict that is written back to the node when it changes."""

    def __init__(self, values, save):
        super().__init__(values)
        self._save = save


_LIST_CHANGES = ("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse")
_DICT_CHANGES = ("pop", "popitem", "clear", "update", "setdefault")
for _name in (*_LIST_CHANGES, "__setitem__", "__delitem__", "__iadd__", "__imul__"):
    setattr(ObservedList, _name, _saving(_name, list))
for _name in (*_DICT_CHANGES, "__setitem__", "__delitem__"):
    setattr(ObservedDict, _name, _saving(_name, dict))
