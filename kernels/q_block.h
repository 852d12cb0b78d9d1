// SPDX-License-Identifier: Apache-2.0
// DQN's network and update by a team of threads, with the bits of lane/q_update.h: every chain of additions stays in one thread, which
// has tiles of outputs, and samples are taken a chunk after the other, so that their activations fit where memory is fast. Runs in a block of a
// CUDA grid (q_training.cu) and in host threads (tests). Knows nothing of CUDA.
#pragma once

#include "fryer/lane/q_training.h"
#include "kernels/q_team.h"

namespace fryer {

// ---- products of matrices

// A thread's tile of a product: 8 by 4 outputs, 4 terms of each at once: 12 loads of four numbers for 128 fma. 4 by 4 outputs would be
// bound by shared memory's bandwidth, 8 by 8 leaves half of a block without work at 64 units and 64 samples.
inline constexpr int kTileRows = 8, kTileColumns = 4, kTileTerms = 4;

// How a product's operand lies in memory: with consecutive terms of a row of outputs side by side, or consecutive outputs of a term.
enum class Lie { terms, outputs };

// A thread's part of an operand. Where terms lie side by side its outputs are `step` rows apart, neighbouring threads' rows are
// neighbours, and threads meet in no bank; else its outputs are consecutive.
template <Lie kLie, int kOutputs>
struct TileOperand {
  const float* from;  // of the first output and term
  int stride, step;
  float x[kTileTerms][kOutputs];

