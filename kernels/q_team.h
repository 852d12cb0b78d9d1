// SPDX-License-Identifier: Apache-2.0
// What the kernels of value learners share: a Team of threads, which trains one replica after the other, and how a Q network's parameters
// lie in its memory. On a GPU a team is a block or a warp (cuda_team.cuh), in the tests host threads with a barrier. All of a team's
// threads run a body together: they take the same branches around every member of Team. Knows nothing of CUDA.
#pragma once

#include <concepts>

#include "fryer/policy/q_network.h"

namespace fryer {

// Votes of the threads before this one, and of all.
struct TeamVotes {
  std::uint32_t before, all;
};

// What the bodies ask of a team. sync, any, count and sum are called by all threads: each waits for the others, and memory written before is
// seen after. sum: in any order, the same in all threads. add, take: atomically, by any thread.
template <class T>
concept TeamLike = requires(const T& team, bool vote, double number, std::uint64_t* word) {
  { team.thread() } -> std::same_as<std::uint32_t>;
  { team.threads() } -> std::same_as<std::uint32_t>;
  team.sync();
  { team.any(vote) } -> std::same_as<bool>;
  { team.count(vote) } -> std::same_as<TeamVotes>;
  { team.sum(number) } -> std::same_as<double>;
  team.add(word, *word);
  { team.take(word) } -> std::same_as<std::uint64_t>;  // adds 1, returns the value before
};

// Calls body(i) for the i < count that are this thread's.
template <TeamLike Team, class Body>
FRYER_LANE void for_each_of(const Team& team, int count, const Body& body) {
  for (int i = static_cast<int>(team.thread()); i < count; i += static_cast<int>(team.threads())) body(i);
}

// Four numbers that are read and written at once.
struct alignas(16) Four {
  float v[4];
};
struct alignas(16) FourWords {
  std::uint32_t v[4];
};
FRYER_LANE FourWords load_four(const std::uint32_t* from) { return *reinterpret_cast<const FourWords*>(from); }
FRYER_LANE Four load_four(const float* from) { return *reinterpret_cast<const Four*>(from); }
FRYER_LANE void store_four(float* to, const Four& x) {
#if defined(__CUDA_ARCH__)  // nvcc 13 stores the elements of float4 one by one where the address has just been computed
  asm volatile("st.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(x.v[0]), "f"(x.v[1]), "f"(x.v[2]), "f"(x.v[3]) : "memory");
#else
  *reinterpret_cast<Four*>(to) = x;
#endif
}

FRYER_LANE constexpr int round_up(int n, int multiple) { return (n + multiple - 1) / multiple * multiple; }

// The parameters in a team's memory, made on the host: named as QNetworkShape has them: units padded with zeros to a multiple of eight, rows begin at
// multiples of 16 bytes, and rows of the second layer are an odd number of those apart, so that eight threads that read four numbers
// of eight rows meet in no bank of shared memory.
struct QTeamShape {
  int hidden1, hidden2;
  int rows1, rows2, stride;  // padded units; distance of the second layer's rows
  int first_bias1, first_weight2, first_bias2, first_weight3, first_bias3, numbers;

  QTeamShape() = default;
  explicit QTeamShape(const QNetworkShape& shape) : hidden1(shape.hidden1), hidden2(shape.hidden2) {
    rows1 = round_up(hidden1, 8);
    rows2 = round_up(hidden2, 8);
    stride = rows1 + 4;
    first_bias1 = rows1 * QNetworkShape::kInputs;
    first_weight2 = first_bias1 + rows1;
    first_bias2 = first_weight2 + rows2 * stride;
    first_weight3 = first_bias2 + rows2;
    first_bias3 = first_weight3 + QNetworkShape::kActions * rows2;
    numbers = first_bias3 + 4;
  }
  FRYER_LANE int weight_1(int unit, int input) const { return unit * QNetworkShape::kInputs + input; }
  FRYER_LANE int bias_1(int unit) const { return first_bias1 + unit; }
  FRYER_LANE int weight_2(int unit, int below) const { return first_weight2 + unit * stride + below; }
  FRYER_LANE int bias_2(int unit) const { return first_bias2 + unit; }
  FRYER_LANE int weight_3(int action, int unit) const { return first_weight3 + action * rows2 + unit; }
  FRYER_LANE int bias_3(int action) const { return first_bias3 + action; }
};

// What a team does.
enum class QKind { with_replay, online, evaluation };

// How a team's memory is divided. weights, gradient: whether the parameters and their gradient lie in fast memory (shared, on a GPU).
struct QPlan {
  int chunk;  // samples at once, a multiple of eight
  bool weights, gradient;
};

// What a device has for value learners of a shape: teams that run at once, and how the memory of one is divided.
struct QTeams {
  std::uint64_t teams;
  QPlan plan;
};

// ---- fast memory

// Places in fast memory, in floats; each is a multiple of four. Made on the host.
class Places {
 public:
  explicit Places(int first) : next_(first) {}
  int take(int numbers) {
    const int place = next_;
    next_ += round_up(numbers, 4);
    return place;
  }
  int size() const { return next_; }

 private:
  int next_;
};

// Matrices that a network's parameters are made of, in the parameters' order: weights and biases layer by layer.
struct QSegment {
  int first, rows, columns, stride;  // of QTeamShape's numbers
  FRYER_LANE int size() const { return rows * columns; }
};
inline constexpr int kQSegments = 6;
FRYER_LANE QSegment q_segment(const QTeamShape& shape, int i) {
  constexpr int kInputs = QNetworkShape::kInputs, kActions = QNetworkShape::kActions;
  switch (i) {
    case 0:
      return {shape.weight_1(0, 0), shape.hidden1, kInputs, kInputs};
    case 1:
      return {shape.bias_1(0), 1, shape.hidden1, shape.rows1};
    case 2:
      return {shape.weight_2(0, 0), shape.hidden2, shape.hidden1, shape.stride};
    case 3:
      return {shape.bias_2(0), 1, shape.hidden2, shape.rows2};
    case 4:
      return {shape.weight_3(0, 0), kActions, shape.hidden2, shape.rows2};
    default:
      return {shape.bias_3(0), 1, kActions, 4};
  }
}

// Four parameters side by side, of which the first `count` are there.
struct QQuad {
  int row, column;  // of the segment
  int at;           // of QTeamShape's numbers
  int count;
};
// Calls body(quad) for this thread's quads of a segment.
template <TeamLike Team, class Body>
FRYER_LANE void for_each_quad(const Team& team, const QSegment& segment, const Body& body) {
  const int width = (segment.columns + 3) / 4, threads = static_cast<int>(team.threads());
  const int rows_on = threads / width, on = threads % width;
  int row = static_cast<int>(team.thread()) / width, place = static_cast<int>(team.thread()) % width;
  while (row < segment.rows) {
    const int column = 4 * place, left = segment.columns - column;
    body(QQuad{row, column, segment.first + row * segment.stride + column, left < 4 ? left : 4});
    row += rows_on;
    place += on;
    if (place >= width) {
      place -= width;
      ++row;
    }
  }
}

// Calls body(i, at) for this thread's parameters: number i in the parameters' order is number `at` in a team's memory.
template <TeamLike Team, class Body>
FRYER_LANE void for_each_parameter_of(const Team& team, const QTeamShape& shape, const Body& body) {
  int first = 0;
  for (int s = 0; s < kQSegments; ++s) {
    const QSegment segment = q_segment(shape, s);
    for_each_quad(team, segment, [&](const QQuad& quad) FRYER_INLINE_LAMBDA {
      for (int e = 0; e < quad.count; ++e) body(first + quad.row * segment.columns + quad.column + e, quad.at + e);
    });
    first += segment.size();
  }
}
// The other way round, of one parameter.
FRYER_LANE int team_place(const QTeamShape& shape, int parameter) {
  for (int s = 0;; ++s) {
    const QSegment segment = q_segment(shape, s);
    if (parameter < segment.size() || s + 1 == kQSegments)
      return segment.first + parameter / segment.columns * segment.stride + parameter % segment.columns;
    parameter -= segment.size();
  }
}

// ---- one observation

// A thread reads rows of up to four units.
struct QUnits {
  float *hidden1, *hidden2;  // (rows1), (rows2); numbers beyond the units are 0
  float* partial;            // (2, kTreeLanes)
};

// The forward pass of one observation, each sum in one thread: the same value in all of them. finite1: whether this thread's first
// activations were.
template <TeamLike Team>
FRYER_LANE void team_forward(const Team& team, const QTeamShape& shape, const float* parameter, const float (&observation)[4],
                             const QUnits& units, float (&value)[QNetworkShape::kActions], bool& finite1) {
  finite1 = true;
  for_each_of(team, shape.hidden1, [&](int j) FRYER_INLINE_LAMBDA {
    const float h = q_unit1(shape, parameter, observation, j);
    units.hidden1[j] = h;
    finite1 = finite1 && is_finite(h);
  });
  team.sync();
  for_each_of(team, shape.hidden2, [&](int k) FRYER_INLINE_LAMBDA {
    float z = parameter[shape.bias_2(k)];
    const float* const row = parameter + shape.weight_2(k, 0);
    for (int j = 0; j < shape.hidden1; j += 4) {  // beyond the units 0 times 0 is added
      const Four w = load_four(row + j), h = load_four(units.hidden1 + j);
      FRYER_UNROLL for (int e = 0; e < 4; ++e) z = fma(h.v[e], w.v[e], z);
    }
    units.hidden2[k] = relu(z);
  });
  team.sync();
  for_each_of(team, QNetworkShape::kActions * kTreeLanes, [&](int i) FRYER_INLINE_LAMBDA {
    units.partial[i] =
        tree16_partial(units.hidden2, parameter + shape.weight_3(i / kTreeLanes, 0), shape.hidden2, i % kTreeLanes);
  });
  team.sync();
  FRYER_UNROLL for (int n = 0; n < QNetworkShape::kActions; ++n) {
    float p[kTreeLanes];
    FRYER_UNROLL for (int l = 0; l < kTreeLanes; ++l) p[l] = units.partial[n * kTreeLanes + l];
    value[n] = parameter[shape.bias_3(n)] + fold16(p);
  }
}

}  // namespace fryer
