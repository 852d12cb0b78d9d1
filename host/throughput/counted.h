// SPDX-License-Identifier: Apache-2.0
// The vocabulary of core/real.h for a lane that notes what is done to it: a lane program run on it tells how many operations of each kind it
// takes, and so do its later versions. What is the same for all lanes is not counted, since executors keep it outside their loops; nor is
// what leads to no result, nor the second of two equal operations: compilers leave those out. Every value is the float's, to the bit.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "fryer/core/exact_sum.h"
#include "fryer/core/real.h"
#include "host/throughput/operations.h"

namespace fryer::throughput {

using Node = std::uint32_t;  // a value of a recording

// What happened to lanes since it was made, by this thread.
class Recording {
 public:
  // skips_zeros: products with a factor of 0 are left out of sums, as networks of rectified units do.
  explicit Recording(bool skips_zeros = false);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  static Recording& current() { return *current_; }
  bool skips_zeros() const { return skips_zeros_; }
  Node input() { return add({Operation::kCount, {}, ++inputs_, true}); }
  Node constant(std::uint64_t bits) { return add({Operation::kCount, {}, bits, false}); }
  // An operation on values; detail tells apart those with the same operands.
  Node operation(Operation operation, std::initializer_list<Node> operands, std::uint64_t detail = 0);
  void result(Node node) { results_.push_back(node); }
  // Of all that results need.
  Counts counts() const;

 private:
  struct Entry {
    Operation operation;
    Node operand[3];
    std::uint64_t detail;
    bool varies;  // from lane to lane
    auto operator<=>(const Entry&) const = default;
  };
  Node add(const Entry& entry);