  FRYER_LANE void load(int term) {
    if constexpr (kLie == Lie::terms) {
      FRYER_UNROLL for (int i = 0; i < kOutputs; ++i) {
        const Four f = load_four(from + i * step * stride + term);
        FRYER_UNROLL for (int e = 0; e < kTileTerms; ++e) x[e][i] = f.v[e];
      }
    } else {
      FRYER_UNROLL for (int e = 0; e < kTileTerms; ++e) {
        FRYER_UNROLL for (int i = 0; i < kOutputs; i += 4) {
          const Four f = load_four(from + (term + e) * stride + i);
          FRYER_UNROLL for (int k = 0; k < 4; ++k) x[e][i + k] = f.v[k];
        }
      }
    }
  }
};

struct Operand {
  const float* from;
  int stride;
};

// Outputs (row, column) of a tile: its first ones, and how far apart they are.
struct Tile {
  int row, row_step, column, column_step;
};

// For row < rows and column < columns: sum(row, column) = start(row, column), then fma(a(row, term), b(column, term), sum) for ascending
// terms; finish(tile, sums) gets a thread's. Operands are 0 from `terms` to the next multiple of four, and readable for rows to the next
// multiple of eight and columns to that of four; so is what start() reads.
template <Lie kA, Lie kB, TeamLike Team, class Start, class Finish>
FRYER_LANE void product(const Team& team, int rows, int columns, int terms, const Operand& a, const Operand& b,
                        const Start& start, const Finish& finish) {
  // 32 threads have a patch of 4 by 8 tiles, whose rows are bits 1 and 3 of the thread's number: shared memory serves 16 of them at
  // once where pairs or pairs of pairs read the same numbers.
  constexpr int kPatchRows = 4, kPatchColumns = 8;
  const int tile_rows = (rows + kTileRows - 1) / kTileRows, tile_columns = (columns + kTileColumns - 1) / kTileColumns;
  const int across = (tile_columns + kPatchColumns - 1) / kPatchColumns;
  const int patches = (tile_rows + kPatchRows - 1) / kPatchRows * across;
  for_each_of(team, patches * 32, [&](int i) FRYER_INLINE_LAMBDA {
    const int patch = i / 32;
    const int tile_row = patch / across * kPatchRows + (i >> 1 & 1) + (i >> 2 & 2);
    const int tile_column = patch % across * kPatchColumns + (i & 1) + (i >> 1 & 2) + (i >> 2 & 4);
    if (tile_row >= tile_rows || tile_column >= tile_columns) return;
    const Tile tile = {kA == Lie::terms ? tile_row : tile_row * kTileRows, kA == Lie::terms ? tile_rows : 1,
                       kB == Lie::terms ? tile_column : tile_column * kTileColumns, kB == Lie::terms ? tile_columns : 1};
    TileOperand<kA, kTileRows> x;
    TileOperand<kB, kTileColumns> y;
    x.from = a.from + tile.row * (kA == Lie::terms ? a.stride : 1);
    x.stride = a.stride;
    x.step = tile.row_step;
    y.from = b.from + tile.column * (kB == Lie::terms ? b.stride : 1);
    y.stride = b.stride;
    y.step = tile.column_step;
    float sum[kTileRows][kTileColumns];
    FRYER_UNROLL for (int r = 0; r < kTileRows; ++r) {
      FRYER_UNROLL for (int c = 0; c < kTileColumns; ++c) sum[r][c] =
          start(tile.row + r * tile.row_step, tile.column + c * tile.column_step);
    }
#if defined(__CUDA_ARCH__)
#pragma unroll 1
#endif
    for (int term = 0; term < terms; term += kTileTerms) {
      x.load(term);
      y.load(term);
      FRYER_UNROLL for (int e = 0; e < kTileTerms; ++e) {
        FRYER_UNROLL for (int r = 0; r < kTileRows; ++r) {
          FRYER_UNROLL for (int c = 0; c < kTileColumns; ++c) sum[r][c] = fma(x.x[e][r], y.x[e][c], sum[r][c]);
        }
      }
    }
    finish(tile, sum);
  });
}

// ---- a chunk of observations

// Numbers by (unit, observation) and by observation, of up to `chunk` observations (a multiple of eight). Units beyond a layer's are 0.
struct QChunkMemory {
  int chunk;
  float *hidden1, *hidden2;                            // (rows1, stride()), (rows2, stride())
  float* value;                                        // (2, chunk)
  FRYER_LANE int stride() const { return chunk + 4; }  // an odd number of four numbers
};

// Activations of a tile. Units that are not there have weights and biases of 0, so they stay 0.
FRYER_LANE void store_relu(float* hidden, int stride, const Tile& tile, const float (&sum)[kTileRows][kTileColumns]) {
  FRYER_UNROLL for (int r = 0; r < kTileRows; ++r) {
    Four h;
    FRYER_UNROLL for (int c = 0; c < kTileColumns; ++c) h.v[c] = relu(sum[r][c]);
    store_four(hidden + (tile.row + r * tile.row_step) * stride + tile.column, h);
  }
}

// Forward pass of `count` observations, (4, stride()): one network, each sum in one thread. Observations beyond count, to the next multiple
// of four, are 0. The values are seen by all threads after their next barrier. Whether this thread's first activations were finite.
template <TeamLike Team>
FRYER_LANE bool chunk_forward(const Team& team, const QTeamShape& shape, const float* parameter, const float* observation,
                              int count, const QChunkMemory& memory) {
  const int stride = memory.stride();
  float probe = 0;  // stays 0 while activations are finite, as those of observations that are not there always are
  // Four terms, from the bias on: q_unit1() of policy/q_network.h.
  product<Lie::terms, Lie::outputs>(
      team, shape.hidden1, count, QNetworkShape::kInputs, {parameter + shape.weight_1(0, 0), QNetworkShape::kInputs},
      {observation, stride}, [&](int j, int) FRYER_INLINE_LAMBDA { return parameter[shape.bias_1(j)]; },
      [&](const Tile& tile, const float(&sum)[kTileRows][kTileColumns]) FRYER_INLINE_LAMBDA {
        store_relu(memory.hidden1, stride, tile, sum);
        FRYER_UNROLL for (int r = 0; r < kTileRows; ++r) {
          FRYER_UNROLL for (int c = 0; c < kTileColumns; ++c) probe = fma(relu(sum[r][c]), 0.0f, probe);
        }
      });
  team.sync();
  product<Lie::terms, Lie::outputs>(
      team, shape.hidden2, count, shape.hidden1, {parameter + shape.weight_2(0, 0), shape.stride}, {memory.hidden1, stride},
      [&](int k, int) FRYER_INLINE_LAMBDA { return parameter[shape.bias_2(k)]; },
      [&](const Tile& tile, const float(&sum)[kTileRows][kTileColumns])
          FRYER_INLINE_LAMBDA { store_relu(memory.hidden2, stride, tile, sum); });
  team.sync();
  for_each_of(team, QNetworkShape::kActions * count, [&](int i) FRYER_INLINE_LAMBDA {
    const int action = i >= count ? 1 : 0, n = i - action * count;
    const float* const hidden2 = memory.hidden2 + n;
    memory.value[action * memory.chunk + n] =
        parameter[shape.bias_3(action)] + tree16_of<float>([&](int k) FRYER_INLINE_LAMBDA { return hidden2[k * stride]; },
                                                           parameter + shape.weight_3(action, 0), shape.hidden2);
  });
  return probe == 0;
}

// ---- DQN

// A replica's memory. Arrays of QTeamShape::numbers numbers, by sample (chunk), or of kMostBatch.
struct QBlockMemory {
  const QTeamShape& shape;
  float *weight, *target;   // target: of Bootstrap::target_network and double_q
  float *m, *v, *gradient;  // touched once or twice an update: anywhere
  QChunkMemory chunk;
  float *observation, *next;         // (4, chunk.stride())
  float *reward, *bootstraps;        // by sample
  float* slope;                      // (2, chunk)
  float* loss;                       // by sample
  std::uint32_t* action;             // by sample: of the transition, then of the next observation in its second bit
  float* loss_sum;                   // (kTreeLanes)
  std::uint32_t *index, *candidate;  // (kMostBatch)
  QUnits units;                      // of the observation that is acted upon
  Transition* slots;
};

// Whether a number is among the first `count` of some, four of which are read at once: none is waited for before the next are asked for.
FRYER_LANE bool is_among(std::uint32_t number, const std::uint32_t* numbers, std::uint32_t count) {
  bool found = false;
  const std::uint32_t whole = count / 4 * 4;  // what stands beyond is being written
#if defined(__CUDA_ARCH__)
#pragma unroll 4
#endif
  for (std::uint32_t first = 0; first < whole; first += 4) {
    const FourWords four = load_four(numbers + first);
    FRYER_UNROLL for (int e = 0; e < 4; ++e) found = found || four.v[e] == number;
  }
  for (std::uint32_t i = whole; i < count; ++i) found = found || numbers[i] == number;
  return found;
}

// Slots of the transitions that an update uses: sample_replay() of algo/replay.h, whose candidates here are made and compared `batch`
// at a time. size >= batch.
template <TeamLike Team>
FRYER_LANE void team_sample(const Team& team, std::uint64_t seed, std::uint64_t update, std::uint64_t size, std::uint32_t batch,
                            std::uint32_t* index, std::uint32_t* candidate) {
  std::uint32_t found = 0;
  for (std::uint64_t first = 0; found < batch; first += batch) {
    for (std::uint32_t i = team.thread(); i < batch; i += team.threads()) {
      const std::uint64_t number = first + i;
      const RandomBlock<std::uint32_t> words = random_block(seed, Purpose::replay_sampling, update, number / 4);
      const std::uint32_t place = number % 4;
      candidate[i] = replay_candidate(place == 0 ? words.x : place == 1 ? words.y : place == 2 ? words.z : words.w, size);
    }
    team.sync();
    std::uint32_t chosen = found;
    for (std::uint32_t begin = 0; begin < batch; begin += team.threads()) {
      const std::uint32_t i = begin + team.thread();
      const bool is_new = i < batch && !is_among(candidate[i], index, found) && !is_among(candidate[i], candidate, i);
      const TeamVotes votes = team.count(is_new);
      if (is_new && chosen + votes.before < batch) index[chosen + votes.before] = candidate[i];
      chosen += votes.all;
    }
    found = chosen < batch ? chosen : batch;
    team.sync();
  }
}

// The way a team computes values and updates (lane/q_training.h says what they are). All members are called by all threads.
template <TeamLike Team>
class QBlockNetwork {
 public:
  FRYER_LANE QBlockNetwork(const Team& team, const QTrainingRules& rules, const QBlockMemory& memory)
      : team_(team), rules_(rules), memory_(memory), batch_(rules.update.batch), bootstrap_(rules.update.learning.bootstrap) {}

