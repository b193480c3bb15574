"""Stand-ins for the CTK containers and buttons that modules use."""

from PySide6 import QtCore, QtGui, QtWidgets

from .standin import computed, signals, stored


class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A header with an arrow; its layout lies below the header and is hidden while collapsed."""

    _standin_ = True
    _signals_ = signals("contentsCollapsed(bool)")
    contentsCollapsed = QtCore.Signal(bool)

    def __init__(self, text="", parent=None):
        if isinstance(text, QtWidgets.QWidget):
            text, parent = "", text
        super().__init__(parent)
        self._hidden, self._toggling = [], False  # hidden: the children that are shown when it is opened
        self.setText(text or "")
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._headerHeight(), 0, 0)
        self.toggled.connect(self._onToggled)

    def _headerHeight(self):
        return self.fontMetrics().height() + 8

    def _children(self):
        return [c for c in self.children() if isinstance(c, QtWidgets.QWidget) and not c.isWindow()]

    def _onToggled(self, checked):
        self._toggling = True
        if checked:
            hidden, self._hidden = self._hidden, []
            for child in hidden:
                child.setVisible(True)
            for child in self._children():
                child.removeEventFilter(self)
        else:
            self._hidden = [c for c in self._children() if not c.isHidden()]
            for child in self._children():
                self._hide(child)
                child.installEventFilter(self)
        self._toggling = False
        self.updateGeometry()
        self.contentsCollapsed.emit(not checked)

    def _hide(self, child):
        """Not as by a script: Qt would be silent when a script then hides it too."""
        child.setVisible(False)
        if child in self._hidden:
            child.setAttribute(QtCore.Qt.WidgetAttribute.WA_WState_ExplicitShowHide, False)

    def eventFilter(self, child, event):
        """As in CTK a child that is shown while the button is closed is out of sight again at once."""
        kind = event.type()
        if self._toggling or self.isChecked():
            return False
        if kind == QtCore.QEvent.Type.ShowToParent:
            self._hidden = [*self._hidden, *([] if child in self._hidden else [child])]
            self._toggling = True
            self._hide(child)
            self._toggling = False
        elif kind == QtCore.QEvent.Type.HideToParent:
            self._hidden = [other for other in self._hidden if other is not child]
        return False

    def _setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = computed(bool, lambda self: not self.isChecked(), _setCollapsed)
    collapsedHeight = stored("collapsedHeight", int, 10)
    flat = stored("flat", bool, False)
    contentsFrameShape = stored("contentsFrameShape", "enum", None)
    contentsFrameShadow = stored("contentsFrameShadow", "enum", None)
    contentsLineWidth = stored("contentsLineWidth", int, 1)
    contentsMidLineWidth = stored("contentsMidLineWidth", int, 0)

    def hitButton(self, pos):
        return pos.y() < self._headerHeight()

    def minimumSizeHint(self):
        layout = self.layout()
        hint = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text) + 30, self._headerHeight())
        return hint.expandedTo(layout.totalMinimumSize()) if layout and self.isChecked() else hint

    def sizeHint(self):
        layout = self.layout()
        hint = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.text) + 30, self._headerHeight())
        return hint.expandedTo(layout.totalSizeHint()) if layout and self.isChecked() else hint

    def paintEvent(self, _event):
        painter = QtGui.QPainter(self)
        header = QtCore.QRect(0, 0, QtWidgets.QWidget.width(self), self._headerHeight())
        palette = self.palette
        frame = QtCore.QRect(0, 0, QtWidgets.QWidget.width(self) - 1, QtWidgets.QWidget.height(self) - 1)
        if self.isChecked():
            painter.setPen(palette.color(QtGui.QPalette.ColorRole.Mid))
            painter.drawRect(frame.adjusted(0, header.height() // 2, 0, 0))
        painter.fillRect(
            header.adjusted(0, 1, 0, -1), palette.color(QtGui.QPalette.ColorRole.Button).darker(106)
        )
        painter.setPen(palette.color(QtGui.QPalette.ColorRole.Mid))
        painter.drawRect(header.adjusted(0, 1, -1, -2))
        option = QtWidgets.QStyleOption()
        option.initFrom(self)
        option.rect = QtCore.QRect(6, (header.height() - 11) // 2, 11, 11)
        arrow = QtWidgets.QStyle.PrimitiveElement
        self.style().drawPrimitive(
            arrow.PE_IndicatorArrowDown if self.isChecked() else arrow.PE_IndicatorArrowRight,
            option,
            painter,
            self,
        )
        painter.setPen(palette.color(QtGui.QPalette.ColorRole.ButtonText))
        flags = (
            QtCore.Qt.AlignmentFlag.AlignVCenter
            | QtCore.Qt.AlignmentFlag.AlignLeft
            | QtCore.Qt.TextFlag.TextShowMnemonic
        )
        painter.drawText(header.adjusted(24, 0, -4, 0), int(flags), self.text)
        painter.end()


class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A checkable group box whose contents are hidden while it is unchecked."""

    _standin_ = True

    def __init__(self, title="", parent=None):
        if isinstance(title, QtWidgets.QWidget):
            title, parent = "", title
        super().__init__(title or "", parent)
        self.setCheckable(True)
        self.toggled.connect(self._onToggled)

    def _onToggled(self, checked):
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(checked)
        self.setMaximumHeight(16777215 if checked else self.fontMetrics().height() + 6)

    def _setCollapsed(self, collapsed):
        self.setChecked(not collapsed)

    collapsed = computed(bool, lambda self: not self.isChecked(), _setCollapsed)
    collapsedHeight = stored("collapsedHeight", int, 14)


