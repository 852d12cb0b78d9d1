// SPDX-License-Identifier: Apache-2.0
// Updates of a Q network over SIMD lanes: the bits of lane/q_update.h, faster. Outputs stand across lanes and samples in rows, so that every
// ascending chain stays in one lane and nothing is reduced but tree16. Zeros that ReLU makes are skipped. Included only by
// host/q_network_executor.cpp, which is compiled once per instruction set.
//
// Layout: widths are padded with +0 to multiples of 16, which stay +0. First weights stand as (in, out), the others as (out, in), the middle
// ones as (in, out) too, rebuilt after each step; the target network has its middle weights as (in, out) only.
//
// Paid (64-64, batch 128): skipping zeros with two rows sharing one list of active units (AVX-512 +36 %, AVX2 one row: +45 %); grouping units
// with similar sample masks for the middle gradient (+10 %); 4 x 4 accumulators. Did not: interleaved index lists, Newton for sqrt and
// division, one lane a replica for online learning (prototypes, Zen 5).
#pragma once

#include <type_traits>

#include "fryer/lane/q_update.h"
#include "host/executor_lanes.h"

namespace fryer::FRYER_EXECUTOR {

using Vector = VReal<1>;

inline constexpr int kChunk = 64;  // samples a pass: a 64-bit mask
inline constexpr int kRows = 16;   // rows a forward pass of a chunk takes at a time
inline constexpr int kMostWords = QNetworkShape::kMostUnits / 64;
#if defined(__AVX512F__)
inline constexpr int kSharingRows = 2, kSharingUnits = 4;  // that go through one list of active units or samples
inline constexpr int kColumns = 4, kDenseColumns = 4;      // vectors of a block of outputs
#else
inline constexpr int kSharingRows = 1, kSharingUnits = 1;
inline constexpr int kColumns = 8, kDenseColumns = 2;
#endif

// A stage of an update, not inlined: in one function of all stages gcc keeps loop counters in memory (AVX2 13 % slower).
#define FRYER_APART __attribute__((noinline))

FRYER_LANE Vector load_vector(const float* from) {
  Vector x;
  load(from, x);
  return x;
}
// relu(): maxps gives its second operand where the first is no larger or NaN.
FRYER_LANE Vector relu_vector(Vector sum) { return maximum(sum, Vector(0.0f)); }
FRYER_LANE Vector where_positive(Vector h, Vector x) { return select(less(Vector(0.0f), h), x, Vector(0.0f)); }

// Calls body(number of vectors, first vector) for blocks of at most kMost of `vectors`; the number is a constant.
template <int kMost, class Body>
FRYER_LANE void for_each_block(int vectors, Body body) {
  int first = 0;
  FRYER_KEEP_LOOP
  for (; first + kMost <= vectors; first += kMost) body(std::integral_constant<int, kMost>(), first);
  if constexpr (kMost > 1)
    for_each_block<kMost / 2>(vectors - first, [&](auto n, int f) FRYER_INLINE_LAMBDA { body(n, first + f); });
}

// ---- layout

FRYER_LANE constexpr int padded(int units) { return (units + kTreeLanes - 1) / kTreeLanes * kTreeLanes; }

// Where parameters stand. With constant widths the compiler knows every stride.
template <int kPadded1 = 0, int kPadded2 = 0>
struct QLayout {
  int width1, width2;  // padded

  FRYER_LANE explicit QLayout(const QNetworkShape& shape) : width1(padded(shape.hidden1)), width2(padded(shape.hidden2)) {}
  FRYER_LANE int n1() const { return kPadded1 != 0 ? kPadded1 : width1; }
  FRYER_LANE int n2() const { return kPadded2 != 0 ? kPadded2 : width2; }
  FRYER_LANE int weight_1() const { return 0; }
  FRYER_LANE int bias_1() const { return QNetworkShape::kInputs * n1(); }
  FRYER_LANE int weight_2() const { return bias_1() + n1(); }
  FRYER_LANE int bias_2() const { return weight_2() + n1() * n2(); }
  FRYER_LANE int weight_3() const { return bias_2() + n2(); }
  FRYER_LANE int bias_3() const { return weight_3() + QNetworkShape::kActions * n2(); }
  FRYER_LANE int size() const { return bias_3() + kTreeLanes; }
  // Strides of activations' rows: a row more than a power of two, or the rows of a chunk would share cache sets.
  FRYER_LANE int row1() const { return n1() + kTreeLanes; }
  FRYER_LANE int row2() const { return n2() + kTreeLanes; }
};
using AnyLayout = QLayout<>;

// Calls body(index in the parameters' order, place here), in the parameters' order.
template <class Body>
FRYER_LANE void for_each_parameter(const QNetworkShape& shape, bool middle_in_out, Body body) {
  const AnyLayout l(shape);
  for (int j = 0; j < shape.hidden1; ++j) {
    for (int i = 0; i < QNetworkShape::kInputs; ++i) body(shape.weight_1(j, i), l.weight_1() + i * l.n1() + j);
  }
  for (int j = 0; j < shape.hidden1; ++j) body(shape.bias_1(j), l.bias_1() + j);
  for (int k = 0; k < shape.hidden2; ++k) {
    for (int j = 0; j < shape.hidden1; ++j) {
      body(shape.weight_2(k, j), l.weight_2() + (middle_in_out ? j * l.n2() + k : k * l.n1() + j));
    }
  }
  for (int k = 0; k < shape.hidden2; ++k) body(shape.bias_2(k), l.bias_2() + k);
  for (int n = 0; n < QNetworkShape::kActions; ++n) {
    for (int k = 0; k < shape.hidden2; ++k) body(shape.weight_3(n, k), l.weight_3() + n * l.n2() + k);
  }
  for (int n = 0; n < QNetworkShape::kActions; ++n) body(shape.bias_3(n), l.bias_3() + n);
}

// A learner's memory: its state, then what updates need in between and nobody saves.
struct QMemory {
  // What is always there, at the memory's beginning. Observations' forward passes for online learning: here, then next.
  struct alignas(64) Fixed {
    Transition batch[kChunk];
    float value[2][kChunk], next_value[2][kChunk], other_value[2][kChunk], slope[2][kChunk];
    std::uint64_t mask1[kRows][kMostWords], mask2[kChunk][kMostWords], unit[QNetworkShape::kMostUnits];
    std::uint8_t order[QNetworkShape::kMostUnits];  // units with similar sample masks side by side: no effect on bits
    std::uint32_t updates;
    float online_value[2][QNetworkShape::kActions];
  };
  Fixed* fixed;
  float *weight, *target, *m, *v, *gradient, *weight_2_in_out;
  float *hidden1, *hidden2, *next1, *next2, *slope1;

