"""Perturbations of files: separators, encodings, headers, cut files, names in the index."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.edgehar.data.good_folder import COLUMNS, Samples, csv_text
from tests.edgehar.data.perturbing import GOOD, VICTIM, Perturbation, change_bytes, change_text


def texts() -> Iterator[Perturbation]:
    """Separators, encodings, headers and rows of the text files."""
    for sensor in ("watch", "body"):
        yield from _texts_of(sensor)


def _texts_of(sensor: str) -> Iterator[Perturbation]:
    names = COLUMNS[sensor]
    header = ",".join(["time_s", *names])
    turned = [*range(2, -1, -1), *range(3, len(names))]

    def other_order(_: str) -> str:
        good = GOOD[VICTIM][sensor]
        swapped = Samples(good.times_s, good.values[:, turned])
        return csv_text(swapped, tuple(COLUMNS[sensor][column] for column in turned))

    def quoted(text: str) -> str:
        return "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in text.split("\n"))

    def row_40(change: Callable[[str], str]) -> Callable[[str], str]:
        def apply(text: str) -> str:
            lines = text.split("\n")
            lines[40] = change(lines[40])
            return "\n".join(lines)

        return apply

    def exponents(text: str) -> str:
        first, *rows = text.rstrip().split("\n")
        return "\n".join([first, *(",".join(f"{float(cell):.6e}" for cell in row.split(",")) for row in rows), ""])

    unknown = ",".join(["time_s", *(f"c{column}" for column in range(len(names)))])
    right: dict[str, Callable[[str], str]] = {
        "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
        "old line ends": lambda text: text.replace("\n", "\r"),
        "byte order mark": lambda text: "\ufeff" + text,
        "spaces": lambda text: text.replace(",", ", "),
        "blank lines at the end": lambda text: text + "\n\n",
        "capital names": lambda text: text.replace(header, ",".join(["time_s", *map(str.upper, names)])),
        "quoted names": lambda text: text.replace(header, ",".join(f'"{name}"' for name in ["time_s", *names])),
        "columns in another order": other_order,
        "exponents": exponents,
    }  # fmt: skip
    named: dict[str, tuple[Callable[[str], str], str]] = {
        "semicolons": (lambda text: text.replace(",", ";").replace(".", ","), "separated by ';'"),
        "tabs": (lambda text: text.replace(",", "\t"), "separated by tabs"),
        "decimal commas": (lambda text: text.replace(".", ","), "columns; expected|columns in the header"),
        "quoted numbers": (quoted, "remove the quotes"),
        "no header": (lambda text: text.partition("\n")[2], "numbers in the first row"),
        "no header and no rows": (lambda text: "", "columns|no sample"),
        "header alone": (lambda text: text.partition("\n")[0] + "\n", "no sample"),
        "header twice": (lambda text: text + text, "expected (a number|seconds)"),
        "comment": (lambda text: "# logger 2.1\n" + text, "columns in the header"),
        "missing column": (lambda text: text.replace(f",{names[-1]}", ""), "columns in the header"),
        "a name twice": (lambda text: text.replace(f",{names[1]},", f",{names[0]},"), "appears 2 times"),
        "unknown names": (lambda text: text.replace(header, unknown), "other names"),
        "blank line between": (row_40(lambda row: "\n" + row), "1 columns; expected"),
        "short row": (row_40(lambda row: row.rpartition(",")[0]), "columns; expected"),
        "long row": (row_40(lambda row: row + ",1"), "columns; expected"),
        "word": (row_40(lambda row: row.rpartition(",")[0] + ",error"), "expected a number"),
        "None": (row_40(lambda row: row.rpartition(",")[0] + ",None"), "expected a number"),
        "no time": (row_40(lambda row: row[row.index(",") :]), "time_s is nan"),
    }  # fmt: skip
    for name in ("time", "timestamp", "seconds_elapsed", "time (s)", "Time_s", "t", "Timestamp (ms)", "epoch", "date"):
        named[f"column {name}"] = (
            lambda text, name=name: text.replace("time_s", name),
            "first column .*: expected time_s",
        )
    dates = [f"2026-03-01 10:00:{second:06.3f}" for second in np.arange(400) / 25]
    named["dates"] = (
        lambda text, dates=dates: "\n".join(
            line if not row else f"{dates[row]}{line[line.index(',') :]}"
            for row, line in enumerate(text.rstrip().split("\n"))
        ),
        "not a date",
    )
    for name, change in right.items():
        yield Perturbation(f"{sensor} {name}", change_text(sensor, change))
    for name, (change, cause) in named.items():
        yield Perturbation(f"{sensor} {name}", change_text(sensor, change), cause)
    yield Perturbation(
        f"{sensor} UTF-16", change_bytes(f"{sensor}/{VICTIM}.csv", lambda raw: raw.decode().encode("utf-16")), "UTF-8"
    )
    latin = change_bytes(f"{sensor}/{VICTIM}.csv", lambda raw: raw.replace(b"time_s", "time_\xe9".encode("latin-1")))
    yield Perturbation(f"{sensor} latin-1", latin, "UTF-8")
    for size in (0.3, 0.5, 0.71, 0.9):
        cut = change_bytes(f"{sensor}/{VICTIM}.csv", lambda raw, size=size: raw[: int(size * len(raw))])
        yield Perturbation(f"{sensor} cut at {size:.0%}", cut, "columns; expected|no line end")


def files() -> Iterator[Perturbation]:
    """Files of the strap that are cut or missing, and names in the index."""
    strap = f"strap/{VICTIM}"
    for size in (0.0, 0.02, 0.5, 0.99):
        cut = change_bytes(f"{strap}.npy", lambda raw, size=size: raw[: int(size * len(raw))])
        yield Perturbation(f"strap cut at {size:.0%}", cut, "cannot be read")
    yield Perturbation("strap times cut", change_bytes(f"{strap}.times.npy", lambda raw: raw[:-80]), "cannot be read")
    yield Perturbation(
        "strap times of another file",
        lambda root: np.save(root / f"{strap}.times.npy", np.arange(99.0)),
        "times has shape",
    )
    yield Perturbation(
        "strap transposed", lambda root: np.save(root / f"{strap}.npy", GOOD[VICTIM]["strap"].values.T), "shape"
    )
    yield Perturbation(
        "strap of text", lambda root: np.save(root / f"{strap}.npy", np.array(["1", "2"])), "contains str"
    )
    yield Perturbation(
        "a file of nobody", lambda root: np.save(root / "strap" / "x.npy", np.ones((9, 3))), "not in index", "x"
    )
    index: dict[str, tuple[str, str, str]] = {
        "one person under two names": ("cid_walk,cid,", "cid_walk,Cid ,", "one person"),
        "no subject": ("cid_walk,cid,", "cid_walk,,", "no subject"),
        "a label misspelt": ("cid,1,walk", "cid,1,wlak", "label 'wlak'"),
        "a recording misspelt": ("cid_walk,cid", "cid_wlak,cid", "has no file"),
        "a recording twice": ("cid_walk,cid,1,walk\n", "cid_walk,cid,1,walk\ncid_walk,cid,1,rest\n", "listed twice"),
        "semicolons": (",", ";", "header"),
    }
    for name, (old, new, cause) in index.items():
        change = change_bytes("index.csv", lambda raw, old=old, new=new: raw.decode().replace(old, new).encode())
        yield Perturbation(f"index: {name}", change, cause, "index.csv")
    yield from _spans()
    unused = change_bytes("index.csv", lambda raw: raw.replace(b",rest\n", b",walk\n"))
    yield Perturbation("index: a label never used", unused, "no recording has the label 'rest'", "recordings.json")
    no_label = change_bytes("index.csv", lambda raw: raw.replace(b",rest\n", b",\n").replace(b",walk\n", b",\n"))
    yield Perturbation("index: no label at all", no_label, "no recording has a label", "recordings.json")
    for old, new, cause in (
        ('"rate_hz": 25.0', '"rate_hz": 50.0', "timestamps say 25 Hz"),
        ('"rate_hz": 25.0', '"rate_hz": 2500', "no sample could be used|timestamps say"),
        ('"channels": 6', '"channels": 7, "group": 1', "columns in the header"),
        ('"vertical": 1', '"vertical": 2', "vertical is 2"),
        ('"m/s2 and rad/s"', '"g and deg/s"', "unit says"),
    ):
        change = change_bytes("recordings.json", lambda raw, old=old, new=new: raw.decode().replace(old, new).encode())
        yield Perturbation(f"declared {new}", change, cause, "")


def _spans() -> Iterator[Perturbation]:
    """Labelled spans of the victim."""

    def spans(text: str) -> Callable[[Path], None]:
        def apply(root: Path) -> None:
            index = (root / "index.csv").read_text()
            (root / "index.csv").write_text(index.replace(f"{VICTIM},cid,1,walk", f"{VICTIM},cid,1,"))
            (root / "segments").mkdir()
            (root / "segments" / f"{VICTIM}.csv").write_text(text)

        return apply

    header = "start_s,end_s,label\n"
    added = "".join(f"{tenth / 10},{sum([0.1] * (tenth + 1))},walk\n" for tenth in range(50))
    yield Perturbation("spans whose ends were added up", spans(header + added))
    causes = {
        "0,3000,walk\n": "ends at 3000",
        "0,3,walk\n2.5,5,rest\n": "before line 2 ends",
        "0,3,wlak\n": "label 'wlak'",
        "3,0,walk\n": "expected 0 <= start_s < end_s",
        "10:00:00,10:00:03,walk\n": "expected seconds",
        "0;3;walk\n": "1 columns; expected 3",
    }
    for rows, cause in causes.items():
        yield Perturbation(f"spans {rows.strip()}", spans(header + rows), cause, "segments")