  FRYER_LANE void values(const float (&observation)[4], float (&value)[2]) {
    bool finite1;
    team_forward(team_, memory_.shape, memory_.weight, observation, memory_.units, value, finite1);
  }

  // Update state.updates - 1. Whether everything was finite: the same in all threads. Acting leaves nothing for it.
  FRYER_LANE bool update(const QTrainingState& state, const QStep<float>& step, bool) {
    team_sample(team_, state.seed, state.updates - 1, rules_.stored(state.steps), batch_, memory_.index, memory_.candidate);
    bool finite = true;
    for (std::uint32_t first = 0; first < batch_; first += static_cast<std::uint32_t>(memory_.chunk.chunk)) {
      const std::uint32_t left = batch_ - first, chunk = static_cast<std::uint32_t>(memory_.chunk.chunk);
      const bool fine = add_gradient(first, static_cast<int>(left < chunk ? left : chunk));
      finite = finite && fine;
    }
    if (team_.thread() == 0) finite = finite && is_finite(mean_loss());
    const bool fine = make_step(step);
    return !team_.any(!(finite && fine));
  }

 private:
  FRYER_LANE int thread() const { return static_cast<int>(team_.thread()); }

  // Samples first ... first + count - 1.
  FRYER_LANE bool add_gradient(std::uint32_t first, int count) {
    const QTeamShape& shape = memory_.shape;
    const int stride = memory_.chunk.stride();
    gather(first, count);
    team_.sync();
    bool finite = true;
    // Values of the next observation, for a double's choice of action first; then of this one, whose activations stay.
    for (int pass = bootstrap_ == Bootstrap::double_q ? 0 : 1; pass < 3; ++pass) {
      const bool by_target = pass == 1 && bootstrap_ != Bootstrap::semi_gradient;
      const bool finite1 = chunk_forward(team_, shape, by_target ? memory_.target : memory_.weight,
                                         pass == 2 ? memory_.observation : memory_.next, count, memory_.chunk);
      finite = finite && (finite1 || pass != 2);
      team_.sync();
      for_each_of(team_, round_up(count, 4), [&](int n) FRYER_INLINE_LAMBDA {
        const bool fine = n < count ? take_values(pass, n) : no_sample(n);
        finite = finite && fine;
      });
    }
    team_.sync();
    const bool begins = first == 0;
    add_output_layer(begins, first, count);
    team_.sync();
    product<Lie::terms, Lie::terms>(
        team_, shape.hidden2, shape.hidden1, count, {memory_.chunk.hidden2, stride}, {memory_.chunk.hidden1, stride},
        [&](int k, int j) FRYER_INLINE_LAMBDA { return begins ? 0.0f : memory_.gradient[shape.weight_2(k, j)]; },
        [&](const Tile& tile, const float(&sum)[kTileRows][kTileColumns]) FRYER_INLINE_LAMBDA {
          FRYER_UNROLL for (int r = 0; r < kTileRows; ++r) {
            FRYER_UNROLL for (int c = 0; c < kTileColumns; ++c) {
              const int k = tile.row + r * tile.row_step, j = tile.column + c * tile.column_step;
              memory_.gradient[shape.weight_2(k, j)] = sum[r][c];  // 0 beside the parameters
            }
          }
        });
    team_.sync();
    // The first layer's slopes take the place of its activations.
    product<Lie::outputs, Lie::outputs>(
        team_, shape.hidden1, count, shape.hidden2, {memory_.weight + shape.weight_2(0, 0), shape.stride},
        {memory_.chunk.hidden2, stride}, [&](int, int) FRYER_INLINE_LAMBDA { return 0.0f; },
        [&](const Tile& tile, const float(&sum)[kTileRows][kTileColumns]) FRYER_INLINE_LAMBDA {
          FRYER_UNROLL for (int r = 0; r < kTileRows; ++r) {
            float* const place = memory_.chunk.hidden1 + (tile.row + r) * stride + tile.column;
            Four h = load_four(place);
            FRYER_UNROLL for (int c = 0; c < kTileColumns; ++c) h.v[c] = select(less(0.0f, h.v[c]), sum[r][c], 0.0f);
            store_four(place, h);
          }
        });
    team_.sync();
    add_first_layer(begins, count);
    team_.sync();
    return finite;
  }

