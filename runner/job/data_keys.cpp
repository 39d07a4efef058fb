// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// What is looked at: the model, the pairs of prompts and the measure of their answers.
#include "runner/job/key_rows.h"

namespace tributary {
namespace {

std::vector<Unavailable> without_float16() {
  std::vector<Unavailable> words;
  for (const char* const name : {"float16", "fp16", "f16", "half"}) {
    words.push_back({name,
                     "float16 is not computed (its range is too small for gradients); take bfloat16, which needs "
                     "as little memory, or float32"});
  }
  return words;
}

}  // namespace

std::vector<Key> data_keys() {
  return {
      {.path = "schema",
       .kind = Kind::integer,
       .meaning = "version of this file's form; 1",
       .least = 1,
       .most = 1,
       .presence = Key::Presence::required},
      {.path = "name",
       .kind = Kind::text,
       .meaning = "name of the run: its results lie in results/<name> unless --out says otherwise",
       .effect = Effect::speed,
       .presence = Key::Presence::required},
      {.path = "model.path",
       .kind = Kind::path,
       .meaning =
           "Hugging Face checkpoint folder: config.json, safetensors, tokenizer.json; or a repository's folder in the "
           "Hub's cache (models--org--name), or its name (org/name) where that cache has it: nothing is downloaded",
       .presence = Key::Presence::required,
       .names = Key::Names::repositories},
      {.path = "model.revision",
       .kind = Kind::text,
       .meaning =
           "branch, tag or beginning of a commit of a repository in the Hub's cache; default: main, or the newest "
           "snapshot where the cache does not know it",
       // As a path it only says where the model lies: what it holds is in the identity.
       .effect = Effect::speed},
      {.path = "model.dtype",
       .kind = Kind::text,
       .fallback = "float32",
       .meaning =
           "number type of the network; scores are float32 and folds float64 in any case; auto: bfloat16 where the "
           "model is stored so, it fits and every device has instructions for it, else float32 (results say which)",
       .choices = {"auto", "float64", "float32", "bfloat16"},
       .synonyms = {{"fp64", "float64"},
                    {"f64", "float64"},
                    {"double", "float64"},
                    {"fp32", "float32"},
                    {"f32", "float32"},
                    {"float", "float32"},
                    {"single", "float32"},
                    {"bf16", "bfloat16"}},
       .unavailable = without_float16()},
      {.path = "model.device",
       .kind = Kind::text,
       .fallback = "auto",
       .meaning = "where the network runs, chosen per rank; auto: a card where there is one",
       .choices = {"auto", "cpu", "cuda"},
       .effect = Effect::speed},
      {.path = "pairs.file",
       .kind = Kind::path,
       .meaning =
           "prompt pairs, one JSON object a line, split into training and test pairs by prompt pair with pairs.seed"},
      {.path = "pairs.train_file",
       .kind = Kind::path,
       .meaning = "training pairs, in file order (instead of pairs.file)"},
      {.path = "pairs.test_file",
       .kind = Kind::path,
       .meaning = "held-out pairs, in file order",
       .effect = Effect::evaluation},
      {.path = "pairs.train",
       .kind = Kind::integer,
       .meaning = "at most this many training pairs; default: all",
       .least = 1},
      {.path = "pairs.test",
       .kind = Kind::integer,
       .meaning = "at most this many held-out pairs; default: all; 0: no circuit is evaluated",
       .least = 0,
       .effect = Effect::evaluation},
      {.path = "pairs.seed",
       .kind = Kind::integer,
       .fallback = "0",
       .meaning = "seed of the shuffle that splits pairs.file (with pairs.length: first it decides the length, too)",
       .least = 0},
      {.path = "pairs.unfit",
       .kind = Kind::text,
       .fallback = "refuse",
       .meaning = "pairs that cannot be used: refuse (listing every reason) or skip (and count)",
       .choices = {"refuse", "skip"}},
      {.path = "pairs.answer",
       .kind = Kind::text,
       .fallback = "whole",
       .meaning =
           "what of an answer is compared: whole (answers of several tokens are unfit), or its first-token (pairs "
           "whose answers begin with the same one are unfit), both as the prompt goes on; alone: the first token of "
           "the answer's text by itself, also where a tokenizer joins it to the prompt's end",
       .choices = {"whole", "first-token", "alone"}},
      {.path = "pairs.bos",
       .kind = Kind::text,
       .implied = "file",
       .meaning = "what stands before every prompt: what tokenizer.json puts there (file), the folder's bos_token too "
                  "(add), or nothing (omit)",
       .choices = {"file", "add", "omit"}},
      {.path = "pairs.correct_only",
       .kind = Kind::boolean,
       .fallback = "false",
       .meaning =
           "of the pairs chosen so far, keep those whose own answers the model gives on both prompts; the others "
           "are counted as skipped"},
      {.path = "pairs.overlap",
       .kind = Kind::text,
       .fallback = "refuse",
       .meaning = "test pairs whose prompts are training prompts",
       .choices = {"refuse", "allow"}},
      {.path = "pairs.positions_names",
       .kind = Kind::texts,
       .meaning =
           "with positions: keep, names for the positions of the prompts, one each; default: the token that all clean "
           "prompts have there",
       .effect = Effect::evaluation},
      {.path = "pairs.length",
       .kind = Kind::integer,
       .fallback = "first",
       .meaning = "token length of the prompts with positions: keep; first: that of the first fitting pair of "
                  "train_file, or, with "
                  "pairs.file, of the first one after the shuffle by pairs.seed, which so decides what is analysed",
       .choices = {"first"},
       .least = 1},
      {.path = "metric",
       .kind = Kind::text,
       .fallback = "logit-difference",
       .meaning =
           "m, on the logits of the last position: logit(clean_answer) − logit(patch_answer), logit(clean_answer), or "
           "the sum of the metric_top best of the clean run",
       .choices = {"logit-difference", "logit", "sum-of-logits"}},
      {.path = "metric_top",
       .kind = Kind::integer,
       .fallback = "5",
       .meaning = "how many logits metric: sum-of-logits adds",
       .least = 1,
       .most = 1000},
  };
}

}  // namespace tributary
