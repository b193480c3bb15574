"""What is said under the tables of a reproduction: how their numbers are meant."""

from __future__ import annotations

_TESTS = (
    "Difference: first method minus second. Every patient counts once; the means of Table 1 are over slices, "
    "so that their differences are slightly other ones. The 95 % interval is for other patients. p, Holm, by "
    "which the verdict goes, is the p of the t-test over patients, raised for the number of comparisons that "
    "are judged together: {together}. Chance in the training is in none of these: for that see the "
    "difference of each seed, and p, seeds (t), a t-test over them."
)
_EACH_ALONE = " p, published way, takes every slice or pair as independent, as the paper does."
_OF_A_TABLE = (
    "in one table, with one network and one measure, those of ours, and apart from them those of the other "
    "methods (Table 2 repeats some of Table 1; in Table 5 all are judged together)"
)
CLAIMS = _TESTS.format(together=_OF_A_TABLE)
PAIRED = CLAIMS + _EACH_ALONE
ALL_TESTS = _TESTS.format(together=f"{_OF_A_TABLE}, and likewise the controls") + _EACH_ALONE
CONTROLS = _TESTS.format(together="all rows of this table with that network and measure") + _EACH_ALONE
WEIGHTS = {
    "constant_weight": "Constant weight: its mean everywhere.",
    "shuffled_weight": "Shuffled weight: its values in random order.",
    "oracle_weight": "Oracle weight: made of the phantom's true noise.",
}
OTHER_STRUCTURE = "The paper measured the myocardium; these data have contours of the cavity alone."
PUBLISHED = (
    "Each number is the mean over all slices, as in the paper, ± its SD over the seeds. The 95 % interval "
    "shows how far that mean would vary with other patients. Missing: slices, over all seeds, without a "
    "number, since the registration failed, only one of the two images shows the structure, or it was moved "
    "out of the image.",
    "As in the paper, a pixel belongs to the moved structure as soon as any part of it does. That makes "
    "every moved structure up to a pixel too large on all sides, but not the undeformed one; the table of "
    "corrected metrics compares without that.",
)
OTHER_IMAGES = (
    "The paper's numbers are of {data}, other images: compare the order of the methods, not values."
)
CORRECTED = (
    "A pixel counts where the warped label has a weight of at least 0.5. Mean over the test pairs ± SD over "
    "the seeds."
)
CORRECTED_NOISE = "Spearman, NLL and coverage are against the noise that the phantom really has."
AUSE = (
    "Lower: the map sorts the squared differences of the images better. A map that merely repeats them has "
    "the lowest AUSE of all."
)
