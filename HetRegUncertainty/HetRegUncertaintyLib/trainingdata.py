"""The dry run of a training: what the data folder holds, as two tables, before anything is computed."""

import os

import qt
from slicer.i18n import tr as _

from .literal import toolTip
from .process import HetRegProcess
from .trainingwords import inWords

MAX_ROWS = 2000
SEEN_ROWS = 7  # of a table at a time, the titles among them
NAME_WIDTH = 140  # pixels; a longer name is in the tooltip
PATIENT = 1  # column of the table of pairs


class DataCheck:
    """Runs `train --dry-run` and fills the tables. onLog(text) gets what else is said."""

    def __init__(self, ui, onLog):
        self.ui = ui
        self._process = HetRegProcess(self._onEvent, onLog, self._onEnd)
        self._listing, self._isOutdated = None, False
        for table in (ui.pairsTable, ui.rejectedTable):  # higher with a larger font
            table.setFixedHeight(SEEN_ROWS * table.verticalHeader().defaultSectionSize)
        self.clear()

    @property
    def running(self):
        """True while a folder is looked through."""
        return self._process.running

    def start(self, configFile):
        """Look through the data that a configuration file names."""
        self._isOutdated = False
        self.clear(_("Looking through the data..."))
        self._process.start(["train", "--config", configFile, "--dry-run", "--json"])
        self._show()

    def close(self):
        """The panel goes away."""
        self._process.close()

    def outdate(self):
        """Another choice was made: what was found, or is being found, is not of it."""
        self._isOutdated = self.running
        self._process.kill()
        self.clear(_("The choice of data has changed: check again."))

    def clear(self, text=""):
        """Empty tables, and a line of text."""
        self._listing = None
        self.ui.dataLabel.text = text
        self._show()

    def _onEvent(self, content):
        if content["event"] == "dry_run" and not self._isOutdated:
            self._listing = content

    def _onEnd(self, _code, problem):
        if self._isOutdated:
            self._show()
            return
        if self._listing is None:  # with a listing the reason is in it: no pairs, and the files left out
            self.clear(inWords(self.ui, problem) or _("The check ended without a result."))
            return
        pairs, rejected = self._listing.get("pairs", []), self._listing.get("rejected", [])
        self.ui.dataLabel.text = summary(pairs, rejected)
        rows = [pairRow(pair) for pair in pairs]
        _fill(self.ui.pairsTable, rows)
        for column in range(len(rows[0]) if rows else 0):
            known = [row[0] if column == PATIENT else "" for row in rows]  # says nothing new: not shown
            hidden = all(row[column] in (None, "", other) for row, other in zip(rows, known, strict=True))
            self.ui.pairsTable.setColumnHidden(column, hidden)
        files = [str(r.get("file", "")) for r in rejected]
        names = [os.path.basename(file) for file in files]
        reasons = [
            str(r.get("reason", "")).removeprefix(f"{n} ") for r, n in zip(rejected, names, strict=True)
        ]
        _fill(self.ui.rejectedTable, list(zip(names, reasons, strict=True)), files)
        _wrap(self.ui.rejectedTable)
        self._show()

    def _show(self):
        listing = self._listing or {}
        self.ui.checkButton.enabled = not self.running
        self.ui.dataLabel.visible = bool(self.ui.dataLabel.text)
        self.ui.pairsTable.visible = bool(listing.get("pairs"))
        self.ui.rejectedTable.visible = bool(listing.get("rejected"))


def summary(pairs, rejected):
    """One line: how many pairs there are for what, and how many files are left out."""
    splits = [pair.get("split") for pair in pairs]
    count = {name: splits.count(name) for name in ("training", "validation", "test")}
    patients = len({pair.get("patient") for pair in pairs})
    labelled = sum(pair.get("labels") == "both" for pair in pairs)
    text = _(
        "Pairs: {pairs} ({training} for training, {validation} for validation, {test} for test). Patients: "
        "{patients}. Pairs with labels of both images: {labelled}."
    ).format(pairs=len(pairs), patients=patients, labelled=labelled, **count)
    if not pairs:
        text = _("No pairs were found.")
    if rejected:
        text += " " + _("Files left out: {count}, see below.").format(count=len(rejected))
    return text


def pairRow(pair):
    """Texts of one row: case, patient, split, size, spacing, labels, note."""
    words = {"both": _("both"), "fixed": _("fixed"), "moving": _("moving"), "none": _("none")}
    labels = words.get(pair.get("labels"), pair.get("labels"))
    spacing = " × ".join(f"{float(s):.3g}" for s in pair.get("spacing_mm") or [])
    size = " × ".join(map(str, pair.get("size") or []))
    about = (pair.get("case"), pair.get("patient"), pair.get("split"))
    return (*about, size, spacing, labels, pair.get("note"))


def _fill(table, rows, tips=None):
    """Put texts into a table widget that has its columns already. tips: tooltips of the first column."""
    shown = rows[:MAX_ROWS]
    table.setRowCount(len(shown))
    for i, row in enumerate(shown):
        for j, text in enumerate(row):
            item = qt.QTableWidgetItem("" if text is None else str(text))
            item.setToolTip(toolTip(tips[i] if tips and j == 0 else item.text()))
            table.setItem(i, j, item)
    table.resizeColumnsToContents()


def _wrap(table):
    """Give the last column the width, and each row the height that its text needs there."""
    room = table.columnCount - 1
    for column in range(room):
        table.setColumnWidth(column, min(table.columnWidth(column), NAME_WIDTH))
    table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
