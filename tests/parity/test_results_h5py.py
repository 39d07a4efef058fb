# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""How results lie in a file, for other eyes: h5py (with an HDF5 of its own) must see what results_driver.cpp put in.

The driver's datasets and attributes are made up, one of every kind that the format takes, so that no field of it stays
untried; what the program itself writes is the matter of test_results_schema.py.
"""

import hashlib
import os
import pathlib
import subprocess
import time

import h5py
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DRIVER = ROOT / os.environ.get("TRIBUTARY_BUILD", "build/release/tests") / "results_driver"

EXPECTED = {
    "/attribution/scores": (np.arange(24, dtype="<f4").reshape(3, 2, 4) / 8, ["layer", "position", "neuron"]),
    "/attribution/large": (np.arange(180000, dtype="<f4").reshape(3, 200, 300) / 2, ["layer", "row", "column"]),
    "/attribution/evaluations": (np.array([[1, 2, 3], [-4, -(2**63), 2**53 + 1]], dtype="<i8"), ["pair", "layer"]),
    "/circuit/faithfulness": (np.array([0.1, -0.0, np.nan, np.inf, 5e-324], dtype="<f8"), ["point"]),
    "/circuit/point": (np.array([10, 30, 100, 300, 1000], dtype="<i8"), ["point"]),
    "/pairs/nothing": (np.zeros(0, dtype="<f4"), ["nobody"]),
    "/provenance/seconds": (np.array(1.5, dtype="<f8"), []),
}
EXPECTED_TEXT = {
    "/pairs/text": ([["Is fire hot?", "日本語 – ß"], ["", " trailing space "]], ["pair", "side"]),
    "/pairs/none": (np.zeros((0, 2), dtype=object), ["nobody", "side"]),
    "/pairs/case": (["", ""], ["unnamed"]),
    "/provenance/note": ("Tuesday, 10 °C", []),
}


def drive(*arguments, expected_code=0):
    assert DRIVER.exists(), f"{DRIVER} is missing: build the tests first, or set TRIBUTARY_BUILD to their folder"
    done = subprocess.run([DRIVER, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == expected_code, done.stderr
    return done.stderr


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def datasets(file):
    found = {}
    file.visititems(lambda name, item: found.update({"/" + name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = tmp_path_factory.mktemp("results") / "results.h5"
    drive("write", target, "Tuesday, 10 °C")
    return target


@pytest.fixture()
def results(path):
    with h5py.File(path, "r") as file:
        yield file


@pytest.mark.parametrize("name", EXPECTED)
def test_numbers_have_their_type_shape_and_bits(results, name):
    values, _ = EXPECTED[name]
    dataset = results[name]
    assert dataset.dtype.str == values.dtype.str
    assert dataset.shape == values.shape
    assert dataset[()].tobytes() == values.tobytes()


@pytest.mark.parametrize("name", EXPECTED_TEXT)
def test_texts_come_back_as_text(results, name):
    values, _ = EXPECTED_TEXT[name]
    dataset = results[name]
    kind = h5py.check_string_dtype(dataset.dtype)
    assert kind.encoding == "utf-8" and kind.length is not None
    read = dataset.asstr()[()]
    assert np.shape(read) == np.shape(values)
    assert np.array_equal(np.asarray(read, dtype=object), np.asarray(values, dtype=object))


@pytest.mark.parametrize("name", EXPECTED | EXPECTED_TEXT)
def test_axes_are_labelled_and_scaled(results, name):
    _, axes = (EXPECTED | EXPECTED_TEXT)[name]
    dataset = results[name]
    assert [dimension.label for dimension in dataset.dims] == axes
    if dataset.is_scale:
        return
    for dimension, axis, length in zip(dataset.dims, axes, dataset.shape):
        assert len(dimension) == 1
        scale = dimension[0]
        assert scale.is_scale and scale.name == f"{dataset.parent.name}/{axis}"
        assert scale.shape == (length,)
        assert dimension.keys() == [axis]
        if axis != "point":
            assert scale.dtype.str == "<i8"
            assert np.array_equal(scale[()], np.arange(length))


def test_a_dataset_at_the_place_of_an_axis_is_its_scale(results):
    assert np.array_equal(results["/circuit/faithfulness"].dims[0][0][()], [10, 30, 100, 300, 1000])
    assert results["/circuit/point"].attrs["units"] == "neurons"


def test_every_dataset_says_what_it_is(results):
    for name, dataset in datasets(results).items():
        assert isinstance(dataset.attrs["long_name"], str) and dataset.attrs["long_name"], name
        assert isinstance(dataset.attrs.get("units", ""), str), name
    assert results["/attribution/scores"].attrs["long_name"] == "attribution score"
    assert results["/attribution/scores"].attrs["units"] == "logits"
    assert "units" not in results["/attribution/evaluations"].attrs
    assert results["/attribution/layer"].attrs["long_name"] == "index along layer, counted from 0"


def test_attributes_have_their_types(results):
    attributes = results["/attribution/scores"].attrs
    assert attributes["method"] == "ig-acts" and isinstance(attributes["method"], str)
    assert attributes["empty"] == "" and isinstance(attributes["empty"], str)
    assert attributes["steps"] == 10 and attributes["steps"].dtype.str == "<i8"
    assert attributes["tolerance"] == 0.01 and attributes["tolerance"].dtype.str == "<f8"
    assert attributes["layers"].dtype.str == "<i8" and attributes["layers"].tolist() == [0, 1, 2]
    assert attributes["weights"].dtype.str == "<f8" and attributes["weights"].tolist() == [0.5, 0.25]
    assert attributes["rules"].tolist() == ["norm", "Müller–λ", ""]
    assert attributes["none"].shape == (0,)


def test_groups_have_attributes(results):
    assert results.attrs["of the root"] == 1
    assert dict(results["/circuit"].attrs) == {"ranking": "abs", "cpr": 0.75}
    assert results["/provenance"].attrs["host"] == "Tuesday, 10 °C"


def test_large_arrays_are_filtered_and_small_ones_are_not(results):
    large, small = results["/attribution/large"], results["/attribution/scores"]
    assert (large.chunks, large.compression, large.compression_opts) == ((3, 200, 300), "gzip", 4)
    assert large.shuffle and large.fletcher32
    assert (small.chunks, small.compression) == (None, None)


def test_equal_contents_give_equal_bytes(path, tmp_path):
    time.sleep(1.1)
    environment = dict(os.environ, MALLOC_PERTURB_="165")  # unset memory in the file would show
    again = tmp_path / "again.h5"
    subprocess.run([DRIVER, "write", again, "Tuesday, 10 °C"], check=True, env=environment, timeout=60)
    assert sha256(path) == sha256(again)


def test_provenance_touches_no_other_dataset(path, tmp_path):
    other = tmp_path / "other.h5"
    drive("write", other, "another host, and a much longer note " * 40)
    assert sha256(path) != sha256(other)

    def digests(name):
        with h5py.File(name, "r") as file:
            return {
                key: hashlib.sha256(dataset[()].tobytes()).hexdigest()
                for key, dataset in datasets(file).items()
                if not key.startswith("/provenance/note")
            }

    assert len(digests(path)) > 15
    assert digests(path) == digests(other)


def test_reading_and_writing_again_changes_nothing_h5py_sees(path, tmp_path):
    copy = tmp_path / "copy.h5"
    drive("copy", path, copy)

    def visible(name):
        with h5py.File(name, "r") as file:
            items = {}
            file.visititems(lambda key, item: items.update({key: item}))
            hidden = ("REFERENCE_LIST", "DIMENSION_LIST")  # addresses within the file
            return {
                key: (
                    getattr(item, "dtype", None),
                    item[()].tobytes() if isinstance(item, h5py.Dataset) else None,
                    {k: np.asarray(v).tolist() for k, v in item.attrs.items() if k not in hidden},
                )
                for key, item in items.items()
            }

    assert visible(path) == visible(copy)


def test_files_of_other_makers_are_refused(path, tmp_path):
    foreign = tmp_path / "foreign.h5"
    with h5py.File(foreign, "w") as file:
        file["x"] = np.arange(3)
    assert "not a results file" in drive("copy", foreign, tmp_path / "out.h5", expected_code=2)
    changed = tmp_path / "changed.h5"
    changed.write_bytes(path.read_bytes())
    with h5py.File(changed, "r+") as file:
        file["/circuit/point"][0] = 11
    assert "damaged or was changed" in drive("copy", changed, tmp_path / "out.h5", expected_code=2)
    assert not (tmp_path / "out.h5").exists()


def test_the_first_bytes_say_what_the_file_is(path):
    assert path.read_bytes().startswith(b"tributary results file, format 1")
    assert path.read_bytes()[512:520] == b"\x89HDF\r\n\x1a\n"
