"""The table of an evaluation in its view: each column is as wide as its heading and its cells."""

import slicer

import runtime
from HetRegUncertaintyLib import traininglayout


def evaluate(panel):
    panel.ui.evaluateButton.click()
    runtime.wait(lambda: not panel.evaluation.running)


def tableView():
    manager = slicer.app.layoutManager()
    views = [manager.tableWidget(i).tableView() for i in range(manager.tableViewCount)]
    tag = traininglayout.EVALUATION_TABLE
    return next(view for view in views if view.mrmlTableViewNode().GetSingletonTag() == tag)


def headingsCutOff(view):
    """Headings of columns that are too narrow for them or for a cell."""
    header, model = view.horizontalHeader(), view.model()
    columns = range(model.columnCount())
    needed = {c: max(header.sectionSizeHint(c), view.sizeHintForColumn(c)) for c in columns}
    return [model.horizontalHeaderItem(c).text() for c in columns if view.columnWidth(c) < needed[c]]


def test_noHeadingIsCutOffAlsoTheSecondTime(trained, fake):
    """The second evaluation has another column, in the same table."""
    evaluate(trained)
    view = tableView()
    assert view.model().columnCount() == 4
    assert headingsCutOff(view) == []
    fake("failing")
    evaluate(trained)
    assert view.model().columnCount() == 5
    assert headingsCutOff(view) == []