  static thread_local Recording* current_;
  Recording* const outer_;
  bool skips_zeros_;
  std::uint64_t inputs_ = 0;
  std::vector<Entry> entries_;
  std::map<Entry, Node> known_;
  std::vector<Node> results_;
};

struct Counted {
  float value = 0;
  Node node = 0;  // the constant 0
  Counted() = default;
  Counted(float v, Node n) : value(v), node(n) {}
  explicit Counted(float v) : value(v), node(Recording::current().constant(to_bits(v))) {}
};
struct CountedWord {
  std::uint32_t value = 0;
  Node node = 0;
  CountedWord() = default;
  CountedWord(std::uint32_t v, Node n) : value(v), node(n) {}
  explicit CountedWord(std::uint32_t v) : value(v), node(Recording::current().constant(v)) {}
};
struct CountedMask {
  bool value = false;
  Node node = 0;
};
struct CountedWide {
  std::uint64_t value;
  Node node;
};

// A value that differs from lane to lane, and one that the work is done for.
inline Counted varying(float value) { return {value, Recording::current().input()}; }
inline CountedWord varying(std::uint32_t value) { return {value, Recording::current().input()}; }
inline CountedMask varying(bool value) { return {value, Recording::current().input()}; }
template <class Value>
void result(const Value& x) {
  Recording::current().result(x.node);
}

template <class... Operands>
Node note(Operation operation, const Operands&... operands) {
  return Recording::current().operation(operation, {operands.node...});
}
template <class... Operands>
Node note_by(std::uint64_t detail, Operation operation, const Operands&... operands) {
  return Recording::current().operation(operation, {operands.node...}, detail);
}

// ---- floats. Operations of one kind on the same operands are told apart by a number.

inline Counted operator+(Counted a, Counted b) { return {a.value + b.value, note_by(1, Operation::add, a, b)}; }
inline Counted operator-(Counted a, Counted b) { return {a.value - b.value, note_by(2, Operation::add, a, b)}; }
inline Counted operator*(Counted a, Counted b) { return {a.value * b.value, note(Operation::multiply, a, b)}; }
inline Counted operator/(Counted a, Counted b) { return {a.value / b.value, note(Operation::divide, a, b)}; }
inline Counted fma(Counted a, Counted b, Counted c) {
  if (Recording::current().skips_zeros() && (a.value == 0 || b.value == 0)) return c;
  return {fryer::fma(a.value, b.value, c.value), note_by(1, Operation::fused, a, b, c)};
}
inline Counted fnma(Counted a, Counted b, Counted c) {
  return {fryer::fnma(a.value, b.value, c.value), note_by(2, Operation::fused, a, b, c)};
}
inline Counted square_root(Counted a) { return {fryer::square_root(a.value), note(Operation::square_root, a)}; }
inline Counted reciprocal(Counted d) { return {fryer::reciprocal(d.value), note(Operation::divide, d)}; }
inline Counted divide_normal(Counted a, Counted d) {
  return {fryer::divide_normal(a.value, d.value), note(Operation::divide, a, d)};
}
inline Counted absolute(Counted a) { return {fryer::absolute(a.value), note_by(1, Operation::bits, a)}; }
inline Counted exponent_of(Counted a) {  // shift, subtract, convert
  const Node shifted = note_by(2, Operation::bits, a);
  return {fryer::exponent_of(a.value), note_by(4, Operation::bits, Counted{0, note_by(3, Operation::bits, Counted{0, shifted})})};
}
inline Counted significand_of(Counted a) {
  return {fryer::significand_of(a.value), note_by(6, Operation::bits, Counted{0, note_by(5, Operation::bits, a)})};
}
inline Counted copy_sign(Counted magnitude, Counted x) {
  return {fryer::copy_sign(magnitude.value, x.value),
          note_by(8, Operation::bits, magnitude, Counted{0, note_by(7, Operation::bits, x)})};
}
inline Counted flip_sign(Counted a, Counted s) {
  return {fryer::flip_sign(a.value, s.value), note_by(9, Operation::bits, a, Counted{0, note_by(7, Operation::bits, s)})};
}
inline Counted minimum(Counted bound, Counted x) {
  return {fryer::minimum(bound.value, x.value), note_by(10, Operation::bits, bound, x)};
}
inline Counted maximum(Counted bound, Counted x) {
  return {fryer::maximum(bound.value, x.value), note_by(11, Operation::bits, bound, x)};
}
template <int bits>
Counted shift_bits_left(Counted x) {
  return {fryer::shift_bits_left<bits>(x.value), note_by(100 + bits, Operation::bits, x)};
}

// ---- masks and choices

// A choice between something and 0 is a masked form of what makes the other.
inline Node note_select(CountedMask m, Node a, Node b) {
  return Recording::current().operation(a == 0 || b == 0 ? Operation::merge : Operation::select, {m.node, a, b});
}
inline Counted select(CountedMask m, Counted a, Counted b) {
  return {m.value ? a.value : b.value, note_select(m, a.node, b.node)};
}
inline CountedWord select(CountedMask m, CountedWord a, CountedWord b) {
  return {m.value ? a.value : b.value, note_select(m, a.node, b.node)};
}
inline Counted keep_if(CountedMask m, Counted x) { return select(m, x, Counted()); }
// One comparison with `less`: its opposite.
inline CountedMask not_less(Counted a, Counted b) { return {!(a.value < b.value), note_by(1, Operation::compare, a, b)}; }
inline CountedMask less(Counted a, Counted b) { return {a.value < b.value, note_by(1, Operation::compare, a, b)}; }
inline CountedMask less(CountedWord a, CountedWord b) { return {a.value < b.value, note_by(2, Operation::compare, a, b)}; }
inline CountedMask both(CountedMask a, CountedMask b) { return {a.value && b.value, note_by(1, Operation::mask, a, b)}; }
inline CountedMask either(CountedMask a, CountedMask b) { return {a.value || b.value, note_by(2, Operation::mask, a, b)}; }
inline CountedMask same(CountedMask a, CountedMask b) { return {a.value == b.value, note_by(3, Operation::mask, a, b)}; }
inline CountedMask negate(CountedMask a) { return {!a.value, a.node}; }  // the comparison's opposite, or part of what follows
inline bool any(CountedMask a) {
  result(a);
  return a.value;
}
inline bool all(CountedMask a) { return any(a); }
inline std::uint32_t count(CountedMask a) {
  result(Counted{0, note(Operation::count_lanes, a)});
  return a.value ? 1u : 0u;
}
inline CountedMask is_finite(Counted a) { return {fryer::is_finite(a.value), note_by(3, Operation::compare, absolute(a))}; }
inline CountedMask and_at_most(CountedMask m, Counted a, Counted bound) {
  const Node compared = note_by(4, Operation::compare, a, bound);
  return {m.value && a.value <= bound.value, note(Operation::merge, m, Counted{0, compared})};
}
inline Counted merged(CountedMask m, Counted changed, Counted old) {
  return {m.value ? changed.value : old.value, note(Operation::merge, m, changed, old)};
}
inline Counted add_if(CountedMask m, Counted a, Counted b) { return merged(m, a + b, a); }
inline Counted subtract_if(CountedMask m, Counted a, Counted b) { return merged(m, a - b, a); }
inline Counted fma_if(CountedMask m, Counted a, Counted b, Counted c) { return merged(m, fma(a, b, c), c); }
inline CountedWord increment_if(CountedMask m, CountedWord n) {
  return {m.value ? n.value + 1 : n.value, note_by(1, Operation::word, m, n)};
}

// ---- words

inline CountedWord operator+(CountedWord a, CountedWord b) { return {a.value + b.value, note_by(2, Operation::word, a, b)}; }
inline CountedWord operator-(CountedWord a, CountedWord b) { return {a.value - b.value, note_by(3, Operation::word, a, b)}; }
template <int bits>
CountedWord shift_right(CountedWord w) {
  return {w.value >> bits, note_by(100 + bits, Operation::word, w)};
}
inline CountedWord multiply_low(CountedWord a, std::uint32_t b) {
  return {a.value * b, note_by(4, Operation::word, a, CountedWord(b))};
}
inline CountedWord at_most(CountedWord w, std::uint32_t bound) {
  return {fryer::at_most(w.value, bound), note_by(5, Operation::word, w, CountedWord(bound))};
}
template <class Real>
Real to_real(CountedWord w) {
  return {fryer::to_real<float>(w.value), note_by(12, Operation::bits, w)};
}
template <class Real>
Real lookup(const float* table, CountedWord index) {
  return {table[index.value], note(Operation::gather, index)};
}
inline CountedWord exclusive_or(CountedWord a, CountedWord b, CountedWord k) {
  return {a.value ^ b.value ^ k.value, note(Operation::word_mix, a, b, k)};
}
inline CountedWord exclusive_or(CountedWord a, CountedWord b, std::uint32_t k) { return exclusive_or(a, b, CountedWord(k)); }

inline CountedWide widen(CountedWord w) { return {w.value, note(Operation::widen, w)}; }
inline CountedWide multiply_wide(CountedWide a, std::uint32_t m) {
  return {fryer::multiply_wide(WideWord{a.value}, m).value, note(Operation::wide_multiply, a, CountedWord(m))};
}
inline CountedWide high_word(CountedWide p) { return {p.value >> 32, note(Operation::wide_shift, p)}; }
inline CountedWide exclusive_or(CountedWide a, CountedWide b, CountedWide k) {
  return {fryer::exclusive_or(WideWord{a.value}, WideWord{b.value}, WideWord{k.value}).value, note(Operation::wide_mix, a, b, k)};
}
inline CountedWide exclusive_or(CountedWide a, CountedWide b, std::uint32_t k) {
  return exclusive_or(a, b, CountedWide{k, Recording::current().constant(k)});
}
inline CountedWord narrow_low(CountedWide p) { return {static_cast<std::uint32_t>(p.value), note(Operation::narrow_low, p)}; }
inline CountedWord narrow_high(CountedWide p) {
  return {static_cast<std::uint32_t>(p.value >> 32), note(Operation::narrow_high, p)};
}

}  // namespace fryer::throughput

