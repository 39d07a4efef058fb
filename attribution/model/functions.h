// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
//
// The parts of a block between its matrix products, each with its hand-written backward pass: the places where a
// replacement rule may act. The forward value is computed by the same code with and without a rule, so that
// logits(M_repl) == logits(M) holds bit for bit. On the CPU each is one pass over memory (detail/cpu_kernels.h); on
// other devices LibTorch's operations.
//
// The residual stream and its gradient are in `stream` dtype (float32, or float64 for a float64 network), what matrix
// products read is in the network's dtype. Rows are independent of each other, bit for bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "attribution/model/architecture.h"

namespace tributary {

/// Whether the backward pass is the true derivative or the rule's.
enum class Derivative { plain, replaced };

/// RMSNorm or LayerNorm over the last dimension; of kind none rows stay as they are, and mean_rstd is not written.
struct Norm {
  at::Tensor weight;  //!< [d_model]
  at::Tensor bias;    //!< [d_model] or undefined
  NormKind kind = NormKind::rms;
  double epsilon = 1e-5;
  double gain_offset = 0;  //!< rows are multiplied by gain_offset + weight
};

/// The norm that a block's spec describes, with its weights; of kind none they are undefined.
inline Norm norm_of(const NormSpec& spec, const at::Tensor& weight, const at::Tensor& bias = {}) {
  return {weight, bias, spec.kind, spec.epsilon, spec.gain_offset};
}

/// normalised [rows, d_model], network dtype; mean_rstd [rows, 2]: mean (0 for RMSNorm) and 1 / sigma, stream dtype.
/// Both are written in place.
void normalise(const at::Tensor& stream, const Norm& norm, at::Tensor normalised, at::Tensor mean_rstd);

/// stream = base + addend first (addend in network dtype). Undefined `normalised`: the sum alone.
void add_normalise(const at::Tensor& base, const at::Tensor& addend, at::Tensor stream, const Norm& norm,
                   at::Tensor normalised, at::Tensor mean_rstd);

/// stream_gradient += gradient through the norm; `copy`, where defined, becomes stream_gradient in network dtype.
/// replaced (rule `norm`): the denominator is a constant; LayerNorm's centring still differentiates.
void normalise_backward(const at::Tensor& gradient, const at::Tensor& stream, const at::Tensor& mean_rstd,
                        const Norm& norm, Derivative derivative, at::Tensor stream_gradient, at::Tensor copy);

/// What an MLP makes of its pre_activations rows: a = act(z) * u from [rows, 2 * neurons] (z and u side by side), or
/// act(z) from [rows, neurons].
struct Gate {
  MlpKind kind = MlpKind::gated;
  Activation activation = Activation::silu;
  std::int64_t neurons = 0;
};

/// a [rows, neurons], written in place.
void gate(const at::Tensor& pre_activations, const Gate& form, at::Tensor a);

/// pre_activations_gradient (may be `pre_activations` itself) from gradient dm/da [rows, neurons]; and a again where it
/// is defined. activation replaced: the coefficient act(z)/z is a constant, sigma(z) for SiLU, Phi(z) for GELU, (1 +
/// tanh)/2 for tanh-GELU, [z > 0] for ReLU. half replaced: each factor receives half of the gradient.
void gate_backward(const at::Tensor& gradient, const at::Tensor& pre_activations, const Gate& form,
                   Derivative activation, Derivative half, at::Tensor pre_activations_gradient, at::Tensor a);

/// Rotary embedding in place on x [rows, heads * d_head]; row r is at position first + r % positions.
/// cosine, sine [position, dims], stream dtype: the first dims of each head turn, i with i + dims / 2, and the others
/// stay. inverse: for gradients, the transposed.
struct Rotation {
  at::Tensor cosine, sine;
  std::int64_t d_head = 0;
  std::int64_t first = 0, positions = 0;
};
enum class RotationSense { forward, inverse };
void rotate(at::Tensor x, const Rotation& rotation, RotationSense turn);

/// Causal attention of sequences that may share a prefix: sequence s computes keys and values at its last `suffix`
/// positions and queries at its last `queries` of them; earlier keys and values come from row pair[s] of the prefix.
struct Attention {
  std::int64_t sequences = 0, queries = 0, suffix = 0, prefix_length = 0;
  std::int64_t tokens = 0;  //!< of the prompt, where these positions are its first: its length fixes how sums are made
  std::int64_t heads = 0, kv_heads = 0, d_head = 0;
  std::int64_t window = 0;              //!< positions a query sees, itself included; 0: all
  double scale = 1;                     //!< of the product of a query and a key
  double softcap = 0;                   //!< c: scaled scores s become c · tanh(s / c); 0: they stay
  at::Tensor query;                     //!< [sequence * queries, heads * d_head], a view with any row stride
  at::Tensor key, value;                //!< [sequence * suffix, kv_heads * d_head]
  at::Tensor prefix_key, prefix_value;  //!< [pair * prefix_length, kv_heads * d_head]; undefined without a prefix
  at::Tensor pair;                      //!< [sequence] int64; undefined without a prefix
};

/// Whether prompts of so many tokens are attended to in blocks of queries, as matrix products; shorter ones query by
/// query. Sums have other last digits then. On the CPU.
bool attends_in_blocks(std::int64_t tokens);

/// z [sequence * queries, heads * d_head], written in place.
void attend(const Attention& attention, at::Tensor z);

/// Which derivatives of an attention are the rules'.
struct AttentionDerivatives {
  Derivative pattern = Derivative::plain;  //!< replaced (rule `attention`): the pattern is a constant
  Derivative softcap = Derivative::plain;  //!< replaced (rule `softcap`): c · tanh(s / c) / s is a constant
};

/// Gradients of query, key and value, written in place.
void attend_backward(const Attention& attention, const at::Tensor& gradient, AttentionDerivatives derivatives,
                     at::Tensor query_gradient, at::Tensor key_gradient, at::Tensor value_gradient);

/// Which neurons of each sequence keep their a, the others taking their ablation value: those with rank < kept, or
/// (complement) those with rank >= kept.
struct Ablate {
  at::Tensor ranks;       //!< [ranking, pos or 1, neuron] int32, of one layer; 0: the first in the ranking
  at::Tensor values;      //!< [pair or 1, pos, neuron], network dtype
  at::Tensor ranking;     //!< [sequence] int64: which row of `ranks`
  at::Tensor pair;        //!< [sequence] int64: which row of `values`
  at::Tensor kept;        //!< [sequence] int32
  at::Tensor complement;  //!< [sequence] bool
};
/// a [sequence, pos, neuron], changed in place; pos may be the last ones only.
void ablate(at::Tensor a, const Ablate& what);

/// LibTorch's operations alone, whatever the device: what other devices run, and what tests hold the loops against.
namespace generic {
/// cap · tanh(z / cap), and what its gradient is multiplied with on the way back; replaced (rule `softcap`): the
/// coefficient cap · tanh(z / cap) / z, 1 at 0.
at::Tensor softcap(const at::Tensor& z, double cap);
at::Tensor softcap_factor(const at::Tensor& z, double cap, Derivative derivative);
void normalise(const at::Tensor& stream, const Norm& norm, at::Tensor normalised, at::Tensor mean_rstd);
void normalise_backward(const at::Tensor& gradient, const at::Tensor& stream, const at::Tensor& mean_rstd,
                        const Norm& norm, Derivative derivative, at::Tensor stream_gradient, at::Tensor copy);
void gate(const at::Tensor& pre_activations, const Gate& form, at::Tensor a);
void gate_backward(const at::Tensor& gradient, const at::Tensor& pre_activations, const Gate& form,
                   Derivative activation, Derivative half, at::Tensor pre_activations_gradient, at::Tensor a);
void rotate(at::Tensor x, const Rotation& rotation, RotationSense turn);
void attend(const Attention& attention, at::Tensor z);
void attend_backward(const Attention& attention, const at::Tensor& gradient, AttentionDerivatives derivatives,
                     at::Tensor query_gradient, at::Tensor key_gradient, at::Tensor value_gradient);
void ablate(at::Tensor a, const Ablate& what);
}  // namespace generic

}  // namespace tributary
