// SPDX-License-Identifier: Apache-2.0
// On a GPU: the leaves that are written differently there, against their host forms bit for bit (reciprocals and divisions over every
// mantissa), Philox against cuRAND's device function, and every shape of launch. Without a GPU every test is skipped with the reason.
#include <curand_philox4x32_x.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "host/driver.h"
#include "kernels/cuda_backend.h"
#include "kernels/cuda_warp.cuh"
#include "kernels/device_buffer.cuh"
#include "tests/engine/q_reference_runs.h"
#include "tests/engine/reference_runs.h"

namespace fryer::test {
namespace {

class CudaKernels : public testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = cuda_unavailable_reason();
    if (!missing.empty()) GTEST_SKIP() << missing;
    FRYER_CUDA_CHECK(cudaSetDevice(0));
  }
};

template <class Function>
__global__ void apply_kernel(Function f, std::uint64_t n, std::uint64_t* out) {
  for (std::uint64_t i = blockIdx.x * std::uint64_t{blockDim.x} + threadIdx.x; i < n;
       i += std::uint64_t{gridDim.x} * blockDim.x) {
    out[i] = f(i);
  }
}

// f(i) of a function for host and device is the same 64 bits on both, for i < n.
template <class Function>
void expect_same_on_the_gpu(const Function& f, std::uint64_t n) {
  DeviceBuffer<std::uint64_t> out(n);
  apply_kernel<<<1024, 256>>>(f, n, out.data());
  FRYER_CUDA_CHECK_LAUNCH("apply_kernel");
  std::vector<std::uint64_t> got(n);
  FRYER_CUDA_CHECK(cudaMemcpy(got.data(), out.data(), n * sizeof got[0], cudaMemcpyDeviceToHost));
  std::uint64_t differing = 0;
  for (std::uint64_t i = 0; i < n; ++i) {
    const std::uint64_t expected = f(i);
    if (got[i] != expected && ++differing <= 5) {
      ADD_FAILURE() << "input " << i << ": " << std::hex << got[i] << " on the GPU, " << expected << " on the host";
    }
  }
  EXPECT_EQ(differing, 0u);
}

// NaN has other bits on a GPU.
FRYER_LANE std::uint64_t canonical(float x) { return x == x ? to_bits(x) : 0x7fc00000u; }
FRYER_LANE std::uint64_t canonical(float x, float y) { return canonical(x) << 32 | canonical(y); }
// Well mixed bits, so that floats made of them have every exponent.
FRYER_LANE std::uint64_t mix(std::uint64_t i) {
  i = (i ^ (i >> 31)) * 0x9e3779b97f4a7c15ull;
  return (i ^ (i >> 29)) * 0xbf58476d1ce4e5b9ull;
}
FRYER_LANE float some_float(std::uint64_t i, int word) { return from_bits(static_cast<std::uint32_t>(mix(4 * i + word) >> 32)); }

// ---- reciprocal

__global__ void reciprocal_kernel(std::uint32_t first_exponent, std::uint32_t exponents, unsigned long long* wrong) {
  const std::uint64_t n = std::uint64_t{exponents} << 23;
  for (std::uint64_t i = blockIdx.x * std::uint64_t{blockDim.x} + threadIdx.x; i < n;
       i += std::uint64_t{gridDim.x} * blockDim.x) {
    const float d = from_bits(static_cast<std::uint32_t>((std::uint64_t{first_exponent} << 23) + i));
    if (to_bits(reciprocal(d)) != to_bits(__fdiv_rn(1.0f, d))) atomicAdd(wrong, 1ull);
  }
}

