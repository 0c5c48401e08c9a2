"""Templates to answers. Names of files and categories are strangers' words: everything is escaped, and the
policy lets no script run that is not a file of ours.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.api.dependencies import Services, opened
from service.web.assets import static
from service.web.formats import FILTERS
from service.wording import printable

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src {images}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {**FILTERS, "printable": printable}
_environment.globals["static"] = static


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """`values` are for the template, which also knows the `request`."""
    return HTMLResponse(
        render(template, request=request, **values), status, headers=_headers(opened(request))
    )


def render(template: str, **values: Any) -> str:
    """A template alone, such as a part that is sent later to a page that is open."""
    return _environment.get_template(template).render(**values)


def go_to(request: Request, path: str) -> Response:
    """After a form: the next page. One that is open and sent it by itself is told so in a header."""
    if is_part(request):
        return Response(headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def is_part(request: Request) -> bool:
    """Whether a page that is open asks for a part of itself."""
    return "hx-request" in request.headers and "hx-boosted" not in request.headers


def _headers(here: Services) -> dict[str, str]:
    return {
        "Content-Security-Policy": POLICY.format(images=" ".join(["'self'", *_image_hosts(here)])),
        # With none at all a browser does not say either that a form comes from here.
        "Referrer-Policy": "same-origin",
    }


def _image_hosts(here: Services) -> list[str]:
    """Where images come from besides here, when the store hands them out itself."""
    settings = here.settings
    address = urlsplit(settings.presign_endpoint_url or settings.s3_endpoint_url)
    if not (settings.presign_downloads and address.netloc):
        return []
    return [f"{address.scheme}://{address.netloc}"]
