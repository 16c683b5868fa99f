"""What a bad file says, and that a bad row does not stop the good ones."""

import gzip
import re

import pytest

from watchnext.data.tables import Dropped, read_table
from watchnext.errors import DataError

COLUMNS = {"id": "text", "n": "number", "note": "optional"}


def write(path, text):
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_bad_rows_are_counted_by_reason_and_the_rest_goes_through(tmp_path):
    text = "id,extra,n,note\na,,1,x\n,,2,x\nb,,NaN,x\nc,,inf,x\nd,,one,x\ne,,5\nf,,6,x,y\ng,,7,\nh,,1e300,\n"
    dropped = Dropped()
    table = read_table(write(tmp_path / "t.csv.gz", text), COLUMNS, dropped)

    assert table.to_dict("list") == {"id": ["a", "g"], "n": [1.0, 7.0], "note": ["x", ""]}
    assert dropped == {
        "t.csv.gz: another number of cells than the header": 2,
        "t.csv.gz: id is empty": 1,
        "t.csv.gz: n is not a finite number": 4,
    }


def test_ids_keep_their_zeros(tmp_path):
    table = read_table(write(tmp_path / "t.csv", "id,n,note\n007,1,\n"), COLUMNS, Dropped())

    assert table["id"].tolist() == ["007"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty; wanted CSV with the columns id, n, note"),
        ("id,n,note\n", "a header came and no usable row"),
        ("id,m,note\na,1,x\n", "Column 'n' .* does not exist.*wanted the columns id, n, note"),
        ("id,n,note\na,NaN,x\nb,,x\n", r"none of its 2 rows can be used \(t.csv: n is not a finite number \(2\)\)"),
        (b"id,n,note\n\xff\xfe,1,x\n", "cannot be read .*UTF8"),
    ],
)
def test_a_bad_file_is_one_error_that_names_it(tmp_path, content, message):
    path = write(tmp_path / "t.csv", content)
    with pytest.raises(DataError, match=f"(?s)^{re.escape(str(path))}: .*{message}"):
        read_table(path, COLUMNS, Dropped())


def test_a_cut_off_gzip_file_is_an_error(tmp_path):
    whole = gzip.compress(b"id,n,note\n" + b"".join(b"%d,%d,x\n" % (n, n * 7919) for n in range(9_000)))
    path = tmp_path / "t.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DataError, match=r"t\.csv\.gz: the file cannot be read .*wanted gzipped CSV"):
        read_table(path, COLUMNS, Dropped())


def test_a_file_that_is_not_gzip_at_all_is_an_error(tmp_path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(b"id,n,note\na,1,x\n")

    with pytest.raises(DataError, match="cannot be read"):
        read_table(path, COLUMNS, Dropped())


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: no such file; wanted a CSV file with the columns id, n, note"):
        read_table(tmp_path / "none.csv", COLUMNS, Dropped())
