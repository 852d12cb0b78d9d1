// SPDX-License-Identifier: Apache-2.0
// What a user of the library writes first: a thousand trainings of the fry shack.
#include <fryer/engine/api.h>

#include <cstdio>

int main() {
  fryer::TrainConfiguration configuration;
  configuration.replicas = 1000;
  const auto backend = fryer::make_backend({});
  const fryer::TrainResult result = fryer::train(configuration, *backend);
  std::printf("fryer %s on %s: bias %.3f +- %.3f\n", fryer::version(), backend->info().device.c_str(), result.parameters[1].mean,
              result.parameters[1].sd);
  return result.parameters[1].mean > -7.6 && result.parameters[1].mean < -7.0 ? 0 : 1;  // -7.317 +- 1.530 over all seeds
}
