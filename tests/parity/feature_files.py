# Copyright 2026 the tributary developers
# SPDX-License-Identifier: Apache-2.0
"""Random dictionaries for tiny models, about a tenth of their features on, and the files that the public tools write.

Weights are random, in float64 or rounded to float32; biases are such that each feature is on for about a tenth of the
tokens of the pairs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from reference.dictionaries import Dictionary
from reference.pairs import Pair
from reference.sites import SiteModel, site_values
from safetensors.torch import save_file
from torch import Tensor

SHARE_ON = 0.1
HOOKS = {
    "resid_pre": "hook_resid_pre",
    "resid_mid": "hook_resid_mid",
    "resid_post": "hook_resid_post",
    "mlp_out": "hook_mlp_out",
    "z": "attn.hook_z",
    "mlp_in": "mlp.hook_in",
    "mlp_written": "mlp.hook_out",
    "mlp_in_normed": "ln2.hook_normalized",
}


def random_dictionary(
    model: SiteModel, pairs: Sequence[Pair], hook: str, layer: int, features: int = 40, seed: int = 0, **settings
) -> Dictionary:
    """A dictionary that reads at a site; settings are its other fields, `skip` and `dtype` (of its weights)."""
    generator = torch.Generator().manual_seed(1000 * seed + 10 * layer + sum(map(ord, hook)) % 7)
    dtype, skip = settings.pop("dtype", torch.float64), settings.pop("skip", False)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    prompts = [prompt for pair in pairs for prompt in (pair.clean, pair.counterfactual)]
    values = site_values(model, model.embed(torch.tensor(prompts)))
    x = values[hook, layer].flatten(0, 1)  # [token, d_in]
    kind = settings.get("kind", "sae")
    d_in, d_out = x.shape[-1], values[settings.get("writes", "mlp_out") if kind != "sae" else hook, layer].shape[-1]
    outputs = (len(model.blocks) - layer, d_out) if kind == "cross_layer" else (d_out,)
    one = Dictionary(
        hook,
        layer,
        W_enc=noise(d_in, features) / d_in**0.5,
        b_enc=torch.zeros(features, dtype=torch.float64),
        W_dec=noise(features, *outputs) / d_out**0.5,
        b_dec=0.3 * noise(d_out),
        threshold=noise(features).abs() * 0.2 + 0.05 if settings.get("activation") == "jumprelu" else None,
        W_skip=0.5 * noise(d_out, d_in) / d_in**0.5 if skip else None,
        **settings,
    )
    if one.activation == "topk":
        one = replace(one, k=max(1, round(SHARE_ON * features)), b_enc=0.2 * noise(features))
    else:
        z = (x - one.b_dec if one.apply_b_dec_to_input else x) @ one.W_enc
        start = -_quiet_levels(z)
        # Behind rescaling the threshold is compared with what has been multiplied.
        one = replace(one, b_enc=start if one.threshold is None else start + one.threshold / one.norms())
    return _rounded(one, dtype)


def _quiet_levels(z: Tensor) -> Tensor:
    """Levels [feature] that few of the pre-activations [token, feature] are above, and that none is near: in the middle
    of the widest gap. Tokens that prompts share lie at the same place, but for rounding.
    """
    most = z.sort(dim=0, descending=True).values[: round(2 * SHARE_ON * len(z)) + 1]
    above = (most[:-1] - most[1:]).argmax(0, keepdim=True)
    return ((most.gather(0, above) + most.gather(0, above + 1)) / 2)[0]


def weights_of(one: Dictionary, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """The tensors of a file, by SAELens's names."""
    names = ("W_enc", "b_enc", "W_dec", "b_dec", "threshold", "W_skip")
    found = {name: getattr(one, name) for name in names}
    return {name: value.to(dtype).contiguous() for name, value in found.items() if value is not None}


def _rounded(one: Dictionary, dtype: torch.dtype) -> Dictionary:
    return replace(one, **{name: value.double() for name, value in weights_of(one, dtype).items()})


