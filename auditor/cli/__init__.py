"""The command ``auditor``: one command a file, nothing heavy imported before it is needed.

Messages for people go to stderr; stdout is for documents and for ``--json``. Exit codes: 0 pass or
nothing to judge, 1 fail or error, 2 wrong usage or input, 3 inconclusive or not evaluated.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import typer

from auditor.cli import (
    data,
    demo,
    init,
    judge,
    keys,
    mitigate,
    policy,
    predictions,
    prove,
    redact,
    report,
    run,
    verify,
)
from auditor.cli.wording import usage_message, worded
from auditor.errors import AuditorError, InputError, one_line
from auditor.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    name="auditor",
    help="Audit models and their training: bias, explanations, provenance; judged by policies, "
    "provable afterwards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True),
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


for module in (
    demo, init, run, predictions, data, mitigate, judge, report, redact, prove, verify
):  # fmt: skip
    module.register(app)
app.add_typer(policy.app, name="policy")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command line; every error that a user can cause is one line and exit code 2."""
    warnings.showwarning = _show_warning
    try:
        sys.exit(app(prog_name="auditor", standalone_mode=False) or 0)
    except _UsageError as error:
        if "NoArgsIsHelp" in type(error).__name__:
            error.show()
            sys.exit(error.exit_code)
        _fail(usage_message(error), 2)
    except typer.Abort:
        _fail("aborted", 1)
    except InputError as error:
        _fail(worded(str(error), _command()), 2)
    except AuditorError as error:
        _fail(worded(str(error), _command()), 1)
    except KeyboardInterrupt:
        _fail("interrupted; what was recorded so far is kept", 130)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", 2)


_UsageError: Any = typer.BadParameter.__bases__[0]
"""Wrong usage; newer versions of typer carry a class of their own for it."""


def _command() -> str:
    """Return the command that was called."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "")


_show_other_warning = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *args: Any, **more: Any) -> None:
    """Print our own warnings as one line, without the line of code that gave them."""
    if category.__module__.partition(".")[0] == "auditor":
        typer.echo(f"auditor: warning: {one_line(str(message))}", err=True)
    else:
        _show_other_warning(message, category, *args, **more)


def _fail(message: str, code: int) -> None:
    typer.echo(f"auditor: {one_line(message)}", err=True)
    sys.exit(code)