  template <class Layout>
  FRYER_LANE QMemory(const Layout& l, void* memory) : fixed(static_cast<Fixed*>(memory)) {
    float* at = reinterpret_cast<float*>(fixed + 1);
    const auto take = [&](int n) FRYER_INLINE_LAMBDA {
      float* const part = at;
      at += n;
      return part;
    };
    weight = take(l.size());
    target = take(l.size());
    m = take(l.size());
    v = take(l.size());
    gradient = take(l.size());
    weight_2_in_out = take(l.n1() * l.n2());
    hidden1 = take(kChunk * l.row1());
    hidden2 = take(kChunk * l.row2());
    next1 = take(kRows * l.row1());
    next2 = take(kRows * l.row2());
    slope1 = take(kRows * l.row1());
  }
  static FRYER_LANE std::uint64_t bytes(const AnyLayout& l) {
    const int floats = 5 * l.size() + l.n1() * l.n2() + (kChunk + 2 * kRows) * l.row1() + (kChunk + kRows) * l.row2();
    return sizeof(Fixed) + static_cast<std::uint64_t>(floats) * sizeof(float);
  }
};

// ---- pieces

// c[r][n] += a[r][k] b[k][n], k ascending over the set bits of `mask`: what is left out are terms fma(0, b, c) = c.
template <int kR, int kN>
FRYER_LANE void add_active(Vector (&c)[kR][kN], const float* const (&a)[kR], int a_step, const float* b, int b_stride,
                           std::uint64_t mask) {
  FRYER_KEEP_LOOP
  for (; mask != 0; mask &= mask - 1) {
    const int k = __builtin_ctzll(mask);
    const float* const row = b + k * b_stride;
    Vector bv[kN];
    FRYER_UNROLL for (int n = 0; n < kN; ++n) bv[n] = load_vector(row + n * kVectorLanes);
    FRYER_UNROLL for (int r = 0; r < kR; ++r) {
      const Vector x(a[r][k * a_step]);
      FRYER_UNROLL for (int n = 0; n < kN; ++n) c[r][n] = fma(x, bv[n], c[r][n]);
    }
  }
}

// rows x width sums: from `initial` (or +0) add a(row, k) b(k, column) over the active k, ascending; store(row, column, sum).
template <int kSharing, class Store>
FRYER_LANE void multiply_active(int rows, int width, const float* initial, const float* a, int a_row, const float* b,
                                const std::uint64_t (*mask)[kMostWords], int words, Store store_sum) {
  FRYER_KEEP_LOOP
  for (int row = 0; row < rows; row += kSharing) {
    for_each_block<kColumns>(width / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
      constexpr int kN = decltype(block)::value;
      const int column = first * kVectorLanes;
      Vector c[kSharing][kN];
      FRYER_UNROLL for (int n = 0; n < kN; ++n) {
        const Vector start = initial != nullptr ? load_vector(initial + column + n * kVectorLanes) : Vector(0.0f);
        FRYER_UNROLL for (int r = 0; r < kSharing; ++r) c[r][n] = start;
      }
      FRYER_KEEP_LOOP
      for (int word = 0; word < words; ++word) {
        const float* from[kSharing];
        std::uint64_t active = 0;
        FRYER_UNROLL for (int r = 0; r < kSharing; ++r) {
          from[r] = a + (row + r) * a_row + 64 * word;
          active |= mask[row + r][word];
        }
        add_active(c, from, 1, b + 64 * word * width + column, width, active);
      }
      FRYER_UNROLL for (int r = 0; r < kSharing; ++r) {
        FRYER_UNROLL for (int n = 0; n < kN; ++n) store_sum(row + r, column + n * kVectorLanes, c[r][n]);
      }
    });
  }
}

// Bit k: h[k] > 0. width: a multiple of 16.
FRYER_LANE void positive_bits(const float* h, int width, std::uint64_t* words) {
  FRYER_KEEP_LOOP
  for (int begin = 0; begin < width; begin += 64) {
    std::uint64_t bits = 0;
    const int end = width - begin < 64 ? width - begin : 64;
    for (int k = 0; k < end; k += kVectorLanes) {
      bits |= static_cast<std::uint64_t>(mask_bits(less(Vector(0.0f), load_vector(h + begin + k)))) << k;
    }
    words[begin / 64] = bits;
  }
}

// The total of p[0 .. 7] in tree16's order.
FRYER_LANE float fold8(__m256 p) {
  const __m128 p4 = _mm_add_ps(_mm256_castps256_ps128(p), _mm256_extractf128_ps(p, 1));
  const __m128 p2 = _mm_add_ps(p4, _mm_movehl_ps(p4, p4));
  return _mm_cvtss_f32(_mm_add_ss(p2, _mm_shuffle_ps(p2, p2, 1)));
}

// tree16 of one row; width: a multiple of 16.
FRYER_LANE float tree16_row(const float* x, const float* w, int width) {
#if defined(__AVX512F__)
  Vector p = load_vector(x) * load_vector(w);
  for (int k = 16; k < width; k += 16) p = fma(load_vector(x + k), load_vector(w + k), p);
  return fold8(_mm256_add_ps(_mm512_castps512_ps256(p.v[0].raw), _mm512_extractf32x8_ps(p.v[0].raw, 1)));
#else
  Vector low = load_vector(x) * load_vector(w), high = load_vector(x + 8) * load_vector(w + 8);
  for (int k = 16; k < width; k += 16) {
    low = fma(load_vector(x + k), load_vector(w + k), low);
    high = fma(load_vector(x + k + 8), load_vector(w + k + 8), high);
  }
  return fold8((low + high).v[0].raw);
#endif
}

