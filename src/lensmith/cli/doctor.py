"""``lensmith doctor``: what this machine has, and the one command that mends what is wrong."""

from __future__ import annotations

import typer

from lensmith.cli import show

NAME = "doctor"


def command(as_json: show.Json = False) -> None:
    """Backend, devices and versions; exits with 1 when something must be mended."""
    from lensmith.doctor import examine

    found = examine()
    console = show.console(as_json)
    for name, value in found.facts.items():
        console.print(f"{name:26} {', '.join(value) if isinstance(value, list) else value}")
    for name, version in found.versions.items():
        console.print(f"{name:26} {version}")
    for trouble in found.troubles:
        console.print(f"\n{trouble.message}", style="bold")
        console.print(f"  {trouble.command}")
    if not found.troubles:
        console.print("\nAll is well.")
    if as_json:
        show.document(found.to_dict())
    if found.troubles:
        raise typer.Exit(1)
