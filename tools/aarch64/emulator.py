"""An emulated aarch64 Python: Debian's packages unpacked into a folder, and the emulator's command.

Nothing is installed and no root rights are needed: debootstrap only downloads, dpkg-deb only unpacks.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from edgehar.errors import ConfigError, DataError
from edgehar.files.atomic import atomic_file, atomic_folder

Report = Callable[[str], None]

SUITE = "bookworm"
PACKAGES = ("python3.11", "libstdc++6", "libgomp1")
"""Needed by Python and the wheels of numpy and onnxruntime, in addition to the C library of a minimal Debian."""
TOOLS = {"debootstrap": "debootstrap", "dpkg-deb": "dpkg", "apt-get": "apt"}
"""Program -> the apt package that contains it."""
EMULATORS = ("qemu-aarch64-static", "qemu-aarch64")
PROCESSOR = "cortex-a76"
"""Armv8.2 with dot products and half precision, like an Orin's Cortex-A78AE. Not "max": with it, dynamic INT8 alone is
wrong under qemu 7.2 (logits of up to 4.6 differ by up to 6.7, 6 % of the predictions are equal)."""
# onnxruntime reads the CPU part from these files. If qemu shows the x86 machine's cpuinfo, or one with fewer processors
# than /sys/devices/system/cpu/possible, `import onnxruntime` crashes (qemu 7.2, onnxruntime 1.31.1). Hence both: one
# Cortex-A78AE.
ONE_PROCESSOR = {
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 62.50\n"
    "Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp\n"
    "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd42\nCPU revision\t: 1\n",
    "sys/devices/system/cpu/possible": "0\n",
    "sys/devices/system/cpu/present": "0\n",
}


def _search_path() -> str:
    """PATH with the folders of debootstrap, which are on root's PATH only."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def emulator(tools: Sequence[str] = tuple(TOOLS)) -> str:
    """Path of the emulator; raises ConfigError with the apt packages of all missing tools."""
    found = next(filter(None, map(shutil.which, EMULATORS)), None)
    missing = {} if found else {EMULATORS[0]: "qemu-user-static"}
    missing |= {tool: TOOLS[tool] for tool in tools if shutil.which(tool, path=_search_path()) is None}
    if found is None or missing:
        raise ConfigError(
            f"no {', '.join(missing)} on this machine; expected the emulator and debootstrap of Debian or Ubuntu; "
            f"run: sudo apt-get install {' '.join(missing.values())}"
        )
    return found


def run_tool(command: Sequence[str | Path], what: str, environment: dict[str, str] | None = None) -> str:
    """Standard output of a program; raises DataError with its last lines of output if it failed."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, env=environment, errors="replace"
    )
    if done.returncode:
        output = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        problem = " ".join(line.strip() for line in output[-3:]) or "no output"
        raise DataError(f"{what} ended with {done.returncode}: {problem}; correct that and run the command again")
    return done.stdout


def choose_mirror(targets: str, suite: str = SUITE) -> str | None:
    """The Debian mirror among apt's lines "RELEASE COMPONENT URI"; None if there is none."""
    rows = [line.split(maxsplit=2) for line in targets.splitlines()]
    mains = [(row[0], row[2].strip()) for row in rows if len(row) == 3 and row[1] == "main"]
    same = [uri for release, uri in mains if release == suite]
    debian = [uri for _, uri in mains if re.search(r"/debian/?$", uri)]  # every mirror has all suites
    return next((uri.rstrip("/") for uri in (*same, *debian)), None)


def configured_mirror() -> str:
    """The Debian mirror of this machine's apt, from .sources or .list files; raises ConfigError if there is none."""
    shown = "$(RELEASE) $(COMPONENT) $(REPO_URI)"
    command = ("apt-get", "indextargets", "--no-release-info", "--format", shown, "Created-By: Packages")
    mirror = choose_mirror(run_tool(command, "apt-get indextargets"))
    if mirror is not None and mirror.startswith("mirror+file:"):  # a list of mirrors, as in cloud images
        lines = Path(mirror.partition(":")[2]).read_text(encoding="utf-8").splitlines()
        mirror = next((line.split()[0].rstrip("/") for line in lines if line.strip() and line[0] != "#"), None)
    if mirror is None:
        raise ConfigError(f"apt is configured with no mirror of Debian's {SUITE}; set MIRROR=URL")
    return mirror


def make_root(work: Path, mirror: str | None, report: Report) -> Path:
    """The root folder below `work`, created if missing; an interrupted download resumes, unpacking is atomic."""
    root = work / f"root-{SUITE}"
    if root.is_dir():
        return root
    debs, mirror = work / f"debs-{SUITE}", mirror or configured_mirror()
    report(f"downloading Debian {SUITE} for arm64, some 80 MB")
    options = ("--download-only", "--arch=arm64", "--variant=minbase", f"--include={','.join(PACKAGES)}")
    environment = os.environ | {"PATH": _search_path()}
    run_tool(("debootstrap", *options, SUITE, debs, mirror), "debootstrap", environment)
    found = sorted((debs / "var/cache/apt/archives").glob("*.deb"))
    with atomic_folder(root) as folder:
        for number, deb in enumerate(found, 1):
            if number % 20 == 0 or number == len(found):
                report(f"unpacking {number} of {len(found)} packages")
            run_tool(("dpkg-deb", "-x", deb, folder), f"dpkg-deb -x {deb.name}")
        show_one_processor(folder)
    return root


def show_one_processor(root: Path) -> None:
    """Write the files that describe the emulated CPU, unless the root has them."""
    for name, text in ONE_PROCESSOR.items():
        path = root / name
        if not path.exists():
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def python_of(root: Path) -> tuple[Path, str]:
    """The newest Python 3 of a root and its version, such as "3.10"; raises ConfigError if it has none."""
    found = [
        (int(match[1]), path)
        for path in (root / "usr/bin").glob("python3.*")
        if (match := re.fullmatch(r"python3\.(\d+)", path.name))
    ]
    if not found:
        raise ConfigError(f"{root}: no usr/bin/python3.N; expected the root folder of an aarch64 Linux with Python")
    minor, path = max(found)
    return path, f"3.{minor}"


def emulated(qemu: str, root: Path, python: Path) -> tuple[str, ...]:
    """The command that runs the Python of the root."""
    return (qemu, "-cpu", PROCESSOR, "-L", str(root), str(python))