// Of every mantissa, with every exponent whose reciprocal is a normal number: as the GPU's own IEEE division says.
TEST_F(CudaKernels, ReciprocalOfEveryMantissaIsCorrectlyRounded) {
  DeviceBuffer<unsigned long long> wrong(1);
  FRYER_CUDA_CHECK(cudaMemset(wrong.data(), 0, sizeof(unsigned long long)));
  reciprocal_kernel<<<4096, 256>>>(1, 252, wrong.data());  // 2^-126 up to, not including, 2^126
  FRYER_CUDA_CHECK_LAUNCH("reciprocal_kernel");
  unsigned long long count = 0;
  FRYER_CUDA_CHECK(cudaMemcpy(&count, wrong.data(), sizeof count, cudaMemcpyDeviceToHost));
  EXPECT_EQ(count, 0u);
}
// And as the host's division says.
struct ReciprocalOfMantissa {
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    return to_bits(reciprocal(from_bits(0x3f800000u | static_cast<std::uint32_t>(i))));
  }
};
TEST_F(CudaKernels, ReciprocalEqualsTheHosts) { expect_same_on_the_gpu(ReciprocalOfMantissa{}, std::uint64_t{1} << 23); }

// ---- division

// Numerator and denominator of the pole's angular acceleration, as CartPole::step has them, in a state within the limits.
struct PoleQuotient {
  float a, d;
};
FRYER_LANE PoleQuotient pole_quotient(const CartPole::Rules<float>& rules, std::uint64_t i) {
  const std::uint64_t random = mix(i);
  const float unit = 0x1p-23f;
  const float angle = (static_cast<float>(random >> 40) * unit - 1.0f) * rules.angle_limit;
  const float spin = (static_cast<float>(random >> 16 & 0xffffff) * unit - 1.0f) * 25.0f;
  const float square = angle * angle, s = sin_small(angle, square), c = cos_small(square);
  const float drive = fma(spin * spin * rules.pole_share, s, (random & 1) != 0 ? rules.push : -rules.push);
  return {fnma(c, drive, rules.gravity * s), fnma(c * c, rules.pole_share, rules.inertia)};
}

__global__ void pole_quotients_kernel(CartPole::Rules<float> rules, std::uint64_t n, unsigned long long* wrong) {
  for (std::uint64_t i = blockIdx.x * std::uint64_t{blockDim.x} + threadIdx.x; i < n;
       i += std::uint64_t{gridDim.x} * blockDim.x) {
    const PoleQuotient q = pole_quotient(rules, i);
    if (to_bits(divide_normal(q.a, q.d)) != to_bits(__fdiv_rn(q.a, q.d))) atomicAdd(wrong, 1ull);
  }
}

// For every mantissa of the denominator: numerators whose quotients lie all over a binade, and those next to d and to its halves.
__global__ void quotients_kernel(unsigned long long* wrong) {
  for (std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x; i < 1u << 23; i += gridDim.x * blockDim.x) {
    const float d = from_bits(0x3f800000u | i);
    std::uint32_t bad = 0;
    for (std::uint32_t k = 0; k < 256; ++k) {
      const std::uint32_t mantissa =
          k < 8 ? (i + k - 4) & 0x7fffffu : static_cast<std::uint32_t>(mix(256 * std::uint64_t{i} + k) >> 41);
      const float a = from_bits((k % 2 == 0 ? 0x40000000u : 0x3f000000u) | mantissa);
      bad += to_bits(divide_normal(a, d)) != to_bits(__fdiv_rn(a, d)) ? 1 : 0;
    }
    if (bad != 0) atomicAdd(wrong, bad);
  }
}

// As the GPU's own IEEE division says: 2^32 random states' quotients, then every mantissa of a denominator with 256 numerators.
TEST_F(CudaKernels, DivisionsAreCorrectlyRounded) {
  DeviceBuffer<unsigned long long> wrong(1);
  FRYER_CUDA_CHECK(cudaMemset(wrong.data(), 0, sizeof(unsigned long long)));
  unsigned long long count = 0;
  pole_quotients_kernel<<<4096, 256>>>(CartPole::make_rules<float>({}), std::uint64_t{1} << 32, wrong.data());
  FRYER_CUDA_CHECK_LAUNCH("pole_quotients_kernel");
  FRYER_CUDA_CHECK(cudaMemcpy(&count, wrong.data(), sizeof count, cudaMemcpyDeviceToHost));
  EXPECT_EQ(count, 0u);
  quotients_kernel<<<4096, 256>>>(wrong.data());
  FRYER_CUDA_CHECK_LAUNCH("quotients_kernel");
  FRYER_CUDA_CHECK(cudaMemcpy(&count, wrong.data(), sizeof count, cudaMemcpyDeviceToHost));
  EXPECT_EQ(count, 0u);
}
// And as the host's division says.
struct PoleQuotients {
  CartPole::Rules<float> rules;
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const PoleQuotient q = pole_quotient(rules, i);
    return canonical(divide_normal(q.a, q.d), q.d);
  }
};
TEST_F(CudaKernels, PoleQuotientsEqualTheHosts) {
  expect_same_on_the_gpu(PoleQuotients{CartPole::make_rules<float>({})}, std::uint64_t{1} << 25);
}

