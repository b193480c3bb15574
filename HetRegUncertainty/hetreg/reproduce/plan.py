"""The runs of a reproduction: which variant, network, seed and lambda, and in which folder. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import TrainConfig
from ..registry import METHODS
from .config import ALL, ReproduceConfig
from .variants import VARIANTS

OURS = "ours"
FURTHER = 3  # values of lambda beyond those given that a sweep tries at most
_CONTROLS = ("constant", "oracle", "shuffled")
_VALIDATIONS = 8  # of a run
_SHORT_WARMUP = 10  # a run warms up for at most 1 / 10 of its steps
Lambdas = Mapping[tuple[str, str], float]  # (network, variant that was swept) -> lambda


@dataclass(frozen=True)
class Job:
    """One run, or one baseline (network "", config None). name: its folder's, unique."""

    name: str
    network: str
    variant: str
    seed: int
    config: TrainConfig | None

    @property
    def kind(self) -> tuple[Any, ...]:
        """What the time of its steps depends on: not on the form of the weight."""
        row = VARIANTS[self.variant]
        return (self.network, row.method, *(o for o in row.options if o[0] not in ("gamma", "weight_mode")))

    @property
    def label(self) -> str:
        """For people."""
        if self.config is None:
            return VARIANTS[self.variant].label
        return f"{self.network}, {self.variant}, lambda {self.config.smoothness:g}, seed {self.seed}"


def split_file(folder: Path, seed: int | None = None) -> Path:
    """The split that the runs with a seed train by; None: the real patients' alone, for the evaluation."""
    return folder / ("split.json" if seed is None else f"split-seed{seed}.json")


def chosen(config: ReproduceConfig, network: str) -> dict[str, str]:
    """{variant: "" or why it is left out} of a network; of the baselines for network ""."""
    found: dict[str, str] = {}
    for name, variant in VARIANTS.items():
        named = name in config.methods
        fits = ALL in config.methods and _is_of_all(name, network)
        if bool(variant.method) != bool(network) or not (named or fits):
            continue
        oracle = bool(variant.method) and METHODS[variant.method].weight == "oracle"
        found[name] = ""
        if oracle and not config.noise_known:
            found[name] = "the true noise variance is known for the phantom alone, without point scatterers"
        if name == "unaugmented" and not named and not config.noise_known:
            del found[name]  # it is there to be compared with the oracle
    return found


def _is_of_all(name: str, network: str) -> bool:
    """True if "all methods" has the variant with this network; not what learns from labels and truth."""
    variant = VARIANTS[name]
    if variant.method and METHODS[variant.method].extra:
        return False
    return not variant.networks or network in variant.networks


def leader(variant: str, weight_mode: str) -> str:
    """The variant whose lambda a variant takes. Ablations and controls stay with ours; a form of the weight
    other than ours, which has `weight_mode`, is another loss, and so is another gamma of the precision."""
    row = VARIANTS[variant]
    mode = dict(row.options).get("weight_mode", weight_mode)
    if mode != weight_mode:
        return f"{mode}_weight"
    if mode == "precision" and "gamma" in dict(row.options):
        return variant  # it changes the size of the data term
    return OURS if row.options or METHODS[row.method].weight in _CONTROLS else variant


def swept(config: ReproduceConfig) -> list[tuple[str, str]]:
    """(network, variant) for which lambda is chosen."""
    if not config.sweep_lambda:
        return []
    known = config.known_lambdas()
    pairs: list[tuple[str, str]] = []
    for network in config.networks:
        there = [v for v, reason in chosen(config, network).items() if not reason]
        leads = dict.fromkeys(leader(v, config.weight_mode) for v in there if v not in known)
        names = [v for v in leads if v not in known]
        pairs += [(network, v) for v in names if "smoothness" in METHODS[VARIANTS[v].method].options]
    return pairs


def idle_lambdas(config: ReproduceConfig) -> list[str]:
    """The methods of `lambda_of` whose lambda no run takes."""
    known = config.known_lambdas()
    run = {v for network in config.networks for v, why in chosen(config, network).items() if not why}
    taken = run | {leader(v, config.weight_mode) for v in run if v not in known}
    return [name for name in known if name not in taken]