// ---- specialisations of templates of core/

namespace fryer {

template <>
struct LaneTypes<throughput::Counted> {
  using Scalar = float;
  using Word = throughput::CountedWord;
  using Mask = throughput::CountedMask;
  using Wide = throughput::CountedWide;
  static constexpr int kLanes = 8;  // more than one: counted is what vectors do
  static constexpr int kVectors = 1;
};

template <>
struct LaneNumbers<throughput::CountedWord> {
  static throughput::CountedWord from(std::uint32_t base) { return throughput::varying(base); }
};

template <>
struct FixedSum<throughput::Counted> {
  void clear() {}
  void add(throughput::Counted x, double) { result(throughput::Counted{0, note(throughput::Operation::exact_sum, x)}); }
};

template <>
struct FixedSquares<throughput::Counted> {
  void clear() {}
  void add(throughput::Counted x, double) { result(throughput::Counted{0, note(throughput::Operation::exact_square, x)}); }
};

template <>
struct LaneFixedSum<throughput::Counted> {
  throughput::Counted last;
  void clear() { last = {}; }
  void add(throughput::Counted x, double) { last = {0, note(throughput::Operation::lane_sum, x, last)}; }
  throughput::Counted mean(double) const { return {0, note(throughput::Operation::lane_mean, last)}; }
};

}  // namespace fryer