// value[r] = bias + tree16 of row r, 16 rows: the rows' folds share their additions.
FRYER_LANE void tree16_rows(const float* x, int row, const float* w, int width, float bias, float* value) {
#if defined(__AVX512F__)
  __m512 p[16], y[8], z[4], u[2];
  FRYER_UNROLL for (int r = 0; r < 16; ++r) p[r] = _mm512_mul_ps(_mm512_loadu_ps(x + r * row), _mm512_loadu_ps(w));
  FRYER_KEEP_LOOP
  for (int k = 16; k < width; k += 16) {
    const __m512 wk = _mm512_loadu_ps(w + k);
    FRYER_UNROLL for (int r = 0; r < 16; ++r) p[r] = _mm512_fmadd_ps(_mm512_loadu_ps(x + r * row + k), wk, p[r]);
  }
  // + 8: quarters 0 1 of rows r and r + 8; + 4: a quarter each of r, r + 8, r + 4, r + 12; + 2 and + 1 within the quarters.
  FRYER_UNROLL for (int r = 0; r < 8; ++r) {
    y[r] = _mm512_add_ps(_mm512_shuffle_f32x4(p[r], p[r + 8], 0x44), _mm512_shuffle_f32x4(p[r], p[r + 8], 0xee));
  }
  FRYER_UNROLL for (int r = 0; r < 4; ++r) {
    z[r] = _mm512_add_ps(_mm512_shuffle_f32x4(y[r], y[r + 4], 0x88), _mm512_shuffle_f32x4(y[r], y[r + 4], 0xdd));
  }
  FRYER_UNROLL for (int r = 0; r < 2; ++r) {
    u[r] = _mm512_add_ps(_mm512_shuffle_ps(z[r], z[r + 2], 0x44), _mm512_shuffle_ps(z[r], z[r + 2], 0xee));
  }
  const __m512 sums = _mm512_add_ps(_mm512_shuffle_ps(u[0], u[1], 0x88), _mm512_shuffle_ps(u[0], u[1], 0xdd));
  const __m512i rows = _mm512_setr_epi32(0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15);
  _mm512_storeu_ps(value, _mm512_add_ps(_mm512_set1_ps(bias), _mm512_permutexvar_ps(rows, sums)));
#else
  for (int r = 0; r < 16; r += 8) {
    __m256 p[8], y[4], z[2];
    FRYER_UNROLL for (int i = 0; i < 8; ++i) {
      const float* const xr = x + (r + i) * row;
      Vector low = load_vector(xr) * load_vector(w), high = load_vector(xr + 8) * load_vector(w + 8);
      for (int k = 16; k < width; k += 16) {
        low = fma(load_vector(xr + k), load_vector(w + k), low);
        high = fma(load_vector(xr + k + 8), load_vector(w + k + 8), high);
      }
      p[i] = (low + high).v[0].raw;
    }
    FRYER_UNROLL for (int i = 0; i < 4; ++i) {
      y[i] = _mm256_add_ps(_mm256_permute2f128_ps(p[i], p[i + 4], 0x20), _mm256_permute2f128_ps(p[i], p[i + 4], 0x31));
    }
    FRYER_UNROLL for (int i = 0; i < 2; ++i) {
      z[i] = _mm256_add_ps(_mm256_shuffle_ps(y[i], y[i + 2], 0x44), _mm256_shuffle_ps(y[i], y[i + 2], 0xee));
    }
    const __m256 sums = _mm256_add_ps(_mm256_shuffle_ps(z[0], z[1], 0x88), _mm256_shuffle_ps(z[0], z[1], 0xdd));
    const __m256i rows = _mm256_setr_epi32(0, 2, 1, 3, 4, 6, 5, 7);
    _mm256_storeu_ps(value + r, _mm256_add_ps(_mm256_set1_ps(bias), _mm256_permutevar8x32_ps(sums, rows)));
  }
#endif
}

// A square of kVectorLanes rows, its rows and columns exchanged.
FRYER_LANE void transpose_square(const float* from, int row, Vector (&to)[kVectorLanes]) {
#if defined(__AVX512F__)
  __m512 x[16], y[16];
  FRYER_UNROLL for (int i = 0; i < 16; ++i) x[i] = _mm512_loadu_ps(from + i * row);
  FRYER_UNROLL for (int i = 0; i < 16; i += 2) {
    y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
    y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
  }
  FRYER_UNROLL for (int i = 0; i < 16; i += 4) {
    x[i] = _mm512_shuffle_ps(y[i], y[i + 2], 0x44);
    x[i + 1] = _mm512_shuffle_ps(y[i], y[i + 2], 0xee);
    x[i + 2] = _mm512_shuffle_ps(y[i + 1], y[i + 3], 0x44);
    x[i + 3] = _mm512_shuffle_ps(y[i + 1], y[i + 3], 0xee);
  }
  FRYER_UNROLL for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(x[i], x[4 + i], 0x88), b = _mm512_shuffle_f32x4(x[8 + i], x[12 + i], 0x88);
    const __m512 c = _mm512_shuffle_f32x4(x[i], x[4 + i], 0xdd), d = _mm512_shuffle_f32x4(x[8 + i], x[12 + i], 0xdd);
    to[i].v[0] = FloatVector{_mm512_shuffle_f32x4(a, b, 0x88)};
    to[8 + i].v[0] = FloatVector{_mm512_shuffle_f32x4(a, b, 0xdd)};
    to[4 + i].v[0] = FloatVector{_mm512_shuffle_f32x4(c, d, 0x88)};
    to[12 + i].v[0] = FloatVector{_mm512_shuffle_f32x4(c, d, 0xdd)};
  }
#else
  __m256 x[8], y[8];
  FRYER_UNROLL for (int i = 0; i < 8; ++i) x[i] = _mm256_loadu_ps(from + i * row);
  FRYER_UNROLL for (int i = 0; i < 8; i += 2) {
    y[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
    y[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
  }
  FRYER_UNROLL for (int i = 0; i < 8; i += 4) {
    x[i] = _mm256_shuffle_ps(y[i], y[i + 2], 0x44);
    x[i + 1] = _mm256_shuffle_ps(y[i], y[i + 2], 0xee);
    x[i + 2] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0x44);
    x[i + 3] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0xee);
  }
  FRYER_UNROLL for (int i = 0; i < 4; ++i) {
    to[i].v[0] = FloatVector{_mm256_permute2f128_ps(x[i], x[4 + i], 0x20)};
    to[4 + i].v[0] = FloatVector{_mm256_permute2f128_ps(x[i], x[4 + i], 0x31)};
  }
#endif
}

// Exchanges rows and columns of 64 x 64 bits (Warren, Hacker's Delight, section 7-3).
FRYER_LANE void transpose_bits(std::uint64_t (&a)[64]) {
  std::uint64_t mask = 0x00000000ffffffffull;
  FRYER_KEEP_LOOP
  for (int step = 32; step != 0; step >>= 1, mask ^= mask << step) {
    FRYER_KEEP_LOOP
    for (int k = 0; k < 64; k = ((k | step) + 1) & ~step) {
      const std::uint64_t t = ((a[k] >> step) ^ a[k | step]) & mask;
      a[k] ^= t << step;
      a[k | step] ^= t;
    }
  }
}

// ---- forward

// First hidden layer of kRows observations, 16 floats apart.
template <class Layout>
FRYER_LANE void first_layer(const Layout& l, const float* parameter, const float* observation, float* hidden1) {
  for_each_block<kDenseColumns>(l.n1() / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
    constexpr int kN = decltype(block)::value, kM = 4;
    const int column = first * kVectorLanes;
    FRYER_KEEP_LOOP
    for (int row = 0; row < kRows; row += kM) {
      Vector c[kM][kN];
      FRYER_UNROLL for (int n = 0; n < kN; ++n) {
        const Vector bias = load_vector(parameter + l.bias_1() + column + n * kVectorLanes);
        FRYER_UNROLL for (int r = 0; r < kM; ++r) c[r][n] = bias;
      }
      FRYER_UNROLL for (int i = 0; i < QNetworkShape::kInputs; ++i) {
        Vector w[kN];
        FRYER_UNROLL for (int n = 0; n < kN; ++n) {
          w[n] = load_vector(parameter + l.weight_1() + i * l.n1() + column + n * kVectorLanes);
        }
        FRYER_UNROLL for (int r = 0; r < kM; ++r) {
          const Vector x(observation[(row + r) * 16 + i]);
          FRYER_UNROLL for (int n = 0; n < kN; ++n) c[r][n] = fma(x, w[n], c[r][n]);
        }
      }
      FRYER_UNROLL for (int r = 0; r < kM; ++r) {
        FRYER_UNROLL for (int n = 0; n < kN; ++n) {
          store(relu_vector(c[r][n]), hidden1 + (row + r) * l.row1() + column + n * kVectorLanes);
        }
      }
    }
  });
}

