"""`nightshift keys`: who may use the server, and for what."""

from datetime import datetime
from typing import Annotated

import typer

from service.access.keys import parse_scopes
from service.access.scopes import TENANT_SCOPES, Scope
from service.api.access_views import KeyView, NewKeyView
from service.client.client import Client
from service.client.options import LOCAL_SERVER, AsJson, Server
from service.client.output import err, out, print_json, print_table
from service.errors import InvalidRequest

keys = typer.Typer(help="The API keys of your tenant.", no_args_is_help=True)
KeyId = Annotated[str, typer.Argument(help="the 8 letters behind ns_")]


@keys.command("list")
def list_keys(server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """Newest first; never the keys themselves."""
    with Client(server) as client:
        found = list(client.keys())
    if as_json:
        print_json(found)
        return
    rows = [
        (key.id, key.name, _state(key), ", ".join(key.scopes), _day(key.expires_at), _day(key.last_used_at))
        for key in found
    ]
    print_table(["key", "name", "state", "scopes", "expires", "last used"], rows)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="what it is for")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help=f"what it may do: {', '.join(Scope)}; repeatable. All but {Scope.OPERATOR} if not given"
        ),
    ] = None,
    expires_in_days: Annotated[float | None, typer.Option(min=0, help="never, if not given")] = None,
    tenant: Annotated[str, typer.Option(help="with --direct: whose key it is")] = "",
    direct: Annotated[
        bool, typer.Option("--direct", help="on the server itself: write to the database of NIGHTSHIFT_*")
    ] = False,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it; it is not shown again.

    The first key of a tenant is made on the server, by --tenant NAME --direct. So is the operator's: only a
    key with that scope can make another with it.
    """
    scopes = sorted(parse_scopes(scope or TENANT_SCOPES))
    if tenant and not direct:
        raise InvalidRequest("A key is made for your own tenant.", "For another one, on the server: --direct")
    if direct:
        new = _create_directly(tenant, name, scopes, expires_in_days)
    else:
        with Client(server) as client:
            new = client.create_key(scopes, name=name, expires_in_days=expires_in_days)
    _show(new, as_json)


@keys.command("rotate")
def rotate_key(
    key: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0, help="how long the old one stays valid")] = 24.0,
    server: Server = LOCAL_SERVER,
    as_json: AsJson = False,
) -> None:
    """Make a new key in place of an old one, which stays valid for a while."""
    with Client(server) as client:
        rotated = client.rotate_key(key, grace_seconds=grace_hours * 3600)
    if as_json:
        print_json(rotated)
        return
    _show(rotated.new, as_json)
    err.print(f"The old key {key} is valid until {rotated.old.expires_at:%Y-%m-%d %H:%M} UTC.")


@keys.command("revoke")
def revoke_key(key: KeyId, server: Server = LOCAL_SERVER, as_json: AsJson = False) -> None:
    """From now on nobody is let in with this key."""
    with Client(server) as client:
        revoked = client.revoke_key(key)
    print_json(revoked) if as_json else out.print(f"{revoked.id} is revoked.")


def _create_directly(
    tenant: str, name: str, scopes: list[Scope], expires_in_days: float | None
) -> NewKeyView:
    # The database library, for this option alone.
    from service.access.key_store import KeyStore  # noqa: PLC0415
    from service.jobs.database import Database  # noqa: PLC0415
    from service.settings import Settings  # noqa: PLC0415

    if not tenant:
        raise InvalidRequest("A key belongs to a tenant.", "Name it: --tenant NAME")
    database = Database.of(Settings())
    database.migrate()
    valid_seconds = None if expires_in_days is None else expires_in_days * 24 * 3600
    new = KeyStore(database, tenant).create(name, scopes, valid_seconds)
    database.close()
    return NewKeyView(**KeyView.of(new.key).model_dump(), key=new.text)


def _show(new: NewKeyView, as_json: bool) -> None:
    if as_json:
        print_json(new)
        return
    print(new.key)
    err.print(f"Key {new.id} of tenant {new.tenant}. Keep it: it is not shown again.", markup=False)


def _state(key: KeyView) -> str:
    if key.revoked_at is not None:
        return "revoked"
    is_expired = key.expires_at is not None and key.expires_at <= datetime.now(key.expires_at.tzinfo)
    return "expired" if is_expired else "valid"


def _day(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d}"
