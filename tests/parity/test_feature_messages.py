# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""What is said of dictionaries before anything is computed: their numbers, where they are not used as their files say,
and what cannot be used at all."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import torch
from feature_files import random_dictionary, write_plain, write_saelens
from reference.dictionaries import Dictionary
from reference.sites import SiteModel
from safetensors.torch import load_file, save_file
from workbench import Workbench

COMMANDS = ("validate", "plan", "run")
BARE = "its b_dec is not subtracted from the input"


@pytest.fixture()
def made(bench, tiny_model, tiny_pairs):
    """Makes dictionaries of the workbench's model, by hook and layer."""
    model, pairs = SiteModel(tiny_model("llama").model), tiny_pairs("llama", 2)
    bench.settings |= {"attribution": {"method": "relp"}, "nodes": ["features"]}

    def make(hook: str, layer: int, **settings: object) -> Dictionary:
        return random_dictionary(model, pairs, hook, layer, **settings)

    return make


def said(bench: Workbench, command: str, *more: str) -> subprocess.CompletedProcess:
    """A command on the settings as they are now."""
    if command == "run":
        return bench.run("--fresh", *more)
    (bench.folder / "sweep.yaml").write_text(json.dumps(bench.settings))
    words = [str(bench.binary), command, "sweep.yaml", *more]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=bench.folder, timeout=60)


def notes(bench: Workbench) -> list[str]:
    """Notes that name a dictionary, the same ones from every command."""
    found = []
    for command in COMMANDS:
        done = said(bench, command)
        assert done.returncode == 0, done.stderr
        lines = re.findall(r"^.*note: (.*)$", done.stdout + done.stderr, re.MULTILINE)
        found.append([line for line in lines if "saes/" in line])
    assert found[0] == found[1] == found[2]
    return found[0]


def refused(bench: Workbench, *more: str) -> str:
    """Exit 2 from every command, with the same message; without line breaks."""
    texts = []
    for command in COMMANDS:
        done = said(bench, command, *more)
        assert done.returncode == 2, f"{command}\n{done.stdout}\n{done.stderr}"
        texts.append(re.sub(r"\s+", " ", done.stderr))
    return texts[0]


def relative(bench: Workbench, name: str) -> Path:
    """A place of a dictionary beside the sweep file."""
    return bench.folder / "saes" / name


def test_list_and_file_disagree(bench, made):
    """What the file says, and what is used; nothing where they agree, or where the file says nothing."""
    write_saelens(relative(bench, "one"), made("resid_post", 1))
    hook = "'blocks.1.hook_resid_post'"
    for item, told in (
        ({"hook": "resid_post", "layer": 1}, None),
        ({}, None),
        ({"hook": "resid_pre", "layer": 2}, f"{hook}, layer 1, and features says hook: resid_pre, layer: 2"),
        ({"layer": 0}, "layer 1, and features says layer: 0"),
        ({"hook": "mlp_out"}, f"{hook}, and features says hook: mlp_out"),
    ):
        bench.settings["features"] = [{"path": "saes/one"} | item]
        found = notes(bench)
        assert len(found) == (told is not None), found
        assert told is None or found[0].endswith(f"saes/one says that it reads at {told}: the latter is used")


def test_many_disagreements_are_shortened(bench, made):
    """One for every layer would hide the rest."""
    for layer in range(3):
        write_saelens(relative(bench, f"sae_{layer}"), made("resid_post", layer))
    hooks = ("resid_pre", "mlp_out")
    bench.settings["features"] = [{"path": f"saes/sae_{i}", "hook": hook} for hook in hooks for i in range(3)]
    done = said(bench, "validate")
    assert done.stdout.count("the latter is used") == 4 and "note: 2 more such notes" in done.stdout


def test_a_bare_file_says_nothing_of_b_dec(bench, made):
    """A note where that makes a difference: its b_dec is not zero, and belongs to what is read."""
    one = made("resid_post", 1)
    path = write_plain(relative(bench, "bare.safetensors"), one)
    tensors = load_file(path)
    bench.settings["features"] = [{"path": "saes/bare.safetensors", "hook": "resid_post", "layer": 1}]
    assert notes(bench) == []
    save_file(tensors, path)
    (note,) = notes(bench)
    assert f"saes/bare.safetensors: {BARE}" in note and "apply_b_dec_to_input: true or false" in note
    bench.settings["features"][0]["hook"] = "mlp_in"  # a transcoder writes elsewhere
    assert notes(bench) == []
    bench.settings["features"][0]["hook"] = "resid_post"
    save_file(tensors | {"b_dec": torch.zeros_like(tensors["b_dec"])}, path)
    assert notes(bench) == []
    save_file(tensors, path, {"apply_b_dec_to_input": "true"})
    assert notes(bench) == []


def test_places_that_cannot_be_used(bench, made):
    """A hook that is none of ours is no reason to advise another one; where none is said, one has to be given."""
    folder = write_saelens(
        relative(bench, "one"), made("resid_post", 1), metadata={"hook_name": "blocks.1.attn.hook_q"}
    )
    bench.settings["features"] = [{"path": "saes/one"}]
    text = refused(bench)
    assert "reads at 'blocks.1.attn.hook_q', and a dictionary of that place cannot be used here" in text
    assert "hook_resid_pre, hook_resid_mid, hook_mlp_in, hook_resid_post, hook_mlp_out, attn.hook_z" in text
    assert "give hook:" not in text
    config = json.loads((folder / "cfg.json").read_text())
    del config["metadata"]
    (folder / "cfg.json").write_text(json.dumps(config))
    assert "does not say where it reads; give hook: resid_pre, " in refused(bench)


