# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""MIB's node level: circuits, CPR and CMD against an evaluation of its own, and the file that MIB's code reads."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from product import read_results
from reference.double import float32_means_float64
from reference.mib import ORDER, SIZES, MibEvaluator, names_of
from reference.pairs import Pair, fitting_pairs
from reference.tapped import TappedModel
from tokenizers import Tokenizer

PAIRS = 3
MODELS = ["llama", "gpt2", "gemma3"]  # gemma3: norms behind the sub-layers, and a factor on embeddings


def metric(model: TappedModel, pairs: list[Pair], prompts: list[tuple[int, ...]]) -> np.ndarray:
    """m [pair] of whole prompts."""
    logits = model.run(ids=torch.tensor(prompts)).logits
    return np.array([(row[p.y] - row[p.y_prime]).item() for row, p in zip(logits, pairs, strict=True)])


@pytest.fixture(scope="module")
def pairs_file(tiny_folder, tiny_model, tiny_pairs, tmp_path_factory):
    """A tiny model's first pairs, answers exchanged where the clean prompt speaks against its own: so F(M) > F(∅), and
    `input`, which carries all of the difference, is at the beginning of rankings that make sense.
    """
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            pairs, model = tiny_pairs(name, PAIRS), tiny_model(name)
            clean, other = (
                metric(model, pairs, [getattr(p, key) for p in pairs]) for key in ("clean", "counterfactual")
            )
            lines = (tiny_folder(name) / "pairs.jsonl").read_text().splitlines()
            records = [json.loads(lines[pair.line - 1]) for pair in pairs]
            for record, gain in zip(records, clean - other, strict=True):
                if gain < 0:
                    record["clean_answer"], record["patch_answer"] = record["patch_answer"], record["clean_answer"]
            made[name] = tmp_path_factory.mktemp(f"pairs-{name}") / "pairs.jsonl"
            made[name].write_text("".join(json.dumps(record) + "\n" for record in records))
        return made[name]

    return of


@pytest.fixture(scope="module")
def pairs_of(tiny_folder, pairs_file):
    """These pairs as token ids."""

    def of(name: str) -> list[Pair]:
        return fitting_pairs(pairs_file(name), Tokenizer.from_file(str(tiny_folder(name) / "tokenizer.json")), PAIRS)

    return of


@pytest.fixture(scope="module")
def evaluator(tiny_model, pairs_of):
    made: dict[str, MibEvaluator] = {}

    def of(name: str) -> MibEvaluator:
        if name not in made:
            made[name] = MibEvaluator(tiny_model(name), pairs_of(name))
        return made[name]

    return of


def drawn(names: list[str], seed: int = 0) -> dict[str, float]:
    """Importances that nobody computed."""
    rng = random.Random(seed)
    return {name: rng.uniform(-1, 1) for name in names}


