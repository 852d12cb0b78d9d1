// SPDX-License-Identifier: Apache-2.0
// The vocabulary of core/real.h for bundles of SIMD vectors, on Google Highway: a VReal<G> is one value of G x kVectorLanes lanes.
// Every operation runs over all G vectors before the next one starts, so that G independent chains overlap. Included only by files
// that are compiled once per instruction set with FRYER_EXECUTOR set to its name: everything here is in fryer::<that name>, so a
// linker cannot merge AVX-512 code into code for older machines. Only instruction sets with a fused multiply-add qualify (Highway
// 1.0.3 does not fuse MulAdd below AVX2).
#pragma once

#include <hwy/highway.h>
#include <immintrin.h>

#include "fryer/core/exact_sum.h"
#include "fryer/core/real.h"

namespace fryer::FRYER_EXECUTOR {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using WordTag = hn::RebindToUnsigned<FloatTag>;
using IntTag = hn::RebindToSigned<FloatTag>;
using Word64Tag = hn::ScalableTag<std::uint64_t>;
using Int64Tag = hn::ScalableTag<std::int64_t>;
using DoubleTag = hn::ScalableTag<double>;
using HalfFloatTag = hn::Rebind<float, DoubleTag>;
using FloatVector = hn::Vec<FloatTag>;
using WordVector = hn::Vec<WordTag>;
using Int64Vector = hn::Vec<Int64Tag>;
using MaskVector = hn::Mask<FloatTag>;

// Highway silently gives fewer lanes when a -m flag of its target is missing; that would only be slow, so it is checked here.
#if defined(__AVX512F__)
inline constexpr int kVectorLanes = 16;
#else
inline constexpr int kVectorLanes = 8;
#endif
static_assert(HWY_LANES(float) == kVectorLanes, "Highway chose a narrower target than the compiler flags allow");

#define FRYER_EACH FRYER_UNROLL for (int g = 0; g < G; ++g)

template <int G>
struct VReal {
  FloatVector v[G];
  VReal() = default;
  FRYER_LANE explicit VReal(float x) { FRYER_EACH v[g] = hn::Set(FloatTag(), x); }
};
template <int G>
struct VWord {
  WordVector v[G];
  VWord() = default;
  FRYER_LANE explicit VWord(std::uint32_t x) { FRYER_EACH v[g] = hn::Set(WordTag(), x); }
};
template <int G>
struct VMask {
  MaskVector v[G];
};
// Words of even lanes and of odd lanes, each in a 64-bit slot: what the wide multiply wants.
template <int G>
struct VWide {
  WordVector even[G], odd[G];
};

#define FRYER_TEMPLATE_G \
  template <int G>       \
  FRYER_LANE
#define FRYER_OPERATION(Type, name, arguments, expression) \
  FRYER_TEMPLATE_G Type<G> name arguments {                \
    Type<G> r;                                             \
    FRYER_EACH r.v[g] = expression;                        \
    return r;                                              \
  }

FRYER_OPERATION(VReal, operator+, (VReal<G> a, VReal<G> b), hn::Add(a.v[g], b.v[g]))
FRYER_OPERATION(VReal, operator-, (VReal<G> a, VReal<G> b), hn::Sub(a.v[g], b.v[g]))
FRYER_OPERATION(VReal, operator*, (VReal<G> a, VReal<G> b), hn::Mul(a.v[g], b.v[g]))
FRYER_OPERATION(VReal, operator/, (VReal<G> a, VReal<G> b), hn::Div(a.v[g], b.v[g]))
FRYER_OPERATION(VWord, operator+, (VWord<G> a, VWord<G> b), hn::Add(a.v[g], b.v[g]))
FRYER_OPERATION(VWord, operator-, (VWord<G> a, VWord<G> b), hn::Sub(a.v[g], b.v[g]))
FRYER_OPERATION(VReal, fma, (VReal<G> a, VReal<G> b, VReal<G> c), hn::MulAdd(a.v[g], b.v[g], c.v[g]))
FRYER_OPERATION(VReal, fnma, (VReal<G> a, VReal<G> b, VReal<G> c), hn::NegMulAdd(a.v[g], b.v[g], c.v[g]))
FRYER_OPERATION(VReal, square_root, (VReal<G> a), hn::Sqrt(a.v[g]))
FRYER_OPERATION(VReal, absolute, (VReal<G> a), hn::Abs(a.v[g]))
FRYER_OPERATION(VReal, reciprocal, (VReal<G> d), hn::Div(hn::Set(FloatTag(), 1.0f), d.v[g]))
FRYER_OPERATION(VReal, divide_normal, (VReal<G> a, VReal<G> d), hn::Div(a.v[g], d.v[g]))
FRYER_OPERATION(VReal, copy_sign, (VReal<G> magnitude, VReal<G> x), hn::CopySignToAbs(magnitude.v[g], x.v[g]))
FRYER_OPERATION(VReal, flip_sign, (VReal<G> a, VReal<G> s), hn::Xor(a.v[g], hn::And(s.v[g], hn::Set(FloatTag(), -0.0f))))
FRYER_OPERATION(VReal, exponent_of, (VReal<G> x),
                hn::ConvertTo(FloatTag(), hn::Sub(hn::BitCast(IntTag(), hn::ShiftRight<23>(hn::BitCast(WordTag(), x.v[g]))),
                                                  hn::Set(IntTag(), 127))))
FRYER_OPERATION(VReal, significand_of, (VReal<G> x),
                hn::BitCast(FloatTag(), hn::Or(hn::And(hn::BitCast(WordTag(), x.v[g]), hn::Set(WordTag(), 0x007fffffu)),
                                               hn::Set(WordTag(), 0x3f800000u))))
// a < b ? a : b and a > b ? a : b, the second argument where either is NaN: exactly what minps and maxps do. not_less is
// true for NaN: Highway has only the comparison that is false.
#if defined(__AVX512F__)
FRYER_OPERATION(VReal, minimum, (VReal<G> bound, VReal<G> x), FloatVector{_mm512_min_ps(bound.v[g].raw, x.v[g].raw)})
FRYER_OPERATION(VReal, maximum, (VReal<G> bound, VReal<G> x), FloatVector{_mm512_max_ps(bound.v[g].raw, x.v[g].raw)})
FRYER_OPERATION(VMask, not_less, (VReal<G> a, VReal<G> b), MaskVector{_mm512_cmp_ps_mask(a.v[g].raw, b.v[g].raw, _CMP_NLT_UQ)})
#else
FRYER_OPERATION(VReal, minimum, (VReal<G> bound, VReal<G> x), FloatVector{_mm256_min_ps(bound.v[g].raw, x.v[g].raw)})
FRYER_OPERATION(VReal, maximum, (VReal<G> bound, VReal<G> x), FloatVector{_mm256_max_ps(bound.v[g].raw, x.v[g].raw)})
FRYER_OPERATION(VMask, not_less, (VReal<G> a, VReal<G> b), MaskVector{_mm256_cmp_ps(a.v[g].raw, b.v[g].raw, _CMP_NLT_UQ)})
#endif
FRYER_OPERATION(VReal, keep_if, (VMask<G> m, VReal<G> x), hn::IfThenElseZero(m.v[g], x.v[g]))
FRYER_OPERATION(VReal, select, (VMask<G> m, VReal<G> a, VReal<G> b), hn::IfThenElse(m.v[g], a.v[g], b.v[g]))
FRYER_OPERATION(VWord, select, (VMask<G> m, VWord<G> a, VWord<G> b),
                hn::IfThenElse(hn::RebindMask(WordTag(), m.v[g]), a.v[g], b.v[g]))
FRYER_OPERATION(VMask, less, (VReal<G> a, VReal<G> b), hn::Lt(a.v[g], b.v[g]))
// Words below 2^31, compared as signed integers: AVX2 has no unsigned comparison.
FRYER_OPERATION(VMask, less, (VWord<G> a, VWord<G> b),
                hn::RebindMask(FloatTag(), hn::Lt(hn::BitCast(IntTag(), a.v[g]), hn::BitCast(IntTag(), b.v[g]))))
FRYER_OPERATION(VMask, both, (VMask<G> a, VMask<G> b), hn::And(a.v[g], b.v[g]))
FRYER_OPERATION(VMask, either, (VMask<G> a, VMask<G> b), hn::Or(a.v[g], b.v[g]))
FRYER_OPERATION(VMask, negate, (VMask<G> a), hn::Not(a.v[g]))
FRYER_OPERATION(VMask, is_finite, (VReal<G> a), hn::Le(hn::Abs(a.v[g]), hn::Set(FloatTag(), 0x1.fffffep127f)))
// Masked forms: one AVX-512 instruction each, which Highway 1.0.3 does not offer (g++ gains 3 to 5 %).
#if defined(__AVX512F__)
FRYER_OPERATION(VReal, subtract_if, (VMask<G> m, VReal<G> a, VReal<G> b),
                FloatVector{_mm512_mask_sub_ps(a.v[g].raw, m.v[g].raw, a.v[g].raw, b.v[g].raw)})
FRYER_OPERATION(VReal, add_if, (VMask<G> m, VReal<G> a, VReal<G> b),
                FloatVector{_mm512_mask_add_ps(a.v[g].raw, m.v[g].raw, a.v[g].raw, b.v[g].raw)})
FRYER_OPERATION(VReal, fma_if, (VMask<G> m, VReal<G> a, VReal<G> b, VReal<G> c),
                FloatVector{_mm512_mask3_fmadd_ps(a.v[g].raw, b.v[g].raw, c.v[g].raw, m.v[g].raw)})
FRYER_OPERATION(VWord, increment_if, (VMask<G> m, VWord<G> n),
                WordVector{_mm512_mask_add_epi32(n.v[g].raw, m.v[g].raw, n.v[g].raw, _mm512_set1_epi32(1))})
FRYER_OPERATION(VMask, same, (VMask<G> a, VMask<G> b), MaskVector{_kxnor_mask16(a.v[g].raw, b.v[g].raw)})
FRYER_OPERATION(VMask, and_at_most, (VMask<G> m, VReal<G> a, VReal<G> bound),
                MaskVector{_mm512_mask_cmp_ps_mask(m.v[g].raw, a.v[g].raw, bound.v[g].raw, _CMP_LE_OQ)})
#else
FRYER_OPERATION(VReal, subtract_if, (VMask<G> m, VReal<G> a, VReal<G> b), hn::Sub(a.v[g], hn::IfThenElseZero(m.v[g], b.v[g])))
FRYER_OPERATION(VReal, add_if, (VMask<G> m, VReal<G> a, VReal<G> b), hn::IfThenElse(m.v[g], hn::Add(a.v[g], b.v[g]), a.v[g]))
FRYER_OPERATION(VReal, fma_if, (VMask<G> m, VReal<G> a, VReal<G> b, VReal<G> c),
                hn::IfThenElse(m.v[g], hn::MulAdd(a.v[g], b.v[g], c.v[g]), c.v[g]))
FRYER_OPERATION(VWord, increment_if, (VMask<G> m, VWord<G> n),
                hn::Sub(n.v[g], hn::BitCast(WordTag(), hn::VecFromMask(FloatTag(), m.v[g]))))
FRYER_OPERATION(VMask, same, (VMask<G> a, VMask<G> b), hn::Not(hn::Xor(a.v[g], b.v[g])))
FRYER_OPERATION(VMask, and_at_most, (VMask<G> m, VReal<G> a, VReal<G> bound), hn::And(m.v[g], hn::Le(a.v[g], bound.v[g])))
#endif

FRYER_TEMPLATE_G bool any(VMask<G> a) {
  MaskVector r = a.v[0];
  FRYER_UNROLL for (int g = 1; g < G; ++g) r = hn::Or(r, a.v[g]);
  return !hn::AllFalse(FloatTag(), r);
}
// Bit g: some lane of vector g.
FRYER_TEMPLATE_G std::uint32_t vectors_with_any(VMask<G> a) {
  std::uint32_t r = 0;
  FRYER_EACH r |= static_cast<std::uint32_t>(!hn::AllFalse(FloatTag(), a.v[g])) << g;
  return r;
}
FRYER_TEMPLATE_G bool all(VMask<G> a) { return !any(negate(a)); }
FRYER_TEMPLATE_G std::uint32_t count(VMask<G> a) {
  std::uint32_t n = 0;
  FRYER_EACH n += static_cast<std::uint32_t>(hn::CountTrue(FloatTag(), a.v[g]));
  return n;
}

// ---- words and bits

template <int bits, int G>
FRYER_LANE VWord<G> shift_right(VWord<G> w) {
  VWord<G> r;
  FRYER_EACH r.v[g] = hn::ShiftRight<bits>(w.v[g]);
  return r;
}
template <int bits, int G>
FRYER_LANE VReal<G> shift_bits_left(VReal<G> x) {
  VReal<G> r;
  FRYER_EACH r.v[g] = hn::BitCast(FloatTag(), hn::ShiftLeft<bits>(hn::BitCast(WordTag(), x.v[g])));
  return r;
}
FRYER_LANE WordVector down_32(WordVector x) { return hn::BitCast(WordTag(), hn::ShiftRight<32>(hn::BitCast(Word64Tag(), x))); }
FRYER_LANE WordVector multiply_even(WordVector a, WordVector b) { return hn::BitCast(WordTag(), hn::MulEven(a, b)); }

FRYER_OPERATION(VWord, multiply_low, (VWord<G> a, std::uint32_t b), hn::Mul(a.v[g], hn::Set(WordTag(), b)))
FRYER_OPERATION(VWord, at_most, (VWord<G> w, std::uint32_t bound),
                hn::BitCast(WordTag(), hn::Min(hn::BitCast(IntTag(), w.v[g]), hn::BitCast(IntTag(), hn::Set(WordTag(), bound)))))

template <class Real, int G>
FRYER_LANE Real to_real(VWord<G> w) {
  Real r;
  FRYER_EACH r.v[g] = hn::ConvertTo(FloatTag(), hn::BitCast(IntTag(), w.v[g]));
  return r;
}
template <class Real, int G>
FRYER_LANE Real lookup(const float* table, VWord<G> index) {
  Real r;
  FRYER_EACH r.v[g] = hn::GatherIndex(FloatTag(), table, hn::BitCast(IntTag(), index.v[g]));
  return r;
}

#define FRYER_WIDE_OPERATION(name, arguments, expression_even, expression_odd) \
  FRYER_TEMPLATE_G VWide<G> name arguments {                                   \
    VWide<G> r;                                                                \
    FRYER_EACH {                                                               \
      r.even[g] = expression_even;                                             \
      r.odd[g] = expression_odd;                                               \
    }                                                                          \
    return r;                                                                  \
  }
FRYER_WIDE_OPERATION(widen, (VWord<G> w), w.v[g], down_32(w.v[g]))
FRYER_WIDE_OPERATION(multiply_wide, (VWide<G> a, std::uint32_t m), multiply_even(a.even[g], hn::Set(WordTag(), m)),
                     multiply_even(a.odd[g], hn::Set(WordTag(), m)))
// The high words; what is left beside them is nobody's. Intel's 512-bit shifts have one port, shuffles the other: a quarter of the words by
// shuffles made the fry shack 1.03 times as fast (half of them 1.01; with 256 bits, where both have two ports, 0.95).
#if defined(__AVX512F__)
FRYER_WIDE_OPERATION(high_word, (VWide<G> p), down_32(p.even[g]), g % 2 == 0 ? down_32(p.odd[g]) : hn::DupOdd(p.odd[g]))
#else
FRYER_WIDE_OPERATION(high_word, (VWide<G> p), down_32(p.even[g]), down_32(p.odd[g]))
#endif
FRYER_WIDE_OPERATION(exclusive_or, (VWide<G> a, VWide<G> b, std::uint32_t k),
                     hn::Xor3(a.even[g], b.even[g], hn::Set(WordTag(), k)), hn::Xor3(a.odd[g], b.odd[g], hn::Set(WordTag(), k)))
FRYER_WIDE_OPERATION(exclusive_or, (VWide<G> a, VWide<G> b, VWide<G> k), hn::Xor3(a.even[g], b.even[g], k.even[g]),
                     hn::Xor3(a.odd[g], b.odd[g], k.odd[g]))
FRYER_OPERATION(VWord, exclusive_or, (VWord<G> a, VWord<G> b, std::uint32_t k), hn::Xor3(a.v[g], b.v[g], hn::Set(WordTag(), k)))
FRYER_OPERATION(VWord, exclusive_or, (VWord<G> a, VWord<G> b, VWord<G> k), hn::Xor3(a.v[g], b.v[g], k.v[g]))
#if defined(__AVX512F__)
FRYER_OPERATION(VWord, narrow_low, (VWide<G> p),
                WordVector{_mm512_mask_shuffle_epi32(p.even[g].raw, 0xAAAA, p.odd[g].raw, static_cast<_MM_PERM_ENUM>(0xA0))})
FRYER_OPERATION(VWord, narrow_high, (VWide<G> p),
                WordVector{_mm512_mask_shuffle_epi32(p.odd[g].raw, 0x5555, p.even[g].raw, static_cast<_MM_PERM_ENUM>(0xF5))})
#else
FRYER_OPERATION(VWord, narrow_low, (VWide<G> p), hn::OddEven(hn::DupEven(p.odd[g]), p.even[g]))
FRYER_OPERATION(VWord, narrow_high, (VWide<G> p), hn::OddEven(p.odd[g], down_32(p.even[g])))
#endif

// ---- lane by lane access, for the rare work between blocks (a lane taking new work, results, files)

template <int G>
FRYER_LANE void store(VReal<G> x, float* to) {
  FRYER_EACH hn::StoreU(x.v[g], FloatTag(), to + g * kVectorLanes);
}
template <int G>
FRYER_LANE void store(VWord<G> x, std::uint32_t* to) {
  FRYER_EACH hn::StoreU(x.v[g], WordTag(), to + g * kVectorLanes);
}
// 1 where true, 0 elsewhere.
template <int G>
FRYER_LANE void store_mask(VMask<G> m, std::uint32_t* to) {
  FRYER_EACH hn::StoreU(hn::IfThenElseZero(hn::RebindMask(WordTag(), m.v[g]), hn::Set(WordTag(), 1u)), WordTag(),
                        to + g * kVectorLanes);
}
FRYER_TEMPLATE_G void load(const float* from, VReal<G>& x) { FRYER_EACH x.v[g] = hn::LoadU(FloatTag(), from + g * kVectorLanes); }
FRYER_TEMPLATE_G void load(const std::uint32_t* from, VWord<G>& x) {
  FRYER_EACH x.v[g] = hn::LoadU(WordTag(), from + g * kVectorLanes);
}

// ---- one vector of a bundle, for refilling ended lanes

FRYER_TEMPLATE_G VReal<1> vector_of(const VReal<G>& x, int g) {
  VReal<1> r;
  r.v[0] = x.v[g];
  return r;
}
FRYER_TEMPLATE_G VWord<1> vector_of(const VWord<G>& x, int g) {
  VWord<1> r;
  r.v[0] = x.v[g];
  return r;
}
FRYER_TEMPLATE_G VMask<1> vector_of(const VMask<G>& x, int g) { return {{x.v[g]}}; }
FRYER_TEMPLATE_G void set_vector(VReal<G>& x, int g, VReal<1> part) { x.v[g] = part.v[0]; }
FRYER_TEMPLATE_G void set_vector(VWord<G>& x, int g, VWord<1> part) { x.v[g] = part.v[0]; }
FRYER_TEMPLATE_G void set_vector(VMask<G>& x, int g, VMask<1> part) { x.v[g] = part.v[0]; }

// Bit i: lane i of the vector. expand: the lanes of m, in order, take from[0], from[1], ... or first, first + 1, ...; others keep `old`.
#if defined(__AVX512F__)
FRYER_LANE std::uint32_t mask_bits(VMask<1> m) { return m.v[0].raw; }
FRYER_LANE VReal<1> expand(VMask<1> m, const float* from, VReal<1> old) {
  VReal<1> r;
  r.v[0] = FloatVector{_mm512_mask_expand_ps(old.v[0].raw, m.v[0].raw, _mm512_loadu_ps(from))};
  return r;
}
FRYER_LANE VWord<1> expand_numbers(VMask<1> m, std::uint32_t first, VWord<1> old) {
  VWord<1> r;
  const WordVector numbers = hn::Add(hn::Set(WordTag(), first), hn::Iota(WordTag(), 0));
  r.v[0] = WordVector{_mm512_mask_expand_epi32(old.v[0].raw, m.v[0].raw, numbers.raw)};
  return r;
}
#else
// For each mask: how many lanes of it come before lane i.
struct RankTable {
  alignas(64) std::uint8_t rank[256][8];
  constexpr RankTable() : rank() {
    for (int m = 0; m < 256; ++m) {
      for (int i = 0, n = 0; i < 8; ++i) rank[m][i] = static_cast<std::uint8_t>((m >> i & 1) != 0 ? n++ : 0);
    }
  }
};
static constexpr RankTable kRanks;
FRYER_LANE std::uint32_t mask_bits(VMask<1> m) { return static_cast<std::uint32_t>(_mm256_movemask_ps(m.v[0].raw)); }
FRYER_LANE __m256i lane_ranks(VMask<1> m) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(kRanks.rank[mask_bits(m)])));
}
FRYER_LANE VReal<1> expand(VMask<1> m, const float* from, VReal<1> old) {
  VReal<1> r;
  const FloatVector taken{_mm256_permutevar8x32_ps(_mm256_loadu_ps(from), lane_ranks(m))};
  r.v[0] = hn::IfThenElse(m.v[0], taken, old.v[0]);
  return r;
}
FRYER_LANE VWord<1> expand_numbers(VMask<1> m, std::uint32_t first, VWord<1> old) {
  VWord<1> r;
  const WordVector numbers = hn::Add(hn::Set(WordTag(), first), WordVector{lane_ranks(m)});
  r.v[0] = hn::IfThenElse(hn::RebindMask(WordTag(), m.v[0]), numbers, old.v[0]);
  return r;
}
#endif

