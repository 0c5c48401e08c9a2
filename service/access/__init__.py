"""Who may do what: keys and their scopes, tenants, rate limits and quotas. HTTP stays in `service.api`."""