  FRYER_LANE void gather(std::uint32_t first, int count) {
    constexpr int kParts = 3;  // of four numbers, that a transition has: the observations, and what else there is
    const int samples = round_up(count, 4);
    for_each_of(team_, kParts * samples, [&](int i) FRYER_INLINE_LAMBDA {
      const int part = i / samples, n = i - part * samples;
      Four numbers{};  // of a sample that is not there, whose slope is 0
      if (n < count) {
        const Transition& t = memory_.slots[memory_.index[first + static_cast<std::uint32_t>(n)]];
        if (part == 2) {
          memory_.reward[n] = t.reward;
          memory_.bootstraps[n] = t.bootstraps;
          memory_.action[n] = t.action;
        } else {
          numbers = load_four(part == 0 ? t.observation : t.next_observation);
        }
      }
      if (part == 2) return;
      float* const to = (part == 0 ? memory_.observation : memory_.next) + n;
      FRYER_UNROLL for (int input = 0; input < 4; ++input) to[input * memory_.chunk.stride()] = numbers.v[input];
    });
  }

  // What a sample makes of the values of a pass.
  FRYER_LANE bool take_values(int pass, int n) {
    const float value[2] = {memory_.chunk.value[n], memory_.chunk.value[memory_.chunk.chunk + n]};
    const bool finite = finite_values(value);
    if (pass == 0) {
      memory_.action[n] |= greedy_action(value) ? 2u : 0u;
      return finite;
    }
    if (pass == 1) {
      const bool next_action = bootstrap_ == Bootstrap::double_q ? memory_.action[n] >= 2 : greedy_action(value);
      memory_.loss[n] = next_action ? value[1] : value[0];  // until the loss is known, the next observation's value
      return finite;
    }
    const bool action = memory_.action[n] % 2 != 0;
    const QSample<float> sample =
        q_sample(rules_.update.learning, action ? value[1] : value[0], memory_.reward[n], memory_.bootstraps[n], memory_.loss[n]);
    memory_.loss[n] = sample.loss;
    memory_.slope[n] = action ? 0.0f : sample.slope;
    memory_.slope[memory_.chunk.chunk + n] = action ? sample.slope : 0.0f;
    return finite && sample.finite;
  }
  FRYER_LANE bool no_sample(int n) {
    memory_.slope[n] = memory_.slope[memory_.chunk.chunk + n] = 0;
    return true;
  }