// kRows rows through the network. weight_2: (in, out). value: one array for each action.
template <class Layout>
FRYER_APART void forward_rows(const Layout& l, QMemory::Fixed& fixed, const float* parameter, const float* weight_2,
                              const float* observation, float* hidden1, float* hidden2, float* value0, float* value1) {
  first_layer(l, parameter, observation, hidden1);
  FRYER_KEEP_LOOP
  for (int row = 0; row < kRows; ++row) positive_bits(hidden1 + row * l.row1(), l.n1(), fixed.mask1[row]);
  multiply_active<kSharingRows>(
      kRows, l.n2(), parameter + l.bias_2(), hidden1, l.row1(), weight_2, fixed.mask1, (l.n1() + 63) / 64,
      [&](int row, int column, Vector sum) FRYER_INLINE_LAMBDA { store(relu_vector(sum), hidden2 + row * l.row2() + column); });
  tree16_rows(hidden2, l.row2(), parameter + l.weight_3(), l.n2(), parameter[l.bias_3()], value0);
  tree16_rows(hidden2, l.row2(), parameter + l.weight_3() + l.n2(), l.n2(), parameter[l.bias_3() + 1], value1);
}

// kR observations through a network each: their chains overlap.
template <int kR, class Layout>
FRYER_LANE void forward_single(const Layout& l, const float* const (&parameter)[kR], const float* const (&weight_2)[kR],
                               const float* const (&observation)[kR], float* const (&hidden1)[kR], float* const (&hidden2)[kR],
                               float* const (&value)[kR]) {
  for_each_block<kColumns>(l.n1() / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
    constexpr int kN = decltype(block)::value;
    const int column = first * kVectorLanes;
    FRYER_UNROLL for (int r = 0; r < kR; ++r) {
      FRYER_UNROLL for (int n = 0; n < kN; ++n) {
        const float* const w = parameter[r] + l.weight_1() + column + n * kVectorLanes;
        Vector c = load_vector(parameter[r] + l.bias_1() + column + n * kVectorLanes);
        FRYER_UNROLL for (int i = 0; i < QNetworkShape::kInputs; ++i) {
          c = fma(Vector(observation[r][i]), load_vector(w + i * l.n1()), c);
        }
        store(relu_vector(c), hidden1[r] + column + n * kVectorLanes);
      }
    }
  });
  for_each_block<kColumns>(l.n2() / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
    constexpr int kN = decltype(block)::value;
    const int column = first * kVectorLanes;
    Vector c[kR][kN];
    FRYER_UNROLL for (int r = 0; r < kR; ++r) {
      FRYER_UNROLL for (int n = 0; n < kN; ++n) c[r][n] = load_vector(parameter[r] + l.bias_2() + column + n * kVectorLanes);
    }
    const int inputs = l.n1();
    FRYER_KEEP_LOOP
    for (int k = 0; k < inputs; ++k) {
      FRYER_UNROLL for (int r = 0; r < kR; ++r) {
        const Vector x(hidden1[r][k]);
        FRYER_UNROLL for (int n = 0; n < kN; ++n) {
          c[r][n] = fma(x, load_vector(weight_2[r] + k * l.n2() + column + n * kVectorLanes), c[r][n]);
        }
      }
    }
    FRYER_UNROLL for (int r = 0; r < kR; ++r) {
      FRYER_UNROLL for (int n = 0; n < kN; ++n) store(relu_vector(c[r][n]), hidden2[r] + column + n * kVectorLanes);
    }
  });
  FRYER_UNROLL for (int r = 0; r < kR; ++r) {
    FRYER_UNROLL for (int n = 0; n < QNetworkShape::kActions; ++n) {
      value[r][n] = parameter[r][l.bias_3() + n] + tree16_row(hidden2[r], parameter[r] + l.weight_3() + n * l.n2(), l.n2());
    }
  }
}

// ---- the step: clipping, optimiser, target

// Rescues a step with Adam's epsilon 0, which makes 0 / 0 of what pads rows.
FRYER_LANE void clear_padding(const QNetworkShape& shape, bool middle_in_out, float* x, float* scratch) {
  for_each_parameter(shape, middle_in_out, [&](int i, int at) FRYER_INLINE_LAMBDA { scratch[i] = x[at]; });
  const int size = AnyLayout(shape).size();
  for (int i = 0; i < size; ++i) x[i] = 0;
  for_each_parameter(shape, middle_in_out, [&](int i, int at) FRYER_INLINE_LAMBDA { x[at] = scratch[i]; });
}

template <class Layout>
FRYER_LANE void clip_gradient(const QUpdateRules<float>& rules, const Layout& l, float* gradient) {
  const double clip_norm = rules.learning.clip_norm;
  Vector squares[4] = {Vector(0.0f), Vector(0.0f), Vector(0.0f), Vector(0.0f)};
  for (int i = 0; i < l.size(); i += kVectorLanes) {
    const Vector g = load_vector(gradient + i);
    Vector& sum = squares[i / kVectorLanes % 4];
    sum = fma(g, g, sum);
  }
  float each[kVectorLanes];
  store((squares[0] + squares[1]) + (squares[2] + squares[3]), each);
  GradientNorm norm;  // at most 66,000 / 32 roundings of 2^-24 in each sum of squares: within 0.1 %
  for (int i = 0; i < kVectorLanes; ++i) norm.sum_of_squares += static_cast<double>(each[i]);
  if (norm.surely_within(clip_norm)) return;
  norm.sum_of_squares = 0;
  for_each_parameter(rules.shape, false, [&](int, int at) FRYER_INLINE_LAMBDA { norm.add(gradient[at]); });
  const Vector factor(static_cast<float>(norm.clip_factor(clip_norm)));
  for (int i = 0; i < l.size(); i += kVectorLanes) store(load_vector(gradient + i) * factor, gradient + i);
}

// A step's numbers as values of their own: read through a reference they would be read again after every store.
struct StepNumbers {
  OptimizerConstants<float> optimizer;
  float step, root_scale;
  float *weight, *m, *v;
};
FRYER_LANE StepNumbers step_numbers(const QUpdateRules<float>& rules, const QStep<float>& step, const QMemory& memory) {
  return {rules.optimizer, step.step, step.root_scale, memory.weight, memory.m, memory.v};
}

// Optimiser step of the vector of parameters at `at`, and what it made; check: 0 as long as all are finite.
template <OptimizerSettings::Kind kKind>
FRYER_LANE Vector step_vector(const StepNumbers& s, int at, Vector gradient, Vector& check) {
  Vector m = load_vector(s.m + at), v = load_vector(s.v + at), w = load_vector(s.weight + at);
  q_parameter_step(s.optimizer, kKind, Vector(s.step), Vector(s.root_scale), gradient, m, v, w);
  store(m, s.m + at);
  store(v, s.v + at);
  store(w, s.weight + at);
  check = fma(w, Vector(0.0f), check);
  return w;
}

