"""Files and folders that take the place of others once they are whole."""

import pytest

from lossreg.storage.replaced_file import folder_beside, replaced


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no"), OSError(28, "No space left on device")])
def test_a_file_that_is_cut_off_leaves_the_former_one_and_nothing_else(tmp_path, error):
    whole = tmp_path / "page.html"
    whole.write_text("former")

    def write(text):
        with replaced(tmp_path / "page.part", whole) as part:
            part.write(text)
            if text == b"half":
                raise error

    with pytest.raises(type(error)):
        write(b"half")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"page.html": "former"}
    write(b"new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"page.html": "new"}


def test_nothing_is_left_of_a_folder_in_which_something_is_written_for_its_place(tmp_path):
    target = tmp_path / "new" / "package"

    def write_half():
        with folder_beside(target) as folder:
            (folder / "half").write_text("x")
            assert folder.parent == target.parent
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert not any(target.parent.iterdir())
