"""What a key may be used for. None includes another: a key that writes jobs does not read them."""

from enum import StrEnum


class Scope(StrEnum):
    DATASETS_READ = "datasets:read"
    DATASETS_WRITE = "datasets:write"
    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    ADMIN = "admin"  # the tenant's keys, and the import of generators
    OPERATOR = "operator"  # what concerns every tenant: generators that all may use, the metrics


ALL_SCOPES = frozenset(Scope)
# What a tenant's own keys have. The operator's scope is given on the server itself, or by whoever has it.
TENANT_SCOPES = ALL_SCOPES - {Scope.OPERATOR}
