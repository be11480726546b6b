# ruff: noqa: PLC0415 - torch takes seconds to import, so a command imports its work when it runs, and --help is quick
"""``rung campaign``: labels, round by round, until a question is answered well enough."""

from pathlib import Path
from typing import Annotated

from rung.cli.console import ERR, TerminalProgress, print_json
from rung.cli.options import Printing, command
from rung.cli.summary import print_summary, print_troubles
from rung.settings import Option, Settings

EXIT_CODES = {"reached": 0, "running": 0, "waiting": 3}
"""What a shell gets; 1 for an end without an answer that is sure enough."""


class CampaignFile(Settings):
    """Which campaign to go on with."""

    config: Annotated[Path, Option(positional=True)]
    """The YAML file of the campaign: a run's config with questions, a budget and an engine."""
    dry_run: bool = False
    """Only say what the next round would label and cost; nothing is labelled or fitted."""


def _campaign(file: CampaignFile, printing: Printing) -> int:
    """Fit, answer, choose, label and fit again, until every answer is inside its tolerance or the budget is spent.

    Each round is a folder. A campaign that was stopped goes on when the same command is given again; tolerances and
    the budget may change in between. Exit codes: 0, every answer is sure enough; 1, the budget or the candidates are
    spent before; 3, inputs are written and outputs are waited for.

    In the file: questions: {hop: {kind: barrier, initial: a.xyz, final: b.xyz, tolerance: 0.05}}

    budget: {labels: 60} and engine: {name: pyscf, method: ccsd(t), basis: cc-pvtz}

    First: rung campaign campaign.yaml --dry-run
    """
    from rung.campaign import load_campaign_config, plan_campaign, run_campaign
    from rung.report.tasks.campaign import campaign_summary

    config = load_campaign_config(file.config)
    if file.dry_run:
        for sentence in plan_campaign(config, progress=TerminalProgress()):
            ERR.print(sentence)
        return 0
    finished = run_campaign(config, progress=TerminalProgress(), say=_say)
    if printing.as_json:
        print_json(finished.result.as_json())
    else:
        summary = campaign_summary(finished.result)
        print_summary(summary)
        print_troubles(summary, "")
    ERR.print(f"The campaign is in {finished.folder}; its page is {finished.folder / 'campaign.html'}.")
    return EXIT_CODES.get(finished.result.status, 1)


def _say(sentence: str) -> None:
    ERR.print(sentence)


campaign = command("campaign", _campaign, CampaignFile, Printing, example="rung campaign campaign.yaml")