FRYER_LANE bool is_zero(Vector check) { return all(is_finite(check)); }

// The (in, out) copy of kVectorLanes rows of the middle weights, from row k on.
template <class Layout>
FRYER_LANE void exchange_rows(const Layout& l, const float* weight, float* weight_2_in_out, int k) {
  const int width1 = l.n1();
  FRYER_KEEP_LOOP
  for (int j = 0; j < width1; j += kVectorLanes) {
    Vector columns[kVectorLanes];
    transpose_square(weight + l.weight_2() + k * l.n1() + j, l.n1(), columns);
    FRYER_UNROLL for (int i = 0; i < kVectorLanes; ++i) store(columns[i], weight_2_in_out + (j + i) * l.n2() + k);
  }
}

// All of it, and the middle weights' target.
template <class Layout>
FRYER_LANE void exchange_middle(const QUpdateRules<float>& rules, const Layout& l, const QMemory& memory, bool mixes,
                                Vector& check) {
  const int width2 = l.n2();
  FRYER_KEEP_LOOP
  for (int k = 0; k < width2; k += kVectorLanes) exchange_rows(l, memory.weight, memory.weight_2_in_out, k);
  if (!mixes) return;
  for (int i = 0; i < l.n1() * l.n2(); i += kVectorLanes) {
    float* const target = memory.target + l.weight_2() + i;
    const Vector t = mix_target(rules.learning, load_vector(memory.weight_2_in_out + i), load_vector(target));
    check = fma(t, Vector(0.0f), check);
    store(t, target);
  }
}

template <OptimizerSettings::Kind kKind, class Layout>
FRYER_APART bool step_all(const QUpdateRules<float>& rules, const Layout& l, const QMemory& memory, const QStep<float>& step) {
  const int size = l.size();
  if (rules.learning.clip_norm > 0) clip_gradient(rules, l, memory.gradient);
  const bool mixes = rules.learning.has_target_network() && step.mixes_target;
  const QLearningConstants<float> learning = rules.learning;
  const StepNumbers numbers = step_numbers(rules, step, memory);
  Vector check(0.0f);
  FRYER_KEEP_LOOP
  for (int i = 0; i < size; i += kVectorLanes) {
    const Vector w = step_vector<kKind>(numbers, i, load_vector(memory.gradient + i), check);
    if (!mixes || (i >= l.weight_2() && i < l.bias_2())) continue;
    const Vector t = mix_target(learning, w, load_vector(memory.target + i));
    check = fma(t, Vector(0.0f), check);
    store(t, memory.target + i);
  }
  exchange_middle(rules, l, memory, mixes, check);
  return is_zero(check);
}

// After a step with epsilon 0: padding back to +0, and the check of what is no padding.
template <class Layout>
FRYER_LANE bool finite_without_padding(const QUpdateRules<float>& rules, const Layout& l, const QMemory& memory) {
  clear_padding(rules.shape, false, memory.weight, memory.gradient);
  Vector check(0.0f);
  for (int i = 0; i < l.size(); i += kVectorLanes) check = fma(load_vector(memory.weight + i), Vector(0.0f), check);
  if (rules.learning.has_target_network()) {
    clear_padding(rules.shape, true, memory.target, memory.gradient);
    for (int i = 0; i < l.size(); i += kVectorLanes) check = fma(load_vector(memory.target + i), Vector(0.0f), check);
  }
  exchange_middle(rules, l, memory, false, check);
  return is_zero(check);
}

template <class Layout>
FRYER_LANE bool step_from_gradient(const QUpdateRules<float>& rules, const Layout& l, const QMemory& memory,
                                   const QStep<float>& step) {
  if (rules.optimizer_kind == OptimizerSettings::Kind::sgd) {
    return step_all<OptimizerSettings::Kind::sgd>(rules, l, memory, step);
  }
  const bool finite = step_all<OptimizerSettings::Kind::adam>(rules, l, memory, step);
  return rules.optimizer.epsilon == 0 ? finite_without_padding(rules, l, memory) : finite;
}

// ---- an update of a batch

// Units whose sample masks are alike side by side, greedily.
FRYER_LANE void regroup(QMemory::Fixed& fixed, int units) {
  bool taken[QNetworkShape::kMostUnits] = {};
  int next = 0;
  for (int first = 0; first < units; ++first) {
    if (taken[first]) continue;
    taken[first] = true;
    fixed.order[next++] = static_cast<std::uint8_t>(first);
    std::uint64_t together = fixed.unit[first];
    for (int more = 1; more < kSharingUnits; ++more) {
      int best = -1, least = 65;
      for (int k = first + 1; k < units; ++k) {
        const int different = __builtin_popcountll(together ^ fixed.unit[k]);
        if (taken[k] || different >= least) continue;
        best = k;
        least = different;
      }
      taken[best] = true;
      fixed.order[next++] = static_cast<std::uint8_t>(best);
      together |= fixed.unit[best];
    }
  }
}

// Targets, errors and slopes of a chunk's samples; the output biases' gradients.
template <class Layout>
FRYER_APART bool chunk_errors(const QUpdateRules<float>& rules, const Layout& l, const QMemory& memory, int first, int samples,
                              MeanLoss<float>& loss) {
  QMemory::Fixed& f = *memory.fixed;
  const QLearningConstants<float>& c = rules.learning;
  float bias[2] = {memory.gradient[l.bias_3()], memory.gradient[l.bias_3() + 1]};
  bool finite = true;
  FRYER_KEEP_LOOP
  for (int b = 0; b < samples; ++b) {
    const Transition& t = f.batch[b];
    const float here[2] = {f.value[0][b], f.value[1][b]}, chooser[2] = {f.next_value[0][b], f.next_value[1][b]};
    float next[2] = {chooser[0], chooser[1]};
    if (c.bootstrap == Bootstrap::double_q) {
      next[0] = f.other_value[0][b];
      next[1] = f.other_value[1][b];
    }
    const float next_value = greedy_action(chooser) ? next[1] : next[0];
    const float error = (t.action != 0 ? here[1] : here[0]) - td_target(c, t.reward, t.bootstraps, next_value);
    const float slope = loss_slope(c, error);
    loss.add(static_cast<std::uint32_t>(first + b), sample_loss(c, error));
    f.slope[0][b] = t.action != 0 ? 0.0f : slope;
    f.slope[1][b] = t.action != 0 ? slope : 0.0f;
    bias[0] = bias[0] + f.slope[0][b];
    bias[1] = bias[1] + f.slope[1][b];
    finite = finite && finite_values(here) && finite_values(chooser) && finite_values(next) && fryer::is_finite(error);
  }
  memory.gradient[l.bias_3()] = bias[0];
  memory.gradient[l.bias_3() + 1] = bias[1];
  return finite;
}