// ---- CartPole

// Ten steps of every form, limits left behind.
struct CartPoleSteps {
  CartPole::Rules<float> rules;
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    std::uint64_t h = mix(i);
    float state[4], next[4];
    CartPole::start<float>(rules,
                           {static_cast<std::uint32_t>(h), static_cast<std::uint32_t>(h >> 32),
                            static_cast<std::uint32_t>(h >> 7), static_cast<std::uint32_t>(h >> 21)},
                           state);
    for (int k = 0; k < 10; ++k) {
      CartPole::step_by_rules(rules, state, (h >> (k + 13) & 1) != 0, next);
      for (int j = 0; j < 4; ++j) state[j] = next[j];
      h = mix(h) ^ canonical(state[0], state[1]) ^ mix(canonical(state[2], state[3]));
      h = mix(h) + (CartPole::inside(rules, true, state) ? 1 : 0);
    }
    return h;
  }
};
TEST_F(CudaKernels, CartPoleStepsEqualTheHosts) {
  for (const bool small : {true, false}) {
    for (const auto integrator : {CartPole::Integrator::euler, CartPole::Integrator::semi_implicit}) {
      CartPole::Settings s;
      s.integrator = integrator;
      s.start_range = small ? 0.05 : 1.0;
      CartPole::Rules<float> rules = CartPole::make_rules<float>(s);
      EXPECT_EQ(rules.small_angles, small);
      expect_same_on_the_gpu(CartPoleSteps{rules}, std::uint64_t{1} << 20);
    }
  }
}

// ---- other leaves

struct Sigmoid {
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const float any = some_float(i, 0), used = (static_cast<float>(i & 0xffffff) - 0x1p23f) * 0x1.6p-17f;  // within +-88
    return canonical(sigmoid24(any)) << 32 ^ canonical(sigmoid24(used)) ^
           canonical(sigmoid24_between(maximum(-87.0f, minimum(70.0f, used)))) << 16;
  }
};
TEST_F(CudaKernels, SigmoidEqualsTheHosts) { expect_same_on_the_gpu(Sigmoid{}, std::uint64_t{1} << 24); }

struct Leaves {
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const float x = some_float(i, 0);
    const float near = (static_cast<float>(i & 0xffffff) - 0x1p23f) * 0x1p-17f;  // within +-64
    std::uint64_t h = canonical(exp(x), exp(near));
    h = mix(h) ^ canonical(log(x), log(absolute(near)));
    h = mix(h) ^ canonical(softplus(x), softplus(near));
    h = mix(h) ^ canonical(sin(x), sin(near));
    h = mix(h) ^ canonical(cos(x), cos(near));
    h = mix(h) ^ canonical(sin_small(near * 0x1p-9f, near * near * 0x1p-18f), cos_small(near * near * 0x1p-18f));
    return h;
  }
};
TEST_F(CudaKernels, MathsLeavesEqualTheHosts) { expect_same_on_the_gpu(Leaves{}, std::uint64_t{1} << 22); }

// Bounds first, NaN in the second place survives, infinities and zeros of both signs.
struct Bounds {
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const float x = i == 0 ? from_bits(0x7fc00000u) : i == 1 ? from_bits(0xffc00000u) : some_float(i, 0);
    return canonical(minimum(70.0f, x), maximum(-87.0f, x));
  }
};
TEST_F(CudaKernels, MinimumAndMaximumKeepNan) { expect_same_on_the_gpu(Bounds{}, std::uint64_t{1} << 20); }