  // Gradients of the output layer and of the second layer's biases; the second layer's slopes take the place of its activations. A thread
  // has a unit; further ones an output's bias, or a partial sum of the loss.
  FRYER_LANE void add_output_layer(bool begins, std::uint32_t first, int count) {
    const QTeamShape& shape = memory_.shape;
    const int chunk = memory_.chunk.chunk, units = shape.hidden2;
    for_each_of(team_, units + QNetworkShape::kActions + kTreeLanes, [&](int i) FRYER_INLINE_LAMBDA {
      if (i < units) {
        add_unit2(begins, count, i);
      } else if (i < units + QNetworkShape::kActions) {
        const int action = i - units;
        float sum = begins ? 0.0f : memory_.gradient[shape.bias_3(action)];
        for (int n = 0; n < count; ++n) sum = sum + memory_.slope[action * chunk + n];
        memory_.gradient[shape.bias_3(action)] = sum;
      } else {
        const int lane = i - units - QNetworkShape::kActions;
        float sum = begins ? 0.0f : memory_.loss_sum[lane];
        int n = lane - static_cast<int>(first % kTreeLanes);
        for (n = n < 0 ? n + kTreeLanes : n; n < count; n += kTreeLanes) sum = sum + memory_.loss[n];
        memory_.loss_sum[lane] = sum;
      }
    });
  }
  FRYER_LANE void add_unit2(bool begins, int count, int k) {
    const QTeamShape& shape = memory_.shape;
    float* const hidden2 = memory_.chunk.hidden2 + k * memory_.chunk.stride();
    const float weight[2] = {memory_.weight[shape.weight_3(0, k)], memory_.weight[shape.weight_3(1, k)]};
    float* const place[3] = {memory_.gradient + shape.weight_3(0, k), memory_.gradient + shape.weight_3(1, k),
                             memory_.gradient + shape.bias_2(k)};
    float sum[3];
    FRYER_UNROLL for (int i = 0; i < 3; ++i) sum[i] = begins ? 0.0f : *place[i];
    for (int n = 0; n < count; n += 4) {
      Four h = load_four(hidden2 + n);
      const Four slope0 = load_four(memory_.slope + n), slope1 = load_four(memory_.slope + memory_.chunk.chunk + n);
      FRYER_UNROLL for (int e = 0; e < 4; ++e) {
        const float slope[2] = {slope0.v[e], slope1.v[e]};
        const float slope2 = q_slope2(slope, weight, h.v[e]);
        const bool inside = n + e < count;
        FRYER_UNROLL for (int a = 0; a < 2; ++a) sum[a] = fma_if(inside, slope[a], h.v[e], sum[a]);
        sum[2] = add_if(inside, sum[2], slope2);
        h.v[e] = slope2;
      }
      store_four(hidden2 + n, h);
    }
    FRYER_UNROLL for (int i = 0; i < 3; ++i) * place[i] = sum[i];
  }

