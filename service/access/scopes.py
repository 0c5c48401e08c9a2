"""What a key may be used for. None includes another: a key that writes jobs does not read them."""

from enum import StrEnum


class Scope(StrEnum):
    DATASETS_READ = "datasets:read"
    DATASETS_WRITE = "datasets:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    ADMIN = "admin"  # the tenant's keys, and the import of generators


ALL_SCOPES = frozenset(Scope)
