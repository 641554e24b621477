"""The command line: lend, back, list."""

import argparse
import sys
from datetime import date

from lending.store import LendingError, Store


def build_parser():
    parser = argparse.ArgumentParser(prog="lending", description="Who has which tool, and until when.")
    parser.add_argument("--file", default="loans.json", help="where the loans are kept")
    parser.add_argument("--today", type=date.fromisoformat, default=None, help="pretend that it is this day")
    commands = parser.add_subparsers(dest="command", required=True)

    lend = commands.add_parser("lend", help="lend a tool")
    lend.add_argument("tool")
    lend.add_argument("borrower")

    back = commands.add_parser("back", help="a tool came back")
    back.add_argument("tool")

    commands.add_parser("list", help="show all loans")
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    today = args.today or date.today()
    store = Store(args.file)
    try:
        if args.command == "lend":
            loan = store.lend(args.tool, args.borrower, today)
            store.save()
            print(f"{loan.tool} is due on {loan.due}")
        elif args.command == "back":
            store.give_back(args.tool)
            store.save()
        elif args.command == "list":
            for loan in sorted(store.loans, key=lambda loan: loan.tool):
                print(f"{loan.tool}: {loan.borrower} until {loan.due}")
    except LendingError as error:
        print(f"lending: {error}", file=sys.stderr)
        return 2
    return 0