  FRYER_LANE void add_first_layer(bool begins, int count) {
    const QTeamShape& shape = memory_.shape;
    for_each_of(team_, shape.hidden1, [&](int j) FRYER_INLINE_LAMBDA {
      const float* const slope1 = memory_.chunk.hidden1 + j * memory_.chunk.stride();
      Four weight{};
      float bias = 0;
      if (!begins) {
        weight = load_four(memory_.gradient + shape.weight_1(j, 0));
        bias = memory_.gradient[shape.bias_1(j)];
      }
      for (int n = 0; n < count; n += 4) {
        const Four d = load_four(slope1 + n);
        FRYER_UNROLL for (int i = 0; i < 4; ++i) {
          const Four o = load_four(memory_.observation + i * memory_.chunk.stride() + n);
          FRYER_UNROLL for (int e = 0; e < 4; ++e) weight.v[i] = fma(o.v[e], d.v[e], weight.v[i]);
        }
        FRYER_UNROLL for (int e = 0; e < 4; ++e) bias = bias + d.v[e];
      }
      store_four(memory_.gradient + shape.weight_1(j, 0), weight);
      memory_.gradient[shape.bias_1(j)] = bias;
    });
  }

  FRYER_LANE float mean_loss() const {
    MeanLoss<float> loss;
    FRYER_UNROLL for (int l = 0; l < kTreeLanes; ++l) loss.partial[l] = memory_.loss_sum[l];
    return loss.mean(rules_.update.learning);
  }

  // Clipping, optimiser and target mixing: q_step() of lane/q_update.h. Whether this thread's weights are finite.
  FRYER_LANE bool make_step(const QStep<float>& made) {
    const QStep<float> step =
        made;  // read once, like the rules: what is stored below might be them, for all that a compiler knows
    const QUpdateRules<float> update = rules_.update;
    const float factor = update.learning.clip_norm > 0 ? clip_factor(update.learning.clip_norm) : 1.0f;
    const bool mixes = update.learning.has_target_network() && step.mixes_target;
    bool finite = true;
    for (int s = 0; s < kQSegments; ++s) {
      for_each_quad(team_, q_segment(memory_.shape, s), [&](const QQuad& quad) FRYER_INLINE_LAMBDA {
        const Four gradient = load_four(memory_.gradient + quad.at);
        Four weight = load_four(memory_.weight + quad.at), m = load_four(memory_.m + quad.at), v = load_four(memory_.v + quad.at);
        Four target = mixes ? load_four(memory_.target + quad.at) : Four{};
        FRYER_UNROLL for (int e = 0; e < 4; ++e) {
          q_parameter_step(update.optimizer, update.optimizer_kind, step.step, step.root_scale, gradient.v[e] * factor, m.v[e],
                           v.v[e], weight.v[e]);
          if (e >= quad.count) weight.v[e] = 0;  // without an epsilon it would be 0 / 0; all else of it is 0 and stays so
          if (mixes) target.v[e] = mix_target(update.learning, weight.v[e], target.v[e]);
        }
        finite = finite && all_finite(weight.v, 4) && all_finite(target.v, 4);
        store_four(memory_.weight + quad.at, weight);
        store_four(memory_.m + quad.at, m);
        store_four(memory_.v + quad.at, v);
        if (mixes) store_four(memory_.target + quad.at, target);
      });
    }
    return finite;
  }
  // The ascending sum is one thread's, and made only where the norm may be near what it is clipped to.
  FRYER_LANE float clip_factor(double clip_norm) {
    GradientNorm norm;
    for (int s = 0; s < kQSegments; ++s) {
      for_each_quad(team_, q_segment(memory_.shape, s), [&](const QQuad& quad) FRYER_INLINE_LAMBDA {
        const Four gradient = load_four(memory_.gradient + quad.at);
        FRYER_UNROLL for (int e = 0; e < 4; ++e) norm.add(gradient.v[e]);  // 0 beside the parameters
      });
    }
    norm.sum_of_squares = team_.sum(norm.sum_of_squares);
    if (norm.surely_within(clip_norm)) return 1.0f;
    GradientNorm ascending;
    if (thread() == 0) {
      for (int s = 0; s < kQSegments; ++s) {
        const QSegment segment = q_segment(memory_.shape, s);
        for (int row = 0; row < segment.rows; ++row) {
          for (int column = 0; column < segment.columns; ++column)
            ascending.add(memory_.gradient[segment.first + row * segment.stride + column]);
        }
      }
      memory_.loss_sum[0] = static_cast<float>(ascending.clip_factor(clip_norm));
    }
    team_.sync();
    return memory_.loss_sum[0];
  }

  const Team& team_;
  const QTrainingRules& rules_;
  const QBlockMemory& memory_;
  const std::uint32_t batch_;
  const Bootstrap bootstrap_;
};

}  // namespace fryer
