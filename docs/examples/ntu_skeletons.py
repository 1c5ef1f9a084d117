"""Convert NTU RGB+D `.skeleton` files (25 joints of a Kinect v2) to a folder in edgehar's own format.

    python docs/examples/ntu_skeletons.py nturgb+d_skeletons mine
    edgehar data check mine
    edgehar pipeline --data mine --out runs/mine

A template for other converters: declare the joints and their parents in the order of the files, write one array per
recording, list the recordings. No code in edgehar needs to know the new skeleton.
"""

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# Joint -> its parent, in the order of the files (Shahroudy et al. 2016, figure 2); the root is its own parent.
JOINTS = {
    "spine_base": "spine_base", "spine_middle": "spine_base", "neck": "spine_shoulder", "head": "neck",
    "left_shoulder": "spine_shoulder", "left_elbow": "left_shoulder", "left_wrist": "left_elbow",
    "left_hand": "left_wrist",
    "right_shoulder": "spine_shoulder", "right_elbow": "right_shoulder", "right_wrist": "right_elbow",
    "right_hand": "right_wrist",
    "left_hip": "spine_base", "left_knee": "left_hip", "left_ankle": "left_knee", "left_foot": "left_ankle",
    "right_hip": "spine_base", "right_knee": "right_hip", "right_ankle": "right_knee", "right_foot": "right_ankle",
    "spine_shoulder": "spine_middle", "left_hand_tip": "left_hand", "left_thumb": "left_hand",
    "right_hand_tip": "right_hand", "right_thumb": "right_hand",
}  # fmt: skip
FILE_NAME = re.compile(r"S\d{3}C\d{3}P(\d{3})R(\d{3})A(\d{3})")


def read_skeleton(path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Joints (T, 25, 3) in metres of the body present in most frames, and (T,) whether it is present."""
    lines = iter(path.read_text(encoding="ascii").splitlines())
    frames: list[dict[str, NDArray[np.float32]]] = []
    for _ in range(int(next(lines))):
        bodies: dict[str, NDArray[np.float32]] = {}
        for _ in range(int(next(lines))):
            body = next(lines).split()[0]
            rows = [next(lines).split()[:3] for _ in range(int(next(lines)))]
            bodies[body] = np.array(rows, np.float32)  # (25, 3)
        frames.append(bodies)
    bodies_seen = [body for bodies in frames for body in bodies]
    main_body = max(bodies_seen, key=bodies_seen.count) if bodies_seen else ""
    valid = np.array([main_body in bodies for bodies in frames], np.bool_)
    absent = np.zeros((len(JOINTS), 3), np.float32)
    return np.stack([bodies.get(main_body, absent) for bodies in frames]), valid


def main() -> None:
    """Convert every file in a folder."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    (target / "skeleton").mkdir(parents=True)
    rows: list[tuple[str, str, str, str]] = []
    for path in sorted(source.glob("*.skeleton")):
        name = FILE_NAME.fullmatch(path.stem)
        joints, valid = read_skeleton(path)
        if name is None or not valid.any():
            sys.stderr.write(f"{path.name}: expected an NTU file name and at least one body; skipped\n")
            continue
        np.save(target / "skeleton" / f"{path.stem}.npy", joints)
        np.save(target / "skeleton" / f"{path.stem}.valid.npy", valid)
        rows.append((path.stem, f"p{name[1]}", name[2], f"a{name[3]}"))
    order = list(JOINTS)
    header = {
        "format": "edgehar-recordings",
        "format_version": 1,
        "name": "ntu-skeletons",
        "kind": "clips",
        "labels": sorted({label for *_, label in rows}),
        "modalities": [
            {
                "name": "skeleton",
                "channels": 3 * len(order),
                "unit": "m",
                "rate_hz": 30,
                "patch": 4,
                "joints": order,
                "parents": [order.index(parent) for parent in JOINTS.values()],
                "vertical": 1,
            }
        ],
    }
    (target / "recordings.json").write_text(json.dumps(header, indent=2), encoding="utf-8")
    with (target / "index.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("recording", "subject", "trial", "label"), *rows])


if __name__ == "__main__":
    main()
