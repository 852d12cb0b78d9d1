// SPDX-License-Identifier: Apache-2.0
// `fryer notebook`: the StatQuest notebook as it stands, its table of results and its final bias, and where that bias lies among the
// results of a population of seeds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/cli/command.h"
#include "host/cli/output/json.h"
#include "host/cli/output/train_report.h"
#include "host/cli/run_support.h"
#include "host/cli/settings.h"

namespace fryer::cli {
namespace {

constexpr std::size_t kUpdatesPerEpoch = 4;
constexpr std::uint64_t kFirstSeed = 1;  // of the population

Description describe() {
  Description d;
  d.name = "notebook";
  d.summary = "the StatQuest notebook as it stands, and how unusual its result is";
  d.text =
      "One training of FryShack-v0 with PyTorch's CPU generator in the notebook's order of draws: seed 42 ends at a bias of "
      "-10.34, as the "
      "notebook prints. Then the same recipe with the seeds 1 to N of fryer's own generator (Philox), and where the notebook's "
      "bias lies among "
      "theirs.";
  d.examples = {{"what the notebook prints", "notebook"},
                {"another seed, every epoch, without the population", "notebook --seed 7 --population 0 -v"}};
  return d;
}

// The trainings that the notebook is compared with.
struct Comparison {
  TrainResult result;
  double at_or_below = 0, at_or_above = 0;  // shares of the finite ones
};

// Refusals of --replicas, which this command does not have, name the option that stands for it.
template <class Check>
void named(const char* option, Check check) {
  try {
    check();
  } catch (const ConfigurationError& error) {
    const std::string what = error.what();
    const std::string replicas = "--replicas";
    if (!what.starts_with(replicas)) throw;
    throw ConfigurationError(option + what.substr(replicas.size()));
  }
}

class NotebookCommand : public Command {
 public:
  NotebookCommand();
  std::string algorithm() const override { return "reinforce"; }
  void resolve() override;
  int run(const Console& console) override;

 private:
  TrainConfiguration population() const;
  Plan plan() const;
  Comparison compare(const Console& console, Backend& backend, double final_bias) const;
  std::string epochs(const Console& console, const NotebookResult& notebook) const;
  std::string context(const Comparison& comparison, double final_bias) const;
  Json document(const NotebookResult& notebook, const Comparison* comparison) const;

