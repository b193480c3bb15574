"""What `hetreg evaluate` wrote for a run: read, and as a small table for the panel. Knows no widget."""

import csv
import json
import os
from dataclasses import dataclass, fields
from html import escape

from slicer.i18n import tr as _

from hetreg.config import EvaluateConfig, TrainConfig
from hetreg.measures import metric_column
from hetreg.tables import ABOUT, number

from .trainingparameters import PHANTOM
from .trainingrun import MODEL

FOLDER, SUMMARY, ROWS, REPORT = "evaluation", "summary.json", "metrics.csv", "report.html"
STATISTICS = ("mean", "sd", "median")
CURVE = ("fraction", "by_uncertainty", "oracle")
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    csv.Error,
)
# Names of what the panel shows, where it was measured; {label} is the main label.
SHOWN = (
    "dice_{label}",
    "hd95_mm_{label}",
    "asd_mm_{label}",
    "epe_vox_myocardium",
    "epe_vox_body",
    "folding_percent",
    "inverse_consistency_vox",
    "ause_mask_normalised",
    "coverage95",
    "spearman_residual",
    "spearman_truth",
)


@dataclass(frozen=True)
class Numbers:
    """rows: one {name: text} for each case, as in metrics.csv; summary: the content of summary.json."""

    folder: str
    rows: list
    summary: dict

    @property
    def names(self):
        """The numbers' names: those of the main label, then the others in the order of the file."""
        names = [name for name in (self.rows[0] if self.rows else {}) if name not in ABOUT]
        label = str(self.summary.get("label"))
        return sorted(names, key=lambda name: label not in name.split("_"))

    @property
    def curve(self):
        """{"fraction", "by_uncertainty", "oracle"} of the mean sparsification curve, {} if there is none."""
        return self.summary.get("curves", {}).get("sparsification", {})

    def statistic(self, name, which):
        """Mean, sd, median or n of a number over the cases; None where it is not known."""
        return real(self.summary["cases"].get(name, {}).get(which))


def folderOf(runFolder):
    """Where the evaluation of a run lies."""
    return os.path.join(runFolder, FOLDER)


def reportOf(runFolder):
    """The report of the evaluation of a run, "" if there is none."""
    path = os.path.join(folderOf(runFolder), REPORT)
    return path if runFolder and os.path.isfile(path) else ""


def state(runFolder):
    """What changes when another evaluation was written; None if there is none."""
    path = os.path.join(folderOf(runFolder), SUMMARY)
    return (path, os.stat(path).st_mtime_ns) if runFolder and os.path.isfile(path) else None


def read(runFolder):
    """The numbers of the evaluation of a run; None if there is none. Raises ValueError if damaged."""
    folder = folderOf(runFolder)
    path = os.path.join(folder, SUMMARY)
    if not runFolder or not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            summary = json.load(file)
        with open(os.path.join(folder, ROWS), newline="", encoding="utf-8") as file:
            numbers = Numbers(folder, list(csv.DictReader(file)), summary)
        _check(numbers)
    except UNREADABLE as error:
        raise ValueError(_("The evaluation in {folder} cannot be read.").format(folder=folder)) from error
    return numbers


def real(value):
    """A cell or a statistic as a float, None where there is none. Raises ValueError, TypeError."""
    return None if value in (None, "") else float(value)


def _check(numbers):
    """Raise now what showing them would raise: a run folder may come from anywhere."""
    html(numbers)
    for name in numbers.names:
        for row in numbers.rows:
            real(row.get(name))
        for which in STATISTICS:
            numbers.statistic(name, which)
    curve = numbers.curve
    columns = [[v if v is None else float(v) for v in curve[role]] for role in CURVE if curve]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(SUMMARY)


def isOutdated(runFolder):
    """True if the model was written after the evaluation."""
    model, summary = os.path.join(runFolder, MODEL), os.path.join(folderOf(runFolder), SUMMARY)
    return os.path.isfile(model) and os.path.getmtime(model) > os.path.getmtime(summary)


def arguments(runFolder):
    """The command line that evaluates a run's best model on its test pairs.

    Raises ValueError or OSError if the folder holds no run.
    """
    train = TrainConfig.load(os.path.join(runFolder, "config.json"))
    config = EvaluateConfig(
        dataset=train.dataset,
        root=train.root if train.dataset != PHANTOM else "",  # of the command line, that once took both
        kind=train.kind,
        split_file=os.path.join(runFolder, "split.json"),
        seed=train.seed,
        model=os.path.join(runFolder, MODEL),
        device=train.device,
        weight_mode=train.weight_mode,
        gamma=train.gamma,
    )
    flags = []
    for f in fields(config):
        if getattr(config, f.name) != f.default:
            flags += ["--" + f.name.replace("_", "-"), str(getattr(config, f.name))]
    return ["evaluate", "--json", "--output", folderOf(runFolder), *flags]


def html(numbers):
    """Counts, failures and the means of the numbers that matter most, for the panel."""
    counts = numbers.summary["counts"]
    text = _("Test cases: {cases}, patients: {patients}, failed: {failed}.").format(
        cases=counts.get("cases"), patients=counts.get("patients"), failed=counts.get("failed")
    )
    failed = [f"{row.get('case')}: {row['error']}" for row in numbers.rows if row.get("error")]
    failures = "".join(f"<br>{escape(reason)}" for reason in failed)
    heads = "".join(f"<th align='right'>{escape(h)}</th>" for h in (_("Before"), _("Mean"), _("SD")))
    body = "".join(_line(numbers, name) for name in _shown(numbers))
    table = f"<table width='100%' cellpadding='1'><tr><th></th>{heads}</tr>{body}</table>" if body else ""
    return f"{escape(text)}{failures}{table}"


def _shown(numbers):
    names = [name.format(label=numbers.summary.get("label")) for name in SHOWN]
    return [name for name in names if numbers.statistic(name, "n")]


def _line(numbers, name):
    cells = [
        numbers.statistic(f"{name}_before", "mean"),
        numbers.statistic(name, "mean"),
        numbers.statistic(name, "sd"),
    ]
    texts = "".join(f"<td align='right'>{'' if v is None else escape(number(v))}</td>" for v in cells)
    return f"<tr><td>{escape(metric_column(name).heading)}</td>{texts}</tr>"
