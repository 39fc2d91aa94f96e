"""Folders of images: read as Keras reads them, in the form of the files, or refused in words."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lossreg
from lossreg import data
from lossreg.contract.data_options import Options
from lossreg.contract.image_options import ImageOptions
from lossreg.data import image_files, sources
from lossreg.data.origin import Origin
from lossreg.data.parts import TRAIN, WORDS
from lossreg.data.preprocessor_file import load_preprocessor, save_preprocessor
from lossreg.errors import DataError
from lossreg.runtime import system

ORIENTATION = 0x0112


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, array, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **more)


def write(folder, *classes, number=6, shape=(6, 5, 3), ending=".png"):
    for name in classes:
        for i in range(number):
            save(folder / name / f"{i}{ending}", pixels(*shape, seed=[i, *name.encode()]))


def read(folder, **options):
    return data.load(str(folder), images=ImageOptions(**options))


def raw(folder, **options):
    return sources.read(Origin("", str(folder)), drop=(), base=Path(), seed=0, images=ImageOptions(**options))


def noted(dataset, *words):
    return [note for note in dataset.notes if all(word in note for word in words)]


# ------------------------------------------------------------------ against Keras


def test_classes_order_and_pixels_are_those_of_keras(tmp_path):
    from keras.utils import image_dataset_from_directory

    write(tmp_path, "cat", "Dog", "10", "9", number=3)
    save(tmp_path / "cat" / "deeper" / "a.png", pixels(6, 5, 3))
    (tmp_path / ".hidden").mkdir()
    theirs = image_dataset_from_directory(tmp_path, image_size=(6, 5), shuffle=False, batch_size=None, verbose=False)
    x, y = (np.stack(list(part)) for part in zip(*theirs.as_numpy_iterator(), strict=True))
    ours = raw(tmp_path)
    np.testing.assert_array_equal(ours.x, x)
    assert list(ours.y) == [theirs.class_names[label] for label in y]
    assert read(tmp_path).classes == tuple(theirs.class_names)


@pytest.mark.parametrize(("channels", "mode"), [(1, "grayscale"), (3, "rgb"), (4, "rgba")])
def test_resized_images_are_those_of_load_img(tmp_path, channels, mode):
    from keras.utils import img_to_array, load_img

    write(tmp_path, "a", "b", number=2, shape=(40, 30, 4))
    save(tmp_path / "a" / "0.jpg", pixels(70, 20, 3))
    paths = sorted(tmp_path.rglob("*.*"))
    ours = raw(tmp_path, size=(12, 9), channels=channels).x
    theirs = [img_to_array(load_img(path, mode, (12, 9), "bilinear")) for path in paths]
    np.testing.assert_array_equal(ours, theirs)


# ------------------------------------------------------------------ form


def test_the_form_is_that_of_the_files_and_is_said(tmp_path):
    write(tmp_path, "a", "b", shape=(6, 5))
    found = read(tmp_path)
    assert found.input_shape == (6, 5, 1)
    assert noted(found, "12 files of 6 x 5 pixels (height x width), read in 1 channel (grey).")
    save(tmp_path / "a" / "0.png", pixels(100, 90, 3))
    found = read(tmp_path)
    assert found.input_shape == (6, 5, 3)
    assert noted(found, "6 x 5 to 100 x 90 pixels", "3 channels (RGB) and resized to 6 x 5", "data.image_size")
    assert noted(found, "11 of the images are grey")


def test_every_kind_of_file_is_read(tmp_path):
    write(tmp_path, "a", "b", shape=(9, 9, 3))
    for ending in image_files.ENDINGS:
        save(tmp_path / "a" / f"x{ending.upper()}", pixels(9, 9, 3))
    pair = [Image.fromarray(pixels(9, 9, 3, seed=seed)) for seed in (0, 1)]
    pair[0].save(tmp_path / "a" / "camera.jpg", "MPO", save_all=True, append_images=pair[1:])
    pair[0].save(tmp_path / "a" / "moving.gif", save_all=True, append_images=pair[1:])
    found = raw(tmp_path)
    assert found.x.shape == (12 + len(image_files.ENDINGS) + 2, 9, 9, 3)
    pictures = dict(zip(sorted(path.name for path in (tmp_path / "a").iterdir()), found.x, strict=False))
    for lossless in ("x.BMP", "x.PNG", "x.TIF", "x.TIFF"):
        np.testing.assert_array_equal(pictures[lossless], pixels(9, 9, 3))
    np.testing.assert_array_equal(pictures["camera.jpg"], pictures["x.JPG"])
    np.testing.assert_array_equal(pictures["moving.gif"], pictures["x.GIF"])


@pytest.mark.parametrize(("side", "expected"), [(128, 128), (129, 64)])
def test_large_images_are_resized(tmp_path, side, expected):
    write(tmp_path, "a", "b", number=5, shape=(side, side))
    assert read(tmp_path).input_shape == (expected, expected, 1)
    assert read(tmp_path, size=(7, 3)).input_shape == (7, 3, 1)


def test_the_task_of_a_folder_comes_from_its_class_folders(tmp_path):
    write(tmp_path, "a", "b", "c", number=6, shape=(2, 2))
    assert any("inferred from folders of 3 classes;" in note for note in read(tmp_path).notes)
    line = next(line for line in lossreg.init(tmp_path).text.splitlines() if line.startswith("task = "))
    assert line.endswith("# folders of 3 classes")


def test_folders_with_numbers_and_dates_as_names_are_classes(tmp_path):
    write(tmp_path, *map(str, range(25)), number=4, shape=(2, 2))
    found = read(tmp_path)
    assert (found.task, found.n_classes, set(found.classes)) == ("multiclass", 25, set(map(str, range(25))))
    write(tmp_path / "days", "2024-01-01", "2024-01-02", number=6, shape=(2, 2))
    assert read(tmp_path / "days").classes == ("2024-01-01", "2024-01-02")


def test_photos_are_upright(tmp_path):
    write(tmp_path, "a", "b", number=1, shape=(4, 8))
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    upright = pixels(4, 8)
    Image.fromarray(np.rot90(upright)).save(tmp_path / "a" / "0.png", exif=turned)
    assert raw(tmp_path).x.shape == (2, 4, 8, 1)
    np.testing.assert_array_equal(raw(tmp_path).x[0, ..., 0], upright)


def test_sixteen_bits_become_eight(tmp_path):
    write(tmp_path, "a", "b", number=1, shape=(3, 3))
    values = np.arange(9, dtype=np.uint16).reshape(3, 3) * 7000
    save(tmp_path / "a" / "0.png", values)
    np.testing.assert_array_equal(raw(tmp_path).x[0, ..., 0], values // 256)


def test_transparency_is_said(tmp_path):
    write(tmp_path, "a", "b", shape=(4, 4, 4))
    assert noted(read(tmp_path), "12 images have transparency", "data.image_channels = 4")
    assert not noted(read(tmp_path, channels=4), "transparency, which")


def test_what_is_no_image_is_left_out_and_counted(tmp_path):
    write(tmp_path, "a", "b")
    for name in (
        "a/.DS_Store",
        "a/._0.png",
        ".ipynb_checkpoints/0.png",
        "a/.ipynb_checkpoints/0.png",
        "__MACOSX/0.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"hidden")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    save(tmp_path / "loose.png", pixels(6, 5, 3))
    found = read(tmp_path)
    assert sum(found.summary()["rows"].values()) == 12
    assert noted(found, "1 image lies in no class folder", "loose.png")
    assert noted(found, "no images by their names", "1 .txt")
    assert not noted(found, "._0")


# ------------------------------------------------------------------ files that cannot be read


def damaged(folder):
    write(folder, "a", "b", shape=(30, 30, 3))
    whole = (folder / "a" / "0.png").read_bytes()
    (folder / "a" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "b" / "junk.jpg").write_bytes(b"junk")
    (folder / "b" / "link.png").symlink_to("gone.png")


def test_files_that_cannot_be_read_are_refused_with_their_names(tmp_path):
    damaged(tmp_path)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    for words in ("3 of 15 files", "a/cut.png (", "truncated", "b/junk.jpg (no image", "b/link.png (no such file)"):
        assert words in str(caught.value)
    assert "data.drop_unreadable = true" in caught.value.hint


@pytest.mark.parametrize("name", ["a.eps.png", "b.png"])
def test_no_other_format_is_read_under_the_name_of_an_image(tmp_path, name):
    write(tmp_path, "a", "b")
    Image.fromarray(pixels(6, 5, 3)).save(tmp_path / "a" / name, "EPS" if "eps" in name else "PPM")
    with pytest.raises(DataError, match=r"1 of 13 files cannot be read as an image: a/.*no image"):
        read(tmp_path)


def test_files_that_cannot_be_read_are_left_out_where_that_is_asked_for(tmp_path):
    damaged(tmp_path)
    found = read(tmp_path, drop_unreadable=True)
    assert found.summary()["classes"] == {"a": 6, "b": 6}
    assert noted(found, "3 of 15 files cannot be read", "left out")
    for i in range(6):
        (tmp_path / "a" / f"{i}.png").write_bytes(b"junk")
    with pytest.raises(DataError, match="no image of a can be read"):
        read(tmp_path, drop_unreadable=True)


def test_images_that_do_not_fit_into_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    write(tmp_path, "a", "b")
    monkeypatch.setattr(system, "free_memory", lambda: 1 << 20)
    with pytest.raises(DataError, match=r"12 rows of shape \(9000, 9000, 3\) need"):
        read(tmp_path, size=(9000, 9000))


# ------------------------------------------------------------------ parts


def test_test_and_validation_folders(tmp_path):
    for part in ("train", "Val", "test"):
        write(tmp_path / part, "a", "b", number=8)
    found = read(tmp_path)
    x = raw(tmp_path).x
    np.testing.assert_array_equal(x[-16:], raw(tmp_path / "test").x)
    np.testing.assert_array_equal(x[:16], raw(tmp_path / "train").x)
    assert (len(found.train), len(found.validation), len(found.test)) == (16, 16, 16)
    np.testing.assert_array_equal(found.test.x, found.preprocessor.transform(x[-16:]))
    assert noted(found, "Test rows: the given test set.")


@pytest.mark.parametrize("word", [word for word, part in WORDS.items() if part != TRAIN])
def test_every_word_for_a_part_that_a_column_may_hold_names_a_folder_too(tmp_path, word):
    write(tmp_path, "train/a", "train/b", f"{word}/a", f"{word}/b")
    found = raw(tmp_path)
    assert set(found.y) == {"a", "b"}
    assert set(found.given) == {TRAIN, WORDS[word]}


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path, "car", "train")
    assert read(tmp_path).classes == ("car", "train")


# ------------------------------------------------------------------ new rows


def test_new_rows_are_files_folders_or_arrays(tmp_path):
    write(tmp_path, "a", "b", shape=(10, 10, 3))
    found, x = read(tmp_path, size=(5, 5)), raw(tmp_path, size=(5, 5)).x
    save_preprocessor(found.preprocessor, tmp_path / "p.json")
    kept = load_preprocessor(tmp_path / "p.json")
    wanted = found.preprocessor.transform(x)
    paths = sorted((tmp_path / "a").iterdir())
    for preprocessor in (found.preprocessor, kept):
        np.testing.assert_array_equal(preprocessor.transform(tmp_path), wanted)
        np.testing.assert_array_equal(preprocessor.transform(paths), wanted[:6])
        np.testing.assert_array_equal(preprocessor.transform(np.array(list(map(str, paths)))), wanted[:6])
        np.testing.assert_array_equal(preprocessor.transform(str(paths[1])), wanted[1:2])
        np.testing.assert_array_equal(preprocessor.transform(x), wanted)


def test_pixels_may_stay_as_they_are(tmp_path):
    write(tmp_path, "a", "b")
    found = data.load(str(tmp_path), preprocess="none")
    np.testing.assert_array_equal(found.preprocessor.transform(tmp_path), raw(tmp_path).x)
    assert noted(found, "pixels from 0 to 255 stay as they are")


def test_pixels_are_scaled_by_the_training_rows_and_it_is_said(tmp_path):
    write(tmp_path, "a", "b")
    found = read(tmp_path)
    assert abs(found.train.x.mean()) < 1e-5
    assert found.train.x.std() == pytest.approx(1, abs=1e-5)
    assert noted(found, "x: images of 6 x 5 pixels in 3 channels", "(pixel - ", "training pixels")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("nope.png", "no such file"),
        (["a/0.png", "a/gone.png"], "1 of 2 files cannot be read as an image: a/gone.png (no such file)"),
        (["a/0.png", "text.txt"], "text.txt (no image"),
        ("empty", "has no images"),
        (np.zeros((2, 7, 7, 3)), "rows have shape (7, 7, 3), and (6, 5, 3) is needed"),
    ],
)
def test_wrong_new_rows(tmp_path, monkeypatch, rows, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "a", "b")
    (tmp_path / "text.txt").write_text("x")
    preprocessor = read(tmp_path).preprocessor
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        preprocessor.transform(rows)
    assert words in str(caught.value)


def test_arrays_have_no_files(tmp_path):
    np.savez(tmp_path / "x.npz", x=pixels(40, 8, 8), y=np.arange(40) % 2)
    with pytest.raises(DataError, match="arrays, not files"):
        data.load("x.npz", base=tmp_path).preprocessor.transform("a.png")


# ------------------------------------------------------------------ digest


def test_the_digest_is_that_of_the_pixels(tmp_path):
    write(tmp_path / "one", "a", "b")
    write(tmp_path / "two", "a", "b")
    os.utime(tmp_path / "two" / "a" / "0.png", (0, 0))
    (tmp_path / "two" / "a" / "0.png").rename(tmp_path / "two" / "a" / "00.png")
    one, two = read(tmp_path / "one"), read(tmp_path / "two")
    assert one.digest == two.digest
    assert read(tmp_path / "one", size=(3, 3)).digest != one.digest
    save(tmp_path / "two" / "a" / "00.png", pixels(6, 5, 3, seed=12345))
    assert read(tmp_path / "two").digest != one.digest


# ------------------------------------------------------------------ wrong folders


def loose(folder):
    write(folder.parent, folder.name)


def tables(folder):
    folder.mkdir()
    (folder / "rows.csv").write_text("a,y\n1,2\n")


def one(folder):
    write(folder, "only")


def nested(folder):
    write(folder / "photos", "a", "b")


def without(folder):
    write(folder, "a", "b")
    (folder / "c").mkdir()


def other_kinds(folder):
    write(folder, "a")
    (folder / "b").mkdir()
    (folder / "b" / "1.heic").write_bytes(b"")


def beside_parts(folder):
    write(folder / "train", "a", "b")
    write(folder / "test", "a", "b")
    write(folder, "more")


def unlabelled(folder):
    write(folder / "train", "a", "b")
    write(folder, "test")


def other_classes(folder):
    write(folder / "train", "a", "b")
    write(folder / "test", "a", "c")


def twice(folder):
    for part in ("train", "val", "valid"):
        write(folder / part, "a", "b")


def single(folder):
    write(folder, "a", "b")
    write(folder, "c", number=1)


WRONG = {
    "empty": (Path.mkdir, {}, "has no images and no class folders", "cats/1.jpg"),
    "without class folders": (loose, {}, "has 6 images and no class folders", "cats/1.jpg"),
    "tables": (tables, {}, "is a folder without images: it has rows.csv", 'source = "{folder}/rows.csv"'),
    "one class": (one, {}, "has one class folder, only, and at least two are needed", "cats/1.jpg"),
    "a folder too high": (nested, {}, "has one class folder, photos", 'source = "{folder}/photos"'),
    "a class without images": (without, {}, "the class folder c has no images: it has none", "Known: .bmp"),
    "a class of other files": (other_kinds, {}, "b has no images: it has files that end in .heic", "Known: .bmp"),
    "a folder beside parts": (beside_parts, {}, "has the parts test, train, and beside them more", "Move that"),
    "parts without labels": (unlabelled, {}, "test has 6 images and no class folders", 'source = "{folder}/train"'),
    "classes without training rows": (other_classes, {}, "test has class folders that train lacks: c", "has a, b"),
    "a part twice": (twice, {}, "val, valid are the same part", "Join them"),
    "a class of one image": (single, {}, "1 of 3 classes has a single row (c)", ""),
    "a target": (without, {"target": "y"}, "target names the column of labels of a table", "Leave it out"),
    "weights": (without, {"weight": "w"}, "weight names the column of weights of a table", "Leave it out"),
    "groups": (without, {"group": "patient"}, "group names a column of a table", "Leave it out"),
    "a column of parts": (without, {"split": "part"}, "split names a column of a table", "Leave it out"),
    "a decimal mark": (without, {"options": Options(decimal=",")}, "decimal is for tables", "Leave it out"),
    "gaps": (without, {"options": Options(na_values=("?",))}, "na_values is for tables", "Leave it out"),
    "columns to drop": (lambda folder: write(folder, "a", "b"), {"drop": ["c"]}, "drop names columns of a table", ""),
    "a task of numbers": (
        lambda folder: write(folder, "a", "b"), {"task": "regression"}, "task regression needs numbers", "multiclass",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_folder_is_refused(tmp_path, case):
    make, keys, what, hint = WRONG[case]
    folder = tmp_path / "pictures"
    make(folder)
    with pytest.raises(DataError) as caught:
        data.load(str(folder), **keys)
    assert str(folder) in caught.value.where
    assert what in caught.value.what
    assert hint.format(folder=folder) in caught.value.hint


@pytest.mark.parametrize(
    ("source", "words"),
    [("pictrues/", "Did you mean pictures?"), ("pictures/a/0.png", "a folder of images"), ("gone/", "no such folder")],
)
def test_a_folder_that_is_not_there(tmp_path, source, words):
    write(tmp_path / "pictures", "a", "b")
    with pytest.raises(DataError) as caught:
        data.load(source, base=tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize("key", [{"size": (3, 3)}, {"channels": 1}, {"drop_unreadable": True}])
def test_keys_of_images_belong_to_folders(key):
    with pytest.raises(DataError, match="is no folder of images"):
        data.load("sklearn:iris", images=ImageOptions(**key))
