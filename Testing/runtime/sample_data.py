"""The module SampleData of the stand-in: registration, file:// data and custom downloaders."""

import dataclasses
import logging
import shutil
import types
import urllib.parse
import urllib.request
from pathlib import Path

import slicer

from .standin import NotInStandIn


@dataclasses.dataclass
class SampleDataSource:
    sampleName: str
    sampleDescription: str
    uris: list
    fileNames: list
    nodeNames: list
    checksums: list
    loadFiles: list
    loadFileType: list
    loadFileProperties: dict
    thumbnailFileName: str
    customDownloader: object
    category: str


def _listed(value, count):
    return list(value) if isinstance(value, (list, tuple)) else [value] * count


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
        loadFileType=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        sampleDescription=None,
    ):
        count = len(uris) if isinstance(uris, (list, tuple)) else 1
        source = SampleDataSource(
            sampleName,
            sampleDescription or sampleName,
            *(_listed(v, count) for v in (uris, fileNames, nodeNames, checksums, loadFiles, loadFileType)),
            loadFileProperties or {},
            thumbnailFileName,
            customDownloader,
            category,
        )
        known = sources.setdefault(category, [])
        known[:] = [s for s in known if s.sampleName != sampleName] + [source]
        categories.setdefault(category, category)

    def __init__(self, logMessage=None):
        self.logMessage = logMessage or (lambda message, *_: logging.info(message))

    def sourceForSampleName(self, sampleName):
        return next((s for known in sources.values() for s in known if s.sampleName == sampleName), None)

    def downloadSamples(self, sampleName):
        return self.downloadFromSource(_source(sampleName))

    def downloadSample(self, sampleName):
        nodes = self.downloadSamples(sampleName)
        return nodes[0] if nodes else None

    def downloadFromSource(self, source, **_options):
        if source.customDownloader is not None:
            result = source.customDownloader(source)
            return result if isinstance(result, (list, tuple)) else [result]
        return [self._fetch(source, i) for i in range(len(source.uris))]

    def _fetch(self, source, i):
        url = urllib.parse.urlparse(source.uris[i])
        if url.scheme != "file":
            raise NotInStandIn(f"the stand-in downloads nothing ({source.uris[i]})")
        target = Path(slicer.app.cachePath) / source.fileNames[i]
        shutil.copyfile(urllib.request.url2pathname(url.path), target)
        if source.checksums[i]:
            self._check(target, source.checksums[i])
        if source.loadFiles[i] is False:
            return str(target)
        properties = dict(source.loadFileProperties)
        if source.nodeNames[i]:
            properties["name"] = source.nodeNames[i]
        return slicer.util.loadNodeFromFile(str(target), source.loadFileType[i], properties)

    @staticmethod
    def _check(path, checksum):
        algorithm, digest = slicer.util.extractAlgoAndDigest(checksum)
        if slicer.util.computeChecksum(algorithm, str(path)) != digest:
            raise ValueError(f"{path.name} does not have the checksum {checksum}")


def _source(sampleName):
    source = SampleDataLogic().sourceForSampleName(sampleName)
    if source is None:
        raise KeyError(f"no sample data named {sampleName!r} is registered")
    return source


def downloadSample(sampleName):
    return SampleDataLogic().downloadSample(sampleName)


def downloadSamples(sampleName):
    return SampleDataLogic().downloadSamples(sampleName)


def makeModule():
    module = types.ModuleType("SampleData")
    module.SampleDataLogic, module.SampleDataSource = SampleDataLogic, SampleDataSource
    module.downloadSample, module.downloadSamples = downloadSample, downloadSamples
    return module


def forget():
    sources.clear()
    categories.clear()