// Gradients of the output weights and the second biases; hidden2 becomes the slopes of the second layer's sums.
template <class Layout>
FRYER_APART void backward_output(const Layout& l, const QMemory& memory, int samples) {
  for_each_block<4>(l.n2() / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
    constexpr int kN = decltype(block)::value;
    const int column = first * kVectorLanes;
    float* const g0 = memory.gradient + l.weight_3() + column;
    float* const g1 = g0 + l.n2();
    float* const gb = memory.gradient + l.bias_2() + column;
    const float* const w = memory.weight + l.weight_3() + column;
    Vector s0[kN], s1[kN], sb[kN], w0[kN], w1[kN];
    FRYER_UNROLL for (int n = 0; n < kN; ++n) {
      s0[n] = load_vector(g0 + n * kVectorLanes);
      s1[n] = load_vector(g1 + n * kVectorLanes);
      sb[n] = load_vector(gb + n * kVectorLanes);
      w0[n] = load_vector(w + n * kVectorLanes);
      w1[n] = load_vector(w + l.n2() + n * kVectorLanes);
    }
    FRYER_KEEP_LOOP
    for (int b = 0; b < samples; ++b) {
      const Vector e0(memory.fixed->slope[0][b]), e1(memory.fixed->slope[1][b]);
      FRYER_UNROLL for (int n = 0; n < kN; ++n) {
        float* const at = memory.hidden2 + b * l.row2() + column + n * kVectorLanes;
        const Vector h = load_vector(at);
        s0[n] = fma(e0, h, s0[n]);
        s1[n] = fma(e1, h, s1[n]);
        const Vector d = where_positive(h, fma(e1, w1[n], e0 * w0[n]));
        store(d, at);
        sb[n] = sb[n] + d;
      }
    }
    FRYER_UNROLL for (int n = 0; n < kN; ++n) {
      store(s0[n], g0 + n * kVectorLanes);
      store(s1[n], g1 + n * kVectorLanes);
      store(sb[n], gb + n * kVectorLanes);
    }
  });
}

// Gradient of the middle weights: for each unit the samples in which it was active, ascending.
template <class Layout>
FRYER_APART void backward_middle(const Layout& l, const QMemory& memory, bool first_chunk) {
  const int width2 = l.n2();
  QMemory::Fixed& f = *memory.fixed;
  for (int word = 0; word < (l.n2() + 63) / 64; ++word) {
    std::uint64_t bits[64];
    for (int b = 0; b < 64; ++b) bits[b] = f.mask2[b][word];
    transpose_bits(bits);
    for (int k = 0; k < 64; ++k) f.unit[64 * word + k] = bits[k];
  }
  if (kSharingUnits > 1 && first_chunk && f.updates % 64 == 0) regroup(f, l.n2());
  FRYER_KEEP_LOOP
  for (int k = 0; k < width2; k += kSharingUnits) {
    const float* slope[kSharingUnits];
    float* gradient[kSharingUnits];
    std::uint64_t active = 0;
    FRYER_UNROLL for (int r = 0; r < kSharingUnits; ++r) {
      const int unit = f.order[k + r];
      active |= f.unit[unit];
      slope[r] = memory.hidden2 + unit;
      gradient[r] = memory.gradient + l.weight_2() + unit * l.n1();
    }
    for_each_block<kColumns>(l.n1() / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
      constexpr int kN = decltype(block)::value;
      const int column = first * kVectorLanes;
      Vector c[kSharingUnits][kN];
      FRYER_UNROLL for (int r = 0; r < kSharingUnits; ++r) {
        FRYER_UNROLL for (int n = 0; n < kN; ++n) c[r][n] = load_vector(gradient[r] + column + n * kVectorLanes);
      }
      add_active(c, slope, l.row2(), memory.hidden1 + column, l.row1(), active);
      FRYER_UNROLL for (int r = 0; r < kSharingUnits; ++r) {
        FRYER_UNROLL for (int n = 0; n < kN; ++n) store(c[r][n], gradient[r] + column + n * kVectorLanes);
      }
    });
  }
}

// Slopes of the first layer and the gradients of its parameters. largest: the largest first activation.
template <class Layout>
FRYER_APART void backward_first(const Layout& l, const QMemory& memory, int samples, Vector& largest) {
  FRYER_KEEP_LOOP
  for (int begin = 0; begin < samples; begin += kRows) {
    const float* const hidden1 = memory.hidden1 + begin * l.row1();
    multiply_active<kSharingRows>(kRows, l.n1(), nullptr, memory.hidden2 + begin * l.row2(), l.row2(),
                                  memory.weight + l.weight_2(), memory.fixed->mask2 + begin, (l.n2() + 63) / 64,
                                  [&](int row, int column, Vector sum) FRYER_INLINE_LAMBDA {
                                    const Vector h = load_vector(hidden1 + row * l.row1() + column);
                                    largest = maximum(largest, h);
                                    store(where_positive(h, sum), memory.slope1 + row * l.row1() + column);
                                  });
    const int rows = samples - begin < kRows ? samples - begin : kRows;
    for_each_block<kDenseColumns>(l.n1() / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
      constexpr int kN = decltype(block)::value, kSums = QNetworkShape::kInputs + 1;
      float* const gradient = memory.gradient + first * kVectorLanes;  // four rows of weights, then the biases
      Vector c[kSums][kN];
      FRYER_UNROLL for (int i = 0; i < kSums; ++i) {
        FRYER_UNROLL for (int n = 0; n < kN; ++n) c[i][n] = load_vector(gradient + i * l.n1() + n * kVectorLanes);
      }
      FRYER_KEEP_LOOP
      for (int row = 0; row < rows; ++row) {
        const float* const observation = memory.fixed->batch[begin + row].observation;
        FRYER_UNROLL for (int n = 0; n < kN; ++n) {
          const Vector d = load_vector(memory.slope1 + row * l.row1() + (first + n) * kVectorLanes);
          FRYER_UNROLL for (int i = 0; i < QNetworkShape::kInputs; ++i) c[i][n] = fma(Vector(observation[i]), d, c[i][n]);
          c[kSums - 1][n] = c[kSums - 1][n] + d;
        }
      }
      FRYER_UNROLL for (int i = 0; i < kSums; ++i) {
        FRYER_UNROLL for (int n = 0; n < kN; ++n) store(c[i][n], gradient + i * l.n1() + n * kVectorLanes);
      }
    });
  }
}

