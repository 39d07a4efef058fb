// Copyright 2026 the tributary developers
// SPDX-License-Identifier: Apache-2.0
#include "attribution/model/functions.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <optional>

#include "common/errors.h"

namespace tributary {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

at::ScalarType statistics_type(at::ScalarType type) { return type == at::kDouble ? at::kDouble : at::kFloat; }

struct Normalise : torch::autograd::Function<Normalise> {
  static Variable forward(AutogradContext* context, const Variable& x, const Variable& weight,
                          const std::optional<at::Tensor>& bias, NormKind kind, double epsilon, Derivative derivative) {
    const at::Tensor wide = x.to(statistics_type(x.scalar_type()));
    const at::Tensor centred = kind == NormKind::layer ? wide - wide.mean(-1, true) : wide;
    const at::Tensor inverse = (centred.square().mean(-1, true) + epsilon).rsqrt_();  // [rows, 1]
    const at::Tensor unit = centred * inverse;                                        // [rows, d_model]
    context->save_for_backward({unit, inverse, weight});
    context->saved_data["kind"] = static_cast<std::int64_t>(kind);
    context->saved_data["derivative"] = static_cast<std::int64_t>(derivative);
    at::Tensor y = unit.to(x.scalar_type()) * weight;
    if (bias) y.add_(*bias);
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list output_gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &unit = saved[0], &inverse = saved[1], &weight = saved[2];
    const auto kind = static_cast<NormKind>(context->saved_data["kind"].toInt());
    const auto derivative = static_cast<Derivative>(context->saved_data["derivative"].toInt());
    const at::Tensor& incoming = output_gradients[0];

    at::Tensor g = (incoming * weight).to(unit.scalar_type());  // [rows, d_model]
    if (derivative == Derivative::plain) g = g - unit * (g * unit).mean(-1, true);
    if (kind == NormKind::layer) g = g - g.mean(-1, true);
    return {(g * inverse).to(incoming.scalar_type()), {}, {}, {}, {}, {}};
  }
};

at::Tensor act(const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return at::silu(z);
    case Activation::gelu_erf:
      return at::gelu(z, "none");
    case Activation::gelu_tanh:
      return at::gelu(z, "tanh");
    case Activation::relu:
      return at::relu(z);
  }
  throw ContractViolation("an activation outside the enumeration");
}

/// act'(z) * g
at::Tensor act_backward(const at::Tensor& g, const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return at::silu_backward(g, z);
    case Activation::gelu_erf:
      return at::gelu_backward(g, z, "none");
    case Activation::gelu_tanh:
      return at::gelu_backward(g, z, "tanh");
    case Activation::relu:
      return at::threshold_backward(g, z, 0);
  }
  throw ContractViolation("an activation outside the enumeration");
}

/// act(z) / z without a division.
at::Tensor coefficient(const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return at::sigmoid(z);
    case Activation::gelu_erf:
      return (at::erf(z * M_SQRT1_2) + 1) * 0.5;
    case Activation::gelu_tanh:
      return (at::tanh((z + z * z * z * 0.044715) * (M_SQRT2 * M_2_SQRTPI * 0.5)) + 1) * 0.5;
    case Activation::relu:
      return at::gt(z, 0).to(z.scalar_type());
  }
  throw ContractViolation("an activation outside the enumeration");
}

struct Activate : torch::autograd::Function<Activate> {
  static Variable forward(AutogradContext* context, const Variable& z, Activation activation, Derivative derivative) {
    context->save_for_backward({z});
    context->saved_data["activation"] = static_cast<std::int64_t>(activation);
    context->saved_data["derivative"] = static_cast<std::int64_t>(derivative);
    return act(z, activation);
  }

  static variable_list backward(AutogradContext* context, variable_list output_gradients) {
    const at::Tensor z = context->get_saved_variables()[0];
    const auto activation = static_cast<Activation>(context->saved_data["activation"].toInt());
    const auto derivative = static_cast<Derivative>(context->saved_data["derivative"].toInt());
    const at::Tensor& g = output_gradients[0];
    return {derivative == Derivative::plain ? act_backward(g, z, activation) : g * coefficient(z, activation), {}, {}};
  }
};

struct Gate : torch::autograd::Function<Gate> {
  static Variable forward(AutogradContext* context, const Variable& s, const Variable& u, Derivative derivative) {
    context->save_for_backward({s, u});
    context->saved_data["share"] = derivative == Derivative::replaced ? 0.5 : 1.0;
    return s * u;
  }

  static variable_list backward(AutogradContext* context, variable_list output_gradients) {
    const variable_list saved = context->get_saved_variables();
    const double share = context->saved_data["share"].toDouble();
    const at::Tensor g = share == 1.0 ? output_gradients[0] : output_gradients[0] * share;
    return {g * saved[1], g * saved[0], {}};
  }
};

}  // namespace

at::Tensor normalise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, NormKind kind,
                     double epsilon, Derivative derivative) {
  return Normalise::apply(x, weight, bias.defined() ? std::optional(bias) : std::nullopt, kind, epsilon, derivative);
}

at::Tensor activate(const at::Tensor& z, Activation activation, Derivative derivative) {
  return Activate::apply(z, activation, derivative);
}

at::Tensor gate(const at::Tensor& s, const at::Tensor& u, Derivative derivative) {
  return Gate::apply(s, u, derivative);
}

}  // namespace tributary