struct AdamStep {
  OptimizerConstants<float> constants;
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const float gradient = some_float(i, 0);
    float m = some_float(i, 1), v = absolute(some_float(i, 2)), theta = some_float(i, 3);
    if (i % 2 == 0) {  // as in a training, tiny second moments included
      m = gradient * 0.1f;
      v = gradient * gradient * 0.001f;
      theta = -7.25f;
    }
    if (i % 16 == 1) v = from_bits(static_cast<std::uint32_t>(i));  // subnormal
    adam_step(constants, 0.1f, 1.5f, gradient, m, v, theta);
    return mix(canonical(m, v)) ^ canonical(theta);
  }
};
TEST_F(CudaKernels, AdamStepEqualsTheHosts) {
  expect_same_on_the_gpu(AdamStep{make_optimizer_constants<float>(OptimizerSettings{})}, std::uint64_t{1} << 22);
}

// Rounding to multiples of 2^-s: half to even, up to the bound; sums back to floats.
struct Rounding {
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const auto bits = static_cast<std::int64_t>(mix(i));
    const double x = static_cast<double>(bits >> 10) * 0x1p-20, half = static_cast<double>((bits >> 30) * 2 + 1) * 0.5;
    std::uint64_t h = static_cast<std::uint64_t>(to_fixed(x, 0x1p16)) ^ mix(static_cast<std::uint64_t>(to_fixed(half, 1.0)));
    h = mix(h) ^ canonical(mean_from_fixed(bits, 0x1p-40), round_single_term(some_float(i, 1), 0x1p-3f));
    WideSum sum;
    sum.add(bits);
    sum.add(-(bits >> 3));
    sum.normalise();
    return mix(h) ^ static_cast<std::uint64_t>(sum.high) * 31 ^ static_cast<std::uint64_t>(sum.low);
  }
};
TEST_F(CudaKernels, ExactSumsEqualTheHosts) { expect_same_on_the_gpu(Rounding{}, std::uint64_t{1} << 22); }

// ---- Philox: on the device random_block() is cuRAND's function, on the host ours; and ours on the device.
struct Philox {
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const std::uint64_t seed = mix(i), number = mix(~i), block = i % 3 == 0 ? 0 : mix(i + 7) >> 8;
    const auto a = random_block(seed, Purpose::action, number, block);
    const auto b =
        philox<float>(static_cast<std::uint32_t>(block), purpose_word(Purpose::action, block), static_cast<std::uint32_t>(number),
                      static_cast<std::uint32_t>(number >> 32), make_uniform_key(seed));
    const bool same = a.x == b.x && a.y == b.y && a.z == b.z && a.w == b.w;
    return same ? mix(std::uint64_t{a.x} << 32 | a.y) ^ (std::uint64_t{a.z} << 32 | a.w) : 0;
  }
};
TEST_F(CudaKernels, PhiloxIsCurands) {
  expect_same_on_the_gpu(Philox{}, std::uint64_t{1} << 22);
  EXPECT_NE(Philox{}(1), 0u);
}

// The blocks of an episode from what is kept of it.
struct EpisodeBlocks {
  FRYER_HOST_DEVICE std::uint64_t operator()(std::uint64_t i) const {
    const UniformKey key = make_uniform_key(mix(i));
    const std::uint64_t number = mix(~i);
    const auto low = static_cast<std::uint32_t>(number), high = static_cast<std::uint32_t>(number >> 32);
    const auto block = static_cast<std::uint32_t>(mix(i + 7));
    EpisodeRandom random;
    random.begin(purpose_word(Purpose::action), low, high, key);
    const auto a = random.block(block, key), b = philox<float>(block, purpose_word(Purpose::action), low, high, key);
    const bool same = a.x == b.x && a.y == b.y && a.z == b.z && a.w == b.w;
    return same ? mix(std::uint64_t{a.x} << 32 | a.y) ^ (std::uint64_t{a.z} << 32 | a.w) : 0;
  }
};
TEST_F(CudaKernels, EpisodesRandomBlocksArePhiloxs) {
  expect_same_on_the_gpu(EpisodeBlocks{}, std::uint64_t{1} << 22);
  EXPECT_NE(EpisodeBlocks{}(1), 0u);
}

