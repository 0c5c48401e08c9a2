"""How long the translations of a form will take: frames by the counts, rates by what was seen before."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.api.dependencies import Services
from service.jobs.expected import SeenRate, seen_rate
from service.jobs.job import JobKind
from service.jobs.previews import RECENT_JOBS
from service.web.translations.form import TranslationForm


@dataclass(frozen=True, slots=True)
class Estimate:
    """`seconds` and `seen` are None for a generator that has never run here."""

    generator: str
    seconds: float | None
    seen: SeenRate | None


def frames_of(counts: Mapping[str, Any], timeofday: Collection[str], splits: Collection[str]) -> int:
    """About: of splits and times of day together no table is kept, so they are taken to be independent."""
    total = int(counts.get("frames", 0))
    share = _share(counts, "timeofday", timeofday, total) * _share(counts, "splits", splits, total)
    return round(total * share)


def estimates(here: Services, form: TranslationForm, frames: int) -> Sequence[Estimate]:
    jobs = here.desk.jobs.jobs(RECENT_JOBS, None, JobKind.TRANSLATION)
    found = []
    for generator in form.generator:
        card = here.desk.library.generator(generator)
        seen = seen_rate(jobs, card, form.dataset)
        found.append(Estimate(card.name, None if seen is None else frames / seen.images_per_second, seen))
    return found


def _share(counts: Mapping[str, Any], what: str, wanted: Collection[str], total: int) -> float:
    if not wanted or not total:
        return 1.0
    return sum(int(counts.get(what, {}).get(value, 0)) for value in wanted) / total
