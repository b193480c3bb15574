"""The module SampleData of the stand-in: registration, and the buttons of its panel; no downloads."""

import dataclasses
import logging
import types

import slicer
from PySide6 import QtWidgets

from .standin import NotInStandIn


@dataclasses.dataclass
class SampleDataSource:
    sampleName: str
    sampleDescription: str
    uris: list
    fileNames: list
    nodeNames: list
    thumbnailFileName: str
    customDownloader: object

    def __post_init__(self):
        if not len(self.uris) == len(self.fileNames) == len(self.nodeNames):
            raise ValueError("All fields of sample data source must have the same length")


def _listed(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]


sources = {}
categories = {}


class SampleDataLogic:
    """What modules use of SampleDataLogic."""

    @staticmethod
    def registerCustomSampleDataCategory(category, title=None):
        categories[category] = title or category
        sources.setdefault(category, [])

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
    ):
        names = (_listed(value) for value in (uris, fileNames, nodeNames))
        source = SampleDataSource(sampleName, sampleName, *names, thumbnailFileName, customDownloader)
        known = sources.setdefault(category, [])
        known[:] = [s for s in known if s.sampleName != sampleName] + [source]
        categories.setdefault(category, category)

    @staticmethod
    def sampleDataSourcesByCategory(category=None):
        return sources if category is None else sources.get(category, [])

    def __init__(self, logMessage=None):
        self.logMessage = logMessage or (lambda message, level=logging.DEBUG: logging.log(level, message))

    def sourceForSampleName(self, sampleName):
        return next((s for known in sources.values() for s in known if s.sampleName == sampleName), None)

    def downloadSamples(self, sampleName):
        source = self.sourceForSampleName(sampleName)
        return self.downloadFromSource(source) if source else []

    def downloadSample(self, sampleName):
        return self.downloadSamples(sampleName)[0]

    def downloadFromSource(self, source):
        """By address only: Slicer's, too, leaves customDownloader to the button of its panel."""
        for uri in source.uris:
            if uri:
                raise NotInStandIn(f"the stand-in downloads nothing ({uri})")
            self.logMessage("Download failed", logging.ERROR)
        return []


class SampleDataWidget:
    """The buttons of the panel: Slicer's names, and what a click calls."""

    @staticmethod
    def setCategoriesFromSampleDataSources(categoryLayout, dataSources, logic):
        for source in (s for category in sorted(dataSources) for s in dataSources[category]):
            button = QtWidgets.QToolButton()
            button.setText(source.sampleDescription)
            button.name = f"{source.sampleDescription}PushButton"
            categoryLayout.addWidget(button)
            if source.customDownloader:
                button.connect("clicked()", lambda s=source: s.customDownloader(s))
            else:
                button.connect("clicked()", lambda s=source: logic.downloadFromSource(s))


def click_sample(name):
    """Click the button of a sample, as a user does in the panel of Sample Data."""
    panel = QtWidgets.QWidget()
    layout = QtWidgets.QVBoxLayout(panel)
    SampleDataWidget.setCategoriesFromSampleDataSources(layout, sources, SampleDataLogic())
    slicer.util.findChild(panel, f"{name}PushButton").click()


def downloadSample(sampleName):
    return SampleDataLogic().downloadSample(sampleName)


def downloadSamples(sampleName):
    return SampleDataLogic().downloadSamples(sampleName)


def makeModule():
    module = types.ModuleType("SampleData")
    module.SampleDataLogic, module.SampleDataSource = SampleDataLogic, SampleDataSource
    module.SampleDataWidget = SampleDataWidget
    module.downloadSample, module.downloadSamples = downloadSample, downloadSamples
    return module


def forget():
    sources.clear()
    categories.clear()
