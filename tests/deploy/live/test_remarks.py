"""A flood of bad lines is a few remarks with counts."""

from pathlib import Path

from edgehar.deploy.live.remarks import MAX_CAUSES, MAX_REPEAT_S, REPEAT_S, Remarks
from tests.deploy.running import client, lines_of, run_stream, running
from tests.deploy.streams import steady


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_one_cause_is_logged_first_and_then_counted() -> None:
    lines: list[str] = []
    clock = Clock()
    remarks = Remarks(clock, lines.append)
    for number in range(1, 101):
        remarks.add(f"line {number}", f"found '{number * 7}' at {number / 3}; expected a name")
    assert len(lines) == 1
    assert lines[0].startswith("line 1: found '7'")
    clock.now_s = REPEAT_S
    remarks.add("line 101", "found 'x' at 0.5; expected a name")
    assert lines[1:] == ["100 more of this kind, the last one: line 101: found 'x' at 0.5; expected a name"]
    remarks.add("line 102", "longer than 9 bytes")
    assert lines[2:] == ["line 102: longer than 9 bytes"]
    remarks.add("line 103", "found 'y' at 0.5; expected a name")
    remarks.close()
    remarks.close()
    assert lines[3:] == ["line 103: found 'y' at 0.5; expected a name"]


def test_cause_that_continues_is_logged_ever_less_often() -> None:
    lines: list[str] = []
    clock = Clock()
    remarks = Remarks(clock, lines.append)
    for _ in range(3600):
        clock.now_s += 1
        remarks.add("line", "not JSON")
    assert len(lines) <= 12
    clock.now_s += 2 * MAX_REPEAT_S + 1
    remarks.add("line 9", "not JSON")
    assert lines[-1] == "line 9: not JSON"
    assert sum(int(line.split()[0]) for line in lines if "more of this kind" in line) + 2 == 3601


def test_first_remarks_of_a_status_are_logged_in_full() -> None:
    lines: list[str] = []
    remarks = Remarks(Clock(), lines.append, at_once=3)
    for number in range(10):
        remarks.add("broker", f"connected; {number} lines were dropped")
    assert lines == [f"broker: connected; {number} lines were dropped" for number in range(3)]


def test_number_of_causes_is_bounded() -> None:
    lines: list[str] = []
    remarks = Remarks(Clock(), lines.append)
    for number in range(10 * MAX_CAUSES):
        remarks.add("line 1", "cause " + "x" * number)
    remarks.close()
    assert len(lines) <= MAX_CAUSES + 2


def test_flood_of_bad_lines(sliding_package: Path) -> None:
    good = lines_of(steady(1.0))
    code, output, log = run_stream(sliding_package, [*good[:50], *[b"x\n"] * 20_000, *good[50:]], "--skip-bad")
    assert code == 0
    assert output
    assert "line 51: not JSON" in log[0]
    assert "more of this kind, the last one: line 20050: not JSON" in log[-3]
    assert len(log) < 10


def test_flood_of_clients_that_drop_their_lines(sliding_package: Path) -> None:
    with running(sliding_package, "--listen", "127.0.0.1:0") as program:
        port = program.port()
        for _ in range(60):
            with client(port) as connection:
                connection.sendall(b'{"modality"')
        with client(port) as connection:
            connection.sendall(b"oops\n")
            program.log.line_with("not JSON")
        program.end()
        assert program.code() == 0
        log = [line.decode() for line in program.log.all()]
    assert any("disconnected within line 1" in line for line in log)
    assert any("more of this kind" in line for line in log)
    assert len(log) < 12
