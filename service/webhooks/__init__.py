"""Tells a tenant's own servers how its jobs ended.

addresses   what may be called
signing     so that the receiver knows who calls
calling     one request to one address
records     webhooks and deliveries as plain values
store       the webhooks of a tenant
outbox      what is to be sent
delivery    sends it, for about a day
"""