def test_dictionaries_are_named_by_their_numbers(bench, made):
    """By the layer that they read, those of one layer as they are listed; `plan` has no number of features yet."""
    stored = [
        ("b", made("resid_post", 2, activation="topk")),
        ("c", made("mlp_out", 1, activation="jumprelu")),
        ("a", made("mlp_in_normed", 1, kind="transcoder", features=24)),
    ]
    for name, one in stored:
        write_saelens(relative(bench, name), one)
    bench.settings["features"] = [{"path": f"saes/{name}"} for name, _ in stored]
    lines = [
        "dictionary 0: mlp_out 1 c, 40 features, jumprelu",
        "dictionary 1: mlp_in_normed 1 a, 24 features, relu",
        "dictionary 2: resid_post 2 b, 40 features, topk 4",
    ]
    for command in ("validate", "plan"):
        found = re.findall(r"^ *(dictionary .*)$", said(bench, command).stdout, re.MULTILINE)
        assert found == lines, command
    table = said(bench, "plan").stdout.splitlines()
    errors = int(re.search(r" (\d+) \+ features +\d+ ", table[3])[1])
    assert table[2].index("nodes") + len("nodes") == table[3].index("features") + len("features")
    bench.settings["nodes"] = ["features", "neurons"]
    nodes = re.search(r" (\d+) \+ features ", said(bench, "plan").stdout)[1]
    del bench.settings["features"]
    bench.settings["nodes"] = ["neurons"]
    alone = said(bench, "plan").stdout
    assert "+ features" not in alone and f" {int(nodes) - errors} " in alone


def test_cards_are_refused_before_the_run(bench, made):
    """By validate too, which looks for none."""
    write_saelens(relative(bench, "one"), made("resid_post", 1))
    bench.settings["features"] = [{"path": "saes/one"}]
    done = said(bench, "validate", "model.device=cuda")
    assert done.returncode == 2 and "model.device: is cuda, and features are computed on the host alone" in done.stderr
    assert said(bench, "validate", "model.device=auto").returncode == 0


def test_a_sweep_over_nodes(bench, made):
    """Runs without features refuse the key, and say how a sweep gives it to the others."""
    write_saelens(relative(bench, "one"), made("resid_post", 1))
    bench.settings["features"] = [{"path": "saes/one"}]
    bench.settings["sweep"] = {"grid": {"nodes": [["heads"], ["features"]]}}
    assert "zip: {nodes: [[heads], [features]], features: [null, [{path: …}]]}" in refused(bench)
    del bench.settings["sweep"]
    del bench.settings["nodes"]
    assert "features=[]" in refused(bench, "nodes=[heads]")
    assert said(bench, "run", "nodes=[heads]", "features=[]").returncode == 0
    items = bench.settings.pop("features")
    bench.settings["sweep"] = {"zip": {"nodes": [["heads"], ["features"]], "features": [None, items]}}
    assert "2 runs, nothing wrong" in said(bench, "validate").stdout


def test_one_layer_of_a_folder_of_all(bench, made):
    """A number that would be ignored is refused."""
    folder = relative(bench, "all")
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(
        "model_kind: transcoder_set\nfeature_input_hook: mlp.hook_in\nfeature_output_hook: mlp.hook_out\n"
    )
    for layer in range(3):
        one = made("mlp_in", layer, kind="transcoder")
        names = ("W_enc", "b_enc", "W_dec", "b_dec")
        tensors = {name: getattr(one, name) for name in names} | {"W_enc": one.W_enc.T.contiguous()}
        save_file(tensors, folder / f"layer_{layer}.safetensors")
    bench.settings["features"] = [{"path": "saes/all"}]
    assert said(bench, "validate").returncode == 0
    bench.settings["features"][0]["layer"] = 1
    assert "holds 3 layers, and all of them are used; leave layer: 1 out" in refused(bench)
    bench.settings["features"][0]["path"] = "saes/all/layer_1.safetensors"
    assert notes(bench) == []


@pytest.mark.parametrize(("kind", "index"), [("mlps", 2), ("errors", 1)])
def test_steering_that_lacks_a_position(kind, index, bench, made):
    """Of a kind with one node at each place the last number is 0."""
    write_saelens(relative(bench, "one"), made("resid_post", 1))
    bench.settings |= {"features": [{"path": "saes/one"}], "steering": {"factors": [0], "nodes": [f"{kind}:0/{index}"]}}
    way = f"write {kind}:0/{index}/0 for position {index}, or {kind}:0/0 for all positions"
    assert way in refused(bench)
    bench.settings["steering"]["nodes"] = [f"{kind}:0/3/{index}"]
    assert "write " not in refused(bench).split("have index 0")[1]
    bench.settings["steering"]["nodes"] = [f"{kind}:0/{index}/0"]
    assert said(bench, "validate").returncode == 0
