"""A summary on the terminal: tables and sentences on stdout, what to be aware of on stderr."""

from rich import table as rich_table

from rung.cli.console import ERR, OUT
from rung.report.summary import Summary, Table


def print_summary(summary: Summary) -> None:
    """Print the tables and sentences."""
    for table in summary.tables:
        print_table(table)
    for sentence in summary.sentences:
        OUT.print(sentence)


def print_troubles(summary: Summary, kept: str) -> None:
    """Print the warnings, then what is missing, and after each the sentence ``kept`` of what is there all the same."""
    for sentence in summary.warnings:
        ERR.print(f"warning: {sentence}", style="yellow")
    for sentence in summary.failures:
        ERR.print(f"rung: {sentence} {kept}".rstrip())


def print_table(table: Table) -> None:
    """Print one table."""
    drawn = rich_table.Table(title=table.title)
    for place, heading in enumerate(table.headings):
        drawn.add_column(heading, justify="left" if place < table.n_names else "right")
    for row in table.rows:
        drawn.add_row(*row)
    OUT.print(drawn)
