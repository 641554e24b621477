"""The loans, kept in a JSON file."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

LOAN_DAYS = 14


class LendingError(Exception):
    """Something that the user should be told."""


@dataclass
class Loan:
    tool: str
    borrower: str
    due: date


class Store:
    def __init__(self, path):
        self.path = Path(path)
        self.loans = []
        if self.path.exists():
            for row in json.loads(self.path.read_text()):
                self.loans.append(Loan(row["tool"], row["borrower"], date.fromisoformat(row["due"])))

    def save(self):
        rows = [{"tool": loan.tool, "borrower": loan.borrower, "due": loan.due.isoformat()} for loan in self.loans]
        self.path.write_text(json.dumps(rows, indent=2) + "\n")

    def find(self, tool):
        for loan in self.loans:
            if loan.tool == tool:
                return loan
        return None

    def lend(self, tool, borrower, today):
        if self.find(tool):
            raise LendingError(f"{tool} is lent already")
        loan = Loan(tool, borrower, today + timedelta(days=LOAN_DAYS))
        self.loans.append(loan)
        return loan

    def give_back(self, tool):
        loan = self.find(tool)
        if loan is None:
            raise LendingError(f"{tool} is not lent")
        self.loans.remove(loan)
