"""What the caller may use, and how much of it is used."""

from fastapi import APIRouter

from service.access.quotas import usage
from service.api.access_views import LimitsView
from service.api.authentication import needs
from service.api.dependencies import Here

router = APIRouter(tags=["limits"])


@router.get("/limits", dependencies=[needs()])
def get_limits(here: Here) -> LimitsView:
    """Rate limits of this key and quotas of its tenant. Any valid key may ask."""
    settings, used = here.settings, usage(here.database, here.caller.tenant)
    return LimitsView(
        requests_per_second=settings.requests_per_second,
        request_burst=settings.request_burst,
        failed_keys_per_minute=settings.failed_keys_per_minute,
        upload_bytes=settings.max_upload_bytes,
        stored_bytes=settings.max_stored_bytes,
        stored_bytes_used=used.stored_bytes,
        active_jobs=settings.max_active_jobs,
        active_jobs_used=used.active_jobs,
    )
