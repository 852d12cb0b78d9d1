// SPDX-License-Identifier: Apache-2.0
// CartPole where it takes minutes: the preset on every one of 100,000 seeds, and a sharp comparison of gradients with differences
// of the return.
#include "tests/engine/cart_pole_gradient.h"
#include "tests/engine/effort.h"

namespace fryer {
namespace {

// What the preset promises.
TEST(SolvePreset, SolvesAHundredThousandSeeds) {
  const auto backend = make_backend({});
  for (const std::uint32_t max_steps : {CartPole::kMaxStepsV1, CartPole::kMaxStepsV0}) {
    CartPoleTrainConfiguration c = solve_preset(max_steps);
    c.seed = 0;
    c.replicas = test::little_effort() ? 1'000 : 100'000;
    const TrainResult r = train(c, *backend);
    EXPECT_EQ(r.solved, c.replicas) << max_steps;
    EXPECT_EQ(r.failed.count, 0u);
  }
}

// Detects a bias of a few per cent of the gradient, ten times less than the fast test.
TEST(CartPoleGradient, IsThatOfTheExpectedReturn) {
  test::expect_gradient_of_the_return(*make_backend({}), test::little_effort() ? 100'000 : 10'000'000);
}

}  // namespace
}  // namespace fryer