// ---- launches

// Any grid, any cut into launches: the committed digests.
TEST_F(CudaKernels, EveryLaunchShapeGivesTheReferenceDigests) {
  for (const unsigned blocks : {1u, 3u, 17u}) {
    for (const std::uint64_t chunk : {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{4096}}) {
      CudaOptions options;
      options.most_blocks = blocks;
      options.chunk = chunk;
      const std::unique_ptr<Backend> backend = make_cuda_backend(0, "", options);
      for (const ReferenceRun& run : reference_runs()) {
        EXPECT_EQ(run.run(*backend), run.digest) << run.name << ", " << blocks << " blocks, launches of " << chunk;
      }
    }
  }
}

// Left and gone on with, by turns on the GPU and the CPU.
TEST_F(CudaKernels, GoesOnWithValueLearnersWhereTheCpuLeftThem) {
  CudaOptions options;
  options.chunk = 20'000;
  BackendChoice on_the_cpu;
  on_the_cpu.device = BackendChoice::Device::cpu;
  const std::unique_ptr<Backend> cpu = make_backend(on_the_cpu);
  const std::unique_ptr<Backend> short_launches = make_cuda_backend(0, "", options);
  for (QTrainConfiguration c : {small_dqn_population(), small_online_population()}) {
    c.training.episodes *= 4;
    c.replicas = 40;
    TrainingStates straight = fresh_states(c, true), states = fresh_states(c, true);
    train_on(std::vector{c}, straight, *cpu, RunControl{});
    int rounds = 0;
    for (bool unfinished = true; unfinished; ++rounds) {
      StopToken pause{false};
      RunControl control;
      control.pause = &pause;
      control.progress = [&](std::uint64_t, std::uint64_t) { pause = rounds < 50; };
      train_on(std::vector{c}, states, rounds % 2 == 0 ? *short_launches : *cpu, control);
      unfinished = std::count(states.table.status.begin(), states.table.status.end(),
                              static_cast<std::uint8_t>(ReplicaStatus::unfinished)) != 0;
    }
    EXPECT_GT(rounds, 2);
    EXPECT_EQ(states.table.status, straight.table.status);
    EXPECT_EQ(states.table.updates, straight.table.updates);
    EXPECT_EQ(states.table.steps, straight.table.steps);
    EXPECT_EQ(states.outcomes, straight.outcomes);
    for (std::size_t i = 0; i < straight.table.parameters.size(); ++i) {
      for (std::size_t row = 0; row < c.replicas; ++row)
        ASSERT_EQ(to_bits(states.table.parameters[i][row]), to_bits(straight.table.parameters[i][row]));
    }
  }
}

// Value learners: fewer slots than replicas and more, launches of a few turns.
TEST_F(CudaKernels, EveryLaunchShapeGivesTheReferenceDigestsOfValueLearners) {
  for (const unsigned blocks : {1u, 3u, 0u}) {
    for (const std::uint64_t chunk : {std::uint64_t{0}, std::uint64_t{500}}) {
      CudaOptions options;
      options.most_blocks = blocks;
      options.chunk = chunk;
      const std::unique_ptr<Backend> backend = make_cuda_backend(0, "", options);
      for (const QReferenceRun& run : q_reference_runs()) {
        if (chunk != 0 && run.training && run.training->training.batch > 64) continue;  // thousands of launches
        EXPECT_EQ(run.run(*backend), run.digest) << run.name << ", " << blocks << " blocks, launches of " << chunk;
      }
    }
  }
}

