"""`nightshift webhooks`: who is told when a job ends."""

from typing import Annotated

import typer

from service.client.client import Client
from service.client.options import LOCAL_SERVER, AsJson, Server
from service.client.output import err, print_json, print_table

webhooks = typer.Typer(help="Who is told when a job ends.", no_args_is_help=True)
WebhookId = Annotated[str, typer.Argument(help="a webhook's id")]


@webhooks.command("add")
def add_webhook(
    url: Annotated[
        str, typer.Argument(help="a public host by https; it is sent a POST for each job that ends")
    ],
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Have a URL called when a job ends. Prints the secret its calls are signed with, this once."""
    with Client(server) as client:
        made = client.add_webhook(url)
    if as_json:
        print_json(made)
        return
    err.print(f"Webhook {made.id}. Its calls are signed with this secret, which is not shown again:")
    print(made.secret)


@webhooks.command("list")
def list_webhooks(server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """Newest first."""
    with Client(server) as client:
        found = list(client.webhooks())
    if as_json:
        print_json(found)
        return
    print_table(
        ["webhook", "url", "made"], [(each.id, each.url, f"{each.created_at:%Y-%m-%d}") for each in found]
    )


@webhooks.command("remove")
def remove_webhook(webhook: WebhookId, server: Server = LOCAL_SERVER) -> None:
    """Call it no more; what has not been delivered by now is not sent."""
    with Client(server) as client:
        client.remove_webhook(webhook)


@webhooks.command("deliveries")
def list_deliveries(webhook: WebhookId, server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """What became of each call, newest first."""
    with Client(server) as client:
        found = list(client.deliveries(webhook))
    if as_json:
        print_json(found)
        return
    rows = [(each.job_id, each.state, each.attempts, each.last_answer or "") for each in found]
    print_table(["job", "state", "attempts", "last answer"], rows)