// One update by the transitions slots[index[0 .. batch - 1]]. Not for Bootstrap::residual.
template <class Layout>
FRYER_LANE QUpdateResult<float> update_batch(const QUpdateRules<float>& rules, const Layout& l, void* raw,
                                             const Transition* slots, const std::uint32_t* index, const QStep<float>& step) {
  const QMemory memory(l, raw);
  QMemory::Fixed& f = *memory.fixed;
  const QLearningConstants<float>& c = rules.learning;
  const int batch = static_cast<int>(rules.batch);
  MeanLoss<float> loss;
  bool finite = true;
  Vector largest(0.0f);
  for (int i = 0; i < l.size(); i += kVectorLanes) store(Vector(0.0f), memory.gradient + i);
  for (int first = 0; first < batch; first += kChunk) {
    const int samples = batch - first < kChunk ? batch - first : kChunk;
    const int rows = (samples + kRows - 1) / kRows * kRows;
    for (int b = 0; b < samples; ++b) f.batch[b] = slots[index[first + b]];
    for (int b = samples; b < rows; ++b) f.batch[b] = Transition{};
    // One network after the other: two middle weights at once would not stay in the first cache.
    const auto forward_next = [&](const float* parameter, const float* weight_2, float(&value)[2][kChunk]) FRYER_INLINE_LAMBDA {
      FRYER_KEEP_LOOP
      for (int b = 0; b < rows; b += kRows) {
        forward_rows(l, f, parameter, weight_2, f.batch[b].next_observation, memory.next1, memory.next2, value[0] + b,
                     value[1] + b);
      }
    };
    const float* const target_2 = memory.target + l.weight_2();
    if (c.bootstrap == Bootstrap::target_network) {
      forward_next(memory.target, target_2, f.next_value);
    } else {
      if (c.bootstrap == Bootstrap::double_q) forward_next(memory.target, target_2, f.other_value);
      forward_next(memory.weight, memory.weight_2_in_out, f.next_value);
    }
    FRYER_KEEP_LOOP
    for (int b = 0; b < rows; b += kRows) {
      forward_rows(l, f, memory.weight, memory.weight_2_in_out, f.batch[b].observation, memory.hidden1 + b * l.row1(),
                   memory.hidden2 + b * l.row2(), f.value[0] + b, f.value[1] + b);
    }
    finite = chunk_errors(rules, l, memory, first, samples, loss) && finite;
    FRYER_KEEP_LOOP
    for (int b = 0; b < kChunk; ++b) {
      if (b < samples) {
        positive_bits(memory.hidden2 + b * l.row2(), l.n2(), f.mask2[b]);
      } else {
        for (std::uint64_t& word : f.mask2[b]) word = 0;
      }
    }
    backward_output(l, memory, samples);
    backward_middle(l, memory, first == 0);
    backward_first(l, memory, samples, largest);
  }
  ++f.updates;
  finite = finite && all(is_finite(largest));
  const float mean = loss.mean(c);
  const bool weights_finite = step_from_gradient(rules, l, memory, step);
  return {mean, finite && fryer::is_finite(mean) && weights_finite};
}

// ---- online: one transition per update, several replicas in flight

// Slopes of both layers' sums of kR samples, each of its own network: W2 is read by rows, k ascending.
template <int kR, class Layout>
FRYER_LANE void backward_single(const Layout& l, const QMemory* const (&memory)[kR], const float* const (&hidden1)[kR],
                                const float* const (&hidden2)[kR], const int (&action)[kR], const float (&slope)[kR],
                                float* const (&slope1)[kR], float* const (&slope2)[kR]) {
  FRYER_UNROLL for (int r = 0; r < kR; ++r) {
    const float* const w = memory[r]->weight + l.weight_3() + action[r] * l.n2();
    for (int k = 0; k < l.n2(); k += kVectorLanes) {
      store(where_positive(load_vector(hidden2[r] + k), Vector(slope[r]) * load_vector(w + k)), slope2[r] + k);
    }
  }
  for_each_block<kColumns>(l.n1() / kVectorLanes, [&](auto block, int first) FRYER_INLINE_LAMBDA {
    constexpr int kN = decltype(block)::value;
    const int column = first * kVectorLanes;
    Vector c[kR][kN];
    FRYER_UNROLL for (int r = 0; r < kR; ++r) { FRYER_UNROLL for (int n = 0; n < kN; ++n) c[r][n] = Vector(0.0f); }
    const int units = l.n2();
    FRYER_KEEP_LOOP
    for (int k = 0; k < units; ++k) {
      FRYER_UNROLL for (int r = 0; r < kR; ++r) {
        const Vector d(slope2[r][k]);
        const float* const w = memory[r]->weight + l.weight_2() + k * l.n1() + column;
        FRYER_UNROLL for (int n = 0; n < kN; ++n) c[r][n] = fma(d, load_vector(w + n * kVectorLanes), c[r][n]);
      }
    }
    FRYER_UNROLL for (int r = 0; r < kR; ++r) {
      FRYER_UNROLL for (int n = 0; n < kN; ++n) {
        const int at = column + n * kVectorLanes;
        store(where_positive(load_vector(hidden1[r] + at), c[r][n]), slope1[r] + at);
      }
    }
  });
}

// What a sample contributes to the gradient.
struct SingleSample {
  const float *observation, *hidden1, *hidden2, *slope1, *slope2;
  float slope[QNetworkShape::kActions];
};

// Calls body(place, gradient) for every vector of parameters; with kResidual the second sample's part is added. strip_done(k): rows k ..
// k + kVectorLanes - 1 of the middle weights have been visited.
template <bool kResidual, class Layout, class Body, class StripDone>
FRYER_LANE void for_each_gradient(const Layout& l, const SingleSample& a, const SingleSample& b, Body body,
                                  StripDone strip_done) {
  const int width1 = l.n1(), width2 = l.n2();
  const auto weights = [&](int at, float x, float y, const float* h, const float* g) FRYER_INLINE_LAMBDA {
    Vector sum = Vector(x) * load_vector(h);
    if constexpr (kResidual) sum = fma(Vector(y), load_vector(g), sum);
    body(at, sum);
  };
  const auto biases = [&](int at, const float* d, const float* e) FRYER_INLINE_LAMBDA {
    Vector sum = load_vector(d);
    if constexpr (kResidual) sum = sum + load_vector(e);
    body(at, sum);
  };
  FRYER_KEEP_LOOP
  for (int j = 0; j < width1; j += kVectorLanes) {
    FRYER_UNROLL for (int i = 0; i < QNetworkShape::kInputs; ++i) {
      weights(l.weight_1() + i * l.n1() + j, a.observation[i], b.observation[i], a.slope1 + j, b.slope1 + j);
    }
    biases(l.bias_1() + j, a.slope1 + j, b.slope1 + j);
  }
  FRYER_KEEP_LOOP
  for (int k = 0; k < width2; ++k) {
    FRYER_KEEP_LOOP
    for (int j = 0; j < width1; j += kVectorLanes) {
      weights(l.weight_2() + k * l.n1() + j, a.slope2[k], b.slope2[k], a.hidden1 + j, b.hidden1 + j);
    }
    if ((k + 1) % kVectorLanes == 0) strip_done(k + 1 - kVectorLanes);
  }
  FRYER_KEEP_LOOP
  for (int k = 0; k < width2; k += kVectorLanes) {
    biases(l.bias_2() + k, a.slope2 + k, b.slope2 + k);
    FRYER_UNROLL for (int n = 0; n < QNetworkShape::kActions; ++n) {
      weights(l.weight_3() + n * l.n2() + k, a.slope[n], b.slope[n], a.hidden2 + k, b.hidden2 + k);
    }
  }
  alignas(64) float last[kTreeLanes] = {a.slope[0], a.slope[1]};
  if constexpr (kResidual) {
    last[0] = last[0] + b.slope[0];
    last[1] = last[1] + b.slope[1];
  }
  FRYER_UNROLL for (int i = 0; i < kTreeLanes; i += kVectorLanes) body(l.bias_3() + i, load_vector(last + i));
}

