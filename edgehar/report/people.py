"""The section on people: how well each is recognised."""

from pathlib import Path

from edgehar.metrics.classification import wilson
from edgehar.report import plots
from edgehar.report.entries import Entry, counted, entry_of, list_of, share_of, title_of
from edgehar.report.page import escaped, image, percent, table

MOST_DRAWN = 40


def people(results: Entry, folder: Path) -> str:
    """Remarks about people, and the accuracy per test subject: an average hides subjects with low accuracy."""
    scores = entry_of(results, "evaluation")
    remarks = [str(text) for text in list_of(entry_of(results, "dataset"), "people")]
    outlying: dict[str, list[str]] = {}
    for name in scores:
        sentence = entry_of(scores, name).get("outlying_subject")
        if sentence:
            outlying.setdefault(str(sentence), []).append(title_of(name))
    remarks += [f"{sentence} ({', '.join(models)})" for sentence, models in outlying.items()]
    text = "".join(f"<li>{escaped(remark)}</li>\n" for remark in remarks)
    text = f"<ul>\n{text}</ul>\n" if text else ""
    delivered = str(results.get("delivered", ""))
    score = entry_of(scores, delivered)
    known = {name: count for name, count in entry_of(score, "per_subject").items() if count["total"]}
    text += _plot(score, known) if known else ""
    names = sorted(scores, key=lambda name: name != delivered)  # the delivered model first
    columns = {name: column for name in names if (column := entry_of(entry_of(scores, name), "per_subject"))}
    rows: list[list[str]] = []
    for subject in dict.fromkeys(subject for column in columns.values() for subject in column):
        cells = [entry_of(column, subject) for column in columns.values()]
        counts = [f"{counted(cell)} = {share_of(cell)}" if cell else "" for cell in cells]
        interval = " to ".join(percent(end) for end in wilson(**known[subject])) if subject in known else ""
        rows.append([subject, counts[0], interval, *counts[1:]])
    titles = [title_of(name) for name in columns]
    text += table(["person", *titles[:1], "95 % interval (Wilson)", *titles[1:]], rows) if rows else ""
    return f"<h2>People</h2>\n{text}" if text else ""


def _plot(score: Entry, known: Entry) -> str:
    """The share of each person as a point on a line from 0 to 100 %, at most of those with the smallest."""
    ordered = sorted(known, key=lambda name: known[name]["correct"] / known[name]["total"])
    drawn = [name for name in known if name in set(ordered[:MOST_DRAWN])]
    shares = [known[name]["correct"] / known[name]["total"] for name in drawn]
    picture = plots.intervals(drawn, shares, [wilson(**known[name]) for name in drawn], score["accuracy"])
    which = f"the {MOST_DRAWN} least recognised of {len(known)} people" if len(known) > MOST_DRAWN else "each person"
    caption = (
        f"Share of windows of {which} that the delivered model recognises, with its 95 % interval (Wilson). "
        "Dashed: all windows."
    )
    listed = ", ".join(f"{name} {percent(share)}" for name, share in zip(drawn, shares, strict=True))
    return image(picture, f"{caption} {listed}", caption)
