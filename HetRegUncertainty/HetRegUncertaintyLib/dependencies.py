"""The Dependencies section: what is installed, one button to install what is missing, with consent."""

import slicer
from slicer.i18n import tr as _

from . import install


class DependencyCard:
    """onChanged is called after an installation."""

    def __init__(self, ui, onChanged):
        self.ui, self._onChanged = ui, onChanged
        self.ui.installButton.connect("clicked(bool)", self.onInstall)
        self.ui.dependencyCollapsibleButton.connect("contentsCollapsed(bool)", self._onCollapsed)
        self.ui.dependencyCollapsibleButton.collapsed = not install.reasonMissing()
        self.update()

    def update(self):
        """Show the state. The device is looked up only while the section is open: that imports torch."""
        version = install.torchVersion()
        impossible = "" if version else install.reasonImpossible()
        self.ui.installButton.visible = not version and not impossible
        self.ui.installButton.text = (
            _("Install PyTorch...") if install.extensionInstalled() else _("Install the PyTorch extension...")
        )
        if impossible:
            text = impossible
        elif not version:
            text = _(
                "PyTorch is missing. It computes the registration (download: about 1 GB with a GPU, 200 MB "
                "without)."
            )
            text += " " + _("Everything runs on the CPU if there is no GPU.")
        elif self.ui.dependencyCollapsibleButton.collapsed:
            text = _("PyTorch {version}.").format(version=version)
        else:
            text = _("PyTorch {version}.").format(version=version) + "\n" + install.describeDevice()
        self.ui.dependencyLabel.text = text

    def resume(self):
        """After the restart that the extension needed: go on with PyTorch, if the extension is there."""
        if install.resumeWanted():
            install.setResume(False)
            if install.extensionInstalled():
                self.onInstall()

    def onInstall(self, _checked=False):
        """Install what is missing: the extension (asks, then restarts Slicer), then PyTorch (asks itself)."""
        with slicer.util.tryWithErrorDisplay(_("The installation failed."), waitCursor=False):
            reason = install.reasonImpossible()
            if not reason:
                reason = install.installTorch() if install.extensionInstalled() else self._installExtension()
            self.update()
            if reason:
                self.ui.dependencyLabel.text = reason
            self._onChanged()

    def _installExtension(self):
        question = _(
            "PyTorch comes with the Slicer extension named PyTorch. Install this extension now? Slicer "
            "restarts afterwards: save your work first. PyTorch itself is downloaded after the restart; you "
            "are asked again."
        )
        if not slicer.util.confirmOkCancelDisplay(question, _("Install the PyTorch extension")):
            return _("Nothing was installed.")
        reason = install.installExtension()
        if not reason:
            slicer.util.restart()
        return reason

    def _onCollapsed(self, _collapsed):
        self.update()