def train_config(
    config: ReproduceConfig, folder: Path, network: str, variant: str, seed: int, smoothness: float
) -> TrainConfig:
    """The training of one run."""
    row = VARIANTS[variant]
    base = TrainConfig(
        dataset=config.dataset,
        root=config.root,
        kind=config.kind,
        network=network,
        size=config.size,
        integrate=config.integrate,
        weight_mode=config.weight_mode,
        smoothness=smoothness,
        steps=config.budget,
        warmup=min(TrainConfig.warmup, config.budget // _SHORT_WARMUP),
        batch=config.batch,
        crop=config.crop,
        learning_rate=config.learning_rate,
        decay=config.decay,
        augment=config.augment,
        phantoms=config.phantoms,
        validate_every=max(1, config.budget // _VALIDATIONS),
        seed=seed,
        device=config.device,
        amp=config.amp,
        compile=config.compile,
        split=str(split_file(folder, seed).absolute()),
    )
    return replace(base.for_method(row.method), **dict(row.options))


def job(
    config: ReproduceConfig, folder: Path, network: str, variant: str, seed: int, smoothness: float
) -> Job:
    """One run. Its name has the lambda, so that a run of the sweep is also the run of its seed."""
    training = train_config(config, folder, network, variant, seed, smoothness)
    named = "smoothness" in METHODS[VARIANTS[variant].method].options
    text = f"-lambda{training.smoothness:g}" if named else ""
    return Job(f"{network}-{variant}{text}-seed{seed}", network, variant, seed, training)


def sweep_jobs(config: ReproduceConfig, folder: Path) -> list[Job]:
    """The runs that lambda is chosen by, with the first seed."""
    return [sweep_job(config, folder, key, value) for key in swept(config) for value in config.lambdas]


def sweep_job(config: ReproduceConfig, folder: Path, key: tuple[str, str], smoothness: float) -> Job:
    """One of them; key: network and variant."""
    return job(config, folder, *key, config.first_seed, smoothness)


def choose(scores: Mapping[float, float], tolerance: float = 0.0) -> float:
    """The lambda that a sweep takes, given the validation score of each: the largest of those that score at
    most `tolerance` less than the best, since by chance any of them could be the best, and the larger one
    gives the smoother field."""
    floor = max(scores.values()) - tolerance
    return max(value for value, score in scores.items() if score >= floor)


def further(scores: Mapping[float, float], tolerance: float = 0.0) -> float | None:
    """The lambda that a sweep tries next, given the score of each one so far: the next of 0.1, 0.3, 1, 3 ..
    where the best alone lies at the lower edge, or the one that is taken at the upper. None otherwise."""
    *others, best = sorted(scores, key=scores.__getitem__)
    if not others or scores[best] == scores[others[-1]]:
        return None
    if best == min(scores):
        return _ladder(best, -1) if best > 0 else None
    largest = max(scores)
    return _ladder(largest, 1) if choose(scores, tolerance) == largest else None


def _ladder(value: float, step: int) -> float:
    """The nearest number above (step 1) or below (step -1) that is 1 or 3 times a power of ten."""
    power = math.floor(math.log10(value))
    series = [float(f"{digit}e{p}") for p in range(power - 1, power + 2) for digit in (1, 3)]
    far = [v for v in series if (v - value) * step > 0.01 * value]
    return min(far) if step > 0 else max(far)


def jobs(config: ReproduceConfig, folder: Path, lambdas: Lambdas | None = None) -> list[Job]:
    """Baselines first, then all runs of the first seed, then of the next; a variant that equals one before is
    left out.

    lambdas: what a sweep chose. A variant takes its own of `config.lambda_of`, else that of its leader there
    or in the sweep, else `config.smoothness`.
    """
    known = config.known_lambdas()
    found = [Job(name, "", name, 0, None) for name in chosen(config, "")]
    for seed in config.all_seeds:
        for network in config.networks:
            made: dict[str, TrainConfig] = {}
            for variant, reason in chosen(config, network).items():
                if reason:
                    continue
                leads = leader(variant, config.weight_mode)
                led = known.get(leads, (lambdas or {}).get((network, leads), config.smoothness))
                smoothness = known.get(variant, led)
                run = job(config, folder, network, variant, seed, smoothness)
                if run.config is not None and run.config not in made.values():
                    made[variant] = run.config
                    found.append(run)
    return found


def left_out(config: ReproduceConfig) -> dict[str, str]:
    """{variant: reason} of those that cannot be run on this data."""
    return {v: why for network in config.networks for v, why in chosen(config, network).items() if why}


def duration(seconds: float) -> str:
    """ "1 h 02 min", "3 min", "40 s"."""
    if round(seconds) < 60:
        return f"{round(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"
