// SPDX-License-Identifier: Apache-2.0
// The CPU executor for Q networks: the reference as it stands for FRYER_EXECUTOR=scalar, else host/q_network_lanes.h with the usual
// widths as constants. Compiled once per instruction set, apart from the other executors, so that none changes what the
// compiler makes of another.
#include "host/q_network_executor.h"

#if !FRYER_SCALAR_EXECUTOR
#include "host/q_network_lanes.h"
#endif

namespace fryer::FRYER_EXECUTOR {
namespace {

using Rules = QUpdateRules<float>;

#if FRYER_SCALAR_EXECUTOR

// A learner's memory: its four arrays, the gradient, and the batch in its order.
struct Memory {
  float* part[5];
  Transition* batch;
  Memory(const Rules& rules, void* raw) : batch(static_cast<Transition*>(raw)) {
    float* const first = reinterpret_cast<float*>(batch + kMostBatch);
    for (int i = 0; i < 5; ++i) part[i] = first + i * rules.shape.parameters();
  }
  QLearner<float> learner() const { return {part[0], part[1], part[2], part[3]}; }
};

std::uint64_t bytes(const Rules& rules) {
  return kMostBatch * sizeof(Transition) + 5 * static_cast<std::uint64_t>(rules.shape.parameters()) * sizeof(float);
}

void copy(const float* from, float* to, int n) {
  if (to == nullptr) return;
  for (int i = 0; i < n; ++i) to[i] = from != nullptr ? from[i] : 0.0f;
}

void load_learner(const Rules& rules, void* raw, const QLearner<const float>& from) {
  const Memory memory(rules, raw);
  const float* const arrays[4] = {from.weight, from.target, from.m, from.v};
  for (int i = 0; i < 4; ++i) copy(arrays[i], memory.part[i], rules.shape.parameters());
}

void save_learner(const Rules& rules, void* raw, const QLearner<float>& to) {
  const Memory memory(rules, raw);
  float* const arrays[4] = {to.weight, to.target, to.m, to.v};
  for (int i = 0; i < 4; ++i) copy(memory.part[i], arrays[i], rules.shape.parameters());
}

void values(const Rules& rules, void* raw, const float* observations, std::uint32_t count, float* out) {
  const Memory memory(rules, raw);
  QActivations<float> a;
  for (std::uint32_t n = 0; n < count; ++n) {
    float observation[QNetworkShape::kInputs];
    for (int i = 0; i < QNetworkShape::kInputs; ++i)
      observation[i] = observations[n * QNetworkShape::kInputs + static_cast<std::uint32_t>(i)];
    q_forward(rules.shape, memory.part[0], observation, a);
    out[2 * n] = a.value[0];
    out[2 * n + 1] = a.value[1];
  }
}

QUpdateResult<float> update(const Rules& rules, void* raw, const Transition* slots, const std::uint32_t* index,
                            const QStep<float>& step) {
  const Memory memory(rules, raw);
  for (std::uint32_t n = 0; n < rules.batch; ++n) memory.batch[n] = slots[index[n]];
  return q_update(rules, memory.batch, step, memory.learner(), memory.part[4]);
}

void online_values(const Rules& rules, void* const* raw, const float* observations, std::uint32_t replicas, float* out) {
  for (std::uint32_t r = 0; r < replicas; ++r) {
    values(rules, raw[r], observations + r * QNetworkShape::kInputs, 1, out + r * QNetworkShape::kActions);
  }
}

void online_update(const Rules& rules, void* const* raw, const Transition* transitions, const QStep<float>* steps,
                   std::uint32_t replicas, QUpdateResult<float>* results) {
  constexpr std::uint32_t first = 0;
  for (std::uint32_t r = 0; r < replicas; ++r) results[r] = update(rules, raw[r], transitions + r, &first, steps[r]);
}

#else

std::uint64_t bytes(const Rules& rules) { return QMemory::bytes(AnyLayout(rules.shape)); }

void load_array(const Rules& rules, bool middle_in_out, const float* from, float* to) {
  const int size = AnyLayout(rules.shape).size();
  for (int i = 0; i < size; ++i) to[i] = 0;
  if (from == nullptr) return;
  for_each_parameter(rules.shape, middle_in_out, [&](int i, int at) FRYER_INLINE_LAMBDA { to[at] = from[i]; });
}

void save_array(const Rules& rules, bool middle_in_out, const float* from, float* to) {
  if (to == nullptr) return;
  for_each_parameter(rules.shape, middle_in_out, [&](int i, int at) FRYER_INLINE_LAMBDA { to[i] = from[at]; });
}

void load_learner(const Rules& rules, void* raw, const QLearner<const float>& from) {
  const AnyLayout layout(rules.shape);
  const QMemory memory(layout, raw);
  load_array(rules, false, from.weight, memory.weight);
  load_array(rules, true, from.target, memory.target);
  load_array(rules, false, from.m, memory.m);
  load_array(rules, false, from.v, memory.v);
  Vector unused(0.0f);
  exchange_middle(rules, layout, memory, false, unused);
  memory.fixed->updates = 0;
  for (int k = 0; k < QNetworkShape::kMostUnits; ++k) memory.fixed->order[k] = static_cast<std::uint8_t>(k);
}

void save_learner(const Rules& rules, void* raw, const QLearner<float>& to) {
  const QMemory memory(AnyLayout(rules.shape), raw);
  save_array(rules, false, memory.weight, to.weight);
  save_array(rules, true, memory.target, to.target);
  save_array(rules, false, memory.m, to.m);
  save_array(rules, false, memory.v, to.v);
}

// Calls body(layout) with constant widths where the network has the usual ones.
template <int kUsual, class Body>
FRYER_LANE void with_layout(const QNetworkShape& shape, Body body) {
  if (padded(shape.hidden1) == kUsual && padded(shape.hidden2) == kUsual) {
    body(QLayout<kUsual, kUsual>(shape));
  } else {
    body(AnyLayout(shape));
  }
}

void values(const Rules& rules, void* raw, const float* observations, std::uint32_t count, float* out) {
  with_layout<64>(rules.shape, [&](const auto& layout) FRYER_INLINE_LAMBDA {
    for (std::uint32_t n = 0; n < count; ++n) {
      values_online<1>(layout, &raw, observations + n * QNetworkShape::kInputs, out + n * QNetworkShape::kActions);
    }
  });
}

QUpdateResult<float> update(const Rules& rules, void* raw, const Transition* slots, const std::uint32_t* index,
                            const QStep<float>& step) {
  QUpdateResult<float> result;
  with_layout<64>(rules.shape,
                  [&](const auto& layout) FRYER_INLINE_LAMBDA { result = update_batch(rules, layout, raw, slots, index, step); });
  return result;
}

// Replicas in pairs: the chains of one fill the gaps of the other's.
void online_values(const Rules& rules, void* const* raw, const float* observations, std::uint32_t replicas, float* out) {
  with_layout<32>(rules.shape, [&](const auto& layout) FRYER_INLINE_LAMBDA {
    std::uint32_t r = 0;
    for (; r + 2 <= replicas; r += 2) {
      values_online<2>(layout, raw + r, observations + r * QNetworkShape::kInputs, out + r * QNetworkShape::kActions);
    }
    if (r < replicas) {
      values_online<1>(layout, raw + r, observations + r * QNetworkShape::kInputs, out + r * QNetworkShape::kActions);
    }
  });
}

template <bool kResidual>
FRYER_LANE void online_updates(const Rules& rules, void* const* raw, const Transition* transitions, const QStep<float>* steps,
                               std::uint32_t replicas, QUpdateResult<float>* results) {
  with_layout<32>(rules.shape, [&](const auto& layout) FRYER_INLINE_LAMBDA {
    std::uint32_t r = 0;
    for (; r + 2 <= replicas; r += 2) {
      update_online<2, kResidual>(rules, layout, raw + r, transitions + r, steps + r, results + r);
    }
    if (r < replicas) update_online<1, kResidual>(rules, layout, raw + r, transitions + r, steps + r, results + r);
  });
}

void online_update(const Rules& rules, void* const* raw, const Transition* transitions, const QStep<float>* steps,
                   std::uint32_t replicas, QUpdateResult<float>* results) {
  if (rules.learning.bootstrap == Bootstrap::residual) {
    online_updates<true>(rules, raw, transitions, steps, replicas, results);
  } else {
    online_updates<false>(rules, raw, transitions, steps, replicas, results);
  }
}

#endif

#if FRYER_SCALAR_EXECUTOR
using SampleReal = float;
#else
using SampleReal = VReal<2>;  // 128 candidates: the usual batch in one go, but for doubles
#endif
bool sample(const UniformKey& key, std::uint64_t update_number, std::uint64_t size, std::uint32_t batch, std::uint32_t* index) {
  return sample_replay<SampleReal>(key, update_number, size, batch, index);
}

}  // namespace

// Initialised by the compiler: nothing compiled for an instruction set may run before the program has asked for it.
constinit const QNetworkFunctions kQNetworkFunctions = {bytes,  load_learner, save_learner,  values,
                                                        update, sample,       online_values, online_update};

}  // namespace fryer::FRYER_EXECUTOR