@pytest.mark.parametrize("name", MODELS)
def test_the_reference_at_its_ends(name, evaluator, tiny_model, pairs_of):
    """Everything kept is the clean run; nothing kept, and anything without `input`, the counterfactual one."""
    mib, model, pairs = evaluator(name), tiny_model(name), pairs_of(name)
    clean, other = (metric(model, pairs, [getattr(p, key) for p in pairs]) for key in ("clean", "counterfactual"))
    np.testing.assert_allclose(mib.metric(mib.names), clean, rtol=0, atol=1e-12)
    np.testing.assert_allclose(mib.metric([]), other, rtol=0, atol=1e-12)
    assert mib.full - mib.empty > 0.05
    for seed in range(3):
        kept = random.Random(seed).sample([n for n in mib.names if n != "input"], len(mib.names) // 2)
        np.testing.assert_allclose(mib.metric(kept), mib.metric([]), rtol=0, atol=1e-12)
        assert np.abs(mib.metric([*kept, "input"]) - mib.metric([])).max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_the_input_last(name, evaluator):
    """Faithfulness is 0 but for the whole model: CPR .25 and CMD .749, MIB's row `Random`."""
    mib = evaluator(name)
    last = drawn(mib.names) | {"input": -2.0}
    curve = mib.curve(last, absolute=False)
    assert curve.counts == [int(size * len(mib.names)) for size in SIZES]
    assert curve.counts[-1] == len(mib.names) == 1 + len(mib.mlps) * (mib.heads + 1)
    assert mib.cpr(last) == pytest.approx(0.25, abs=1e-12)
    assert mib.cmd(drawn(mib.names) | {"input": 0.0}) == pytest.approx(0.749, abs=1e-12)


def test_one_head_and_one_mlp_by_hand(evaluator, tiny_model, pairs_of):
    """In Llama's last block a patched node is a sum that can be written down."""
    mib, model, pair = evaluator("llama"), tiny_model("llama"), pairs_of("llama")[0]
    llama, layer, head = model.model.model, len(mib.mlps) - 1, 1
    block, wide = llama.layers[layer], llama.config.head_dim

    @torch.no_grad()
    def run(prompt: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        seen: list[torch.Tensor] = []
        hooks = [
            block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])),
            block.self_attn.o_proj.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])),
            block.mlp.register_forward_hook(lambda *call: seen.append(call[2])),
        ]
        model.model(input_ids=torch.tensor([prompt]), use_cache=False)
        for hook in hooks:
            hook.remove()
        return seen[0], seen[1], seen[2]

    def read(stream: torch.Tensor) -> float:
        logits = model.model.lm_head(llama.norm(stream))[0, -1]
        return (logits[pair.y] - logits[pair.y_prime]).item()

    resid, z, mlp = run(pair.clean)
    _, other_z, other_mlp = run(pair.counterfactual)
    with torch.no_grad(), float32_means_float64():
        written = read(resid + block.self_attn.o_proj(z) + other_mlp)
        mixed = z.clone()
        mixed[..., head * wide : (head + 1) * wide] = other_z[..., head * wide : (head + 1) * wide]
        middle = resid + block.self_attn.o_proj(mixed)
        headed = read(middle + block.mlp(block.post_attention_layernorm(middle)))
    without_mlp = mib.metric([n for n in mib.names if n != f"m{layer}"])[0]
    without_head = mib.metric([n for n in mib.names if n != f"a{layer}.h{head}"])[0]
    assert without_mlp == pytest.approx(written, abs=1e-12)
    assert without_head == pytest.approx(headed, abs=1e-12)
    assert len({round(value, 6) for value in (written, headed, mib.metric(mib.names)[0])}) == 3


def test_equal_importances_keep_the_order(evaluator):
    """Heads, MLPs, then the embeddings, as `nodes` has them."""
    mib = evaluator("llama")
    layers, heads = len(mib.mlps), mib.heads
    assert mib.names == [f"a{i}.h{j}" for i in range(layers) for j in range(heads)] + [
        *(f"m{i}" for i in range(layers)),
        "input",
    ]
    flat = mib.curve(dict.fromkeys(mib.names, 1.0), absolute=False)
    np.testing.assert_allclose(flat.faithfulness[:-1], 0, atol=1e-12)  # `input` comes last


