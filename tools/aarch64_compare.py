"""How far two sides' answers lie apart, and whether that is within the stated limits."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgehar.deploy.packaging.parity import PARITY_TOLERANCE
from tools.aarch64_side import StoredLogits

Floats = NDArray[np.float32]

LEAST_SAME = {"fp32": 1.0}
LEAST_SAME_QUANTISED = 0.98
HALF_SHARE = 2.0**-7
"""Of the largest number: 16 roundings of half precision, which has 11 bits. onnxruntime 1.31 computes in it on aarch64;
on x86-64, and on aarch64 in 1.23, it stores half precision and computes in single."""
LIMITS = (
    f"fp32: differences of {PARITY_TOLERANCE:g} at most, and the same answer everywhere. int8, int8-dynamic: no "
    "further from the reference than the reference's own numbers are from its fp32. fp16, which one side may compute "
    f"in half precision and the other in single: {HALF_SHARE:.2%} of the largest number at most. Other than for fp32 "
    f"the answer is the same on {LEAST_SAME_QUANTISED:.0%} at least."
)


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        side: whose answers.
        reference: whose answers they are compared with.
        precision: of both.
        what: "logits" of windows, "stream" (probabilities) or "evaluate" (scores of the sample's windows).
        answers: how many.
        largest: largest absolute difference of a number.
        limit: the largest that is allowed.
        same: share with the same most probable class.
        identical: whether both are the same bit for bit.
        passed: whether it is within the limits.
    """

    side: str
    reference: str
    precision: str
    what: str
    answers: int
    largest: float
    limit: float
    same: float
    identical: bool
    passed: bool


def judged(
    names: tuple[str, str], precision: str, what: str, ours: Floats, theirs: Floats, fp32: Floats, same: Floats
) -> Row:
    """Compare numbers; `fp32` are the reference's, `same` says per answer whether both sides give the same."""
    fits = ours.shape == theirs.shape and len(ours) > 0
    largest = float(np.abs(ours - theirs).max()) if fits else float("inf")
    match precision:
        case "fp32":
            limit = PARITY_TOLERANCE
        case "fp16":
            limit = HALF_SHARE * float(np.abs(theirs).max())
        case _:
            limit = max(PARITY_TOLERANCE, float(np.abs(theirs - fp32).max()))
    share = float(same.mean()) if fits else 0.0
    passed = fits and largest <= limit and share >= LEAST_SAME.get(precision, LEAST_SAME_QUANTISED)
    identical = fits and bool((ours == theirs).all())
    return Row(*names, precision, what, len(ours), largest, limit, share, identical, passed)


def scores(evaluation: dict[str, Any]) -> tuple[Floats, list[str]]:
    """Score and label of every window of an evaluation."""
    rows = evaluation["predictions"]
    return np.asarray([row["score"] for row in rows], np.float32), [row["predicted"] for row in rows]


def compare(ours: StoredLogits, theirs: StoredLogits) -> list[Row]:
    """One row per precision and kind of answer."""
    names, rows = (ours.side.name, theirs.side.name), list[Row]()
    for key, array in ours.arrays.items():
        precision, _, what = key.partition("/")
        other, fp32 = theirs.arrays[key], theirs.arrays[f"fp32/{what}"]
        alike = array.shape == other.shape
        same = (array.argmax(1) == other.argmax(1)).astype(np.float32) if alike else np.zeros(1, np.float32)
        rows.append(judged(names, precision, what, array, other, fp32, same))
    for precision, evaluation in ours.evaluations.items():
        (array, labels), (other, others) = scores(evaluation), scores(theirs.evaluations[precision])
        same = np.asarray([a == b for a, b in zip(labels, others, strict=False)], np.float32)
        rows.append(judged(names, precision, "evaluate", array, other, scores(theirs.evaluations["fp32"])[0], same))
    return rows


def table(rows: list[Row]) -> str:
    """The rows for people."""
    lines = [
        f"{'side':<26}{'compared with':<26}{'precision':<14}{'what':<10}{'answers':>7}{'largest':>10}{'limit':>10}"
        f"{'same':>9}  {'bits':<10}result"
    ]
    for row in rows:
        bits = "the same" if row.identical else "differ"
        lines.append(
            f"{row.side:<26}{row.reference:<26}{row.precision:<14}{row.what:<10}{row.answers:>7}{row.largest:>10.2g}"
            f"{row.limit:>10.2g}{row.same:>9.2%}  {bits:<10}{'ok' if row.passed else 'FAILED'}"
        )
    return "\n".join(lines)


def as_json(rows: list[Row]) -> list[dict[str, Any]]:
    """The rows for a result file."""
    return [asdict(row) for row in rows]