class ctkPushButton(QtWidgets.QPushButton):
    _standin_ = True
    buttonTextAlignment = stored("buttonTextAlignment", "enum", None)
    iconAlignment = stored("iconAlignment", "enum", None)
    elideMode = stored("elideMode", "enum", None)


class ctkMenuButton(QtWidgets.QPushButton):
    _standin_ = True


class ctkCheckBox(QtWidgets.QCheckBox):
    _standin_ = True
    indicatorIcon = stored("indicatorIcon", "enum", None)
    indicatorIconSize = stored("indicatorIconSize", "enum", None)


class ctkColorPickerButton(QtWidgets.QPushButton):
    """A push button that shows a colour; the colour dialog itself is not imitated."""

    _standin_ = True
    _signals_ = signals("colorChanged(QColor)")
    colorChanged = QtCore.Signal(QtGui.QColor)

    def _onColor(self, color):
        pixmap = QtGui.QPixmap(16, 16)
        pixmap.fill(color)
        self.setIcon(QtGui.QIcon(pixmap))
        if self.displayColorName:
            self.setText(color.name())
        self.colorChanged.emit(color)

    color = stored("color", "enum", QtGui.QColor(0, 0, 0), _onColor)
    displayColorName = stored("displayColorName", bool, True)

    def setColor(self, color):
        self.color = color

    def setDisplayColorName(self, displayed):
        self.displayColorName = displayed


class ctkMessageBox(QtWidgets.QMessageBox):
    _standin_ = True
    dontShowAgain = stored("dontShowAgain", bool, False)
    dontShowAgainVisible = stored("dontShowAgainVisible", bool, False)
    dontShowAgainSettingsKey = stored("dontShowAgainSettingsKey", str, "")

    def setDontShowAgain(self, value):
        self.dontShowAgain = value


class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser as tall as its text."""

    _standin_ = True

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.textChanged.connect(self._fit)

    def _fit(self):
        document = QtWidgets.QTextEdit.document(self).clone()
        document.setTextWidth(max(self.viewport().width, 50))
        self.setFixedHeight(int(document.size.height()) + 2 * self.frameWidth + 2)

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._fit()

    disableMouseScroll = stored("disableMouseScroll", bool, False)
