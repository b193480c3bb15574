"""Words of the results are looked up in Slicer's translations."""

import runpy

import pytest
import slicer


@pytest.fixture
def german(monkeypatch):
    """run(file): the file's content in a Slicer that puts "de " before every word that it translates."""
    monkeypatch.setattr(slicer.i18n, "tr", lambda text: f"de {text}")
    return lambda name: runpy.run_module(f"HetRegUncertaintyLib.{name}")


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_titlesOfTheNumbers(german):
    table = german("summary")["table"]({})
    titles = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    assert titles == ["de Measure", "de Before", "de After", "de Unit"]


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_segmentsOfTheExample(german):
    assert german("sampledata")["NAMES"][3] == "de LV cavity"