def has_nodes(binary: Path) -> bool:
    """Whether this build knows nodes other than neurons."""
    done = subprocess.run([str(binary), "schema"], capture_output=True, text=True, check=True)
    return any(line.startswith("nodes:") for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def run_folder(binary, tiny_folder, pairs_file, tmp_path_factory):
    """The folder of a finished run of a tiny model."""
    if not has_nodes(binary):
        pytest.skip("this build has no key `nodes`")
    made: dict[tuple[str, str], Path] = {}

    def of(name: str, method: str) -> Path:
        if (name, method) not in made:
            model, folder = tiny_folder(name), tmp_path_factory.mktemp(f"mib-{name}-{method}")
            files = dict.fromkeys(("train_file", "test_file"), str(pairs_file(name)))
            settings = {
                "schema": 1,
                "name": "mib",
                "model": {"path": str(model), "dtype": "float64"},
                "pairs": files | {"overlap": "allow"},
                "metric": "logit-difference",
                "attribution": {"method": method},
                "nodes": list(ORDER),
                "positions": "sum",
                "circuit": {"counts": [1], "ablation": "resample"},
            }
            (folder / "sweep.yaml").write_text(json.dumps(settings))
            command = [str(binary), "run", "sweep.yaml", "--out", "out"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
            assert done.returncode == 0, done.stderr
            made[name, method] = folder / "out"
        return made[name, method]

    return of


def importances_of(results, model: TappedModel) -> dict[str, float]:
    """Scores of all kinds by MIB's names."""
    config = model.model.config.get_text_config()
    found: dict[str, float] = {}
    for kind in ORDER:
        names = names_of(kind, config.num_hidden_layers, config.num_attention_heads)
        found |= dict(zip(names, results[f"/nodes/{kind}/scores"].ravel().tolist(), strict=True))
    return found


@pytest.mark.parametrize("method", ["atp", "exact-patching"])
@pytest.mark.parametrize("name", MODELS)
def test_areas(name, method, run_folder, evaluator, tiny_model):
    """Faithfulness at every size, CPR and CMD."""
    results, mib = read_results(run_folder(name, method) / "results.h5"), evaluator(name)
    importances = importances_of(results, tiny_model(name))
    assert len(importances) == len(mib.names)
    signed, absolute = mib.curve(importances, absolute=False), mib.curve(importances, absolute=True)
    if method == "exact-patching":  # `input` has the whole effect: some circuit keeps it, and not everything
        assert ((np.abs(signed.faithfulness) > 1e-3) & (np.abs(signed.faithfulness - 1) > 1e-3)).any()
    np.testing.assert_array_equal(results["/circuit/cpr_count"], signed.counts)
    np.testing.assert_allclose(results["/circuit/cpr_value"], signed.faithfulness, rtol=0, atol=1e-6)
    np.testing.assert_allclose(results["/circuit/cmd_value"], np.abs(1 - absolute.faithfulness), rtol=0, atol=1e-6)
    circuit = results.attributes["/circuit"]
    assert circuit["cpr"] == pytest.approx(mib.cpr(importances), abs=1e-6)
    assert circuit["cmd"] == pytest.approx(mib.cmd(importances), abs=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_exported_importances(name, binary, run_folder, evaluator, tiny_model, tmp_path):
    """importances.json as Graph.from_json of MIB's code takes it: every node by name, no edges."""
    folder = run_folder(name, "atp")
    told = subprocess.run([str(binary), "export", "--help"], capture_output=True, text=True, check=True)
    if "--format" not in told.stdout:
        pytest.skip("this build's export has no --format")
    command = [str(binary), "export", str(folder), "--format", "mib", "--to", str(tmp_path / "mib")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = (tmp_path / "mib").rglob("importances.json")
    document, mib = json.loads(file.read_text()), evaluator(name)
    config = tiny_model(name).model.config.get_text_config()
    assert document["cfg"] == {
        "n_layers": len(mib.mlps),
        "n_heads": mib.heads,
        "parallel_attn_mlp": False,
        "d_model": config.hidden_size,
    }
    assert document["edges"] == {}
    nodes = dict(document["nodes"])
    assert set(nodes.pop("logits")) == {"in_graph"}  # no score: MIB's loader skips the node, and would not take one
    assert set(nodes) == set(mib.names)
    assert all(set(node) == {"in_graph", "score"} and isinstance(node["in_graph"], bool) for node in nodes.values())
    expected = importances_of(read_results(folder / "results.h5"), tiny_model(name))
    for node, importance in expected.items():
        assert nodes[node]["score"] == pytest.approx(importance, rel=1e-6), node
