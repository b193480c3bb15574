"""The main window: menu and toolbar strips, the module panel at the left, the layout's views at the right."""

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .ctk_buttons import ctkCollapsibleButton, ctkFittedTextBrowser
from .module_objects import icon
from .standin import NotInStandIn, computed, signals, stored


class qSlicerModuleSelectorToolBar(QtWidgets.QToolBar):
    """The module menu; selectModule() shows a panel, leaving the former one."""

    _standin_ = True
    _signals_ = signals("moduleSelected(QString)")
    moduleSelected = QtCore.Signal(str)

    def __init__(self, window):
        super().__init__("Module Selection", window)
        self._window = window
        self.addWidget(QtWidgets.QLabel(" Modules: ", self))
        self._menu = QtWidgets.QComboBox(self)
        self._menu.setMinimumWidth(240)
        self.addWidget(self._menu)
        self._menu.activated.connect(lambda _index: self.selectModule(self._menu.currentData))

    def _add(self, module):
        self._menu.addItem(icon(module), module.title, module.name)

    def _name(self):
        module = self._window._panel._module
        return module.name if module is not None else ""

    selectedModule = computed(str, _name)

    def selectModule(self, name):
        module = slicer.app.moduleManager().module(name)
        if module is None:
            raise RuntimeError(f"there is no module {name}")
        self._menu.setCurrentIndex(self._menu.findData(name))
        self._window._panel.setModule(name)
        self.moduleSelected.emit(name)


class qSlicerModulePanel(QtWidgets.QWidget):
    """Help section and panel of the module that is shown."""

    _standin_ = True

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setObjectName("ModulePanel")
        self._module = self._shown = None
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        self._help = ctkCollapsibleButton("Help && Acknowledgement", self)
        self._help.setObjectName("HelpCollapsibleButton")
        self._text = ctkFittedTextBrowser(self._help)
        QtWidgets.QVBoxLayout(self._help).addWidget(self._text)
        self._help.collapsed = True
        column.addWidget(self._help)
        self._area = QtWidgets.QScrollArea(self)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column.addWidget(self._area, 1)
        probe = ctkCollapsibleButton("Data Probe", self)
        probe.setObjectName("DataProbeCollapsibleWidget")
        probe.collapsed = True
        column.addWidget(probe)

    helpAndAcknowledgmentVisible = stored(
        "helpAndAcknowledgmentVisible", bool, True, lambda self, value: self._help.setVisible(value)
    )

    def setModule(self, name):
        module = slicer.app.moduleManager().module(name)
        if module is self._module:
            return
        self._leave()
        widget = module.widgetRepresentation()
        self._module, self._shown = module, widget
        self._text.setHtml(f"{module.helpText}<p>{module.acknowledgementText}</p>")
        self._area.setWidget(widget)
        widget.show()
        widget.enter()

    def _leave(self):
        if self._shown is not None:
            self._shown.exit()
            self._area.takeWidget()
            self._shown.setParent(None)
        self._module = self._shown = None


class qSlicerMainWindow(QtWidgets.QMainWindow):
    _standin_ = True

    def __init__(self, layoutManager):
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer 5.13 (stand-in)")
        self._panel = qSlicerModulePanel()
        self._addMenus()
        self._selector = qSlicerModuleSelectorToolBar(self)
        self._addToolBars(layoutManager)
        dock = QtWidgets.QDockWidget(self)
        dock.setObjectName("PanelDockWidget")
        dock.setTitleBarWidget(QtWidgets.QWidget(dock))
        dock.setWidget(self._panel)
        self._panel.setMinimumWidth(440)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self.setCentralWidget(layoutManager.viewport())
        self.statusBar().show()
        self.resize(1600, 1000)
        self.resizeDocks([dock], [480], QtCore.Qt.Orientation.Horizontal)

    def _addMenus(self):
        for name in ("File", "Edit", "View", "Help"):
            self.menuBar().addMenu(name)

    def _addToolBars(self, layoutManager):
        style = self.style()
        icons = QtWidgets.QStyle.StandardPixmap
        files = QtWidgets.QToolBar("Main", self)
        for text, name in (("Data", icons.SP_DirOpenIcon), ("Save", icons.SP_DialogSaveButton)):
            files.addAction(style.standardIcon(name), text).setEnabled(False)
        files.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        files.setIconSize(QtCore.QSize(18, 18))
        self.addToolBar(files)
        self.addToolBar(self._selector)
        layouts = QtWidgets.QToolBar("Layout", self)
        self._layouts = QtWidgets.QComboBox(layouts)
        for text, name in (
            ("Conventional", "ConventionalView"),
            ("Four-Up", "FourUpView"),
            ("Red slice only", "OneUpRedSliceView"),
        ):
            self._layouts.addItem(text, int(getattr(slicer.vtkMRMLLayoutNode, "SlicerLayout" + name)))
        self._layouts.activated.connect(lambda _index: layoutManager.setLayout(self._layouts.currentData))
        self._layouts.setPlaceholderText("Layout")
        self._layouts.setCurrentIndex(self._layouts.findData(layoutManager.layout))
        layoutManager.layoutChanged.connect(
            lambda layout: self._layouts.setCurrentIndex(self._layouts.findData(layout))
        )
        layouts.addWidget(QtWidgets.QLabel(" Layout: ", layouts))
        layouts.addWidget(self._layouts)
        self.addToolBar(layouts)

    def moduleSelector(self):
        return self._selector

    def pythonConsole(self):
        raise NotInStandIn("there is no Python console in the stand-in")

    def errorLogDockWidget(self):
        raise NotInStandIn("there is no error log window in the stand-in")


def applyLooks(application):
    """Fusion in Slicer's light colours, with a font that exists."""
    application.setStyle("Fusion")
    font = QtGui.QFont("DejaVu Sans")
    font.setPointSizeF(9)
    application.setFont(font)
    palette = QtGui.QPalette(QtGui.QColor(239, 240, 241))
    palette.setColor(QtGui.QPalette.ColorRole.Base, QtGui.QColor(252, 252, 252))
    palette.setColor(QtGui.QPalette.ColorRole.Highlight, QtGui.QColor(61, 142, 201))
    application.setPalette(palette)