// The step of one replica. Gradients go straight into Adam; where they are clipped first, or another optimiser is used, through memory.
template <bool kResidual, class Layout>
FRYER_APART bool step_single(const QUpdateRules<float>& rules, const Layout& l, const QMemory& memory, const SingleSample& first,
                             const SingleSample& second, const QStep<float>& step) {
  constexpr OptimizerSettings::Kind kAdam = OptimizerSettings::Kind::adam;
  const SingleSample a = first, b = second;
  if (rules.optimizer_kind != kAdam || rules.learning.clip_norm > 0 || rules.optimizer.epsilon == 0) {
    for_each_gradient<kResidual>(
        l, a, b, [&](int at, Vector gradient) FRYER_INLINE_LAMBDA { store(gradient, memory.gradient + at); },
        [](int) FRYER_INLINE_LAMBDA {});
    return step_from_gradient(rules, l, memory, step);
  }
  const StepNumbers numbers = step_numbers(rules, step, memory);
  float* const weight_2_in_out = memory.weight_2_in_out;
  Vector check(0.0f);
  for_each_gradient<kResidual>(
      l, a, b, [&](int at, Vector gradient) FRYER_INLINE_LAMBDA { step_vector<kAdam>(numbers, at, gradient, check); },
      // Strip by strip, so that the exchange fills the gaps that divisions leave.
      [&](int k) FRYER_INLINE_LAMBDA { exchange_rows(l, numbers.weight, weight_2_in_out, k); });
  return is_zero(check);
}

// Q values of an observation for each of kR replicas; their activations stay in the memories for update_online.
template <int kR, class Layout>
FRYER_LANE void values_online(const Layout& l, void* const* raw, const float* observations, float* values) {
  const float *parameter[kR], *weight_2[kR], *observation[kR];
  float *hidden1[kR], *hidden2[kR], *value[kR];
  FRYER_UNROLL for (int r = 0; r < kR; ++r) {
    const QMemory memory(l, raw[r]);
    parameter[r] = memory.weight;
    weight_2[r] = memory.weight_2_in_out;
    observation[r] = observations + r * QNetworkShape::kInputs;
    hidden1[r] = memory.hidden1;
    hidden2[r] = memory.hidden2;
    value[r] = memory.fixed->online_value[0];
  }
  forward_single<kR>(l, parameter, weight_2, observation, hidden1, hidden2, value);
  FRYER_UNROLL for (int r = 0; r < kR; ++r) {
    values[2 * r] = value[r][0];
    values[2 * r + 1] = value[r][1];
  }
}

// One update of each of kR replicas by its latest transition, whose observation values_online saw last.
template <int kR, bool kResidual, class Layout>
FRYER_LANE void update_online(const QUpdateRules<float>& rules, const Layout& l, void* const* raw, const Transition* transitions,
                              const QStep<float>* steps, QUpdateResult<float>* results) {
  constexpr int kSamples = kResidual ? 2 * kR : kR;  // after all first samples the second ones
  const QLearningConstants<float>& c = rules.learning;
  const QMemory memory[2] = {QMemory(l, raw[0]), QMemory(l, raw[kR - 1])};
  const float *parameter[kR], *weight_2[kR], *next[kR], *h1[kSamples], *h2[kSamples];
  float *next1[kR], *next2[kR], *next_value[kR], *slope1[kSamples], *slope2[kSamples];
  FRYER_UNROLL for (int r = 0; r < kR; ++r) {
    parameter[r] = memory[r].weight;
    weight_2[r] = memory[r].weight_2_in_out;
    next[r] = transitions[r].next_observation;
    next1[r] = memory[r].next1;
    next2[r] = memory[r].next2;
    next_value[r] = memory[r].fixed->online_value[1];
  }
  forward_single<kR>(l, parameter, weight_2, next, next1, next2, next_value);

  const QMemory* owner[kSamples];
  int action[kSamples];
  float slope[kSamples];
  FRYER_UNROLL for (int s = 0; s < kSamples; ++s) {
    const int r = s % kR;
    const QMemory& own = memory[r];
    const bool second = s >= kR;
    owner[s] = &own;
    h1[s] = second ? own.next1 : own.hidden1;
    h2[s] = second ? own.next2 : own.hidden2;
    slope1[s] = own.slope1 + (second ? l.row1() : 0);
    slope2[s] = own.next2 + (second ? 2 : 1) * l.row2();  // rows that no single forward pass uses
  }
  FRYER_UNROLL for (int r = 0; r < kR; ++r) {
    const Transition& t = transitions[r];
    const float here[2] = {memory[r].fixed->online_value[0][0], memory[r].fixed->online_value[0][1]};
    const float there[2] = {next_value[r][0], next_value[r][1]};
    const bool greedy = greedy_action(there);
    const float error = (t.action != 0 ? here[1] : here[0]) - td_target(c, t.reward, t.bootstraps, greedy ? there[1] : there[0]);
    MeanLoss<float> loss;
    loss.add(0, sample_loss(c, error));
    results[r].loss = loss.mean(c);
    results[r].finite =
        finite_values(here) && finite_values(there) && fryer::is_finite(error) && fryer::is_finite(results[r].loss);
    action[r] = t.action != 0 ? 1 : 0;
    slope[r] = loss_slope(c, error);
    if constexpr (kResidual) {
      action[kR + r] = greedy ? 1 : 0;
      slope[kR + r] = residual_slope(c, t.bootstraps, slope[r]);
    }
  }
  backward_single<kSamples>(l, owner, h1, h2, action, slope, slope1, slope2);

  FRYER_UNROLL for (int r = 0; r < kR; ++r) {
    const QMemory& own = memory[r];
    const auto sample = [&](int s, const float* observation) FRYER_INLINE_LAMBDA {
      return SingleSample{observation, h1[s],     h2[s],
                          slope1[s],   slope2[s], {action[s] == 0 ? slope[s] : 0.0f, action[s] == 0 ? 0.0f : slope[s]}};
    };
    const SingleSample first = sample(r, transitions[r].observation);
    const SingleSample second = kResidual ? sample(kSamples - kR + r, transitions[r].next_observation) : first;
    Vector largest(0.0f);
    for (int j = 0; j < l.n1(); j += kVectorLanes) {
      largest = maximum(largest, load_vector(first.hidden1 + j));
      if constexpr (kResidual) largest = maximum(largest, load_vector(second.hidden1 + j));
    }
    const bool steps_finite = step_single<kResidual>(rules, l, own, first, second, steps[r]);
    results[r].finite = results[r].finite && all(is_finite(largest)) && steps_finite;
  }
}

}  // namespace fryer::FRYER_EXECUTOR
