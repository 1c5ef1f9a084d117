"""Problems of one cause are condensed to a few lines with a count."""

from hypothesis import given
from hypothesis import strategies as st

from edgehar.data.recordings.problem import Problem, condensed, errors


def test_the_first_three_of_a_kind_in_a_file_are_shown() -> None:
    message = "column 1 is '10:00:{}'; expected seconds"
    dates = [Problem("d/watch/r0.csv", row + 2, message.format(row)) for row in range(20_000)]
    other = Problem("d/watch/r0.csv", 5, "3 columns; expected 7")
    assert condensed([*dates, other]) == [
        "d/watch/r0.csv:2: column 1 is '10:00:0'; expected seconds",
        "d/watch/r0.csv:3: column 1 is '10:00:1'; expected seconds",
        "d/watch/r0.csv:4: column 1 is '10:00:2'; expected seconds",
        "d/watch/r0.csv: and 19,997 more like it",
        "d/watch/r0.csv:5: 3 columns; expected 7",
    ]


def test_the_first_three_files_of_a_folder_are_shown() -> None:
    problems = [Problem(f"d/watch/r{file}.csv", row, f"row {row}") for file in range(9) for row in range(1, 6)]
    lines = condensed(problems)
    assert len(lines) == 3 * 4 + 1
    assert lines[-1] == "d/watch: and 30 more like it in 6 other files"


def test_a_warning_is_shown_as_one_and_is_no_error() -> None:
    error, warning = Problem("a", 0, "no file"), Problem("a", 3, "no file", is_warning=True)
    assert errors([warning, error]) == [error]
    assert condensed([error, warning]) == ["a: no file", "a:3: warning: no file"]


WORDS = st.sampled_from(["column 1 is 'x'", 'column 2 is "it\'s"', "time goes back from 1.5 to -2e3 s", "nan"])
FILES = st.sampled_from([f"{folder}/r{file}.csv" for folder in "ab" for file in range(6)])
PROBLEMS = st.builds(Problem, FILES, st.integers(1, 9), WORDS)


@given(problems=st.lists(PROBLEMS, max_size=60))
def test_every_problem_is_shown_or_counted(problems: list[Problem]) -> None:
    lines = condensed(problems)
    shown = [line for line in lines if " more like it" not in line]
    counted = sum(int(line.partition("and ")[2].partition(" ")[0]) for line in lines if " more like it" in line)
    assert len(shown) + counted == len(problems)
    assert set(shown) <= {str(problem) for problem in problems}
    assert len(lines) <= 2 * 4 * (3 * 4 + 1)  # folders, kinds, lines of a kind