// CartPole's too, against the CPU: lanes that take few replicas and many, launches of a single block of steps.
TEST_F(CudaKernels, EveryLaunchShapeGivesTheCpusDigestsOfCartPole) {
  BackendChoice choice;
  choice.device = BackendChoice::Device::cpu;
  const std::unique_ptr<Backend> cpu = make_backend(choice);
  CartPoleTrainConfiguration t;
  t.problem.environment.max_steps = 100;
  t.problem.baseline = Baseline::standardize;
  t.batch = 4;
  t.updates = 8;
  t.replicas = 3000;
  t.until = 30;
  CartPoleGradientConfiguration g;
  g.episodes = 20'011;
  CartPoleEvaluateConfiguration e;
  e.episodes = 20'011;
  const std::uint64_t trained = train(t, *cpu).digest, differentiated = gradient(g, *cpu).digest,
                      evaluated = evaluate(e, *cpu).digest;
  e.problem.environment.max_steps = 20'000;  // outcomes that no shared memory holds
  const std::uint64_t evaluated_long = evaluate(e, *cpu).digest;
  for (const unsigned blocks : {1u, 3u, 17u}) {
    for (const std::uint64_t chunk : {std::uint64_t{0}, std::uint64_t{1000}, std::uint64_t{40'000}}) {
      CudaOptions options;
      options.most_blocks = blocks;
      options.chunk = chunk;
      const std::unique_ptr<Backend> backend = make_cuda_backend(0, "", options);
      SCOPED_TRACE(testing::Message() << blocks << " blocks, launches of " << chunk);
      EXPECT_EQ(train(t, *backend).digest, trained);
      EXPECT_EQ(gradient(g, *backend).digest, differentiated);
      EXPECT_EQ(evaluate(e, *backend).digest, evaluated_long);
      CartPoleEvaluateConfiguration usual = e;
      usual.problem = {};
      EXPECT_EQ(evaluate(usual, *backend).digest, evaluated);
    }
  }
}

TEST_F(CudaKernels, OutOfMemoryNamesTheBytes) {
  try {
    const DeviceBuffer<double> buffer(std::uint64_t{1} << 45);
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_STREQ(error.what(), "CUDA: out of memory: 281474976710656 bytes were asked for");
  }
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);  // the failed call leaves nothing behind
}

TEST_F(CudaKernels, FailedCallsNameThemselves) {
  try {
    FRYER_CUDA_CHECK(cudaSetDevice(12345));
    FAIL();
  } catch (const DeviceError& error) {
    EXPECT_NE(std::string(error.what()).find("cudaSetDevice(12345): "), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("cudaErrorInvalidDevice"), std::string::npos) << error.what();
  }
}

// ---- failures, each in a process of its own

// What a training on the GPU ends with: 3 and the error's words on stderr, or 0.
int train_once(const std::unique_ptr<Backend>& backend) {
  TrainConfiguration c;
  c.replicas = 1000;
  try {
    train(c, *backend);
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
  return 0;
}
int run_once() {
  try {
    return train_once(make_cuda_backend(0, ""));
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}

__global__ void broken_kernel() { __trap(); }

// A context that a kernel broke stays broken. The backend ends in it, too.
int run_on_a_broken_context() {
  const std::unique_ptr<Backend> backend = make_cuda_backend(0, "");
  broken_kernel<<<1, 1>>>();
  cudaDeviceSynchronize();
  return train_once(backend);
}

class CudaFailure : public CudaKernels {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");  // the process begins anew: CUDA does not survive a fork
    CudaKernels::SetUp();
  }
};

// The fixture's call is the first; a training makes some dozens.
TEST_F(CudaFailure, OfAnyCallIsADeviceError) {
  EXPECT_EXIT(std::exit(run_once()), testing::ExitedWithCode(0), "");
  for (int call = 2; call < 14; ++call) {
    ::setenv("FRYER_FAIL_CUDA_CALL", std::to_string(call).c_str(), 1);
    EXPECT_EXIT(std::exit(run_once()), testing::ExitedWithCode(3), "CUDA: .*: made to fail by FRYER_FAIL_CUDA_CALL") << call;
  }
  ::unsetenv("FRYER_FAIL_CUDA_CALL");
}

TEST_F(CudaFailure, OfAKernelIsADeviceErrorFromThenOn) {
  EXPECT_EXIT(std::exit(run_on_a_broken_context()), testing::ExitedWithCode(3), "CUDA: .*\\(cudaError");
}

}  // namespace
}  // namespace fryer::test
