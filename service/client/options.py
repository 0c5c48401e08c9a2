"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from service.catalogue import ADJUSTABLE, HIGHEST_RATIO, LOWEST_RATIO
from service.errors import InvalidRequest

Server = Annotated[str, typer.Option(envvar="NIGHTSHIFT_SERVER", help="address of the server")]
LOCAL_SERVER = "http://127.0.0.1:8000"
Host = Annotated[str, typer.Option(help="where to listen; beyond this machine only with TLS or a proxy")]
TlsCert = Annotated[Path | None, typer.Option(help="certificate to serve TLS with, PEM")]
TlsKey = Annotated[Path | None, typer.Option(help="the certificate's key, PEM")]
BehindProxy = Annotated[
    str, typer.Option(help="address or network of a proxy that does TLS; its forwarded headers are believed")
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Select = Annotated[
    list[str] | None,
    typer.Option(
        help="keep only frames of this kind, such as timeofday=daytime or split=train,val; repeatable"
    ),
]
MapCategory = Annotated[
    list[str] | None, typer.Option(help="read one category as another: van=car; repeatable")
]
IgnoreUnknown = Annotated[bool, typer.Option(help="leave out boxes of unknown categories")]
Unlabelled = Annotated[
    bool, typer.Option(help="take images without labels: to train generators on, or to compare with")
]
ExcludeSuspects = Annotated[bool, typer.Option(help="leave out frames whose timeofday tag looks wrong")]
Strict = Annotated[bool, typer.Option(help="reject the dataset if anything in it is faulty")]
Licence = Annotated[str, typer.Option(help="under which licence the data is; every derived card repeats it")]
GeneratorName = Annotated[str, typer.Option(help="a name of the catalogue, or name:version")]
Seed = Annotated[int, typer.Option(min=0, help="decides every random choice")]
Seeds = Annotated[str, typer.Option(help="of detectors: how many, or which ones: 3 or 0,1,2")]
Strength = Annotated[float, typer.Option(min=0.0, max=1.0, help="0: no change, 1: the full effect")]
Ratio = Annotated[
    float | None,
    typer.Option(
        min=LOWEST_RATIO,
        max=HIGHEST_RATIO,
        help=f"how many times as bright the images shall become; can be told to: {', '.join(ADJUSTABLE)}",
    ),
]
Quality = Annotated[int, typer.Option(min=1, max=100, help="JPEG quality of the results")]
BatchSize = Annotated[int, typer.Option(min=0, help="images at once; 0: the machine chooses")]
QualityFrames = Annotated[
    int, typer.Option(min=0, help="how many results are measured for the report, at most")
]
ErrorBudget = Annotated[float, typer.Option(min=0.0, max=1.0, help="share of images that may fail")]


def parse_pairs(expressions: list[str]) -> dict[str, str]:
    """Raises:
    InvalidRequest: an expression is not NAME=NAME.
    """
    pairs = {}
    for expression in expressions:
        name, equals, target = expression.partition("=")
        if not (name and equals and target):
            raise InvalidRequest(
                f"{expression!r} is not NAME=CATEGORY.", "Write for example: --map-category van=car"
            )
        pairs[name] = target
    return pairs
