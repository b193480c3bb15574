"""Stand-in for qMRMLNodeComboBox: the nodes of the real scene in a combo box."""

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from . import dialogs
from .scene_events import SceneObserver
from .standin import computed, signals, stored


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Lists the scene's nodes of nodeTypes and follows the scene; can add, rename and remove nodes."""

    _standin_ = True
    _signals_ = signals(
        "currentNodeChanged(vtkMRMLNode*)",
        "currentNodeIDChanged(QString)",
        "nodeActivated(vtkMRMLNode*)",
        "nodeAdded(vtkMRMLNode*)",
        "nodeAddedByUser(vtkMRMLNode*)",
        "nodeAboutToBeRemoved(vtkMRMLNode*)",
        "currentNodeRenamed(QString)",
        odd={"currentNodeChanged(bool)": "_currentNodeValid"},
    )
    currentNodeChanged = QtCore.Signal(object)
    _currentNodeValid = QtCore.Signal(bool)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeActivated = QtCore.Signal(object)
    nodeAdded = QtCore.Signal(object)
    nodeAddedByUser = QtCore.Signal(object)
    nodeAboutToBeRemoved = QtCore.Signal(object)
    currentNodeRenamed = QtCore.Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._box = QtWidgets.QComboBox(self)
        self._box.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._box.setMinimumContentsLength(8)
        row.addWidget(self._box)
        self._scene, self._observer, self._nodes, self._current = None, None, [], None
        self._attributes, self._labels, self._busy = {}, {}, False
        self._box.activated.connect(self._onActivated)
        self._fill()

    # --- properties
    def _refill(self, _value=None):
        self._update()

    nodeTypes = stored("nodeTypes", "QStringList", [], _refill)
    showHidden = stored("showHidden", bool, False, _refill)
    showChildNodeTypes = stored("showChildNodeTypes", bool, True, _refill)
    hideChildNodeTypes = stored("hideChildNodeTypes", "QStringList", [], _refill)
    baseName = stored("baseName", str, "")
    noneEnabled = stored("noneEnabled", bool, False, _refill)
    noneDisplay = stored("noneDisplay", str, "None", _refill)
    addEnabled = stored("addEnabled", bool, True, _refill)
    removeEnabled = stored("removeEnabled", bool, True, _refill)
    renameEnabled = stored("renameEnabled", bool, False, _refill)
    editEnabled = stored("editEnabled", bool, False, _refill)
    selectNodeUponCreation = stored("selectNodeUponCreation", bool, True)
    interactionNodeSingletonTag = stored("interactionNodeSingletonTag", str, "")
    sizeAdjustPolicy = stored("sizeAdjustPolicy", "enum", None)
    currentNodeID = computed(
        str, lambda self: self._currentID(), lambda self, value: self.setCurrentNodeID(value)
    )

    def _currentID(self):
        return self._current.GetID() if self._current is not None and self._current.GetID() else ""

    # --- the scene
    def setMRMLScene(self, scene):
        if self._observer:
            self._observer.stop()
        self._scene = scene
        self._observer = SceneObserver(scene, self) if scene is not None else None
        self._update()

    def mrmlScene(self):
        return self._scene

    def _onSceneEvent(self, event, node):
        if event == "added" and self._accepts(node):
            self._update()
            self.nodeAdded.emit(node)
        elif event == "aboutToBeRemoved" and node in self._nodes and not self._scene.IsClosing():
            self.nodeAboutToBeRemoved.emit(node)
            self._update(leaving=node)
        elif event == "processed":
            self._update()
        elif event == "modified" and node in self._nodes:
            self._onNodeModified(node)

    def _onNodeModified(self, node):
        index = self._nodes.index(node) + self._offset()
        if not self._accepts(node):
            self._update()
        elif self._box.itemText(index) != (node.GetName() or ""):
            self._box.setItemText(index, node.GetName() or "")
            if node is self._current:
                self.currentNodeRenamed.emit(node.GetName() or "")

    def _accepts(self, node):
        return self._filter()(node)

    def _filter(self):
        """The condition for a node to be listed; reading the properties once makes long lists fast."""
        children, types, left = self.showChildNodeTypes, self.nodeTypes, self.hideChildNodeTypes
        hidden = self.showHidden
        wanted = [(t, *pair) for t, pairs in self._attributes.items() for pair in pairs.items()]

        def accepts(node):
            if not any(node.IsA(t) if children else node.GetClassName() == t for t in types):
                return False
            if (node.GetHideFromEditors() and not hidden) or any(node.IsA(t) for t in left):
                return False
            return all(self._hasAttribute(node, t, n, v) for t, n, v in wanted)

        return accepts

    @staticmethod
    def _hasAttribute(node, nodeType, name, value):
        if not node.IsA(nodeType):
            return True
        found = node.GetAttribute(name)
        return found is not None and (value is None or found == str(value))

    # --- the list
    def _offset(self):
        return 1 if self.noneEnabled else 0

    def _update(self, leaving=None):
        """Bring list and selection in line with the scene, of which a node is about to leave.

        In place of a current node that vanishes Qt selects the next one, or else the last, never none while
        there are others, also where none may be chosen.
        """
        if self._busy:
            return
        scene = self._scene
        nodes = [] if scene is None else [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
        wasEmpty, row = not self._nodes, self._nodes.index(self._current) if self._current else 0
        self._nodes = [node for node in filter(self._filter(), nodes) if node is not leaving]
        current = self._current if self._current in self._nodes else None
        vanished = self._current is not None and current is None
        if self._nodes and (vanished or (wasEmpty and not self.noneEnabled)):
            current = self._nodes[min(row, len(self._nodes) - 1)]
        self._fill(current)
        self._select(current)

    def _fill(self, current=None):
        self._busy = True
        self._box.blockSignals(True)
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay)
        self._box.addItems([n.GetName() or "" for n in self._nodes])
        label = self.nodeTypeLabel(self.nodeTypes[0]) if self.nodeTypes else "Node"
        self._box.setPlaceholderText(f"Select a {label}")
        shown = self._nodes.index(current) + self._offset() if current is not None else self._offset() - 1
        self._addActions()
        self._box.setCurrentIndex(shown)
        self._box.blockSignals(False)
        self._busy = False

    def _addActions(self):
        self._actions = {}
        entries = []
        if self.addEnabled:
            entries += [
                (f"Create new {self.nodeTypeLabel(t)}", lambda t=t: self._addByUser(t))
                for t in self.nodeTypes
            ]
        if self.renameEnabled:
            entries.append(("Rename current node", self.renameCurrentNode))
        if self.removeEnabled:
            entries.append(("Delete current node", self.removeCurrentNode))
        if entries:
            self._box.insertSeparator(self._box.count)
        for text, action in entries:
            self._actions[self._box.count] = action
            self._box.addItem(text)

    def _onActivated(self, index):
        action = self._actions.get(index)
        if action is not None:
            self._fill(self._current)
            action()
            return
        node = self.nodeFromIndex(index - self._offset()) if index >= self._offset() else None
        self._select(node)
        self.nodeActivated.emit(node)

    def _select(self, node):
        index = self._nodes.index(node) + self._offset() if node is not None else self._offset() - 1
        self._box.blockSignals(True)
        self._box.setCurrentIndex(index)
        self._box.blockSignals(False)
        if node is self._current:
            return
        self._current = node
        self.currentNodeChanged.emit(node)
        self._currentNodeValid.emit(node is not None)
        self.currentNodeIDChanged.emit(self._currentID())

    # --- what scripts call
    def currentNode(self):
        return self._current

    def setCurrentNode(self, node):
        if isinstance(node, str):
            self.setCurrentNodeID(node)
        else:
            self._select(node if node in self._nodes else None)

    def setCurrentNodeID(self, nodeID):
        node = self._scene.GetNodeByID(nodeID) if self._scene is not None and nodeID else None
        self.setCurrentNode(node)

    def setCurrentNodeIndex(self, index):
        self._select(self.nodeFromIndex(index))

    def nodeCount(self):
        return len(self._nodes)

    def nodeFromIndex(self, index):
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def addNode(self, nodeType=""):
        nodeType = nodeType or (self.nodeTypes[0] if self.nodeTypes else "")
        if self._scene is None or not nodeType:
            return None
        node = self._scene.CreateNodeByClass(nodeType)
        if node is None:
            raise ValueError(f"the scene cannot create a {nodeType}")
        base = self.baseName or node.GetNodeTagName()
        node.SetName(self._scene.GenerateUniqueName(base) if self.baseName == "" else self._uniqueName(base))
        for name, value in self._attributes.get(nodeType, {}).items():
            node.SetAttribute(name, "" if value is None else str(value))
        node = self._scene.AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    def _uniqueName(self, base):
        """Slicer keeps the base name for the first node and numbers the next ones."""
        return base if self._scene.GetFirstNodeByName(base) is None else self._scene.GenerateUniqueName(base)

    def _addByUser(self, nodeType):
        self.nodeAddedByUser.emit(self.addNode(nodeType))

    def removeCurrentNode(self):
        if self._current is not None:
            self._scene.RemoveNode(self._current)

    def renameCurrentNode(self):
        if self._current is not None:
            name = dialogs.ask("text", f"Rename {self._current.GetName()}")
            if name:
                self._current.SetName(name)

    def addAttribute(self, nodeType, name, value=None):
        self._attributes.setdefault(nodeType, {})[name] = value
        self._update()

    def removeAttribute(self, nodeType, name):
        self._attributes.get(nodeType, {}).pop(name, None)
        self._update()

    def setNodeTypeLabel(self, label, nodeType):
        self._labels[nodeType] = label
        self._refill()

    def nodeTypeLabel(self, nodeType):
        if nodeType in self._labels:
            return self._labels[nodeType]
        node = slicer.mrmlScene.CreateNodeByClass(nodeType) if self._scene is not None else None
        if isinstance(node, vtk.vtkObject):
            return node.GetNodeTagName()
        return nodeType.removeprefix("vtkMRML").removesuffix("Node")


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """The colour nodes of the scene."""

    _standin_ = True

    def __init__(self, parent=None):
        super().__init__(parent)
        self.nodeTypes = ["vtkMRMLColorNode"]
        self.noneEnabled = False
        self.addEnabled = False
        self.removeEnabled = False
        self.showHidden = True
