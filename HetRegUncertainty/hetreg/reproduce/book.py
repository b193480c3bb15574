"""All scores of a reproduction, looked up by source, network, variant and measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .comparisons import Claim, Comparison, compare, ordering
from .config import ReproduceConfig
from .paper import AUSE, PUBLISHED, main_table, paper_set, printed, printed_ause
from .plan import OURS
from .scores import Measure, Score, Series, label_of, series
from .variants import VARIANTS

EXTRA = {
    "dice_half": Measure("DSC, mask from 0.5 (%)", "dice_{label}", True, 100.0),
    "hd95": Measure("HD95 (mm)", "hd95_mm_{label}"),
    "asd_mm": Measure("ASD (mm)", "asd_mm_{label}"),
    "folding": Measure("Folding (%)", "folding_percent", digits=4),
    "sd_log_j": Measure("SD log J", "sd_log_jacobian", digits=3),
    "epe": Measure("End-point error in the myocardium (vox)", "epe_vox_myocardium", digits=3),
    "ause_mask": Measure("AUSE in the mask, of 1", "ause_mask_normalised", digits=4),
    "spearman": Measure("Spearman with the true noise", "spearman_truth", True, digits=3),
    "nll": Measure("NLL of the true noise (nats)", "nll_truth", digits=3),
    "coverage": Measure("Coverage 95 % of the true noise", "coverage95_truth", None, digits=1),
    "displacement": Measure("Coverage 95 % of the displacement", "displacement_coverage95", None, digits=1),
    "displacement_rank": Measure(
        "Spearman of the displacement's SD and error", "displacement_spearman", True, digits=2
    ),
}
MEASURES = {**PUBLISHED, "ause": AUSE, **EXTRA}
CONTROLS = (
    "mse",
    "constant_weight",
    "shuffled_weight",
    "unaugmented",
    "oracle_weight",
    "paper_weight",
    "released_weight",
    "robust_weight",
    "precision_weight",
)
FORMS = ("precision_weight", "precision_residual", "precision_blind")  # ours, compared with the baselines
FIGURE3, CONTROL = "figure 3", "controls"


@dataclass(frozen=True)
class Book:
    """The scores and what they belong to."""

    config: ReproduceConfig
    scores: Sequence[Score]

    def of(self, source: str, network: str, variant: str) -> list[Score]:
        """One score per seed that was run, failed ones included."""
        wanted = ("" if not VARIANTS[variant].method else network, variant, source)
        return [s for s in self.scores if (s.network, s.variant, s.source) == wanted]

    def label(self, source: str) -> int:
        """The structure that is measured on a source: myocardium (2), else cavity (3)."""
        return self._labels[source]

    @cached_property
    def _labels(self) -> dict[str, int]:
        found = {source: [s for s in self.scores if s.source == source] for source in self.config.sources}
        return {source: label_of(scores, PUBLISHED["dice"]) for source, scores in found.items()}

    def series(self, source: str, network: str, variant: str, measure: str) -> Series | None:
        """The measure of a method over units and seeds; None if no run has rows."""
        found = [s for s in self.of(source, network, variant) if s.rows]
        return series(found, MEASURES[measure], self.label(source)) if found else None

    def variants(self, source: str, network: str, names: Sequence[str]) -> list[str]:
        """Those of the names that were run, also if they failed, in that order."""
        return [name for name in names if self.of(source, network, name)]

    def claims(self, source: str) -> list[Claim]:
        """Every comparison of the paper for a source, once, and ours against the controls, which it lacks."""
        data, made = paper_set(source, self.config), []
        for network in self.config.networks:
            for table in (main_table(data), "4", "5"):
                rows = printed(table, data, network) | (printed(table, data, "") if table == "1" else {})
                champion = "" if table == "5" else OURS
                for measure in PUBLISHED:
                    numbers = {name: values[measure] for name, values in rows.items()}
                    pairs = ordering(table, source, network, measure, numbers, champion)
                    made += [c for c in pairs if table != "5" or {c.first, c.second} != {"mse", OURS}]
            made += ordering(FIGURE3, source, network, "ause", printed_ause(data, network), OURS)
            made += self._controls(source, network)
        return made

    def _controls(self, source: str, network: str) -> list[Claim]:
        made = []
        for measure in ("dice", "dice_half", "epe", "ause_mask"):
            family = f"{CONTROL}/{source}/{network}/{measure}"
            pairs = [(OURS, name) for name in CONTROLS if name != "oracle_weight"]
            pairs.append(("unaugmented", "oracle_weight"))
            made += [Claim(CONTROL, source, network, measure, a, b, float("nan"), family) for a, b in pairs]
            made += [
                Claim(CONTROL, source, network, measure, form, name, float("nan"), family)
                for form in FORMS
                for name in ("mse", "nll", "beta_nll")
            ]
        return made

    def comparisons(self) -> list[Comparison]:
        """All claims of all sources, tested."""
        claims = [claim for source in self.config.sources for claim in self.claims(source)]

        def found(claim: Claim, variant: str) -> Series | None:
            return self.series(claim.source, claim.network, variant, claim.measure)

        return compare(claims, found, MEASURES)
