"""Nobody is there to answer a dialog in a test: a test gives the answer beforehand, or the dialog raises."""

_answers = {}
_interactive = False


class UnansweredDialog(RuntimeError):
    """A modal dialog opened and no answer had been given with runtime.answer()."""


def answer(kind, value):
    """The next answer of a kind of dialog: "file", "files", "save", "folder", "text", "message", "dialog"."""
    _answers.setdefault(kind, []).append(value)


def setInteractive(interactive):
    """With a real person in front (start(show=True)) the dialogs open."""
    global _interactive
    _interactive = interactive


def isInteractive():
    return _interactive


def forget():
    _answers.clear()


def ask(kind, title):
    """The next answer for a dialog of this kind."""
    if _answers.get(kind):
        return _answers[kind].pop(0)
    if _interactive:
        return _open(kind, title)
    raise UnansweredDialog(
        f"a {kind} dialog opened ({title}); give its answer with runtime.answer({kind!r}, ...)"
    )


def _open(kind, title):
    from PySide6 import QtWidgets

    functions = {
        "file": lambda: QtWidgets.QFileDialog.getOpenFileName(None, title)[0],
        "files": lambda: QtWidgets.QFileDialog.getOpenFileNames(None, title)[0],
        "save": lambda: QtWidgets.QFileDialog.getSaveFileName(None, title)[0],
        "folder": lambda: QtWidgets.QFileDialog.getExistingDirectory(None, title),
        "text": lambda: QtWidgets.QInputDialog.getText(None, title, title)[0],
    }
    return functions[kind]()
