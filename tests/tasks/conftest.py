"""The commands, for tests of any task."""

from collections.abc import Callable

import pytest

Run = Callable[..., str]


@pytest.fixture
def mobilenet(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process and returns what it prints, on stdout or with `stderr` there; it has to exit with
    `exit_code`, any if None."""
    from mobilenet.cli.main import main

    def run(*words: object, exit_code: int | None = 0, stderr: bool = False) -> str:
        found = main([str(word) for word in words])
        printed = capfd.readouterr()
        assert exit_code in (None, found), printed.err
        return printed.err if stderr else printed.out

    return run
