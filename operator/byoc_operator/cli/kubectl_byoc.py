"""`kubectl byoc`: the list of its commands. A command's module is loaded when the command runs."""

from collections.abc import Mapping

import click

from .exit_codes import told
from .lazy import LazyGroup
from .told_logs import logs_told

COMPLETE_VARIABLE = "_KUBECTL_BYOC_COMPLETE"
"""Set by the scripts of `kubectl byoc completion` when they call `kubectl-byoc`."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "status": ("status:status", "Show how the numbers are, the worst first."),
    "doctor": ("doctor:doctor", "Walk the chain of a call, and name the first break."),
    "dial": ("dial:dial", "Place one call from a number, and say what the carrier answers."),
    "logs": ("logs:logs", "Show what the operator logged about one number."),
    "refresh": ("refresh:refresh", "Have the operator write numbers to LiveKit anew, in waves."),
    "plan": ("plan:plan", "Show what would change in LiveKit, field by field."),
    "import": ("import_command:import_", "Make manifests of what nobody owns in LiveKit."),
    "seal": ("seal:seal", "Seal a user name and a password; prints a Secret."),
    "keys": ("keys:keys", "The operator's sealing keys: rotate, list, re-seal, retire."),
    "migrate": ("seal:migrate", "Seal anew what the hosted service stored."),
    "support-bundle": (
        "support_bundle:support_bundle",
        "Write what a diagnosis needs into one file, without credentials.",
    ),
    "release": ("release:release", "Free LiveKit objects, or a namespace, that nobody looks after any more."),
    "completion": ("completion:completion", "Print a completion script for a shell."),
}
"""Per command where it is (`module:function` in this package), and its line in the list of commands."""


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}, epilog=told())
@click.version_option(package_name="byoc-operator")
@click.pass_context
def kubectl_byoc(ctx: click.Context) -> None:
    """Bring Your Own Carrier: phone numbers in Kubernetes, their SIP trunks in LiveKit, their sealed credentials."""
    ctx.with_resource(logs_told())


def main() -> None:
    """The executable `kubectl-byoc`, which kubectl runs for `kubectl byoc`."""
    kubectl_byoc(prog_name="kubectl byoc", complete_var=COMPLETE_VARIABLE)


if __name__ == "__main__":
    main()
