"""The verbs by name. What a verb needs is imported when it is called, so that ``--help`` stays instant."""

from __future__ import annotations

from typing import Annotated

import typer

from lensmith import __version__
from lensmith.cli import audit, data, demo, detect, doctor, evaluate, predict, probe, report, ship, stylize, train, zoo

app = typer.Typer(
    name="lensmith",
    epilog="Every verb takes --json: one document on one line of standard output, all else on standard error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def lensmith(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Composable computer vision on Keras 3: compose, train, prove and ship a model on your own images."""


for module in (demo, audit, train, evaluate, predict, detect, probe, stylize, report, zoo, ship, doctor):
    app.command(module.NAME)(module.command)
app.add_typer(data.app)
