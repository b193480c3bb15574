"""The run that the output folder holds: its settings go into the form, and with them it goes on."""

import os
from dataclasses import dataclass, field, fields, replace

import slicer
from slicer.i18n import tr as _

from hetreg.config import TrainConfig
from hetreg.training.folder import FREE

from .trainingform import valueText
from .trainingparameters import (
    ABSENT,
    DEFAULTS,
    HARDWARE,
    PHANTOM,
    LengthUnit,
    formValues,
    parameterOf,
    plain,
    trainConfig,
)
from .trainingrun import CONFIG, canContinue
from .words import rowName


@dataclass(frozen=True)
class Former:
    """What the output folder holds."""

    source: tuple | None = None  # its file of settings and the time of that, None if it holds no run
    config: TrainConfig | None = None  # the settings, None if there are none
    problem: str = ""  # why they cannot be read
    folder: str = ""  # the output folder, where it was there
    shown: dict = field(default_factory=dict)  # {parameter: value} of the run that the form took over last
    note: str = ""  # what the form cannot show of it


class FormerRun:
    """Fills the form when the output folder comes to hold a run; afterwards only what is FREE may differ.

    Its own settings are put aside with the first run, and come back when the folder holds none any more,
    unless the form was changed meanwhile or `keep` was called. Of a folder that is gone the settings stay.
    """

    def __init__(self, ui):
        self._ui = ui
        self.forget()

    @property
    def note(self):
        """What the form cannot show of the run."""
        return self._run.note

    def forget(self):
        """The form is another one, after a change of the scene: the folder is looked at again."""
        self._run, self._own, self.gone = Former(), {}, ""

    def keep(self):
        """The settings of the run stay in the form, also for another folder."""
        self._own = {}

    def follow(self, parameters, run):
        """Bring the form in line with the run that its output folder holds, if that is another one now."""
        folder, former = parameters.outputFolder, self._run
        source, isThere = _source(folder, run), os.path.isdir(folder)
        isGone = source is None and former.config is not None and former.folder == folder and not isThere
        self.gone = _goneText(folder) if isGone else ""
        if source == former.source or isGone:
            return
        folder = folder if isThere or former.folder == folder else ""  # moved while the run goes on
        # first of all, since a change of the form calls this again
        self._run = Former(source, *_load(source), folder, former.shown)
        if self._run.config is not None:
            self._own = self._own or {n: getattr(parameters, n) for n in settings(self._run.config)}
            self._fill(parameters)
        elif source is None:
            if not self._changed(parameters, former.shown):  # a path that was only typed through
                _set(parameters, self._own)
            self._own = {}

    def configuration(self, parameters):
        """What to train with: the form, or the run's own settings with what may be changed.

        Raises ValueError with one sentence if the form has what may not.
        """
        if self._run.problem:
            raise ValueError(self._run.problem)
        if self._run.config is None:
            return trainConfig(parameters)
        values = formValues(parameters)
        fixed = {parameterOf(n) for n in values if n not in FREE}
        if parameters.dataset.value != PHANTOM:
            fixed.add("addPhantoms")
        self._refuse(parameters, self._changed(parameters, fixed))
        free = {n: v for n, v in values.items() if n in FREE and parameterOf(n) in self._run.shown}
        free |= {n: getattr(DEFAULTS, n) for n in ("epochs", *HARDWARE) if n not in values}
        return replace(self._run.config, **free)

    def _fill(self, parameters):
        config, note = self._run.config, ""
        values = settings(config)
        kept = _set(parameters, values)
        shown = {n: getattr(parameters, n) for n in values if n not in kept}
        absent = {n: values[n] for n in kept}
        absent |= {n: v for n, v in _joined(config).items() if v != plain(shown.get(n, v))}
        if absent:
            text = ", ".join(f"{rowName(self._ui, n)} {valueText(v)}" for n, v in absent.items())
            note = _("The run continues with settings that this form cannot show: {text}.").format(text=text)
        self._run = replace(self._run, shown=shown, note=note)

    def _changed(self, parameters, names):
        """Those parameters that the user has set to something else than the run has."""
        return [n for n, v in self._run.shown.items() if n in names and getattr(parameters, n) != v]

    def _refuse(self, parameters, changed):
        if not changed:
            return
        texts = []
        for name in changed:
            old, new = (valueText(v) for v in (self._run.shown[name], getattr(parameters, name)))
            texts.append(_("{name} {old}, not {new}").format(name=rowName(self._ui, name), old=old, new=new))
        raise ValueError(
            _(
                "The run in {folder} was started with {differences}: change this to continue, or click New."
            ).format(
                folder=os.path.basename(os.path.normpath(parameters.outputFolder)),
                differences="; ".join(texts),
            )
        )


def settings(config):
    """{parameter: plain value} of the form for a TrainConfig; of what is joined by +, the first."""
    values = {parameterOf(f.name): getattr(config, f.name) for f in fields(config) if f.name not in ABSENT}
    names = config.dataset.split("+")
    real = [name for name in names if name != PHANTOM]
    values["dataset"], values["addPhantoms"] = (real or names)[0], bool(real) and PHANTOM in names
    values["phantomKind"] = config.kind.split("+")[0]
    unit = LengthUnit.EPOCHS if config.epochs else LengthUnit.STEPS
    values["lengthUnit"], values["length"] = unit.value, config.epochs or config.steps
    if replace(config, crop=0).crop_vox == config.crop_vox:
        values["crop"] = 0  # automatic
    return values


def _joined(config):
    """{parameter: all that the run has} of what the form takes one of."""
    real = [name for name in config.dataset.split("+") if name != PHANTOM]
    return {"dataset": "+".join(real) or PHANTOM, "phantomKind": config.kind}


def _source(folder, run):
    """(file with the settings, its time) of the run that a folder holds; None if it holds none."""
    path = os.path.join(folder, CONFIG) if canContinue(folder) else ""
    if not path and run.running and run.folder == os.path.abspath(folder):
        path = run.configFile  # nothing to go on with yet
    return (path, os.stat(path).st_mtime_ns) if os.path.isfile(path) else None


def _load(source):
    """(settings or None, why they cannot be read)."""
    try:
        return (TrainConfig.load(source[0]) if source else None), ""
    except (OSError, ValueError) as error:
        return None, _("The run in the output folder cannot be continued: {error}").format(error=error)


def _goneText(folder):
    name = os.path.basename(os.path.normpath(folder))
    return _("The output folder '{name}' is gone: choose where it is, or click New.").format(name=name)


def _set(parameters, values):
    """Set parameters at once; returns the names of those that do not take their value."""
    kept = []
    with slicer.util.NodeModify(parameters):
        for name, value in values.items():
            try:
                setattr(parameters, name, type(getattr(parameters, name))(value))
            except ValueError:  # out of the row's range
                kept.append(name)
    return kept
