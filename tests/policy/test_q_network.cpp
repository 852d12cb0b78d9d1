// SPDX-License-Identifier: Apache-2.0
// The Q network: its parameters' order, every sum in its written order, the backward pass against central differences in double, and where
// a seed starts.
#include "fryer/policy/q_network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace fryer {
namespace {

template <class Real>
std::vector<Real> random_numbers(std::mt19937_64& random, int n, double scale) {
  std::normal_distribution<double> normal(0, scale);
  std::vector<Real> numbers(static_cast<std::size_t>(n));
  for (Real& x : numbers) x = static_cast<Real>(normal(random));
  return numbers;
}

TEST(QNetwork, ParametersStandLayerByLayer) {
  const QNetworkShape shape{3, 5};
  EXPECT_EQ(shape.weight_1(2, 3), 11);
  EXPECT_EQ(shape.bias_1(0), 12);
  EXPECT_EQ(shape.weight_2(0, 0), 15);
  EXPECT_EQ(shape.weight_2(1, 2), 20);
  EXPECT_EQ(shape.bias_2(0), 30);
  EXPECT_EQ(shape.weight_3(0, 0), 35);
  EXPECT_EQ(shape.weight_3(1, 4), 44);
  EXPECT_EQ(shape.bias_3(1), 46);
  EXPECT_EQ(shape.parameters(), 47);
  EXPECT_EQ((QNetworkShape{64, 64}.parameters()), 4610);  // the workshop's
  EXPECT_EQ((QNetworkShape{32, 32}.parameters()), 1282);  // the post's
}

// Written out again, without the functions under test, for widths on both sides of multiples of 16.
TEST(QNetwork, ForwardSumsInItsWrittenOrder) {
  std::mt19937_64 random(1);
  for (const QNetworkShape shape : {QNetworkShape{1, 1}, {3, 16}, {17, 15}, {5, 33}, {64, 64}, {256, 200}}) {
    const auto w = random_numbers<float>(random, shape.parameters(), 0.4);
    const float x[4] = {0.3f, -1.7f, 0.02f, 0.55f};
    QActivations<float> a;
    q_forward(shape, w.data(), x, a);
    const float* const bias_1 = &w[static_cast<std::size_t>(shape.hidden1) * 4];
    const float* const weight_2 = bias_1 + shape.hidden1;
    const float* const bias_2 = weight_2 + shape.hidden1 * shape.hidden2;
    const float* const weight_3 = bias_2 + shape.hidden2;
    const float* const bias_3 = weight_3 + 2 * shape.hidden2;
    std::vector<float> h1, h2;
    for (int j = 0; j < shape.hidden1; ++j) {
      float z = bias_1[j];
      for (int i = 0; i < 4; ++i) z = std::fmaf(w[static_cast<std::size_t>(4 * j + i)], x[i], z);
      h1.push_back(z > 0 ? z : 0);
      EXPECT_EQ(a.hidden1[j], h1.back());
    }
    for (int k = 0; k < shape.hidden2; ++k) {
      float z = bias_2[k];
      for (int j = 0; j < shape.hidden1; ++j) z = std::fmaf(weight_2[k * shape.hidden1 + j], h1[static_cast<std::size_t>(j)], z);
      h2.push_back(z > 0 ? z : 0);
      EXPECT_EQ(a.hidden2[k], h2.back());
    }
    h2.resize((h2.size() + 15) / 16 * 16);
    for (int n = 0; n < 2; ++n) {
      std::vector<float> w3(h2.size());
      std::copy_n(weight_3 + n * shape.hidden2, shape.hidden2, w3.begin());
      float p[16];
      for (std::size_t l = 0; l < 16; ++l) {
        p[l] = h2[l] * w3[l];
        for (std::size_t k = l + 16; k < h2.size(); k += 16) p[l] = std::fmaf(h2[k], w3[k], p[l]);
      }
      for (const int half : {8, 4, 2, 1}) {
        for (int l = 0; l < half; ++l) p[l] += p[l + half];
      }
      EXPECT_EQ(a.value[n], bias_3[n] + p[0]) << shape.hidden2;
    }
  }
}

// That the order is one: ascending sums give other bits, so the test above can fail.
TEST(QNetwork, TreeIsNotAChain) {
  std::mt19937_64 random(2);
  const auto x = random_numbers<float>(random, 64, 1), w = random_numbers<float>(random, 64, 1);
  float chain = 0;
  for (std::size_t k = 0; k < 64; ++k) chain = std::fmaf(x[k], w[k], chain);
  EXPECT_NE(chain, tree16(x.data(), w.data(), 64));
  EXPECT_NEAR(static_cast<double>(chain), static_cast<double>(tree16(x.data(), w.data(), 64)), 1e-5);
}

// Padding with +0: a sum of negative zeros comes out as +0 only if something was padded behind it.
TEST(QNetwork, TreeIsPaddedWithPositiveZeros) {
  const std::vector<float> x(32, 0.0f), w(32, -1.0f);
  EXPECT_TRUE(std::signbit(tree16(x.data(), w.data(), 16)));
  EXPECT_FALSE(std::signbit(tree16(x.data(), w.data(), 15)));
  EXPECT_FALSE(std::signbit(tree16(x.data(), w.data(), 17)));
}

TEST(QNetwork, ReluMakesZeroOfNaN) {
  EXPECT_EQ(to_bits(relu(std::nanf(""))), 0u);
  EXPECT_EQ(to_bits(relu(-0.0f)), 0u);
  EXPECT_EQ(relu(2.5f), 2.5f);
  EXPECT_EQ(relu(-2.5f), 0.0f);
}

// Every parameter's derivative of slope . values against central differences in double, away from ReLU's corners: a step of 1e-6 moves no
// sum by more than 1e-4 here. Both values' slopes at once, so that crossed actions would show.
TEST(QNetwork, BackwardPassIsTheDerivative) {
  std::mt19937_64 random(3);
  int checked = 0;
  for (const QNetworkShape shape : {QNetworkShape{1, 1}, {2, 3}, {7, 5}, {17, 9}, {16, 32}}) {
    for (int trial = 0; trial < 6; ++trial) {
      auto w = random_numbers<double>(random, shape.parameters(), 0.7);
      const auto numbers = random_numbers<double>(random, 4, 1);
      const double x[4] = {numbers[0], numbers[1], numbers[2], numbers[3]};
      const double slope[2] = {0.8, -1.3};
      QActivations<double> a;
      const auto objective = [&] {
        q_forward(shape, w.data(), x, a);
        return slope[0] * a.value[0] + slope[1] * a.value[1];
      };
      // How near the sums before ReLU come to 0.
      double nearest = 1;
      objective();
      for (int j = 0; j < shape.hidden1; ++j) {
        double z = w[static_cast<std::size_t>(shape.bias_1(j))];
        for (int i = 0; i < 4; ++i) z += w[static_cast<std::size_t>(shape.weight_1(j, i))] * x[i];
        nearest = std::min(nearest, std::fabs(z));
      }
      for (int k = 0; k < shape.hidden2; ++k) {
        double z = w[static_cast<std::size_t>(shape.bias_2(k))];
        for (int j = 0; j < shape.hidden1; ++j) z += w[static_cast<std::size_t>(shape.weight_2(k, j))] * a.hidden1[j];
        nearest = std::min(nearest, std::fabs(z));
      }
      if (nearest < 1e-4) continue;
      std::vector<double> gradient(w.size(), 0.0);
      q_backward(shape, w.data(), x, a, slope, gradient.data());
      for (std::size_t i = 0; i < w.size(); ++i) {
        const double kept = w[i], step = 1e-6;
        w[i] = kept + step;
        const double above = objective();
        w[i] = kept - step;
        const double below = objective();
        w[i] = kept;
        EXPECT_NEAR(gradient[i], (above - below) / (2 * step), 1e-8) << shape.hidden1 << ' ' << shape.hidden2 << ' ' << i;
      }
      ++checked;
    }
  }
  EXPECT_GE(checked, 20);
}

// Gradients of samples add up, sample by sample.
TEST(QNetwork, GradientsAccumulate) {
  std::mt19937_64 random(4);
  const QNetworkShape shape{6, 4};
  const auto w = random_numbers<float>(random, shape.parameters(), 0.6);
  const float x[2][4] = {{0.1f, 0.9f, -0.4f, 0.3f}, {-0.8f, 0.2f, 0.5f, -0.1f}}, slope[2][2] = {{0.5f, 0}, {0, -0.25f}};
  std::vector<float> both(w.size(), 0.0f), expected(w.size(), 0.0f);
  for (int n = 0; n < 2; ++n) {
    QActivations<float> a;
    q_forward(shape, w.data(), x[n], a);
    q_backward(shape, w.data(), x[n], a, slope[n], both.data());
    std::vector<float> one(w.size(), 0.0f);
    q_backward(shape, w.data(), x[n], a, slope[n], one.data());
    for (std::size_t i = 0; i < w.size(); ++i) expected[i] += one[i];
  }
  for (std::size_t i = 0; i < w.size(); ++i) EXPECT_NEAR(both[i], expected[i], 1e-6f) << i;
}

// ---- initialisation

TEST(QNetworkInitialisation, IsByTheAddressOfEachParameter) {
  const std::uint64_t seed = (std::uint64_t{5} << 32) + 77;
  const QNetworkShape shape{9, 6};
  std::vector<float> w(static_cast<std::size_t>(shape.parameters()));
  initialise_q_network(shape, initial_bounds(Initialisation::torch, shape), seed, w.data());
  for (int i = 0; i < shape.parameters(); ++i) {
    const auto words = random_block(seed, Purpose::initialisation, 0, static_cast<std::uint64_t>(i / 4));
    const std::uint32_t word[4] = {words.x, words.y, words.z, words.w};
    const double u = static_cast<double>(word[i % 4] >> 8) * 0x1p-24;
    const double fan_in = i < shape.weight_2(0, 0) ? 4 : i < shape.weight_3(0, 0) ? 9 : 6;
    const double bound = static_cast<double>(static_cast<float>(1 / std::sqrt(fan_in)));
    EXPECT_EQ(w[static_cast<std::size_t>(i)], static_cast<float>(bound * (2 * u - 1))) << i;
  }
}

// Bounds by name: torch +-1/sqrt(fan_in), biases too; glorot +-sqrt(6 / (fan_in + fan_out)); he +-sqrt(6 / fan_in); uniform, so with
// variance bound^2 / 3 (4 standard errors over 100 seeds).
TEST(QNetworkInitialisation, HasItsBoundsAndBiases) {
  const QNetworkShape shape{20, 12};
  const double in[3] = {4, 20, 12}, out[3] = {20, 12, 2};
  const int begin[4] = {0, shape.weight_2(0, 0), shape.weight_3(0, 0), shape.parameters()};
  const int bias[3] = {shape.bias_1(0), shape.bias_2(0), shape.bias_3(0)};
  for (const Initialisation initialisation :
       {Initialisation::torch, Initialisation::glorot, Initialisation::he, Initialisation::zero}) {
    const QInitialBounds bounds = initial_bounds(initialisation, shape);
    double largest[3] = {}, largest_bias[3] = {}, squares[3] = {};
    std::vector<float> w(static_cast<std::size_t>(shape.parameters()));
    constexpr int kSeeds = 100;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      initialise_q_network(shape, bounds, seed, w.data());
      for (int layer = 0; layer < 3; ++layer) {
        for (int i = begin[layer]; i < begin[layer + 1]; ++i) {
          const double x = std::fabs(static_cast<double>(w[static_cast<std::size_t>(i)]));
          double& most = i >= bias[layer] ? largest_bias[layer] : largest[layer];
          most = std::max(most, x);
          if (i < bias[layer]) squares[layer] += x * x;
        }
      }
    }
    for (int layer = 0; layer < 3; ++layer) {
      const double bound = initialisation == Initialisation::torch    ? 1 / std::sqrt(in[layer])
                           : initialisation == Initialisation::glorot ? std::sqrt(6 / (in[layer] + out[layer]))
                           : initialisation == Initialisation::he     ? std::sqrt(6 / in[layer])
                                                                      : 0;
      EXPECT_LE(largest[layer], bound * (1 + 1e-7));
      EXPECT_GE(largest[layer], bound * 0.99);
      const double weights = kSeeds * (bias[layer] - begin[layer]);
      EXPECT_NEAR(squares[layer] / weights, bound * bound / 3, 4 * bound * bound * std::sqrt(4.0 / 45 / weights));
      if (initialisation == Initialisation::torch) {
        EXPECT_LE(largest_bias[layer], bound * (1 + 1e-7));
        EXPECT_GE(largest_bias[layer], bound * 0.9);
      } else {
        EXPECT_EQ(largest_bias[layer], 0);
      }
    }
  }
}

}  // namespace
}  // namespace fryer