def architecture_of(one: Dictionary) -> str:
    """SAELens's name."""
    if one.kind == "sae":
        return {"relu": "standard"}.get(one.activation, one.activation)
    if one.activation == "jumprelu":
        return "jumprelu_transcoder"
    return "transcoder" if one.W_skip is None else "skip_transcoder"


def _hook_name(hook: str, layer: int) -> str:
    return f"blocks.{layer}.{HOOKS[hook]}"


def saelens_config(one: Dictionary, dtype: torch.dtype, version: int = 6) -> dict:
    """cfg.json as version 6 writes it, or an older one."""
    d_in, d_sae = one.W_enc.shape
    config: dict = {
        "architecture": architecture_of(one),
        "d_in": d_in,
        "d_sae": d_sae,
        "dtype": str(dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": one.apply_b_dec_to_input,
        "normalize_activations": "none",
    }
    names: dict = {"model_name": "tiny", "hook_name": _hook_name(one.hook, one.layer), "hook_head_index": None}
    if one.kind != "sae":
        names |= {"hook_name_out": _hook_name(one.writes, one.layer), "hook_layer_out": one.layer}
        config["d_out"] = one.W_dec.shape[-1]
    if version >= 6:
        if one.activation == "topk":
            config |= {"k": one.k, "rescale_acts_by_decoder_norm": one.rescale}
        reshape = "hook_z" if one.hook == "z" else "none"
        return config | {"reshape_activations": reshape, "metadata": names | {"sae_lens_version": "6.18.0"}}
    # There were no architectures for activations yet.
    architecture = "standard" if one.activation == "topk" else config["architecture"]
    config |= names | {"architecture": architecture, "hook_layer": one.layer, "finetuning_scaling_factor": False}
    activation = ("topk", {"k": one.k}) if one.activation == "topk" else ("relu", {})
    return config | dict(zip(("activation_fn_str", "activation_fn_kwargs"), activation, strict=True))


def write_saelens(
    folder: Path, one: Dictionary, dtype: torch.dtype = torch.float64, version: int = 6, **changes: object
) -> Path:
    """A folder with cfg.json (with changes) and sae_weights.safetensors; gives the folder."""
    folder.mkdir(parents=True)
    config = saelens_config(one, dtype, version) | changes
    (folder / "cfg.json").write_text(json.dumps(config, indent=1))
    save_file(weights_of(one, dtype), folder / "sae_weights.safetensors")
    return folder


def write_plain(file: Path, one: Dictionary, dtype: torch.dtype = torch.float64) -> Path:
    """One safetensors file; its metadata say what the tensors do not."""
    says = {"activation": one.activation, "apply_b_dec_to_input": str(one.apply_b_dec_to_input).lower()}
    if one.activation == "topk":
        says["k"] = str(one.k)
    if one.kind != "sae":
        says["hook_name"] = _hook_name(one.hook, one.layer)
        says["hook_name_out"] = _hook_name(one.writes, one.layer)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights_of(one, dtype), file, metadata=says)
    return file


def write_cross_layer(folder: Path, every: Sequence[Dictionary], dtype: torch.dtype = torch.float64) -> Path:
    """A folder of circuit-tracer with the cross-layer transcoders of all layers, in their order."""
    folder.mkdir(parents=True)
    hook = HOOKS[every[0].hook]
    says = [f'model_name: "tiny"\nmodel_kind: cross_layer_transcoder\nfeature_input_hook: "{hook}"']
    (folder / "config.yaml").write_text("\n".join([*says, 'feature_output_hook: "hook_mlp_out"', ""]))
    for layer, one in enumerate(every):
        found = weights_of(one, dtype)
        encoder = {f"W_enc_{layer}": found["W_enc"].T.contiguous()}
        encoder |= {f"{name}_{layer}": found[name] for name in ("b_enc", "b_dec", "threshold") if name in found}
        save_file(encoder, folder / f"W_enc_{layer}.safetensors")
        save_file({f"W_dec_{layer}": found["W_dec"]}, folder / f"W_dec_{layer}.safetensors")
    return folder
