"""The scene's events for stand-in widgets: one set of observers for all of them."""

import weakref

import slicer
import vtk

_EVENTS = {  # with the priorities of qMRMLSceneModel
    "added": ("NodeAddedEvent", 10.0),
    "aboutToBeRemoved": ("NodeAboutToBeRemovedEvent", -10.0),
    "removed": ("NodeRemovedEvent", 10.0),
}
_PROCESSED = ("EndBatchProcessEvent", "EndCloseEvent", "EndImportEvent", "EndRestoreEvent")
_watched = {}  # scene -> its _Watch, while any widget listens


class SceneObserver:
    """Calls widget._onSceneEvent(what, node) until stop() or the widget's end."""

    def __init__(self, scene, widget):
        self._widget = weakref.ref(widget)
        self._watch = _watched.get(scene) or _Watch(scene)
        self._watch.listeners.append(self)
        widget.destroyed.connect(self.stop)

    def tell(self, what, node):
        widget = self._widget()
        if widget is not None and self in self._watch.listeners:
            widget._onSceneEvent(what, node)

    def stop(self, *_):
        if self in self._watch.listeners:
            self._watch.listeners.remove(self)
            if not self._watch.listeners:
                self._watch.stop()


class _Watch:
    """Observes a scene and each of its nodes, and tells the listeners in the order in which they came."""

    def __init__(self, scene):
        self.listeners = []
        self._scene, self._tags, self._nodes = scene, [], {}
        _watched[scene] = self
        for what, (name, priority) in _EVENTS.items():
            self._observe(what, getattr(slicer.vtkMRMLScene, name), priority)
        for name in _PROCESSED:
            event = getattr(slicer.vtkMRMLScene, name)
            self._tags.append(scene.AddObserver(event, lambda *_: self._processed()))
        self._followPresent()

    def _observe(self, what, event, priority):
        def call(_caller, _event, node):
            if what == "added":
                self._follow(node)
            elif what == "removed":
                self._unfollow(node)
            self._tell(what, node)

        call.CallDataType = vtk.VTK_OBJECT
        self._tags.append(self._scene.AddObserver(event, call, priority))

    def _follow(self, node):
        if node not in self._nodes:
            self._nodes[node] = node.AddObserver(
                vtk.vtkCommand.ModifiedEvent, lambda n, _e: self._tell("modified", n)
            )

    def _unfollow(self, node):
        tag = self._nodes.pop(node, None)
        if tag is not None:
            node.RemoveObserver(tag)

    def _followPresent(self):
        present = {self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())}
        for node in set(self._nodes) - present:
            self._unfollow(node)
        for node in present - set(self._nodes):
            self._follow(node)

    def _processed(self):
        self._followPresent()
        self._tell("processed", None)

    def _tell(self, what, node):
        for listener in list(self.listeners):
            listener.tell(what, node)

    def stop(self):
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        for node in list(self._nodes):
            self._unfollow(node)
        del _watched[self._scene]
