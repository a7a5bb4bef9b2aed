"""Rules and pipelines written out for the tests of this folder."""

from pathlib import Path
from textwrap import dedent

from detectors.sigma.load import LoadReport, load
from detectors.sigma.pipeline import Pipelines

PIPELINE = """\
title: Test
logsources:
  - logsource: {product: test}
    events: [{event.dataset: test}]
"""


def rule(
    detection: str,
    *,
    number: int = 1,
    logsource: str = "{product: test}",
    head: str = "",
) -> str:
    """Return a rule file around the text of a detection map."""
    body = "".join(f"  {line}\n" for line in dedent(detection).strip().splitlines())
    return (
        f"title: Rule {number}\n"
        f"id: 00000000-0000-4000-8000-{number:012d}\n"
        f"logsource: {logsource}\n{head}"
        f"detection:\n{body}"
    )


def load_text(folder: Path, *texts: str) -> LoadReport:
    """Load files r0.yml, r1.yml, ... with these texts."""
    for number, text in enumerate(texts):
        (folder / f"r{number}.yml").write_text(text, "utf-8")
    return load(sorted(folder.glob("*.yml")))


def pipelines(folder: Path, text: str = PIPELINE) -> Pipelines:
    """Load one pipeline file with this text."""
    (folder / "pipelines").mkdir(exist_ok=True)
    path = folder / "pipelines" / "pipeline.yaml"
    path.write_text(text, "utf-8")
    return Pipelines.load([path])
