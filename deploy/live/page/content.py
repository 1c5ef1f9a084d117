"""The page as one document: HTML with its style and script inside, and a policy that allows nothing else."""

import base64
import hashlib
from importlib.resources import files

STYLE, SCRIPT = "/*STYLE*/", "/*SCRIPT*/"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def document() -> tuple[bytes, str]:
    """The page, and its Content-Security-Policy, which names style and script by their digests."""
    folder = files(__package__ or "")
    html, style, script = (folder.joinpath(f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html.replace(STYLE, style).replace(SCRIPT, script).encode(), policy