// ---- exact sums: each vector's halves widened to double

struct Halves {
  hn::Vec<DoubleTag> low, high;
};
FRYER_LANE Halves promote(FloatVector x) {
  return {hn::PromoteTo(DoubleTag(), hn::LowerHalf(HalfFloatTag(), x)),
          hn::PromoteTo(DoubleTag(), hn::UpperHalf(HalfFloatTag(), x))};
}
// The integer nearest to x * scale, plus kRoundingConstantBits: those are taken off once for all terms.
FRYER_LANE Int64Vector biased_fixed(hn::Vec<DoubleTag> x, double scale) {
  return hn::BitCast(Int64Tag(), hn::MulAdd(x, hn::Set(DoubleTag(), scale), hn::Set(DoubleTag(), kRoundingConstant)));
}
// The double nearest to any int64: the high and the low half are made doubles exactly, one addition rounds.
FRYER_LANE hn::Vec<DoubleTag> nearest_double(Int64Vector x) {
  const auto words = hn::BitCast(Word64Tag(), x);
  const auto high = hn::Xor(hn::ShiftRight<32>(words), hn::Set(Word64Tag(), 0x4530000080000000ull));  // 2^84 + 2^63 + high 2^32
  const auto low =
      hn::Or(hn::And(words, hn::Set(Word64Tag(), 0xffffffffull)), hn::Set(Word64Tag(), 0x4330000000000000ull));  // 2^52 + low
  const auto offset = hn::Set(DoubleTag(), 0x1.00000801p84);  // 2^84 + 2^63 + 2^52
  return hn::Add(hn::Sub(hn::BitCast(DoubleTag(), high), offset), hn::BitCast(DoubleTag(), low));
}
// As unsigned numbers, which may wrap: biased sums do.
FRYER_LANE std::uint64_t sum_lanes(Int64Vector x) {
  alignas(64) std::uint64_t each[kVectorLanes / 2];
  hn::Store(hn::BitCast(Word64Tag(), x), Word64Tag(), each);
  std::uint64_t sum = 0;
  FRYER_UNROLL for (int i = 0; i < kVectorLanes / 2; ++i) sum += each[i];
  return sum;
}

}  // namespace fryer::FRYER_EXECUTOR