  NotebookConfiguration c_;
  std::uint64_t population_ = 1'000'000;
};

NotebookCommand::NotebookCommand() : Command(describe()) {
  environment_ = FryShack::kName;
  using Generator = NotebookConfiguration::Generator;
  add_seed(table_, c_.seed, "seed of the notebook's training; PyTorch's generator takes the low 32 bits");
  table_.choice<Generator>("generator", c_.generator, {{"torch", Generator::torch}, {"philox", Generator::philox}},
                           "whose random numbers: PyTorch's, or fryer's own");
  table_.integer("updates", "U", c_.updates, "a whole number from 1 to 1e8", "updates",
                 "length of the training; an epoch is four updates");
  add_learning_rate(table_, c_.learning_rate);
  add_rewards(table_, c_.reward_correct, c_.reward_wrong);
  table_.integer("population", "N", population_, "a whole number from 0 to 4294967296", "trainings",
                 "how many seeds, from 1 on, to compare with; 0: none");
  add_backend_options();
}

TrainConfiguration NotebookCommand::population() const {
  TrainConfiguration c;
  c.problem.environment.reward_correct = c_.reward_correct;
  c.problem.environment.reward_wrong = c_.reward_wrong;
  c.optimizer.learning_rate = c_.learning_rate;
  c.updates = c_.updates;
  c.seed = kFirstSeed;
  c.replicas = population_;
  return c;
}

void NotebookCommand::resolve() {
  named("--updates", [&] { validate(c_); });
  if (population_ == 0) {
    if (common_.backend.device == BackendChoice::Device::cuda) {
      throw ConfigurationError(
          fmt::format("{}: a GPU serves the population only, and --population is 0", table_.find("device")->label));
    }
    return;
  }
  if (population_ > std::uint64_t{1} << 32) {
    throw ConfigurationError(fmt::format("{}: {} is not accepted; {}", table_.find("population")->label, population_,
                                         table_.find("population")->accepted));
  }
  named("--population", [&] { validate(population()); });
}

Plan NotebookCommand::plan() const {
  Plan plan;
  plan.what = fmt::format("the notebook's {} updates", with_separators(c_.updates));
  plan.episodes = static_cast<double>(c_.updates) * static_cast<double>(std::max<std::uint64_t>(population_, 1));
  if (population_ == 0) {
    plan.work.steps = plan.episodes;
    plan.pilot = [this](Backend&, std::uint64_t wanted) {
      NotebookConfiguration part = c_;
      part.updates = std::min(c_.updates, wanted);
      try {
        return static_cast<double>(notebook(part).updates.size());
      } catch (const RunError&) {  // it fails early; so will the run
        return static_cast<double>(part.updates);
      }
    };
    return plan;
  }
  plan.what += fmt::format(" and a population of {}", with_separators(population_));
  plan.work = estimate(population());
  plan.pilot = [this](Backend& backend, std::uint64_t wanted) {
    TrainConfiguration part = population();
    part.updates = std::min<std::uint64_t>(part.updates, 256);
    part.replicas = std::clamp<std::uint64_t>(wanted / part.updates, 1, part.replicas);
    return static_cast<double>(train(part, backend).episodes);
  };
  return plan;
}

Comparison NotebookCommand::compare(const Console& console, Backend& backend, double final_bias) const {
  Comparison comparison;
  comparison.result = run_watched(*this, console, "episodes", 1, [&](const RunControl& control, ProgressMeter&) {
    return train(population(), backend, control);
  });
  std::uint64_t below = 0, above = 0;
  for (const float bias : comparison.result.table.parameters[1]) {  // a failed training's NaN is neither
    below += static_cast<double>(bias) <= final_bias;
    above += static_cast<double>(bias) >= final_bias;
  }
  const double count = static_cast<double>(std::max<std::uint64_t>(comparison.result.parameters[1].count, 1));
  comparison.at_or_below = static_cast<double>(below) / count;
  comparison.at_or_above = static_cast<double>(above) / count;
  return comparison;
}

// The notebook's table of results. Without -v about 14 rows, the first and the last epoch among them.
std::string NotebookCommand::epochs(const Console& console, const NotebookResult& notebook) const {
  const std::size_t updates = notebook.updates.size();
  const std::size_t count = (updates + kUpdatesPerEpoch - 1) / kUpdatesPerEpoch;
  std::size_t stride = 1;
  for (std::size_t power = 1; count / stride > 16 && !common_.verbose; power *= 10) {
    for (const std::size_t factor : {2u, 5u, 10u}) {
      if (count / stride > 16) stride = factor * power;
    }
  }
  Table table;
  table.headings = {"epoch", "to Norm's", "to Squatch's", "mean reward", "mean loss", "bias"};
  for (std::size_t epoch = 0; epoch < count; ++epoch) {
    if (epoch != 0 && (epoch + 1) % stride != 0 && epoch + 1 != count) continue;
    const std::size_t begin = epoch * kUpdatesPerEpoch, end = std::min(begin + kUpdatesPerEpoch, updates);
    std::size_t norm = 0;
    double reward = 0, loss = 0;
    for (std::size_t i = begin; i < end; ++i) {
      norm += notebook.updates[i].norm;
      reward += notebook.updates[i].reward;
      loss += static_cast<double>(notebook.updates[i].loss);
    }
    const double n = static_cast<double>(end - begin);
    table.rows.push_back({std::to_string(epoch + 1), std::to_string(norm), std::to_string(end - begin - norm),
                          fmt::format("{:.2f}", reward / n), fmt::format("{:.4f}", loss / n),
                          fmt::format("{:.4f}", static_cast<double>(notebook.updates[end - 1].bias))});
  }
  std::string text = render(console.out, table);
  if (stride > 1)
    text +=
        paint(console.out, Style::dim, fmt::format("(every {}th of {} epochs of four updates; -v prints all)", stride, count)) +
        '\n';
  return text;
}

std::string NotebookCommand::context(const Comparison& comparison, double final_bias) const {
  const Summary& s = comparison.result.parameters[1];
  if (s.count == 0) return fmt::format("Of the seeds 1 to {} none ends at a finite bias.\n", with_separators(population_));
  const bool low = comparison.at_or_below <= comparison.at_or_above;
  const double share = low ? comparison.at_or_below : comparison.at_or_above;
  std::string text =
      fmt::format("The seeds 1 to {} of fryer's own generator end at {:.3f} on average, with a standard deviation of {:.3f}.\n",
                  with_separators(population_), s.mean, s.sd);
  const std::string one_in = share > 0 && share < 0.1 ? fmt::format(", one in {:.0f},", 1 / share) : "";
  return text +
         fmt::format("{:.2f} % of them{} end at {:.2f} or {}.\n", share * 100, one_in, final_bias, low ? "below" : "above");
}

Json NotebookCommand::document(const NotebookResult& r, const Comparison* comparison) const {
  Json document = Json::object();
  document["episodes"] = r.updates.size();
  document["steps"] = r.updates.size() * FryShack::kStepsPerEpisode;
  document["optimizer_updates"] = r.updates.size();
  document["final_bias"] = finite(static_cast<double>(r.final_bias));
  document["norm_visits"] = r.norm_visits;
  Json history = Json::array();
  for (const NotebookResult::Update& update : r.updates) history.push_back(static_cast<double>(update.bias));
  document["bias_history"] = std::move(history);
  document["population"] = Json();
  if (comparison != nullptr) {
    Json population = {{"replicas", population_}, {"first_seed", kFirstSeed}};
    const Json bias = summary_json(comparison->result.parameters[1]);
    if (bias.is_object()) population.update(bias);
    population["fraction_at_or_below"] = comparison->at_or_below;
    population["fraction_at_or_above"] = comparison->at_or_above;
    population["failed"] = comparison->result.failed.count;
    population["digest"] = hex16(comparison->result.digest);
    document["population"] = std::move(population);
  }
  return document;
}

int NotebookCommand::run(const Console& console) {
  if (common_.dry_run) return run_dry(*this, console, c_.seed, plan());
  const Stopwatch watch;
  std::unique_ptr<Backend> backend;
  BackendInfo info{"cpu", "scalar", 1, "one training runs on one thread"};
  if (population_ != 0) {
    backend = open_backend(*this, estimate(population()), console);
    info = backend->info();
  } else {
    make_backend(common_.backend);  // a forced instruction set that this machine lacks is an error all the same
  }
  const NotebookResult result = notebook(c_);
  const double final_bias = static_cast<double>(result.final_bias);
  std::optional<Comparison> comparison;
  if (backend) comparison = compare(console, *backend, final_bias);
  const double seconds = watch.seconds();
  if (common_.json) {
    Json json = document_head(*this, c_.seed);
    json["digest"] = hex16(result.digest);
    json["backend"] = backend_json(info);
    json["wall_seconds"] = seconds;
    json.update(document(result, comparison ? &*comparison : nullptr));
    console.print(to_text(json));
    return 0;
  }
  std::string text = epochs(console, result);
  text += fmt::format("\nVisits to Norm's: {} of {}\n", result.norm_visits, result.updates.size());
  text += paint(console.out, Style::bold, fmt::format("Final bias: {:.2f}", final_bias)) + '\n';
  if (comparison) text += '\n' + context(*comparison, final_bias);
  console.print(text);
  return 0;
}

}  // namespace

std::unique_ptr<Command> make_notebook_command(const Subject&) { return std::make_unique<NotebookCommand>(); }

}  // namespace fryer::cli
