"""What a generator does, as one small picture: drawn streets of a bundled one, else the newest there is."""

from collections.abc import Iterable

from service.api.views import GeneratorView
from service.jobs.job import Job, JobState
from service.web.assets import files, static


def in_order(cards: Iterable[GeneratorView]) -> list[GeneratorView]:
    """Day to night first, and last of them the one that does nothing."""
    return sorted(cards, key=lambda card: (card.direction, card.architecture == "identity"))


def bundled_sheet(card: GeneratorView) -> str | None:
    """The picture that comes with Nightshift, made by `workers.sheets`."""
    name = f"generators/{card.name}.webp"
    return static(name) if card.is_bundled and name in files() else None


def sheet_of_jobs(card: GeneratorView, translations: Iterable[Job]) -> str | None:
    """The contact sheet of the newest preview by this generator."""
    for job in translations:
        if job.spec.get("preview") and job.state is JobState.SUCCEEDED and uses(job, card):
            return f"/v1/jobs/{job.id}/contact-sheet"
    return None


def uses(job: Job, card: GeneratorView) -> bool:
    used = job.spec.get("generator")
    return isinstance(used, dict) and (used["name"], used["version"]) == (card.name, card.version)