// ---- specialisations of templates of core/

namespace fryer {

template <int G>
struct LaneTypes<FRYER_EXECUTOR::VReal<G>> {
  using Scalar = float;
  using Word = FRYER_EXECUTOR::VWord<G>;
  using Mask = FRYER_EXECUTOR::VMask<G>;
  using Wide = FRYER_EXECUTOR::VWide<G>;
  static constexpr int kLanes = G * FRYER_EXECUTOR::kVectorLanes;
  static constexpr int kVectors = G;
};

// (hn::Iota with a variable start compiles to scalar stores on 1.0.3.)
template <int G>
struct LaneNumbers<FRYER_EXECUTOR::VWord<G>> {
  static FRYER_LANE FRYER_EXECUTOR::VWord<G> from(std::uint32_t base) {
    namespace ex = FRYER_EXECUTOR;
    namespace hn = hwy::HWY_NAMESPACE;
    ex::VWord<G> r;
    FRYER_EACH r.v[g] =
        hn::Add(hn::Set(ex::WordTag(), base + static_cast<std::uint32_t>(g * ex::kVectorLanes)), hn::Iota(ex::WordTag(), 0));
    return r;
  }
};

template <int G>
struct FixedSum<FRYER_EXECUTOR::VReal<G>> {
  FRYER_EXECUTOR::Int64Vector low[G], high[G];
  std::uint64_t terms;
  FRYER_LANE void clear() {
    FRYER_EACH low[g] = high[g] = hwy::HWY_NAMESPACE::Zero(FRYER_EXECUTOR::Int64Tag());
    terms = 0;
  }
  FRYER_LANE void add(FRYER_EXECUTOR::VReal<G> x, double scale) {
    namespace ex = FRYER_EXECUTOR;
    namespace hn = hwy::HWY_NAMESPACE;
    FRYER_EACH {
      const ex::Halves d = ex::promote(x.v[g]);
      low[g] = hn::Add(low[g], ex::biased_fixed(d.low, scale));
      high[g] = hn::Add(high[g], ex::biased_fixed(d.high, scale));
    }
    terms += static_cast<std::uint64_t>(G * ex::kVectorLanes);
  }
  FRYER_LANE std::int64_t total() const {
    std::uint64_t sum = 0;
    FRYER_EACH sum += FRYER_EXECUTOR::sum_lanes(hwy::HWY_NAMESPACE::Add(low[g], high[g]));
    return static_cast<std::int64_t>(sum - terms * kRoundingConstantBits);
  }
};

template <int G>
struct FixedSquares<FRYER_EXECUTOR::VReal<G>> {
  FRYER_EXECUTOR::Int64Vector low, high;  // limbs
  std::uint64_t terms;
  FRYER_LANE void clear() {
    low = high = hwy::HWY_NAMESPACE::Zero(FRYER_EXECUTOR::Int64Tag());
    terms = 0;
  }
  FRYER_LANE void add(FRYER_EXECUTOR::VReal<G> x, double scale) {
    namespace ex = FRYER_EXECUTOR;
    namespace hn = hwy::HWY_NAMESPACE;
    const auto mask = hn::Set(ex::Int64Tag(), 0xffffffffll);
    FRYER_EACH {
      const ex::Halves d = ex::promote(x.v[g]);
      FRYER_UNROLL for (int half = 0; half < 2; ++half) {
        const auto v = half == 0 ? d.low : d.high;
        const auto biased = ex::biased_fixed(hn::Mul(v, v), scale);
        low = hn::Add(low, hn::And(biased, mask));
        high = hn::Add(high, hn::BitCast(ex::Int64Tag(), hn::ShiftRight<32>(hn::BitCast(ex::Word64Tag(), biased))));
      }
    }
    terms += static_cast<std::uint64_t>(G * ex::kVectorLanes);
  }
  FRYER_LANE WideSum total() const {  // the constant's low word is 0
    WideSum sum;
    sum.high = static_cast<std::int64_t>(FRYER_EXECUTOR::sum_lanes(high) - terms * (kRoundingConstantBits >> 32));
    sum.low = static_cast<std::int64_t>(FRYER_EXECUTOR::sum_lanes(low));
    return sum;
  }
};

template <int G>
struct LaneFixedSum<FRYER_EXECUTOR::VReal<G>> {
  FRYER_EXECUTOR::Int64Vector low[G], high[G];
  FRYER_LANE void clear() { FRYER_EACH low[g] = high[g] = hwy::HWY_NAMESPACE::Zero(FRYER_EXECUTOR::Int64Tag()); }
  FRYER_LANE void add(FRYER_EXECUTOR::VReal<G> x, double scale) {
    namespace ex = FRYER_EXECUTOR;
    namespace hn = hwy::HWY_NAMESPACE;
    const auto bias = hn::Set(ex::Int64Tag(), static_cast<std::int64_t>(kRoundingConstantBits));
    FRYER_EACH {
      const ex::Halves d = ex::promote(x.v[g]);
      low[g] = hn::Add(low[g], hn::Sub(ex::biased_fixed(d.low, scale), bias));
      high[g] = hn::Add(high[g], hn::Sub(ex::biased_fixed(d.high, scale), bias));
    }
  }
  FRYER_LANE FRYER_EXECUTOR::VReal<G> mean(double unit) const {
    namespace ex = FRYER_EXECUTOR;
    namespace hn = hwy::HWY_NAMESPACE;
    const auto u = hn::Set(ex::DoubleTag(), unit);
    ex::VReal<G> r;
    FRYER_EACH {
      const auto l = hn::DemoteTo(ex::HalfFloatTag(), hn::Mul(ex::nearest_double(low[g]), u));
      const auto h = hn::DemoteTo(ex::HalfFloatTag(), hn::Mul(ex::nearest_double(high[g]), u));
      r.v[g] = hn::Combine(ex::FloatTag(), h, l);
    }
    return r;
  }
  FRYER_LANE std::int64_t take(std::uint32_t lane) {
    constexpr std::uint32_t kLanes = FRYER_EXECUTOR::kVectorLanes, kHalf = kLanes / 2;
    const std::uint32_t within = lane % kLanes;
    FRYER_EXECUTOR::Int64Vector& half = within < kHalf ? low[lane / kLanes] : high[lane / kLanes];
    char* const at = reinterpret_cast<char*>(&half) + within % kHalf * sizeof(std::int64_t);
    std::int64_t total;
    __builtin_memcpy(&total, at, sizeof total);
    const std::int64_t zero = 0;
    __builtin_memcpy(at, &zero, sizeof zero);
    return total;
  }
};

}  // namespace fryer
