import pytest

from watchnext.cli.output import print_table, say


@pytest.mark.parametrize("words", ["Alien [1979]", "a \\[b]", "[/b] [bold]c", ":heart:"])
def test_words_of_people_and_catalogues_are_printed_as_they_are(capsys: pytest.CaptureFixture[str], words: str):
    print_table(("a column that is wide enough",), [(words,)], title=f"for {words}")
    say(words)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [f"for {words}", "a column that is wide enough", words, words]


def test_a_title_cannot_write_over_the_terminal(capsys: pytest.CaptureFixture[str]):
    words = "Alien\x1b[2J\x9b1A\rnot \x07seen"
    print_table(("a column that is wide enough",), [(words,)], title=words)
    say(words)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = "Alien\ufffd[2J\ufffd1A\ufffdnot \ufffdseen"
    assert lines == [shown, "a column that is wide enough", shown, shown]
